//! A small world: people with nodes, one real relay, frames on their way, virtual time.
//!
//! Whatever is random comes from the world's seed, so a run can be repeated
//! exactly. Frames travel as bytes: each lane keeps its order, lanes overtake
//! each other. After every commit of a node the world checks that no cursor has
//! passed what is not stored.

mod at;
mod checks;
mod person;
mod post;
mod relay;

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::Request;
use khlong_node::error::NodeError;
use khlong_node::peer::{PeerInput, PeerOutput};
use khlong_relay::hub::{ConnectionId, HubInput, HubOutput, Policy};
use khlong_sync::wire;
use khlong_sync::wire::frame::Frame;

use self::at::At;
use self::person::Person;
pub(crate) use self::post::Fate;
use self::post::{Carried, Way};
use self::post::{Parcel, Post};
use self::relay::Relay;
use crate::WALL_START_MS;

/// An attempt that nobody answers is given up after this.
const DIAL_TIMEOUT_MS: u64 = 1_000;
/// Nothing was sent for this long: the world has settled.
const QUIET_MS: u64 = 3_000;
/// A world that has not settled after this much virtual time never will.
const SETTLE_MAX_MS: u64 = 600_000;

pub(crate) struct Net {
    seed: u64,
    micros: u64,
    pub(crate) people: BTreeMap<&'static str, Person>,
    pub(crate) relay: Relay,
    pub(crate) post: Post,
    connections: BTreeMap<ConnectionId, &'static str>,
    next_connection: u64,
    /// Nobody answers their attempts.
    cut_off: BTreeSet<&'static str>,
}

