//! The event loop over machines and wires.

use std::collections::BTreeMap;

use khlong_crdt::address::{PORT_DEFAULT, RelayAddress};
use khlong_crdt::id::RelayKey;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::{Request, Response};
use khlong_relay::hub::{ConnectionId, Policy};
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::MemoryDisk;
use khlong_sync::wire::frame::{Append, Prove};
use rand_chacha::ChaCha8Rng;

use super::WorldError;
use super::facts::{Fact, What};
use super::node::{NodeInput, NodeMachine, NodeTurn};
use super::relay::{RelayMachine, RelayTurn};
use super::wire::{End, Parcel, Wire, WireId};
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;
use crate::kernel::trace::Trace;
use crate::kernel::{DAY, SECOND};
use crate::links::LinkSpec;
use crate::plan::{Entity, LinkIndex, Plan, Role};

/// 2026-11-26T00:00:00Z: the date on which every run begins.
const EPOCH_MS: i64 = 1_795_651_200_000;
/// Turns of one machine in one microsecond: beyond it a core asks for itself without end.
const TURNS_A_MOMENT_MAX: u32 = 10_000;

/// A machine's idea of the date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineClock {
    /// How far its wall clock is ahead, in milliseconds.
    pub skew_ms: i64,
}

impl MachineClock {
    /// Both clocks at a moment of the run.
    #[must_use]
    pub fn now(self, at: Monotonic) -> Now {
        let since = i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX);
        Now {
            monotonic: at,
            wall: UnixMillis(EPOCH_MS.saturating_add(since).saturating_add(self.skew_ms)),
        }
    }
}

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// As values. The verdict on an envelope's signature is remembered by the value itself.
    Values,
    /// As bytes, encoded, decoded and verified strictly at each receiver.
    Bytes,
}

/// What a world is made with.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// How frames travel.
    pub carriage: Carriage,
    /// What a synced commit takes on a device's flash.
    pub node_commit_us: u64,
    /// The same on a relay's disk.
    pub relay_commit_us: u64,
    /// After this a connection attempt has failed.
    pub connect_timeout_us: u64,
    /// Whether concurrent events are tried in an order drawn from the seed.
    pub shuffled: bool,
    /// What relays allow.
    pub policy: Policy,
    /// Whether every frame becomes a fact: many.
    pub note_frames: bool,
    /// Whether the newest append and proof on any wire are kept, for strangers who listen.
    pub capture: bool,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            carriage: Carriage::Values,
            node_commit_us: 2_000,
            relay_commit_us: 250,
            connect_timeout_us: 4 * SECOND,
            shuffled: false,
            policy: Policy::default(),
            note_frames: false,
            capture: false,
        }
    }
}

/// Something that happens to the world from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A contact begins: the node can reach the relay.
    Up(Entity, Entity, LinkIndex),
    /// It ends: what is in flight is lost. The node notices at once, the relay by silence.
    Down(Entity, Entity),
    /// What the given end sends is held back (`true`) or let go.
    Block(Entity, Entity, End, bool),
    /// The wire breaks, and both may connect again.
    Break(Entity, Entity),
    /// Power goes; of the bytes not synced so many are on the disk.
    Crash(Entity, usize),
    /// Power comes back.
    Start(Entity),
    /// The next operation of the fault's kind fails, after so many that succeed.
    Disk(Entity, u64, Fault),
    /// What the file system has left.
    FreeBytes(Entity, Option<u64>),
    /// The wall clock jumps, by milliseconds.
    ClockJump(Entity, i64),
    /// A person asks for something; the number is for the caller.
    Ask(Entity, u32, Box<Request>),
}

pub(super) enum Event {
    Act(Action),
    Turn(Entity),
    NodeRelease(Entity, u32, Box<NodeTurn>),
    RelayRelease(Entity, u32, Box<RelayTurn>),
    Arrive(WireId, End, Parcel),
    ConnectFailed(Entity, u32, RelayKey),
    Retry(Entity),
}

pub(super) enum Machine {
    Node(Box<NodeMachine>),
    Relay(Box<RelayMachine>),
}

/// A machine with what its driver keeps.
pub(super) struct Seat {
    pub(super) machine: Machine,
    /// The disk is busy until then.
    busy_until: Monotonic,
    /// A turn is in the queue for this moment.
    turn_at: Option<Monotonic>,
    turns_this_moment: (Monotonic, u32),
}

