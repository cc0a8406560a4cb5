//! What others wrote, for a relay that is new to a timeline.
//!
//! Its members bring their own to such a relay when they hear of it; some may be away for
//! good. So whoever adds it brings everything that is here, and so does whoever takes
//! another relay away: what was given is noted, so that the next time only the rest goes.

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_document::timeline::Timeline;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::tables::timelines::{index, totals};

use super::portions::{Draft, Fate, LOOKS_MAX, Look, Step};
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::book::Arrivals;
use crate::peer::reoffers::{At, Reoffer};

/// Classes of what others wrote, but keys and permissions, which everybody brings.
const OF_OTHERS: [Class; 2] = [Class::Text, Class::Bulk];

impl Peer {
    /// Begins to bring a relay all that is here of a timeline, or goes on with what came since.
    pub(in crate::peer) fn bring_whole(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<(), NodeError> {
        let Some(here) = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))? else {
            return Ok(());
        };
        let known = self.reoffers.get(relay, timeline).copied();
        // What it refused, and whatever was passed with that, is offered once more.
        let has_refused = self.forget_refusing(relay, timeline)?;
        if has_refused {
            self.outbox.forgive_at(timeline, relay);
        }
        let at = match known {
            _ if has_refused => At::START,
            // What came meanwhile stands behind what it had ended with.
            Some(Reoffer {
                at: At::Others { class, .. },
                ends: [_, text, ..],
                ..
            }) if class != Class::Text => At::Others {
                class: Class::Text,
                after: text,
            },
            Some(known) => known.at,
            None if self.given(relay, timeline) == [0; 4] => At::START,
            None => At::AGAIN,
        };
        let whole = Reoffer {
            ends: here.ends,
            at,
            is_whole: true,
            ..known.unwrap_or(here)
        };
        self.set_reoffer(relay, timeline, whole)
    }

    /// Whether a relay has signed for all of one's own, was given what others wrote up to
    /// `ends`, and has refused nothing of either.
    pub(in crate::peer) fn holds_all(
        &self,
        relay: RelayKey,
        timeline: TimelineId,
        ends: &Arrivals,
    ) -> bool {
        let mut waiting = self.outbox.of(timeline);
        let given = self.given(relay, timeline);
        self.reoffers.get(relay, timeline).is_none()
            && self.refusing(relay, timeline).is_none()
            && !waiting.any(|it| it.is_missing_at(relay) && !it.is_refused())
            && given.iter().zip(ends).all(|(given, end)| given >= end)
    }

    /// Where what others wrote of a class begins that the relay was not given.
    pub(super) fn others_from(&self, relay: RelayKey, timeline: TimelineId, class: Class) -> At {
        let given = self.given(relay, timeline);
        let after = given.get(class as usize).copied().unwrap_or_default();
        At::Others {
            class,
            after: ArrivalSeq(after),
        }
    }

    pub(super) fn note_given(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        reoffer: &Reoffer,
    ) -> Result<(), NodeError> {
        // What it refused lies before these ends.
        if self.refusing(relay, timeline).is_none()
            && let Some(entry) = self.book.timelines.get_mut(&timeline.to_string())
        {
            let ends = reoffer.ends.map(|end| end.0);
            entry.given.insert(relay.to_string(), ends);
            self.save_book()?;
        }
        Ok(())
    }

    /// A relay lost its log, and with it what it was given; whether it was given anything.
    pub(super) fn forget_given(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<bool, NodeError> {
        let entry = self.book.timelines.get_mut(&timeline.to_string());
        let given = entry.and_then(|entry| entry.given.remove(&relay.to_string()));
        if given.is_some() {
            self.save_book()?;
        }
        Ok(given.is_some())
    }

    fn given(&self, relay: RelayKey, timeline: TimelineId) -> Arrivals {
        let entry = self.book.timelines.get(&timeline.to_string());
        let given = entry.and_then(|entry| entry.given.get(&relay.to_string()));
        given.copied().unwrap_or_default()
    }

    /// Envelopes of others that a cursor has before it, those of one's own among them counted too.
    pub(super) fn left_of_others(
        &self,
        relay: RelayKey,
        timeline: TimelineId,
        reoffer: &Reoffer,
    ) -> u64 {
        if !reoffer.is_whole {
            return 0;
        }
        let from = |of| match (reoffer.at, self.others_from(relay, timeline, of)) {
            (At::Others { class, after }, _) if class == of => Some(after),
            (At::Others { class, .. }, _) if class > of => None,
            (_, At::Others { after, .. }) => Some(after),
            (_, At::Control { .. } | At::Own { .. }) => None,
        };
        let left = OF_OTHERS.into_iter().map(|class| {
            let left = from(class).map(|after| totals(&self.store, &timeline, class, after));
            left.and_then(Result::ok).map_or(0, |left| left.envelopes)
        });
        left.sum()
    }
}

pub(super) fn read_others(
    batch: &Batch<'_>,
    open: &Timeline,
    (class, mut after): (Class, ArrivalSeq),
    look: &Look<'_>,
) -> Result<(Draft, Step), StoreError> {
    let (mut draft, timeline) = (Draft::default(), open.id());
    let at = |after| At::Others { class, after };
    let upto = look.reoffer.ends.get(class as usize).copied();
    let upto = upto.unwrap_or(ArrivalSeq(0));
    let page = index(batch, &timeline, class, after, upto, LOOKS_MAX)?;
    for (arrival, id) in &page {
        if draft.is_full() {
            return Ok((draft, Step::Goes(at(after))));
        }
        draft.looks += 1;
        if let Ok(id) = id
            && let Fate::Offer(envelope) = look.fate(batch, id)?
            && !open.is_mine(&envelope.author())
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
