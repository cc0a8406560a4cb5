//! What a relay says, and what it is asked.

use std::collections::{BTreeSet, VecDeque};

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::{Now, UnixMillis};
use khlong_store::tables::outbox::OutboxEntry;
use khlong_store::tables::{cursors, outbox, receipts};
use khlong_sync::limits::{APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX};
use khlong_sync::replica::Arrival;
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::{Event as SessionEvent, Output};
use khlong_sync::session::proof::proof_bytes;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{AppendOutcome, Frame, TimelineSubscription};
use rand_core::Rng as _;

use super::links::{Link, LinkState, Live};
use super::outbox::{Place, Waiting};
use super::{Peer, PeerOutput};
use crate::api::Event;
use crate::error::NodeError;

impl Peer {
    pub(super) fn connected(
        &mut self,
        now: Now,
        relay: RelayKey,
        exporter: [u8; 32],
    ) -> Result<(), NodeError> {
        let Some(link) = self.links.get_mut(&relay) else {
            return Ok(());
        };
        let role = Role::Client {
            relay,
            token: link.token.clone(),
        };
        let session = Session::new(role, SessionConfig::default(), now.monotonic);
        link.state = LinkState::Up(Box::new(Live::new(session, exporter)));
        self.drive(now, relay, Input::Connected { exporter })
    }

    pub(super) fn lost(&mut self, now: Now, relay: RelayKey, reason: String) {
        let jitter = self.rng.next_u64();
        let Some(link) = self.links.get_mut(&relay) else {
            return;
        };
        if matches!(link.state, LinkState::Off) {
            return;
        }
        link.back_off(now.monotonic, reason, jitter);
        let relay = link.view();
        self.emit(Event::Relay { relay });
    }

    pub(super) fn frame(
        &mut self,
        now: Now,
        relay: RelayKey,
        frame: Frame,
    ) -> Result<(), NodeError> {
        self.drive(now, relay, Input::Frame(frame))
    }

    pub(super) fn run_timers(&mut self, now: Now) -> Result<(), NodeError> {
        let due: Vec<RelayKey> = self
            .links
            .iter()
            .filter(|(_, link)| link.next_deadline().is_some_and(|at| at <= now.monotonic))
            .map(|(relay, _)| *relay)
            .collect();
        for relay in due {
            let Some(link) = self.links.get_mut(&relay) else {
                continue;
            };
            match link.state {
                LinkState::Waiting(_) => {
                    link.state = LinkState::Connecting;
                    let address = link.address.clone();
                    self.held.push(PeerOutput::Connect { relay, address });
                }
                LinkState::Up(ref mut live) => {
                    if live.offer_after.is_some_and(|at| at <= now.monotonic) {
                        live.offer_after = None;
                    }
                    live.pauses.run_out(now.monotonic);
                    self.drive(now, relay, Input::Timeout)?;
                }
                LinkState::Off | LinkState::Connecting => {}
            }
        }
        Ok(())
    }

