//! Machines in their places: they take turns, commit, fail and start, as the
//! binaries' drivers let them.

use khlong_crdt::time::Monotonic;
use khlong_relay::hub::HubInput;
use khlong_store::engine::memory::MemoryDisk;

use super::facts::What;
use super::node::{NodeInput, NodeMachine};
use super::relay::RelayMachine;
use super::world::{Event, World};
use crate::kernel::SECOND;
use crate::kernel::queue::EventClass;
use crate::plan::Entity;

/// Turns of one machine in one microsecond: beyond it a core asks for itself without end.
const TURNS_A_MOMENT_MAX: u32 = 10_000;

/// A device or a relay.
pub(super) enum Machine {
    Node(Box<NodeMachine>),
    Relay(Box<RelayMachine>),
}

impl Machine {
    pub(super) fn is_on(&self) -> bool {
        match self {
            Self::Node(node) => node.is_on(),
            Self::Relay(relay) => relay.is_on(),
        }
    }

    pub(super) fn life(&self) -> u32 {
        match self {
            Self::Node(node) => node.life(),
            Self::Relay(relay) => relay.life(),
        }
    }

    pub(super) fn disk(&self) -> &MemoryDisk {
        match self {
            Self::Node(node) => node.disk(),
            Self::Relay(relay) => relay.disk(),
        }
    }

    pub(super) fn has_inputs(&self) -> bool {
        match self {
            Self::Node(node) => node.has_inputs(),
            Self::Relay(relay) => relay.has_inputs(),
        }
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        match self {
            Self::Node(node) => node.next_deadline(),
            Self::Relay(relay) => relay.next_deadline(),
        }
    }

    pub(super) fn jump_clock(&mut self, by_ms: i64) {
        match self {
            Self::Node(node) => node.jump_clock(by_ms),
            Self::Relay(relay) => relay.jump_clock(by_ms),
        }
    }

    fn start(&mut self, now: Monotonic) -> Result<(), String> {
        match self {
            Self::Node(node) => node.start(now),
            Self::Relay(relay) => relay.start(now),
        }
    }

    fn crash(&mut self, kept_bytes: usize) {
        match self {
            Self::Node(node) => node.crash(kept_bytes),
            Self::Relay(relay) => relay.crash(kept_bytes),
        }
    }
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

impl Seat {
    /// Counts a turn of this moment.
    ///
    /// # Panics
    /// If the core asks for turns without end.
    fn count_turn(&mut self, now: Monotonic) {
        if self.turns_this_moment.0 != now {
            self.turns_this_moment = (now, 0);
            return;
        }
        self.turns_this_moment.1 += 1;
        assert!(
            self.turns_this_moment.1 < TURNS_A_MOMENT_MAX,
            "a core asks for turns without end at {} µs",
            now.0
        );
    }
}

impl World {
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

    pub(super) fn is_on(&self, who: Entity) -> bool {
        self.seats
            .get(&who)
            .is_some_and(|seat| seat.machine.is_on())
    }

    pub(super) fn life_of(&self, who: Entity) -> u32 {
        self.seats.get(&who).map_or(0, |seat| seat.machine.life())
    }

    pub(super) fn give_node(&mut self, now: Monotonic, who: Entity, input: NodeInput) {
        if let Some(Machine::Node(node)) = self.seats.get_mut(&who).map(|seat| &mut seat.machine) {
            node.give(input);
            self.want_turn(now, who);
        }
    }

    pub(super) fn give_relay(&mut self, now: Monotonic, who: Entity, input: HubInput) {
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
    pub(super) fn turn(&mut self, now: Monotonic, who: Entity) {
        let Some(seat) = self.seats.get_mut(&who) else {
            return;
        };
        if seat.turn_at != Some(now) {
            return; // an earlier turn took its place
        }
        seat.turn_at = None;
        seat.count_turn(now);
        let (commit_us, failed, release) = match &mut seat.machine {
            Machine::Node(node) => {
                let turn = node.turn(now);
                let commit_us = self.options.node_commit_us * u64::from(turn.committed);
                let (failed, leaves) = (turn.failed.clone(), turn.has_releases());
                let release = Event::NodeRelease(who, node.life(), Box::new(turn));
                (commit_us, failed, leaves.then_some(release))
            }
            Machine::Relay(relay) => {
                let turn = relay.turn(now);
                let commit_us = self.options.relay_commit_us * u64::from(turn.committed);
                let (failed, leaves) = (turn.failed.clone(), turn.has_releases());
                let release = Event::RelayRelease(who, relay.life(), Box::new(turn));
                (commit_us, failed, leaves.then_some(release))
            }
        };
        let until = now.after_micros(commit_us);
        seat.busy_until = until;
        if let Some(reason) = failed {
            self.core_failed(now, who, reason);
        } else if let Some(release) = release {
            // Before the next turn of the same moment, or a shuffle would reorder a stream.
            self.queue.schedule(until, EventClass::Arrival, release);
        }
        self.want_next(now, who);
    }

    /// The turn that the inputs left over, or the core's next deadline, ask for.
    fn want_next(&mut self, now: Monotonic, who: Entity) {
        let Some(seat) = self.seats.get(&who) else {
            return;
        };
        let (has_inputs, deadline) = (seat.machine.has_inputs(), seat.machine.next_deadline());
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
        let was_on = seat.machine.is_on();
        let outcome = if was_on {
            Ok(())
        } else {
            seat.machine.start(now)
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
    /// Its power goes: what it had not synced is gone, and nobody is told.
    pub(super) fn crash(&mut self, now: Monotonic, who: Entity, kept_bytes: usize) {
        let Some(seat) = self.seats.get_mut(&who) else {
            return;
        };
        if !seat.machine.is_on() {
            return;
        }
        seat.machine.crash(kept_bytes);
        seat.turn_at = None;
        self.trace.note(now, "crash", &[u64::from(who.0)]);
        self.note(now, who, What::Crashed);
        self.silence_wires(who);
    }
}
