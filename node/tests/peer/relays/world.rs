//! Three relays, a few nodes, frames on their way, virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::RelayKey;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::{Request, Response};
use khlong_node::peer::{Peer, PeerInput, PeerOutput};
use khlong_relay::hub::{ConnectionId, Hub, HubInput, HubOutput, Policy};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_store::store::Store;
use khlong_sync::wire::frame::{Frame, Lane};

use crate::WALL_START_MS;
use crate::disk::{NodeDisk, open_store};

/// One way.
const DELAY_MICROS: u64 = 20_000;
/// An attempt that nobody answers is given up after this, as QUIC's handshake is.
const DIAL_TIMEOUT_MICROS: u64 = 4_000_000;

/// The relays.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
pub(super) const C: usize = 2;
pub(super) const D: usize = 3;
const RELAYS: [usize; 4] = [A, B, C, D];

enum Parcel {
    Dial { to: usize, attempt: u64 },
    DialFailed { to: usize, attempt: u64 },
    ToRelay(ConnectionId, Frame),
    ToNode(ConnectionId, Frame),
    Closed(ConnectionId),
}

struct Machine {
    disk: MemoryDisk,
    hub: Option<Hub>,
    key: SigningKey,
}

struct Person {
    node: NodeDisk,
    peer: Option<Peer>,
    wires: BTreeMap<usize, ConnectionId>,
    attempts: u64,
}