    /// Gives the session one input and carries out what it asks, until it asks nothing more.
    fn drive(&mut self, now: Now, relay: RelayKey, input: Input) -> Result<(), NodeError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(live) = self.links.get_mut(&relay).and_then(|link| link.live()) else {
                return Ok(());
            };
            let outcome = live.session.handle(now, input, &self.store);
            let mut outputs = Vec::new();
            while let Some(output) = live.session.poll_output() {
                outputs.push(output);
            }
            for output in outputs {
                match output {
                    Output::Send(lane, frame) => {
                        self.held.push(PeerOutput::Send { relay, lane, frame })
                    }
                    Output::Event(event) => inputs.extend(self.session_event(now, relay, event)?),
                    Output::Close { .. } => self.held.push(PeerOutput::Disconnect { relay }),
                }
            }
            if let Err(error) = outcome {
                self.held.push(PeerOutput::Disconnect { relay });
                self.lost(now, relay, error.to_string());
            }
        }
        Ok(())
    }

    /// What a session tells, and what it is to be told in turn.
    fn session_event(
        &mut self,
        now: Now,
        relay: RelayKey,
        event: SessionEvent,
    ) -> Result<Vec<Input>, NodeError> {
        match event {
            SessionEvent::Ready { .. } => {
                if let Some(link) = self.links.get_mut(&relay) {
                    link.failures = 0;
                    link.last_error = None;
                    if let Some(live) = link.live() {
                        live.ready = true;
                    }
                    let relay = link.view();
                    self.emit(Event::Relay { relay });
                }
                Ok(Vec::new())
            }
            SessionEvent::Pushed {
                class,
                backfill,
                entries,
                cursor,
            } => self.pushed(relay, class, backfill, &entries, cursor),
            SessionEvent::Subscribed {
                class,
                cursor,
                refused,
                positions,
                ..
            } => {
                self.subscribed(relay, class, cursor, positions)?;
                for (timeline, code) in refused {
                    tracing::warn!(%timeline, %code, "the relay refused a subscription");
                    // What is not shown is nothing to wait for.
                    self.merged(relay, timeline, class);
                }
                Ok(Vec::new())
            }
            SessionEvent::SubscriptionEnded {
                timeline,
                class,
                code,
                position,
            } => {
                if let Some(upto) = position {
                    self.with_batch(|batch| {
                        cursors::put_backfill(batch, &relay, &timeline, class, upto)
                    })?;
                }
                if let Some(code) = code {
                    tracing::warn!(%timeline, %code, "the relay ended a subscription");
                }
                self.merged(relay, timeline, class);
                Ok(Vec::new())
            }
            SessionEvent::CaughtUp { class, cursor } => {
                self.with_batch(|batch| cursors::put(batch, &relay, class, &cursor))?;
                self.set_caught_up(relay, class, true);
                Ok(Vec::new())
            }
            SessionEvent::BackfillDone { timeline, class } => {
                self.with_batch(|batch| cursors::remove_backfill(batch, &relay, &timeline, class))?;
                self.merged(relay, timeline, class);
                Ok(Vec::new())
            }
            SessionEvent::Acked {
                request,
                outcomes,
                receipt,
            } => {
                self.acked(now, relay, request, &outcomes, receipt)?;
                Ok(Vec::new())
            }
            SessionEvent::Refused {
                request,
                code,
                message,
                retry_after_ms,
            } => {
                tracing::warn!(?code, %message, "the relay refused a request");
                self.request_refused(now, relay, request, code, retry_after_ms)?;
                Ok(Vec::new())
            }
            SessionEvent::Totals {
                class,
                backfill: None,
                ..
            }
            | SessionEvent::Behind { class, .. } => {
                self.set_caught_up(relay, class, false);
                Ok(Vec::new())
            }
            SessionEvent::Totals {
                backfill: Some(_), ..
            }
            | SessionEvent::Proved { .. }
            | SessionEvent::Goodbye { .. }
            | SessionEvent::Ephemeral { .. }
            | SessionEvent::Watching { .. }
            | SessionEvent::Unwatched { .. }
            | SessionEvent::Append { .. } => Ok(Vec::new()),
        }
    }

    /// Where the relay says that this node stands, in one batch: the class, and
    /// each timeline whose history comes apart from it.
    fn subscribed(
        &mut self,
        relay: RelayKey,
        class: Class,
        cursor: Cursor,
        positions: Vec<(TimelineId, Option<ArrivalSeq>)>,
    ) -> Result<(), NodeError> {
        self.with_batch(|batch| {
            cursors::put(batch, &relay, class, &cursor)?;
            positions
                .iter()
                .try_for_each(|(timeline, position)| match position {
                    Some(upto) => cursors::put_backfill(batch, &relay, timeline, class, *upto),
                    None => cursors::remove_backfill(batch, &relay, timeline, class),
                })
        })?;
        for (timeline, position) in positions {
            if position.is_none() {
                self.merged(relay, timeline, class);
            } else {
                self.progress(relay, |live| {
                    live.backfilling.insert((timeline, class));
                });
            }
        }
        Ok(())
    }

    fn pushed(
        &mut self,
        relay: RelayKey,
        class: Class,
        backfill: Option<TimelineId>,
        entries: &[Arrival],
        cursor: Cursor,
    ) -> Result<Vec<Input>, NodeError> {
        for entry in entries {
            self.receive(&entry.envelope, entry.received_at)?;
        }
        // In the same batch as what it passes: a crash in between loses neither.
        self.with_batch(|batch| match backfill {
            None => cursors::put(batch, &relay, class, &cursor),
            Some(timeline) => cursors::put_backfill(batch, &relay, &timeline, class, cursor.seq),
        })?;
        Ok(vec![Input::Pulled {
            class,
            backfill,
            cursor: cursor.seq,
        }])
    }

    fn acked(
        &mut self,
        now: Now,
        relay: RelayKey,
        request: u64,
        outcomes: &[AppendOutcome],
        receipt: Option<StoredReceipt>,
    ) -> Result<(), NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(|link| link.live()) else {
            return Ok(());
        };
        let Some((_, offered)) = live.in_flight.take_if(|(waiting, _)| *waiting == request) else {
            return Ok(());
        };
        for (place, outcome) in offered.iter().zip(outcomes) {
            match *outcome {
                AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => {
                    self.stored_at_relay(relay, *place, receipt.as_ref())?;
                }
                AppendOutcome::Refused {
                    code,
                    retry_after_ms,
                } if code.is_retryable() => {
                    self.put_off(now, relay, *place, code, retry_after_ms)?;
                }
                AppendOutcome::Refused { code, .. } => {
                    let carriers = self.book.carriers_of(place.timeline);
                    let entry = self.outbox.refuse(*place, relay, code, &carriers);
                    self.write_back(entry)?;
                }
            }
        }
        self.tell_delivery(&offered);
        Ok(())
    }

    fn stored_at_relay(
        &mut self,
        relay: RelayKey,
        place: Place,
        receipt: Option<&StoredReceipt>,
    ) -> Result<(), NodeError> {
        let Some(waiting) = self.outbox.remove(place) else {
            return Ok(());
        };
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.pauses.end(place.timeline, waiting.class);
        }
        self.with_batch(|batch| {
            outbox::remove(batch, &place.timeline, place.n)?;
            receipt.map_or(Ok(()), |receipt| {
                receipts::put(batch, &waiting.entry.id, receipt)
            })
        })
    }

    /// One envelope is refused for now: the timeline pauses if the reason lies
    /// in it, else the whole relay.
    fn put_off(
        &mut self,
        now: Now,
        relay: RelayKey,
        place: Place,
        code: ErrorCode,
        retry_after_ms: Option<u32>,
    ) -> Result<(), NodeError> {
        let class = self.outbox.class_at(place);
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(());
        };
        let is_of_timeline = matches!(code, ErrorCode::QuotaExceeded | ErrorCode::Internal);
        let pause_ms = match class.filter(|_| is_of_timeline) {
            Some(class) => live
                .pauses
                .begin(place.timeline, class, now.monotonic, retry_after_ms),
            None => live.pause(now.monotonic, retry_after_ms),
        };
        let entry = self.outbox.put_off(place, code, later(now, pause_ms));
        self.write_back(entry)
    }

    /// A whole request is refused: nothing is offered for a while. What an
    /// append held is put off whatever the code, since no single envelope was judged.
    fn request_refused(
        &mut self,
        now: Now,
        relay: RelayKey,
        request: u64,
        code: ErrorCode,
        retry_after_ms: Option<u32>,
    ) -> Result<(), NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(());
        };
        let in_flight = live.in_flight.take_if(|(waiting, _)| *waiting == request);
        let pause_ms = live.pause(now.monotonic, retry_after_ms);
        let offered = in_flight.map_or_else(Vec::new, |(_, offered)| offered);
        for place in &offered {
            let entry = self.outbox.put_off(*place, code, later(now, pause_ms));
            self.write_back(entry)?;
        }
        self.tell_delivery(&offered);
        Ok(())
    }

    fn write_back(&mut self, entry: Option<OutboxEntry>) -> Result<(), NodeError> {
        entry.map_or(Ok(()), |entry| {
            self.with_batch(|batch| outbox::update(batch, &entry))
        })
    }

    fn tell_delivery(&mut self, offered: &[Place]) {
        let timelines: BTreeSet<TimelineId> = offered.iter().map(|place| place.timeline).collect();
        for timeline in timelines {
            self.emit(Event::Delivery {
                timeline: timeline.to_string(),
            });
        }
    }

    fn set_caught_up(&mut self, relay: RelayKey, class: Class, done: bool) {
        self.progress(relay, |live| {
            if let Some(slot) = live.caught_up.get_mut(class as usize) {
                *slot = done;
            }
        });
    }

    fn merged(&mut self, relay: RelayKey, timeline: TimelineId, class: Class) {
        self.progress(relay, |live| {
            live.backfilling.remove(&(timeline, class));
        });
    }

    /// Notes progress, and tells whoever watches when nothing is missing any more.
    fn progress(&mut self, relay: RelayKey, note: impl FnOnce(&mut Live)) {
        let Some(link) = self.links.get_mut(&relay) else {
            return;
        };
        let Some(live) = link.live() else { return };
        let before = live.is_caught_up();
        note(live);
        if !before && live.is_caught_up() {
            let relay = link.view();
            self.emit(Event::Relay { relay });
        }
    }

    /// Proves, subscribes and appends whatever each connection still lacks.
    pub(super) fn offer_outbox(&mut self, now: Now) -> Result<(), NodeError> {
        let relays: Vec<RelayKey> = self.links.keys().copied().collect();
        for relay in relays {
            // What was left is still said goodbye to.
            let carried: Vec<TimelineId> = self
                .book
                .carried_by(relay)
                .into_iter()
                .filter(|timeline| {
                    self.book.follows(*timeline) || self.outbox.of(*timeline).next().is_some()
                })
                .collect();
            let inputs = self.wishes(now, relay, &carried)?;
            for input in inputs {
                self.drive(now, relay, input)?;
            }
        }
        Ok(())
    }

    fn wishes(
        &mut self,
        now: Now,
        relay: RelayKey,
        carried: &[TimelineId],
    ) -> Result<Vec<Input>, NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(|link| link.live()) else {
            return Ok(Vec::new());
        };
        if !live.ready {
            return Ok(Vec::new());
        }
        let mut inputs = Vec::new();
        for timeline in carried {
            let Some(open) = self.timelines.get(timeline) else {
                continue;
            };
            if live.proven.insert(*timeline) {
                let author = open.author();
                let signature =
                    open.secrets()
                        .author
                        .sign(&proof_bytes(&live.exporter, timeline, &author));
                inputs.push(Input::Prove {
                    timeline: *timeline,
                    author,
                    signature,
                });
            }
        }
        let left: Vec<TimelineId> = live
            .subscribed
            .iter()
            .copied()
            .filter(|timeline| !self.book.follows(*timeline))
            .collect();
        for timeline in left {
            live.subscribed.remove(&timeline);
            live.backfilling.retain(|(of, _)| *of != timeline);
            inputs.push(Input::Unsubscribe { timeline });
        }
        // A timeline that the relay does not let in yet is nothing to wait for.
        let is_missing = |timeline: &TimelineId| {
            self.book.follows(*timeline)
                && !live.subscribed.contains(timeline)
                && !self.outbox.introduction(*timeline).any(Waiting::is_held_up)
        };
        let lacks_subscription = carried.iter().any(is_missing);
        // Before a relay knows the author it would refuse to show the timeline.
        let wanted: Vec<TimelineId> = carried
            .iter()
            .copied()
            .filter(|timeline| self.book.follows(*timeline))
            .filter(|timeline| !live.subscribed.contains(timeline))
            .filter(|timeline| self.outbox.introduction(*timeline).next().is_none())
            .collect();
        if !wanted.is_empty() {
            let is_first = !std::mem::replace(&mut live.has_subscribed, true);
            live.subscribed.extend(&wanted);
            if is_first {
                live.caught_up = [false; 4];
            }
            let request = live.request();
            let (input, backfilling) = self.subscription(relay, request, &wanted, is_first)?;
            if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
                live.backfilling.extend(backfilling);
            }
            inputs.push(input);
        }
        self.progress(relay, |live| live.lacks_subscription = lacks_subscription);
        inputs.extend(self.next_append(now, relay, carried)?);
        Ok(inputs)
    }

    /// Asks for `wanted` from where this node stands, and says which histories are on their way.
    ///
    /// Only the first subscription of a connection carries cursors: the stream
    /// of a class has one position. A timeline that is asked for later brings a
    /// place of its own for every class, until it has caught up with the stream.
    fn subscription(
        &mut self,
        relay: RelayKey,
        request: u64,
        wanted: &[TimelineId],
        is_first: bool,
    ) -> Result<(Input, Vec<(TimelineId, Class)>), NodeError> {
        let followed = self.book.carried_by(relay).into_iter();
        let left_out: Vec<TimelineId> = followed
            .filter(|timeline| self.book.follows(*timeline) && !wanted.contains(timeline))
            .collect();
        let (at, backfills) = self.with_batch(|batch| {
            let mut at = Vec::new();
            for class in Class::ALL {
                at.extend(cursors::get(batch, &relay, class)?.map(|cursor| (class, cursor)));
            }
            let backfills = cursors::backfills(batch, &relay)?;
            // The cursors will pass what is left out now: note where it stands.
            for timeline in left_out.iter().filter(|_| is_first) {
                for class in Class::ALL {
                    let has_place = backfills
                        .iter()
                        .any(|(of, at, _)| of == timeline && *at == class);
                    if !has_place {
                        let cursor = at.iter().find(|(of, _)| *of == class);
                        let upto = cursor.map_or(ArrivalSeq(0), |(_, cursor)| cursor.seq);
                        cursors::put_backfill(batch, &relay, timeline, class, upto)?;
                    }
                }
            }
            Ok((at, backfills))
        })?;
        let place = |timeline: TimelineId, class: Class| {
            let known = backfills
                .iter()
                .find(|(of, at, _)| *of == timeline && *at == class);
            match (known, is_first) {
                (Some((_, _, upto)), _) => Some(*upto),
                (None, true) => None,
                // No place is known: all of it again, since what is here already adds nothing.
                (None, false) => Some(ArrivalSeq(0)),
            }
        };
        let mut backfilling = Vec::new();
        let mut timelines = Vec::new();
        for timeline in wanted {
            let backfill: Vec<(Class, ArrivalSeq)> = Class::ALL
                .into_iter()
                .filter_map(|class| Some((class, place(*timeline, class)?)))
                .collect();
            backfilling.extend(backfill.iter().map(|(class, _)| (*timeline, *class)));
            timelines.push(TimelineSubscription {
                timeline: *timeline,
                backfill,
            });
        }
        let cursors = if is_first { at } else { Vec::new() };
        Ok((
            Input::Subscribe {
                request,
                cursors,
                timelines,
                wake_up: None,
            },
            backfilling,
        ))
    }

    fn next_append(
        &mut self,
        now: Now,
        relay: RelayKey,
        carried: &[TimelineId],
    ) -> Result<Option<Input>, NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(|link| link.live()) else {
            return Ok(None);
        };
        if live.in_flight.is_some() || live.offer_after.is_some_and(|at| at > now.monotonic) {
            return Ok(None);
        }
        let waiting: Vec<(Place, _)> = carried
            .iter()
            .flat_map(|timeline| {
                self.outbox
                    .of(*timeline)
                    .filter(|waiting| waiting.is_for(relay))
                    .filter(|waiting| !live.pauses.holds(*timeline, waiting.class))
                    .map(|waiting| (waiting.place(), waiting.entry.id))
            })
            .take(APPEND_ENVELOPES_MAX)
            .collect();
        let (mut offered, mut envelopes, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (place, id) in waiting {
            let Some(envelope) = self.stored_or_staged(&id)? else {
                continue;
            };
            bytes += envelope.bytes().len();
            if bytes > APPEND_BYTES_MAX && !envelopes.is_empty() {
                break;
            }
            offered.push(place);
            envelopes.push(envelope);
        }
        if envelopes.is_empty() {
            return Ok(None);
        }
        let Some(live) = self.links.get_mut(&relay).and_then(|link| link.live()) else {
            return Ok(None);
        };
        let request = live.request();
        live.in_flight = Some((request, offered));
        Ok(Some(Input::Append { request, envelopes }))
    }
}

fn later(now: Now, pause_ms: u64) -> UnixMillis {
    let pause_ms = i64::try_from(pause_ms).unwrap_or(i64::MAX);
    UnixMillis(now.wall.0.saturating_add(pause_ms))
}
