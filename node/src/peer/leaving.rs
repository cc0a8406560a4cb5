//! A timeline leaves a relay: never before another one has what only that one had.
//!
//! Whoever takes it away brings another relay what is here, tells everybody, and has the
//! relay that goes sign for the word. Only then it is read to its end once more, by asking for
//! the timeline anew: an answer may overtake what was stored before it. What comes by that is
//! brought, too, and nothing is left as long as the relay that stays has refused something.
//! A relay without room cannot sign for the word. Its refusal says as much of what it had stored before.

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::Class;
use khlong_crdt::id::{EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::draft::Draft;
use khlong_store::error::StoreError;
use khlong_store::tables::timelines::{author_ids, timeline_head};
use khlong_store::tables::{cursors, outbox};

use super::book::{Arrivals, Parting};
use super::links::{Link, LinkState};
use super::outbox::{Place, Waiting};
use super::{Peer, PeerOutput};
use crate::api::Event;
use crate::error::NodeError;

impl Peer {
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
    pub(super) fn go_on_leaving(&mut self, now: Now, id: TimelineId) -> Result<bool, NodeError> {
        let staying = self.staying(id);
        let mut carriers = self.book.carriers_of(id);
        carriers.retain(|relay| !staying.contains(relay));
        let mut is_under_way = false;
        for relay in carriers {
            let parting = self.parting(id, relay);
            let takes_it_away = parting.is_some();
            for other in &staying {
                self.try_refused_again(now, *other, id, takes_it_away)?;
            }
            let may_go = match parting {
                Some(parting) => self.go_on_parting(now, id, (relay, parting), &staying)?,
                None => self.may_leave(id, relay, &staying),
            };
            if may_go {
                self.leave_relay(id, relay)?;
            }
            if may_go && takes_it_away {
                // What was read there since.
                self.bring_whole_to(&staying, id)?;
            }
            is_under_way |= !may_go;
        }
        Ok(is_under_way)
    }

    pub(super) fn parting(&self, id: TimelineId, relay: RelayKey) -> Option<Parting> {
        let entry = self.book.timelines.get(&id.to_string())?;
        entry.parting.get(&relay.to_string()).cloned()
    }

    /// The same, where everybody is told already and the relay that goes has answered to that,
    /// or is still to hear of it. Else a person who says it again has it begun anew.
    pub(super) fn parting_under_way(&self, id: TimelineId, relay: RelayKey) -> Option<Parting> {
        let parting = self.parting(id, relay)?;
        let removal = parting.removal.as_ref()?;
        let is_word = |it: &Waiting| it.is_for(relay) && it.entry.id.to_string() == *removal;
        let is_answered = parting.has_heard || parting.is_full;
        let is_offered = self.reoffers.get(relay, id).is_some() || self.outbox.of(id).any(is_word);
        (self.moves.is_removed(id, relay) && (is_answered || is_offered)).then_some(parting)
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
        if parting.removal.is_some() && !self.moves.is_removed(id, relay) {
            // Another admin has added it since, and knew why.
            self.end_parting(id, relay)?;
            return Ok(false);
        }
        if parting.has_heard || parting.is_full {
            self.note_asked_last(id, relay);
        }
        if staying.is_empty() && parting.removal.is_none() {
            tracing::warn!(timeline = %id, %relay, "every other relay was taken away meanwhile; this one stays");
            self.end_parting(id, relay)?;
            return Ok(false);
        }
        if !self.one_holds(staying, id, &parting.ends) {
            return Ok(false);
        }
        if parting.removal.is_none() {
            let removal = self.say_removed(now, id, relay)?;
            let removal = removal.map(|removal| removal.to_string());
            self.set_parting(id, relay, Parting { removal, ..parting })?;
            return Ok(false);
        }
        // What it lacks of one's own may be what the word rests on.
        let has_heard = parting.has_heard && self.reoffers.get(relay, id).is_none();
        // An append that is on its way may have room after all.
        let has_answered = has_heard || parting.is_full && !self.is_asked(relay);
        if parting.is_last || !has_answered || !self.is_read_to_its_end(id, relay) {
            return Ok(parting.is_last);
        }
        self.renew_invites(now, id)?;
        let (ends, is_last) = (self.arrivals(id)?, true);
        let last = Parting {
            ends,
            is_last,
            ..parting
        };
        self.set_parting(id, relay, last)?;
        self.bring_whole_to(staying, id)?;
        Ok(self.one_holds(staying, id, &ends))
    }

    /// Whether one of these relays shows all that it has, has all of one's own, and was given
    /// what others wrote up to `ends`.
    fn one_holds(&mut self, relays: &[RelayKey], id: TimelineId, ends: &Arrivals) -> bool {
        let mut relays = relays.iter().copied();
        relays.any(|relay| self.is_read(id, relay) && self.holds_all(relay, id, ends))
    }

    /// Another member, or another device, has taken a relay away: whether this node lacks
    /// nothing without it.
    fn may_leave(&mut self, id: TimelineId, relay: RelayKey, staying: &[RelayKey]) -> bool {
        let is_gone =
            |link: &Link| matches!(link.state, LinkState::Waiting(_)) && link.failures > 0;
        let has_nothing_more =
            self.is_read(id, relay) || self.links.get(&relay).is_none_or(is_gone);
        has_nothing_more && self.one_holds(staying, id, &[0; 4])
    }

    /// Whether a relay is connected, and all that it has of a timeline is here.
    fn is_read(&mut self, id: TimelineId, relay: RelayKey) -> bool {
        let live = self.links.get_mut(&relay).and_then(Link::live);
        live.is_some_and(|live| live.is_read(id))
    }

    /// Whether a relay owes the answer to an append.
    fn is_asked(&mut self, relay: RelayKey) -> bool {
        let live = self.links.get_mut(&relay).and_then(Link::live);
        live.is_some_and(|live| live.in_flight.is_some())
    }

    /// Before the timeline is asked for on a connection.
    fn note_asked_last(&mut self, id: TimelineId, relay: RelayKey) {
        let live = self.links.get_mut(&relay).and_then(Link::live);
        if let Some(live) = live.filter(|live| live.ready && !live.subscribed.contains(&id)) {
            live.asked_last.insert(id);
        }
    }

    /// Whether all is here that a relay had stored before it signed that the timeline goes, or
    /// refused to for want of room. A connection that asked before that is closed, and the next one asks after it.
    fn is_read_to_its_end(&mut self, id: TimelineId, relay: RelayKey) -> bool {
        let Some(link) = self.links.get_mut(&relay) else {
            return false;
        };
        let Some(live) = link.live().filter(|live| live.ready) else {
            return false;
        };
        if live.asked_last.contains(&id) {
            return live.is_read(id);
        }
        self.held.push(PeerOutput::Disconnect { relay });
        link.begin_anew();
        false
    }

    /// Tells every member that the timeline has gone from a relay, and which ones stay: some
    /// may know these by no link.
    pub(super) fn say_removed(
        &mut self,
        now: Now,
        id: TimelineId,
        key: RelayKey,
    ) -> Result<Option<EnvelopeId>, NodeError> {
        let entry = self.book.timelines.get(&id.to_string());
        let carriers = entry.into_iter().flat_map(|entry| &entry.relays);
        let carriers = carriers.filter_map(|address| address.parse::<RelayAddress>().ok());
        let carriers: Vec<RelayAddress> = carriers.collect();
        let Some(relay) = carriers.iter().find(|it| it.key == key).cloned() else {
            return Ok(None);
        };
        let staying = self.staying(id);
        let is_unnamed = |it: &RelayAddress| {
            it.key != key && staying.contains(&it.key) && self.moves.of(id, it.key).is_none()
        };
        let unnamed = carriers.into_iter().filter(is_unnamed);
        let mut said: Vec<Draft> = unnamed
            .map(|relay| Draft::Relay {
                relay,
                is_removed: false,
            })
            .collect();
        said.push(Draft::Relay {
            relay,
            is_removed: true,
        });
        self.say_of_relays(now, id, &said)
    }

    pub(super) fn say_of_relays(
        &mut self,
        now: Now,
        id: TimelineId,
        said: &[Draft],
    ) -> Result<Option<EnvelopeId>, NodeError> {
        let seq = self.write(now, id, said)?;
        let Some(open) = self.timelines.get(&id) else {
            return Ok(None);
        };
        let author = open.author();
        self.moves.note_said(id, open.carriers());
        let written = self.with_batch(|batch| author_ids(batch, &id, &author, seq))?;
        Ok(written.map(|(first, _)| first))
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
        self.moves.goes_on(id);
        Ok(())
    }

    pub(super) fn end_parting(&mut self, id: TimelineId, relay: RelayKey) -> Result<(), NodeError> {
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.parting.remove(&relay.to_string());
        }
        self.emit(Event::State {
            timeline: id.to_string(),
        });
        self.save_book()
    }

    pub(super) fn bring_whole_to(
        &mut self,
        relays: &[RelayKey],
        id: TimelineId,
    ) -> Result<(), NodeError> {
        let mut relays = relays.iter();
        relays.try_for_each(|relay| self.bring_whole(*relay, id))
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
        // There may be room for one that was added meanwhile.
        self.moves.look_at(id);
        self.emit(Event::State {
            timeline: id.to_string(),
        });
        Ok(())
    }

    /// A relay of the timeline went: what it would have taken is judged by the others anew,
    /// and what waited for its word alone has done its time.
    fn judge_without(&mut self, id: TimelineId) -> Result<(), NodeError> {
        let mut forgiven = self.outbox.forgive_of(id).into_iter();
        forgiven.try_for_each(|entry| self.with_batch(|batch| outbox::update(batch, &entry)))?;
        let carriers = self.book.carriers_of(id);
        let done: Vec<Place> = self.outbox.done_without(id, &carriers);
        for place in done {
            self.outbox.remove(place);
            self.with_batch(|batch| outbox::remove(batch, &id, place.n))?;
        }
        Ok(())
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
