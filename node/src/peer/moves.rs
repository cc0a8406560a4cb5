//! A timeline goes to another relay: what its admins say of relays, carried out here.
//!
//! Each member follows by itself. A relay that was added is asked for the timeline and given
//! what this node has; one that was taken away is read to its end, and left once another
//! one is in step. Whoever takes it away first sees to it that another one has everything.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::address::{INVITE_RELAYS_MAX, RelayAddress};
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::{Monotonic, Now};
use khlong_document::timeline::carriers::Carrier;

use super::Peer;
use crate::api::Event;
use crate::error::NodeError;

/// What a relay that stays refuses is offered there again after this, in milliseconds.
const REFUSED_AGAIN_MS: u64 = 60_000;
/// Relays that one timeline may have here while it goes from some to others.
const CARRIERS_MAX: usize = 2 * INVITE_RELAYS_MAX;

/// What was said of relays, and where something is to be done about it.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Timelines in which something may have been said since it was looked at.
    changed: BTreeSet<TimelineId>,
    /// Of timelines in which something was.
    said: BTreeMap<TimelineId, Vec<Carrier>>,
    /// Timelines that leave a relay.
    under_way: BTreeSet<TimelineId>,
    /// When what a relay refuses may be offered there again.
    again: BTreeMap<(TimelineId, RelayKey), Monotonic>,
}

impl Moves {
    /// All timelines are to be looked at.
    pub(super) fn of_all(timelines: impl Iterator<Item = TimelineId>) -> Self {
        Self {
            changed: timelines.collect(),
            ..Self::default()
        }
    }

    pub(super) fn look_at(&mut self, timeline: TimelineId) {
        self.changed.insert(timeline);
    }

    /// A relay of the timeline is to be left.
    pub(super) fn goes_on(&mut self, timeline: TimelineId) {
        self.under_way.insert(timeline);
    }

    pub(super) fn is_under_way(&self, timeline: TimelineId) -> bool {
        self.under_way.contains(&timeline)
    }

    pub(super) fn note_said(&mut self, timeline: TimelineId, said: Vec<Carrier>) {
        self.said.insert(timeline, said);
        self.under_way.insert(timeline);
    }

    /// Whether what a relay refuses may be offered there again by now.
    pub(super) fn may_try(
        &mut self,
        now: Monotonic,
        timeline: TimelineId,
        relay: RelayKey,
    ) -> bool {
        let next = now.after_ms(REFUSED_AGAIN_MS);
        let known = self.again.insert((timeline, relay), next);
        let waits = known.filter(|at| *at > now);
        if let Some(at) = waits {
            self.again.insert((timeline, relay), at);
        }
        waits.is_none()
    }

    /// What was said last of a relay.
    pub(super) fn of(&self, timeline: TimelineId, relay: RelayKey) -> Option<&Carrier> {
        let mut said = self.said.get(&timeline)?.iter();
        said.find(|it| it.relay.key == relay)
    }

    /// Whether the timeline has moved away from a relay, which may carry it here still.
    pub(super) fn is_removed(&self, timeline: TimelineId, relay: RelayKey) -> bool {
        self.of(timeline, relay).is_some_and(|it| it.is_removed)
    }
}

impl Peer {
    /// Carries out what was said of relays since, and goes on with what is under way.
    pub(super) fn follow_moves(&mut self, now: Now) -> Result<(), NodeError> {
        for id in std::mem::take(&mut self.moves.changed) {
            let Some(open) = self.timelines.get(&id) else {
                self.moves.said.remove(&id);
                continue;
            };
            let said = open.carriers();
            let entry = self.book.timelines.get(&id.to_string());
            let is_parting = entry.is_some_and(|entry| !entry.parting.is_empty());
            if said.is_empty() && !is_parting {
                continue;
            }
            self.moves.note_said(id, said.clone());
            if self.book.follows(id) {
                self.take_added(now, id, said)?;
            }
        }
        for id in std::mem::take(&mut self.moves.under_way) {
            if !self.book.follows(id) {
                continue;
            }
            let is_under_way = match self.go_on_leaving(now, id) {
                // Tried again with the next input.
                Err(error @ NodeError::Write(_)) => {
                    let error = error.full_message();
                    tracing::warn!(timeline = %id, %error, "that a relay goes could not be said");
                    true
                }
                other => other?,
            };
            if is_under_way {
                self.moves.under_way.insert(id);
            }
        }
        Ok(())
    }

    fn take_added(
        &mut self,
        now: Now,
        id: TimelineId,
        said: Vec<Carrier>,
    ) -> Result<(), NodeError> {
        for Carrier { relay, .. } in said.into_iter().filter(|it| !it.is_removed) {
            let carriers = self.book.carriers_of(id);
            let entry = self.book.timelines.get(&id.to_string());
            let is_apart = entry.is_none_or(|it| it.apart.contains(&relay.key.to_string()));
            if carriers.contains(&relay.key) {
                // It may be elsewhere by now.
                self.link_to(now, relay);
            } else if !is_apart && self.has_room_for_relay(id) {
                self.take_carrier(now, id, &relay)?;
            }
        }
        Ok(())
    }

    /// Relays that are to be left take no place, within reason.
    pub(super) fn has_room_for_relay(&self, id: TimelineId) -> bool {
        self.staying(id).len() < INVITE_RELAYS_MAX && self.book.carriers_of(id).len() < CARRIERS_MAX
    }

    /// One more relay carries the timeline: it is asked for it, and given what is here.
    pub(super) fn take_carrier(
        &mut self,
        now: Now,
        id: TimelineId,
        relay: &RelayAddress,
    ) -> Result<(), NodeError> {
        let address = relay.to_string();
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.apart.remove(&relay.key.to_string());
            entry.untold.remove(&relay.key.to_string());
            entry.relays.push(address.clone());
        }
        self.save_book()?;
        // It may be one that was taken away.
        self.moves.goes_on(id);
        self.fetch_all(now, id, &[address])?;
        self.offer_again(relay.key, id)?;
        self.emit(Event::State {
            timeline: id.to_string(),
        });
        Ok(())
    }
}
