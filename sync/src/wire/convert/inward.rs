//! Protobuf to domain types: missing, impossible, too long and too many are refused here.

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, LogId, RelayKey, TimelineId};
use khlong_crdt::limits::ENVELOPE_BYTES_MAX;
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use prost::bytes::Bytes;

use super::{Context, pb, shadowed};
use super::{OUTCOME_DUPLICATE, OUTCOME_REFUSED, OUTCOME_STORED};
use crate::limits::{
    AGENT_BYTES_MAX, APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX, APPENDS_IN_FLIGHT_MAX,
    EPHEMERAL_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, KEEP_ALIVE_MS_MAX, KEEP_ALIVE_MS_MIN,
    PUSH_ENTRIES_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX, TIMELINES_PER_SUBSCRIPTION_MAX,
    TOKEN_BYTES_MAX,
};
use crate::replica::{Arrival, TransferTotals};
use crate::wire::code::ErrorCode;
use crate::wire::frame::{
    Ack, AckReceipt, Append, AppendAnswer, AppendOutcome, BackfillDone, Behind, CaughtUp,
    Ephemeral, ErrorFrame, Frame, Goodbye, Hello, Ping, Pong, Prove, Proved, Pull, Push, Subscribe,
    Subscribed, SubscriptionEnded, TimelineSubscription, Totals, Unsubscribe,
};
use crate::wire::{EnvelopeCheck, WireError};

impl Frame {
    pub(in crate::wire) fn from_wire(
        mut frame: pb::Frame,
        context: &mut Context<'_>,
    ) -> Result<Self, WireError> {
        use pb::frame::Body;
        if let Some(terms) = &context.terms {
            frame.complete(terms);
        }
        Ok(match frame.body.ok_or(WireError::NoBody)? {
            Body::Hello(body) => Self::Hello(body.try_into()?),
            Body::Prove(body) => Self::Prove(body.try_into()?),
            Body::Proved(body) => Self::Proved(body.try_into()?),
            Body::Subscribe(body) => Self::Subscribe(body.try_into()?),
            Body::Subscribed(body) => Self::Subscribed(body.try_into()?),
            Body::Unsubscribe(body) => Self::Unsubscribe(Unsubscribe {
                timeline: timeline(&body.timeline)?,
            }),
            Body::SubscriptionEnded(body) => Self::SubscriptionEnded(body.try_into()?),
            Body::Totals(body) => Self::Totals(body.try_into()?),
            Body::Push(body) => Self::Push(push(body, context)?),
            Body::Pull(body) => Self::Pull(body.try_into()?),
            Body::CaughtUp(body) => {
                let (class, cursor) = cursor(body.cursor)?;
                Self::CaughtUp(CaughtUp { class, cursor })
            }
            Body::BackfillDone(body) => Self::BackfillDone(BackfillDone {
                timeline: timeline(&body.timeline)?,
                class: class(body.class)?,
            }),
            Body::Behind(body) => {
                let (class, cursor) = cursor(body.cursor)?;
                Self::Behind(Behind { class, cursor })
            }
            Body::Append(body) => Self::Append(append(body, context)?),
            Body::Ack(body) => Self::Ack(ack(body, context)?),
            Body::Ephemeral(body) => Self::Ephemeral(body.try_into()?),
            Body::Error(body) => Self::Error(body.try_into()?),
            Body::Ping(body) => Self::Ping(Ping { nonce: body.nonce }),
            Body::Pong(body) => Self::Pong(Pong { nonce: body.nonce }),
            Body::Goodbye(body) => Self::Goodbye(Goodbye {
                code: body.code.map(ErrorCode::from_number),
            }),
        })
    }
}

impl TryFrom<pb::Hello> for Hello {
    type Error = WireError;

