//! Domain types to protobuf. Envelope bytes are shared, not copied, until the frame is written.

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::TimelineId;
use khlong_crdt::receipt::StoredReceipt;
use prost::bytes::Bytes;

use super::pb;
use super::{OUTCOME_DUPLICATE, OUTCOME_REFUSED, OUTCOME_STORED};
use crate::replica::Arrival;
use crate::wire::frame::{
    Ack, AckReceipt, Append, AppendAnswer, AppendOutcome, ErrorFrame, Frame, Hello, Push,
    Subscribe, Subscribed, TimelineSubscription,
};

impl From<&Frame> for pb::Frame {
    fn from(frame: &Frame) -> Self {
        Self {
            body: body(frame),
            trace_context: None,
        }
    }
}

fn body(frame: &Frame) -> Option<pb::frame::Body> {
    use pb::frame::Body;
    Some(match frame {
        Frame::Hello(body) => Body::Hello(body.into()),
        Frame::Prove(body) => Body::Prove(pb::Prove {
            timeline: copy(body.timeline.as_bytes()),
            author: copy(body.author.as_bytes()),
            signature: copy(&body.signature),
        }),
        Frame::Proved(body) => Body::Proved(pb::Proved {
            timeline: copy(body.timeline.as_bytes()),
            author: copy(body.author.as_bytes()),
        }),
        Frame::Subscribe(body) => Body::Subscribe(body.into()),
        Frame::Subscribed(body) => Body::Subscribed(body.into()),
        Frame::Unsubscribe(body) => Body::Unsubscribe(pb::Unsubscribe {
            timeline: copy(body.timeline.as_bytes()),
        }),
        Frame::SubscriptionEnded(body) => Body::SubscriptionEnded(pb::SubscriptionEnded {
            timeline: copy(body.timeline.as_bytes()),
            class: class(body.class),
            code: body.code.map(|code| code.number()),
        }),
        Frame::Totals(body) => Body::Totals(pb::Totals {
            class: class(body.class),
            backfill: backfill(body.backfill),
            envelopes: body.totals.envelopes,
            bytes: body.totals.bytes,
        }),
        Frame::Push(body) => Body::Push(body.into()),
        Frame::Pull(body) => Body::Pull(pb::Pull {
            class: class(body.class),
            backfill: backfill(body.backfill),
            cursor: body.cursor.0,
        }),
        Frame::CaughtUp(body) => Body::CaughtUp(pb::CaughtUp {
            cursor: Some(cursor(body.class, &body.cursor)),
        }),
        Frame::BackfillDone(body) => Body::BackfillDone(pb::BackfillDone {
            timeline: copy(body.timeline.as_bytes()),
            class: class(body.class),
        }),
        Frame::Behind(body) => Body::Behind(pb::Behind {
            cursor: Some(cursor(body.class, &body.cursor)),
        }),
        Frame::Append(body) => Body::Append(body.into()),
        Frame::Ack(body) => Body::Ack(body.into()),
        Frame::Ephemeral(body) => Body::Ephemeral(pb::Ephemeral {
            timeline: copy(body.timeline.as_bytes()),
            payload: copy(&body.payload),
        }),
        Frame::Error(body) => Body::Error(body.into()),
        Frame::Ping(body) => Body::Ping(pb::Ping { nonce: body.nonce }),
        Frame::Pong(body) => Body::Pong(pb::Pong { nonce: body.nonce }),
        Frame::Goodbye(body) => Body::Goodbye(pb::Goodbye {
            code: body.code.map(|code| code.number()),
        }),
        // What was skipped cannot be said again: an empty frame, which a peer refuses.
        Frame::Unknown(_) => return None,
    })
}

impl From<&Hello> for pb::Hello {
    fn from(body: &Hello) -> Self {
        Self {
            version_min: u32::from(*body.versions.start()),
            version_max: u32::from(*body.versions.end()),
            agent: body.agent.clone(),
            keep_alive_ms: body.keep_alive_ms,
            log: body.log.map(|(log, _)| copy(log.as_bytes())),
            log_epoch: body.log.map_or(0, |(_, log_epoch)| log_epoch),
            token: body.token.as_ref().map(|token| copy(token.expose())),
            relay_time_ms: body.relay_time.map(|at| at.0),
        }
    }
}

impl From<&Subscribe> for pb::Subscribe {
    fn from(body: &Subscribe) -> Self {
        Self {
            request: body.request,
            cursors: body
                .cursors
                .iter()
                .map(|(class, at)| cursor(*class, at))
                .collect(),
            timelines: body.timelines.iter().map(Into::into).collect(),
            wake_up: body.wake_up.as_ref().map(|id| copy(id)),
        }
    }
}

