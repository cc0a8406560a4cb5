//! Frames of version 2: what the connection implies is left out, and put back.

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_crdt::limits::ENVELOPE_BYTES_MAX;
use khlong_crdt::time::UnixMillis;
use prost::bytes::Bytes;

use super::{Context, pb};
use crate::limits::{APPEND_BYTES_MAX, PUSH_ENTRIES_MAX};
use crate::replica::Arrival;
use crate::wire::WireError;
use crate::wire::frame::{Append, Frame, Push};
use crate::wire::lane::Terms;
use crate::wire::shadow::{ShadowError, ShadowWriter};

impl pb::Frame {
    /// As `pb::Frame::from`, on a connection of version 2.
    pub(in crate::wire) fn shadowed(
        frame: &Frame,
        terms: &Terms,
        slots: &mut ShadowWriter,
    ) -> Self {
        use pb::frame::Body;
        let mut message = match frame {
            Frame::Push(body) => Self::of(Body::Push(write_push(body, slots))),
            Frame::Append(body) => Self::of(Body::Append(pb::Append {
                request: body.request,
                envelopes: Vec::new(),
                shadowed: body
                    .envelopes
                    .iter()
                    .map(|e| slots.pack(e).into())
                    .collect(),
            })),
            Frame::Hello(_)
            | Frame::Prove(_)
            | Frame::Proved(_)
            | Frame::Subscribe(_)
            | Frame::Subscribed(_)
            | Frame::Unsubscribe(_)
            | Frame::SubscriptionEnded(_)
            | Frame::Totals(_)
            | Frame::Pull(_)
            | Frame::CaughtUp(_)
            | Frame::BackfillDone(_)
            | Frame::Behind(_)
            | Frame::Ack(_)
            | Frame::Ephemeral(_)
            | Frame::Error(_)
            | Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Goodbye(_)
            | Frame::Unknown(_) => Self::from(frame),
        };
        for cursor in message.cursors() {
            if cursor.log == terms.log.as_bytes()[..] && cursor.log_epoch == terms.log_epoch {
                cursor.log = Bytes::new();
                cursor.log_epoch = 0;
            }
        }
        message
    }

    /// Puts the log of Hello into the cursors that name none.
    pub(in crate::wire) fn complete(&mut self, terms: &Terms) {
        for cursor in self.cursors() {
            if cursor.log.is_empty() && cursor.log_epoch == 0 {
                cursor.log = Bytes::copy_from_slice(terms.log.as_bytes());
                cursor.log_epoch = terms.log_epoch;
            }
        }
    }

    const fn of(body: pb::frame::Body) -> Self {
        Self {
            body: Some(body),
            trace_context: None,
        }
    }

    fn cursors(&mut self) -> impl Iterator<Item = &mut pb::Cursor> {
        use pb::frame::Body;
        let (one, list) = match &mut self.body {
            Some(Body::Subscribe(body)) => (None, &mut body.cursors[..]),
            Some(Body::Subscribed(body)) => (body.cursor.as_mut(), &mut [][..]),
            Some(Body::Push(body)) => (body.cursor.as_mut(), &mut [][..]),
            Some(Body::CaughtUp(body)) => (body.cursor.as_mut(), &mut [][..]),
            Some(Body::Behind(body)) => (body.cursor.as_mut(), &mut [][..]),
            Some(
                Body::Hello(_)
                | Body::Prove(_)
                | Body::Proved(_)
                | Body::Unsubscribe(_)
                | Body::SubscriptionEnded(_)
                | Body::Totals(_)
                | Body::Pull(_)
                | Body::BackfillDone(_)
                | Body::Append(_)
                | Body::Ack(_)
                | Body::Ephemeral(_)
                | Body::Error(_)
                | Body::Ping(_)
                | Body::Pong(_)
                | Body::Goodbye(_),
            )
            | None => (None, &mut [][..]),
        };
        one.into_iter().chain(list)
    }
}

