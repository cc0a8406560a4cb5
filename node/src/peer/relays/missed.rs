//! Keys and permissions of others that one relay has and another one lacks.
//!
//! Their author brings them to every relay that it reaches; it may be away for long, or reach
//! one relay only. Until relays pass envelopes on to each other, whoever holds them brings
//! them: without them a relay refuses what their author, and those whom it let in, write.

use std::collections::BTreeMap;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::Timeline;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::Unseen;
use crate::peer::reoffers::{At, Reoffer};

/// What a restart forgets within this time is left to others, and to a refusal ([`super::rounds`]).
///
/// So long a relay that is connected may take to show what another one has, in milliseconds:
/// as a rule its author is bringing it just now.
const SHOW_MS: u64 = 10_000;
/// Envelopes that one relay is waited for; beyond, it is offered them at once.
const UNSEEN_MAX: usize = 1_024;

impl Peer {
    /// `relay` sent a key or permission, `new` where it was not here before: the other relays
    /// of the timeline may lack it.
    pub(super) fn control_arrived(
        &mut self,
        now: Now,
        relay: RelayKey,
        envelope: &VerifiedEnvelope,
        new: Option<ArrivalSeq>,
    ) -> Result<(), NodeError> {
        let (timeline, id) = (envelope.timeline(), envelope.id());
        if let Some(link) = self.links.get_mut(&relay) {
            link.unseen.arrivals.remove(&(timeline, id));
        }
        let open = self.timelines.get(&timeline);
        let is_mine = |open: &Timeline| open.is_mine(&envelope.author());
        let Some(arrival) = new.filter(|_| !open.is_none_or(is_mine)) else {
            return Ok(());
        };
        for other in self.book.carriers_of(timeline) {
            let Some(link) = self.links.get_mut(&other).filter(|_| other != relay) else {
                continue;
            };
            let is_up = link.live().is_some_and(|live| live.ready);
            if is_up && link.unseen.arrivals.len() < UNSEEN_MAX {
                link.unseen.arrivals.insert((timeline, id), arrival);
                let until = now.monotonic.after_ms(SHOW_MS);
                link.unseen.until.get_or_insert(until);
            } else {
                self.owe_control(other, timeline, arrival)?;
            }
        }
        Ok(())
    }

    /// The relay had its time to show what another one has.
    pub(super) fn bring_unseen(&mut self, now: Now, relay: RelayKey) -> Result<(), NodeError> {
        let Some(link) = self.links.get_mut(&relay) else {
            return Ok(());
        };
        let is_busy = link.live().is_some_and(|live| !live.is_caught_up());
        if is_busy && !link.unseen.arrivals.is_empty() {
            // It is still sending.
            link.unseen.until = Some(now.monotonic.after_ms(SHOW_MS));
            return Ok(());
        }
        let Unseen { arrivals, .. } = std::mem::take(&mut link.unseen);
        let mut first: BTreeMap<TimelineId, ArrivalSeq> = BTreeMap::new();
        for ((timeline, _), arrival) in arrivals {
            let first = first.entry(timeline).or_insert(arrival);
            *first = arrival.min(*first);
        }
        for (timeline, arrival) in first {
            if self.book.carriers_of(timeline).contains(&relay) {
                self.owe_control(relay, timeline, arrival)?;
            }
        }
        Ok(())
    }

    /// A relay is offered the keys and permissions that arrived here from `arrival` on.
    fn owe_control(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        arrival: ArrivalSeq,
    ) -> Result<(), NodeError> {
        if !self.book.follows(timeline) {
            return Ok(());
        }
        let Some(here) = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))? else {
            return Ok(());
        };
        let from = At::again_after(ArrivalSeq(arrival.0.saturating_sub(1)));
        let owed = match self.reoffers.get(relay, timeline).copied() {
            // It may have passed them.
            Some(known) if known.is_in_control() => Reoffer {
                ends: here.ends,
                at: known.at.back_before(arrival),
                ..known
            },
            Some(known) => Reoffer {
                ends: here.ends,
                at: from,
                resume: Some(known.at),
                ..known
            },
            None => Reoffer {
                at: from,
                resume: Some(At::OWN_END),
                ..here
            },
        };
        self.set_reoffer(relay, timeline, owed)
    }
}
