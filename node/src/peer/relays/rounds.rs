//! A relay that does not let one's own in for want of a grant.
//!
//! It may have been away when the grant was written. Whoever has the keys and permissions
//! offers them before one's own is offered again, a few times; then the refusal counts.

use khlong_crdt::class::Class;
use khlong_crdt::id::{RelayKey, Seq, TimelineId};
use khlong_store::tables::receipts;
use khlong_store::tables::timelines::author_ids;
use khlong_sync::wire::code::ErrorCode;

use super::reoffer::own_chains;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::reoffers::{At, Reoffer};

/// Rounds over keys and permissions that brought the relay nothing new, before its refusal
/// of one's own counts.
const IDLE_ROUNDS_MAX: u8 = 4;

impl Reoffer {
    /// Whether a further refusal for want of a grant counts.
    pub(super) fn is_out_of_rounds(&self) -> bool {
        !self.has_brought && self.idle_rounds >= IDLE_ROUNDS_MAX
    }
}

impl Peer {
    /// One's own is refused for want of a grant. Whether keys and permissions are offered
    /// before it is offered again; if not, the refusal counts.
    pub(super) fn begin_round(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        code: ErrorCode,
    ) -> Result<bool, NodeError> {
        let Some(known) = self.reoffers.get(relay, timeline).copied() else {
            return self.bring_grants(relay, timeline);
        };
        if known.is_in_control() {
            return Ok(true);
        }
        if known.is_out_of_rounds() {
            return Ok(false);
        }
        let now_here = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))?;
        let idle_rounds = if known.has_brought {
            0
        } else {
            known.idle_rounds
        };
        let round = Reoffer {
            ends: now_here.map_or(known.ends, |it| it.ends),
            at: At::AGAIN,
            held_up: Some(code),
            resume: Some(known.at),
            idle_rounds: idle_rounds + 1,
            has_brought: false,
            ..known
        };
        self.set_reoffer(relay, timeline, round)?;
        Ok(true)
    }

    /// No cursor: begins one where another relay has let one's own in, or this one lost its
    /// log, and there is a key or permission that it was not offered for such a refusal.
    fn bring_grants(&mut self, relay: RelayKey, timeline: TimelineId) -> Result<bool, NodeError> {
        let is_elsewhere = self.is_kept_elsewhere(relay, timeline)?;
        let here = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))?;
        let head = here.and_then(|it| it.ends.get(Class::Control as usize).copied());
        let (Some(link), Some(head)) = (self.links.get_mut(&relay), head) else {
            return Ok(false);
        };
        let has_lost = link.live().is_some_and(|live| live.offers_again);
        let is_new = link
            .brought
            .get(&timeline)
            .is_none_or(|known| *known < head);
        if !is_new || !(is_elsewhere || has_lost) {
            return Ok(false);
        }
        link.brought.insert(timeline, head);
        self.offer_again(relay, timeline)?;
        Ok(true)
    }

    /// Whether another relay that carries the timeline has signed for something of one's own.
    fn is_kept_elsewhere(&self, relay: RelayKey, timeline: TimelineId) -> Result<bool, NodeError> {
        let carriers = self.book.carriers_of(timeline);
        let others = carriers.into_iter().filter(|it| *it != relay);
        let others: Vec<RelayKey> = others.collect();
        let mut waiting = self.outbox.of(timeline);
        if waiting.any(|it| others.iter().any(|other| !it.is_missing_at(*other))) {
            return Ok(true);
        }
        let Some(open) = self.timelines.get(&timeline) else {
            return Ok(false);
        };
        for (author, _) in own_chains(&self.store, open).map_err(NodeError::Store)? {
            let first = author_ids(&self.store, &timeline, &author, Seq::FIRST);
            let Some((first, _)) = first.map_err(NodeError::Store)? else {
                continue;
            };
            let promises = receipts::get(&self.store, &first).map_err(NodeError::Store)?;
            let mut promises = promises.iter().map(|promise| promise.receipt().relay);
            if promises.any(|of| others.contains(&of)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `khlong outbox retry`: every cursor that a refusal holds up begins its rounds anew.
    pub(in crate::peer) fn forgive_reoffers(&mut self) -> Result<(), NodeError> {
        let relays: Vec<RelayKey> = self.links.keys().copied().collect();
        for relay in relays {
            let held_up = self.reoffers.of(relay);
            let held_up = held_up.filter(|(_, it)| it.held_up.is_some() || it.idle_rounds > 0);
            let held_up: Vec<(TimelineId, Reoffer)> =
                held_up.map(|(timeline, it)| (timeline, *it)).collect();
            for (timeline, known) in held_up {
                let (at, resume) = match known.at {
                    At::Own { .. } | At::Others { .. } => (At::AGAIN, Some(known.at)),
                    At::Control { .. } => (known.at, known.resume),
                };
                let forgiven = Reoffer {
                    at,
                    resume,
                    held_up: None,
                    idle_rounds: 0,
                    ..known
                };
                self.set_reoffer(relay, timeline, forgiven)?;
            }
        }
        for link in self.links.values_mut() {
            link.brought.clear();
        }
        Ok(())
    }

    pub(super) fn set_reoffer(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        reoffer: Reoffer,
    ) -> Result<(), NodeError> {
        let change = self.reoffers.set(relay, timeline, reoffer);
        self.with_batch(|batch| change.write(batch))
    }
}
