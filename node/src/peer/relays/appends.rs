//! What is offered to a relay, and what became of it.

use std::collections::BTreeSet;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::receipt::StoredProof;
use khlong_crdt::time::{Now, UnixMillis};
use khlong_store::tables::outbox::OutboxEntry;
use khlong_store::tables::{outbox, receipts};
use khlong_sync::limits::{APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX};
use khlong_sync::session::input::Input;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;

use crate::api::Event;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::{Link, Offered};
use crate::peer::outbox::Place;
use crate::peer::relays::Portion;
use crate::peer::reoffers::Reoffer;
use crate::peer::timelines::is_of_admission;

/// Entries of the outbox, and their envelopes.
type Queued = (Vec<Place>, Vec<VerifiedEnvelope>);

impl Peer {
    pub(super) fn next_append(
        &mut self,
        now: Now,
        relay: RelayKey,
        carried: &[TimelineId],
    ) -> Result<Option<Input>, NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(None);
        };
        if live.in_flight.is_some() || live.offer_after.is_some_and(|at| at > now.monotonic) {
            return Ok(None);
        }
        // Keys and permissions that are offered again take turns with the outbox, which rests
        // on them. One's own history comes when the outbox has nothing to offer.
        let outbox_first = live.outbox_first;
        if !outbox_first && let Some(portion) = self.next_portion(now, relay, true)? {
            return Ok(self.append_portion(now, relay, portion));
        }
        if let Some((offered, envelopes)) = self.next_queued(relay, carried)? {
            return Ok(self.append(now, relay, Offered::Queued(offered), envelopes));
        }
        let portion = self.next_portion(now, relay, false)?;
        Ok(portion.and_then(|portion| self.append_portion(now, relay, portion)))
    }

    fn append_portion(
        &mut self,
        now: Now,
        relay: RelayKey,
        (portion, envelopes): (Portion, Vec<VerifiedEnvelope>),
    ) -> Option<Input> {
        self.append(now, relay, Offered::Again(portion), envelopes)
    }

    fn append(
        &mut self,
        now: Now,
        relay: RelayKey,
        offered: Offered,
        envelopes: Vec<VerifiedEnvelope>,
    ) -> Option<Input> {
        let live = self.links.get_mut(&relay).and_then(Link::live)?;
        let bytes = envelopes.iter().map(|envelope| envelope.bytes().len());
        live.expect_answer(now.monotonic, bytes.sum());
        live.outbox_first = matches!(offered, Offered::Again(_));
        let request = live.request();
        live.in_flight = Some((request, offered));
        Some(Input::Append { request, envelopes })
    }

    /// What the outbox has to offer.
    fn next_queued(
        &mut self,
        relay: RelayKey,
        carried: &[TimelineId],
    ) -> Result<Option<Queued>, NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(None);
        };
        let is_known = |timeline: &&TimelineId| {
            let reoffer = self.reoffers.get(relay, **timeline);
            !reoffer.is_some_and(Reoffer::is_in_control)
        };
        let waiting: Vec<(Place, _)> = carried
            .iter()
            .filter(is_known)
            .flat_map(|timeline| {
                self.outbox
                    .of(*timeline)
                    .filter(|waiting| waiting.is_for(relay))
                    .filter(|waiting| !live.pauses.holds(*timeline, waiting.class))
                    .map(|waiting| (waiting.place(), waiting.entry.id))
            })
            .take(APPEND_ENVELOPES_MAX)
            .collect();
        let (mut offered, mut envelopes, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (place, id) in waiting {
            let Some(envelope) = self.stored_or_staged(&id)? else {
                continue;
            };
            bytes += envelope.bytes().len();
            if bytes > APPEND_BYTES_MAX && !envelopes.is_empty() {
                break;
            }
            offered.push(place);
            envelopes.push(envelope);
        }
        Ok((!envelopes.is_empty()).then_some((offered, envelopes)))
    }

    pub(super) fn acked(
        &mut self,
        now: Now,
        relay: RelayKey,
        request: u64,
        outcomes: &[AppendOutcome],
        proofs: &[Option<StoredProof>],
    ) -> Result<(), NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(());
        };
        let Some((_, offered)) = live.in_flight.take_if(|(waiting, _)| *waiting == request) else {
            return Ok(());
        };
        self.note_stored(now.wall, relay, signed_for(&offered, proofs));
        let is_new = |outcome: &AppendOutcome| matches!(outcome, AppendOutcome::Stored { .. });
        if outcomes.iter().any(is_new)
            && let Some(link) = self.links.get_mut(&relay)
        {
            link.note_useful();
        }
        let offered = match offered {
            Offered::Queued(offered) => offered,
            Offered::Again(portion) => {
                return self.portion_answered(now, relay, &portion, outcomes, proofs);
            }
        };
        for ((place, outcome), proof) in offered.iter().zip(outcomes).zip(proofs) {
            match *outcome {
                AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => {
                    let known = self.outbox.get(*place).map(|it| (it.entry.id, it.class));
                    if let Some((id, class)) = known {
                        if is_new(outcome) {
                            self.note_room(relay, place.timeline, class)?;
                        }
                        self.note_taken(relay, place.timeline, &id)?;
                    }
                    self.stored_at_relay(relay, *place, proof.as_ref())?;
                }
                AppendOutcome::Refused {
                    code,
                    retry_after_ms,
                } => {
                    let is_for_now = code.is_retryable()
                        || self.may_be_early(place.timeline, code)
                        || is_of_admission(code)
                            && self.begin_round(relay, place.timeline, code)?;
                    if is_for_now {
                        self.put_off(now, relay, *place, code, retry_after_ms)?;
                    } else {
                        self.note_refusing(relay, place.timeline, code)?;
                        let carriers = self.book.carriers_of(place.timeline);
                        self.refused_at_relay(relay, *place, code, &carriers)?;
                    }
                }
            }
        }
        let timelines: BTreeSet<TimelineId> = offered.iter().map(|place| place.timeline).collect();
        self.let_fall_behind(&timelines)?;
        self.tell_delivery(&offered);
        Ok(())
    }

    pub(super) fn stored_at_relay(
        &mut self,
        relay: RelayKey,
        place: Place,
        proof: Option<&StoredProof>,
    ) -> Result<(), NodeError> {
        let Some((id, class)) = self
            .outbox
            .get(place)
            .map(|waiting| (waiting.entry.id, waiting.class))
        else {
            return Ok(());
        };
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.pauses.end(place.timeline, class);
        }
        let carriers = self.book.carriers_of(place.timeline);
        let is_done = self.outbox.stored(place, relay, &carriers);
        if is_done {
            self.outbox.remove(place);
        }
        self.with_batch(|batch| {
            if is_done {
                outbox::remove(batch, &place.timeline, place.n)?;
            }
            proof.map_or(Ok(()), |proof| receipts::put(batch, &id, proof))
        })
    }

    /// One envelope is refused for good: it goes if another relay has it and all have judged.
    pub(super) fn refused_at_relay(
        &mut self,
        relay: RelayKey,
        place: Place,
        code: ErrorCode,
        carriers: &[RelayKey],
    ) -> Result<(), NodeError> {
        let entry = self.outbox.refuse(place, relay, code, carriers);
        if self.outbox.is_done(place, carriers) {
            self.outbox.remove(place);
            return self
                .with_batch(|batch| outbox::remove(batch, &place.timeline, place.n).map(|_| ()));
        }
        self.write_back(entry)
    }

    /// One envelope is refused for now: the timeline pauses if the reason lies
    /// in it, else the whole relay.
    fn put_off(
        &mut self,
        now: Now,
        relay: RelayKey,
        place: Place,
        code: ErrorCode,
        retry_after_ms: Option<u32>,
    ) -> Result<(), NodeError> {
        let Some(class) = self.outbox.class_at(place) else {
            return Ok(());
        };
        self.queued_found_no_room(now, relay, place, code)?;
        let pause_ms = self.pause_for(now, relay, place.timeline, class, code, retry_after_ms);
        let entry = self.outbox.put_off(place, code, later(now, pause_ms));
        self.write_back(entry)
    }

    /// A whole request is refused: nothing is offered for a while. What an
    /// append held is put off whatever the code, since no single envelope was judged.
    pub(super) fn request_refused(
        &mut self,
        now: Now,
        relay: RelayKey,
        request: u64,
        code: ErrorCode,
        retry_after_ms: Option<u32>,
    ) -> Result<(), NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(());
        };
        let in_flight = live.in_flight.take_if(|(waiting, _)| *waiting == request);
        let pause_ms = live.pause(now.monotonic, retry_after_ms);
        // A portion is read again from where its cursor stands.
        let offered = match in_flight {
            Some((_, Offered::Queued(offered))) => offered,
            Some((_, Offered::Again(portion))) => {
                let offered = (portion.timeline, portion.start);
                self.portion_found_no_room(now, relay, offered, code)?;
                Vec::new()
            }
            None => Vec::new(),
        };
        for place in &offered {
            self.queued_found_no_room(now, relay, *place, code)?;
            let entry = self.outbox.put_off(*place, code, later(now, pause_ms));
            self.write_back(entry)?;
        }
        self.tell_delivery(&offered);
        Ok(())
    }

    pub(super) fn write_back(&mut self, entry: Option<OutboxEntry>) -> Result<(), NodeError> {
        entry.map_or(Ok(()), |entry| {
            self.with_batch(|batch| outbox::update(batch, &entry))
        })
    }

    fn tell_delivery(&mut self, offered: &[Place]) {
        let timelines: BTreeSet<TimelineId> = offered.iter().map(|place| place.timeline).collect();
        for timeline in timelines {
            self.emit(Event::Delivery {
                timeline: timeline.to_string(),
            });
        }
    }
}

/// The timelines of what the relay signed for, by its answer to each.
fn signed_for(offered: &Offered, proofs: &[Option<StoredProof>]) -> BTreeSet<TimelineId> {
    match offered {
        Offered::Queued(places) => {
            let answered = places.iter().zip(proofs);
            let signed = answered.filter(|(_, proof)| proof.is_some());
            signed.map(|(place, _)| place.timeline).collect()
        }
        Offered::Again(portion) => {
            let any = proofs.iter().any(Option::is_some);
            any.then_some(portion.timeline).into_iter().collect()
        }
    }
}

fn later(now: Now, pause_ms: u64) -> UnixMillis {
    let pause_ms = i64::try_from(pause_ms).unwrap_or(i64::MAX);
    UnixMillis(now.wall.0.saturating_add(pause_ms))
}