    fn try_from(body: pb::Hello) -> Result<Self, WireError> {
        let version = |value: u32, field| u16::try_from(value).map_err(|_| invalid(field));
        let versions =
            version(body.version_min, "version_min")?..=version(body.version_max, "version_max")?;
        if versions.is_empty() || *versions.start() == 0 {
            return Err(invalid("version_min"));
        }
        short(body.agent.as_bytes(), AGENT_BYTES_MAX, "agent")?;
        if body.agent.chars().any(char::is_control) {
            return Err(invalid("agent"));
        }
        if !(KEEP_ALIVE_MS_MIN..=KEEP_ALIVE_MS_MAX).contains(&body.keep_alive_ms) {
            return Err(invalid("keep_alive_ms"));
        }
        if let Some(token) = &body.token {
            short(token, TOKEN_BYTES_MAX, "token")?;
        }
        let log = match body.log {
            Some(log) => Some((LogId::from_bytes(fixed(&log, "log")?), body.log_epoch)),
            None => None,
        };
        Ok(Self {
            versions,
            agent: body.agent,
            keep_alive_ms: body.keep_alive_ms,
            log,
            token: body.token.map(|token| Vec::from(token).into()),
            relay_time: body.relay_time_ms.map(UnixMillis),
        })
    }
}

impl TryFrom<pb::Prove> for Prove {
    type Error = WireError;

    fn try_from(body: pb::Prove) -> Result<Self, WireError> {
        Ok(Self {
            timeline: timeline(&body.timeline)?,
            author: AuthorKey::from_bytes(fixed(&body.author, "author")?),
            signature: fixed(&body.signature, "signature")?,
        })
    }
}

impl TryFrom<pb::Proved> for Proved {
    type Error = WireError;

    fn try_from(body: pb::Proved) -> Result<Self, WireError> {
        Ok(Self {
            timeline: timeline(&body.timeline)?,
            author: AuthorKey::from_bytes(fixed(&body.author, "author")?),
        })
    }
}

impl TryFrom<pb::Subscribe> for Subscribe {
    type Error = WireError;

    fn try_from(body: pb::Subscribe) -> Result<Self, WireError> {
        few(body.cursors.len(), Class::ALL.len(), "cursors")?;
        few(
            body.timelines.len(),
            TIMELINES_PER_SUBSCRIPTION_MAX,
            "timelines",
        )?;
        if body.timelines.is_empty() {
            return Err(WireError::Missing { field: "timelines" });
        }
        let mut cursors: Vec<(Class, Cursor)> = Vec::with_capacity(body.cursors.len());
        for sent in body.cursors {
            let next = cursor(Some(sent))?;
            if cursors.iter().any(|(class, _)| *class == next.0) {
                return Err(invalid("cursors"));
            }
            cursors.push(next);
        }
        let timelines = body.timelines.iter().map(TimelineSubscription::try_from);
        let wake_up = body.wake_up.map(|id| fixed(&id, "wake_up")).transpose()?;
        Ok(Self {
            request: body.request,
            cursors,
            timelines: timelines.collect::<Result<_, _>>()?,
            wake_up,
        })
    }
}

impl TryFrom<&pb::SubscribedTimeline> for TimelineSubscription {
    type Error = WireError;

    fn try_from(body: &pb::SubscribedTimeline) -> Result<Self, WireError> {
        let positions = [
            (Class::Control, body.backfill_control),
            (Class::Text, body.backfill_text),
            (Class::Bulk, body.backfill_bulk),
            (Class::Media, body.backfill_media),
        ];
        let present = positions.into_iter();
        Ok(Self {
            timeline: timeline(&body.timeline)?,
            backfill: present
                .filter_map(|(class, after)| Some((class, ArrivalSeq(after?))))
                .collect(),
        })
    }
}

impl TryFrom<pb::Subscribed> for Subscribed {
    type Error = WireError;

    fn try_from(body: pb::Subscribed) -> Result<Self, WireError> {
        few(
            body.refused.len(),
            SUBSCRIPTIONS_PER_CONNECTION_MAX,
            "refused",
        )?;
        let (class, cursor) = cursor(body.cursor)?;
        let refused = body.refused.iter().map(|refused| {
            Ok((
                timeline(&refused.timeline)?,
                ErrorCode::from_number(refused.code),
            ))
        });
        Ok(Self {
            request: body.request,
            class,
            cursor,
            rewound: body.rewound,
            refused: refused.collect::<Result<_, WireError>>()?,
        })
    }
}

impl TryFrom<pb::SubscriptionEnded> for SubscriptionEnded {
    type Error = WireError;

    fn try_from(body: pb::SubscriptionEnded) -> Result<Self, WireError> {
        Ok(Self {
            timeline: timeline(&body.timeline)?,
            class: class(body.class)?,
            code: body.code.map(ErrorCode::from_number),
        })
    }
}