impl From<&TimelineSubscription> for pb::SubscribedTimeline {
    fn from(body: &TimelineSubscription) -> Self {
        let position = |wanted: Class| {
            body.backfill
                .iter()
                .find(|(class, _)| *class == wanted)
                .map(|(_, after)| after.0)
        };
        Self {
            timeline: copy(body.timeline.as_bytes()),
            backfill_control: position(Class::Control),
            backfill_text: position(Class::Text),
            backfill_bulk: position(Class::Bulk),
            backfill_media: position(Class::Media),
        }
    }
}

impl From<&Subscribed> for pb::Subscribed {
    fn from(body: &Subscribed) -> Self {
        let refused =
            |(timeline, code): &(TimelineId, crate::wire::code::ErrorCode)| pb::RefusedTimeline {
                timeline: copy(timeline.as_bytes()),
                code: code.number(),
            };
        Self {
            request: body.request,
            cursor: Some(cursor(body.class, &body.cursor)),
            rewound: body.rewound,
            refused: body.refused.iter().map(refused).collect(),
        }
    }
}

impl From<&Push> for pb::Push {
    fn from(body: &Push) -> Self {
        Self {
            entries: body.entries.iter().map(Into::into).collect(),
            ..push_head(body)
        }
    }
}

/// A push without its entries.
pub(super) fn push_head(body: &Push) -> pb::Push {
    pb::Push {
        backfill: backfill(body.backfill),
        cursor: Some(cursor(body.class, &body.cursor)),
        entries: Vec::new(),
        shadowed: Vec::new(),
    }
}

impl From<&Arrival> for pb::PushEntry {
    fn from(entry: &Arrival) -> Self {
        Self {
            arrival: entry.arrival.0,
            received_at_ms: entry.received_at.0,
            envelope: share(&entry.envelope),
        }
    }
}

impl From<&Append> for pb::Append {
    fn from(body: &Append) -> Self {
        Self {
            request: body.request,
            envelopes: body.envelopes.iter().map(share).collect(),
            shadowed: Vec::new(),
        }
    }
}

impl From<&Ack> for pb::Ack {
    fn from(body: &Ack) -> Self {
        let first = pb::AppendAnswer::from(&body.first);
        let (whole, short) = match &body.receipt {
            None => (None, None),
            Some(AckReceipt::Whole(receipt)) => (Some(receipt.into()), None),
            Some(AckReceipt::Short {
                received_at,
                signature,
            }) => {
                let short = pb::ShortReceipt {
                    received_at_ms: received_at.0,
                    signature: copy(signature),
                };
                (None, Some(short))
            }
        };
        Self {
            request: first.request,
            outcomes: first.outcomes,
            receipt: whole,
            short_receipt: short,
            further: body.further.iter().map(Into::into).collect(),
        }
    }
}

impl From<&AppendAnswer> for pb::AppendAnswer {
    fn from(answer: &AppendAnswer) -> Self {
        Self {
            request: answer.request,
            outcomes: answer.outcomes.iter().map(Into::into).collect(),
        }
    }
}

impl From<&AppendOutcome> for pb::AppendOutcome {
    fn from(outcome: &AppendOutcome) -> Self {
        match *outcome {
            AppendOutcome::Stored { arrival } => Self {
                outcome: OUTCOME_STORED,
                arrival: arrival.0,
                code: 0,
                retry_after_ms: None,
            },
            AppendOutcome::Duplicate { arrival } => Self {
                outcome: OUTCOME_DUPLICATE,
                arrival: arrival.0,
                code: 0,
                retry_after_ms: None,
            },
            AppendOutcome::Refused {
                code,
                retry_after_ms,
            } => Self {
                outcome: OUTCOME_REFUSED,
                arrival: 0,
                code: code.number(),
                retry_after_ms,
            },
        }
    }
}

impl From<&StoredReceipt> for pb::StoredReceipt {
    fn from(receipt: &StoredReceipt) -> Self {
        Self {
            relay: copy(receipt.relay.as_bytes()),
            log: copy(receipt.log.as_bytes()),
            log_epoch: receipt.log_epoch,
            received_at_ms: receipt.received_at.0,
            count: receipt.count,
            root: copy(&receipt.root),
            signature: copy(&receipt.signature),
        }
    }
}

impl From<&ErrorFrame> for pb::Error {
    fn from(body: &ErrorFrame) -> Self {
        Self {
            code: body.code.number(),
            request: body.request,
            message: body.message.clone(),
            retry_after_ms: body.retry_after_ms,
        }
    }
}

fn cursor(of: Class, cursor: &Cursor) -> pb::Cursor {
    pb::Cursor {
        class: class(of),
        log: copy(cursor.log.as_bytes()),
        log_epoch: cursor.log_epoch,
        seq: cursor.seq.0,
        hash: copy(&cursor.hash),
    }
}

fn class(class: Class) -> u32 {
    u32::from(class as u8)
}

fn backfill(timeline: Option<TimelineId>) -> Option<Bytes> {
    timeline.map(|timeline| copy(timeline.as_bytes()))
}

fn share(envelope: &VerifiedEnvelope) -> Bytes {
    Bytes::from_owner(envelope.arc_bytes())
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
