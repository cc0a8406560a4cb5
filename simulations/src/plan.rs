//! The plan of a run: who is there, who meets whom when, who says what.
//!
//! A scenario and a seed give one plan, and every variant of a run executes it:
//! the routing protocols of the literature ([`crate::routing`]) and the real
//! node and relay ([`crate::actors`]) see the same contacts and the same
//! messages (common random numbers).

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;

use crate::links::LinkSpec;

/// Relays that one timeline may have: the limit of an invite link (`crdt/ENVELOPE.md` §1).
pub const CARRIERS_MAX: usize = 4;

/// Place of an entity in [`Plan::entities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity(pub u32);

/// Place of a link in [`Plan::links`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkIndex(pub u16);

/// What runs on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A person's device: `khlong_node::peer::Peer`.
    Node,
    /// A relay: `khlong_relay::hub::Hub`. To routing protocols it is a machine like all others.
    Relay,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySpec {
    /// Unique; names its randomness.
    pub name: String,
    /// What runs there.
    pub role: Role,
    /// Which group of the scenario it is of.
    pub group: u16,
}

/// Two machines can reach each other during [up, down).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// From here on.
    pub up: Monotonic,
    /// Until here; what is in flight then is lost.
    pub down: Monotonic,
    /// The one with the lower place.
    pub a: Entity,
    /// The other.
    pub b: Entity,
    /// What the way between them is like.
    pub link: LinkIndex,
}

/// Somebody writes something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedMessage {
    /// When.
    pub at: Monotonic,
    /// Who.
    pub from: Entity,
    /// For whom: the members of [`Plan::timelines`] at this place but the writer.
    pub timeline: u32,
    /// Its text's length.
    pub bytes: u32,
}

/// A machine fails for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outage {
    /// From here on: killed, what was not synced is lost.
    pub from: Monotonic,
    /// Started again.
    pub until: Monotonic,
    /// Who.
    pub who: Entity,
}

/// Two machines are in contact, but for a while nothing passes one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OneWay {
    /// From here on.
    pub from: Monotonic,
    /// Until here.
    pub until: Monotonic,
    /// Nothing from this one …
    pub sender: Entity,
    /// … to this one.
    pub receiver: Entity,
}

/// Where machines are, for pictures: one row a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// Between two samples.
    pub every_us: u64,
    /// `rows[sample][entity]` = metres east and north; NaN where it is nowhere.
    pub rows: Vec<Vec<[f32; 2]>>,
}

/// Everything that is decided before a run begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The machines.
    pub entities: Vec<EntitySpec>,
    /// The kinds of link.
    pub links: Vec<LinkSpec>,
    /// In order ([`Contact`]'s own).
    pub contacts: Vec<Contact>,
    /// Members of each timeline; the first one opens it.
    pub timelines: Vec<Vec<Entity>>,
    /// Relays that carry each timeline, at most four; empty = the first four of the plan.
    pub carriers: Vec<Vec<Entity>>,
    /// In order.
    pub messages: Vec<PlannedMessage>,
    /// In order.
    pub outages: Vec<Outage>,
    /// In order. Who needs both directions takes [`Plan::two_way_contacts`] instead.
    pub one_way: Vec<OneWay>,
    /// For pictures; may be empty.
    pub positions: Positions,
    /// Messages written before this moment are in no statistic.
    pub warm_up: Monotonic,
    /// The run ends here; what is not delivered then is censored, not lost.
    pub end: Monotonic,
}

impl Plan {
    /// Entities of a role, in order.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = Entity> {
        (0..)
            .map(Entity)
            .zip(&self.entities)
            .filter(move |(_, spec)| spec.role == role)
            .map(|(entity, _)| entity)
    }

    /// The relays of a timeline.
    #[must_use]
    pub fn carriers(&self, timeline: usize) -> Vec<Entity> {
        match self.carriers.get(timeline) {
            Some(carriers) if !carriers.is_empty() => carriers.clone(),
            Some(_) | None => self.of_role(Role::Relay).take(CARRIERS_MAX).collect(),
        }
    }

    /// For whom a message is: the members of its timeline but the writer.
    pub fn receivers(&self, message: &PlannedMessage) -> impl Iterator<Item = Entity> {
        let members = usize::try_from(message.timeline)
            .ok()
            .and_then(|place| self.timelines.get(place));
        let from = message.from;
        members
            .into_iter()
            .flatten()
            .copied()
            .filter(move |member| *member != from)
    }

    /// Contacts without the times in which one direction is closed: for protocols whose machines
    /// must hear from each other before anything is sent.
    #[must_use]
    pub fn two_way_contacts(&self) -> Vec<Contact> {
        if self.one_way.is_empty() {
            return self.contacts.clone();
        }
        let mut closed: BTreeMap<(Entity, Entity), Vec<(u64, u64)>> = BTreeMap::new();
        for way in &self.one_way {
            let pair = (way.sender.min(way.receiver), way.sender.max(way.receiver));
            closed
                .entry(pair)
                .or_default()
                .push((way.from.0, way.until.0));
        }
        let mut contacts = Vec::with_capacity(self.contacts.len());
        for contact in &self.contacts {
            let closed = closed
                .get(&(contact.a, contact.b))
                .map_or(&[][..], Vec::as_slice);
            for (up, down) in without((contact.up.0, contact.down.0), closed) {
                contacts.push(Contact {
                    up: Monotonic(up),
                    down: Monotonic(down),
                    ..*contact
                });
            }
        }
        contacts.sort_unstable();
        contacts
    }
}

/// What is left of the interval [up, down) outside of `cuts`, in order.
#[must_use]
pub fn without(interval: (u64, u64), cuts: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    let (mut up, down) = interval;
    let mut left = Vec::new();
    for (from, until) in cuts {
        if up < from.min(down) {
            left.push((up, from.min(down)));
        }
        up = up.max(until);
    }
    if up < down {
        left.push((up, down));
    }
    left
}