/// A way between a node and a relay.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    pub(super) contacts: u32,
    pub(super) link: Option<LinkIndex>,
    pub(super) node_is_a: bool,
    pub(super) blocked: [bool; 2],
    pub(super) held: [Vec<(WireId, Parcel, u64)>; 2],
    pub(super) wire: Option<WireId>,
}

/// Machines, wires and the time.
pub struct World {
    pub(super) options: WorldOptions,
    pub(super) seeds: Seeds,
    pub(super) queue: EventQueue<Event>,
    pub(super) seats: BTreeMap<Entity, Seat>,
    pub(super) links: Vec<LinkSpec>,
    pub(super) reach: BTreeMap<(Entity, Entity), Reach>,
    pub(super) wires: BTreeMap<WireId, Wire>,
    pub(super) by_connection: BTreeMap<(Entity, ConnectionId), WireId>,
    pub(super) relay_keys: BTreeMap<RelayKey, Entity>,
    pub(super) wires_made: u64,
    pub(super) random: ChaCha8Rng,
    pub(super) facts: Vec<Fact>,
    pub(super) answers: Vec<(Entity, u32, Response)>,
    pub(super) events: Vec<(Entity, khlong_node::api::Event)>,
    pub(super) trace: Trace,
    pub(super) captured: Captured,
    /// Copies of devices, with whom they were copied from.
    pub(super) twins: BTreeMap<Entity, Entity>,
}

/// What somebody who listens on the wires would have.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) append: Option<Append>,
    pub(super) proof: Option<Prove>,
}

impl World {
    /// The machines of a plan, all on; nobody can reach anybody.
    ///
    /// # Errors
    /// [`WorldError::Core`] if a machine does not start on its empty disk.
    pub fn new(plan: &Plan, seeds: Seeds, options: WorldOptions) -> Result<Self, WorldError> {
        let queue = if options.shuffled {
            EventQueue::shuffled(seeds.stream("tiebreaks", ""))
        } else {
            EventQueue::in_order()
        };
        let mut world = Self {
            seeds,
            queue,
            seats: BTreeMap::new(),
            links: plan.links.clone(),
            reach: BTreeMap::new(),
            wires: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            relay_keys: BTreeMap::new(),
            wires_made: 0,
            random: seeds.stream("wires", ""),
            facts: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
            trace: Trace::default(),
            captured: Captured::default(),
            twins: BTreeMap::new(),
            options,
        };
        for (entity, spec) in (0..).map(Entity).zip(&plan.entities) {
            let (disk, clock) = (MemoryDisk::new(), MachineClock::default());
            let machine = match spec.role {
                Role::Node => Machine::Node(Box::new(
                    NodeMachine::create(&spec.name, seeds, disk, clock)
                        .map_err(|error| WorldError::core(&spec.name, &error))?,
                )),
                Role::Relay => {
                    let policy = world.options.policy.clone();
                    let relay = RelayMachine::create(&spec.name, seeds, disk, policy, clock);
                    world.relay_keys.insert(relay.relay_key(), entity);
                    Machine::Relay(Box::new(relay))
                }
            };
            world.add_machine(Monotonic(0), entity, machine);
        }
        Ok(world)
    }

    /// Puts a machine in its place and switches it on.
    pub(super) fn add_machine(&mut self, now: Monotonic, who: Entity, machine: Machine) {
        let seat = Seat {
            machine,
            busy_until: now,
            turn_at: None,
            turns_this_moment: (now, 0),
        };
        self.seats.insert(who, seat);
        self.start(now, who);
    }

    /// The present moment.
    #[must_use]
    pub const fn now(&self) -> Monotonic {
        self.queue.now()
    }

    /// Events handled so far.
    #[must_use]
    pub const fn events_handled(&self) -> u64 {
        self.queue.taken()
    }

    /// The running hash of everything that happened.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Envelopes that wait in the outboxes of devices that run, copies aside.
    #[must_use]
    pub fn outboxes(&self) -> u64 {
        let devices = self
            .seats
            .iter()
            .filter(|(who, _)| !self.twins.contains_key(who));
        devices
            .filter_map(|(_, seat)| match &seat.machine {
                Machine::Node(node) => node.peer(),
                Machine::Relay(_) => None,
            })
            .map(khlong_node::peer::Peer::queued)
            .sum()
    }

