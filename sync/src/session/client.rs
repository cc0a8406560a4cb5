//! The side that appends and subscribes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, EnvelopeId, LogId, RelayKey, TimelineId};
use khlong_crdt::time::{Monotonic, Now};

use super::error::SessionError;
use super::input::Input;
use super::landing::Landing;
use super::output::{Event, Outbox};
use super::per_class::PerClass;
use super::printable;
use super::rate::Bucket;
use super::receipt::{self, Proven};
use crate::limits::{
    APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX, APPENDS_IN_FLIGHT_MAX, APPENDS_PARKED_MAX,
    EPHEMERAL_BYTES_MAX, EPHEMERAL_FRAMES_BURST, EPHEMERAL_FRAMES_PER_SECOND,
    PROOFS_PER_CONNECTION_MAX, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_SHADOWS,
    RETRY_AFTER_MS_DEFAULT, TIMELINES_PER_SUBSCRIPTION_MAX,
};
use crate::secret::Secret;
use crate::wire::code::ErrorCode;
use crate::wire::frame::{
    Ack, AckReceipt, Append, AppendAnswer, Ephemeral, ErrorFrame, Frame, Prove, Proved, Pull,
    Subscribe, Subscribed, TimelineSubscription, Unsubscribe,
};

#[derive(Debug)]
pub(super) struct Client {
    relay: RelayKey,
    token: Option<Secret>,
    log: Option<(LogId, u32)>,
    version: u16,
    /// True once the relay confirmed.
    proofs: BTreeMap<TimelineId, BTreeMap<AuthorKey, bool>>,
    proofs_sent: usize,
    /// By request, what waits for its ack.
    in_flight: BTreeMap<u64, Vec<EnvelopeId>>,
    /// What waits for a proof or a place in flight, in order.
    parked: VecDeque<Append>,
    asked: BTreeMap<u64, Asked>,
    landings: PerClass<Landing>,
    ephemeral: Bucket,
    ephemeral_dropped: u64,
}

/// A subscribe that was not answered in every class yet.
#[derive(Debug)]
struct Asked {
    timelines: Vec<TimelineSubscription>,
    cursors: Vec<(Class, Cursor)>,
    classes: BTreeSet<Class>,
}

impl Client {
    pub(super) fn new(relay: RelayKey, token: Option<Secret>, now: Monotonic) -> Self {
        Self {
            relay,
            token,
            log: None,
            version: PROTOCOL_VERSION_MIN,
            proofs: BTreeMap::new(),
            proofs_sent: 0,
            in_flight: BTreeMap::new(),
            parked: VecDeque::new(),
            asked: BTreeMap::new(),
            landings: PerClass::new(Landing::new),
            ephemeral: Bucket::full(EPHEMERAL_FRAMES_BURST, EPHEMERAL_FRAMES_PER_SECOND, now),
            ephemeral_dropped: 0,
        }
    }

    pub(super) const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    pub(super) const fn greeted(&mut self, version: u16, log: (LogId, u32)) {
        self.version = version;
        self.log = Some(log);
    }

    pub(super) fn is_proven(&self, timeline: &TimelineId) -> bool {
        self.proofs
            .get(timeline)
            .is_some_and(|authors| authors.values().any(|proved| *proved))
    }

    pub(super) fn proven_authors(&self, timeline: &TimelineId) -> Vec<AuthorKey> {
        let authors = self.proofs.get(timeline).into_iter().flatten();
        authors
            .filter(|(_, proved)| **proved)
            .map(|(author, _)| *author)
            .collect()
    }

    pub(super) const fn ephemeral_dropped(&self) -> u64 {
        self.ephemeral_dropped
    }

    pub(super) fn command(
        &mut self,
        now: Now,
        command: Input,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        match command {
            Input::Prove {
                timeline,
                author,
                signature,
            } => self.prove(
                Prove {
                    timeline,
                    author,
                    signature,
                },
                outbox,
            ),
            Input::Subscribe {
                request,
                cursors,
                timelines,
                wake_up,
            } => self.subscribe(
                Subscribe {
                    request,
                    cursors,
                    timelines,
                    wake_up,
                },
                outbox,
            ),
            Input::Unsubscribe { timeline } => {
                outbox.send(Frame::Unsubscribe(Unsubscribe { timeline }));
                Ok(())
            }
            Input::Append { request, envelopes } => {
                self.append(Append { request, envelopes }, outbox)
            }
            Input::Pulled {
                class,
                backfill,
                cursor,
            } => {
                if self.landings.get_mut(class).pulled(backfill, cursor) {
                    outbox.send(Frame::Pull(Pull {
                        class,
                        backfill,
                        cursor,
                    }));
                }
                Ok(())
            }
            Input::Ephemeral { timeline, payload } => {
                if payload.len() <= EPHEMERAL_BYTES_MAX
                    && self.is_proven(&timeline)
                    && self.ephemeral.take(now.monotonic)
                {
                    outbox.send(Frame::Ephemeral(Ephemeral { timeline, payload }));
                } else {
                    self.ephemeral_dropped += 1;
                }
                Ok(())
            }
            Input::Advanced(_)
            | Input::Acknowledge { .. }
            | Input::Refuse { .. }
            | Input::RelayEphemeral { .. }
            | Input::Connected { .. }
            | Input::Frame(_)
            | Input::Proof(_)
            | Input::Undecodable(_)
            | Input::Disconnected
            | Input::Timeout
            | Input::Probe
            | Input::Close { .. } => Err(SessionError::Misuse {
                what: "a server's command",
            }),
        }
    }

