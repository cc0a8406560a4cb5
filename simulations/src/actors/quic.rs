//! Connections and frames in QUIC mode: the machines' sockets and what lies between them.
//!
//! A frame goes into a stream of the real `quinn-proto`, datagrams go over the link, and a
//! frame comes out of a stream at the other end. Who is connected, and when an end gives up,
//! follows from datagrams alone; only the end of a contact is told to the node at once, as
//! in frame mode.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use khlong_crdt::id::RelayKey;
use khlong_crdt::time::Monotonic;
use khlong_node::peer::PeerInput;
use khlong_relay::hub::HubInput;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::frame::Lane;
use quinn_proto::{EcnCodepoint, ServerConfig};

use super::WorldError;
use super::node::NodeInput;
use super::wire::{End, Parcel, WireId};
use super::world::{Event, World};
use crate::kernel::queue::EventClass;
use crate::kernel::seeds::Seeds;
use crate::links::air::Sender;
use crate::plan::{Entity, Plan, Role};
use crate::quic::config;
use crate::quic::endpoint::{QuicEndpoint, QuicOutput};
use crate::quic::path::{DatagramPath, UDP_IP_BYTES};

/// Nodes of a plan whose links are real QUIC: a handshake is a hundred times the work of a frame.
pub const QUIC_NODES_MAX: usize = 200;
/// The UDP port of every machine.
const PORT: u16 = 4_433;

/// What happens in QUIC mode.
pub(super) enum QuicEvent {
    /// The two know of each other: the handshake begins.
    Dial(WireId),
    /// The handshake has taken too long.
    GiveUp(WireId),
    /// A datagram arrives, if its contact still stands.
    Datagram {
        from: Entity,
        to: Entity,
        generation: u64,
        ecn: Option<EcnCodepoint>,
        bytes: Vec<u8>,
    },
    /// A socket's deadline has come.
    Timer(Entity),
}

/// A machine's socket.
struct Socket {
    /// The life of the machine that it belongs to.
    life: u32,
    endpoint: QuicEndpoint,
    /// A timer is in the queue for this moment.
    timer_at: Option<Monotonic>,
}

/// Sockets and the ways between them.
pub(super) struct Quic {
    sockets: BTreeMap<Entity, Socket>,
    names: BTreeMap<Entity, String>,
    servers: BTreeMap<Entity, ServerConfig>,
    /// From, to.
    paths: BTreeMap<(Entity, Entity), DatagramPath>,
    /// How often the contact of a node and a relay has ended: what was under way then is lost.
    generations: BTreeMap<(Entity, Entity), u64>,
    /// Frames were queued on these connections and have not left.
    waiting: BTreeSet<(Entity, u64)>,
}

impl Quic {
    /// No socket yet.
    ///
    /// # Errors
    /// [`WorldError::Plan`] if there are too many nodes; [`WorldError::Core`] if a relay's
    /// TLS settings cannot be made.
    pub(super) fn new(plan: &Plan, seeds: Seeds) -> Result<Self, WorldError> {
        let nodes = plan.of_role(Role::Node).count();
        if nodes > QUIC_NODES_MAX {
            return Err(WorldError::Plan(format!(
                "fidelity `quic` takes at most {QUIC_NODES_MAX} nodes, and the plan has {nodes}: \
                 lower `scale` or a group's `count`, or use fidelity `frames`"
            )));
        }
        let mut quic = Self {
            sockets: BTreeMap::new(),
            names: BTreeMap::new(),
            servers: BTreeMap::new(),
            paths: BTreeMap::new(),
            generations: BTreeMap::new(),
            waiting: BTreeSet::new(),
        };
        for (entity, spec) in (0..).map(Entity).zip(&plan.entities) {
            quic.names.insert(entity, spec.name.clone());
            if spec.role == Role::Relay {
                let seed = seeds.bytes(super::relay::KEY_PURPOSE, &spec.name);
                let server =
                    config::server(&seed).map_err(|error| WorldError::core(&spec.name, &error))?;
                quic.servers.insert(entity, server);
            }
        }
        Ok(quic)
    }
}

fn address_of(who: Entity) -> SocketAddr {
    let [_, a, b, c] = who.0.to_be_bytes();
    SocketAddr::from(([10, a, b, c], PORT))
}

