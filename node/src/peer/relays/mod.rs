//! What a relay says, and what it is asked.

mod answers;
mod appends;
mod behind;
mod events;
mod missed;
mod others;
mod portions;
mod refusals;
mod reoffer;
mod rounds;
mod subscriptions;
mod word;

use std::collections::VecDeque;

use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::session::proof::proof_bytes;
use khlong_sync::wire::frame::Frame;
use rand_core::Rng as _;

pub(super) use self::portions::Portion;
use super::links::{Link, LinkState, Live};
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
            token: link.token.clone().map(Into::into),
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
        self.tell_relay(relay);
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
                LinkState::Up(ref live)
                    if live.answer_until().is_some_and(|at| at <= now.monotonic) =>
                {
                    self.held.push(PeerOutput::Disconnect { relay });
                    let reason = "the relay did not answer an append in time".to_owned();
                    self.lost(now, relay, reason);
                }
                LinkState::Up(_) if link.unseen.until.is_some_and(|at| at <= now.monotonic) => {
                    self.bring_unseen(now, relay)?;
                }
                LinkState::Up(ref mut live) => {
                    if live.offer_after.is_some_and(|at| at <= now.monotonic) {
                        live.offer_after = None;
                    }
                    live.look_again.take_if(|at| *at <= now.monotonic);
                    live.pauses.run_out(now.monotonic);
                    self.drive(now, relay, Input::Timeout)?;
                }
                LinkState::Off | LinkState::Connecting => {}
            }
        }
        Ok(())
    }

    /// Asks each relay that is connected whether it is still there.
    pub(super) fn probe(&mut self, now: Now) -> Result<(), NodeError> {
        let relays: Vec<RelayKey> = self.links.keys().copied().collect();
        for relay in relays {
            let link = self.links.get_mut(&relay);
            if link.and_then(Link::live).is_some_and(|live| live.ready) {
                self.drive(now, relay, Input::Probe)?;
            }
        }
        Ok(())
    }

    /// Proves, subscribes and appends whatever each connection still lacks.
    pub(super) fn offer_outbox(&mut self, now: Now) -> Result<(), NodeError> {
        let relays: Vec<RelayKey> = self.links.keys().copied().collect();
        for relay in relays {
            let link = self.links.get_mut(&relay);
            if !link.and_then(Link::live).is_some_and(|live| live.ready) {
                continue;
            }
            self.end_unwanted_reoffers(relay)?;
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
        let mut inputs = self.missing_proofs(relay, carried);
        inputs.extend(self.unsubscriptions(relay));
        inputs.extend(self.missing_subscription(relay, carried)?);
        inputs.extend(self.next_append(now, relay, carried)?);
        Ok(inputs)
    }

    fn missing_proofs(&mut self, relay: RelayKey, carried: &[TimelineId]) -> Vec<Input> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Vec::new();
        };
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
        inputs
    }

    /// Gives the session one input and carries out what it asks, until it asks nothing more.
    fn drive(&mut self, now: Now, relay: RelayKey, input: Input) -> Result<(), NodeError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
                return Ok(());
            };
            let outcome = live.session.handle(now, input, &self.store);
            let mut outputs = Vec::new();
            while let Some(output) = live.session.poll_output() {
                outputs.push(output);
            }
            let has_ended = live.session.is_closed();
            for output in outputs {
                match output {
                    Output::Send(lane, frame) => {
                        self.held.push(PeerOutput::Send { relay, lane, frame })
                    }
                    Output::Event(event) => inputs.extend(self.session_event(now, relay, event)?),
                    Output::Close { .. } => self.held.push(PeerOutput::Disconnect { relay }),
                }
            }
            match outcome {
                Err(error) => {
                    self.held.push(PeerOutput::Disconnect { relay });
                    self.lost(now, relay, error.to_string());
                }
                // In good order: the driver, told to disconnect, reports nothing more.
                Ok(()) if has_ended => self.lost(now, relay, "the relay said goodbye".to_owned()),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Tells whoever watches how a relay stands now.
    pub(super) fn tell_relay(&mut self, relay: RelayKey) {
        if let Some(relay) = self.relay_view(relay) {
            self.emit(Event::Relay { relay });
        }
    }
}
