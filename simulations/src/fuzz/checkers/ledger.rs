//! From a world to the checkers: what was observed so far, and what is looked up when.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_node::api::{Request, Response};
use khlong_store::error::StoreError;
use khlong_store::store::Store;
use khlong_store::tables::outbox::{self, OutboxState};
use khlong_store::tables::timelines;
use khlong_sync::wire::code::ErrorCode;

use super::conservation::Places;
use super::equality::Shown;
use super::{
    Findings, Written, chains, conservation, cursors, delivery, equality, forgery, growth, limits,
    order, pace, promises, secrecy,
};
use crate::actors::facts::{Fact, What};
use crate::actors::node::NodeMachine;
use crate::actors::world::World;
use crate::plan::Entity;

/// Messages that a device is asked for; no plan has so many.
const MESSAGES_MAX: usize = 100_000;

/// What was observed of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What was wrong, and what happened.
    pub findings: Findings,
    /// What strangers made.
    pub forgery: forgery::Forgery,
    /// How often devices connect.
    pub pace: pace::Pace,
    /// What a person was told is written.
    pub written: Vec<Written>,
    /// Devices whose disk was copied: what they write afterwards may lose its place.
    pub twins: BTreeSet<Entity>,
    promises: promises::Promises,
    growth: growth::Growth,
    forks: chains::Forks,
    secrets: secrecy::Secrets,
}

impl Ledger {
    /// Learns every key of every device, to search for them; how many are new is no matter.
    pub fn learn_secrets(&mut self, world: &World) {
        for who in world.entities() {
            let Some(node) = world.node(who) else {
                continue;
            };
            self.secrets
                .add_key("a master key", &node.master_key_bytes());
            let Some(peer) = node.peer() else { continue };
            for member in peer.secrets() {
                let learnt = self.secrets.add_member(member, peer.store());
                self.findings.read(learnt);
            }
        }
    }

    /// Takes in what was observed.
    pub fn absorb(&mut self, world: &World, facts: Vec<Fact>) {
        for Fact { who, what, .. } in facts {
            match what {
                What::Acknowledged { node, envelopes } => {
                    self.acknowledged(world, who, node, &envelopes);
                }
                What::Started => {
                    let peer = world.node(who).and_then(NodeMachine::peer);
                    if peer.is_some_and(|peer| peer.restored() > 0) {
                        self.findings.happened("devices started from snapshots");
                    }
                    self.started(world, who);
                }
                What::Crashed => {
                    self.findings.happened("crashes");
                    self.forks.interrupted(who);
                }
                What::CoreFailed { .. } => {
                    self.findings.happened("cores failed");
                    self.forks.interrupted(who);
                }
                What::Attempt { .. } => self.pace.attempted(who),
                What::Aborted { .. } => self.findings.happened("frames cut off"),
                What::ForkSeen { timeline } => {
                    self.findings.happened("forks noticed by members");
                    self.forks.told(who, timeline);
                }
                What::Refused {
                    node,
                    envelope,
                    code,
                } => {
                    self.findings.happened("envelopes refused");
                    let copied = !self.twins.is_empty();
                    order::refused((who, node), envelope, code, copied, &mut self.findings);
                }
                What::Offered { .. }
                | What::Connected { .. }
                | What::Disconnected { .. }
                | What::Sent { .. } => {}
            }
        }
    }

    /// Takes in what went over the wires, as bytes.
    pub fn overhear(&mut self, world: &mut World) {
        for frame in world.take_overheard() {
            limits::check_frame(frame.from, &frame.sent, &mut self.findings);
            self.secrets
                .check_frame(frame.from, frame.to, &frame.bytes, &mut self.findings);
        }
    }

    /// Takes in what the programs logged.
    pub fn read_log(&mut self, log: &[u8]) {
        self.secrets.check_log(log, &mut self.findings);
    }

    fn acknowledged(&mut self, world: &World, relay: Entity, node: Entity, ids: &[EnvelopeId]) {
        self.findings.happened("acks");
        let rows = relay_store(world, relay);
        let rows_of_relay = rows.map(|store| store as _);
        self.promises
            .promised(relay, ids, rows_of_relay, &mut self.findings);
        for (who, store) in [(relay, rows), (node, node_store(world, node))] {
            if let Some(store) = store {
                self.growth.look(who, store, &mut self.findings);
            }
        }
    }