impl Net {
    /// A relay, and nodes that know it.
    pub(crate) fn new(seed: u64, names: &[&'static str]) -> Self {
        Self::with_policy(seed, names, Policy::default())
    }

    pub(crate) fn with_policy(seed: u64, names: &[&'static str], policy: Policy) -> Self {
        let mut net = Self {
            seed,
            micros: 0,
            people: BTreeMap::new(),
            relay: Relay::start(policy),
            post: Post::new(seed),
            connections: BTreeMap::new(),
            next_connection: 0,
            cut_off: BTreeSet::new(),
        };
        for name in names {
            let person = Person::new(name, net.seed, net.now());
            net.people.insert(name, person);
            let address = net.address().to_string();
            let token = None;
            net.ask(name, Request::RelayAdd { address, token }).unwrap();
            net.go_online(name);
        }
        net
    }

    pub(crate) fn at(&mut self, name: &'static str) -> At<'_> {
        At { net: self, name }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.micros),
            wall: UnixMillis(WALL_START_MS + (self.micros / 1_000) as i64),
        }
    }

    pub(crate) fn address(&self) -> RelayAddress {
        RelayAddress::new(self.relay.key(), "relay.test", 4_747).unwrap()
    }

    /// The connection breaks, with everything that is on it, and none comes about until [`Net::heal`].
    pub(crate) fn cut(&mut self, name: &'static str) {
        self.cut_off.insert(name);
        self.hang_up(name, "the cable was cut");
    }

    /// The connection breaks, with everything that is on it.
    pub(crate) fn hang_up(&mut self, name: &'static str, reason: &str) {
        let Some(connection) = self.people[name].wire else {
            return;
        };
        self.break_off(connection);
        self.relay_takes(HubInput::Disconnected { connection });
        let relay = self.relay.key();
        let reason = reason.to_owned();
        self.node_takes(name, vec![PeerInput::Disconnected { relay, reason }]);
    }

    /// Frames of this person vanish, and nobody is told, until [`Net::heal`].
    pub(crate) fn silence(&mut self, name: &'static str) {
        if let Some(other) = self.post.swallow(Some(name)).filter(|other| *other != name) {
            self.hang_up(other, "it was silent");
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut_off.clear();
        // A stream has no holes: one that lost frames never carries others.
        if let Some(name) = self.post.swallow(None) {
            self.hang_up(name, "it was silent");
        }
    }

    /// Power goes at a node: what was not durable is gone, and so is the connection.
    pub(crate) fn crash(&mut self, name: &'static str) {
        let person = self.people.get_mut(name).unwrap();
        person.crash();
        if let Some(connection) = person.wire {
            self.break_off(connection);
            self.relay_takes(HubInput::Disconnected { connection });
        }
    }

    /// And comes back.
    pub(crate) fn start(&mut self, name: &'static str) {
        let now = self.now();
        self.people.get_mut(name).unwrap().open(now);
        self.go_online(name);
    }

    /// Power goes at the relay.
    pub(crate) fn crash_relay(&mut self) {
        self.relay.crash();
        self.break_all("the relay is gone");
    }

    /// The relay ends in good order: everybody is told, then it is gone.
    pub(crate) fn shut_down_relay(&mut self) {
        self.relay_takes(HubInput::ShutDown);
        self.relay.stop();
    }

    pub(crate) fn start_relay(&mut self) {
        self.relay.open();
    }

    /// Virtual time passes, and everything that is due in it happens.
    pub(crate) fn run_ms(&mut self, ms: u64) {
        let end = self.micros + ms * 1_000;
        while self.next_due().is_some_and(|due| due <= end) {
            self.step();
        }
        self.micros = end;
    }

    /// Runs until `seen`; panics when it never is.
    pub(crate) fn run_until(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> bool) {
        let end = self.micros + SETTLE_MAX_MS * 1_000;
        while !seen(self) {
            assert!(self.micros < end, "never: {what}");
            assert!(self.step(), "nothing is due any more, and never: {what}");
        }
    }

    /// Runs until nothing moves any more: everybody who can be is connected, has
    /// everything, has handed over everything, and nothing was sent for a while.
    pub(crate) fn settle(&mut self) {
        let end = self.micros + SETTLE_MAX_MS * 1_000;
        loop {
            let sent = self.post.carried.len();
            self.run_ms(QUIET_MS);
            if self.post.carried.len() == sent && self.is_quiet() {
                return;
            }
            assert!(
                self.micros < end,
                "the world does not settle: {}",
                self.state()
            );
        }
    }

    /// Asks, as a driver does: the answer counts once it is durable.
    pub(crate) fn ask(
        &mut self,
        name: &'static str,
        request: Request,
    ) -> Result<khlong_node::api::Response, NodeError> {
        let now = self.now();
        let peer = self.people.get_mut(name).unwrap().peer.as_mut().unwrap();
        let response = peer.request(now, request);
        self.commit(name).map(|()| response)
    }

    fn go_online(&mut self, name: &'static str) {
        let now = self.now();
        let peer = self.people.get_mut(name).unwrap().peer.as_mut().unwrap();
        peer.go_online(now, true);
        self.commit(name).unwrap();
    }

    fn next_due(&self) -> Option<u64> {
        let nodes = self.people.values().filter_map(Person::next_deadline);
        let timers = nodes.chain(self.relay.next_deadline()).map(|at| at.0);
        timers.chain(self.post.next_due()).min()
    }

    /// Goes to the next moment at which something is due; whether there is one.
    fn step(&mut self) -> bool {
        let Some(due) = self.next_due() else {
            return false;
        };
        self.micros = self.micros.max(due);
        let mut to_nodes: BTreeMap<&'static str, Vec<PeerInput>> = BTreeMap::new();
        while let Some(parcel) = self.post.take_due(self.micros) {
            self.deliver(parcel, &mut to_nodes);
        }
        let now = self.now().monotonic;
        for (name, person) in &self.people {
            if person.next_deadline().is_some_and(|at| at <= now) {
                to_nodes.entry(name).or_default().push(PeerInput::Timeout);
            }
        }
        for (name, inputs) in to_nodes {
            self.node_takes(name, inputs);
        }
        if self.relay.next_deadline().is_some_and(|at| at <= now) {
            self.relay_takes(HubInput::Timeout);
        }
        self.relay_commits();
        true
    }

    fn deliver(&mut self, parcel: Parcel, to_nodes: &mut BTreeMap<&'static str, Vec<PeerInput>>) {
        let relay = self.relay.key();
        match parcel {
            Parcel::Dial { name, attempt } => {
                if self.people[name].attempt == attempt {
                    let input = self.dial(name);
                    to_nodes.entry(name).or_default().extend(input);
                }
            }
            Parcel::DialFailed { name, attempt } => {
                let person = self.people.get_mut(name).unwrap();
                if person.attempt == attempt {
                    person.failed_at.push(self.micros);
                    let reason = "nobody answered".to_owned();
                    let input = PeerInput::ConnectFailed { relay, reason };
                    to_nodes.entry(name).or_default().push(input);
                }
            }
            Parcel::Frame {
                connection,
                way,
                bytes,
            } => {
                let frame = wire::decode(&bytes).unwrap();
                match way {
                    Way::ToRelay => self.relay_takes(HubInput::Frame { connection, frame }),
                    Way::ToNode => {
                        let name = self.connections[&connection];
                        // Who has hung up hears nothing more.
                        if self.people[name].wire == Some(connection) {
                            let input = PeerInput::Frame { relay, frame };
                            to_nodes.entry(name).or_default().push(input);
                        }
                    }
                }
            }
            Parcel::Closed { connection, way } => {
                let listener = self.break_off(connection);
                match (way, listener) {
                    (Way::ToRelay, _) => self.relay_takes(HubInput::Disconnected { connection }),
                    (Way::ToNode, None) => {}
                    (Way::ToNode, Some(name)) => {
                        let reason = "the relay closed the connection".to_owned();
                        let input = PeerInput::Disconnected { relay, reason };
                        to_nodes.entry(name).or_default().push(input);
                    }
                }
            }
        }
    }

    /// A connection comes about, or nobody answers and the caller hears so later.
    fn dial(&mut self, name: &'static str) -> Option<PeerInput> {
        let person = self.people.get_mut(name).unwrap();
        if self.relay.hub.is_none() || self.cut_off.contains(name) {
            let attempt = person.attempt;
            let failed = Parcel::DialFailed { name, attempt };
            self.post.at(self.micros + DIAL_TIMEOUT_MS * 1_000, failed);
            return None;
        }
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, name);
        person.wire = Some(connection);
        person.connected_at.push(self.micros);
        let exporter =
            blake3::derive_key("khlong peer tests exporter", &connection.0.to_be_bytes());
        self.relay_takes(HubInput::Connected {
            connection,
            exporter,
        });
        let relay = self.relay.key();
        Some(PeerInput::Connected { relay, exporter })
    }

    fn node_takes(&mut self, name: &'static str, inputs: Vec<PeerInput>) {
        let now = self.now();
        for input in inputs {
            let person = self.people.get_mut(name).unwrap();
            let Some(peer) = person.peer.as_mut() else {
                return;
            };
            let is_frame = matches!(input, PeerInput::Frame { .. });
            if let Err(error) = peer.handle(now, input) {
                return self.node_failed(name, &error);
            }
            if is_frame && person.is_hit() {
                self.crash(name);
                return self.start(name);
            }
        }
        // A failure is counted, and the node is open again.
        let _ = self.commit(name);
    }

    /// One durable batch, and only then what it lets go.
    fn commit(&mut self, name: &'static str) -> Result<(), NodeError> {
        let now = self.now();
        let person = self.people.get_mut(name).unwrap();
        let peer = person.peer.as_mut().unwrap();
        if let Err(error) = peer.commit(now) {
            assert!(
                peer.poll_output().is_none(),
                "something left before it was durable"
            );
            self.node_failed(name, &error);
            return Err(error);
        }
        let mut outputs = Vec::new();
        while let Some(output) = peer.poll_output() {
            outputs.push(output);
        }
        for output in outputs {
            self.carry_out(name, output);
        }
        self.check_cursors(name);
        Ok(())
    }

    /// What a driver does then: nothing in memory counts, the disk is asked.
    fn node_failed(&mut self, name: &'static str, error: &NodeError) {
        self.people
            .get_mut(name)
            .unwrap()
            .failures
            .push(error.full_message());
        self.crash(name);
        self.start(name);
    }

    fn carry_out(&mut self, name: &'static str, output: PeerOutput) {
        let person = self.people.get_mut(name).unwrap();
        match output {
            PeerOutput::Event(event) => person.events.push(event),
            PeerOutput::Connect { .. } => {
                person.attempt += 1;
                person.dialled_at.push(self.micros);
                let attempt = person.attempt;
                self.post.dial(self.micros, Parcel::Dial { name, attempt });
            }
            PeerOutput::Send { lane, frame, .. } => {
                assert_eq!(lane, frame.lane());
                if let Some(connection) = person.wire {
                    self.post
                        .send(self.micros, name, connection, Way::ToRelay, frame);
                }
            }
            PeerOutput::Disconnect { .. } => {
                if let Some(connection) = person.wire.take() {
                    self.post.close(self.micros, connection, Way::ToRelay);
                }
            }
        }
    }

    fn relay_takes(&mut self, input: HubInput) {
        let now = self.now();
        let Some(hub) = self.relay.hub.as_mut() else {
            return;
        };
        if hub.handle(now, input).is_err() {
            return self.relay_failed();
        }
        self.relay_releases();
    }

    fn relay_commits(&mut self) {
        let now = self.now();
        let Some(hub) = self.relay.hub.as_mut() else {
            return;
        };
        if hub.commit(now).is_err() {
            return self.relay_failed();
        }
        self.relay_releases();
    }

    fn relay_releases(&mut self) {
        let Some(hub) = self.relay.hub.as_mut() else {
            return;
        };
        while let Some(output) = hub.poll_output() {
            let (HubOutput::Send { connection, .. } | HubOutput::Close { connection, .. }) = output;
            let Some(name) = self.connections.get(&connection) else {
                continue;
            };
            match output {
                HubOutput::Send { frame, .. } => {
                    self.post
                        .send(self.micros, name, connection, Way::ToNode, frame);
                }
                HubOutput::Close { .. } => {
                    self.post.close(self.micros, connection, Way::ToNode);
                }
            }
        }
    }

    fn relay_failed(&mut self) {
        self.relay.failures += 1;
        self.crash_relay();
        self.start_relay();
    }

    fn break_all(&mut self, reason: &str) {
        let relay = self.relay.key();
        let all: Vec<_> = self.connections.keys().copied().collect();
        for connection in all {
            let heard = self.break_off(connection);
            if let Some(name) = heard {
                let reason = reason.to_owned();
                self.node_takes(name, vec![PeerInput::Disconnected { relay, reason }]);
            }
        }
    }

    /// Forgets a connection and everything that is on it; who still listened there.
    fn break_off(&mut self, connection: ConnectionId) -> Option<&'static str> {
        self.post.lose(connection);
        let name = self.connections.remove(&connection)?;
        let person = self.people.get_mut(name).unwrap();
        person
            .wire
            .take_if(|wire| *wire == connection)
            .map(|_| name)
    }

