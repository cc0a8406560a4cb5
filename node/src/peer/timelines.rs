//! Timelines on the disk and in memory: loading, writing, receiving.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::time::{Now, UnixMillis};
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::event::TimelineEvent;
use khlong_store::store::Store;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::{outbox, receipts};
use khlong_store::tables::timelines::{append, entries, get};

use super::Peer;
use super::outbox::{Outbox, Waiting};
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

/// Folds everything that the folder holds of a timeline.
pub(super) fn load(store: &Store, vault: &Vault, id: TimelineId) -> Result<Timeline, NodeError> {
    let name = secret_row(id);
    let row = named::get(&store.batch(), Named::Secret, name.as_bytes())
        .map_err(NodeError::Store)?
        .ok_or_else(|| NodeError::Secret { name: name.clone() })?;
    let secrets = TimelineSecrets::from_bytes(&vault.open(&name, &row)?)
        .map_err(|_| NodeError::Secret { name })?;
    let mut timeline = Timeline::new(id, secrets);
    let batch = store.batch();
    for class in Class::ALL {
        let mut after = ArrivalSeq(0);
        loop {
            let page = entries(
                &batch,
                &id,
                class,
                after,
                ArrivalSeq(u64::MAX),
                LOAD_ENTRIES,
                LOAD_BYTES,
            )
            .map_err(NodeError::Store)?;
            let Some(last) = page.last() else { break };
            after = last.arrival;
            timeline.receive_all(
                page.into_iter()
                    .map(|entry| (entry.envelope, entry.received_at)),
            );
        }
    }
    Ok(timeline)
}

/// The `outbox` table in memory.
pub(super) fn load_outbox(store: &Store) -> Result<Outbox, NodeError> {
    let batch = store.batch();
    let mut waiting = Outbox::default();
    for entry in outbox::list(&batch).map_err(NodeError::Store)? {
        let Some(stored) = get(&batch, &entry.id).map_err(NodeError::Store)? else {
            continue;
        };
        let stored_at = receipts::get(&batch, &entry.id).map_err(NodeError::Store)?;
        let stored_at = stored_at.iter().map(|receipt| receipt.relay).collect();
        waiting.insert(Waiting::new(entry, &stored.envelope, stored_at));
    }
    Ok(waiting)
}

impl Peer {
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
        self.outbox
            .insert(Waiting::new(entry, envelope, BTreeSet::new()));
        Ok(())
    }

    /// Keeps what a relay sent, and shows it.
    pub(super) fn receive(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<(), NodeError> {
        self.with_batch(|batch| append(batch, envelope, received_at))?;
        let id = envelope.timeline();
        let events = self
            .timelines
            .get_mut(&id)
            .map(|timeline| timeline.receive(envelope, received_at))
            .unwrap_or_default();
        self.report(id, events);
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
                | TimelineEvent::EpochLearnt(_) => self.emit(Event::State { timeline }),
                TimelineEvent::Delivered { .. } | TimelineEvent::Read { .. } => {
                    self.emit(Event::Delivery { timeline });
                }
                TimelineEvent::ForkSeen { author, seq } => {
                    self.emit(Event::Fork {
                        timeline,
                        author: author.to_string(),
                        seq: seq.0,
                    });
                }
                TimelineEvent::ChangeRefused { author, refusal } => {
                    tracing::warn!(%timeline, %author, %refusal, "a change was refused");
                }
                TimelineEvent::ParkedFull { envelope } => {
                    tracing::warn!(%timeline, %envelope, "too many envelopes wait for others");
                }
                TimelineEvent::Refused { envelope, reason } => {
                    tracing::warn!(%timeline, %envelope, %reason, "an envelope was refused");
                }
            }
        }
    }
}
