//! Timelines on the disk and in memory: loading, writing, receiving.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::{Now, UnixMillis};
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::event::TimelineEvent;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::store::Store;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::receipts::Promise;
use khlong_store::tables::timelines::{Appended, append, entries, get};
use khlong_store::tables::{outbox, receipts};
use khlong_sync::wire::code::ErrorCode;

use super::Peer;
use super::outbox::{Outbox, Waiting};
use super::reoffers::Reoffers;
use super::snapshots::{self, Ends};
use super::vault::Vault;
use crate::api::Event;
use crate::error::NodeError;

/// Envelopes read at once while a timeline is loaded.
const LOAD_ENTRIES: usize = 4_096;
const LOAD_BYTES: usize = 16 * 1024 * 1024;

/// Name of the sealed row that holds one's keys in a timeline.
pub(super) fn secret_row(timeline: TimelineId) -> String {
    format!("timeline/{timeline}")
}

/// A timeline as the folder has it.
pub(super) struct Loaded {
    pub(super) timeline: Timeline,
    /// Envelopes that its snapshot has not.
    pub(super) unkept: u64,
    /// What the snapshot has was not read.
    pub(super) is_restored: bool,
}

/// Folds everything that the folder, with what waits for the commit, holds of a timeline, or
/// what came since its snapshot.
pub(super) fn load(batch: &Batch<'_>, vault: &Vault, id: TimelineId) -> Result<Loaded, NodeError> {
    let name = secret_row(id);
    let row = named::get(batch, Named::Secret, name.as_bytes())
        .map_err(NodeError::Store)?
        .ok_or_else(|| NodeError::Secret { name: name.clone() })?;
    let secrets = TimelineSecrets::from_bytes(&vault.open(&name, &row)?)
        .map_err(|_| NodeError::Secret { name })?;
    let mut timeline = Timeline::new(id, secrets);
    let ends = snapshots::restore(batch, vault, &mut timeline).map_err(NodeError::Store)?;
    let mut read = 0;
    let mut turns_from_all = 0;
    timeline
        .reread(|timeline| {
            read = 0;
            // In the first turn only: what gives way in it may have come from the snapshot.
            match timeline.resume() {
                Some(parked) => feed_rest(batch, timeline, &parked, ends, &mut read),
                None => {
                    turns_from_all += 1;
                    feed(batch, timeline, Ends::default(), &mut read)
                }
            }
        })
        .map_err(NodeError::Store)?;
    Ok(Loaded {
        timeline,
        unkept: read,
        is_restored: turns_from_all == 0,
    })
}

/// Gives a restored timeline what its snapshot does not hold.
fn feed_rest(
    batch: &Batch<'_>,
    timeline: &mut Timeline,
    parked: &[EnvelopeId],
    ends: Ends,
    read: &mut u64,
) -> Result<Vec<TimelineEvent>, StoreError> {
    let mut events = feed(batch, timeline, ends, read)?;
    let mut waited = Vec::new();
    for id in parked {
        waited.extend(get(batch, id)?.map(|stored| stored.envelope));
    }
    events.extend(timeline.receive_all(waited));
    Ok(events)
}

/// Gives a timeline its envelopes behind `ends`, also those that wait for the commit. Auth-ops
/// and key-ops come first, and always all of them: what follows rests on them.
fn feed(
    batch: &Batch<'_>,
    timeline: &mut Timeline,
    ends: Ends,
    read: &mut u64,
) -> Result<Vec<TimelineEvent>, StoreError> {
    let id = timeline.id();
    let mut events = Vec::new();
    for (class, end) in Class::ALL.into_iter().zip(ends) {
        let mut after = match class {
            Class::Control => ArrivalSeq(0),
            Class::Text | Class::Bulk | Class::Media => end,
        };
        loop {
            let end = ArrivalSeq(u64::MAX);
            let page = entries(batch, &id, class, after, end, LOAD_ENTRIES, LOAD_BYTES)?;
            let Some(last) = page.last() else { break };
            after = last.arrival;
            if class != Class::Control {
                *read += page.len() as u64;
            }
            events.extend(timeline.receive_all(page.into_iter().map(|entry| entry.envelope)));
        }
    }
    Ok(events)
}

/// The `outbox` table in memory.
pub(super) fn load_outbox(store: &Store, reoffers: &Reoffers) -> Result<Outbox, NodeError> {
    let batch = store.batch();
    let mut waiting = Outbox::default();
    for entry in outbox::list(&batch).map_err(NodeError::Store)? {
        let Some(stored) = get(&batch, &entry.id).map_err(NodeError::Store)? else {
            continue;
        };
        let stored_at = receipts::get(&batch, &entry.id).map_err(NodeError::Store)?;
        let envelope = &stored.envelope;
        // What it promised was lost with its log, and is not there again.
        let is_void = |it: &StoredReceipt| {
            let log = (it.log, it.log_epoch);
            let reoffer = reoffers.in_doubt(it.relay, entry.timeline, log);
            reoffer.is_some_and(|it| {
                it.concerns(envelope.class(), stored.arrival)
                    && !it.has_passed(envelope.author(), envelope.seq())
            })
        };
        let stored_at = stored_at.iter().map(Promise::receipt);
        let stored_at = stored_at.filter(|it| !is_void(it)).map(|it| it.relay);
        let stored_at = stored_at.collect();
        waiting.insert(Waiting::new(entry, &stored.envelope, stored_at));
    }
    Ok(waiting)
}

impl Peer {
    /// Whether it was joined and nothing of it has arrived.
    pub(super) fn is_joining(&self, id: TimelineId) -> bool {
        self.timelines
            .get(&id)
            .is_some_and(|timeline| timeline.kind().is_none())
    }

