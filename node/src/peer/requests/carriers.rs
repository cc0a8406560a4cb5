//! Adding a relay to a timeline, and taking one away, for every member.

use khlong_crdt::address::{INVITE_RELAYS_MAX, RelayAddress};
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::draft::Draft;

use super::{relay_address, unknown_timeline};
use crate::api::{CarrierView, Response};
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::book::Parting;
use crate::peer::outbox::Waiting;
use crate::peer::served::Times;
use crate::peer::views::rfc3339;

impl Peer {
    pub(super) fn carrier_add(
        &mut self,
        now: Now,
        timeline: &str,
        address: &str,
    ) -> Result<Response, NodeError> {
        let relay = relay_address(address)?;
        let id = self.movable(now, timeline)?;
        if self.book.carriers_of(id).contains(&relay.key) {
            if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
                entry.set_address(&relay);
            }
            self.end_parting(id, relay.key)?;
            self.link_to(now, relay.clone());
            self.renew_invites(now, id)?;
        } else {
            if !self.has_room_for_relay(id) {
                return Err(NodeError::Usage(format!(
                    "a timeline has at most {INVITE_RELAYS_MAX} relays, as many as an invite names; \
                     `khlong timeline relay rm` takes one away"
                )));
            }
            self.renew_invites(now, id)?;
            self.take_carrier(now, id, &relay)?;
        }
        self.bring_whole(relay.key, id)?;
        let said = self.moves.of(id, relay.key);
        if said.is_none_or(|said| said.is_removed || said.relay != relay) {
            let is_removed = false;
            self.say_of_relays(now, id, &[Draft::Relay { relay, is_removed }])?;
        }
        Ok(self.carrier_list(id))
    }

    pub(super) fn carrier_remove(
        &mut self,
        now: Now,
        timeline: &str,
        name: &str,
        force: bool,
    ) -> Result<Response, NodeError> {
        let id = self.movable(now, timeline)?;
        let relay = self.resolve_relay(name)?;
        if !self.book.carriers_of(id).contains(&relay) {
            return Err(NodeError::NotFound(format!(
                "`{name}` carries nothing of this timeline; see `khlong timeline relay ls`"
            )));
        }
        let mut staying = self.staying(id);
        staying.retain(|other| *other != relay);
        if staying.is_empty() {
            return Err(NodeError::Usage(
                "the timeline has no other relay; `khlong timeline relay add` gives it one first"
                    .to_owned(),
            ));
        }
        self.renew_invites(now, id)?;
        if force {
            if !self.moves.is_removed(id, relay) {
                self.say_removed(now, id, relay)?;
            }
            // What it alone has signed for is stored nowhere now.
            self.outbox.lost_all_at(id, relay);
            self.leave_relay(id, relay)?;
        } else {
            let begun = match self.parting_under_way(id, relay) {
                // Said again: it goes on where it was, but what was read last may be long ago.
                Some(known) => Parting {
                    is_last: false,
                    ..known
                },
                None => Parting {
                    ends: self.arrivals(id)?,
                    ..Parting::default()
                },
            };
            self.set_parting(id, relay, begun)?;
        }
        self.bring_whole_to(&staying, id)?;
        Ok(self.carrier_list(id))
    }

    /// A link to a timeline that is followed here tells where else it is; whether that is new.
    pub(super) fn take_relays_of(
        &mut self,
        now: Now,
        id: TimelineId,
        relays: &[RelayAddress],
    ) -> Result<bool, NodeError> {
        let mut has_new = false;
        for relay in relays {
            let carriers = self.book.carriers_of(id);
            // Also one that was taken away: it may have been added again since, or is left again.
            if !carriers.contains(&relay.key) && self.has_room_for_relay(id) {
                self.take_carrier(now, id, relay)?;
                has_new = true;
            }
        }
        Ok(has_new)
    }

    /// A timeline whose relays this member may change.
    fn movable(&self, now: Now, timeline: &str) -> Result<TimelineId, NodeError> {
        let id = self.resolve(timeline)?;
        self.check_followed(id)?;
        let open = self.timelines.get(&id);
        let open = open.ok_or_else(|| unknown_timeline(timeline))?;
        open.check_mover(now.wall).map_err(NodeError::Write)?;
        Ok(id)
    }

    /// A relay that is new to the timeline must let in whoever came by a link that has expired.
    pub(in crate::peer) fn renew_invites(
        &mut self,
        now: Now,
        id: TimelineId,
    ) -> Result<(), NodeError> {
        let Some(open) = self.timelines.get_mut(&id) else {
            return Ok(());
        };
        let renewed = open.renew_invites(now.wall, &mut self.rng);
        for envelope in renewed.map_err(NodeError::Write)? {
            self.queue(now, &envelope)?;
        }
        self.owing.insert(id);
        Ok(())
    }

    pub(super) fn carriers(&self, timeline: &str) -> Result<Response, NodeError> {
        Ok(self.carrier_list(self.resolve(timeline)?))
    }

    fn carrier_list(&self, id: TimelineId) -> Response {
        let entry = self.book.timelines.get(&id.to_string());
        let addresses = entry.map_or(&[][..], |entry| &entry.relays);
        let staying = self.staying(id);
        let view = |address: &String| {
            let relay = address.parse::<RelayAddress>().ok()?.key;
            let link = self.links.get(&relay);
            let served = link.map_or_else(Times::default, |link| link.served.of(id));
            Some(CarrierView {
                address: address.clone(),
                state: link.map_or_else(|| "off".to_owned(), |link| link.view().state),
                named: self.moves.of(id, relay).is_some_and(|it| !it.is_removed),
                leaving: !staying.contains(&relay),
                lacking: self.lacking_in(relay, id),
                refuses: self.refusing(relay, id).map(|code| code.to_string()),
                last_stored_at: served.stored.map(|at| rfc3339(at.0)),
                last_pushed_at: served.pushed.map(|at| rfc3339(at.0)),
            })
        };
        let untold = entry.into_iter().flat_map(|entry| entry.untold.values());
        Response::Carriers {
            timeline: id.to_string(),
            relays: addresses.iter().filter_map(view).collect(),
            untold: untold.cloned().collect(),
        }
    }

    fn lacking_in(&self, relay: RelayKey, id: TimelineId) -> u64 {
        let missing = |it: &&Waiting| it.is_missing_at(relay) && !it.is_refused();
        let waiting = self.outbox.of(id).filter(missing).count() as u64;
        waiting.saturating_add(self.left_in(relay, id))
    }
}
