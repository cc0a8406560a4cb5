//! Reading timelines back.

use std::ops::ControlFlow;

use khlong_crdt::class::{Class, Cursor, RunningHash};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, EnvelopeId, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::{
    AuthorHeight, ClassHead, IndexRow, TimelineHead, arrival_key, author_seq_key, class_key,
    decode_ids, index_key, timeline_class_key,
};
use crate::engine::Direction;
use crate::error::StoreError;
use crate::identity::LogIdentity;
use crate::key::{Decoder, KeyRange, above};
use crate::rows::{EachRow, Rows};
use crate::table::Table;
use crate::tables::decode;

/// An envelope with its place in the log.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its number in the log of its class.
    pub arrival: ArrivalSeq,
    /// Receipt date of the first relay that stored it.
    pub received_at: UnixMillis,
    /// The envelope; its body may be pruned.
    pub envelope: VerifiedEnvelope,
}

/// What lies behind a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Envelopes.
    pub envelopes: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The envelope of that id.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is damaged.
pub fn get(rows: &dyn Rows, id: &EnvelopeId) -> Result<Option<Stored>, StoreError> {
    rows.get(Table::Envelope, id.as_bytes())?
        .map(|bytes| decode_stored(id, &bytes))
        .transpose()
}

/// The end of a class log.
///
/// # Errors
/// [`StoreError::Corrupt`] if its row is damaged.
pub fn head(rows: &dyn Rows, class: Class) -> Result<ClassHead, StoreError> {
    let key = class_key(class);
    match rows.get(Table::ClassHead, &key)? {
        Some(bytes) => ClassHead::decode(&key, &bytes),
        None => Ok(ClassHead::default()),
    }
}

/// The cursor after arrival `seq`, as this log has it; `None` if the log never got there.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn cursor_at(
    rows: &dyn Rows,
    identity: LogIdentity,
    class: Class,
    seq: ArrivalSeq,
) -> Result<Option<Cursor>, StoreError> {
    let cursor = |hash: RunningHash| Cursor {
        log: identity.log,
        log_epoch: identity.epoch,
        seq,
        hash: hash.short(),
    };
    if seq.0 == 0 {
        return Ok(Some(cursor(RunningHash::default())));
    }
    let key = arrival_key(class, seq);
    let Some(bytes) = rows.get(Table::Arrival, &key)? else {
        return Ok(None);
    };
    let (_, _, hash) = decode(Table::Arrival, &key, &bytes, |fields| {
        Some((
            fields.fixed::<32>()?,
            fields.fixed::<32>()?,
            fields.fixed::<32>()?,
        ))
    })?;
    Ok(Some(cursor(RunningHash(hash))))
}

/// Where an envelope belongs: its timeline and its id.
pub type Place = (TimelineId, EnvelopeId);

