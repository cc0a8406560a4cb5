//! Envelopes that a relay of their timeline does not have yet, in the order of one's own chains.
//!
//! An envelope is sealed once and offered to every relay that carries the timeline
//! until that relay signs for it; after a lost connection the same bytes are
//! offered again, and the relay answers "duplicate", so nothing is written twice
//! and nothing is lost. The first signature makes it *stored*; until relays pass
//! envelopes on to each other, its writer brings it to the others.
//!
//! A refusal never takes an entry out. One relay's word keeps it from that
//! relay only; when every relay that carries the timeline has refused it for
//! good, it waits for its user: see `store/KEYSPACE.md`, outbox.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, RelayKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_store::limits::OUTBOX_ENTRIES_MAX;
use khlong_store::tables::outbox::{OutboxEntry, OutboxState};
use khlong_sync::wire::code::ErrorCode;

/// Where an entry stands: its timeline, and its place in that one's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) timeline: TimelineId,
    pub(crate) n: u64,
}

/// One waiting envelope.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// The row, as it is on the disk or waits for the commit.
    pub(crate) entry: OutboxEntry,
    /// Whose chain it is in.
    pub(crate) author: AuthorKey,
    /// Place in that chain.
    pub(crate) seq: Seq,
    pub(crate) class: Class,
    pub(crate) bytes: u64,
    /// Relays that said, since the node started, that offering it again is useless.
    refused_by: BTreeSet<RelayKey>,
    /// Relays that signed for it: the `receipt` table.
    stored_at: BTreeSet<RelayKey>,
}

impl Waiting {
    pub(crate) fn new(
        entry: OutboxEntry,
        envelope: &VerifiedEnvelope,
        stored_at: BTreeSet<RelayKey>,
    ) -> Self {
        Self {
            entry,
            stored_at,
            author: envelope.prefix().author,
            seq: envelope.prefix().seq,
            class: envelope.class(),
            bytes: envelope.bytes().len() as u64,
            refused_by: BTreeSet::new(),
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            timeline: self.entry.timeline,
            n: self.entry.n,
        }
    }

    /// Whether it waits for its user: no relay is offered it.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.entry.state, OutboxState::Refused { .. })
    }

    /// Whether `relay` may be offered it.
    pub(crate) fn is_for(&self, relay: RelayKey) -> bool {
        !self.is_refused() && !self.refused_by.contains(&relay) && self.is_missing_at(relay)
    }

    /// Whether `relay` has not signed for it.
    pub(crate) fn is_missing_at(&self, relay: RelayKey) -> bool {
        !self.stored_at.contains(&relay)
    }

    /// Whether some relay has signed for it.
    pub(crate) fn is_stored(&self) -> bool {
        !self.stored_at.is_empty()
    }

    /// Whether a relay has said no and it was not offered again since.
    pub(crate) fn is_held_up(&self) -> bool {
        self.entry.state != OutboxState::Waiting
    }

    /// Whether each of `carriers` has signed for it, or refused it for good.
    fn is_judged_by(&self, carriers: &[RelayKey]) -> bool {
        let is_judged =
            |carrier| self.stored_at.contains(carrier) || self.refused_by.contains(carrier);
        carriers.iter().all(is_judged)
    }

    fn forgive(&mut self) -> Option<OutboxEntry> {
        if !self.is_held_up() {
            return None;
        }
        self.refused_by.clear();
        Some(self.set(OutboxState::Waiting, UnixMillis(0)))
    }

    fn set(&mut self, state: OutboxState, next_attempt: UnixMillis) -> OutboxEntry {
        self.entry.state = state;
        self.entry.next_attempt = next_attempt;
        self.entry
    }
}

/// The `outbox` table in memory. What
/// changes an entry returns the row to write.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<Place, Waiting>,
}

