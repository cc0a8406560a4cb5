//! What a node has still to send: sealed envelopes, in the order of writing,
//! until a relay has promised them.
//!
//! The envelope itself lies in table `envelope`; a row here says what happened
//! to it so far. Rows go when a receipt is stored or the user drops them, never
//! because a relay refused. The node holds the table in memory; these functions
//! write each change of it through.

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
    /// Every relay that carries its timeline refused it for good; it goes out
    /// again only when its user says so.
    Refused {
        /// The error code on the wire, of the relay that spoke last.
        code: u32,
    },
    /// A relay refused it, but the reason may pass or another relay may take
    /// it: it goes out again by itself.
    PutOff {
        /// The error code on the wire, of the relay that spoke last.
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
    /// How often a relay answered an attempt with a refusal.
    pub attempts: u32,
    /// When the relay that put it off is asked again; 0 = at the next chance.
    pub next_attempt: UnixMillis,
    /// What the relays said.
    pub state: OutboxState,
    /// When it was written.
    pub queued_at: UnixMillis,
}

const STATE_WAITING: u8 = 0;
const STATE_REFUSED: u8 = 1;
const STATE_PUT_OFF: u8 = 2;
const META_COUNT: &[u8] = b"outbox-count";

/// Puts an envelope at the end of its timeline's outbox and returns its entry.
///
/// # Errors
/// [`StoreError::TableFull`] at [`OUTBOX_ENTRIES_MAX`] entries.
pub fn push(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    id: &EnvelopeId,
    queued_at: UnixMillis,
) -> Result<OutboxEntry, StoreError> {
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
            let reason = "its number is as high as there is";
            n = decode_key(key)?
                .1
                .checked_add(1)
                .ok_or_else(|| StoreError::corrupt(Table::Outbox, key, reason))?;
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
    Ok(entry)
}

/// Writes an entry back: after a refusal, or when its user wants it sent again.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn update(batch: &mut Batch<'_>, entry: &OutboxEntry) -> Result<(), StoreError> {
    let (state, code) = match entry.state {
        OutboxState::Waiting => (STATE_WAITING, 0),
        OutboxState::Refused { code } => (STATE_REFUSED, code),
        OutboxState::PutOff { code } => (STATE_PUT_OFF, code),
    };
    let row = Encoder::new()
        .fixed(entry.id.as_bytes())
        .u32(entry.attempts)
        .i64(entry.next_attempt.0);
    let row = row.u8(state).u32(code).i64(entry.queued_at.0).finish();
    batch.put(Table::Outbox, entry_key(&entry.timeline, entry.n), row)
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

/// Every entry, by timeline and place; at most [`OUTBOX_ENTRIES_MAX`] exist.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn list(rows: &dyn Rows) -> Result<Vec<OutboxEntry>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        Table::Outbox,
        &KeyRange::all(),
        Direction::Forward,
        &mut |key, payload| {
            found.push(decode_entry(key, payload)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

fn count(rows: &dyn Rows) -> Result<u64, StoreError> {
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
            (STATE_PUT_OFF, code) => OutboxState::PutOff { code },
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
