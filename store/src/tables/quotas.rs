//! What a timeline, a device or an issuer has stored.
//!
//! A counter is read, folded in the batch and put once a key and commit: there
//! are no merge operators.

use std::ops::ControlFlow;

use khlong_crdt::id::TimelineId;

use super::decode;
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// Whose quota. The numbers stand in keys and are for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// A timeline, by its id.
    Timeline = 1,
    /// A device in a timeline, by its author key.
    Author = 2,
    /// Whoever a relay lets open timelines: everybody together, by 32 zero bytes.
    Issuer = 3,
}

/// The issuer that stands for all timelines of a store together.
const EVERYBODY: [u8; 32] = [0; 32];

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Envelopes (or timelines, for an issuer).
    pub count: u64,
}

impl Use {
    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Table::Quota, key, bytes, |fields| {
            Some(Self {
                bytes: fields.u64()?,
                count: fields.u64()?,
            })
        })
    }

    const fn plus(self, more: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(more.bytes),
            count: self.count.saturating_add(more.count),
        }
    }

    const fn minus(self, less: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(less.bytes),
            count: self.count.saturating_sub(less.count),
        }
    }
}

/// What is stored under that id; nothing if there is no row.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, scope: Scope, id: &[u8; 32]) -> Result<Use, StoreError> {
    let key = quota_key(scope, id);
    match rows.get(Table::Quota, &key)? {
        Some(bytes) => Use::decode(&key, &bytes),
        None => Ok(Use::default()),
    }
}

/// What all timelines together store. The row is derived from those of the timelines: where
/// it is missing or damaged it is summed up again, so one bad row stops nobody.
///
/// # Errors
/// From the engine.
pub fn of_everybody(rows: &dyn Rows) -> Result<Use, StoreError> {
    let key = quota_key(Scope::Issuer, &EVERYBODY);
    let kept = match rows.get(Table::Quota, &key) {
        Ok(Some(bytes)) => Use::decode(&key, &bytes),
        Ok(None) => return sum_of_timelines(rows),
        Err(error) => Err(error),
    };
    match kept {
        Err(StoreError::Corrupt { .. }) => sum_of_timelines(rows),
        kept => kept,
    }
}

/// Adds to what a timeline and all timelines together store.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the rows.
pub fn store_in(batch: &mut Batch<'_>, timeline: &TimelineId, more: Use) -> Result<(), StoreError> {
    // First: where it must be summed up, the timeline's row does not hold this yet.
    let all = of_everybody(batch)?.plus(more);
    add(batch, Scope::Timeline, timeline.as_bytes(), more)?;
    put(batch, Scope::Issuer, &EVERYBODY, all)
}

/// Takes from what a timeline and all timelines together store.
///
/// # Errors
/// As [`store_in`].
pub fn drop_from(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    less: Use,
) -> Result<(), StoreError> {
    let all = of_everybody(batch)?.minus(less);
    subtract(batch, Scope::Timeline, timeline.as_bytes(), less)?;
    put(batch, Scope::Issuer, &EVERYBODY, all)
}

fn sum_of_timelines(rows: &dyn Rows) -> Result<Use, StoreError> {
    let mut sum = Use::default();
    let of_timelines = KeyRange::prefix(&[Scope::Timeline as u8]);
    let forward = Direction::Forward;
    rows.scan_each(Table::Quota, &of_timelines, forward, &mut |key, payload| {
        // A timeline whose row is damaged stores nothing more until it is mended.
        match payload.and_then(|bytes| Use::decode(key, bytes)) {
            Ok(stored) => sum = sum.plus(stored),
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sum)
}

/// Adds to it and returns the sum.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the row.
pub fn add(
    batch: &mut Batch<'_>,
    scope: Scope,
    id: &[u8; 32],
    more: Use,
) -> Result<Use, StoreError> {
    let after = get(batch, scope, id)?.plus(more);
    put(batch, scope, id, after)?;
    Ok(after)
}

/// Takes from it (something was evicted or expired) and returns what is left.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the row.
pub fn subtract(
    batch: &mut Batch<'_>,
    scope: Scope,
    id: &[u8; 32],
    less: Use,
) -> Result<Use, StoreError> {
    let after = get(batch, scope, id)?.minus(less);
    put(batch, scope, id, after)?;
    Ok(after)
}

fn put(batch: &mut Batch<'_>, scope: Scope, id: &[u8; 32], stored: Use) -> Result<(), StoreError> {
    batch.put(
        Table::Quota,
        quota_key(scope, id),
        Encoder::new().u64(stored.bytes).u64(stored.count).finish(),
    )
}

fn quota_key(scope: Scope, id: &[u8; 32]) -> Vec<u8> {
    Encoder::new().u8(scope as u8).fixed(id).finish()
}
