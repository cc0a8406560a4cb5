//! What a relay refused for good, as long as it matters: no other relay is left for one that
//! refuses something.

use khlong_crdt::id::{EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_sync::wire::code::ErrorCode;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::Link;

impl Peer {
    /// A relay refused for good something of a timeline, which is not offered there again by itself.
    pub(super) fn note_refusing(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        code: ErrorCode,
    ) -> Result<(), NodeError> {
        if self.refusing(relay, timeline).is_none()
            && let Some(entry) = self.book.timelines.get_mut(&timeline.to_string())
        {
            entry.refusing.insert(relay.to_string(), code.number());
            self.save_book()?;
        }
        Ok(())
    }

    /// The code with which a relay refused something of a timeline, of several the first.
    pub(in crate::peer) fn refusing(
        &self,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Option<ErrorCode> {
        let entry = self.book.timelines.get(&timeline.to_string())?;
        let code = entry.refusing.get(&relay.to_string())?;
        Some(ErrorCode::from_number(*code))
    }

    /// All of a timeline is offered to the relay anew; whether it had refused something.
    pub(super) fn forget_refusing(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<bool, NodeError> {
        let entry = self.book.timelines.get_mut(&timeline.to_string());
        let code = entry.and_then(|entry| entry.refusing.remove(&relay.to_string()));
        if code.is_some() {
            self.save_book()?;
        }
        Ok(code.is_some())
    }

    /// Where something of a timeline is refused, and nothing is on its way: once a while it is
    /// offered again, since what was missing there may have come meanwhile.
    pub(in crate::peer) fn try_refused_again(
        &mut self,
        now: Now,
        relay: RelayKey,
        timeline: TimelineId,
        brings_all: bool,
    ) -> Result<(), NodeError> {
        let live = self.links.get_mut(&relay).and_then(Link::live);
        let is_up = live.is_some_and(|live| live.ready);
        if !is_up
            || self.refusing(relay, timeline).is_none()
            || self.reoffers.get(relay, timeline).is_some()
            || !self.moves.may_try(now.monotonic, timeline, relay)
        {
            return Ok(());
        }
        if brings_all {
            return self.bring_whole(relay, timeline);
        }
        self.offer_again(relay, timeline)
    }

    /// The relay has taken an envelope of the timeline, or had it.
    pub(super) fn note_taken(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        id: &EnvelopeId,
    ) -> Result<(), NodeError> {
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.ask_again(timeline);
        }
        if self.moves.is_under_way(timeline) {
            self.note_heard(relay, timeline, id)?;
        }
        Ok(())
    }
}
