//! What a relay that lost its log is offered again, an append at a time.
//!
//! A portion is read where the history lies when its turn has come, and the cursor moves
//! when the relay has answered, in the batch that holds its promises: a crash repeats one
//! portion, which the relay calls duplicates. Whatever refuses for now stops the cursor before it.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, RelayKey, Seq, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::Timeline;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::tables::receipts;
use khlong_store::tables::receipts::Promise;
use khlong_store::tables::timelines::{author_ids, get, index};
use khlong_sync::limits::{APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX};

use super::others::read_others;
use super::reoffer::own_chains;
use crate::error::NodeError;
use crate::peer::batch::{INPUT_BYTES_MAX, ROW_BYTES_MAX};
use crate::peer::links::Link;
use crate::peer::reoffers::{At, Reoffer};
use crate::peer::{Peer, dropped};

/// Envelopes in one portion: one append.
const PORTION_ENVELOPES_MAX: usize = APPEND_ENVELOPES_MAX;
/// Bytes in one portion, which holds at least one envelope.
const PORTION_BYTES_MAX: usize = APPEND_BYTES_MAX;
/// Rows that are looked at for one portion; most may need no offer.
pub(super) const LOOKS_MAX: usize = 1_024;

/// What the rows of one portion may take: receipts that are forgotten or put, and the cursor.
const PORTION_ROWS_BYTES_MAX: usize = (PORTION_ENVELOPES_MAX + 1) * 2 * ROW_BYTES_MAX;
const _: () = assert!(PORTION_ROWS_BYTES_MAX <= INPUT_BYTES_MAX);

/// A portion that waits for its answer.
#[derive(Clone, Debug)]
pub(in crate::peer) struct Portion {
    pub(super) timeline: TimelineId,
    /// Where the cursor stood when it was read.
    pub(super) start: At,
    pub(super) ends: [ArrivalSeq; 4],
    pub(super) offered: Vec<Offered>,
    /// Where it stands when all was answered.
    pub(super) end: Step,
}

impl Portion {
    /// Where the cursor stands when all was answered; one that was made longer while the
    /// answer was on its way has not ended.
    pub(super) fn end_for(&self, reoffer: &Reoffer) -> Step {
        match self.end {
            Step::Ended(at) if self.ends != reoffer.ends => Step::Goes(match at {
                At::Control { .. } | At::Others { .. } => at,
                At::Own { .. } => self.offered.last().map_or(self.start, |it| it.before),
            }),
            end @ (Step::Goes(_) | Step::Ended(_)) => end,
        }
    }
}

/// An envelope of a portion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered {
    pub(super) id: EnvelopeId,
    pub(super) class: Class,
    /// Where the cursor stands before it.
    pub(super) before: At,
}

/// Where the reading of a portion has come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Goes(At),
    /// Nothing is left of this stage.
    Ended(At),
}

/// A portion while it is read.
#[derive(Default)]
pub(super) struct Draft {
    offered: Vec<Offered>,
    envelopes: Vec<VerifiedEnvelope>,
    bytes: usize,
    pub(super) looks: usize,
    /// Go by the outbox; what the relay promised before counts no more.
    by_outbox: Vec<EnvelopeId>,
}

impl Draft {
    pub(super) fn is_full(&self) -> bool {
        self.offered.len() + self.by_outbox.len() >= PORTION_ENVELOPES_MAX
            || self.looks >= LOOKS_MAX
    }

    /// Whether it fits.
    pub(super) fn takes(&mut self, envelope: VerifiedEnvelope, before: At) -> bool {
        let bytes = self.bytes + envelope.bytes().len();
        if bytes > PORTION_BYTES_MAX && !self.envelopes.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.offered.push(Offered {
            id: envelope.id(),
            class: envelope.class(),
            before,
        });
        self.envelopes.push(envelope);
        true
    }
}

/// What is asked of a cursor at one envelope.
pub(super) struct Look<'a> {
    relay: RelayKey,
    log: Option<(LogId, u32)>,
    pub(super) reoffer: Reoffer,
    waiting: &'a BTreeMap<EnvelopeId, (bool, bool)>,
}

pub(super) enum Fate {
    Offer(VerifiedEnvelope),
    ByOutbox,
    Pass,
}

