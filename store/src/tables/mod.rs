//! The typed tables: what rows mean.
//!
//! Readers take [`Rows`](crate::rows::Rows), so they answer from a store and from
//! an open batch alike; writers take a batch. Nothing here commits, and nothing
//! here decides who may write: that is the core's part.

pub mod admission;
pub mod blocked;
pub mod cursors;
pub mod named;
pub mod outbox;
pub mod quotas;
pub mod receipts;
pub mod retention;
pub mod snapshots;
pub mod timelines;

use crate::error::StoreError;
use crate::key::Decoder;
use crate::table::Table;

/// Decodes a whole key or value; bytes missing or left over are damage.
pub(crate) fn decode<T>(
    table: Table,
    key: &[u8],
    bytes: &[u8],
    read: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
) -> Result<T, StoreError> {
    let mut fields = Decoder::new(bytes);
    let value = read(&mut fields);
    value.filter(|_| fields.end().is_some()).ok_or_else(|| {
        StoreError::corrupt(table, key, "the row does not have the layout of its table")
    })
}
