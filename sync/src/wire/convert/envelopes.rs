//! Frames that carry envelopes, and their answer: verified, counted, in order.

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, LogId, RelayKey, TimelineId};
use khlong_crdt::limits::ENVELOPE_BYTES_MAX;
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use prost::bytes::Bytes;

use super::inward::{backfill, cursor, few, fixed, invalid, short};
use super::{Context, OUTCOME_DUPLICATE, OUTCOME_REFUSED, OUTCOME_STORED, pb, shadowed};
use crate::limits::{
    APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX, APPENDS_IN_FLIGHT_MAX, PUSH_ENTRIES_MAX,
};
use crate::replica::Arrival;
use crate::wire::code::ErrorCode;
use crate::wire::frame::{Ack, AckReceipt, Append, AppendAnswer, AppendOutcome, Push};
use crate::wire::{EnvelopeCheck, WireError};

pub(super) fn push(body: pb::Push, context: &mut Context<'_>) -> Result<Push, WireError> {
    let (class, cursor) = cursor(body.cursor)?;
    let backfill = backfill(body.backfill.as_ref())?;
    let entries = if body.shadowed.is_empty() {
        entries(class, backfill, &body.entries, context.check)?
    } else {
        only_shadowed(context, body.entries.is_empty())?;
        shadowed::read_entries(class, backfill, &cursor, &body.shadowed, context)?
    };
    match entries.last() {
        None => Err(WireError::Missing { field: "entries" }),
        Some(last) if last.arrival > cursor.seq => Err(invalid("cursor")),
        Some(_) => Ok(Push {
            class,
            backfill,
            entries,
            cursor,
        }),
    }
}

fn entries(
    class: Class,
    backfill: Option<TimelineId>,
    sent: &[pb::PushEntry],
    check: &EnvelopeCheck,
) -> Result<Vec<Arrival>, WireError> {
    few(sent.len(), PUSH_ENTRIES_MAX, "entries")?;
    let mut entries: Vec<Arrival> = Vec::with_capacity(sent.len());
    for (index, sent) in sent.iter().enumerate() {
        let entry = Arrival {
            arrival: ArrivalSeq(sent.arrival),
            received_at: UnixMillis(sent.received_at_ms),
            envelope: envelope(index, &sent.envelope, check)?,
        };
        let before = entries.last().map_or(ArrivalSeq(0), |entry| entry.arrival);
        if entry.arrival <= before {
            return Err(invalid("arrival"));
        }
        check_entry(class, backfill, &entry.envelope)?;
        entries.push(entry);
    }
    Ok(entries)
}

/// An entry is of the stream, and of the backfill, in which it came.
pub(super) fn check_entry(
    class: Class,
    backfill: Option<TimelineId>,
    envelope: &VerifiedEnvelope,
) -> Result<(), WireError> {
    if envelope.class() != class {
        return Err(invalid("class"));
    }
    if backfill.is_some_and(|timeline| envelope.timeline() != timeline) {
        return Err(invalid("backfill"));
    }
    Ok(())
}

/// A field of version 2 has its place on a connection of version 2, instead of the old one.
fn only_shadowed(context: &Context<'_>, is_alone: bool) -> Result<(), WireError> {
    match context.terms {
        Some(_) if is_alone => Ok(()),
        Some(_) | None => Err(invalid("shadowed")),
    }
}

pub(super) fn append(body: pb::Append, context: &mut Context<'_>) -> Result<Append, WireError> {
    if !body.shadowed.is_empty() {
        only_shadowed(context, body.envelopes.is_empty())?;
        few(body.shadowed.len(), APPEND_ENVELOPES_MAX, "shadowed")?;
        return shadowed::read_append(&body, context);
    }
    few(body.envelopes.len(), APPEND_ENVELOPES_MAX, "envelopes")?;
    if body.envelopes.is_empty() {
        return Err(WireError::Missing { field: "envelopes" });
    }
    if body.envelopes.iter().map(Bytes::len).sum::<usize>() > APPEND_BYTES_MAX {
        return Err(WireError::TooLong { field: "envelopes" });
    }
    let envelopes = body.envelopes.iter().enumerate();
    let envelopes = envelopes.map(|(index, bytes)| envelope(index, bytes, context.check));
    Ok(Append {
        request: body.request,
        envelopes: envelopes.collect::<Result<_, _>>()?,
    })
}

pub(super) fn ack(body: pb::Ack) -> Result<Ack, WireError> {
    few(body.further.len(), APPENDS_IN_FLIGHT_MAX - 1, "further")?;
    let further = body.further.iter();
    let receipt = match (body.receipt, body.short_receipt) {
        (receipt, None) => receipt.map(receipt_whole).transpose()?,
        (None, Some(short)) => Some(AckReceipt::Short {
            received_at: UnixMillis(short.received_at_ms),
            signature: fixed(&short.signature, "signature")?,
        }),
        (Some(_), Some(_)) => return Err(invalid("short_receipt")),
    };
    Ok(Ack {
        first: answer(body.request, &body.outcomes)?,
        further: further
            .map(|body| answer(body.request, &body.outcomes))
            .collect::<Result<_, _>>()?,
        receipt,
    })
}

impl TryFrom<&pb::AppendOutcome> for AppendOutcome {
    type Error = WireError;

    fn try_from(body: &pb::AppendOutcome) -> Result<Self, WireError> {
        let arrival = ArrivalSeq(body.arrival);
        match body.outcome {
            OUTCOME_STORED if arrival.0 > 0 => Ok(Self::Stored { arrival }),
            OUTCOME_DUPLICATE if arrival.0 > 0 => Ok(Self::Duplicate { arrival }),
            OUTCOME_REFUSED => Ok(Self::Refused {
                code: ErrorCode::from_number(body.code),
                retry_after_ms: body.retry_after_ms,
            }),
            _ => Err(invalid("outcome")),
        }
    }
}

fn answer(request: u64, outcomes: &[pb::AppendOutcome]) -> Result<AppendAnswer, WireError> {
    few(outcomes.len(), APPEND_ENVELOPES_MAX, "outcomes")?;
    let outcomes = outcomes.iter().map(AppendOutcome::try_from);
    Ok(AppendAnswer {
        request,
        outcomes: outcomes.collect::<Result<_, _>>()?,
    })
}

fn receipt_whole(body: pb::StoredReceipt) -> Result<AckReceipt, WireError> {
    Ok(AckReceipt::Whole(StoredReceipt {
        relay: RelayKey::from_bytes(fixed(&body.relay, "relay")?),
        log: LogId::from_bytes(fixed(&body.log, "log")?),
        log_epoch: body.log_epoch,
        received_at: UnixMillis(body.received_at_ms),
        root: fixed(&body.root, "root")?,
        count: body.count,
        signature: fixed(&body.signature, "signature")?,
    }))
}

fn envelope(
    index: usize,
    bytes: &Bytes,
    check: &EnvelopeCheck,
) -> Result<VerifiedEnvelope, WireError> {
    short(bytes, ENVELOPE_BYTES_MAX, "envelope")?;
    check(bytes).map_err(|source| WireError::Envelope { index, source })
}