impl Look<'_> {
    pub(super) fn fate(&self, batch: &Batch<'_>, id: &EnvelopeId) -> Result<Fate, StoreError> {
        let stored = match get(batch, id) {
            Ok(Some(stored)) => stored,
            // A damaged row costs its envelope and no other.
            Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok(Fate::Pass),
            Err(error) => return Err(error),
        };
        let envelope = stored.envelope;
        let (is_refused, is_for) = self.waiting.get(id).copied().unwrap_or_default();
        let is_gone = envelope.body().is_none() || dropped::contains(batch, id)?;
        if is_gone || is_refused || !self.reoffer.concerns(envelope.class(), stored.arrival) {
            return Ok(Fate::Pass);
        }
        let is_repeated = match self.reoffer.at {
            At::Control { rounds, .. } => rounds > 0,
            At::Own { .. } if is_for => return Ok(Fate::ByOutbox),
            // Of a log that was rolled back a promise says nothing.
            At::Own { .. } => envelope.class() == Class::Control || !self.reoffer.is_rolled_back,
            At::Others { .. } => false,
        };
        if is_repeated && self.has_promised(batch, id)? {
            return Ok(Fate::Pass);
        }
        Ok(Fate::Offer(envelope))
    }

    /// Whether the relay has it in the log of now.
    fn has_promised(&self, batch: &Batch<'_>, id: &EnvelopeId) -> Result<bool, StoreError> {
        let promises = receipts::get(batch, id)?;
        let of_now = promises.iter().map(Promise::receipt);
        let mut of_now = of_now.filter(|it| Some((it.log, it.log_epoch)) == self.log);
        Ok(of_now.any(|it| it.relay == self.relay))
    }
}

impl Peer {
    /// The next portion for `relay`, if there is one; of the first stage alone, or of both.
    pub(super) fn next_portion(
        &mut self,
        now: Now,
        relay: RelayKey,
        only_control: bool,
    ) -> Result<Option<(Portion, Vec<VerifiedEnvelope>)>, NodeError> {
        let mut looks = 0;
        while let Some(timeline) = self.next_in_turn(relay, only_control) {
            let has_room = self.overlay.bytes() + PORTION_ROWS_BYTES_MAX <= BATCH_BYTES_MAX;
            let live = self.links.get_mut(&relay).and_then(Link::live);
            let (Some(live), Some(reoffer)) = (live, self.reoffers.get(relay, timeline).copied())
            else {
                break;
            };
            if looks >= LOOKS_MAX || !has_room {
                live.look_again = Some(now.monotonic);
                break;
            }
            let log = live.log;
            let (draft, end) = self.read_portion(relay, timeline, log, reoffer)?;
            self.with_batch(|batch| {
                let mut by_outbox = draft.by_outbox.iter();
                by_outbox.try_for_each(|id| receipts::forget(batch, id, &relay))
            })?;
            if draft.envelopes.is_empty() {
                looks += draft.looks.max(1);
                self.move_cursor(relay, timeline, reoffer, end)?;
                continue;
            }
            if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
                live.offered_again = Some(timeline);
            }
            let portion = Portion {
                timeline,
                start: reoffer.at,
                ends: reoffer.ends,
                offered: draft.offered,
                end,
            };
            return Ok(Some((portion, draft.envelopes)));
        }
        Ok(None)
    }

    /// Timelines take turns; one whose relay has no room for it is passed over.
    fn next_in_turn(&mut self, relay: RelayKey, only_control: bool) -> Option<TimelineId> {
        let live = self.links.get_mut(&relay).and_then(Link::live)?;
        let is_paused = |timeline: TimelineId, reoffer: &Reoffer| {
            let mut classes = Class::ALL.into_iter();
            live.pauses.holds(timeline, Class::Control)
                || !reoffer.is_in_control() && classes.any(|of| live.pauses.holds(timeline, of))
        };
        let last = live.offered_again;
        let open = self.reoffers.of(relay);
        let mut open = open.filter(|(timeline, reoffer)| {
            (reoffer.is_in_control() || !only_control) && !is_paused(*timeline, reoffer)
        });
        let first = open.next()?.0;
        if last.is_none_or(|last| first > last) {
            return Some(first);
        }
        let next = open.find(|(timeline, _)| Some(*timeline) > last);
        Some(next.map_or(first, |(timeline, _)| timeline))
    }

    fn read_portion(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        log: Option<(LogId, u32)>,
        reoffer: Reoffer,
    ) -> Result<(Draft, Step), NodeError> {
        let waiting = self.outbox.of(timeline);
        let waiting: BTreeMap<EnvelopeId, (bool, bool)> = waiting
            .map(|it| (it.entry.id, (it.is_refused(), it.is_for(relay))))
            .collect();
        let look = Look {
            relay,
            log,
            reoffer,
            waiting: &waiting,
        };
        let batch = self.store.batch_on(std::mem::take(&mut self.overlay));
        let read = match (reoffer.at, self.timelines.get(&timeline)) {
            (At::Own { .. }, Some(open)) => read_own(&batch, open, &look),
            (At::Others { class, after }, Some(open)) => {
                read_others(&batch, open, (class, after), &look)
            }
            (At::Control { .. }, _) | (_, None) => read_control(&batch, timeline, &look),
        };
        self.overlay = batch.into_overlay();
        read.map_err(NodeError::Store)
    }
}

