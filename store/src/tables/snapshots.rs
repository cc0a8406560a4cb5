//! Snapshots of a node's timelines: a head, and a row for each page. Sealed by the node; a
//! shortcut past envelopes that are here too, so whatever does not fit is passed over.

use std::ops::ControlFlow;

use khlong_crdt::id::TimelineId;

use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// Bytes of a page's name, which the node gives.
pub const PAGE_BYTES: usize = 37;

/// Sets the head, which names the pages that belong to it.
///
/// # Errors
/// [`StoreError::BatchFull`], [`StoreError::RowTooLarge`].
pub fn put_head(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    sealed: Vec<u8>,
) -> Result<(), StoreError> {
    batch.put(Table::Snapshot, head_key(timeline), sealed)
}

/// Without a head the pages say nothing.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn remove_head(batch: &mut Batch<'_>, timeline: &TimelineId) -> Result<(), StoreError> {
    batch.delete(Table::Snapshot, head_key(timeline))
}

/// Sets one page.
///
/// # Errors
/// [`StoreError::BatchFull`], [`StoreError::RowTooLarge`].
pub fn put_page(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    page: &[u8; PAGE_BYTES],
    sealed: Vec<u8>,
) -> Result<(), StoreError> {
    batch.put(Table::Snapshot, page_key(timeline, page), sealed)
}

/// Removes the head and all pages.
///
/// # Errors
/// [`StoreError::BatchFull`], and from the engine.
pub fn clear(batch: &mut Batch<'_>, timeline: &TimelineId) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    batch.scan_each(
        Table::Snapshot,
        &KeyRange::prefix(timeline.as_bytes()),
        Direction::Forward,
        &mut |key, _| {
            keys.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        },
    )?;
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
    match rows.get(Table::Snapshot, &head_key(timeline)) {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        found => found,
    }
}

/// A page with its name.
pub type PageRow = ([u8; PAGE_BYTES], Vec<u8>);

/// The pages, in the order of their names, without those that are damaged.
///
/// # Errors
/// From the engine.
pub fn pages(rows: &dyn Rows, timeline: &TimelineId) -> Result<Vec<PageRow>, StoreError> {
    let mut found = Vec::new();
    rows.scan_each(
        Table::Snapshot,
        &KeyRange::prefix(timeline.as_bytes()),
        Direction::Forward,
        &mut |key, payload| {
            let page = key.split_first_chunk::<32>().map(|(_, page)| page);
            if let (Some(Ok(page)), Ok(payload)) = (page.map(TryInto::try_into), payload) {
                found.push((page, payload.to_vec()));
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
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
