//! The side that stores and forwards.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::admission::Rights;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, LogId, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::redacted::Redacted;
use khlong_crdt::time::{Monotonic, Now};

use super::error::SessionError;
use super::input::Input;
use super::output::{Event, Outbox};
use super::per_class::PerClass;
use super::proof::{Presented, Proofs};
use super::rate::Bucket;
use super::short;
use super::transfer::{ClassStream, Entrance};
use super::view::View;
use crate::limits::{
    APPENDS_IN_FLIGHT_MAX, CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND, EPHEMERAL_FRAMES_BURST,
    EPHEMERAL_FRAMES_PER_SECOND, PROTOCOL_VERSION_SHADOWS, RETRY_AFTER_MS_DEFAULT,
    SUBSCRIPTIONS_PER_CONNECTION_MAX, SUBSCRIPTIONS_PER_TOKEN,
};
use crate::replica::{Arrival, Replica};
use crate::wire::code::ErrorCode;
use crate::wire::frame::{
    Ack, AckReceipt, Append, AppendAnswer, AppendOutcome, Ephemeral, ErrorFrame, Frame, Prove,
    Proved, Pull, Subscribe, TimelineSubscription,
};

#[derive(Debug)]
pub(super) struct Server {
    proofs: Proofs,
    watched: BTreeSet<TimelineId>,
    streams: PerClass<ClassStream>,
    /// By request: what is decided already; `None` is for the owner to say.
    appends: BTreeMap<u64, Vec<Option<AppendOutcome>>>,
    control: Bucket,
    ephemeral: Bucket,
    ephemeral_dropped: u64,
    /// The log of Hello, where the client fills it in: from version 2 on.
    implied_log: Option<(LogId, u32)>,
}

impl Server {
    pub(super) fn new(now: Monotonic) -> Self {
        Self {
            proofs: Proofs::default(),
            watched: BTreeSet::new(),
            streams: PerClass::new(ClassStream::new),
            appends: BTreeMap::new(),
            control: Bucket::full(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND, now),
            ephemeral: Bucket::full(EPHEMERAL_FRAMES_BURST, EPHEMERAL_FRAMES_PER_SECOND, now),
            ephemeral_dropped: 0,
            implied_log: None,
        }
    }

    pub(super) fn greeted(&mut self, version: u16, log: (LogId, u32)) {
        self.implied_log = (version >= PROTOCOL_VERSION_SHADOWS).then_some(log);
    }

    pub(super) fn is_proven(&self, timeline: &TimelineId) -> bool {
        self.proofs.covers(timeline)
    }

    pub(super) fn proven_authors(&self, timeline: &TimelineId) -> Vec<AuthorKey> {
        self.proofs.authors(timeline).copied().collect()
    }

    pub(super) fn watches(&self, timeline: &TimelineId) -> bool {
        self.watched.contains(timeline)
    }

    pub(super) const fn ephemeral_dropped(&self) -> u64 {
        self.ephemeral_dropped
    }

    /// A control frame costs a token; without tokens the connection ends.
    pub(super) fn spend(&mut self, now: Monotonic) -> Result<(), SessionError> {
        self.spend_many(now, 1)
    }

    fn spend_many(&mut self, now: Monotonic, tokens: usize) -> Result<(), SessionError> {
        if self.control.take_many(now, tokens) {
            Ok(())
        } else {
            Err(SessionError::RateLimited)
        }
    }

