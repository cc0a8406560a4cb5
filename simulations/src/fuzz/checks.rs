//! What must hold, looked up on the wire, on the disks and on people's screens.
//!
//! | check | when |
//! |---|---|
//! | what a relay promised is on its disk | at each ack, each restart, at the end |
//! | what a person was told is written is there | at the end |
//! | no cursor passes what its folder does not hold | at each start of a device, at the end |
//! | chains are linked and forks kept as evidence | at the end |
//! | id rows only grow | at each restart, at the end |
//! | replicas are equal, each message once | at the end |
//! | nothing forged is stored, nothing readable lies on a relay | at the end |

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, Seq, TimelineId};
use khlong_node::api::{Request, Response};
use khlong_store::error::StoreError;
use khlong_store::store::Store;
use khlong_store::tables::{cursors, timelines};
use memchr::memmem;

use crate::actors::facts::{Fact, What};
use crate::actors::world::World;
use crate::plan::Entity;

/// In every message's text: nobody but members may ever see it.
pub const CANARY: &str = "CANARY-นกขมิ้น-7f3a";
/// Rows of an arrival log read at once.
const ARRIVALS_A_READ: usize = 4_096;

/// What was observed so far.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What each relay promised.
    promised: BTreeMap<Entity, BTreeSet<EnvelopeId>>,
    /// How many arrivals each relay's log had, by class.
    grown: BTreeMap<(Entity, Class), ArrivalSeq>,
    /// Envelopes that may be nowhere.
    pub forged: BTreeSet<EnvelopeId>,
    /// What a person was told is written: device, timeline, message.
    pub written: BTreeSet<(Entity, String, String)>,
    /// Devices whose disk was copied: what they write afterwards may lose its place.
    pub twins: BTreeSet<Entity>,
    /// Connection attempts since the last [`Self::begin_counting`].
    pub attempts: BTreeMap<Entity, u64>,
    /// How often something happened that must happen sometimes.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// What was wrong.
    pub violations: BTreeSet<String>,
}

impl Ledger {
    /// Counts something that must happen sometimes.
    pub fn happened(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }

    /// Notes that something is wrong.
    pub fn violated(&mut self, what: String) {
        self.violations.insert(what);
    }

    /// Forgets the attempts counted so far.
    pub fn begin_counting(&mut self) {
        self.attempts.clear();
    }

    /// Takes in what was observed.
    pub fn absorb(&mut self, world: &World, facts: Vec<Fact>) {
        for Fact { who, what, .. } in facts {
            match what {
                What::Acknowledged { envelopes, .. } => {
                    self.happened("acks");
                    self.promised.entry(who).or_default().extend(&envelopes);
                    if let Some(store) = relay_store(world, who) {
                        for id in envelopes {
                            self.expect_stored(store, who, id, "when the ack left");
                        }
                    }
                }
                What::Started => self.restarted(world, who),
                What::Crashed => self.happened("crashes"),
                What::CoreFailed { .. } => self.happened("cores failed"),
                What::Attempt { .. } => *self.attempts.entry(who).or_default() += 1,
                What::Aborted { .. } => self.happened("frames cut off"),
                What::ForkSeen { .. } => self.happened("forks noticed by members"),
                What::Refused { .. } => self.happened("envelopes refused"),
                What::Offered { .. }
                | What::Connected { .. }
                | What::Disconnected { .. }
                | What::Sent { .. }
                | What::Written { .. }
                | What::Shown { .. }
                | What::RequestRefused { .. } => {}
            }
        }
    }

    fn restarted(&mut self, world: &World, who: Entity) {
        if let Some(store) = relay_store(world, who) {
            self.happened("relays restarted");
            self.check_promises(store, who, "after a restart");
            self.check_growth(store, who);
        } else {
            self.check_cursors(world, who);
        }
    }

    /// Everything that can be looked up when all is healed and quiet.
    pub fn check_all(&mut self, world: &mut World, shared: &[(String, Vec<Entity>)]) {
        let everybody: Vec<Entity> = world.entities().collect();
        for who in everybody {
            match relay_store(world, who) {
                Some(store) => {
                    self.check_promises(store, who, "at the end");
                    self.check_growth(store, who);
                    self.check_chains(store, who);
                    self.check_forged(store, who);
                    self.check_secrecy(world, who);
                }
                None => self.check_cursors(world, who),
            }
        }
        for (timeline, members) in shared {
            self.check_equality(world, timeline, members);
        }
    }

    fn expect_stored(&mut self, store: &Store, who: Entity, id: EnvelopeId, when: &str) {
        match timelines::get(store, &id) {
            Ok(Some(_)) => {}
            Ok(None) => self.violated(format!(
                "acknowledged write lost: relay {} promised {id} and does not have it {when}",
                who.0
            )),
            // A read that was told to fail says nothing about what is there.
            Err(_) => self.happened("reads failed in checks"),
        }
    }

