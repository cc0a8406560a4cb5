//! Where a timeline is, and where it shall be.

use khlong_crdt::address::{INVITE_RELAYS_MAX, RelayAddress};
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;

use super::{relay_address, unknown_timeline};
use crate::api::{Response, TimelineRelayView};
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::outbox::Waiting;
use crate::peer::relays::Extent;

impl Peer {
    pub(super) fn timeline_relays(&self, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let carriers = self.book.carriers_of(id);
        let relays = carriers.iter();
        Ok(Response::TimelineRelays {
            timeline: id.to_string(),
            relays: relays
                .filter_map(|relay| self.timeline_relay_view(id, *relay))
                .collect(),
        })
    }

    fn timeline_relay_view(&self, id: TimelineId, relay: RelayKey) -> Option<TimelineRelayView> {
        let view = self.links.get(&relay)?.view();
        let rows = || self.outbox.of(id);
        let owed = rows().filter(|it| it.is_owed_to(relay));
        let refused = rows().find(|it| it.is_owed_to(relay) && it.is_refused_by(relay));
        Some(TimelineRelayView {
            address: view.address,
            state: view.state,
            last_error: view.last_error,
            owed: owed.count() as u64,
            code: refused.and_then(Waiting::code),
            arriving: self.book.is_arriving(id, relay),
            leaving: self.book.is_leaving(id, relay),
        })
    }

    /// From now on the timeline is at these relays: says so to all members, and brings there
    /// everything that is here.
    pub(super) fn timeline_move(
        &mut self,
        now: Now,
        timeline: &str,
        to: &[String],
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        self.check_followed(id)?;
        let mut relays: Vec<RelayAddress> = Vec::new();
        for name in to {
            let relay = self.relay_called(name)?;
            if relays.iter().all(|other| other.key != relay.key) {
                relays.push(relay);
            }
        }
        if relays.is_empty() || relays.len() > INVITE_RELAYS_MAX {
            return Err(NodeError::Usage(format!(
                "a timeline has 1 to {INVITE_RELAYS_MAX} relays; name each with --to"
            )));
        }
        let open = self
            .timelines
            .get(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        if !Timeline::may_move(open) {
            return Err(NodeError::NotAdmin);
        }
        if open.relays() != relays {
            self.write(now, id, &[Draft::Relays(relays.clone())])?;
        }
        self.go_to(now, id, &relays, Extent::Whole)?;
        self.timeline_relays(timeline)
    }

    /// An address, or a known relay by its key or the start of either.
    fn relay_called(&self, name: &str) -> Result<RelayAddress, NodeError> {
        if let Ok(address) = relay_address(name) {
            return Ok(address);
        }
        let key = self.resolve_relay(name)?;
        let link = self.links.get(&key);
        let address = link.map(|link| link.address.clone());
        address.ok_or_else(|| NodeError::NotFound(format!("no relay is called `{name}`")))
    }
}
