//! When a relay's log is another than before, what it had is offered again.
//!
//! A relay that lost acknowledged commits begins a new log epoch, a relay that
//! was set up anew a new log. Either way no cursor into the old log holds (the
//! session falls back by itself), and what this node wrote may be gone there.
//! Permissions and keys are offered whoever wrote them: without the genesis and
//! the grants nobody could write there, and their authors may be away for long.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_store::error::StoreError;
use khlong_store::tables::outbox::{self, OutboxEntry};
use khlong_store::tables::timelines::entries;
use khlong_store::tables::{cursors, receipts};

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::dropped;
use crate::peer::links::Link;
use crate::peer::outbox::{Place, Waiting};

/// Envelopes read at once.
const READ_ENTRIES: usize = 1_024;
const READ_BYTES: usize = 4 * 1024 * 1024;

impl Peer {
    /// Compares the log that `relay` names with the one that this node's cursors are of.
    pub(super) fn meet_log(
        &mut self,
        now: Now,
        relay: RelayKey,
        log: LogId,
        epoch: u32,
    ) -> Result<(), NodeError> {
        let known = self.with_batch(|batch| {
            let known = Class::ALL
                .into_iter()
                .map(|class| cursors::get(batch, &relay, class));
            known.collect::<Result<Vec<_>, _>>()
        })?;
        let is_other = known
            .into_iter()
            .flatten()
            .any(|cursor| (cursor.log, cursor.log_epoch) != (log, epoch));
        if is_other {
            self.offer_all_again(now, relay)?;
        }
        Ok(())
    }

    /// The relay's log is not what it was: once a connection, everything is offered again.
    pub(super) fn offer_all_again(&mut self, now: Now, relay: RelayKey) -> Result<(), NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(());
        };
        if std::mem::replace(&mut live.offers_again, true) {
            return Ok(());
        }
        tracing::warn!(%relay, "the relay's log is not what it was; what this node has is offered again");
        for timeline in self.book.carried_by(relay) {
            self.offer_again(now, relay, timeline)?;
        }
        Ok(())
    }

    /// Offers a relay what this node has of a timeline: permissions and keys of all, and all of one's own.
    pub(in crate::peer) fn offer_again(
        &mut self,
        now: Now,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<(), NodeError> {
        let mut waiting: BTreeSet<EnvelopeId> = BTreeSet::new();
        let places: Vec<(Place, EnvelopeId)> = self
            .outbox
            .of(timeline)
            .map(|waiting| (waiting.place(), waiting.entry.id))
            .collect();
        for (place, id) in &places {
            self.with_batch(|batch| receipts::forget(batch, id, &relay))?;
            self.outbox.lost_at(*place, relay);
            waiting.insert(*id);
        }
        // What others wrote before what is mine: the relay knows nobody until the genesis
        // and the grants are there, whenever they arrived here.
        let (mut others, mut mine) = (Vec::new(), Vec::new());
        for class in Class::ALL {
            let mut after = ArrivalSeq(0);
            loop {
                let upto = ArrivalSeq(u64::MAX);
                let page = self.with_batch(|batch| {
                    entries(
                        batch,
                        &timeline,
                        class,
                        after,
                        upto,
                        READ_ENTRIES,
                        READ_BYTES,
                    )
                })?;
                let Some(last) = page.last() else { break };
                after = last.arrival;
                for entry in page {
                    let envelope = entry.envelope;
                    let id = envelope.id();
                    if envelope.body().is_none()
                        || waiting.contains(&id)
                        || self.with_batch(|batch| dropped::contains(batch, &id))?
                    {
                        continue;
                    }
                    if self.is_own(&envelope) {
                        mine.push(envelope);
                    } else if class == Class::Control {
                        others.push(envelope);
                    }
                }
            }
        }
        others
            .iter()
            .chain(&mine)
            .try_for_each(|envelope| self.requeue(now, relay, envelope))?;
        if others.is_empty() && mine.is_empty() {
            return Ok(());
        }
        // What waits rests on what was stored before.
        let mut places = places.into_iter();
        places.try_for_each(|(place, _)| self.queue_last(place))
    }

    /// Moves an entry to the end of its timeline's outbox.
    fn queue_last(&mut self, place: Place) -> Result<(), NodeError> {
        let Some(mut waiting) = self.outbox.remove(place) else {
            return Ok(());
        };
        let before = waiting.entry;
        waiting.entry = self.with_batch(|batch| {
            outbox::remove(batch, &place.timeline, place.n)?;
            let moved = outbox::push(batch, &place.timeline, &before.id, before.queued_at)?;
            let moved = OutboxEntry {
                n: moved.n,
                ..before
            };
            outbox::update(batch, &moved)?;
            Ok::<_, StoreError>(moved)
        })?;
        self.outbox.insert(waiting);
        Ok(())
    }

    fn is_own(&self, envelope: &VerifiedEnvelope) -> bool {
        self.timelines
            .get(&envelope.timeline())
            .is_some_and(|timeline| timeline.is_mine(&envelope.prefix().author))
    }

    fn requeue(
        &mut self,
        now: Now,
        relay: RelayKey,
        envelope: &VerifiedEnvelope,
    ) -> Result<(), NodeError> {
        let (timeline, id) = (envelope.timeline(), envelope.id());
        let (entry, stored_at) = self.with_batch(|batch| {
            receipts::forget(batch, &id, &relay)?;
            let entry = outbox::push(batch, &timeline, &id, now.wall)?;
            let stored_at = receipts::get(batch, &id)?;
            Ok::<_, StoreError>((entry, stored_at))
        })?;
        let stored_at = stored_at
            .iter()
            .map(|promise| promise.receipt().relay)
            .collect();
        self.outbox.insert(Waiting::new(entry, envelope, stored_at));
        Ok(())
    }
}
