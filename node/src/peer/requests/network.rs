//! Relays, and what waits for them.

use std::collections::btree_map::Entry;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::Class;
use khlong_crdt::id::{Seq, TimelineId};
use khlong_crdt::time::Now;
use khlong_store::tables::outbox;

use super::relay_address;
use crate::api::Response;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::book::{RELAYS_MAX, RelayEntry};
use crate::peer::links::{Link, LinkState};
use crate::peer::outbox::{Place, Waiting};

impl Peer {
    pub(super) fn relay_add(
        &mut self,
        now: Now,
        address: &str,
        token: Option<String>,
    ) -> Result<Response, NodeError> {
        let parsed = relay_address(address)?;
        self.book.relays.retain(|entry| {
            entry
                .address
                .parse::<RelayAddress>()
                .is_ok_and(|known| known.key != parsed.key)
        });
        if self.book.relays.len() >= RELAYS_MAX {
            return Err(NodeError::Usage(format!(
                "a node knows at most {RELAYS_MAX} relays"
            )));
        }
        self.book.relays.push(RelayEntry {
            address: parsed.to_string(),
            token,
        });
        self.save_book()?;
        self.link_to(now, parsed);
        Ok(self.relay_list())
    }

    pub(super) fn relay_list(&self) -> Response {
        Response::Relays {
            relays: self.links.values().map(Link::view).collect(),
        }
    }

    /// Makes sure that a relay is tried.
    pub(in crate::peer) fn link_to(&mut self, now: Now, address: RelayAddress) {
        let token = self
            .book
            .relays
            .iter()
            .find(|entry| {
                entry
                    .address
                    .parse::<RelayAddress>()
                    .is_ok_and(|known| known.key == address.key)
            })
            .and_then(|entry| entry.token.clone())
            .map(String::into_bytes);
        let state = if self.online {
            LinkState::Waiting(now.monotonic)
        } else {
            LinkState::Off
        };
        match self.links.entry(address.key) {
            Entry::Vacant(free) => {
                free.insert(Link::new(address, token, state));
            }
            Entry::Occupied(mut known) => {
                known.get_mut().address = address;
                known.get_mut().token = token;
            }
        }
    }

    pub(super) fn outbox_retry(&mut self) -> Result<Response, NodeError> {
        for entry in self.outbox.forgive() {
            self.with_batch(|batch| outbox::update(batch, &entry))?;
        }
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

    pub(super) fn outbox_drop(&mut self, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        // A relay that has the beginning still gets the keys and permissions: without
        // them the timeline would be closed there for ever.
        let never_opened = self
            .outbox
            .of(id)
            .any(|waiting| waiting.seq <= Seq::FIRST && !waiting.is_stored());
        self.drop_queued(id, |waiting| {
            never_opened || waiting.class != Class::Control
        })?;
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