    pub(super) fn frame(
        &mut self,
        now: Now,
        frame: Frame,
        exporter: &[u8; 32],
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        match frame {
            Frame::Prove(body) => self.prove(now, Presented::Frame(body), exporter, outbox),
            Frame::Subscribe(body) => self.subscribe(now, body, replica, outbox),
            Frame::Unsubscribe(body) => {
                self.spend(now.monotonic)?;
                self.unwatch(body.timeline, None, outbox);
                Ok(())
            }
            Frame::Pull(body) => self.pull(now, body, replica, outbox),
            Frame::Append(body) => self.append(body, outbox),
            Frame::Ephemeral(body) => self.ephemeral(now, body, replica, outbox),
            Frame::Hello(_)
            | Frame::Proved(_)
            | Frame::Subscribed(_)
            | Frame::SubscriptionEnded(_)
            | Frame::Totals(_)
            | Frame::Push(_)
            | Frame::CaughtUp(_)
            | Frame::BackfillDone(_)
            | Frame::Behind(_)
            | Frame::Ack(_)
            | Frame::Error(_)
            | Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Goodbye(_)
            | Frame::Unknown(_) => Err(SessionError::Protocol {
                what: "a frame that no client sends",
            }),
        }
    }

    pub(super) fn command(
        &mut self,
        now: Now,
        command: Input,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        match command {
            Input::Advanced(arrivals) => self.advanced(now, &arrivals, replica, outbox),
            Input::Acknowledge { answers, receipt } => self.acknowledge(answers, receipt, outbox),
            Input::Refuse {
                request,
                code,
                message,
                retry_after_ms,
            } => {
                self.appends.remove(&request);
                refuse(request, code, message, retry_after_ms, outbox);
                Ok(())
            }
            Input::RelayEphemeral { timeline, payload } => {
                if self.watched.contains(&timeline) {
                    outbox.send(Frame::Ephemeral(Ephemeral { timeline, payload }));
                }
                Ok(())
            }
            Input::Prove { .. }
            | Input::Subscribe { .. }
            | Input::Unsubscribe { .. }
            | Input::Append { .. }
            | Input::Pulled { .. }
            | Input::Ephemeral { .. }
            | Input::Connected { .. }
            | Input::Frame(_)
            | Input::Proof(_)
            | Input::Undecodable(_)
            | Input::Disconnected
            | Input::Timeout
            | Input::Probe
            | Input::Close { .. } => Err(SessionError::Misuse {
                what: "a client's command",
            }),
        }
    }

    pub(super) fn prove(
        &mut self,
        now: Now,
        presented: Presented,
        exporter: &[u8; 32],
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        self.spend(now.monotonic)?;
        let Prove {
            timeline, author, ..
        } = *presented.proof();
        // What is proven is not looked at again: a repeat costs no signature.
        if !self.proofs.contains(&timeline, &author) {
            self.proofs.check_room(&timeline)?;
            if !presented.holds(exporter) {
                return Err(SessionError::BadProof {
                    timeline: Redacted::new(timeline),
                    author: Redacted::new(author),
                });
            }
            self.proofs.add(timeline, author);
            outbox.event(Event::Proved { timeline, author });
        }
        outbox.send(Frame::Proved(Proved { timeline, author }));
        Ok(())
    }

    fn subscribe(
        &mut self,
        now: Now,
        body: Subscribe,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        // Each timeline is judged, and named in the answer if it is refused. Entering a
        // stream looks at what is in it: many small subscribes cost more than one large.
        let tokens = 1 + body.timelines.len() + self.watched.len() / SUBSCRIPTIONS_PER_TOKEN;
        self.spend_many(now.monotonic, tokens)?;
        let starts = |class| !self.streams.get(class).is_started();
        if body.cursors.iter().any(|(class, _)| !starts(*class)) {
            return Err(SessionError::Protocol {
                what: "a second cursor for a class stream",
            });
        }
        let (accepted, refused) = self.sort_out(now, &body, replica)?;
        for class in Class::ALL {
            let entrances = accepted.iter().map(|wanted| Entrance {
                timeline: wanted.timeline,
                backfill: position(&wanted.backfill, class),
            });
            let entrances: Vec<Entrance> = entrances.collect();
            let cursor = position(&body.cursors, class);
            self.streams.get_mut(class).subscribe(
                body.request,
                cursor,
                &entrances,
                &refused,
                replica,
                outbox,
            )?;
        }
        for wanted in &accepted {
            self.watched.insert(wanted.timeline);
            outbox.event(Event::Watching {
                timeline: wanted.timeline,
                wake_up: body.wake_up,
            });
        }
        self.pump_all(now, replica, outbox)
    }

