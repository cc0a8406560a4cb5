//! Members whose messages a node hides from its user. The rows never leave the folder.
//!
//! A member is a principal, which is another one in each timeline: nothing that is
//! synced says that two of them are one person, so each has a row of its own.

use std::ops::ControlFlow;

use khlong_crdt::id::{PrincipalKey, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::decode;
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Where the member writes.
    pub timeline: TimelineId,
    /// Who.
    pub principal: PrincipalKey,
    /// Since when, by the clock of this node.
    pub at: UnixMillis,
}

/// Notes a member, or that it was blocked at another time.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn put(batch: &mut Batch<'_>, row: &Blocked) -> Result<(), StoreError> {
    let value = Encoder::new().i64(row.at.0).finish();
    batch.put(Table::Blocked, key(&row.timeline, &row.principal), value)
}

/// Forgets a member.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn remove(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    principal: &PrincipalKey,
) -> Result<(), StoreError> {
    batch.delete(Table::Blocked, key(timeline, principal))
}

/// Every row, by timeline and principal.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn list(rows: &dyn Rows) -> Result<Vec<Blocked>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        Table::Blocked,
        &KeyRange::prefix(&[]),
        Direction::Forward,
        &mut |key, payload| {
            let (timeline, principal) = decode(Table::Blocked, key, key, |fields| {
                let timeline = fields.fixed().map(TimelineId::from_bytes)?;
                Some((timeline, fields.fixed().map(PrincipalKey::from_bytes)?))
            })?;
            let at = decode(Table::Blocked, key, payload, |fields| {
                fields.i64().map(UnixMillis)
            })?;
            found.push(Blocked {
                timeline,
                principal,
                at,
            });
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

fn key(timeline: &TimelineId, principal: &PrincipalKey) -> Vec<u8> {
    Encoder::new()
        .fixed(timeline.as_bytes())
        .fixed(principal.as_bytes())
        .finish()
}