/// The log of a class beyond `after`, over all timelines, in order: what a
/// retention sweep walks through. At most `max_entries`; a damaged row is the
/// error in its place.
///
/// # Errors
/// From the engine.
pub fn arrivals(
    rows: &dyn Rows,
    class: Class,
    after: ArrivalSeq,
    max_entries: usize,
) -> Result<EachRow<ArrivalSeq, Place>, StoreError> {
    let mut range = KeyRange::prefix(&class_key(class));
    range.start = above(arrival_key(class, after));
    let mut found = Vec::new();
    rows.scan_each(
        Table::Arrival,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            if found.len() >= max_entries {
                return Ok(ControlFlow::Break(()));
            }
            let arrival = decode(Table::Arrival, key, key, |fields| {
                let _class = fields.u8()?;
                fields.u64().map(ArrivalSeq)
            })?;
            let place = payload.and_then(|payload| {
                decode(Table::Arrival, key, payload, |fields| {
                    let timeline = TimelineId::from_bytes(fields.fixed()?);
                    let id = EnvelopeId::from_bytes(fields.fixed()?);
                    let _running_hash = fields.fixed::<32>()?;
                    Some((timeline, id))
                })
            });
            found.push((arrival, place));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// The ids of a timeline in a class with `after` < arrival ≤ `up_to`, in order, at
/// most `max_entries`; no envelope is read. A damaged row is the error in its place.
///
/// # Errors
/// From the engine.
pub fn index(
    rows: &dyn Rows,
    timeline: &TimelineId,
    class: Class,
    after: ArrivalSeq,
    up_to: ArrivalSeq,
    max_entries: usize,
) -> Result<EachRow<ArrivalSeq, EnvelopeId>, StoreError> {
    let mut found = Vec::new();
    let mut range = KeyRange::prefix(&timeline_class_key(timeline, class));
    range.start = above(index_key(timeline, class, after));
    rows.scan_each(
        Table::TimelineArrival,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            let arrival = decode(Table::TimelineArrival, key, key, |fields| {
                let _timeline_and_class = fields.fixed::<33>()?;
                fields.u64().map(ArrivalSeq)
            })?;
            if arrival > up_to || found.len() >= max_entries {
                return Ok(ControlFlow::Break(()));
            }
            let row = payload.and_then(|payload| IndexRow::decode(key, payload));
            found.push((arrival, row.map(|row| row.id)));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// The end of what a timeline has in a class.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn timeline_head(
    rows: &dyn Rows,
    timeline: &TimelineId,
    class: Class,
) -> Result<TimelineHead, StoreError> {
    let key = timeline_class_key(timeline, class);
    match rows.get(Table::TimelineHead, &key)? {
        Some(bytes) => TimelineHead::decode(&key, &bytes),
        None => Ok(TimelineHead::default()),
    }
}

/// Entries of a timeline in a class with `after` < arrival ≤ `up_to`, in order:
/// at most `max_entries`, and no more than `max_bytes` of envelopes, except that
/// the first entry always comes, so that a reader makes progress.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged, or an index row has lost its envelope.
pub fn entries(
    rows: &dyn Rows,
    timeline: &TimelineId,
    class: Class,
    after: ArrivalSeq,
    up_to: ArrivalSeq,
    max_entries: usize,
    max_bytes: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    if max_entries == 0 || up_to <= after {
        return Ok(found);
    }
    let end = match up_to.0.checked_add(1) {
        Some(end) => index_key(timeline, class, ArrivalSeq(end)),
        None => [
            timeline_class_key(timeline, class).as_slice(),
            &[u8::MAX; 9],
        ]
        .concat(),
    };
    let range = KeyRange::between(above(index_key(timeline, class, after)), end);
    rows.scan(
        Table::TimelineArrival,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            let row = IndexRow::decode(key, payload)?;
            let stored = get(rows, &row.id)?.ok_or_else(|| {
                StoreError::corrupt(Table::TimelineArrival, key, "its envelope is missing")
            })?;
            bytes += stored.envelope.bytes().len();
            if !found.is_empty() && bytes > max_bytes {
                return Ok(ControlFlow::Break(()));
            }
            found.push(stored);
            Ok(if found.len() == max_entries {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        },
    )?;
    Ok(found)
}

/// The first arrival of a timeline in a class beyond `after`, from the index alone.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn next_arrival(
    rows: &dyn Rows,
    timeline: &TimelineId,
    class: Class,
    after: ArrivalSeq,
) -> Result<Option<ArrivalSeq>, StoreError> {
    let mut range = KeyRange::prefix(&timeline_class_key(timeline, class));
    range.start = above(index_key(timeline, class, after));
    let mut found = None;
    rows.scan(
        Table::TimelineArrival,
        &range,
        Direction::Forward,
        &mut |key, _| {
            found = Some(decode(Table::TimelineArrival, key, key, |fields| {
                let _timeline_and_class = fields.fixed::<33>()?;
                fields.u64().map(ArrivalSeq)
            })?);
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(found)
}

/// What a timeline has in a class after arrival `after`: two reads, however much it is.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn totals(
    rows: &dyn Rows,
    timeline: &TimelineId,
    class: Class,
    after: ArrivalSeq,
) -> Result<Totals, StoreError> {
    let head = timeline_head(rows, timeline, class)?;
    if head.arrival <= after {
        return Ok(Totals::default());
    }
    let range = KeyRange::between(
        index_key(timeline, class, ArrivalSeq(0)),
        above(index_key(timeline, class, after)),
    );
    let mut passed = Totals::default();
    rows.scan(
        Table::TimelineArrival,
        &range,
        Direction::Reverse,
        &mut |key, payload| {
            let row = IndexRow::decode(key, payload)?;
            passed = Totals {
                envelopes: row.envelopes,
                bytes: row.bytes,
            };
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(Totals {
        envelopes: head.envelopes.saturating_sub(passed.envelopes),
        bytes: head.bytes.saturating_sub(passed.bytes),
    })
}

/// The heights of every author of a timeline, in the order of their keys.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn heights(rows: &dyn Rows, timeline: &TimelineId) -> Result<Vec<AuthorHeight>, StoreError> {
    let mut found = Vec::new();
    let range = KeyRange::prefix(timeline.as_bytes());
    rows.scan(
        Table::AuthorHead,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            let author = decode(Table::AuthorHead, key, key, |fields| {
                let _timeline = fields.fixed::<32>()?;
                fields.fixed().map(AuthorKey::from_bytes)
            })?;
            found.push(AuthorHeight::decode(author, key, payload)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// The envelope, or the two that prove a fork, at one number of an author's chain.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn author_ids(
    rows: &dyn Rows,
    timeline: &TimelineId,
    author: &AuthorKey,
    seq: Seq,
) -> Result<Option<(EnvelopeId, Option<EnvelopeId>)>, StoreError> {
    let key = author_seq_key(timeline, author, seq);
    rows.get(Table::AuthorSeq, &key)?
        .map(|bytes| decode_ids(&key, &bytes))
        .transpose()
}

/// Every timeline that has an envelope here, in the order of their ids.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn timelines(rows: &dyn Rows) -> Result<Vec<TimelineId>, StoreError> {
    let mut found: Vec<TimelineId> = Vec::new();
    rows.scan(
        Table::TimelineHead,
        &KeyRange::all(),
        Direction::Forward,
        &mut |key, _| {
            let timeline = decode(Table::TimelineHead, key, key, |fields| {
                let timeline = fields.fixed().map(TimelineId::from_bytes);
                let _class = fields.u8()?;
                timeline
            })?;
            if found.last() != Some(&timeline) {
                found.push(timeline);
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// Arrival, receipt date and bytes of an envelope's row, without building it.
pub(super) fn decode_place<'r>(
    id: &EnvelopeId,
    row: &'r [u8],
) -> Result<(ArrivalSeq, UnixMillis, &'r [u8]), StoreError> {
    let mut fields = Decoder::new(row);
    let place = fields.u64().zip(fields.i64());
    let (arrival, received_at) = place.ok_or_else(|| {
        StoreError::corrupt(Table::Envelope, id.as_bytes(), "the row is too short")
    })?;
    Ok((ArrivalSeq(arrival), UnixMillis(received_at), fields.tail()))
}

fn decode_stored(id: &EnvelopeId, row: &[u8]) -> Result<Stored, StoreError> {
    let damaged = |reason| StoreError::corrupt(Table::Envelope, id.as_bytes(), reason);
    let (arrival, received_at, bytes) = decode_place(id, row)?;
    let envelope =
        VerifiedEnvelope::assume_verified(bytes).map_err(|_| damaged("not an envelope"))?;
    if envelope.id() != *id {
        return Err(damaged("the envelope has another id"));
    }
    Ok(Stored {
        arrival,
        received_at,
        envelope,
    })
}
