//! What a relay answered to a portion, and where its cursor stands then.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::receipt::StoredProof;
use khlong_crdt::time::Now;
use khlong_store::tables::{outbox, receipts};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;

use super::portions::{Offered, Portion, Step};
use crate::api::Event;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::Link;
use crate::peer::outbox::{Place, Waiting};
use crate::peer::reoffers::{At, Reoffer};
use crate::peer::timelines::is_of_admission;

/// Rounds over keys and permissions: as long as each brings the relay something new.
const ROUNDS_MAX: u8 = 16;
/// Rows that one timeline's outbox may hold when what is refused for good is put there.
const OUTBOX_ROWS_MAX: usize = 4_096;

impl Peer {
    pub(super) fn move_cursor(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        mut reoffer: Reoffer,
        step: Step,
    ) -> Result<(), NodeError> {
        let at = match step {
            Step::Goes(at) => at,
            Step::Ended(At::Own { .. }) if reoffer.is_whole => {
                self.others_from(relay, timeline, Class::Text)
            }
            Step::Ended(At::Others {
                class: Class::Control | Class::Text,
                ..
            }) => self.others_from(relay, timeline, Class::Bulk),
            Step::Ended(At::Others { .. }) => {
                self.note_given(relay, timeline, &reoffer)?;
                return self.end_reoffer(relay, timeline);
            }
            Step::Ended(At::Own { .. }) => return self.end_reoffer(relay, timeline),
            Step::Ended(At::Control {
                rounds,
                has_refused: true,
                has_stored: true,
                ..
            }) if rounds < ROUNDS_MAX => At::Control {
                after: ArrivalSeq(0),
                rounds: rounds + 1,
                has_refused: false,
                has_stored: false,
            },
            Step::Ended(At::Control { has_refused, .. }) => {
                if has_refused {
                    self.note_refusing(relay, timeline, ErrorCode::NotAdmitted)?;
                }
                reoffer.resume.take().unwrap_or(At::OWN)
            }
        };
        self.set_reoffer(relay, timeline, Reoffer { at, ..reoffer })
    }

    /// The relay has answered a portion.
    pub(super) fn portion_answered(
        &mut self,
        now: Now,
        relay: RelayKey,
        portion: &Portion,
        outcomes: &[AppendOutcome],
        proofs: &[Option<StoredProof>],
    ) -> Result<(), NodeError> {
        let timeline = portion.timeline;
        let known = self.reoffers.get(relay, timeline).copied();
        // Begun again or brought back meanwhile: what was offered before does not move it.
        let Some(reoffer) = known.filter(|known| known.at == portion.start) else {
            return Ok(());
        };
        let waiting = self.outbox.of(timeline);
        let places: BTreeMap<EnvelopeId, Place> = waiting
            .map(|waiting| (waiting.entry.id, waiting.place()))
            .collect();
        let (mut has_refused, mut has_stored, mut stop) = (false, false, None);
        for ((offered, outcome), proof) in portion.offered.iter().zip(outcomes).zip(proofs) {
            let place = places.get(&offered.id).copied();
            match *outcome {
                AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => {
                    if matches!(outcome, AppendOutcome::Stored { .. }) {
                        has_stored = true;
                        self.note_room(relay, timeline, offered.class)?;
                    }
                    self.note_taken(relay, timeline, &offered.id)?;
                    // What a relay promises of others' text it promises to them.
                    let is_others = matches!(reoffer.at, At::Others { .. });
                    let proof = proof.as_ref().filter(|_| !is_others);
                    self.kept_again(relay, timeline, offered, place, proof)?;
                }
                // It is offered again, with what stopped.
                AppendOutcome::Refused { .. } if stop.is_some() => {}
                AppendOutcome::Refused {
                    code,
                    retry_after_ms,
                } => {
                    let is_own = matches!(reoffer.at, At::Own { .. });
                    let has_round = !reoffer.is_in_control()
                        && is_of_admission(code)
                        && (has_stored || !reoffer.is_out_of_rounds());
                    let waits = has_round || is_own && self.has_no_place(timeline);
                    if code.is_retryable() || waits {
                        self.portion_found_no_room(now, relay, (timeline, reoffer.at), code)?;
                        self.pause_for(now, relay, timeline, offered.class, code, retry_after_ms);
                        stop = Some((offered.before, code));
                        continue;
                    }
                    has_refused |= is_of_admission(code);
                    // Of keys and permissions what the last round says counts.
                    if !(reoffer.is_in_control() && is_of_admission(code)) {
                        self.note_refusing(relay, timeline, code)?;
                    }
                    self.with_batch(|batch| receipts::forget(batch, &offered.id, &relay))?;
                    if is_own {
                        self.refused_again(now, relay, offered.id, place, code)?;
                    }
                }
            }
        }
        let marked = |at| mark(at, has_refused, has_stored);
        let step = match (stop, portion.end_for(&reoffer)) {
            (Some((before, _)), _) => Step::Goes(marked(before)),
            (None, Step::Goes(at)) => Step::Goes(marked(at)),
            (None, Step::Ended(at)) => Step::Ended(marked(at)),
        };
        let held_up = stop.map(|(_, code)| code);
        let has_brought = reoffer.has_brought || has_stored;
        let moved = Reoffer {
            held_up,
            has_brought,
            ..reoffer
        };
        self.move_cursor(relay, timeline, moved, step)?;
        if let Some(code) = held_up.filter(|code| is_of_admission(*code)) {
            self.begin_round(relay, timeline, code)?;
        }
        self.emit(Event::Delivery {
            timeline: timeline.to_string(),
        });
        Ok(())
    }