impl Outbox {
    pub(crate) fn insert(&mut self, waiting: Waiting) {
        self.waiting.insert(waiting.place(), waiting);
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<Waiting> {
        self.waiting.remove(&place)
    }

    /// `relay` signed for it. Whether it has done its time: each of `carriers`
    /// has signed, or refused it for good.
    pub(crate) fn stored(&mut self, place: Place, relay: RelayKey, carriers: &[RelayKey]) -> bool {
        let Some(waiting) = self.waiting.get_mut(&place) else {
            return false;
        };
        waiting.stored_at.insert(relay);
        waiting.is_judged_by(carriers)
    }

    /// Whether an entry has done its time: a relay has signed, and each of `carriers` has or
    /// has refused for good.
    pub(crate) fn is_done(&self, place: Place, carriers: &[RelayKey]) -> bool {
        let waiting = self.waiting.get(&place);
        waiting.is_some_and(|waiting| waiting.is_stored() && waiting.is_judged_by(carriers))
    }

    /// Entries of a timeline that have done their time where only `carriers` carry it: a relay
    /// has signed, and each of these has or has refused for good.
    pub(crate) fn done_without(&self, timeline: TimelineId, carriers: &[RelayKey]) -> Vec<Place> {
        let is_done = |waiting: &&Waiting| {
            waiting.is_stored() && !carriers.is_empty() && waiting.is_judged_by(carriers)
        };
        self.of(timeline)
            .filter(is_done)
            .map(Waiting::place)
            .collect()
    }

    /// `relay` lost what it signed for of a timeline; it is offered there again.
    pub(crate) fn lost_all_at(&mut self, timeline: TimelineId, relay: RelayKey) {
        let at = |n| Place { timeline, n };
        for (_, waiting) in self.waiting.range_mut(at(0)..=at(u64::MAX)) {
            waiting.stored_at.remove(&relay);
        }
    }

    /// What `relay` refused for good of a timeline may be offered there again.
    pub(crate) fn forgive_at(&mut self, timeline: TimelineId, relay: RelayKey) {
        let at = |n| Place { timeline, n };
        for (_, waiting) in self.waiting.range_mut(at(0)..=at(u64::MAX)) {
            waiting.refused_by.remove(&relay);
        }
    }

    /// Whether the table takes no further entry.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() as u64 >= OUTBOX_ENTRIES_MAX
    }

    /// `relay` said that offering it there again is useless as things stand.
    /// `carriers` are the relays that carry the timeline.
    pub(crate) fn refuse(
        &mut self,
        place: Place,
        relay: RelayKey,
        code: ErrorCode,
        carriers: &[RelayKey],
    ) -> Option<OutboxEntry> {
        let waiting = self.waiting.get_mut(&place)?;
        waiting.entry.attempts = waiting.entry.attempts.saturating_add(1);
        waiting.refused_by.insert(relay);
        let code = code.number();
        let nobody_is_left = !waiting.is_stored()
            && carriers
                .iter()
                .all(|carrier| waiting.refused_by.contains(carrier));
        let state = if nobody_is_left {
            OutboxState::Refused { code }
        } else {
            OutboxState::PutOff { code }
        };
        Some(waiting.set(state, UnixMillis(0)))
    }

    /// A relay cannot take it now and is asked again at `next_attempt`.
    pub(crate) fn put_off(
        &mut self,
        place: Place,
        code: ErrorCode,
        next_attempt: UnixMillis,
    ) -> Option<OutboxEntry> {
        let waiting = self.waiting.get_mut(&place)?;
        waiting.entry.attempts = waiting.entry.attempts.saturating_add(1);
        let code = code.number();
        Some(waiting.set(OutboxState::PutOff { code }, next_attempt))
    }

    /// Everything that was refused may be offered again, to every relay.
    pub(crate) fn forgive(&mut self) -> Vec<OutboxEntry> {
        let all = self.waiting.values_mut();
        all.filter_map(Waiting::forgive).collect()
    }

    /// The same of one timeline.
    pub(crate) fn forgive_of(&mut self, timeline: TimelineId) -> Vec<OutboxEntry> {
        let at = |n| Place { timeline, n };
        let all = self.waiting.range_mut(at(0)..=at(u64::MAX));
        all.filter_map(|(_, waiting)| waiting.forgive()).collect()
    }

    pub(crate) fn of(&self, timeline: TimelineId) -> impl Iterator<Item = &Waiting> {
        let at = |n| Place { timeline, n };
        self.waiting
            .range(at(0)..=at(u64::MAX))
            .map(|(_, waiting)| waiting)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// What `relay` must have before it knows one's author key: the beginning of the chain.
    pub(crate) fn introduction(
        &self,
        timeline: TimelineId,
        relay: RelayKey,
    ) -> impl Iterator<Item = &Waiting> {
        self.of(timeline)
            .filter(move |waiting| waiting.seq <= Seq::FIRST && waiting.is_missing_at(relay))
    }

    /// The waiting envelope at a place of a chain.
    pub(crate) fn at_seq(
        &self,
        timeline: TimelineId,
        author: AuthorKey,
        seq: Seq,
    ) -> Option<&Waiting> {
        self.of(timeline)
            .find(|waiting| waiting.seq == seq && waiting.author == author)
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Waiting> {
        self.waiting.get(&place)
    }

    pub(crate) fn class_at(&self, place: Place) -> Option<Class> {
        self.waiting.get(&place).map(|waiting| waiting.class)
    }

    /// How many no relay has signed for.
    pub(crate) fn unstored(&self) -> u64 {
        self.all().filter(|waiting| !waiting.is_stored()).count() as u64
    }
}
