//! What a timeline, a device or an issuer has stored.
//!
//! A counter is read, folded in the batch and put once a key and commit: there
//! are no merge operators.

use super::decode;
use crate::batch::Batch;
use crate::error::StoreError;
use crate::key::Encoder;
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
    /// Whoever a relay lets open timelines, by the hash of its token.
    Issuer = 3,
}

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Envelopes (or timelines, for an issuer).
    pub count: u64,
}

/// What is stored under that id; nothing if there is no row.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, scope: Scope, id: &[u8; 32]) -> Result<Use, StoreError> {
    let key = quota_key(scope, id);
    match rows.get(Table::Quota, &key)? {
        Some(bytes) => decode(Table::Quota, &key, &bytes, |fields| {
            Some(Use {
                bytes: fields.u64()?,
                count: fields.u64()?,
            })
        }),
        None => Ok(Use::default()),
    }
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
    let before = get(batch, scope, id)?;
    let after = Use {
        bytes: before.bytes.saturating_add(more.bytes),
        count: before.count.saturating_add(more.count),
    };
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
    let before = get(batch, scope, id)?;
    let after = Use {
        bytes: before.bytes.saturating_sub(less.bytes),
        count: before.count.saturating_sub(less.count),
    };
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