    /// Whether a refusal may only mean that this node is early: what lets it in
    /// waits with the inviter, who was offline, and the relay will take it then.
    pub(super) fn may_be_early(&self, id: TimelineId, code: ErrorCode) -> bool {
        is_of_admission(code) && self.is_joining(id)
    }

    /// An envelope, also when it waits for the commit.
    pub(super) fn stored_or_staged(
        &mut self,
        id: &EnvelopeId,
    ) -> Result<Option<VerifiedEnvelope>, NodeError> {
        Ok(self
            .with_batch(|batch| get(batch, id))?
            .map(|stored| stored.envelope))
    }

    /// Keeps an envelope of one's own and queues it for the relays.
    pub(super) fn queue(&mut self, now: Now, envelope: &VerifiedEnvelope) -> Result<(), NodeError> {
        let (timeline, id) = (envelope.timeline(), envelope.id());
        let entry = self.with_batch(|batch| {
            append(batch, envelope, now.wall)?;
            outbox::push(batch, &timeline, &id, now.wall)
        })?;
        self.note_unkept(timeline, 1);
        self.outbox
            .insert(Waiting::new(entry, envelope, BTreeSet::new()));
        Ok(())
    }

    /// Keeps what a relay sent, and shows it. What is new here has its arrival.
    pub(super) fn receive(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<Option<ArrivalSeq>, NodeError> {
        let id = envelope.timeline();
        // Nobody here asked for other timelines.
        if !self.timelines.contains_key(&id) {
            return Ok(None);
        }
        let mut new = None;
        match self.with_batch(|batch| append(batch, envelope, received_at))? {
            Appended::Stored { arrival, forked } => {
                new = Some(arrival);
                if forked {
                    self.emit(Event::Fork {
                        timeline: id.to_string(),
                        author: envelope.author().to_string(),
                        seq: envelope.seq().0,
                    });
                }
            }
            // A relay that had dropped the body was here before somebody who has it.
            Appended::Restored { .. } => self.void_snapshot(id)?,
            // The timeline has it; or the folder does not keep it, so that the
            // timeline would show something else after the next start.
            Appended::Duplicate { .. } | Appended::ThirdFork => return Ok(None),
        }
        self.note_unkept(id, 1);
        self.show(envelope);
        Ok(new)
    }

    /// Shows an envelope that is in the folder or in the open batch.
    pub(super) fn show(&mut self, envelope: &VerifiedEnvelope) {
        let id = envelope.timeline();
        if let Some(timeline) = self.timelines.get_mut(&id) {
            let events = timeline.receive(envelope);
            self.owing.insert(id);
            self.report(id, events);
        }
    }

    /// Reads timelines again that ask for it, before anything is written to them.
    pub(super) fn reread_timelines(&mut self) -> Result<(), NodeError> {
        let due = self.timelines.iter().filter(|(_, open)| open.must_reread());
        let due: Vec<TimelineId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(mut timeline) = self.timelines.remove(&id) else {
                continue;
            };
            let read = self.with_batch(|batch| {
                timeline.reread(|open| feed(batch, open, Ends::default(), &mut 0))
            });
            self.timelines.insert(id, timeline);
            self.owing.insert(id);
            self.report(id, read?);
        }
        Ok(())
    }

    pub(super) fn report(&mut self, id: TimelineId, events: Vec<TimelineEvent>) {
        let timeline = id.to_string();
        for event in events {
            let timeline = timeline.clone();
            match event {
                TimelineEvent::MessageAdded(message) => {
                    self.emit(Event::Message {
                        timeline,
                        message: message.to_string(),
                    });
                }
                TimelineEvent::MessageChanged(message) => {
                    self.emit(Event::Changed {
                        timeline,
                        message: message.to_string(),
                    });
                }
                TimelineEvent::Opened
                | TimelineEvent::StateChanged
                | TimelineEvent::MemberJoined(_)
                | TimelineEvent::EpochLearnt(_)
                | TimelineEvent::Rebuilt => {
                    self.moves.look_at(id);
                    self.emit(Event::State { timeline });
                }
                TimelineEvent::Delivered { .. } | TimelineEvent::Read { .. } => {
                    self.emit(Event::Delivery { timeline });
                }
                TimelineEvent::Superseded { author } => {
                    tracing::warn!(%timeline, %author, "two have used one invite; this one does not count");
                    self.emit(Event::State { timeline });
                }
                TimelineEvent::ChangeRefused { author, refusal } => {
                    tracing::warn!(%timeline, %author, %refusal, "a change was refused");
                }
                TimelineEvent::ParkedFull { envelope } => {
                    tracing::warn!(%timeline, %envelope, "too many envelopes wait for others");
                }
                TimelineEvent::WeakInbox(principal) => {
                    tracing::warn!(%timeline, %principal, "a member's inbox key is weak; new keys are not wrapped to it");
                    self.emit(Event::State { timeline });
                }
                TimelineEvent::ChainRunsFull { author } => {
                    tracing::warn!(%timeline, %author, "too many envelopes of an author are missing");
                }
                TimelineEvent::HeightsFull { principal } => {
                    tracing::warn!(%timeline, %principal, "a member acknowledged too many unknown chains");
                }
                TimelineEvent::DeliveryForgotten { page } => {
                    tracing::debug!(%timeline, page = page.n, "deliveries of an old page are forgotten");
                }
                TimelineEvent::Refused { envelope, reason } => {
                    tracing::warn!(%timeline, %envelope, %reason, "an envelope was refused");
                }
            }
        }
    }
}

/// Whether a relay refuses for what it does not know, or not yet.
pub(super) fn is_of_admission(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownTimeline | ErrorCode::NotAdmitted)
}
