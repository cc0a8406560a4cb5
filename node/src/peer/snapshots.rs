//! Snapshots of timelines in the folder: a start reads what came since, not all.
//!
//! They are kept beside the envelopes, never instead of them. One is taken only if the class
//! logs still hold what it was made from; else, and where there is none, the envelopes are read.

use std::collections::BTreeMap;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::page::PageAddress;
use khlong_document::timeline::snapshot::Snapshot;
use khlong_store::batch::Batch;
use khlong_store::engine::Durability;
use khlong_store::error::StoreError;
use khlong_store::limits::{BATCH_ROW_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use khlong_store::tables::snapshots;
use khlong_store::tables::timelines::{cursor_at, timeline_head};

use super::Peer;
use super::vault::Vault;
use crate::error::NodeError;

/// Envelopes of a timeline after which the next commit keeps a snapshot: what a start after a
/// crash may have to read again, some 60 ms.
const KEEP_AFTER: u64 = 4_096;

/// The same when a node stops: fewer are read again as quickly as they are packed.
const KEEP_AT_STOP: u64 = 64;

/// How far each class log was read, in the order of [`Class::ALL`].
pub(super) type Ends = [ArrivalSeq; Class::ALL.len()];

/// Restores a timeline of which nothing was received from its snapshot. Returns the arrivals
/// behind which reading goes on: zero without one.
pub(super) fn restore(
    batch: &Batch<'_>,
    vault: &Vault,
    timeline: &mut Timeline,
) -> Result<Ends, StoreError> {
    let id = timeline.id();
    let head = snapshots::head(batch, &id)?;
    let head = head.and_then(|row| vault.open_snapshot(&snapshots::head_key(&id), &row));
    let Some((ends, head)) = head.as_deref().and_then(split_head) else {
        return Ok(Ends::default());
    };
    for (class, end) in Class::ALL.into_iter().zip(&ends) {
        let here = match cursor_at(batch, batch.identity(), class, end.seq) {
            Err(StoreError::Corrupt { .. }) => None,
            here => here?,
        };
        if here != Some(*end) {
            tracing::info!(timeline = %id, "a snapshot is of another log; the envelopes are read");
            return Ok(Ends::default());
        }
    }
    let rows = snapshots::pages(batch, &id)?.into_iter();
    let pages = rows.filter_map(|(name, row)| {
        let page = vault.open_snapshot(&snapshots::page_key(&id, &name), &row)?;
        Some((PageAddress::from_bytes(&name)?, page))
    });
    if let Err(reason) = timeline.restore(head, &pages.collect()) {
        tracing::info!(timeline = %id, %reason, "a snapshot is not taken");
        return Ok(Ends::default());
    }
    Ok(ends.map(|end| end.seq))
}

/// `end 36 of each class ‖ head of the timeline`.
fn split_head(bytes: &[u8]) -> Option<([Cursor; Class::ALL.len()], &[u8])> {
    let (ends, head) = bytes.split_at_checked(Class::ALL.len() * Cursor::LENGTH)?;
    let ends = ends.chunks_exact(Cursor::LENGTH).map(Cursor::decode);
    let ends: Option<Vec<Cursor>> = ends.collect();
    Some((ends?.try_into().ok()?, head))
}

impl Peer {
    /// Notes envelopes that the last snapshot of a timeline does not know.
    pub(super) fn note_unkept(&mut self, id: TimelineId, envelopes: u64) {
        *self.unkept.entry(id).or_default() += envelopes;
    }

    /// The snapshot speaks of an envelope as it is no more: the next commit takes it away, and
    /// keeps another.
    pub(super) fn void_snapshot(&mut self, id: TimelineId) -> Result<(), NodeError> {
        self.note_unkept(id, KEEP_AFTER);
        self.with_batch(|batch| snapshots::remove_head(batch, &id))
    }

    /// Keeps snapshots of timelines of which much is new. To be called before a peer is
    /// dropped for good; what is not committed is not in them, and then none is made.
    ///
    /// # Errors
    /// What the folder refused; drop the peer.
    pub fn keep_snapshots(&mut self) -> Result<(), NodeError> {
        self.keep_snapshots_after(KEEP_AT_STOP)
    }

    /// The same, of those that took so much that the next start would feel it.
    pub(super) fn keep_due_snapshots(&mut self) -> Result<(), NodeError> {
        self.keep_snapshots_after(KEEP_AFTER)
    }

    fn keep_snapshots_after(&mut self, least: u64) -> Result<(), NodeError> {
        if !self.overlay.is_empty() {
            return Ok(());
        }
        let due = self.unkept.iter().filter(|(_, count)| **count >= least);
        let due: Vec<TimelineId> = due.map(|(id, _)| *id).collect();
        for id in due {
            // Where none can be made now, none is tried before as much is new again.
            self.unkept.remove(&id);
            let Some(mut timeline) = self.timelines.remove(&id) else {
                continue;
            };
            let kept = self.keep_snapshot(&mut timeline);
            self.timelines.insert(id, timeline);
            kept?;
        }
        Ok(())
    }

    fn keep_snapshot(&mut self, timeline: &mut Timeline) -> Result<(), NodeError> {
        let Some(snapshot) = timeline.snapshot() else {
            return Ok(());
        };
        let id = timeline.id();
        let Some(rows) = self
            .seal_snapshot(id, &snapshot)
            .map_err(NodeError::Store)?
        else {
            return Ok(());
        };
        match self.write_snapshot(id, snapshot.is_whole, rows) {
            Ok(()) => timeline.note_saved(&snapshot),
            // It is no one's loss: the envelopes are here.
            Err(error) if error.is_retryable() => {
                tracing::info!(timeline = %id, %error, "no snapshot is kept for now");
            }
            Err(error) => return Err(NodeError::Store(error)),
        }
        Ok(())
    }

    /// Its rows, the head last; None if one would be too large.
    fn seal_snapshot(
        &mut self,
        id: TimelineId,
        snapshot: &Snapshot,
    ) -> Result<Option<Sealed>, StoreError> {
        let batch = self.store.batch();
        let mut head = Vec::new();
        for class in Class::ALL {
            let end = timeline_head(&batch, &id, class)?.arrival;
            let Some(cursor) = cursor_at(&batch, batch.identity(), class, end)? else {
                return Ok(None);
            };
            head.extend_from_slice(&cursor.encode());
        }
        drop(batch);
        head.extend_from_slice(&snapshot.head);
        let mut sealed = Sealed::default();
        for (address, page) in &snapshot.pages {
            let name = address.to_bytes();
            let nonce = self.random();
            let key = snapshots::page_key(&id, &name);
            let row = self.vault.seal_snapshot(&key, page, nonce);
            sealed.pages.insert(name, row);
        }
        let nonce = self.random();
        let key = snapshots::head_key(&id);
        sealed.head = self.vault.seal_snapshot(&key, &head, nonce);
        Ok(sealed.fits().then_some(sealed))
    }

    /// In as many commits as it takes, none of which has to reach the disk before anything
    /// else: a head that does not fit its pages is passed over.
    fn write_snapshot(
        &mut self,
        id: TimelineId,
        is_whole: bool,
        rows: Sealed,
    ) -> Result<(), StoreError> {
        let mut batch = self.store.batch();
        if is_whole {
            snapshots::clear(&mut batch, &id)?;
        }
        for (name, row) in rows.pages {
            if !batch.has_room_for(row.len() + KEY_BYTES_MAX + BATCH_ROW_BYTES) {
                let writes = batch.into_writes();
                self.store.commit(writes, Durability::Buffered)?;
                batch = self.store.batch();
            }
            snapshots::put_page(&mut batch, &id, &name, row)?;
        }
        if !batch.has_room_for(rows.head.len() + KEY_BYTES_MAX + BATCH_ROW_BYTES) {
            let writes = batch.into_writes();
            self.store.commit(writes, Durability::Buffered)?;
            batch = self.store.batch();
        }
        snapshots::put_head(&mut batch, &id, rows.head)?;
        let writes = batch.into_writes();
        self.store.commit(writes, Durability::Buffered)?;
        Ok(())
    }
}

/// Rows of one snapshot.
#[derive(Default)]
struct Sealed {
    pages: BTreeMap<[u8; snapshots::PAGE_BYTES], Vec<u8>>,
    head: Vec<u8>,
}

impl Sealed {
    fn fits(&self) -> bool {
        let mut rows = self.pages.values().chain([&self.head]);
        rows.all(|row| row.len() <= VALUE_BYTES_MAX)
    }
}

const _: () = assert!(PageAddress::BYTES == snapshots::PAGE_BYTES);
