//! Relays that do not answer, and those that stand in for them: nothing waits for a dead relay
//! where another one has the timeline.

use khlong_crdt::id::RelayKey;
use khlong_crdt::time::{Monotonic, Now};

use super::Peer;
use super::links::Link;
use crate::api::{Event, RelayView};

impl Peer {
    /// Whether a relay fell silent and everything that it carries is in step with another one.
    pub(super) fn is_covered(&self, relay: RelayKey) -> bool {
        if !self.links.get(&relay).is_some_and(|link| link.is_silent) {
            return false;
        }
        let serves = |other: &RelayKey| {
            *other != relay && self.links.get(other).is_some_and(Link::is_in_step)
        };
        let carried = self.book.carried_by(relay);
        let mut followed = carried
            .iter()
            .filter(|id| self.book.follows(**id))
            .peekable();
        followed.peek().is_some()
            && followed.all(|id| self.book.carriers_of(*id).iter().any(serves))
    }

    /// After each input: who owes an answer, and for how long.
    pub(super) fn watch_links(&mut self, now: Now) {
        let links = self.links.iter_mut();
        let silent = links.filter_map(|(relay, link)| link.watch(now.monotonic).then_some(*relay));
        let silent: Vec<RelayKey> = silent.collect();
        if self.links.len() > 1 {
            for relay in silent {
                self.tell_relay(relay);
            }
        }
    }

    /// When a relay falls silent. Who has but one waits for it.
    pub(super) fn next_silence(&self) -> Option<Monotonic> {
        let links = self.links.values().filter(|_| self.links.len() > 1);
        links.filter_map(Link::silent_at).min()
    }

    pub(super) fn tell_relay(&mut self, relay: RelayKey) {
        if let Some(relay) = self.relay_view(relay) {
            self.emit(Event::Relay { relay });
        }
    }

    pub(super) fn relay_view(&self, relay: RelayKey) -> Option<RelayView> {
        let view = self.links.get(&relay)?.view();
        let carried = self.book.carried_by(relay);
        let owed = carried.iter().flat_map(|id| self.outbox.of(*id));
        let owed = owed.filter(|it| it.passed_on_since().is_none() && it.is_missing_at(relay));
        Some(RelayView {
            covered: self.is_covered(relay),
            owed: owed.count() as u64,
            ..view
        })
    }

    pub(super) fn relay_views(&self) -> Vec<RelayView> {
        let relays = self.links.keys();
        relays.filter_map(|relay| self.relay_view(*relay)).collect()
    }
}
