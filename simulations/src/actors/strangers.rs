//! Connections and devices that no plan of the network knows: strangers, and copies.

use khlong_crdt::time::Monotonic;
use khlong_relay::hub::{ConnectionId, HubInput};
use khlong_sync::wire::frame::{Append, Prove};

use super::seats::Machine;
use super::world::{Action, World};
use crate::plan::{Entity, LinkIndex};

/// Copies are numbered from here on.
const FIRST_TWIN: u32 = 1_000;

/// A frame as it left a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overheard {
    /// Whose.
    pub from: Entity,
    /// For whom.
    pub to: Entity,
    /// What it says, in the form that needs no connection to be read; without the length before it.
    pub bytes: Vec<u8>,
    /// How many bytes left the machine, or why nobody who reads this lane takes them.
    pub sent: Result<usize, String>,
}

impl World {
    /// Every frame on every wire since the last call; nothing unless
    /// [`capture`](super::world::WorldOptions::capture) was asked for.
    pub fn take_overheard(&mut self) -> Vec<Overheard> {
        std::mem::take(&mut self.captured.frames)
    }

    /// Connections that a relay's end of the network still believes in. After a silent end it
    /// takes the relay three keep-alive intervals to give one up.
    #[must_use]
    pub fn connections_of(&self, relay: Entity) -> u64 {
        let connections = self.by_connection.keys();
        connections.filter(|(of, _)| *of == relay).count() as u64
    }

    /// Somebody connects to a relay, over no wire of the plan.
    pub fn stranger_connects(&mut self, now: Monotonic, relay: Entity) -> ConnectionId {
        self.wires_made += 1;
        let connection = ConnectionId(self.wires_made);
        let exporter = self.exporter_of(connection);
        let input = HubInput::Connected {
            connection,
            exporter,
        };
        self.give_relay(now, relay, input);
        connection
    }

    /// Something comes from a stranger.
    pub fn stranger_gives(&mut self, now: Monotonic, relay: Entity, input: HubInput) {
        self.give_relay(now, relay, input);
    }

    /// The channel binding of a connection.
    #[must_use]
    pub fn exporter_of(&self, connection: ConnectionId) -> [u8; 32] {
        self.seeds.bytes("exporter", &connection.0.to_string())
    }

    /// The newest append that was seen on a wire.
    #[must_use]
    pub fn captured_append(&self) -> Option<Append> {
        self.captured.append.clone()
    }

    /// The newest proof that was seen on a wire.
    #[must_use]
    pub const fn captured_proof(&self) -> Option<Prove> {
        self.captured.proof
    }

    /// Copies a device's disk and switches the copy on, beside it. Whether it runs.
    pub fn twin(&mut self, now: Monotonic, of: Entity) -> bool {
        let twin = Entity(FIRST_TWIN + of.0);
        if self.seats.contains_key(&twin) {
            return false;
        }
        let Some(node) = self.node(of) else {
            return false;
        };
        let Some(copy) = node.twin() else {
            return false;
        };
        self.add_machine(now, twin, Machine::Node(Box::new(copy)));
        self.twins.insert(twin, of);
        for relay in self.relay_keys.values().copied().collect::<Vec<_>>() {
            if let Some(link) = self.reach.get(&(of, relay)).and_then(|reach| reach.link) {
                self.act(now, Action::Up(twin, relay, link));
            }
        }
        true
    }

    /// Copies can reach every relay again.
    pub fn connect_twins(&mut self, now: Monotonic, link: LinkIndex) {
        let relays: Vec<Entity> = self.relay_keys.values().copied().collect();
        for twin in self.twins.keys().copied().collect::<Vec<_>>() {
            for relay in &relays {
                if !self.is_reachable(twin, *relay) {
                    self.act(now, Action::Up(twin, *relay, link));
                }
            }
        }
    }
}
