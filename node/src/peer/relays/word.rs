//! Whether a relay that is taken away has the word that the timeline leaves it.

use khlong_crdt::id::{EnvelopeId, RelayKey, TimelineId};
use khlong_sync::wire::code::ErrorCode;

use crate::api::Event;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::book::Parting;
use crate::peer::links::Link;

impl Peer {
    /// A relay has signed for an envelope: it may be the word that the timeline leaves it.
    pub(super) fn note_heard(
        &mut self,
        relay: RelayKey,
        id: TimelineId,
        envelope: &EnvelopeId,
    ) -> Result<(), NodeError> {
        let Some(parting) = self.parting(id, relay) else {
            return Ok(());
        };
        if parting.has_heard || parting.removal != Some(envelope.to_string()) {
            return Ok(());
        }
        self.moves.forget_untold(id, relay);
        // What was asked for while it had no room was asked too early.
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.asked_last.remove(&id);
        }
        let has_heard = true;
        self.set_parting(
            id,
            relay,
            Parting {
                has_heard,
                ..parting
            },
        )
    }

    /// A relay that is to go lost its log, and with it the word.
    pub(super) fn forget_heard(
        &mut self,
        relay: RelayKey,
        id: TimelineId,
    ) -> Result<(), NodeError> {
        self.moves.forget_untold(id, relay);
        let Some(parting) = self.parting(id, relay).filter(|it| it.has_heard) else {
            return Ok(());
        };
        let (has_heard, is_last) = (false, false);
        self.set_parting(
            id,
            relay,
            Parting {
                has_heard,
                is_last,
                ..parting
            },
        )
    }

    /// The relay refused something of a timeline for now. Where this node waits for it to store
    /// that the timeline leaves it, and it has no room, that is its answer.
    pub(super) fn note_no_room(&mut self, relay: RelayKey, timeline: TimelineId, code: ErrorCode) {
        let has_no_room = matches!(code, ErrorCode::QuotaExceeded | ErrorCode::DiskFull);
        let parting = self.parting(timeline, relay).filter(|_| has_no_room);
        let waits = parting.is_some_and(|it| it.removal.is_some() && !it.has_heard);
        let link = self.links.get(&relay).filter(|_| waits);
        let Some(address) = link.map(|link| link.address.clone()) else {
            return;
        };
        if self.moves.note_untold(timeline, address) {
            tracing::warn!(%timeline, %relay, %code, "the relay has no room for the word that the timeline leaves it");
            self.emit(Event::State {
                timeline: timeline.to_string(),
            });
        }
    }
}
