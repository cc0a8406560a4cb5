//! What a node has still to send: sealed envelopes, in the order of writing,
//! until a relay has promised them.
//!
//! The envelope itself lies in table `envelope`; a row here says what happened
//! to it so far. Rows go when a receipt is stored or the user drops them, never
//! because a relay refused.

use std::ops::ControlFlow;

use khlong_crdt::id::{EnvelopeId, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::decode;
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::limits::OUTBOX_ENTRIES_MAX;
use crate::rows::Rows;
use crate::table::Table;

/// What the relays said so far. The numbers stand in rows and are for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// Nobody has refused it: it goes out at the next chance.
    Waiting,
    /// A relay refused it for good, with the wire's error code; only `retry` sends it again.
    Refused {
        /// The error code on the wire.
        code: u32,
    },
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its timeline.
    pub timeline: TimelineId,
    /// Its place in the timeline's outbox, from 1.
    pub n: u64,
    /// The envelope.
    pub id: EnvelopeId,
    /// How often it was sent.
    pub attempts: u32,
    /// Not before this time.
    pub next_attempt: UnixMillis,
    /// What the relays said.
    pub state: OutboxState,
    /// When it was written.
    pub queued_at: UnixMillis,
}

const STATE_WAITING: u8 = 0;
const STATE_REFUSED: u8 = 1;
const META_COUNT: &[u8] = b"outbox-count";

/// Puts an envelope at the end of its timeline's outbox and returns its place.
///
/// # Errors
/// [`StoreError::TableFull`] at [`OUTBOX_ENTRIES_MAX`] entries.
pub fn push(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    id: &EnvelopeId,
    queued_at: UnixMillis,
) -> Result<u64, StoreError> {
    let count = count(batch)?;
    if count >= OUTBOX_ENTRIES_MAX {
        return Err(StoreError::TableFull {
            what: "the outbox",
            max: OUTBOX_ENTRIES_MAX,
        });
    }
    let mut n = 1;
    batch.scan(
        Table::Outbox,
        &KeyRange::prefix(timeline.as_bytes()),
        Direction::Reverse,
        &mut |key, _| {
            n = decode_key(key)?.1 + 1;
            Ok(ControlFlow::Break(()))
        },
    )?;
    let entry = OutboxEntry {
        timeline: *timeline,
        n,
        id: *id,
        attempts: 0,
        next_attempt: UnixMillis(0),
        state: OutboxState::Waiting,
        queued_at,
    };
    set_count(batch, count + 1)?;
    update(batch, &entry)?;
    Ok(n)
}

/// Writes an entry back: after an attempt, a refusal, or the user's `retry`.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn update(batch: &mut Batch<'_>, entry: &OutboxEntry) -> Result<(), StoreError> {
    let (state, code) = match entry.state {
        OutboxState::Waiting => (STATE_WAITING, 0),
        OutboxState::Refused { code } => (STATE_REFUSED, code),
    };
    let row = Encoder::new()
        .fixed(entry.id.as_bytes())
        .u32(entry.attempts)
        .i64(entry.next_attempt.0);
    let row = row.u8(state).u32(code).i64(entry.queued_at.0).finish();
    batch.put(Table::Outbox, entry_key(&entry.timeline, entry.n), row)
}

/// Makes an entry waiting again, due at once. `false` if it is not there.
///
/// # Errors
/// From reading or writing the row.
pub fn retry(batch: &mut Batch<'_>, timeline: &TimelineId, n: u64) -> Result<bool, StoreError> {
    let Some(mut entry) = get(batch, timeline, n)? else {
        return Ok(false);
    };
    entry.state = OutboxState::Waiting;
    entry.next_attempt = UnixMillis(0);
    update(batch, &entry)?;
    Ok(true)
}

/// Takes an entry out: it was stored, or the user dropped it. `false` if it is not there.
///
/// # Errors
/// From reading or writing the rows.
pub fn remove(batch: &mut Batch<'_>, timeline: &TimelineId, n: u64) -> Result<bool, StoreError> {
    let key = entry_key(timeline, n);
    if batch.get(Table::Outbox, &key)?.is_none() {
        return Ok(false);
    }
    let count = count(batch)?;
    batch.delete(Table::Outbox, key)?;
    set_count(batch, count.saturating_sub(1))?;
    Ok(true)
}

/// One entry.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(
    rows: &dyn Rows,
    timeline: &TimelineId,
    n: u64,
) -> Result<Option<OutboxEntry>, StoreError> {
    let key = entry_key(timeline, n);
    rows.get(Table::Outbox, &key)?
        .map(|payload| decode_entry(&key, &payload))
        .transpose()
}

/// At most `max_entries` entries of one timeline, or of all, in order.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn list(
    rows: &dyn Rows,
    timeline: Option<&TimelineId>,
    max_entries: usize,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let mut found = Vec::new();
    let range = timeline.map_or_else(KeyRange::all, |timeline| {
        KeyRange::prefix(timeline.as_bytes())
    });
    rows.scan(
        Table::Outbox,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            if found.len() >= max_entries {
                return Ok(ControlFlow::Break(()));
            }
            found.push(decode_entry(key, payload)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// How many entries wait, over all timelines.
///
/// # Errors
/// [`StoreError::Corrupt`] if the counter is damaged.
pub fn count(rows: &dyn Rows) -> Result<u64, StoreError> {
    match rows.get(Table::Meta, META_COUNT)? {
        Some(bytes) => decode(Table::Meta, META_COUNT, &bytes, |fields| fields.u64()),
        None => Ok(0),
    }
}

fn set_count(batch: &mut Batch<'_>, count: u64) -> Result<(), StoreError> {
    batch.put(
        Table::Meta,
        META_COUNT.to_vec(),
        Encoder::new().u64(count).finish(),
    )
}

fn entry_key(timeline: &TimelineId, n: u64) -> Vec<u8> {
    Encoder::new().fixed(timeline.as_bytes()).u64(n).finish()
}

fn decode_key(key: &[u8]) -> Result<(TimelineId, u64), StoreError> {
    decode(Table::Outbox, key, key, |fields| {
        Some((TimelineId::from_bytes(fields.fixed()?), fields.u64()?))
    })
}

fn decode_entry(key: &[u8], payload: &[u8]) -> Result<OutboxEntry, StoreError> {
    let (timeline, n) = decode_key(key)?;
    decode(Table::Outbox, key, payload, |fields| {
        let id = EnvelopeId::from_bytes(fields.fixed()?);
        let attempts = fields.u32()?;
        let next_attempt = UnixMillis(fields.i64()?);
        let state = match (fields.u8()?, fields.u32()?) {
            (STATE_WAITING, 0) => OutboxState::Waiting,
            (STATE_REFUSED, code) => OutboxState::Refused { code },
            _ => return None,
        };
        Some(OutboxEntry {
            timeline,
            n,
            id,
            attempts,
            next_attempt,
            state,
            queued_at: UnixMillis(fields.i64()?),
        })
    })
}
