//! A timeline goes to another relay: what its admins say of relays, carried out here.
//!
//! Each member follows by itself. A relay that was added is asked for the timeline and given
//! what this node has; one that was taken away is read to its end, and left once another
//! one is in step. Whoever takes it away first sees to it that another one has everything.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::address::{INVITE_RELAYS_MAX, RelayAddress};
use khlong_crdt::class::Class;
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::carriers::Carrier;
use khlong_document::timeline::draft::Draft;
use khlong_store::error::StoreError;
use khlong_store::tables::timelines::timeline_head;
use khlong_store::tables::{cursors, outbox};

use super::book::{Arrivals, Parting};
use super::links::{Link, LinkState};
use super::outbox::{Place, Waiting};
use super::{Peer, PeerOutput};
use crate::api::Event;
use crate::error::NodeError;

/// What was said of relays, and where something is to be done about it.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Timelines in which something may have been said since it was looked at.
    changed: BTreeSet<TimelineId>,
    /// Of timelines in which something was.
    said: BTreeMap<TimelineId, Vec<Carrier>>,
    /// Timelines that leave a relay.
    under_way: BTreeSet<TimelineId>,
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
            self.moves.said.insert(id, said.clone());
            self.moves.under_way.insert(id);
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
            } else if !is_apart && carriers.len() < INVITE_RELAYS_MAX {
                self.take_carrier(now, id, &relay)?;
            }
        }
        Ok(())
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
            entry.relays.push(address.clone());
        }
        self.save_book()?;
        self.fetch_all(now, id, &[address])?;
        self.offer_again(relay.key, id)?;
        self.emit(Event::State {
            timeline: id.to_string(),
        });
        Ok(())
    }

    /// Relays that carry a timeline and are not to be left.
    pub(super) fn staying(&self, id: TimelineId) -> Vec<RelayKey> {
        let entry = self.book.timelines.get(&id.to_string());
        let is_parting = |relay: &RelayKey| {
            entry.is_some_and(|entry| entry.parting.contains_key(&relay.to_string()))
        };
        let carriers = self.book.carriers_of(id).into_iter();
        carriers
            .filter(|relay| !self.moves.is_removed(id, *relay) && !is_parting(relay))
            .collect()
    }

    /// Whether a relay of the timeline is still to be left.
    fn go_on_leaving(&mut self, now: Now, id: TimelineId) -> Result<bool, NodeError> {
        let staying = self.staying(id);
        let mut carriers = self.book.carriers_of(id);
        carriers.retain(|relay| !staying.contains(relay));
        let mut is_under_way = false;
        for relay in carriers {
            let may_go = match self.parting(id, relay) {
                Some(parting) => self.go_on_parting(now, id, (relay, parting), &staying)?,
                None => self.may_leave(id, relay, &staying),
            };
            if may_go {
                self.leave_relay(id, relay)?;
            } else {
                is_under_way = true;
            }
        }
        Ok(is_under_way)
    }

    fn parting(&self, id: TimelineId, relay: RelayKey) -> Option<Parting> {
        let entry = self.book.timelines.get(&id.to_string())?;
        entry.parting.get(&relay.to_string()).copied()
    }

    /// This node takes a relay away. First another one has what is here; then everybody is
    /// told, at that relay too; then the other one has what was written there until it knew.
    fn go_on_parting(
        &mut self,
        now: Now,
        id: TimelineId,
        (relay, parting): (RelayKey, Parting),
        staying: &[RelayKey],
    ) -> Result<bool, NodeError> {
        let mut others = staying.iter();
        if !others.any(|other| self.holds_all(*other, id, &parting.ends)) {
            return Ok(false);
        }
        if !self.moves.is_removed(id, relay) {
            self.say_removed(now, id, relay)?;
            return Ok(false);
        }
        let has_heard = !self.outbox.of(id).any(|it| it.is_for(relay));
        if parting.is_last || !has_heard || !self.is_read(relay) {
            return Ok(parting.is_last);
        }
        let ends = self.arrivals(id)?;
        let is_last = true;
        self.set_parting(id, relay, Parting { ends, is_last })?;
        let mut others = staying.iter();
        Ok(others.any(|other| self.holds_all(*other, id, &ends)))
    }

    /// Another member, or another device, has taken a relay away: whether this node lacks
    /// nothing without it.
    fn may_leave(&mut self, id: TimelineId, relay: RelayKey, staying: &[RelayKey]) -> bool {
        let is_gone =
            |link: &Link| matches!(link.state, LinkState::Waiting(_)) && link.failures > 0;
        let has_nothing_more = self.is_read(relay) || self.links.get(&relay).is_none_or(is_gone);
        let mut others = staying.iter().copied();
        has_nothing_more
            && others.any(|other| self.is_read(other) && self.holds_all(other, id, &[0; 4]))
    }

    /// Whether a relay is connected, and all that it has is here.
    fn is_read(&mut self, relay: RelayKey) -> bool {
        let live = self.links.get_mut(&relay).and_then(Link::live);
        live.is_some_and(|live| live.ready && live.is_caught_up())
    }

    /// Tells every member that the timeline has gone from a relay.
    pub(super) fn say_removed(
        &mut self,
        now: Now,
        id: TimelineId,
        key: RelayKey,
    ) -> Result<(), NodeError> {
        let entry = self.book.timelines.get(&id.to_string());
        let mut carriers = entry.into_iter().flat_map(|entry| &entry.relays);
        let relay = carriers.find_map(|address| {
            let address = address.parse::<RelayAddress>().ok();
            address.filter(|address| address.key == key)
        });
        let Some(relay) = relay else { return Ok(()) };
        let is_removed = true;
        self.say_of_relay(now, id, Draft::Relay { relay, is_removed })
    }

    pub(super) fn say_of_relay(
        &mut self,
        now: Now,
        id: TimelineId,
        said: Draft,
    ) -> Result<(), NodeError> {
        self.write(now, id, &[said])?;
        let said = self.timelines.get(&id).map(|open| open.carriers());
        self.moves.said.insert(id, said.unwrap_or_default());
        self.moves.under_way.insert(id);
        Ok(())
    }

    pub(super) fn set_parting(
        &mut self,
        id: TimelineId,
        relay: RelayKey,
        parting: Parting,
    ) -> Result<(), NodeError> {
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.parting.insert(relay.to_string(), parting);
        }
        self.save_book()?;
        self.moves.under_way.insert(id);
        for other in self.staying(id) {
            self.bring_whole(other, id)?;
        }
        Ok(())
    }

    /// What is here of a timeline, up to its newest arrivals.
    pub(super) fn arrivals(&mut self, id: TimelineId) -> Result<Arrivals, NodeError> {
        self.with_batch(|batch| {
            let mut ends = [0; 4];
            for (end, class) in ends.iter_mut().zip(Class::ALL) {
                *end = timeline_head(batch, &id, class)?.arrival.0;
            }
            Ok::<_, StoreError>(ends)
        })
    }

    /// From now on this node neither reads the timeline at a relay nor writes it there.
    pub(super) fn leave_relay(&mut self, id: TimelineId, relay: RelayKey) -> Result<(), NodeError> {
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.remove_relay(relay);
        }
        self.save_book()?;
        let change = self.reoffers.remove(relay, id);
        self.with_batch(|batch| {
            change.write(batch)?;
            let mut classes = Class::ALL.into_iter();
            classes.try_for_each(|class| cursors::remove_backfill(batch, &relay, &id, class))
        })?;
        self.judge_without(id)?;
        self.drop_idle_link(relay);
        self.emit(Event::State {
            timeline: id.to_string(),
        });
        Ok(())
    }

    /// A relay of the timeline went: what waited for its word alone has done its time, and
    /// what it would have taken is judged by the others.
    fn judge_without(&mut self, id: TimelineId) -> Result<(), NodeError> {
        let carriers = self.book.carriers_of(id);
        let done: Vec<Place> = self.outbox.done_without(id, &carriers);
        for place in done {
            self.outbox.remove(place);
            self.with_batch(|batch| outbox::remove(batch, &id, place.n))?;
        }
        let mut forgiven = self.outbox.forgive_of(id).into_iter();
        forgiven.try_for_each(|entry| self.with_batch(|batch| outbox::update(batch, &entry)))
    }

    /// A relay that a person did not add, and that carries nothing any more, is left alone.
    fn drop_idle_link(&mut self, relay: RelayKey) {
        let mut carried = self.book.carried_by(relay).into_iter();
        let says_goodbye = |id: TimelineId| self.outbox.of(id).any(|it: &Waiting| it.is_for(relay));
        if self.book.relay(relay).is_some()
            || carried.any(|id| self.book.follows(id) || says_goodbye(id))
        {
            return;
        }
        if let Some(link) = self.links.remove(&relay)
            && !matches!(link.state, LinkState::Off | LinkState::Waiting(_))
        {
            self.held.push(PeerOutput::Disconnect { relay });
        }
    }
}