    pub(super) fn frame(&mut self, frame: Frame, outbox: &mut Outbox) -> Result<(), SessionError> {
        match frame {
            Frame::Proved(body) => self.proved(body, outbox),
            Frame::Subscribed(body) => self.subscribed(body, outbox),
            Frame::SubscriptionEnded(body) => {
                let position = self.landings.get_mut(body.class).ended(body)?;
                let (timeline, class, code) = (body.timeline, body.class, body.code);
                outbox.event(Event::SubscriptionEnded {
                    timeline,
                    class,
                    code,
                    position,
                });
                Ok(())
            }
            Frame::Totals(body) => {
                let (class, backfill, totals) = (body.class, body.backfill, body.totals);
                outbox.event(Event::Totals {
                    class,
                    backfill,
                    totals,
                });
                Ok(())
            }
            Frame::Push(body) => {
                self.landings.get_mut(body.class).pushed(&body)?;
                let (class, backfill, cursor) = (body.class, body.backfill, body.cursor);
                let entries = body.entries;
                outbox.event(Event::Pushed {
                    class,
                    backfill,
                    entries,
                    cursor,
                });
                Ok(())
            }
            Frame::CaughtUp(body) => {
                self.landings.get_mut(body.class).caught_up(body)?;
                outbox.event(Event::CaughtUp {
                    class: body.class,
                    cursor: body.cursor,
                });
                Ok(())
            }
            Frame::BackfillDone(body) => {
                self.landings.get_mut(body.class).backfill_done(body)?;
                let (timeline, class) = (body.timeline, body.class);
                outbox.event(Event::BackfillDone { timeline, class });
                Ok(())
            }
            Frame::Behind(body) => {
                outbox.event(Event::Behind {
                    class: body.class,
                    cursor: body.cursor,
                });
                Ok(())
            }
            Frame::Ack(body) => self.ack(body, outbox),
            Frame::Ephemeral(body) => {
                self.ephemeral(body, outbox);
                Ok(())
            }
            Frame::Error(body) => self.refused(body, outbox),
            Frame::Hello(_)
            | Frame::Prove(_)
            | Frame::Subscribe(_)
            | Frame::Unsubscribe(_)
            | Frame::Pull(_)
            | Frame::Append(_)
            | Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Goodbye(_)
            | Frame::Unknown(_) => Err(SessionError::Protocol {
                what: "a frame that no server sends",
            }),
        }
    }

    fn prove(&mut self, body: Prove, outbox: &mut Outbox) -> Result<(), SessionError> {
        let authors = self.proofs.entry(body.timeline).or_default();
        if authors.contains_key(&body.author) {
            return Ok(());
        }
        if self.proofs_sent >= PROOFS_PER_CONNECTION_MAX {
            return Err(SessionError::Misuse {
                what: "more proofs than a connection may have",
            });
        }
        self.proofs_sent += 1;
        authors.insert(body.author, false);
        outbox.send(Frame::Prove(body));
        Ok(())
    }

    fn proved(&mut self, body: Proved, outbox: &mut Outbox) -> Result<(), SessionError> {
        let Proved { timeline, author } = body;
        let authors = self.proofs.get_mut(&timeline);
        match authors.and_then(|authors| authors.get_mut(&author)) {
            Some(proved @ false) => *proved = true,
            Some(true) | None => {
                return Err(SessionError::Protocol {
                    what: "a confirmation of no proof",
                });
            }
        }
        outbox.event(Event::Proved { timeline, author });
        self.unpark(outbox);
        Ok(())
    }

    fn subscribe(&mut self, body: Subscribe, outbox: &mut Outbox) -> Result<(), SessionError> {
        if body.timelines.is_empty() || body.timelines.len() > TIMELINES_PER_SUBSCRIPTION_MAX {
            return Err(SessionError::Misuse {
                what: "a subscribe of 0 or of too many timelines",
            });
        }
        self.unused(body.request)?;
        let (timelines, cursors) = (body.timelines.clone(), body.cursors.clone());
        let classes = Class::ALL.into_iter().collect();
        self.asked.insert(
            body.request,
            Asked {
                timelines,
                cursors,
                classes,
            },
        );
        outbox.send(Frame::Subscribe(body));
        Ok(())
    }