impl TryFrom<pb::Totals> for Totals {
    type Error = WireError;

    fn try_from(body: pb::Totals) -> Result<Self, WireError> {
        Ok(Self {
            class: class(body.class)?,
            backfill: backfill(body.backfill.as_ref())?,
            totals: TransferTotals {
                envelopes: body.envelopes,
                bytes: body.bytes,
            },
        })
    }
}

fn push(body: pb::Push, context: &mut Context<'_>) -> Result<Push, WireError> {
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

impl TryFrom<pb::Pull> for Pull {
    type Error = WireError;

    fn try_from(body: pb::Pull) -> Result<Self, WireError> {
        Ok(Self {
            class: class(body.class)?,
            backfill: backfill(body.backfill.as_ref())?,
            cursor: ArrivalSeq(body.cursor),
        })
    }
}

fn append(body: pb::Append, context: &mut Context<'_>) -> Result<Append, WireError> {
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

fn ack(body: pb::Ack, context: &Context<'_>) -> Result<Ack, WireError> {
    few(body.further.len(), APPENDS_IN_FLIGHT_MAX - 1, "further")?;
    let further = body.further.iter();
    let receipt = match (body.receipt, body.short_receipt) {
        (receipt, None) => receipt.map(receipt_whole).transpose()?,
        (whole, Some(short)) => {
            only_shadowed(context, whole.is_none())?;
            Some(AckReceipt::Short {
                received_at: UnixMillis(short.received_at_ms),
                signature: fixed(&short.signature, "signature")?,
            })
        }
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

impl TryFrom<pb::Ephemeral> for Ephemeral {
    type Error = WireError;

    fn try_from(body: pb::Ephemeral) -> Result<Self, WireError> {
        short(&body.payload, EPHEMERAL_BYTES_MAX, "payload")?;
        Ok(Self {
            timeline: timeline(&body.timeline)?,
            payload: body.payload.into(),
        })
    }
}

impl TryFrom<pb::Error> for ErrorFrame {
    type Error = WireError;

    fn try_from(body: pb::Error) -> Result<Self, WireError> {
        short(body.message.as_bytes(), ERROR_MESSAGE_BYTES_MAX, "message")?;
        Ok(Self {
            code: ErrorCode::from_number(body.code),
            request: body.request,
            message: body.message,
            retry_after_ms: body.retry_after_ms,
        })
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

fn cursor(body: Option<pb::Cursor>) -> Result<(Class, Cursor), WireError> {
    let body = body.ok_or(WireError::Missing { field: "cursor" })?;
    let cursor = Cursor {
        log: LogId::from_bytes(fixed(&body.log, "log")?),
        log_epoch: body.log_epoch,
        seq: ArrivalSeq(body.seq),
        hash: fixed(&body.hash, "hash")?,
    };
    Ok((class(body.class)?, cursor))
}

fn envelope(
    index: usize,
    bytes: &Bytes,
    check: &EnvelopeCheck,
) -> Result<VerifiedEnvelope, WireError> {
    short(bytes, ENVELOPE_BYTES_MAX, "envelope")?;
    check(bytes).map_err(|source| WireError::Envelope { index, source })
}

fn timeline(bytes: &Bytes) -> Result<TimelineId, WireError> {
    Ok(TimelineId::from_bytes(fixed(bytes, "timeline")?))
}

fn backfill(bytes: Option<&Bytes>) -> Result<Option<TimelineId>, WireError> {
    bytes.map(timeline).transpose()
}

fn class(number: u32) -> Result<Class, WireError> {
    let number = u8::try_from(number).map_err(|_| invalid("class"))?;
    Class::try_from(number).map_err(|_| invalid("class"))
}

fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| invalid(field))
}

fn short(bytes: &[u8], bytes_max: usize, field: &'static str) -> Result<(), WireError> {
    if bytes.len() > bytes_max {
        Err(WireError::TooLong { field })
    } else {
        Ok(())
    }
}

fn few(entries: usize, entries_max: usize, field: &'static str) -> Result<(), WireError> {
    if entries > entries_max {
        Err(WireError::TooMany { field })
    } else {
        Ok(())
    }
}

const fn invalid(field: &'static str) -> WireError {
    WireError::Invalid { field }
}