    fn started(&mut self, world: &World, who: Entity) {
        if let Some(store) = relay_store(world, who) {
            self.findings.happened("relays restarted");
            self.promises
                .check(who, store, "after a restart", &mut self.findings);
            self.growth.check(who, store, &mut self.findings);
        } else if let Some(store) = node_store(world, who) {
            self.growth.check(who, store, &mut self.findings);
            self.check_cursors(world, who, store);
        }
    }

    /// Everything that can be looked up when all is healed. `drained`: nothing is on its way.
    pub fn check_all(
        &mut self,
        world: &mut World,
        shared: &[(String, Vec<Entity>)],
        drained: bool,
    ) {
        self.learn_secrets(world);
        let everybody: Vec<Entity> = world.entities().collect();
        for who in everybody {
            if let Some(hub) = world.relay(who).and_then(|relay| relay.hub()) {
                let store = hub.store();
                self.promises
                    .check(who, store, "at the end", &mut self.findings);
                self.secrets.check_disk(who, store, &mut self.findings);
                limits::check_quotas(who, store, &mut self.findings);
                let open = world.connections_of(who);
                limits::check_hub(who, &hub.stats(), open, &mut self.findings);
                self.check_store(who, store);
            } else if let Some(store) = node_store(world, who) {
                self.check_cursors(world, who, store);
                self.forks.check(who, store, &mut self.findings);
                self.check_store(who, store);
            }
        }
        for (timeline, members) in shared {
            self.check_timeline(world, timeline, members, drained);
        }
    }

    /// What devices say of their own messages in the middle of trouble, against what is so.
    /// Timelines with a device that does not run, or of which a copy runs, are passed over:
    /// what such a one has acknowledged is on no disk that is looked at.
    pub fn check_deliveries(&mut self, world: &mut World, shared: &[(String, Vec<Entity>)]) {
        for (timeline, members) in shared {
            let Ok(id) = timeline.parse() else {
                continue;
            };
            let is_seen =
                |who: &Entity| node_store(world, *who).is_some() && !self.twins.contains(who);
            if !members.iter().all(is_seen) {
                continue;
            }
            let looked = places(world, &id, members);
            let Some(places) = self.findings.read(looked) else {
                continue;
            };
            let shown: Vec<Shown> = members
                .iter()
                .filter_map(|member| self.ask(world, timeline, *member))
                .collect();
            // Whoever does not answer was found, and the two lists are no pairs.
            if shown.len() == members.len() {
                self.check_delivery(world, id, &shown, &places, false);
            }
        }
    }

    /// What holds on the disk of any machine.
    fn check_store(&mut self, who: Entity, store: &Store) {
        let copied = !self.twins.is_empty();
        self.growth.check(who, store, &mut self.findings);
        chains::check_links(who, store, copied, &mut self.findings);
        self.forgery.check(who, store, &mut self.findings);
        limits::check_tables(who, store, &mut self.findings);
    }

    fn check_cursors(&mut self, world: &World, who: Entity, store: &Store) {
        for relay in world.entities() {
            if let (Some(log), Some(machine)) = (relay_store(world, relay), world.relay(relay)) {
                let key = machine.relay_key();
                cursors::check((who, store), (relay, log, &key), &mut self.findings);
            }
        }
    }

    fn check_timeline(
        &mut self,
        world: &mut World,
        timeline: &str,
        members: &[Entity],
        drained: bool,
    ) {
        // Copies are no members of the plan, and nobody waits for their outboxes.
        let drained = drained && self.twins.is_empty();
        let shown: Vec<Shown> = members
            .iter()
            .filter_map(|member| self.ask(world, timeline, *member))
            .collect();
        let of_timeline = self
            .written
            .iter()
            .filter(|message| message.timeline == timeline && !self.twins.contains(&message.who));
        equality::check(&shown, of_timeline.clone(), &mut self.findings);
        for one in &shown {
            order::check(one, of_timeline.clone(), &mut self.findings);
            limits::check_parked(one, drained, &mut self.findings);
        }
        let Some(id) = timeline.parse().ok() else {
            return;
        };
        let looked = places(world, &id, members);
        let Some(places) = self.findings.read(looked) else {
            return;
        };
        conservation::check(timeline, &places, drained, &mut self.findings);
        self.check_delivery(world, id, &shown, &places, drained);
    }