    fn subscribed(&mut self, body: Subscribed, outbox: &mut Outbox) -> Result<(), SessionError> {
        let log = self.log.ok_or(SessionError::Protocol {
            what: "an answer before hello",
        })?;
        let asked = self.asked.get_mut(&body.request);
        let asked = asked.ok_or(SessionError::UnexpectedAck {
            request: body.request,
        })?;
        if !asked.classes.remove(&body.class) {
            return Err(SessionError::UnexpectedAck {
                request: body.request,
            });
        }
        let sent = asked.cursors.iter().find(|(class, _)| *class == body.class);
        let sent = sent.map(|(_, cursor)| *cursor);
        let landing = self.landings.get_mut(body.class);
        let positions = landing.subscribed(&body, &asked.timelines, sent, log)?;
        if asked.classes.is_empty() {
            self.asked.remove(&body.request);
        }
        let Subscribed {
            request,
            class,
            cursor,
            rewound,
            refused,
        } = body;
        outbox.event(Event::Subscribed {
            request,
            class,
            cursor,
            rewound,
            refused,
            positions,
        });
        Ok(())
    }

    fn append(&mut self, body: Append, outbox: &mut Outbox) -> Result<(), SessionError> {
        self.unused(body.request)?;
        let request = body.request;
        let bytes: usize = body
            .envelopes
            .iter()
            .map(|envelope| envelope.bytes().len())
            .sum();
        let count = body.envelopes.len();
        if count == 0 || count > APPEND_ENVELOPES_MAX || bytes > APPEND_BYTES_MAX {
            refuse(request, ErrorCode::LimitExceeded, None, outbox);
        } else if body
            .envelopes
            .iter()
            .any(|e| !self.proofs.contains_key(&e.timeline()))
        {
            refuse(request, ErrorCode::Unproven, None, outbox);
        } else if self.parked.len() >= APPENDS_PARKED_MAX {
            refuse(
                request,
                ErrorCode::TooManyInFlight,
                Some(RETRY_AFTER_MS_DEFAULT),
                outbox,
            );
        } else {
            self.parked.push_back(body);
            self.unpark(outbox);
        }
        Ok(())
    }

    /// Sends what may go now, in order; what waits for a proof does not hold up the rest.
    fn unpark(&mut self, outbox: &mut Outbox) {
        for body in std::mem::take(&mut self.parked) {
            let proven = body.envelopes.iter().all(|e| self.is_proven(&e.timeline()));
            if proven && self.in_flight.len() < APPENDS_IN_FLIGHT_MAX {
                let ids = body.envelopes.iter().map(VerifiedEnvelope::id).collect();
                self.in_flight.insert(body.request, ids);
                outbox.send(Frame::Append(body));
            } else {
                self.parked.push_back(body);
            }
        }
    }

    fn ack(&mut self, body: Ack, outbox: &mut Outbox) -> Result<(), SessionError> {
        let is_short = matches!(body.receipt, Some(AckReceipt::Short { .. }));
        if is_short && self.version < PROTOCOL_VERSION_SHADOWS {
            return Err(SessionError::Protocol {
                what: "a short receipt in version 1",
            });
        }
        for Proven { answer, proofs } in
            receipt::check(body, &self.in_flight, self.relay, self.log)?
        {
            let AppendAnswer { request, outcomes } = answer;
            self.in_flight.remove(&request);
            outbox.event(Event::Acked {
                request,
                outcomes,
                proofs,
            });
        }
        self.unpark(outbox);
        Ok(())
    }

    fn refused(&mut self, body: ErrorFrame, outbox: &mut Outbox) -> Result<(), SessionError> {
        let request = body.request.unwrap_or_default();
        let known = self.in_flight.remove(&request).is_some();
        if !known && self.asked.remove(&request).is_none() {
            return Err(SessionError::UnexpectedAck { request });
        }
        let (code, retry_after_ms) = (body.code, body.retry_after_ms);
        let message = printable(&body.message);
        outbox.event(Event::Refused {
            request,
            code,
            message,
            retry_after_ms,
        });
        self.unpark(outbox);
        Ok(())
    }

    fn ephemeral(&mut self, body: Ephemeral, outbox: &mut Outbox) {
        let Ephemeral { timeline, payload } = body;
        if self.landings.get(Class::Text).receives(&timeline) {
            outbox.event(Event::Ephemeral { timeline, payload });
        } else {
            self.ephemeral_dropped += 1;
        }
    }

    fn unused(&self, request: u64) -> Result<(), SessionError> {
        let used = self.in_flight.contains_key(&request)
            || self.asked.contains_key(&request)
            || self.parked.iter().any(|append| append.request == request);
        if used {
            return Err(SessionError::Misuse {
                what: "a request number that is in use",
            });
        }
        Ok(())
    }
}

fn refuse(request: u64, code: ErrorCode, retry_after_ms: Option<u32>, outbox: &mut Outbox) {
    outbox.event(Event::Refused {
        request,
        code,
        message: String::new(),
        retry_after_ms,
    });
}
