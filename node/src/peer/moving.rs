//! From one relay to another: what an admin says of it, and when a relay may be left.
//!
//! Whoever hears that a timeline is elsewhere from now on goes there as well, brings what it
//! wrote itself, and leaves the former relays only when another one has all of that and nothing of
//! theirs is missing here. So a member that hears of it later still finds the word at the
//! former relay, and whatever was written there meanwhile is brought along by its writer.

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::Now;

use super::links::{Link, LinkState};
use super::outbox::Waiting;
use super::relays::Extent;
use super::{Peer, PeerOutput};
use crate::api::Event;
use crate::error::NodeError;

/// Former relays of a timeline that are not left yet; of more the first go at once.
const LEAVING_MAX: usize = 4;

impl Peer {
    /// Follows what was said of relays, and leaves those that are not needed any more.
    pub(super) fn follow_moves(&mut self, now: Now) -> Result<(), NodeError> {
        for id in std::mem::take(&mut self.whereabouts) {
            let Some(open) = self.timelines.get(&id) else {
                continue;
            };
            let said = open.relays();
            let texts: Vec<String> = said.iter().map(ToString::to_string).collect();
            let entry = self.book.timelines.get(&id.to_string());
            let is_new = entry.is_some_and(|entry| entry.followed && entry.announced != texts);
            if is_new && !said.is_empty() {
                self.go_to(now, id, &said, Extent::OwnAndControl)?;
            }
        }
        for id in self.book.moving() {
            self.settle_in(id)?;
            self.leave_former(id)?;
        }
        Ok(())
    }

    /// The timeline is at these relays from now on.
    pub(super) fn go_to(
        &mut self,
        now: Now,
        id: TimelineId,
        relays: &[RelayAddress],
        extent: Extent,
    ) -> Result<(), NodeError> {
        let carriers = self.book.carriers_of(id);
        let new = relays.iter().filter(|relay| !carriers.contains(&relay.key));
        let new: Vec<RelayAddress> = new.cloned().collect();
        let is_former = |key: &&RelayKey| relays.iter().all(|relay| relay.key != **key);
        let former: Vec<RelayKey> = carriers.iter().filter(is_former).copied().collect();
        let Some(entry) = self.book.timelines.get_mut(&id.to_string()) else {
            return Ok(());
        };
        entry.announced = relays.iter().map(ToString::to_string).collect();
        entry.relays.extend(new.iter().map(ToString::to_string));
        entry
            .arriving
            .extend(new.iter().map(|relay| relay.key.to_string()));
        entry.leaving = former.iter().map(ToString::to_string).collect();
        let too_many = former.len().saturating_sub(LEAVING_MAX);
        for key in former.iter().take(too_many) {
            entry.leave(*key);
        }
        self.save_book()?;
        let texts: Vec<String> = new.iter().map(ToString::to_string).collect();
        self.fetch_all(now, id, &texts)?;
        for relay in &new {
            self.offer_again(now, relay.key, id, extent)?;
        }
        self.forget_done(id)?;
        // Another relay's refusals say nothing of these.
        self.forgive_all()
    }

    /// Whether a relay has all that it is to have of a timeline.
    pub(super) fn has_everything(&self, id: TimelineId, relay: RelayKey) -> bool {
        // Nothing of others is brought to a relay that is left.
        let is_left = self.book.is_leaving(id, relay);
        let is_owed = |waiting: &Waiting| {
            waiting.is_owed_to(relay) && !(is_left && waiting.passed_on_since().is_some())
        };
        self.links.get(&relay).is_some_and(Link::is_in_step) && !self.outbox.of(id).any(is_owed)
    }

    fn settle_in(&mut self, id: TimelineId) -> Result<(), NodeError> {
        for relay in self.book.carriers_of(id) {
            if self.book.is_arriving(id, relay)
                && self.has_everything(id, relay)
                && let Some(entry) = self.book.timelines.get_mut(&id.to_string())
            {
                let text = relay.to_string();
                entry.arriving.retain(|of| *of != text);
                self.save_book()?;
                self.tell_state(id);
            }
        }
        Ok(())
    }

    fn leave_former(&mut self, id: TimelineId) -> Result<(), NodeError> {
        let carriers = self.book.carriers_of(id);
        let stays = |relay: &RelayKey| {
            !self.book.is_leaving(id, *relay) && !self.book.is_arriving(id, *relay)
        };
        let mut staying = carriers.iter().filter(|relay| stays(relay));
        if !staying.any(|relay| self.has_everything(id, *relay)) {
            return Ok(());
        }
        let former = carriers
            .iter()
            .filter(|relay| self.book.is_leaving(id, **relay));
        let former = former.filter(|relay| self.has_everything(id, **relay));
        for relay in former.copied().collect::<Vec<_>>() {
            if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
                entry.leave(relay);
            }
            self.save_book()?;
            self.forget_done(id)?;
            self.hang_up_if_unused(relay);
            self.tell_state(id);
        }
        Ok(())
    }

    /// A relay that nobody added here and that carries nothing is no relay of this node.
    fn hang_up_if_unused(&mut self, relay: RelayKey) {
        if self.book.relay(relay).is_some() || !self.book.carried_by(relay).is_empty() {
            return;
        }
        if let Some(link) = self.links.remove(&relay)
            && !matches!(link.state, LinkState::Off | LinkState::Waiting(_))
        {
            self.held.push(PeerOutput::Disconnect { relay });
        }
    }

    fn tell_state(&mut self, id: TimelineId) {
        let timeline = id.to_string();
        self.emit(Event::State { timeline });
    }
}