    /// What a reader of a failed run wants to know.
    fn state(&mut self) -> String {
        let names: Vec<_> = self.people.keys().copied().collect();
        let running = names
            .into_iter()
            .filter(|name| self.people[name].peer.is_some())
            .collect::<Vec<_>>();
        let mut state = String::new();
        for name in running {
            let said = self.at(name).ask(Request::Status);
            let waiting = self.at(name).ask(Request::OutboxLs);
            state.push_str(&format!("\n{name}: {said:?}\n{waiting:?}"));
        }
        for carried in self.post.carried.iter().rev().take(20) {
            let Carried {
                name, way, sent_at, ..
            } = carried;
            state.push_str(&format!("\n{sent_at} {name} {way:?} {:?}", carried.fate));
        }
        state
    }

    fn is_quiet(&mut self) -> bool {
        let is_up = self.relay.hub.is_some();
        let names: Vec<_> = self.people.keys().copied().collect();
        let reachable = names
            .into_iter()
            .filter(|name| {
                is_up && !self.cut_off.contains(name) && self.people[name].peer.is_some()
            })
            .collect::<Vec<_>>();
        !self.post.has_frames()
            && reachable
                .into_iter()
                .all(|name| self.at(name).has_caught_up() && self.at(name).waiting() == 0)
    }
}

/// What the kinds of frames are called in a test.
pub(crate) fn is_append(frame: &Frame) -> bool {
    matches!(frame, Frame::Append(_))
}

pub(crate) fn is_ack(frame: &Frame) -> bool {
    matches!(frame, Frame::Ack(_))
}

pub(crate) fn is_push(frame: &Frame) -> bool {
    matches!(frame, Frame::Push(_))
}