fn entity_at(address: SocketAddr) -> Option<Entity> {
    match address {
        SocketAddr::V4(address) => {
            let [_, a, b, c] = address.ip().octets();
            Some(Entity(u32::from_be_bytes([0, a, b, c])))
        }
        SocketAddr::V6(_) => None,
    }
}

impl World {
    /// A wire has been made: its handshake begins when the two know of each other.
    pub(super) fn quic_dial(&mut self, now: Monotonic, id: WireId, discovery_us: u64) {
        let begin = now.after_micros(discovery_us);
        self.queue
            .schedule(begin, EventClass::Timer, Event::Quic(QuicEvent::Dial(id)));
        let patience_us = u64::from(QuicLimits::default().handshake_ms) * 1_000;
        self.queue.schedule(
            begin.after_micros(patience_us),
            EventClass::Timer,
            Event::Quic(QuicEvent::GiveUp(id)),
        );
    }

    pub(super) fn quic_event(&mut self, now: Monotonic, event: QuicEvent) {
        match event {
            QuicEvent::Dial(id) => self.quic_handshake(now, id),
            QuicEvent::GiveUp(id) => {
                let is_waiting = |wire: &super::wire::Wire| !wire.node_open && !wire.node_gone;
                if let Some(wire) = self.wires.get(&id).filter(|wire| is_waiting(wire)) {
                    let node = wire.node;
                    self.quic_abandon(node, id);
                    self.quic_ended(now, id, End::Node, "no answer");
                } else if self.wires.get(&id).is_some_and(|wire| !wire.relay_open) {
                    self.forget_end(id, End::Relay);
                }
            }
            QuicEvent::Datagram {
                from,
                to,
                generation,
                ecn,
                bytes,
            } => {
                if self.generation(from, to) == generation
                    && let Some(socket) = self.socket(to)
                {
                    socket
                        .endpoint
                        .handle_datagram(now, address_of(from), ecn, &bytes);
                    self.quic_outputs(now, to);
                }
            }
            QuicEvent::Timer(who) => {
                let Some(socket) = self.socket(who) else {
                    return;
                };
                if socket.timer_at != Some(now) {
                    return; // an earlier one took its place
                }
                socket.timer_at = None;
                if socket.endpoint.next_deadline().is_some_and(|at| at <= now) {
                    socket.endpoint.handle_timeout(now);
                }
                self.quic_outputs(now, who);
            }
        }
    }