pub(super) struct World {
    micros: u64,
    /// What the clocks on the walls show beyond that, by which nothing is timed.
    clocks_ahead_ms: i64,
    order: u64,
    under_way: BTreeMap<(u64, u64), (&'static str, Parcel)>,
    relays: Vec<Machine>,
    people: BTreeMap<&'static str, Person>,
    connections: BTreeMap<ConnectionId, (&'static str, usize)>,
    next_connection: u64,
    cut: BTreeSet<(&'static str, usize)>,
    /// What a relay pushes to a node takes so much longer than what it answers.
    pub(super) slow_micros: BTreeMap<(&'static str, usize), u64>,
    /// Envelopes in appends, by node and relay.
    pub(super) appended: BTreeMap<(&'static str, usize), u64>,
}

impl World {
    pub(super) fn new(seed: u64, names: &[&'static str]) -> Self {
        let machine = |n: u8| Machine {
            disk: MemoryDisk::new(),
            hub: None,
            key: SigningKey::from_bytes(&[40 + n; 32]),
        };
        let mut world = Self {
            micros: 0,
            clocks_ahead_ms: 0,
            order: 0,
            under_way: BTreeMap::new(),
            relays: [0, 1, 2, 3].map(machine).into(),
            people: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            cut: BTreeSet::new(),
            slow_micros: BTreeMap::new(),
            appended: BTreeMap::new(),
        };
        for relay in RELAYS {
            world.start_relay(relay);
        }
        for name in names {
            let person = Person {
                node: NodeDisk::with_node(name, seed),
                peer: None,
                wires: BTreeMap::new(),
                attempts: 0,
            };
            world.people.insert(name, person);
            world.start(name);
        }
        world
    }

    pub(super) fn address(&self, relay: usize) -> String {
        let host = ["a.test", "b.test", "c.test", "d.test"][relay];
        RelayAddress::new(self.key(relay), host, 4_747)
            .unwrap()
            .to_string()
    }

    pub(super) fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.micros),
            wall: UnixMillis(WALL_START_MS + (self.micros / 1_000) as i64 + self.clocks_ahead_ms),
        }
    }

    /// Somebody sets all clocks.
    pub(super) fn set_clocks_back(&mut self, ms: i64) {
        self.clocks_ahead_ms -= ms;
    }

    pub(super) fn start_relay(&mut self, relay: usize) {
        self.start_relay_with(relay, Policy::default());
    }

    pub(super) fn start_relay_with(&mut self, relay: usize, policy: Policy) {
        let machine = &mut self.relays[relay];
        let store = open_store(&machine.disk, Role::Relay);
        machine.hub = Some(Hub::new(store, machine.key.clone(), policy));
    }

    /// Power goes at a relay, and nobody is told.
    pub(super) fn kill_relay(&mut self, relay: usize) {
        self.relays[relay].disk.crash();
        self.relays[relay].hub = None;
        self.connections.retain(|_, (_, of)| *of != relay);
    }

    /// So much is free on a relay's disk; `None`: as much as it likes.
    pub(super) fn set_free_bytes_at(&self, relay: usize, free: Option<u64>) {
        self.relays[relay].disk.set_free_bytes(free);
    }

    /// Another device of the same user, made from a backup: it writes under an author key of its own.
    pub(super) fn restore(&mut self, name: &'static str, copy: &'static str) {
        let person = &self.people[name];
        let target = Path::new(copy);
        person.peer.as_ref().unwrap().checkpoint(target).unwrap();
        let node = NodeDisk {
            disk: person.node.disk.from_checkpoint(target).unwrap(),
            name: person.node.name.clone(),
            // No opening of the one has the entropy of one of the other.
            openings: person.node.openings + 1_000,
        };
        let person = Person {
            node,
            peer: None,
            wires: BTreeMap::new(),
            attempts: 0,
        };
        self.people.insert(copy, person);
        self.start(copy);
        let now = self.now();
        let peer = self.people.get_mut(copy).unwrap().peer.as_mut().unwrap();
        peer.renew_authors(now).unwrap();
        self.commit(copy);
    }

    /// A node and a relay do not reach each other, and the node is told.
    pub(super) fn cut(&mut self, name: &'static str, relay: usize) {
        self.cut.insert((name, relay));
        self.hang_up(name, relay);
    }

    pub(super) fn heal(&mut self, name: &'static str, relay: usize) {
        self.cut.remove(&(name, relay));
    }

    pub(super) fn connections_made(&self) -> u64 {
        self.next_connection
    }

    pub(super) fn is_connected_to(&self, name: &str, relay: usize) -> bool {
        self.people[name].wires.contains_key(&relay)
    }

    pub(super) fn hang_up(&mut self, name: &'static str, relay: usize) {
        let Some(connection) = self.people.get_mut(name).unwrap().wires.remove(&relay) else {
            return;
        };
        self.connections.remove(&connection);
        self.relay_takes(relay, HubInput::Disconnected { connection });
        let relay = self.key(relay);
        let reason = "the cable was cut".to_owned();
        self.node_takes(name, vec![PeerInput::Disconnected { relay, reason }]);
    }

    /// Power goes at a node.
    pub(super) fn stop(&mut self, name: &'static str) {
        let person = self.people.get_mut(name).unwrap();
        person.node.disk.crash();
        person.peer = None;
        person.attempts += 1;
        for (relay, connection) in std::mem::take(&mut person.wires) {
            self.connections.remove(&connection);
            self.relay_takes(relay, HubInput::Disconnected { connection });
        }
    }

    pub(super) fn start(&mut self, name: &'static str) {
        let now = self.now();
        let person = self.people.get_mut(name).unwrap();
        let mut peer = person.node.open(now).unwrap();
        peer.go_online(now, true);
        person.peer = Some(peer);
        self.commit(name);
    }

    pub(super) fn ask(&mut self, name: &'static str, request: Request) -> Response {
        let now = self.now();
        let peer = self.people.get_mut(name).unwrap().peer.as_mut().unwrap();
        let response = peer.request(now, request);
        self.commit(name);
        response
    }

    pub(super) fn store_of(&self, name: &str) -> &Store {
        self.people[name].peer.as_ref().unwrap().store()
    }

    pub(super) fn store_at(&self, relay: usize) -> &Store {
        self.relays[relay].hub.as_ref().unwrap().store()
    }

    pub(super) fn queued(&self, name: &str) -> u64 {
        self.people[name].peer.as_ref().unwrap().queued()
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        let end = self.micros + ms * 1_000;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.step(due);
        }
        self.micros = end;
    }

    fn next_due(&self) -> Option<u64> {
        let peers = self.people.values().filter_map(|it| it.peer.as_ref());
        let peers = peers.filter_map(Peer::next_deadline);
        let hubs = self.relays.iter().filter_map(|it| it.hub.as_ref());
        let timers = peers.chain(hubs.filter_map(Hub::next_deadline));
        let parcels = self.under_way.keys().map(|(due, _)| *due);
        timers.map(|at| at.0).chain(parcels).min()
    }

    fn step(&mut self, due: u64) {
        self.micros = self.micros.max(due);
        let mut inputs: VecDeque<(&'static str, PeerInput)> = VecDeque::new();
        while let Some(first) = self.under_way.first_entry() {
            if first.key().0 > self.micros {
                break;
            }
            let (name, parcel) = first.remove();
            inputs.extend(self.deliver(name, parcel).map(|input| (name, input)));
        }
        for (name, input) in inputs {
            self.node_takes(name, vec![input]);
        }
        let now = self.now().monotonic;
        let names: Vec<&'static str> = self.people.keys().copied().collect();
        for name in names {
            let peer = self.people[name].peer.as_ref();
            let deadline = peer.and_then(Peer::next_deadline);
            if deadline.is_some_and(|at| at <= now) {
                self.node_takes(name, vec![PeerInput::Timeout]);
            }
        }
        for relay in RELAYS {
            let deadline = self.relays[relay].hub.as_ref().and_then(Hub::next_deadline);
            if deadline.is_some_and(|at| at <= now) {
                self.relay_takes(relay, HubInput::Timeout);
            }
            self.relay_commits(relay);
        }
    }

    fn deliver(&mut self, name: &'static str, parcel: Parcel) -> Option<PeerInput> {
        match parcel {
            Parcel::Dial { to, attempt } => {
                if self.people[name].attempts != attempt {
                    return None;
                }
                if self.relays[to].hub.is_none() || self.cut.contains(&(name, to)) {
                    self.post(
                        DIAL_TIMEOUT_MICROS,
                        name,
                        Parcel::DialFailed { to, attempt },
                    );
                    return None;
                }
                self.next_connection += 1;
                let connection = ConnectionId(self.next_connection);
                self.connections.insert(connection, (name, to));
                let person = self.people.get_mut(name).unwrap();
                person.wires.insert(to, connection);
                let exporter = blake3::derive_key("khlong two relays", &connection.0.to_be_bytes());
                self.relay_takes(
                    to,
                    HubInput::Connected {
                        connection,
                        exporter,
                    },
                );
                let relay = self.key(to);
                Some(PeerInput::Connected { relay, exporter })
            }
            Parcel::DialFailed { to, attempt } => {
                let relay = self.key(to);
                (self.people[name].attempts == attempt).then(|| PeerInput::ConnectFailed {
                    relay,
                    reason: "nobody answered".to_owned(),
                    wrong_key: false,
                })
            }
            Parcel::ToRelay(connection, frame) => {
                let (_, relay) = *self.connections.get(&connection)?;
                self.relay_takes(relay, HubInput::Frame { connection, frame });
                None
            }
            Parcel::ToNode(connection, frame) => {
                let (_, relay) = *self.connections.get(&connection)?;
                let is_heard = self.people[name].wires.get(&relay) == Some(&connection);
                let relay = self.key(relay);
                is_heard.then_some(PeerInput::Frame { relay, frame })
            }
            Parcel::Closed(connection) => {
                let (_, relay) = self.connections.remove(&connection)?;
                self.relay_takes(relay, HubInput::Disconnected { connection });
                None
            }
        }
    }

    fn key(&self, relay: usize) -> RelayKey {
        RelayKey::from_bytes(self.relays[relay].key.verifying_key().to_bytes())
    }

    fn index(&self, key: RelayKey) -> usize {
        let mut relays = RELAYS.into_iter();
        relays.find(|it| self.key(*it) == key).unwrap()
    }

    fn post(&mut self, delay: u64, name: &'static str, parcel: Parcel) {
        self.order += 1;
        let due = (self.micros + delay, self.order);
        self.under_way.insert(due, (name, parcel));
    }

    fn node_takes(&mut self, name: &'static str, inputs: Vec<PeerInput>) {
        let now = self.now();
        let Some(peer) = self.people.get_mut(name).unwrap().peer.as_mut() else {
            return;
        };
        for input in inputs {
            peer.handle(now, input).unwrap();
        }
        self.commit(name);
    }

    fn commit(&mut self, name: &'static str) {
        let now = self.now();
        let peer = self.people.get_mut(name).unwrap().peer.as_mut().unwrap();
        peer.commit(now).unwrap();
        let mut outputs = Vec::new();
        while let Some(output) = peer.poll_output() {
            outputs.push(output);
        }
        for output in outputs {
            self.carry_out(name, output);
        }
    }

    fn carry_out(&mut self, name: &'static str, output: PeerOutput) {
        match output {
            PeerOutput::Event(_) => {}
            PeerOutput::Connect { relay, .. } => {
                let to = self.index(relay);
                let attempt = self.people[name].attempts;
                self.post(DELAY_MICROS, name, Parcel::Dial { to, attempt });
            }
            PeerOutput::Send { relay, frame, .. } => {
                let to = self.index(relay);
                if let Frame::Append(append) = &frame {
                    let envelopes = append.envelopes.len() as u64;
                    *self.appended.entry((name, to)).or_default() += envelopes;
                }
                if let Some(connection) = self.people[name].wires.get(&to).copied() {
                    self.post(DELAY_MICROS, name, Parcel::ToRelay(connection, frame));
                }
            }
            PeerOutput::Disconnect { relay } => {
                let to = self.index(relay);
                let person = self.people.get_mut(name).unwrap();
                if let Some(connection) = person.wires.remove(&to) {
                    self.post(DELAY_MICROS, name, Parcel::Closed(connection));
                }
            }
        }
    }

    fn relay_takes(&mut self, relay: usize, input: HubInput) {
        let now = self.now();
        if let Some(hub) = self.relays[relay].hub.as_mut() {
            hub.handle(now, input).unwrap();
        }
        self.relay_releases(relay);
    }

    fn relay_commits(&mut self, relay: usize) {
        let now = self.now();
        if let Some(hub) = self.relays[relay].hub.as_mut() {
            hub.commit(now).unwrap();
        }
        self.relay_releases(relay);
    }

    fn relay_releases(&mut self, relay: usize) {
        let mut outputs = Vec::new();
        if let Some(hub) = self.relays[relay].hub.as_mut() {
            while let Some(output) = hub.poll_output() {
                outputs.push(output);
            }
        }
        for output in outputs {
            match output {
                HubOutput::Send {
                    connection,
                    frame,
                    lane,
                } => {
                    if let Some((name, of)) = self.connections.get(&connection).copied() {
                        let slow = self.slow_micros.get(&(name, of)).copied();
                        let slow = slow.filter(|_| matches!(lane, Lane::Class(_)));
                        let delay = DELAY_MICROS + slow.unwrap_or(0);
                        self.post(delay, name, Parcel::ToNode(connection, frame));
                    }
                }
                HubOutput::Close { connection, .. } => {
                    if let Some((name, of)) = self.connections.get(&connection).copied() {
                        self.hang_up(name, of);
                    }
                }
            }
        }
    }
}
