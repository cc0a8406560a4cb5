//! The event loop over machines and wires.
//!
//! | file | what of the world |
//! |---|---|
//! | this | what it is made of, its loop, what happens to it from outside |
//! | `seats` | machines take turns, commit, fail, start |
//! | `transport` | connections and frames |
//! | `carry` | frames on their way, in frame mode |
//! | `quic` | the same in QUIC mode |
//! | `observe` | what may be asked of it |
//! | `strangers` | connections that no plan knows |

use std::collections::BTreeMap;

use khlong_crdt::id::RelayKey;
use khlong_crdt::time::Monotonic;
use khlong_node::api::{Request, Response};
use khlong_relay::hub::{ConnectionId, Policy};
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::MemoryDisk;
use khlong_sync::wire::frame::{Append, Prove};
use rand_chacha::ChaCha8Rng;

use super::WorldError;
use super::carry::Load;
use super::facts::{Fact, What};
use super::host::MachineClock;
use super::node::{NodeInput, NodeMachine, NodeTurn};
use super::quic::{Quic, QuicEvent};
use super::relay::{RelayMachine, RelayTurn};
use super::seats::{Machine, Seat};
use super::strangers::Overheard;
use super::wire::{End, Parcel, Wire, WireId};
use crate::kernel::SECOND;
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;
use crate::kernel::trace::Trace;
use crate::links::LinkSpec;
use crate::links::air::Air;
use crate::plan::{Entity, LinkIndex, Plan, Role};

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// As values. The verdict on an envelope's signature is remembered by the value itself.
    Values,
    /// As bytes, encoded, decoded and verified strictly at each receiver.
    Bytes,
}

/// What a link is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// A model: frames leave in order, take their time, arrive in order. Thousands of machines.
    #[default]
    Frames,
    /// The real `quinn-proto` and TLS; datagrams are what is queued, delayed and lost. At most
    /// [`QUIC_NODES_MAX`](super::QUIC_NODES_MAX) nodes.
    Quic,
}

/// What a world is made with.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// What links are.
    pub fidelity: Fidelity,
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
    /// Whether what goes over the wires is kept, for strangers and checkers who listen.
    pub capture: bool,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            fidelity: Fidelity::Frames,
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
    /// The sender at this end may notice the loss of this number.
    Missed(WireId, End, u64),
    ConnectFailed(Entity, u32, RelayKey),
    Retry(Entity),
    Quic(QuicEvent),
}

/// A way between a node and a relay.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    pub(super) contacts: u32,
    pub(super) link: Option<LinkIndex>,
    pub(super) node_is_a: bool,
    pub(super) blocked: [bool; 2],
    pub(super) held: [Vec<(WireId, Load)>; 2],
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
    pub(super) air: Air,
    /// In QUIC mode.
    pub(super) quic: Option<Box<Quic>>,
    /// Bytes that have left on links, all headers included.
    pub(super) link_bytes: u64,
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
    /// Every frame since somebody asked last.
    pub(super) frames: Vec<Overheard>,
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
        let quic = match options.fidelity {
            Fidelity::Frames => None,
            Fidelity::Quic => Some(Box::new(Quic::new(plan, seeds)?)),
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
            air: Air::default(),
            quic,
            link_bytes: 0,
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
    /// The stream for whoever needs chance within the run.
    pub fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }
    /// Adds a kind of link.
    pub fn add_link(&mut self, link: LinkSpec) -> LinkIndex {
        self.links.push(link);
        LinkIndex(u16::try_from(self.links.len() - 1).unwrap_or(u16::MAX))
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
            Event::Missed(wire, from, number) => self.missed(now, wire, from, number),
            Event::ConnectFailed(who, life, relay) => {
                if self.life_of(who) == life {
                    self.connect_failed(now, who, relay, "no answer");
                }
            }
            Event::Retry(who) => self.start(now, who),
            Event::Quic(event) => self.quic_event(now, event),
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
    pub(super) fn note(&mut self, at: Monotonic, who: Entity, what: What) {
        self.facts.push(Fact { at, who, what });
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
                    seat.machine.jump_clock(by_ms);
                }
            }
            Action::Ask(who, number, request) => {
                self.give_node(now, who, NodeInput::Request(number, request));
            }
        }
    }
}