fn read_control(
    batch: &Batch<'_>,
    timeline: TimelineId,
    look: &Look<'_>,
) -> Result<(Draft, Step), StoreError> {
    let mut draft = Draft::default();
    let (end, [upto, ..]) = (look.reoffer.at, look.reoffer.ends);
    let at = |arrival| match end {
        At::Control {
            rounds,
            has_refused,
            has_stored,
            ..
        } => At::Control {
            after: arrival,
            rounds,
            has_refused,
            has_stored,
        },
        At::Own { .. } | At::Others { .. } => end,
    };
    let mut after = match end {
        At::Control { after, .. } => after,
        At::Own { .. } | At::Others { .. } => return Ok((draft, Step::Ended(end))),
    };
    let page = index(batch, &timeline, Class::Control, after, upto, LOOKS_MAX)?;
    for (arrival, id) in &page {
        if draft.is_full() {
            return Ok((draft, Step::Goes(at(after))));
        }
        draft.looks += 1;
        if let Ok(id) = id
            && let Fate::Offer(envelope) = look.fate(batch, id)?
            && !draft.takes(envelope, at(after))
        {
            return Ok((draft, Step::Goes(at(after))));
        }
        after = *arrival;
    }
    let step = if page.len() < LOOKS_MAX {
        Step::Ended(at(after))
    } else {
        Step::Goes(at(after))
    };
    Ok((draft, step))
}

fn read_own(
    batch: &Batch<'_>,
    open: &Timeline,
    look: &Look<'_>,
) -> Result<(Draft, Step), StoreError> {
    let (mut draft, timeline) = (Draft::default(), open.id());
    let At::Own { author, seq } = look.reoffer.at else {
        return Ok((draft, Step::Ended(look.reoffer.at)));
    };
    for (chain, highest) in own_chains(batch, open)? {
        if chain < author {
            continue;
        }
        let mut seq = if chain == author { seq } else { Seq(0) };
        while seq < highest {
            let before = At::Own { author: chain, seq };
            if draft.is_full() {
                return Ok((draft, Step::Goes(before)));
            }
            draft.looks += 1;
            seq = seq.next();
            // Two stand at one place only where the chain was forked; both are offered.
            let (first, second) = match author_ids(batch, &timeline, &chain, seq) {
                Ok(ids) => ids.map_or((None, None), |(first, second)| (Some(first), second)),
                Err(StoreError::Corrupt { .. }) => (None, None),
                Err(error) => return Err(error),
            };
            for id in first.into_iter().chain(second) {
                match look.fate(batch, &id)? {
                    // The other one of a fork that is too large beside the first stays here:
                    // the cursor would stand before it for ever.
                    Fate::Offer(envelope) => {
                        let has_others = draft.offered.iter().any(|it| it.before != before);
                        if !draft.takes(envelope, before) && has_others {
                            return Ok((draft, Step::Goes(before)));
                        }
                    }
                    Fate::ByOutbox => draft.by_outbox.push(id),
                    Fate::Pass => {}
                }
            }
        }
    }
    Ok((draft, Step::Ended(look.reoffer.at)))
}