fn write_push(body: &Push, slots: &mut ShadowWriter) -> pb::Push {
    let first = body.entries.first();
    let first = first.map_or(0, |entry| entry.received_at.0);
    let next = body.entries.iter().skip(1).map(|entry| entry.arrival.0);
    // A session's arrivals ascend and end at the cursor: nothing wraps.
    let next = next.chain([body.cursor.seq.0.wrapping_add(1)]);
    let entries = body.entries.iter().zip(next).enumerate();
    let entries = entries.map(|(at, (entry, next))| pb::ShadowedEntry {
        gap: next.wrapping_sub(entry.arrival.0).wrapping_sub(1),
        received_at_ms: match at {
            0 => first,
            _ => entry.received_at.0.wrapping_sub(first),
        },
        packed: slots.pack(&entry.envelope).into(),
    });
    pb::Push {
        shadowed: entries.collect(),
        ..super::outward::push_head(body)
    }
}

pub(super) fn read_append(
    body: &pb::Append,
    context: &mut Context<'_>,
) -> Result<Append, WireError> {
    let mut envelopes = Vec::with_capacity(body.shadowed.len());
    let mut bytes = 0;
    for (index, packed) in body.shadowed.iter().enumerate() {
        let envelope = unpack(index, packed, context)?;
        bytes += envelope.bytes().len();
        if bytes > APPEND_BYTES_MAX {
            return Err(WireError::TooLong { field: "shadowed" });
        }
        envelopes.push(envelope);
    }
    Ok(Append {
        request: body.request,
        envelopes,
    })
}

/// The entries of a push; order and class are the caller's to check.
pub(super) fn read_entries(
    class: Class,
    backfill: Option<TimelineId>,
    cursor: &Cursor,
    sent: &[pb::ShadowedEntry],
    context: &mut Context<'_>,
) -> Result<Vec<Arrival>, WireError> {
    if sent.len() > PUSH_ENTRIES_MAX {
        return Err(WireError::TooMany { field: "shadowed" });
    }
    let arrivals = arrivals(cursor.seq, sent)?;
    let first = sent.first().map_or(0, |entry| entry.received_at_ms);
    let mut entries = Vec::with_capacity(sent.len());
    for (index, (entry, arrival)) in sent.iter().zip(arrivals).enumerate() {
        let received_at = match index {
            0 => Some(first),
            _ => first.checked_add(entry.received_at_ms),
        };
        let received_at = received_at.ok_or(WireError::Invalid {
            field: "received_at_ms",
        })?;
        let envelope = unpack(index, &entry.packed, context)?;
        super::envelopes::check_entry(class, backfill, &envelope)?;
        entries.push(Arrival {
            arrival,
            received_at: UnixMillis(received_at),
            envelope,
        });
    }
    Ok(entries)
}

/// From the cursor back: they ascend, and end at the cursor, however they are written.
fn arrivals(cursor: ArrivalSeq, sent: &[pb::ShadowedEntry]) -> Result<Vec<ArrivalSeq>, WireError> {
    let mut before = cursor.0;
    let mut arrivals = Vec::with_capacity(sent.len());
    for entry in sent.iter().rev() {
        let arrival = before.checked_sub(entry.gap).filter(|arrival| *arrival > 0);
        let arrival = arrival.ok_or(WireError::Invalid { field: "gap" })?;
        arrivals.push(ArrivalSeq(arrival));
        before = arrival - 1;
    }
    arrivals.reverse();
    Ok(arrivals)
}

fn unpack(
    index: usize,
    packed: &[u8],
    context: &mut Context<'_>,
) -> Result<VerifiedEnvelope, WireError> {
    if packed.len() > 1 + ENVELOPE_BYTES_MAX {
        return Err(WireError::TooLong { field: "shadowed" });
    }
    let check = context.check;
    context
        .slots
        .unpack(packed, check)
        .map_err(|error| match error {
            ShadowError::Envelope(source) => WireError::Envelope { index, source },
            source @ (ShadowError::Form(_)
            | ShadowError::Flags(_)
            | ShadowError::EmptySlot(_)
            | ShadowError::SlotBeyond(_)
            | ShadowError::SlotUnproven(_)
            | ShadowError::Truncated
            | ShadowError::EndOfChain) => WireError::Shadow { index, source },
        })
}