    /// The relay has it again.
    fn kept_again(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        offered: &Offered,
        place: Option<Place>,
        proof: Option<&StoredProof>,
    ) -> Result<(), NodeError> {
        if let Some(place) = place {
            return self.stored_at_relay(relay, place, proof);
        }
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.pauses.end(timeline, offered.class);
        }
        let put = |proof| self.with_batch(|batch| receipts::put(batch, &offered.id, proof));
        proof.map_or(Ok(()), put)
    }

    /// Whether what is refused for good would find no place in the outbox.
    fn has_no_place(&self, timeline: TimelineId) -> bool {
        self.outbox.of(timeline).count() >= OUTBOX_ROWS_MAX || self.outbox.is_full()
    }

    /// One's own envelope is refused for good: if no other relay has it, it waits for its user.
    fn refused_again(
        &mut self,
        now: Now,
        relay: RelayKey,
        id: EnvelopeId,
        place: Option<Place>,
        code: ErrorCode,
    ) -> Result<(), NodeError> {
        let Some(envelope) = self.stored_or_staged(&id)? else {
            return Ok(());
        };
        let timeline = envelope.timeline();
        let carriers = self.book.carriers_of(timeline);
        let place = match place {
            Some(place) => place,
            None => {
                let elsewhere = self.with_batch(|batch| receipts::get(batch, &id))?;
                if !elsewhere.is_empty() {
                    return Ok(());
                }
                let entry =
                    self.with_batch(|batch| outbox::push(batch, &timeline, &id, now.wall))?;
                let waiting = Waiting::new(entry, &envelope, BTreeSet::new());
                let place = waiting.place();
                self.outbox.insert(waiting);
                place
            }
        };
        self.refused_at_relay(relay, place, code, &carriers)
    }

    /// Nothing of the timeline, or of all, is offered for a while; returns how long. What is
    /// refused for good, or finds no place here, says nothing of other timelines.
    pub(super) fn pause_for(
        &mut self,
        now: Now,
        relay: RelayKey,
        timeline: TimelineId,
        class: Class,
        code: ErrorCode,
        asked_ms: Option<u32>,
    ) -> u64 {
        let is_of_timeline =
            matches!(code, ErrorCode::QuotaExceeded | ErrorCode::Internal) || !code.is_retryable();
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return 0;
        };
        if is_of_timeline {
            live.pauses.begin(timeline, class, now.monotonic, asked_ms)
        } else {
            live.pause(now.monotonic, asked_ms)
        }
    }
}

fn mark(at: At, refused: bool, stored: bool) -> At {
    match at {
        At::Control {
            after,
            rounds,
            has_refused,
            has_stored,
        } => At::Control {
            after,
            rounds,
            has_refused: has_refused | refused,
            has_stored: has_stored | stored,
        },
        At::Own { .. } | At::Others { .. } => at,
    }
}