    fn check_promises(&mut self, store: &Store, who: Entity, when: &str) {
        let promised = self.promised.get(&who).cloned().unwrap_or_default();
        for id in promised {
            self.expect_stored(store, who, id, when);
        }
    }

    fn check_growth(&mut self, store: &Store, who: Entity) {
        for class in Class::ALL {
            let Ok(head) = timelines::head(store, class) else {
                continue;
            };
            let before = self.grown.entry((who, class)).or_insert(ArrivalSeq(0));
            if head.arrival < *before && self.promised.contains_key(&who) {
                let (before, now) = (before.0, head.arrival.0);
                // Rows that nobody was promised may go with an unsynced suffix.
                self.happened("logs that lost an unpromised suffix");
                debug_assert!(now < before, "compared above");
            }
            if let Some(grown) = self.grown.get_mut(&(who, class)) {
                *grown = head.arrival;
            }
        }
    }

    /// Each author's envelopes follow each other; a second one at a place is kept as evidence.
    fn check_chains(&mut self, store: &Store, who: Entity) {
        let mut bad = Vec::new();
        let walked = walk_chains(store, !self.twins.is_empty(), &mut bad);
        if let Err(error) = walked {
            bad.push(format!(
                "the chains of machine {} cannot be read: {error}",
                who.0
            ));
        }
        for what in bad {
            self.violated(what);
        }
    }

    fn check_forged(&mut self, store: &Store, who: Entity) {
        for id in self.forged.clone() {
            if matches!(timelines::get(store, &id), Ok(Some(_))) {
                self.violated(format!("machine {} stored the forged {id}", who.0));
            }
        }
    }

    /// Nothing readable in any row, and the search itself finds what it looks for.
    fn check_secrecy(&mut self, world: &World, who: Entity) {
        let Some(store) = relay_store(world, who) else {
            return;
        };
        let finder = memmem::Finder::new(CANARY.as_bytes());
        let planted = [b"row ".as_slice(), CANARY.as_bytes(), b" end"].concat();
        if finder.find(&planted).is_none() {
            self.violated("the search for plaintext finds nothing".to_owned());
        }
        let mut keys = Vec::new();
        for entity in world.entities() {
            if let Some(node) = world.node(entity) {
                keys.push(node.master_key_bytes());
            }
        }
        let mut found = None;
        let searched = store.for_each_row(&mut |table, key, payload| {
            let secret = keys.iter().any(|key| memmem::find(payload, key).is_some());
            if finder.find(payload).is_some() || finder.find(key).is_some() || secret {
                found = Some(table);
            }
            Ok(())
        });
        if searched.is_err() {
            self.happened("reads failed in checks");
        }
        if let Some(table) = found {
            self.violated(format!(
                "plaintext or a key lies on relay {}, in table {table:?}",
                who.0
            ));
        }
    }

    /// For each relay: everything up to the cursor, of merged timelines, is here.
    fn check_cursors(&mut self, world: &World, who: Entity) {
        let Some(store) = world
            .node(who)
            .and_then(|node| node.peer())
            .map(|peer| peer.store())
        else {
            return;
        };
        for relay in world.entities() {
            let (Some(relay_store), Some(machine)) =
                (relay_store(world, relay), world.relay(relay))
            else {
                continue;
            };
            let key = machine.relay_key();
            let missing = missing_below_cursors(store, relay_store, &key);
            match missing {
                Ok(missing) => {
                    for (class, arrival) in missing {
                        self.violated(format!(
                            "the cursor of machine {} at relay {} passes arrival {} of class {class:?}, which it does not hold",
                            who.0, relay.0, arrival.0
                        ));
                    }
                }
                Err(_) => self.happened("reads failed in checks"),
            }
        }
    }

    /// Equal hashes, equal canonical bytes, each message once, nothing lost.
    fn check_equality(&mut self, world: &mut World, timeline: &str, members: &[Entity]) {
        let now = world.now();
        let mut digests = BTreeMap::new();
        for member in members {
            let Some(node) = world.node_mut(*member) else {
                continue;
            };
            let request = Request::Digest {
                timeline: timeline.to_owned(),
            };
            match node.ask(now, request) {
                Some(Response::Digest {
                    state_hash,
                    canonical_hash,
                    messages,
                    ..
                }) => {
                    digests
                        .entry((state_hash, canonical_hash, messages))
                        .or_insert_with(Vec::new)
                        .push(member.0);
                }
                other => self.violated(format!("machine {} gives no digest: {other:?}", member.0)),
            }
        }
        if digests.len() > 1 {
            let sides: Vec<_> = digests
                .iter()
                .map(|((_, _, messages), members)| format!("{members:?} show {messages}"))
                .collect();
            self.violated(format!(
                "replicas of one timeline differ: {}",
                sides.join("; ")
            ));
        }
        for member in members {
            self.check_messages(world, timeline, *member);
        }
    }

