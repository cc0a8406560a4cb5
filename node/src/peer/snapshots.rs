//! Snapshots of timelines in the folder: a start reads what came since, not all.
//!
//! They are kept beside the envelopes, never instead of them. One is taken only if the class
//! logs still hold what it was made from; else, and where there is none, the envelopes are read.

use std::collections::BTreeMap;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::page::PageAddress;
use khlong_document::timeline::snapshot::{NoSnapshot, Snapshot};
use khlong_store::batch::Batch;
use khlong_store::engine::Durability;
use khlong_store::error::StoreError;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::tables::snapshots;
use khlong_store::tables::timelines::{cursor_at, timeline_head};

use super::Peer;
use super::vault::Vault;
use crate::error::NodeError;

/// When a node keeps a snapshot of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPace {
    /// Once so many envelopes came since the last: what a start after a crash may have to
    /// read again.
    pub due: u64,
    /// The same when the node stops.
    pub at_stop: u64,
    /// Bytes after which what was gathered of one is committed, at most [`BATCH_BYTES_MAX`], which is
    /// what production has: less lets a test stand between two commits of a small one.
    pub commit_bytes: usize,
}

impl SnapshotPace {
    /// 4,096 envelopes are read in some 60 ms; 64 as quickly as they are packed.
    pub const PRODUCTION: Self = Self {
        due: 4_096,
        at_stop: 64,
        commit_bytes: BATCH_BYTES_MAX,
    };
}

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
            Err(error) if error.is_damage() => None,
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

    /// The snapshot speaks of an envelope as it is no more: the next commit takes it away. The
    /// next one is kept when it is due, or at a stop.
    pub(super) fn void_snapshot(&mut self, id: TimelineId) -> Result<(), NodeError> {
        let unkept = self.unkept.entry(id).or_default();
        *unkept = self.pace.at_stop.max(*unkept);
        self.with_batch(|batch| snapshots::remove_head(batch, &id))
    }

    /// Keeps snapshots of timelines of which much is new. To be called before a peer is
    /// dropped for good; what is not committed is not in them, and then none is made.
    ///
    /// # Errors
    /// What the folder refused; drop the peer.
    pub fn keep_snapshots(&mut self) -> Result<(), NodeError> {
        self.keep_snapshots_after(self.pace.at_stop)
    }

    /// The same, of those that took so much that the next start would feel it. To be called
    /// after [`Peer::commit`], once what it released has left: nobody waits for this.
    ///
    /// # Errors
    /// As [`Peer::keep_snapshots`]; all that was committed is so still.
    pub fn keep_due_snapshots(&mut self) -> Result<(), NodeError> {
        self.keep_snapshots_after(self.pace.due)
    }

    /// With another pace than [`SnapshotPace::PRODUCTION`]: for simulations and tests, which
    /// meet snapshots with few envelopes.
    #[must_use]
    pub fn with_snapshot_pace(mut self, pace: SnapshotPace) -> Self {
        self.pace = pace;
        self
    }

    fn keep_snapshots_after(&mut self, least: u64) -> Result<(), NodeError> {
        // Where memory is ahead of the disk a snapshot would hold what no log does.
        if !self.overlay.is_empty() || self.is_ahead || self.failed.is_some() {
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
        let id = timeline.id();
        let snapshot = match timeline.snapshot() {
            Ok(snapshot) => snapshot,
            Err(NoSnapshot::ForNow) => return Ok(()),
            Err(reason @ NoSnapshot::PageTooLong { .. }) => {
                // Said once: it is so at each attempt.
                if self.without_snapshot.insert(id) {
                    tracing::warn!(timeline = %id, %reason, "no snapshot is kept");
                }
                return Ok(());
            }
        };
        let rows = match self.seal_snapshot(id, &snapshot) {
            Ok(Some(rows)) => rows,
            Ok(None) => return Ok(()),
            // Nobody else needs this row; a start reads the envelopes.
            Err(error) if error.is_damage() => {
                tracing::warn!(timeline = %id, %error, "no snapshot is kept");
                return Ok(());
            }
            Err(error) => return Err(NodeError::Store(error)),
        };
        match self.write_snapshot(id, snapshot.is_whole, rows) {
            Ok(()) => timeline.note_saved(&snapshot),
            // It is no one's loss: the envelopes are here.
            Err(error) if error.is_retryable() => {
                tracing::info!(timeline = %id, %error, "no snapshot is kept for now");
            }
            Err(error) => {
                self.is_ahead = true;
                return Err(NodeError::Store(error));
            }
        }
        Ok(())
    }

    /// What is written of it; None if the log is not what the timeline was read from.
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
        Ok(Some(sealed))
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
        let pages = rows.pages.iter();
        let pages = pages.map(|(name, row)| (snapshots::page_key(&id, name), row));
        // The head last: until it is there, pages are of no snapshot.
        for (key, row) in pages.chain([(snapshots::head_key(&id), &rows.head)]) {
            let mut from = 0;
            while let Some(next) = snapshots::put(&mut batch, &key, row, from)? {
                let writes = batch.into_writes();
                self.store.commit(writes, Durability::Buffered)?;
                batch = self.store.batch();
                from = next;
            }
            if batch.bytes() >= self.pace.commit_bytes {
                let writes = batch.into_writes();
                self.store.commit(writes, Durability::Buffered)?;
                batch = self.store.batch();
            }
        }
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

const _: () = assert!(PageAddress::BYTES == snapshots::PAGE_BYTES);