    /// Which devices are not idle, in words.
    pub fn why_busy(&mut self) -> String {
        let now = self.now();
        let mut words = Vec::new();
        for (who, seat) in &mut self.seats {
            let Machine::Node(node) = &mut seat.machine else {
                continue;
            };
            if node
                .peer()
                .is_some_and(|peer| !peer.is_idle() || peer.queued() > 0)
            {
                let status = match node.ask(now, Request::Status) {
                    Some(Response::Status { queued, relays, .. }) => {
                        format!("{queued} queued, {relays:?}")
                    }
                    other => format!("{other:?}"),
                };
                let outbox = match node.ask(now, Request::OutboxLs) {
                    Some(Response::Outbox { entries }) => format!("{:?}", entries.first()),
                    other => format!("{other:?}"),
                };
                words.push(format!("machine {}: {status}, first {outbox}", who.0));
            }
        }
        words.join("; ")
    }

    /// The stream for whoever needs chance within the run.
    pub fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }

    /// Facts of the time before the run: what relays promised then holds too.
    pub fn take_facts_of_setup(&mut self) -> Vec<Fact> {
        let promises = |fact: &Fact| matches!(fact.what, What::Acknowledged { .. });
        self.take_facts().into_iter().filter(promises).collect()
    }

    /// Facts since the last call.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// Answers to [`Action::Ask`] since the last call.
    pub fn take_answers(&mut self) -> Vec<(Entity, u32, Response)> {
        std::mem::take(&mut self.answers)
    }

    /// What nodes told whoever watches, since the last call.
    pub fn take_events(&mut self) -> Vec<(Entity, khlong_node::api::Event)> {
        std::mem::take(&mut self.events)
    }

    /// A device.
    #[must_use]
    pub fn node(&self, who: Entity) -> Option<&NodeMachine> {
        match &self.seats.get(&who)?.machine {
            Machine::Node(node) => Some(node),
            Machine::Relay(_) => None,
        }
    }

    /// A device, to ask it something.
    pub fn node_mut(&mut self, who: Entity) -> Option<&mut NodeMachine> {
        match &mut self.seats.get_mut(&who)?.machine {
            Machine::Node(node) => Some(node),
            Machine::Relay(_) => None,
        }
    }

    /// A relay.
    #[must_use]
    pub fn relay(&self, who: Entity) -> Option<&RelayMachine> {
        match &self.seats.get(&who)?.machine {
            Machine::Relay(relay) => Some(relay),
            Machine::Node(_) => None,
        }
    }

    /// Adds a kind of link.
    pub fn add_link(&mut self, link: LinkSpec) -> LinkIndex {
        self.links.push(link);
        LinkIndex(u16::try_from(self.links.len() - 1).unwrap_or(u16::MAX))
    }

    /// Whether a contact between a node and a relay stands.
    #[must_use]
    pub fn is_reachable(&self, node: Entity, relay: Entity) -> bool {
        self.reach
            .get(&(node, relay))
            .is_some_and(|reach| reach.contacts > 0)
    }

    /// A relay's address, as people would hand it on.
    #[must_use]
    pub fn relay_address(&self, who: Entity) -> String {
        let host = format!("r{}.khlong.example", who.0);
        self.relay(who)
            .and_then(|relay| RelayAddress::new(relay.relay_key(), &host, PORT_DEFAULT).ok())
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    /// Everybody, in order.
    pub fn entities(&self) -> impl Iterator<Item = Entity> {
        self.seats.keys().copied()
    }

    /// Plans something from outside.
    pub fn act(&mut self, at: Monotonic, action: Action) {
        let class = match action {
            Action::Ask(..) => EventClass::Workload,
            Action::Up(..)
            | Action::Down(..)
            | Action::Block(..)
            | Action::Break(..)
            | Action::Crash(..)
            | Action::Start(_)
            | Action::Disk(..)
            | Action::FreeBytes(..)
            | Action::ClockJump(..) => EventClass::World,
        };
        self.queue.schedule(at, class, Event::Act(action));
    }

    /// Handles the next event that is not after `end`; whether there was one.
    pub fn step(&mut self, end: Monotonic) -> bool {
        let Some((now, event)) = self.queue.pop_until(end) else {
            return false;
        };
        match event {
            Event::Act(action) => self.perform(now, action),
            Event::Turn(who) => self.turn(now, who),
            Event::NodeRelease(who, life, turn) => self.release_node(now, who, life, *turn),
            Event::RelayRelease(who, life, turn) => self.release_relay(now, who, life, *turn),
            Event::Arrive(wire, end, parcel) => self.arrive(now, wire, end, parcel),
            Event::ConnectFailed(who, life, relay) => {
                if self.life_of(who) == life {
                    let reason = "no answer".to_owned();
                    let input = khlong_node::peer::PeerInput::ConnectFailed { relay, reason };
                    self.give_node(now, who, NodeInput::Peer(input));
                }
            }
            Event::Retry(who) => self.start(now, who),
        }
        true
    }

    /// Handles events up to `end`.
    pub fn run_until(&mut self, end: Monotonic) {
        while self.step(end) {}
    }

    /// Handles events until every device says that it is idle, or `limit_us` have passed; whether it was in time.
    pub fn run_until_idle(&mut self, limit_us: u64) -> bool {
        let end = self.now().after_micros(limit_us);
        loop {
            let pause = self.now().after_micros(SECOND / 5).min(end);
            self.run_until(pause);
            if self.is_idle() {
                return true;
            }
            if self.now() >= end {
                return false;
            }
        }
    }

    /// Whether every device that runs has nothing to send and nothing to fetch.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.seats.values().all(|seat| match &seat.machine {
            Machine::Node(node) => node
                .peer()
                .is_none_or(|peer| peer.is_idle() && !node.has_inputs()),
            Machine::Relay(relay) => !relay.has_inputs(),
        })
    }

    pub(super) fn note(&mut self, at: Monotonic, who: Entity, what: What) {
        self.facts.push(Fact { at, who, what });
    }

    pub(super) fn life_of(&self, who: Entity) -> u32 {
        match self.seats.get(&who).map(|seat| &seat.machine) {
            Some(Machine::Node(node)) => node.life(),
            Some(Machine::Relay(relay)) => relay.life(),
            None => 0,
        }
    }

    pub(super) fn give_node(&mut self, now: Monotonic, who: Entity, input: NodeInput) {
        if let Some(node) = self.node_mut(who) {
            node.give(input);
            self.want_turn(now, who);
        }
    }

    pub(super) fn give_relay(
        &mut self,
        now: Monotonic,
        who: Entity,
        input: khlong_relay::hub::HubInput,
    ) {
        if let Some(Machine::Relay(relay)) = self.seats.get_mut(&who).map(|seat| &mut seat.machine)
        {
            relay.give(input);
            self.want_turn(now, who);
        }
    }

    /// A turn as soon as the disk is free, unless an earlier one is planned.
    fn want_turn(&mut self, now: Monotonic, who: Entity) {
        let Some(seat) = self.seats.get_mut(&who) else {
            return;
        };
        let at = now.max(seat.busy_until);
        if seat.turn_at.is_none_or(|planned| at < planned) {
            seat.turn_at = Some(at);
            self.queue.schedule(at, EventClass::Timer, Event::Turn(who));
        }
    }

    fn turn(&mut self, now: Monotonic, who: Entity) {
        let Some(seat) = self.seats.get_mut(&who) else {
            return;
        };
        if seat.turn_at != Some(now) {
            return; // an earlier turn took its place
        }
        seat.turn_at = None;
        if seat.turns_this_moment.0 == now {
            seat.turns_this_moment.1 += 1;
            assert!(
                seat.turns_this_moment.1 < TURNS_A_MOMENT_MAX,
                "a core asks for turns without end at {} µs",
                now.0
            );
        } else {
            seat.turns_this_moment = (now, 0);
        }
        match &mut seat.machine {
            Machine::Node(node) => {
                let turn = node.turn(now);
                let (life, failed) = (node.life(), turn.failed.clone());
                let until = now.after_micros(self.options.node_commit_us);
                seat.busy_until = until;
                if let Some(reason) = failed {
                    self.core_failed(now, who, reason);
                } else if turn.outputs.is_empty() && turn.answers.is_empty() {
                    // Nothing was written that anybody waits for.
                    seat.busy_until = now;
                } else {
                    let event = Event::NodeRelease(who, life, Box::new(turn));
                    // Before the next turn of the same moment, or a shuffle would reorder a stream.
                    self.queue.schedule(until, EventClass::Arrival, event);
                }
            }
            Machine::Relay(relay) => {
                let turn = relay.turn(now);
                let (life, failed) = (relay.life(), turn.failed.clone());
                let until = if turn.committed {
                    now.after_micros(self.options.relay_commit_us)
                } else {
                    now
                };
                seat.busy_until = until;
                if let Some(reason) = failed {
                    self.core_failed(now, who, reason);
                } else if !turn.outputs.is_empty() {
                    let event = Event::RelayRelease(who, life, Box::new(turn));
                    // Before the next turn of the same moment, or a shuffle would reorder a stream.
                    self.queue.schedule(until, EventClass::Arrival, event);
                }
            }
        }
        self.want_next(now, who);
    }

    /// The turn that the inputs left over, or the core's next deadline, ask for.
    fn want_next(&mut self, now: Monotonic, who: Entity) {
        let Some(seat) = self.seats.get(&who) else {
            return;
        };
        let (has_inputs, deadline) = match &seat.machine {
            Machine::Node(node) => (node.has_inputs(), node.next_deadline()),
            Machine::Relay(relay) => (relay.has_inputs(), relay.next_deadline()),
        };
        if has_inputs {
            self.want_turn(now, who);
        } else if let Some(deadline) = deadline {
            self.want_turn(deadline.max(now), who);
        }
    }

    /// Switches a machine on, and tries again later if its disk refuses.
    pub(super) fn start(&mut self, now: Monotonic, who: Entity) {
        let Some(seat) = self.seats.get_mut(&who) else {
            return;
        };
        let (was_on, outcome) = match &mut seat.machine {
            Machine::Node(node) => (
                node.is_on(),
                if node.is_on() {
                    Ok(())
                } else {
                    node.start(now).map_err(|error| error.to_string())
                },
            ),
            Machine::Relay(relay) => (
                relay.is_on(),
                if relay.is_on() {
                    Ok(())
                } else {
                    relay.start().map_err(|error| error.to_string())
                },
            ),
        };
        seat.busy_until = now;
        seat.turn_at = None;
        match outcome {
            Ok(()) if was_on => {}
            Ok(()) => {
                self.note(now, who, What::Started);
                self.trace.note(now, "start", &[u64::from(who.0)]);
                self.reset_old_wires(now, who);
                self.want_turn(now, who);
            }
            Err(reason) => {
                self.note(now, who, What::CoreFailed { reason });
                let again = now.after_micros(SECOND);
                self.queue
                    .schedule(again, EventClass::Timer, Event::Retry(who));
            }
        }
    }

    /// What a binary's driver does after a failure: connections cut, the core built from the disk.
    fn core_failed(&mut self, now: Monotonic, who: Entity, reason: String) {
        self.trace.note_bytes(now, "core failed", reason.as_bytes());
        self.note(now, who, What::CoreFailed { reason });
        self.abandon_wires(now, who);
        let again = now.after_micros(1_000);
        self.queue
            .schedule(again, EventClass::Timer, Event::Retry(who));
    }

    fn perform(&mut self, now: Monotonic, action: Action) {
        match action {
            Action::Up(node, relay, link) => self.contact_up(now, node, relay, link),
            Action::Down(node, relay) => self.contact_down(now, node, relay),
            Action::Block(node, relay, end, blocked) => self.block(now, node, relay, end, blocked),
            Action::Break(node, relay) => self.break_wire(now, node, relay),
            Action::Crash(who, kept_bytes) => self.crash(now, who, kept_bytes),
            Action::Start(who) => self.start(now, who),
            Action::Disk(who, successes, fault) => {
                if let Some(disk) = self.disk(who) {
                    disk.inject_after(successes, fault);
                }
            }
            Action::FreeBytes(who, bytes) => {
                if let Some(disk) = self.disk(who) {
                    disk.set_free_bytes(bytes);
                }
            }
            Action::ClockJump(who, by_ms) => {
                if let Some(seat) = self.seats.get_mut(&who) {
                    match &mut seat.machine {
                        Machine::Node(node) => node.jump_clock(by_ms),
                        Machine::Relay(relay) => relay.jump_clock(by_ms),
                    }
                }
            }
            Action::Ask(who, number, request) => {
                self.give_node(now, who, NodeInput::Request(number, request));
            }
        }
    }

    /// A machine's disk.
    #[must_use]
    pub fn disk(&self, who: Entity) -> Option<&MemoryDisk> {
        Some(match &self.seats.get(&who)?.machine {
            Machine::Node(node) => node.disk(),
            Machine::Relay(relay) => relay.disk(),
        })
    }

    fn crash(&mut self, now: Monotonic, who: Entity, kept_bytes: usize) {
        let Some(seat) = self.seats.get_mut(&who) else {
            return;
        };
        match &mut seat.machine {
            Machine::Node(node) if node.is_on() => node.crash(kept_bytes),
            Machine::Relay(relay) if relay.is_on() => relay.crash(kept_bytes),
            Machine::Node(_) | Machine::Relay(_) => return,
        }
        seat.turn_at = None;
        self.trace.note(now, "crash", &[u64::from(who.0)]);
        self.note(now, who, What::Crashed);
        self.silence_wires(who);
    }
}

/// The longest run: a scenario beyond it is a typing error.
pub const RUN_MAX: u64 = 366 * DAY;
