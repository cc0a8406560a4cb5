//! How far a node has read each relay: class cursors, and the backfill of
//! timelines that are not merged into the class streams yet.

use std::ops::ControlFlow;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, LogId, RelayKey, TimelineId};

use super::decode;
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// The cursor into one class of one relay; `None` = never read.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, relay: &RelayKey, class: Class) -> Result<Option<Cursor>, StoreError> {
    let key = cursor_key(relay, class);
    let Some(bytes) = rows.get(Table::Cursor, &key)? else {
        return Ok(None);
    };
    let cursor = decode(Table::Cursor, &key, &bytes, |fields| {
        Some(Cursor {
            log: LogId::from_bytes(fields.fixed()?),
            log_epoch: fields.u32()?,
            seq: ArrivalSeq(fields.u64()?),
            hash: fields.fixed()?,
        })
    })?;
    Ok(Some(cursor))
}

/// Sets a cursor: in the same batch as what it passes.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn put(
    batch: &mut Batch<'_>,
    relay: &RelayKey,
    class: Class,
    cursor: &Cursor,
) -> Result<(), StoreError> {
    let row = Encoder::new()
        .fixed(cursor.log.as_bytes())
        .u32(cursor.log_epoch)
        .u64(cursor.seq.0);
    batch.put(
        Table::Cursor,
        cursor_key(relay, class),
        row.fixed(&cursor.hash).finish(),
    )
}

/// Forgets a cursor: the relay has another log now.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn remove(batch: &mut Batch<'_>, relay: &RelayKey, class: Class) -> Result<(), StoreError> {
    batch.delete(Table::Cursor, cursor_key(relay, class))
}

/// Notes that `timeline` is not merged into the class stream of `relay` yet, and
/// that it has been read up to `arrival`.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn put_backfill(
    batch: &mut Batch<'_>,
    relay: &RelayKey,
    timeline: &TimelineId,
    class: Class,
    arrival: ArrivalSeq,
) -> Result<(), StoreError> {
    batch.put(
        Table::Backfill,
        backfill_key(relay, timeline, class),
        Encoder::new().u64(arrival.0).finish(),
    )
}

/// The timeline has met the class cursor: from now on the class stream carries it.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn remove_backfill(
    batch: &mut Batch<'_>,
    relay: &RelayKey,
    timeline: &TimelineId,
    class: Class,
) -> Result<(), StoreError> {
    batch.delete(Table::Backfill, backfill_key(relay, timeline, class))
}

/// Every backfill of `relay` that is not merged yet.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn backfills(
    rows: &dyn Rows,
    relay: &RelayKey,
) -> Result<Vec<(TimelineId, Class, ArrivalSeq)>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        Table::Backfill,
        &KeyRange::prefix(relay.as_bytes()),
        Direction::Forward,
        &mut |key, payload| {
            let (timeline, class) = decode(Table::Backfill, key, key, |fields| {
                let _relay = fields.fixed::<32>()?;
                Some((
                    TimelineId::from_bytes(fields.fixed()?),
                    Class::try_from(fields.u8()?).ok()?,
                ))
            })?;
            let arrival = decode(Table::Backfill, key, payload, |fields| {
                fields.u64().map(ArrivalSeq)
            })?;
            found.push((timeline, class, arrival));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

fn cursor_key(relay: &RelayKey, class: Class) -> Vec<u8> {
    Encoder::new()
        .fixed(relay.as_bytes())
        .u8(class as u8)
        .finish()
}

fn backfill_key(relay: &RelayKey, timeline: &TimelineId, class: Class) -> Vec<u8> {
    Encoder::new()
        .fixed(relay.as_bytes())
        .fixed(timeline.as_bytes())
        .u8(class as u8)
        .finish()
}
