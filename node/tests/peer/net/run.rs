//! What happens at a moment: parcels arrive, deadlines come, cores commit, and
//! what they let go is on its way.

use std::collections::BTreeMap;

use khlong_node::error::NodeError;
use khlong_node::peer::{PeerInput, PeerOutput};
use khlong_relay::hub::{ConnectionId, HubInput, HubOutput};

use super::Net;
use super::person::Person;
use super::post::{Parcel, Way};

/// An attempt that nobody answers is given up after this.
const DIAL_TIMEOUT_MS: u64 = 1_000;

impl Net {
    pub(super) fn next_due(&self) -> Option<u64> {
        let nodes = self.people.values().filter_map(Person::next_deadline);
        let timers = nodes.chain(self.relay.next_deadline()).map(|at| at.0);
        timers.chain(self.post.next_due()).min()
    }

    /// Goes to the next moment at which something is due; whether there is one.
    pub(super) fn step(&mut self) -> bool {
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
                    let input = PeerInput::ConnectFailed {
                        relay,
                        reason,
                        wrong_key: false,
                    };
                    to_nodes.entry(name).or_default().push(input);
                }
            }
            Parcel::Frame {
                connection,
                way,
                lane,
                bytes,
            } => {
                let frame = self.post.open(connection, way, lane, &bytes).unwrap();
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

    pub(super) fn node_takes(&mut self, name: &'static str, inputs: Vec<PeerInput>) {
        let now = self.now();
        for input in inputs {
            let Some(peer) = self.people[name].peer.as_ref() else {
                return;
            };
            if !peer.has_room() && self.commit(name).is_err() {
                return;
            }
            let person = self.people.get_mut(name).unwrap();
            let peer = person.peer.as_mut().unwrap();
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
    pub(super) fn commit(&mut self, name: &'static str) -> Result<(), NodeError> {
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

    pub(super) fn relay_takes(&mut self, input: HubInput) {
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

    pub(super) fn break_all(&mut self, reason: &str) {
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
    pub(super) fn break_off(&mut self, connection: ConnectionId) -> Option<&'static str> {
        self.post.lose(connection);
        let name = self.connections.remove(&connection)?;
        let person = self.people.get_mut(name).unwrap();
        person
            .wire
            .take_if(|wire| *wire == connection)
            .map(|_| name)
    }
}
