//! Protobuf to domain types: missing, impossible, too long and too many are refused here.

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, AuthorKey, LogId, TimelineId};
use khlong_crdt::time::UnixMillis;
use prost::bytes::Bytes;

use super::{Context, envelopes, pb};
use crate::limits::{
    AGENT_BYTES_MAX, EPHEMERAL_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, KEEP_ALIVE_MS_MAX,
    KEEP_ALIVE_MS_MIN, SUBSCRIPTIONS_PER_CONNECTION_MAX, TIMELINES_PER_SUBSCRIPTION_MAX,
    TOKEN_BYTES_MAX,
};
use crate::replica::TransferTotals;
use crate::wire::WireError;
use crate::wire::code::ErrorCode;
use crate::wire::frame::{
    BackfillDone, Behind, CaughtUp, Ephemeral, ErrorFrame, Frame, Goodbye, Hello, Ping, Pong,
    Prove, Proved, Pull, Subscribe, Subscribed, SubscriptionEnded, TimelineSubscription, Totals,
    Unsubscribe,
};

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
            Body::Push(body) => Self::Push(envelopes::push(body, context)?),
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
            Body::Append(body) => Self::Append(envelopes::append(body, context)?),
            Body::Ack(body) => Self::Ack(envelopes::ack(body)?),
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

pub(super) fn cursor(body: Option<pb::Cursor>) -> Result<(Class, Cursor), WireError> {
    let body = body.ok_or(WireError::Missing { field: "cursor" })?;
    let cursor = Cursor {
        log: LogId::from_bytes(fixed(&body.log, "log")?),
        log_epoch: body.log_epoch,
        seq: ArrivalSeq(body.seq),
        hash: fixed(&body.hash, "hash")?,
    };
    Ok((class(body.class)?, cursor))
}

fn timeline(bytes: &Bytes) -> Result<TimelineId, WireError> {
    Ok(TimelineId::from_bytes(fixed(bytes, "timeline")?))
}

pub(super) fn backfill(bytes: Option<&Bytes>) -> Result<Option<TimelineId>, WireError> {
    bytes.map(timeline).transpose()
}

fn class(number: u32) -> Result<Class, WireError> {
    let number = u8::try_from(number).map_err(|_| invalid("class"))?;
    Class::try_from(number).map_err(|_| invalid("class"))
}

pub(super) fn fixed<const N: usize>(
    bytes: &[u8],
    field: &'static str,
) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| invalid(field))
}

pub(super) fn short(bytes: &[u8], bytes_max: usize, field: &'static str) -> Result<(), WireError> {
    if bytes.len() > bytes_max {
        Err(WireError::TooLong { field })
    } else {
        Ok(())
    }
}

pub(super) fn few(
    entries: usize,
    entries_max: usize,
    field: &'static str,
) -> Result<(), WireError> {
    if entries > entries_max {
        Err(WireError::TooMany { field })
    } else {
        Ok(())
    }
}

pub(super) const fn invalid(field: &'static str) -> WireError {
    WireError::Invalid { field }
}
