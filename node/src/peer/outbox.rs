//! Envelopes that no relay has stored yet, in the order of one's own chains.
//!
//! An envelope is sealed once and offered until some relay signs for it; after
//! a lost connection the same bytes are offered again, and the relay answers
//! "duplicate", so nothing is written twice and nothing is lost.

use std::collections::BTreeMap;

use khlong_crdt::id::{EnvelopeId, Seq, TimelineId};

/// One waiting envelope.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) envelope: EnvelopeId,
    /// Place in its author's chain.
    pub(crate) seq: Seq,
    /// A relay's word that offering it again is useless as things stand.
    pub(crate) refused: Option<String>,
}

/// By timeline and place in its outbox; the `outbox` table in memory.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(TimelineId, u64), Waiting>,
}

impl Outbox {
    pub(crate) fn insert(&mut self, timeline: TimelineId, n: u64, waiting: Waiting) {
        self.waiting.insert((timeline, n), waiting);
    }

    pub(crate) fn remove(&mut self, timeline: TimelineId, n: u64) -> Option<Waiting> {
        self.waiting.remove(&(timeline, n))
    }

    pub(crate) fn refuse(&mut self, timeline: TimelineId, n: u64, reason: String) {
        if let Some(waiting) = self.waiting.get_mut(&(timeline, n)) {
            waiting.refused = Some(reason);
        }
    }

    /// Offer refused ones again.
    pub(crate) fn forgive(&mut self) {
        for waiting in self.waiting.values_mut() {
            waiting.refused = None;
        }
    }

    pub(crate) fn of(&self, timeline: TimelineId) -> impl Iterator<Item = (u64, &Waiting)> {
        self.waiting
            .range((timeline, 0)..=(timeline, u64::MAX))
            .map(|((_, n), waiting)| (*n, waiting))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (TimelineId, u64, &Waiting)> {
        self.waiting
            .iter()
            .map(|((timeline, n), waiting)| (*timeline, *n, waiting))
    }

    /// The waiting envelope at a place of one's own chain; the genesis, which
    /// the timeline's key signed, is none of one's own.
    pub(crate) fn at_seq(&self, timeline: TimelineId, seq: Seq) -> Option<&Waiting> {
        self.of(timeline)
            .map(|(_, waiting)| waiting)
            .filter(|waiting| waiting.seq == seq)
            .last()
    }

    pub(crate) fn len(&self) -> u64 {
        self.waiting.len() as u64
    }
}
