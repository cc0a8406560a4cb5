//! When a relay's log is another than before, what it had is offered again.
//!
//! A relay that lost acknowledged commits begins a new log epoch, a relay that
//! was set up anew a new log. Either way no cursor into the old log holds (the
//! session falls back by itself), and what this node wrote may be gone there.
//! Permissions and keys are offered whoever wrote them: without the genesis and
//! the grants nobody could write there, and their authors may be away for long.
//!
//! Here it begins and ends; what lies between goes in portions ([`super::portions`]).

use khlong_crdt::class::Class;
use khlong_crdt::id::{AuthorKey, EnvelopeId, LogId, RelayKey, Seq, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_document::timeline::Timeline;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::cursors;
use khlong_store::tables::timelines::{get, heights, totals};

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::Link;
use crate::peer::reoffers::{At, Change, Reoffer};

impl Peer {
    /// Compares the log that `relay` names with the one that this node's cursors are of.
    pub(super) fn meet_log(&mut self, relay: RelayKey, log: (LogId, u32)) -> Result<(), NodeError> {
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.log = Some(log);
        }
        let known = match self.reoffers.log_of(relay) {
            // Begun by an earlier connection: it goes on where it stands.
            Some(met) => vec![met],
            None => self.with_batch(|batch| {
                let cursors = Class::ALL.into_iter();
                let cursors = cursors.map(|class| cursors::get(batch, &relay, class));
                let cursors: Result<Vec<_>, StoreError> = cursors.collect();
                let named = cursors?.into_iter().flatten();
                Ok(named.map(|it| (it.log, it.log_epoch)).collect())
            })?,
        };
        if known.into_iter().any(|known| known != log) {
            self.offer_all_again(relay, log, false)?;
        }
        Ok(())
    }

    /// Whether a class begins anew at `relay`. Where the log changed, [`Self::meet_log`] has seen it;
    /// the same log rolled back is seen only here.
    pub(super) fn rewound(
        &mut self,
        relay: RelayKey,
        class: Class,
        rewound: bool,
    ) -> Result<(), NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(());
        };
        let Some(log) = live.log.filter(|_| rewound && !live.offers_again) else {
            return Ok(());
        };
        let cursor = self.with_batch(|batch| cursors::get(batch, &relay, class))?;
        if cursor.is_some_and(|cursor| (cursor.log, cursor.log_epoch) == log) {
            self.offer_all_again(relay, log, true)?;
        }
        Ok(())
    }

    /// The relay's log is not what it was: everything is offered again, from the beginning.
    fn offer_all_again(
        &mut self,
        relay: RelayKey,
        log: (LogId, u32),
        is_rolled_back: bool,
    ) -> Result<(), NodeError> {
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.offers_again = true;
        }
        tracing::warn!(%relay, "the relay's log is not what it was; what this node has is offered again");
        let met = self.reoffers.set_log(relay, log);
        self.with_batch(|batch| met.write(batch))?;
        for timeline in self.book.carried_by(relay) {
            // What was left is owed a goodbye at most.
            if self.book.follows(timeline) || self.outbox.of(timeline).next().is_some() {
                self.begin_reoffer(relay, timeline, is_rolled_back)?;
                self.forget_heard(relay, timeline)?;
                if self.forget_given(relay, timeline)? {
                    self.bring_whole(relay, timeline)?;
                }
                // What waits goes before what was stored once.
                self.outbox.lost_all_at(timeline, relay);
            }
        }
        Ok(())
    }

    /// Begins to offer a relay what this node has of a timeline: permissions and keys of all,
    /// and all of one's own.
    pub(in crate::peer) fn offer_again(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<(), NodeError> {
        let known = self.reoffers.get(relay, timeline);
        let is_rolled_back = known.is_some_and(|it| it.is_rolled_back);
        self.begin_reoffer(relay, timeline, is_rolled_back)
    }

    fn begin_reoffer(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        is_rolled_back: bool,
    ) -> Result<(), NodeError> {
        let begun = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))?;
        let Some(begun) = begun else { return Ok(()) };
        self.forget_refusing(relay, timeline)?;
        let known = self.reoffers.get(relay, timeline);
        let reoffer = Reoffer {
            is_rolled_back,
            is_whole: known.is_some_and(|it| it.is_whole),
            ..begun
        };
        self.set_reoffer(relay, timeline, reoffer)?;
        self.outbox.forgive_at(timeline, relay);
        Ok(())
    }

    /// Ends what nobody wants any more: of a timeline that was left there is at most a goodbye
    /// to say, which needs the permissions and nothing else.
    pub(in crate::peer) fn end_unwanted_reoffers(
        &mut self,
        relay: RelayKey,
    ) -> Result<(), NodeError> {
        let is_wanted = |timeline: TimelineId, reoffer: &Reoffer| {
            let says_goodbye =
                || reoffer.is_in_control() && self.outbox.of(timeline).any(|it| it.is_for(relay));
            self.book.carriers_of(timeline).contains(&relay)
                && (self.book.follows(timeline) || says_goodbye())
        };
        let all = self.reoffers.of(relay);
        let unwanted = all.filter(|(timeline, reoffer)| !is_wanted(*timeline, reoffer));
        let unwanted: Vec<TimelineId> = unwanted.map(|(timeline, _)| timeline).collect();
        for timeline in unwanted {
            self.end_reoffer(relay, timeline)?;
        }
        Ok(())
    }

    pub(super) fn end_reoffer(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<(), NodeError> {
        let change = self.reoffers.remove(relay, timeline);
        self.with_batch(|batch| change.write(batch))?;
        // Whoever waits until all is in step looks again.
        if self.reoffers.of(relay).next().is_none() {
            self.tell_relay(relay);
        }
        Ok(())
    }

    /// Forgets what a relay or a timeline that goes was to be offered again.
    pub(in crate::peer) fn forget_reoffers(
        &mut self,
        changes: Vec<Change>,
    ) -> Result<(), NodeError> {
        let mut changes = changes.into_iter();
        changes.try_for_each(|change| self.with_batch(|batch| change.write(batch)))
    }

    /// Envelopes that `relay` is still to be offered again: at most so many, as what it was
    /// given meanwhile in another way is counted too.
    pub(in crate::peer) fn left_to_reoffer(&self, relay: RelayKey) -> u64 {
        let all = self.reoffers.of(relay);
        let left = all.map(|(timeline, reoffer)| self.left_of(relay, timeline, reoffer));
        left.sum()
    }

    /// The same of one timeline.
    pub(in crate::peer) fn left_in(&self, relay: RelayKey, timeline: TimelineId) -> u64 {
        let reoffer = self.reoffers.get(relay, timeline);
        reoffer.map_or(0, |reoffer| self.left_of(relay, timeline, reoffer))
    }

    fn left_of(&self, relay: RelayKey, timeline: TimelineId, reoffer: &Reoffer) -> u64 {
        let open = self.timelines.get(&timeline);
        let own = open.map_or(Ok(Vec::new()), |open| own_chains(&self.store, open));
        let own = own.unwrap_or_default();
        let own = own.into_iter().map(|(author, highest)| match reoffer.at {
            At::Own { author: at, seq } if author == at => highest.0.saturating_sub(seq.0),
            At::Own { author: at, .. } if author < at => 0,
            At::Own { .. } | At::Control { .. } => highest.0,
            At::Others { .. } => 0,
        });
        let control = match reoffer.at {
            At::Control { after, .. } => {
                let of_all = totals(&self.store, &timeline, Class::Control, after);
                of_all.map_or(0, |of_all| of_all.envelopes)
            }
            At::Own { .. } | At::Others { .. } => 0,
        };
        let others = self.left_of_others(relay, timeline, reoffer);
        // One that is under way is never "nothing".
        let left = own.sum::<u64>().saturating_add(control);
        left.saturating_add(others).max(1)
    }

    /// Whether a relay's promise for an envelope of one's own stands: its log may be gone
    /// since, and the envelope not offered again yet.
    pub(in crate::peer) fn promise_stands(
        &self,
        receipt: &StoredReceipt,
        timeline: TimelineId,
        place: (AuthorKey, Seq),
        id: &EnvelopeId,
    ) -> Result<bool, StoreError> {
        let log = (receipt.log, receipt.log_epoch);
        let Some(reoffer) = self.reoffers.in_doubt(receipt.relay, timeline, log) else {
            return Ok(true);
        };
        if reoffer.has_passed(place.0, place.1) {
            return Ok(true);
        }
        let stored = get(&self.store, id)?;
        Ok(stored.is_some_and(|it| !reoffer.concerns(it.envelope.class(), it.arrival)))
    }
}

/// One's own chains in a timeline, by author, with their highest place.
pub(super) fn own_chains(
    rows: &dyn Rows,
    open: &Timeline,
) -> Result<Vec<(AuthorKey, Seq)>, StoreError> {
    let own = heights(rows, &open.id())?.into_iter();
    let own = own.filter(|height| open.is_mine(&height.author));
    Ok(own.map(|height| (height.author, height.highest)).collect())
}
