//! Snapshots of a node's timelines: a head, and the pages, each in one row or more. Sealed by the node; a
//! shortcut past envelopes that are here too, so whatever does not fit is passed over.

use std::ops::ControlFlow;

use khlong_crdt::id::TimelineId;

use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::limits::{BATCH_BYTES_MAX, BATCH_ROW_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::rows::Rows;
use crate::table::Table;

/// Bytes of a page's name, which the node gives.
pub const PAGE_BYTES: usize = 37;
/// Bytes of one row: what is longer lies in several.
pub const PART_BYTES: usize = 1024 * 1024;
const _: () = assert!(PART_BYTES <= VALUE_BYTES_MAX && PART_BYTES + ROW_ROOM <= BATCH_BYTES_MAX);

/// What a batch needs for a row beyond its bytes, at most.
const ROW_ROOM: usize = KEY_BYTES_MAX + BATCH_ROW_BYTES;

/// Sets the head or a page, whose key is `name`, from its part `from` on, as far as the batch
/// has room. Returns the part that comes next: in the next batch.
///
/// # Errors
/// [`StoreError::BatchFull`], and from the engine.
pub fn put(
    batch: &mut Batch<'_>,
    name: &[u8],
    sealed: &[u8],
    from: u16,
) -> Result<Option<u16>, StoreError> {
    let mut next: u16 = 0;
    for part in sealed.chunks(PART_BYTES) {
        if next >= from {
            if !batch.has_room_for(part.len() + ROW_ROOM) {
                return Ok(Some(next));
            }
            batch.put(Table::Snapshot, part_key(name, next), part.to_vec())?;
        }
        next = next.saturating_add(1);
    }
    // What was longer before.
    while has(batch, &part_key(name, next))? {
        batch.delete(Table::Snapshot, part_key(name, next))?;
        next = next.saturating_add(1);
    }
    Ok(None)
}

fn has(rows: &dyn Rows, key: &[u8]) -> Result<bool, StoreError> {
    match rows.get(Table::Snapshot, key) {
        Err(error) if error.is_damage() => Ok(true),
        found => Ok(found?.is_some()),
    }
}

/// Without a head the pages say nothing.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn remove_head(batch: &mut Batch<'_>, timeline: &TimelineId) -> Result<(), StoreError> {
    batch.delete(Table::Snapshot, part_key(&head_key(timeline), 0))
}

/// Removes the head and all pages, or as many as can be read: none of them fits another head.
///
/// # Errors
/// [`StoreError::BatchFull`], and from the engine.
pub fn clear(batch: &mut Batch<'_>, timeline: &TimelineId) -> Result<(), StoreError> {
    let mut keys = vec![part_key(&head_key(timeline), 0)];
    let scanned = batch.scan_each(
        Table::Snapshot,
        &KeyRange::prefix(timeline.as_bytes()),
        Direction::Forward,
        &mut |key, _| {
            keys.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        },
    );
    unless_damaged(scanned)?;
    for key in keys {
        batch.delete(Table::Snapshot, key)?;
    }
    Ok(())
}

/// The head; `None` also if it is damaged.
///
/// # Errors
/// From the engine.
pub fn head(rows: &dyn Rows, timeline: &TimelineId) -> Result<Option<Vec<u8>>, StoreError> {
    let name = head_key(timeline);
    let mut head = None;
    for part in 0..=u16::MAX {
        match rows.get(Table::Snapshot, &part_key(&name, part)) {
            Err(error) if error.is_damage() => return Ok(None),
            found => match found? {
                Some(bytes) => head.get_or_insert_with(Vec::new).extend(bytes),
                None => break,
            },
        }
    }
    Ok(head)
}

/// A page with its name.
pub type PageRow = ([u8; PAGE_BYTES], Vec<u8>);

/// The pages, in the order of their names, without those that are damaged: of these some parts
/// may be there.
///
/// # Errors
/// From the engine.
pub fn pages(rows: &dyn Rows, timeline: &TimelineId) -> Result<Vec<PageRow>, StoreError> {
    let mut found: Vec<PageRow> = Vec::new();
    let scanned = rows.scan_each(
        Table::Snapshot,
        &KeyRange::prefix(timeline.as_bytes()),
        Direction::Forward,
        &mut |key, payload| {
            let name = key.split_first_chunk::<32>().map(|(_, name)| name);
            let page = name.and_then(<[u8]>::split_first_chunk::<PAGE_BYTES>);
            if let (Some((page, _)), Ok(payload)) = (page, payload) {
                match found.last_mut() {
                    Some((last, bytes)) if last == page => bytes.extend_from_slice(payload),
                    Some(_) | None => found.push((*page, payload.to_vec())),
                }
            }
            Ok(ControlFlow::Continue(()))
        },
    );
    unless_damaged(scanned)?;
    Ok(found)
}

/// Rows that the engine cannot read are not there.
fn unless_damaged(scanned: Result<(), StoreError>) -> Result<(), StoreError> {
    match scanned {
        Err(error) if error.is_damage() => Ok(()),
        scanned => scanned,
    }
}

fn part_key(name: &[u8], part: u16) -> Vec<u8> {
    [name, &part.to_be_bytes()].concat()
}

/// Key of the head: what the node binds the row to when it seals it.
#[must_use]
pub fn head_key(timeline: &TimelineId) -> Vec<u8> {
    Encoder::new().fixed(timeline.as_bytes()).finish()
}

/// Key of a page, likewise.
#[must_use]
pub fn page_key(timeline: &TimelineId, page: &[u8; PAGE_BYTES]) -> Vec<u8> {
    Encoder::new()
        .fixed(timeline.as_bytes())
        .fixed(page)
        .finish()
}