    fn check_messages(&mut self, world: &mut World, timeline: &str, member: Entity) {
        let now = world.now();
        let Some(node) = world.node_mut(member) else {
            return;
        };
        let request = Request::Log {
            timeline: timeline.to_owned(),
            from: Some(0),
            limit: Some(10_000),
        };
        let Some(Response::Messages { messages, .. }) = node.ask(now, request) else {
            return self.violated(format!("machine {} shows no log", member.0));
        };
        let mut seen = BTreeSet::new();
        for message in &messages {
            if !seen.insert(message.id.clone()) {
                self.violated(format!("machine {} shows {} twice", member.0, message.id));
            }
        }
        let lost: Vec<_> = self
            .written
            .iter()
            .filter(|(writer, of, id)| {
                of == timeline && !seen.contains(id) && !self.twins.contains(writer)
            })
            .map(|(writer, _, id)| {
                format!(
                    "a written message is lost: machine {} wrote {id}, machine {} does not show it",
                    writer.0, member.0
                )
            })
            .collect();
        for what in lost {
            self.violated(what);
        }
    }
}

fn relay_store(world: &World, who: Entity) -> Option<&Store> {
    world.relay(who)?.hub().map(khlong_relay::hub::Hub::store)
}

/// With copied devices the first envelope of a fork may still be under way.
fn walk_chains(store: &Store, copied: bool, bad: &mut Vec<String>) -> Result<(), StoreError> {
    for timeline in timelines::timelines(store)? {
        for height in timelines::heights(store, &timeline)? {
            let mut before: Option<[Option<EnvelopeId>; 2]> = None;
            for seq in 1..=height.highest.0 {
                let Some((first, second)) =
                    timelines::author_ids(store, &timeline, &height.author, Seq(seq))?
                else {
                    before = None;
                    continue;
                };
                for id in [Some(first), second].into_iter().flatten() {
                    let before = before.filter(|[_, second]| second.is_some() || !copied);
                    check_link(store, &timeline, id, before, bad)?;
                }
                before = Some([Some(first), second]);
            }
        }
    }
    Ok(())
}

fn check_link(
    store: &Store,
    timeline: &TimelineId,
    id: EnvelopeId,
    before: Option<[Option<EnvelopeId>; 2]>,
    bad: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Some(stored) = timelines::get(store, &id)? else {
        bad.push(format!(
            "{id} stands in a chain of {timeline} and is not stored"
        ));
        return Ok(());
    };
    let prev = stored.envelope.prefix().prev;
    if let Some(before) = before
        && !before.contains(&Some(prev))
    {
        bad.push(format!(
            "{id} does not follow what stands before it in its chain"
        ));
    }
    if khlong_crdt::envelope::VerifiedEnvelope::verify(stored.envelope.bytes().to_vec()).is_err() {
        bad.push(format!("{id} is stored and does not verify"));
    }
    Ok(())
}

/// Arrivals below a device's cursors, of timelines that it knows and has merged, whose envelopes it does not hold.
fn missing_below_cursors(
    node: &Store,
    relay: &Store,
    key: &khlong_crdt::id::RelayKey,
) -> Result<Vec<(Class, ArrivalSeq)>, StoreError> {
    let known: BTreeSet<TimelineId> = timelines::timelines(node)?.into_iter().collect();
    let behind: BTreeMap<(TimelineId, Class), ArrivalSeq> = cursors::backfills(node, key)?
        .into_iter()
        .map(|(timeline, class, at)| ((timeline, class), at))
        .collect();
    let log = relay.identity().log;
    let mut missing = Vec::new();
    for class in Class::ALL {
        let Some(cursor) = cursors::get(node, key, class)? else {
            continue;
        };
        let head = timelines::head(relay, class)?;
        if cursor.log != log || cursor.seq > head.arrival {
            continue; // another log, or a rolled-back one: the session falls back by itself
        }
        let mut after = ArrivalSeq(0);
        loop {
            let rows = timelines::arrivals(relay, class, after, ARRIVALS_A_READ)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (arrival, row) in rows {
                let (timeline, id) = row?;
                let reached = behind.get(&(timeline, class)).map_or(cursor.seq, |at| *at);
                if arrival <= reached
                    && known.contains(&timeline)
                    && timelines::get(node, &id)?.is_none()
                {
                    missing.push((class, arrival));
                }
            }
        }
    }
    Ok(missing)
}