    fn quic_handshake(&mut self, now: Monotonic, id: WireId) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.node_gone) else {
            return;
        };
        let (node, relay, life) = (wire.node, wire.relay, wire.node_life);
        let key = self.relay(relay).map(super::relay::RelayMachine::relay_key);
        let (Some(key), true) = (key, self.life_of(node) == life) else {
            return;
        };
        let Some(socket) = self.socket(node) else {
            return;
        };
        match socket.endpoint.connect(now, id.0, key, address_of(relay)) {
            Ok(()) => self.quic_outputs(now, node),
            Err(error) => self.quic_ended(now, id, End::Node, &error.to_string()),
        }
    }

    /// Queues a frame; [`Self::quic_flush`] lets it leave with what else was queued.
    pub(super) fn quic_send(
        &mut self,
        now: Monotonic,
        id: WireId,
        from: End,
        lane: Lane,
        mut bytes: Vec<u8>,
    ) {
        let Some(who) = self.wires.get(&id).map(|wire| wire.at(from)) else {
            return;
        };
        if lane != Lane::Ephemeral {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            bytes.splice(..0, length.to_be_bytes());
        }
        if let Some(socket) = self.socket(who) {
            socket.endpoint.send(now, id.0, lane, bytes);
        }
        if let Some(quic) = &mut self.quic {
            quic.waiting.insert((who, id.0));
        }
    }

    /// What was queued leaves.
    pub(super) fn quic_flush(&mut self, now: Monotonic) {
        let Some(quic) = &mut self.quic else {
            return;
        };
        let waiting = std::mem::take(&mut quic.waiting);
        for (who, number) in &waiting {
            if let Some(socket) = self.socket(*who) {
                socket.endpoint.flush(now, *number);
            }
        }
        let machines: BTreeSet<Entity> = waiting.into_iter().map(|(who, _)| who).collect();
        for who in machines {
            self.quic_outputs(now, who);
        }
    }

    /// An end closes in good order.
    pub(super) fn quic_close(&mut self, now: Monotonic, id: WireId, end: End) {
        let Some(who) = self.wires.get(&id).map(|wire| wire.at(end)) else {
            return;
        };
        if let Some(socket) = self.socket(who) {
            socket.endpoint.close(now, id.0);
            self.quic_outputs(now, who);
        }
    }

    /// A contact has ended: what is under way is lost, and the next one begins with idle paths.
    pub(super) fn quic_cut(&mut self, node: Entity, relay: Entity) {
        let link = self.reach.get(&(node, relay)).and_then(|reach| reach.link);
        let channel = link
            .and_then(|link| self.links.get(usize::from(link.0)))
            .and_then(|link| link.channel);
        let Some(quic) = &mut self.quic else {
            return;
        };
        *quic.generations.entry((node, relay)).or_default() += 1;
        for ends in [(node, relay), (relay, node)] {
            if let Some(path) = quic.paths.remove(&ends)
                && let Some(channel) = channel
            {
                self.air
                    .vacate(channel, [node, relay], sender_of(ends), path.free_at());
            }
        }
    }

    /// An end forgets a connection without a word.
    pub(super) fn quic_abandon(&mut self, who: Entity, id: WireId) {
        if let Some(socket) = self.socket(who) {
            socket.endpoint.abandon(id.0);
        }
    }

    /// A machine is off: its socket and all connections are gone.
    pub(super) fn quic_silence(&mut self, who: Entity) {
        if let Some(quic) = &mut self.quic {
            quic.sockets.remove(&who);
        }
    }

    /// The socket of a machine that is on, made when it is first wanted.
    fn socket(&mut self, who: Entity) -> Option<&mut Socket> {
        if !self.is_on(who) {
            return None;
        }
        let (life, seeds) = (self.life_of(who), self.seeds);
        let quic = self.quic.as_mut()?;
        let is_current = quic
            .sockets
            .get(&who)
            .is_some_and(|socket| socket.life == life);
        if !is_current {
            let machine = quic.names.get(&who).cloned().unwrap_or_default();
            let server = quic.servers.get(&who).cloned();
            // A relay resets what it forgot; a device's key goes with its process.
            let reset = match server {
                Some(_) => machine.clone(),
                None => format!("{machine}/{life}"),
            };
            let config = config::endpoint(seeds, &machine, life, &reset);
            let socket = Socket {
                life,
                endpoint: QuicEndpoint::new(config, server),
                timer_at: None,
            };
            quic.sockets.insert(who, socket);
        }
        quic.sockets.get_mut(&who)
    }

    /// Carries out what a socket says, then sets its timer.
    fn quic_outputs(&mut self, now: Monotonic, who: Entity) {
        while let Some(output) = self
            .socket(who)
            .and_then(|socket| socket.endpoint.poll_output())
        {
            match output {
                QuicOutput::Datagram { to, ecn, bytes } => {
                    if let Some(to) = entity_at(to) {
                        self.quic_launch(now, who, to, ecn, bytes);
                    }
                }
                QuicOutput::Opened { connection } => {
                    let id = WireId(connection);
                    if let Some(end) = self.wires.get(&id).map(|wire| wire.end_of(who)) {
                        self.arrive(now, id, end, Parcel::Open);
                    }
                }
                QuicOutput::Frame {
                    connection,
                    lane,
                    bytes,
                } => {
                    let id = WireId(connection);
                    if let Some(end) = self.wires.get(&id).map(|wire| wire.end_of(who)) {
                        self.arrive(now, id, end, Parcel::Bytes(lane, bytes));
                    }
                }
                QuicOutput::Closed { connection, reason } => {
                    let id = WireId(connection);
                    if let Some(end) = self.wires.get(&id).map(|wire| wire.end_of(who)) {
                        self.quic_ended(now, id, end, &reason);
                    }
                }
            }
        }
        let Some(socket) = self.socket(who) else {
            return;
        };
        if let Some(at) = socket.endpoint.next_deadline().map(|at| at.max(now))
            && socket.timer_at.is_none_or(|planned| at < planned)
        {
            socket.timer_at = Some(at);
            self.queue
                .schedule(at, EventClass::Timer, Event::Quic(QuicEvent::Timer(who)));
        }
    }

    /// An end has learned that its connection is over, or that there will be none.
    fn quic_ended(&mut self, now: Monotonic, id: WireId, end: End, reason: &str) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let (node, relay, connection) = (wire.node, wire.relay, wire.connection);
        let (was_open, is_theirs) = (
            wire.is_open(end),
            match end {
                End::Node => self.life_of(node) == wire.node_life,
                End::Relay => self.life_of(relay) == wire.relay_life,
            },
        );
        let relay_never_opened = !wire.relay_open;
        match end {
            End::Relay if was_open && is_theirs => {
                self.give_relay(now, relay, HubInput::Disconnected { connection });
            }
            End::Node if was_open && is_theirs => self.tell_node_lost(now, node, relay, reason),
            End::Node if is_theirs => {
                if let Some(key) = self.relay(relay).map(super::relay::RelayMachine::relay_key) {
                    self.connect_failed(now, node, key, reason);
                }
            }
            End::Relay | End::Node => {}
        }
        self.forget_end(id, end);
        if relay_never_opened {
            self.forget_end(id, End::Relay);
        }
    }

    pub(super) fn connect_failed(
        &mut self,
        now: Monotonic,
        node: Entity,
        relay: RelayKey,
        reason: &str,
    ) {
        let input = PeerInput::ConnectFailed {
            relay,
            reason: reason.to_owned(),
            wrong_key: false,
        };
        self.give_node(now, node, NodeInput::Peer(input));
    }

    fn ends(&self, from: Entity, to: Entity) -> (Entity, Entity, End) {
        if self.node(from).is_some() {
            (from, to, End::Node)
        } else {
            (to, from, End::Relay)
        }
    }

    fn generation(&self, from: Entity, to: Entity) -> u64 {
        let (node, relay, _) = self.ends(from, to);
        let generations = self.quic.as_ref().map(|quic| &quic.generations);
        generations
            .and_then(|generations| generations.get(&(node, relay)).copied())
            .unwrap_or_default()
    }

    /// Puts a datagram on its way; where there is no way, or a blocked one, it is lost.
    fn quic_launch(
        &mut self,
        now: Monotonic,
        from: Entity,
        to: Entity,
        ecn: Option<EcnCodepoint>,
        bytes: Vec<u8>,
    ) {
        let (node, relay, end) = self.ends(from, to);
        let generation = self.generation(from, to);
        let Some(reach) = self.reach.get(&(node, relay)) else {
            return;
        };
        let is_blocked = match end {
            End::Node => reach.blocked.first(),
            End::Relay => reach.blocked.last(),
        };
        let link = reach
            .link
            .and_then(|link| self.links.get(usize::from(link.0)));
        let (Some(link), Some(false), true) = (link.copied(), is_blocked, reach.contacts > 0)
        else {
            return;
        };
        let from_a = (end == End::Node) == reach.node_is_a;
        let Some(quic) = &mut self.quic else {
            return;
        };
        let path = quic
            .paths
            .entry((from, to))
            .or_insert_with(|| DatagramPath::new(link.direction(from_a), now));
        if path.is_full(now) {
            return;
        }
        let size = bytes.len() as u64 + UDP_IP_BYTES;
        let (ends, sender, before) = ([from, to], sender_of((from, to)), path.free_at());
        let share = link.channel.map_or(1, |channel| {
            self.air.share(now, channel, ends, sender, before)
        });
        let arrival = path.send(now, size, share, &mut self.random);
        if let Some(channel) = link.channel {
            self.air
                .occupy(channel, ends, sender, before, path.free_at());
        }
        self.link_bytes += size;
        let lengths = [u64::from(from.0), u64::from(to.0), size];
        self.trace.note(now, "datagram", &lengths);
        if let Some(at) = arrival {
            let event = QuicEvent::Datagram {
                from,
                to,
                generation,
                ecn,
                bytes,
            };
            self.queue
                .schedule(at, EventClass::Arrival, Event::Quic(event));
        }
    }
}

/// A direction, to whoever shares its air.
const fn sender_of((from, to): (Entity, Entity)) -> Sender {
    Sender((from.0 as u64) << 32 | to.0 as u64)
}