    /// Which timelines may be subscribed, and why the others may not. One that is subscribed already stays as it is.
    #[expect(
        clippy::type_complexity,
        reason = "two lists, named where they are used"
    )]
    fn sort_out(
        &self,
        now: Now,
        body: &Subscribe,
        replica: &dyn Replica,
    ) -> Result<(Vec<TimelineSubscription>, Vec<(TimelineId, ErrorCode)>), SessionError> {
        let view = View {
            replica,
            proofs: &self.proofs,
            at: now.wall,
        };
        let needs_position = |class| position::<Cursor>(&body.cursors, class).is_none();
        let mut seen = BTreeSet::new();
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for wanted in &body.timelines {
            let timeline = wanted.timeline;
            if self.watched.contains(&timeline) || !seen.insert(timeline) {
                continue;
            }
            let lost = Class::ALL
                .into_iter()
                .any(|class| needs_position(class) && position(&wanted.backfill, class).is_none());
            if let Some(code) = view.refuses(timeline, Rights::READ)? {
                refused.push((timeline, code));
            } else if lost {
                refused.push((timeline, ErrorCode::BackfillRequired));
            } else if self.watched.len() + accepted.len() >= SUBSCRIPTIONS_PER_CONNECTION_MAX {
                refused.push((timeline, ErrorCode::LimitExceeded));
            } else {
                accepted.push(wanted.clone());
            }
        }
        Ok((accepted, refused))
    }

    fn pull(
        &mut self,
        now: Now,
        body: Pull,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let stream = self.streams.get_mut(body.class);
        if !stream.pulled(body.backfill, body.cursor) {
            // Pulls that free something are as many as pushes; others cost a token.
            return self.spend(now.monotonic);
        }
        let view = View {
            replica,
            proofs: &self.proofs,
            at: now.wall,
        };
        let mut ended = Vec::new();
        stream.pump(view, &mut ended, outbox)?;
        self.end(&ended, outbox);
        Ok(())
    }

    fn append(&mut self, body: Append, outbox: &mut Outbox) -> Result<(), SessionError> {
        let request = body.request;
        if self.appends.contains_key(&request) {
            return Err(SessionError::Protocol {
                what: "a request number that is in flight",
            });
        }
        if self.appends.len() >= APPENDS_IN_FLIGHT_MAX {
            let again = Some(RETRY_AFTER_MS_DEFAULT);
            refuse(
                request,
                ErrorCode::TooManyInFlight,
                String::new(),
                again,
                outbox,
            );
            return Ok(());
        }
        let unproven = AppendOutcome::Refused {
            code: ErrorCode::Unproven,
            retry_after_ms: None,
        };
        let decide = |envelope: &VerifiedEnvelope| {
            (!self.proofs.covers(&envelope.timeline())).then_some(unproven)
        };
        let decided: Vec<_> = body.envelopes.iter().map(decide).collect();
        let open = body.envelopes.into_iter().zip(&decided);
        let envelopes: Vec<_> = open
            .filter(|(_, decided)| decided.is_none())
            .map(|(envelope, _)| envelope)
            .collect();
        if envelopes.is_empty() {
            let outcomes = decided.into_iter().flatten().collect();
            outbox.send(Frame::Ack(Ack {
                first: AppendAnswer { request, outcomes },
                further: Vec::new(),
                receipt: None,
            }));
        } else {
            self.appends.insert(request, decided);
            outbox.event(Event::Append { request, envelopes });
        }
        Ok(())
    }

    fn acknowledge(
        &mut self,
        answers: Vec<AppendAnswer>,
        receipt: Option<StoredReceipt>,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let answers = answers.into_iter().map(|answer| self.complete(answer));
        let mut answers = answers.collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = answers.next().ok_or(SessionError::Misuse {
            what: "an ack of nothing",
        })?;
        outbox.send(Frame::Ack(Ack {
            first,
            further: answers.collect(),
            receipt: receipt.map(|receipt| self.shortened(receipt)),
        }));
        Ok(())
    }

    /// A client of version 2 knows who signs, which log it is, and what it sent.
    fn shortened(&self, receipt: StoredReceipt) -> AckReceipt {
        if self.implied_log == Some((receipt.log, receipt.log_epoch)) {
            AckReceipt::Short {
                received_at: receipt.received_at,
                signature: receipt.signature,
            }
        } else {
            AckReceipt::Whole(receipt)
        }
    }

    /// Puts what the owner decided beside what was refused before it was asked.
    fn complete(&mut self, answer: AppendAnswer) -> Result<AppendAnswer, SessionError> {
        let AppendAnswer { request, outcomes } = answer;
        let decided = self.appends.remove(&request);
        let decided = decided.ok_or(SessionError::Misuse {
            what: "an ack nobody waits for",
        })?;
        let open = decided.iter().filter(|outcome| outcome.is_none()).count();
        if open != outcomes.len() {
            return Err(SessionError::Misuse {
                what: "an ack with too few or too many outcomes",
            });
        }
        let mut said = outcomes.into_iter();
        let outcomes = decided
            .into_iter()
            .filter_map(|outcome| outcome.or_else(|| said.next()));
        Ok(AppendAnswer {
            request,
            outcomes: outcomes.collect(),
        })
    }

    fn ephemeral(
        &mut self,
        now: Now,
        body: Ephemeral,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let view = View {
            replica,
            proofs: &self.proofs,
            at: now.wall,
        };
        let permitted = self.ephemeral.take(now.monotonic)
            && view.refuses(body.timeline, Rights::APPEND)?.is_none();
        if permitted {
            let Ephemeral { timeline, payload } = body;
            outbox.event(Event::Ephemeral { timeline, payload });
        } else {
            self.ephemeral_dropped += 1;
        }
        Ok(())
    }

    fn advanced(
        &mut self,
        now: Now,
        arrivals: &[Arrival],
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        if self.watched.is_empty() {
            // A later subscribe looks at the heads itself.
            return Ok(());
        }
        let view = View {
            replica,
            proofs: &self.proofs,
            at: now.wall,
        };
        let mut ended = Vec::new();
        for stream in self.streams.iter_mut() {
            let class = stream.class();
            if arrivals
                .iter()
                .any(|arrival| arrival.envelope.class() == class)
            {
                stream.advanced(arrivals, view, &mut ended, outbox)?;
            }
        }
        self.end(&ended, outbox);
        Ok(())
    }

    fn pump_all(
        &mut self,
        now: Now,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let view = View {
            replica,
            proofs: &self.proofs,
            at: now.wall,
        };
        let mut ended = Vec::new();
        for stream in self.streams.iter_mut() {
            stream.pump(view, &mut ended, outbox)?;
        }
        self.end(&ended, outbox);
        Ok(())
    }

    /// What one stream may no longer read, no stream may.
    fn end(&mut self, ended: &[(TimelineId, ErrorCode)], outbox: &mut Outbox) {
        for (timeline, code) in ended {
            self.unwatch(*timeline, Some(*code), outbox);
        }
    }

    fn unwatch(&mut self, timeline: TimelineId, code: Option<ErrorCode>, outbox: &mut Outbox) {
        if self.watched.remove(&timeline) {
            for stream in self.streams.iter_mut() {
                stream.leave(timeline, code, outbox);
            }
            outbox.event(Event::Unwatched { timeline });
        }
    }
}

fn position<T: Copy>(positions: &[(Class, T)], wanted: Class) -> Option<T> {
    positions
        .iter()
        .find(|(class, _)| *class == wanted)
        .map(|(_, position)| *position)
}

fn refuse(
    request: u64,
    code: ErrorCode,
    message: String,
    retry_after_ms: Option<u32>,
    outbox: &mut Outbox,
) {
    let (request, message) = (Some(request), short(message));
    outbox.send(Frame::Error(ErrorFrame {
        code,
        request,
        message,
        retry_after_ms,
    }));
}