    fn check_delivery(
        &mut self,
        world: &World,
        timeline: TimelineId,
        shown: &[Shown],
        places: &Places,
        drained: bool,
    ) {
        for one in shown.iter().filter(|one| !self.twins.contains(&one.who)) {
            let Some(store) = node_store(world, one.who) else {
                continue;
            };
            let envelope = |message: &str| {
                let of_mine = |written: &&Written| written.who == one.who && written.id == message;
                let (author, seq) = self.written.iter().find(of_mine)?.envelope?;
                let ids = timelines::author_ids(store, &timeline, &author, seq);
                ids.ok().flatten().map(|(first, _)| first)
            };
            let others = shown
                .iter()
                .zip(&places.members)
                .filter(|(other, _)| other.who != one.who)
                .flat_map(|(_, held)| held.iter().copied())
                .collect();
            delivery::check(
                one,
                envelope,
                &self.promises,
                &others,
                drained,
                &mut self.findings,
            );
        }
    }

    /// What a device shows of a timeline.
    fn ask(&mut self, world: &mut World, timeline: &str, who: Entity) -> Option<Shown> {
        let now = world.now();
        let node = world.node_mut(who)?;
        let digest = Request::Digest {
            timeline: timeline.to_owned(),
        };
        let log = Request::Log {
            timeline: timeline.to_owned(),
            from: Some(0),
            limit: Some(MESSAGES_MAX),
        };
        let answers = (node.ask(now, digest), node.ask(now, log));
        let (
            Some(Response::Digest {
                state_hash,
                canonical_hash,
                ..
            }),
            Some(Response::Messages {
                timeline: view,
                messages,
                ..
            }),
        ) = answers
        else {
            self.findings.violated(
                "answers",
                format_args!("machine {} does not say what it shows", who.0),
            );
            return None;
        };
        let mine = messages.iter().filter(|message| message.mine);
        Some(Shown {
            who,
            state_hash,
            canonical_hash,
            mine: mine
                .map(|message| (message.id.clone(), message.delivery))
                .collect(),
            messages: messages.into_iter().map(|message| message.id).collect(),
            parked: view.parked,
        })
    }
}

/// Where the envelopes of a timeline are; one set for each member that runs, in order.
fn places(world: &World, timeline: &TimelineId, members: &[Entity]) -> Result<Places, StoreError> {
    let mut places = Places::default();
    for who in members {
        let Some(store) = node_store(world, *who) else {
            continue;
        };
        let (held, pruned) = ids_of(store, timeline)?;
        places.pruned.extend(pruned);
        for entry in outbox::list(store)? {
            match entry.state {
                _ if entry.timeline != *timeline => {}
                OutboxState::Waiting | OutboxState::PutOff { .. } => {
                    places.waiting.insert(entry.id);
                }
                OutboxState::Refused { code } => {
                    let reason = ErrorCode::from_number(code).to_string();
                    places.refused.insert(entry.id, reason);
                }
            }
        }
        places.members.push(held);
    }
    for relay in world.entities() {
        if let Some(store) = relay_store(world, relay) {
            let (held, pruned) = ids_of(store, timeline)?;
            places.relays.extend(held);
            places.pruned.extend(pruned);
        }
    }
    Ok(places)
}

type Ids = BTreeSet<EnvelopeId>;

/// What a machine holds of a timeline: with the body, and without it any more.
fn ids_of(store: &Store, timeline: &TimelineId) -> Result<(Ids, Ids), StoreError> {
    let (mut whole, mut pruned) = (Ids::new(), Ids::new());
    for class in Class::ALL {
        let (from, to) = (ArrivalSeq(0), ArrivalSeq(u64::MAX));
        for (_, id) in timelines::index(store, timeline, class, from, to, usize::MAX)? {
            let id = id?;
            match timelines::get(store, &id)? {
                Some(stored) if stored.envelope.body().is_some() => whole.insert(id),
                Some(_) => pruned.insert(id),
                None => false,
            };
        }
    }
    Ok((whole, pruned))
}

fn relay_store(world: &World, who: Entity) -> Option<&Store> {
    world.relay(who)?.hub().map(khlong_relay::hub::Hub::store)
}

fn node_store(world: &World, who: Entity) -> Option<&Store> {
    world.node(who)?.peer().map(khlong_node::peer::Peer::store)
}
