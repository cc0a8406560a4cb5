//! What may be asked of a world: by recorders, checkers, and setup.

use khlong_crdt::address::{PORT_DEFAULT, RelayAddress};
use khlong_node::api::{Request, Response};
use khlong_node::peer::Peer;
use khlong_store::engine::memory::MemoryDisk;

use super::facts::{Fact, What};
use super::node::NodeMachine;
use super::relay::RelayMachine;
use super::seats::Machine;
use super::world::World;
use crate::plan::Entity;

impl World {
    /// Facts of the time before the run: what relays promised then holds too.
    pub fn take_facts_of_setup(&mut self) -> Vec<Fact> {
        let promises = |fact: &Fact| matches!(fact.what, What::Acknowledged { .. });
        self.take_facts().into_iter().filter(promises).collect()
    }

    /// Facts since the last call.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// Answers to [`Action::Ask`](super::world::Action::Ask) since the last call.
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

    /// Bytes that have left on links so far, all headers and retransmissions included.
    #[must_use]
    pub const fn link_bytes(&self) -> u64 {
        self.link_bytes
    }

    /// Everybody, in order.
    pub fn entities(&self) -> impl Iterator<Item = Entity> {
        self.seats.keys().copied()
    }
    /// A machine's disk.
    #[must_use]
    pub fn disk(&self, who: Entity) -> Option<&MemoryDisk> {
        Some(self.seats.get(&who)?.machine.disk())
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
            .map(Peer::queued)
            .sum()
    }

    /// Whether every device that runs is connected to all its relays, copies aside: an
    /// original and its copy drive each other out.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.seats
            .iter()
            .filter(|(who, _)| !self.twins.contains_key(who))
            .all(|(_, seat)| match &seat.machine {
                Machine::Node(node) => node.peer().is_none_or(Peer::is_connected),
                Machine::Relay(_) => true,
            })
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
                .is_some_and(|peer| !peer.is_idle() || !peer.is_connected() || peer.queued() > 0)
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
}
