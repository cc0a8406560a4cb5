//! The cores around the sessions, as small as they can be and still do what a hub and a peer must.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use khlong_sync::limits::APPEND_ENVELOPES_MAX;
use khlong_sync::replica::{Arrival, Replica};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Event;
use khlong_sync::session::proof::proof_bytes;
use khlong_sync::wire::frame::{AppendAnswer, AppendOutcome, TimelineSubscription};

use super::replica::MemoryReplica;
use super::{author, key, relay, relay_key};
use ed25519_dalek::Signer;

/// The relay's core.
#[derive(Debug, Clone)]
pub struct Relay {
    pub replica: MemoryReplica,
    pub watched: BTreeSet<TimelineId>,
    pub ephemeral: Vec<Vec<u8>>,
    /// Appends wait for [`Relay::commit`]; else each is a commit of its own.
    pub gathers: bool,
    pub gathered: Vec<(u64, Vec<VerifiedEnvelope>)>,
}

impl Relay {
    pub fn new() -> Self {
        Self {
            replica: MemoryReplica::new(5),
            watched: BTreeSet::new(),
            ephemeral: Vec::new(),
            gathers: false,
            gathered: Vec::new(),
        }
    }

    /// What the relay answers an event with, in order.
    pub fn on(&mut self, event: Event, wall: UnixMillis) -> Vec<Input> {
        match event {
            Event::Append { request, envelopes } => {
                self.gathered.push((request, envelopes));
                if self.gathers {
                    Vec::new()
                } else {
                    self.commit(wall)
                }
            }
            Event::Watching { timeline, .. } => {
                self.watched.insert(timeline);
                Vec::new()
            }
            Event::Unwatched { timeline } => {
                self.watched.remove(&timeline);
                Vec::new()
            }
            Event::Ephemeral { payload, .. } => {
                self.ephemeral.push(payload);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Stores what was gathered and answers all of it at once.
    pub fn commit(&mut self, wall: UnixMillis) -> Vec<Input> {
        let (mut news, mut answers, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (request, envelopes) in std::mem::take(&mut self.gathered) {
            let mut outcomes = Vec::new();
            for envelope in envelopes {
                ids.push(envelope.id());
                outcomes.push(match self.replica.append(&envelope, wall) {
                    Ok(entry) => {
                        let arrival = entry.arrival;
                        news.push(entry);
                        AppendOutcome::Stored { arrival }
                    }
                    Err(arrival) => AppendOutcome::Duplicate { arrival },
                });
            }
            answers.push(AppendAnswer { request, outcomes });
        }
        let receipt = Some(self.receipt(&ids, wall));
        vec![Input::Acknowledge { answers, receipt }, advanced(news)]
    }

    pub fn receipt(&self, ids: &[EnvelopeId], wall: UnixMillis) -> StoredReceipt {
        let (log, log_epoch) = self.replica.log();
        StoredReceipt::sign(&relay_key(), log, log_epoch, wall, ids)
    }
}

pub fn advanced(news: Vec<Arrival>) -> Input {
    Input::Advanced(Arc::from(news))
}

/// A member's core: everything it would write is in here and survives connections.
#[derive(Debug)]
pub struct Member {
    pub seed: u8,
    pub timelines: Vec<TimelineId>,
    pub cursors: BTreeMap<Class, Cursor>,
    pub backfill: BTreeMap<(TimelineId, Class), ArrivalSeq>,
    pub received: Vec<EnvelopeId>,
    pub duplicates: usize,
    pub outbox: Vec<VerifiedEnvelope>,
    pub envelopes_per_append: usize,
    pub stored: BTreeSet<EnvelopeId>,
    pub caught_up: BTreeSet<Class>,
    pub behind: usize,
    pub announced: Vec<(Class, Option<TimelineId>, u64)>,
    pub refused: Vec<Event>,
    pub rewound: BTreeSet<Class>,
    pub ephemeral: Vec<Vec<u8>>,
    /// Leave pushes unacknowledged.
    pub hold: bool,
    pub held: Vec<Input>,
    next_request: u64,
}

impl Member {
    pub fn new(seed: u8, timelines: &[TimelineId]) -> Self {
        let rows = timelines
            .iter()
            .flat_map(|tl| Class::ALL.map(|class| (*tl, class)));
        Self {
            seed,
            timelines: timelines.to_vec(),
            cursors: BTreeMap::new(),
            backfill: rows.map(|row| (row, ArrivalSeq(0))).collect(),
            received: Vec::new(),
            duplicates: 0,
            outbox: Vec::new(),
            envelopes_per_append: APPEND_ENVELOPES_MAX,
            stored: BTreeSet::new(),
            caught_up: BTreeSet::new(),
            behind: 0,
            announced: Vec::new(),
            refused: Vec::new(),
            rewound: BTreeSet::new(),
            ephemeral: Vec::new(),
            hold: false,
            held: Vec::new(),
            next_request: 1,
        }
    }

    pub fn request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    pub fn prove(&self, timeline: TimelineId, exporter: &[u8; 32]) -> Input {
        let author = author(self.seed);
        let signature = key(self.seed)
            .sign(&proof_bytes(exporter, &timeline, &author))
            .to_bytes();
        Input::Prove {
            timeline,
            author,
            signature,
        }
    }

    pub fn subscribe(&mut self, timelines: &[TimelineId]) -> Input {
        let request = self.request();
        let subscription = |timeline: &TimelineId| TimelineSubscription {
            timeline: *timeline,
            backfill: Class::ALL
                .iter()
                .filter_map(|class| Some((*class, *self.backfill.get(&(*timeline, *class))?)))
                .collect(),
        };
        let timelines = timelines.iter().map(subscription).collect();
        let cursors = self
            .cursors
            .iter()
            .map(|(class, cursor)| (*class, *cursor))
            .collect();
        Input::Subscribe {
            request,
            cursors,
            timelines,
            wake_up: None,
        }
    }

    pub fn on(&mut self, event: Event, exporter: &[u8; 32]) -> Vec<Input> {
        match event {
            Event::Ready { .. } => {
                self.caught_up.clear();
                let timelines = self.timelines.clone();
                let mut inputs: Vec<Input> = timelines
                    .iter()
                    .map(|timeline| self.prove(*timeline, exporter))
                    .collect();
                inputs.push(self.subscribe(&timelines));
                for envelopes in self.outbox.clone().chunks(self.envelopes_per_append) {
                    inputs.push(Input::Append {
                        request: self.request(),
                        envelopes: envelopes.to_vec(),
                    });
                }
                inputs
            }
            Event::Subscribed {
                class,
                cursor,
                rewound,
                positions,
                ..
            } => {
                if rewound {
                    self.rewound.insert(class);
                }
                self.cursors.insert(class, cursor);
                for (timeline, position) in positions {
                    self.set_position(timeline, class, position);
                }
                Vec::new()
            }
            Event::Pushed {
                class,
                backfill,
                entries,
                cursor,
            } => self.pushed(class, backfill, &entries, cursor),
            Event::CaughtUp { class, cursor } => {
                self.cursors.insert(class, cursor);
                self.caught_up.insert(class);
                Vec::new()
            }
            Event::BackfillDone { timeline, class } => {
                self.backfill.remove(&(timeline, class)).unwrap();
                Vec::new()
            }
            Event::SubscriptionEnded {
                timeline,
                class,
                position,
                ..
            } => {
                if position.is_some() {
                    self.set_position(timeline, class, position);
                }
                Vec::new()
            }
            Event::Behind { .. } => {
                self.behind += 1;
                Vec::new()
            }
            Event::Totals {
                class,
                backfill,
                totals,
            } => {
                self.announced.push((class, backfill, totals.envelopes));
                Vec::new()
            }
            Event::Acked {
                outcomes, proofs, ..
            } => {
                assert_eq!(outcomes.len(), proofs.len());
                let answered = self.outbox.drain(..outcomes.len());
                for ((envelope, outcome), proof) in answered.zip(outcomes).zip(proofs) {
                    assert_eq!(outcome.is_kept(), proof.is_some());
                    if let Some(proof) = proof {
                        assert_eq!(proof.receipt.relay, relay());
                        proof.verify(&envelope.id()).unwrap();
                        self.stored.insert(envelope.id());
                    }
                }
                Vec::new()
            }
            refused @ Event::Refused { .. } => {
                self.refused.push(refused);
                Vec::new()
            }
            Event::Ephemeral { payload, .. } => {
                self.ephemeral.push(payload);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn set_position(&mut self, timeline: TimelineId, class: Class, at: Option<ArrivalSeq>) {
        match at {
            Some(at) => drop(self.backfill.insert((timeline, class), at)),
            None => drop(self.backfill.remove(&(timeline, class))),
        }
    }

    fn pushed(
        &mut self,
        class: Class,
        backfill: Option<TimelineId>,
        entries: &[Arrival],
        cursor: Cursor,
    ) -> Vec<Input> {
        for entry in entries {
            if self.received.contains(&entry.envelope.id()) {
                self.duplicates += 1;
            } else {
                self.received.push(entry.envelope.id());
            }
        }
        match backfill {
            None => drop(self.cursors.insert(class, cursor)),
            Some(timeline) => drop(self.backfill.insert((timeline, class), cursor.seq)),
        }
        let pulled = Input::Pulled {
            class,
            backfill,
            cursor: cursor.seq,
        };
        if self.hold {
            self.held.push(pulled);
            return Vec::new();
        }
        vec![pulled]
    }
}

impl Member {
    /// A later subscribe of a connection: the streams run already, so it carries no cursors.
    pub fn subscribe_more(&mut self, timelines: &[TimelineId]) -> Input {
        match self.subscribe(timelines) {
            Input::Subscribe {
                request,
                timelines,
                wake_up,
                ..
            } => Input::Subscribe {
                request,
                cursors: Vec::new(),
                timelines,
                wake_up,
            },
            other => other,
        }
    }
}
