//! Whether a relay that is taken away has the word that the timeline leaves it.

use khlong_crdt::class::Class;
use khlong_crdt::id::{EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_sync::wire::code::ErrorCode;

use crate::api::Event;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::book::Parting;
use crate::peer::links::Link;
use crate::peer::no_room::NoRoom;
use crate::peer::outbox::Place;
use crate::peer::reoffers::At;

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
        // What was asked for while it had no room was asked too early.
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.asked_last.remove(&id);
        }
        let heard = Parting {
            has_heard: true,
            is_full: false,
            no_room: None,
            is_last: false,
            ..parting
        };
        self.set_parting(id, relay, heard)
    }

    /// A relay that is to go lost its log, and with it the word; it may have room now.
    pub(super) fn forget_heard(
        &mut self,
        relay: RelayKey,
        id: TimelineId,
    ) -> Result<(), NodeError> {
        let parting = self.parting(id, relay);
        let knows_something =
            |it: &Parting| it.has_heard || it.is_full || it.no_room.is_some() || it.is_last;
        let Some(parting) = parting.filter(knows_something) else {
            return Ok(());
        };
        let anew = Parting {
            has_heard: false,
            is_full: false,
            no_room: None,
            is_last: false,
            ..parting
        };
        self.set_parting(id, relay, anew)
    }

    /// An entry of the outbox was refused for now. Only what stands before the word in its class,
    /// or the word itself, says that there is no room for it; a full disk says it of all.
    pub(super) fn queued_found_no_room(
        &mut self,
        now: Now,
        relay: RelayKey,
        place: Place,
        code: ErrorCode,
    ) -> Result<(), NodeError> {
        let Some(parting) = self.waits_for_word(relay, place.timeline) else {
            return Ok(());
        };
        let word = {
            let mut waiting = self.outbox.of(place.timeline);
            let word = waiting.find(|it| Some(it.entry.id.to_string()) == parting.removal);
            word.map(|it| (it.place(), it.class))
        };
        let Some((word, class)) = word else {
            return Ok(());
        };
        let stands_before = place.n <= word.n && self.outbox.class_at(place) == Some(class);
        if code == ErrorCode::DiskFull || code == ErrorCode::QuotaExceeded && stands_before {
            return self.note_no_room(now, relay, place.timeline, parting);
        }
        Ok(())
    }

    /// The same of a portion, which is offered in its order: what is refused among one's own
    /// keeps the word behind it from being offered.
    pub(super) fn portion_found_no_room(
        &mut self,
        now: Now,
        relay: RelayKey,
        (timeline, at): (TimelineId, At),
        code: ErrorCode,
    ) -> Result<(), NodeError> {
        let is_own = matches!(at, At::Own { .. });
        let Some(parting) = self.waits_for_word(relay, timeline).filter(|_| is_own) else {
            return Ok(());
        };
        if matches!(code, ErrorCode::QuotaExceeded | ErrorCode::DiskFull) {
            return self.note_no_room(now, relay, timeline, parting);
        }
        Ok(())
    }

    /// Where a relay is to store that the timeline leaves it, or what that rests on.
    fn waits_for_word(&self, relay: RelayKey, timeline: TimelineId) -> Option<Parting> {
        let parting = self.parting(timeline, relay)?;
        let lacks_some = !parting.has_heard || self.reoffers.get(relay, timeline).is_some();
        (parting.removal.is_some() && !parting.is_full && lacks_some).then_some(parting)
    }

    /// A relay has stored something new of a class: whatever it refused before, it has room
    /// since. Its keys and permissions say nothing of the room for text.
    pub(super) fn note_room(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        class: Class,
    ) -> Result<(), NodeError> {
        let parting = self.parting(timeline, relay);
        let Some(parting) = parting.filter(|it| it.no_room.is_some() && class == Class::Text)
        else {
            return Ok(());
        };
        let no_room = None;
        self.set_parting(timeline, relay, Parting { no_room, ..parting })
    }

    fn note_no_room(
        &mut self,
        now: Now,
        relay: RelayKey,
        timeline: TimelineId,
        parting: Parting,
    ) -> Result<(), NodeError> {
        let noted = NoRoom::noted(parting.no_room, now.wall);
        // One answer may refuse many.
        if parting.no_room == Some(noted) {
            return Ok(());
        }
        let is_full = noted.is_full();
        let no_room = (!is_full).then_some(noted);
        let known = Parting {
            is_full,
            no_room,
            ..parting
        };
        self.set_parting(timeline, relay, known)?;
        if !is_full {
            return Ok(());
        }
        tracing::warn!(%timeline, %relay, "the relay has no room for the word that the timeline leaves it");
        self.emit(Event::State {
            timeline: timeline.to_string(),
        });
        Ok(())
    }
}
