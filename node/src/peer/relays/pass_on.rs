//! What others wrote is passed on from one relay of a timeline to another that lacks it, so that
//! a member who reaches only the one sees what somebody wrote to the other.
//!
//! A relay verifies signature and admission by itself, so it does not matter who brings an
//! envelope. Who has it is known from what relays send: whatever came from one and not from the
//! other is offered to that one, once everything that it has is here, and after a while, in which
//! its writer does so or another member. That while differs by member and envelope; the relay shows
//! what it took to all, and so ends it for the others. What it refuses is not offered to it again.

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::time::{Monotonic, Now};
use khlong_store::tables::outbox;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::{Link, Live};
use crate::peer::outbox::{Place, Waiting};
use crate::peer::timelines::{holders, is_of_another};

/// For so long the writer comes first.
const PASS_ON_AFTER_MS: u64 = 5_000;
/// And members one after the other.
const PASS_ON_SPREAD_MS: u64 = 10_000;

impl Peer {
    /// A relay sent an envelope, so it has it.
    pub(in crate::peer) fn came_from(
        &mut self,
        relay: RelayKey,
        id: &EnvelopeId,
    ) -> Result<(), NodeError> {
        let Some(place) = self.outbox.passed_on(id) else {
            return Ok(());
        };
        let carriers = self.book.carriers_of(place.timeline);
        self.outbox.stored(place, relay, &carriers);
        self.end_if_passed_on(place, &carriers)
    }

    /// Keeps in mind what a relay sent, if the timeline has others.
    pub(in crate::peer) fn keep_to_pass_on(
        &mut self,
        now: Now,
        envelope: &VerifiedEnvelope,
    ) -> Result<(), NodeError> {
        let (timeline, id) = (envelope.timeline(), envelope.id());
        let open = self.timelines.get(&timeline);
        if envelope.body().is_none()
            || self.book.carriers_of(timeline).len() < 2
            || !self.outbox.has_room_to_pass_on()
            || !open.is_some_and(|open| is_of_another(open, envelope))
        {
            return Ok(());
        }
        let (entry, stored_at) = self.with_batch(|batch| {
            let entry = outbox::push(batch, &timeline, &id, now.wall)?;
            Ok((entry, holders(batch, &id)?))
        })?;
        let waiting = Waiting::new(entry, envelope, stored_at);
        self.outbox.insert(waiting.passed_on(now.monotonic));
        Ok(())
    }

    /// Forgets it once each relay has it or refused it.
    pub(super) fn end_if_passed_on(
        &mut self,
        place: Place,
        carriers: &[RelayKey],
    ) -> Result<(), NodeError> {
        if !self.outbox.is_passed_on(place, carriers) {
            return Ok(());
        }
        self.outbox.remove(place);
        self.with_batch(|batch| outbox::remove(batch, &place.timeline, place.n).map(|_| ()))
    }

    /// Notes when the next one is due.
    pub(super) fn look_at_passed_on(&mut self, now: Now, relay: RelayKey, carried: &[TimelineId]) {
        let waiting = carried.iter().flat_map(|id| self.outbox.of(*id));
        let wanted = waiting.filter(|waiting| waiting.is_for(relay));
        let due = wanted.filter_map(|waiting| self.due_at(waiting));
        let next = due.filter(|at| *at > now.monotonic).min();
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.pass_on_at = next;
        }
    }

    /// Whether it may be offered now. One's own always may.
    pub(super) fn is_due(&self, now: Now, relay: RelayKey, live: &Live, it: &Waiting) -> bool {
        let Some(at) = self.due_at(it) else {
            return true;
        };
        if self.book.is_leaving(it.entry.timeline, relay) {
            return false;
        }
        let is_new_there = live.offers_again || self.book.is_arriving(it.entry.timeline, relay);
        is_new_there || (at <= now.monotonic && live.is_caught_up())
    }

    /// When something of another is passed on.
    fn due_at(&self, it: &Waiting) -> Option<Monotonic> {
        let since = it.passed_on_since()?;
        let me = self.timelines.get(&it.entry.timeline)?.author();
        let (id, me) = (it.entry.id.as_bytes(), me.as_bytes());
        let mine = id.iter().zip(me).take(8);
        let mine = mine.fold(0, |sum: u64, (a, b)| (sum << 8) | u64::from(a ^ b));
        Some(since.after_ms(PASS_ON_AFTER_MS + mine % PASS_ON_SPREAD_MS))
    }
}
