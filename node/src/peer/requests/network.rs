//! Relays, and what waits for them.

use std::collections::btree_map::Entry;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::Class;
use khlong_crdt::id::{EnvelopeId, RelayKey, Seq, TimelineId};
use khlong_crdt::time::Now;
use khlong_store::tables::outbox;

use super::relay_address;
use crate::api::Response;
use crate::error::NodeError;
use crate::peer::dropped;
use crate::peer::find::ID_LETTERS_MIN;
use crate::peer::links::{Link, LinkState};
use crate::peer::outbox::{Place, Waiting};
use crate::peer::{Peer, PeerOutput};

/// Of a relay's address.
const SCHEME: &str = "khlong://";

impl Peer {
    pub(super) fn relay_add(
        &mut self,
        now: Now,
        address: &str,
        token: Option<String>,
    ) -> Result<Response, NodeError> {
        let parsed = relay_address(address)?;
        self.book.add_relay(&parsed, token)?;
        // What was opened before any relay was known, or outlived its only one.
        let adopted = self.book.adopt(&parsed);
        let has_adopted = !adopted.is_empty();
        self.save_book()?;
        self.link_to(now, parsed.clone());
        // What a timeline says of it counts again.
        for timeline in self.timelines.keys() {
            self.moves.look_at(*timeline);
        }
        for timeline in adopted {
            self.fetch_all(now, timeline, &[parsed.to_string()])?;
            self.offer_again(parsed.key, timeline)?;
        }
        if has_adopted {
            // Another relay's refusals say nothing of this one.
            self.forgive_all()?;
        }
        Ok(self.relay_list())
    }

    /// Forgets a relay. What only it carries stays here, without a relay.
    pub(super) fn relay_remove(&mut self, name: &str, force: bool) -> Result<Response, NodeError> {
        let key = self.resolve_relay(name)?;
        let carried = self.book.carried_by(key);
        let unstored = |timeline: &TimelineId| {
            let waits = |waiting: &Waiting| !waiting.is_stored();
            self.book.carriers_of(*timeline) == [key] && self.outbox.of(*timeline).any(waits)
        };
        let stranded = carried.iter().filter(|id| unstored(id)).count();
        if stranded > 0 && !force {
            return Err(NodeError::Usage(format!(
                "{stranded} timelines have no other relay and wait to be stored there; add another relay \
                 afterwards and they go to that one: say --force to forget this one"
            )));
        }
        self.book.remove_relay(key);
        self.save_book()?;
        let forgotten = self.reoffers.remove_relay(key);
        self.forget_reoffers(forgotten)?;
        for timeline in carried {
            let carriers = self.book.carriers_of(timeline);
            let done: Vec<Place> = self.outbox.done_without(timeline, &carriers);
            for place in done {
                self.outbox.remove(place);
                self.with_batch(|batch| outbox::remove(batch, &place.timeline, place.n))?;
            }
        }
        // What waited for its word is judged by the others again.
        self.forgive_all()?;
        if let Some(link) = self.links.remove(&key)
            && !matches!(link.state, LinkState::Off | LinkState::Waiting(_))
        {
            self.held.push(PeerOutput::Disconnect { relay: key });
        }
        Ok(self.relay_list())
    }

    /// A relay by its address, its key, or the start of either.
    pub(super) fn resolve_relay(&self, name: &str) -> Result<RelayKey, NodeError> {
        let name = name.trim_start_matches(SCHEME);
        let is_called = |address: &str| {
            let address = address.trim_start_matches(SCHEME);
            name.len() >= ID_LETTERS_MIN && address.starts_with(name)
        };
        let called = |key: RelayKey, link: &Link| {
            let added = self.book.relay(key).map(|entry| entry.address.clone());
            let others = link.elsewhere.iter().map(ToString::to_string);
            let mut addresses = others.chain(added).chain([link.address.to_string()]);
            addresses.any(|address| is_called(&address))
        };
        let found = self.links.iter().filter(|(key, link)| called(**key, link));
        let found: Vec<RelayKey> = found.map(|(key, _)| *key).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(NodeError::NotFound(format!(
                "no relay is called `{name}`; see `khlong relay ls`"
            ))),
            several => Err(NodeError::NotFound(format!(
                "{} relays start with `{name}`; give more of it",
                several.len()
            ))),
        }
    }

    pub(super) fn relay_list(&self) -> Response {
        Response::Relays {
            relays: self.relay_views(),
        }
    }

    /// Makes sure that a relay is tried.
    pub(in crate::peer) fn link_to(&mut self, now: Now, address: RelayAddress) {
        let added = self.book.relay(address.key);
        let token = added
            .and_then(|entry| entry.token.clone())
            .map(String::into_bytes);
        let added: Option<RelayAddress> = added.and_then(|entry| entry.address.parse().ok());
        let state = if self.online {
            LinkState::Waiting(now.monotonic)
        } else {
            LinkState::Off
        };
        match self.links.entry(address.key) {
            Entry::Vacant(free) => {
                // What a person added comes before what an invite link said.
                let first = added.unwrap_or_else(|| address.clone());
                free.insert(Link::new(first, token, state))
                    .may_be_at(address);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.token = token;
                if added.as_ref() == Some(&address) && known.address != address {
                    let former = std::mem::replace(&mut known.address, address);
                    known.elsewhere.retain(|other| *other != known.address);
                    known.may_be_at(former);
                    if matches!(known.state, LinkState::Waiting(_)) {
                        known.state = state;
                    }
                } else {
                    known.may_be_at(address);
                }
            }
        }
    }

    pub(super) fn outbox_retry(&mut self) -> Result<Response, NodeError> {
        self.forgive_all()?;
        self.forgive_reoffers()?;
        for link in self.links.values_mut() {
            if let Some(live) = link.live() {
                live.offer_after = None;
                live.pauses.end_all();
            }
        }
        Ok(Response::Outbox {
            entries: self.outbox_views(),
        })
    }

    fn forgive_all(&mut self) -> Result<(), NodeError> {
        let mut forgiven = self.outbox.forgive().into_iter();
        forgiven.try_for_each(|entry| self.with_batch(|batch| outbox::update(batch, &entry)))
    }

    pub(super) fn outbox_drop(&mut self, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        // A relay that has the beginning still gets the keys and permissions: without
        // them the timeline would be closed there for ever.
        let never_opened = self
            .outbox
            .of(id)
            .any(|waiting| waiting.seq <= Seq::FIRST && !waiting.is_stored());
        let goes = |waiting: &Waiting| never_opened || waiting.class != Class::Control;
        let unstored = self
            .outbox
            .of(id)
            .filter(|waiting| goes(waiting) && !waiting.is_stored());
        let unstored: Vec<EnvelopeId> = unstored.map(|waiting| waiting.entry.id).collect();
        for envelope in unstored {
            self.with_batch(|batch| dropped::insert(batch, &envelope))?;
        }
        self.drop_queued(id, goes)?;
        Ok(Response::Outbox {
            entries: self.outbox_views(),
        })
    }

    /// Offers nothing more of what waits in a timeline now and is among `which`.
    pub(super) fn drop_queued(
        &mut self,
        id: TimelineId,
        which: impl Fn(&Waiting) -> bool,
    ) -> Result<(), NodeError> {
        let waiting = self.outbox.of(id).filter(|waiting| which(waiting));
        let places: Vec<Place> = waiting.map(Waiting::place).collect();
        for place in places {
            self.outbox.remove(place);
            self.with_batch(|batch| outbox::remove(batch, &id, place.n).map(|_| ()))?;
        }
        Ok(())
    }
}
