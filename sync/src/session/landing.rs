//! The receiving side of one class: what may be pushed, and in which order.
//!
//! A relay is not trusted to keep the protocol: entries of a timeline that was
//! not asked for, out of order, or beyond the window end the connection.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, LogId, TimelineId};

use super::error::SessionError;
use super::window::Window;
use crate::wire::frame::{
    BackfillDone, CaughtUp, Push, Subscribed, SubscriptionEnded, TimelineSubscription,
};

/// One class of one connection.
#[derive(Debug)]
pub(super) struct Landing {
    class: Class,
    cursor: Option<Cursor>,
    places: BTreeMap<TimelineId, Place>,
    window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Merged,
    Backfill { after: ArrivalSeq },
}

impl Landing {
    pub(super) const fn new(class: Class) -> Self {
        Self {
            class,
            cursor: None,
            places: BTreeMap::new(),
            window: Window::new(),
        }
    }

    pub(super) fn receives(&self, timeline: &TimelineId) -> bool {
        self.places.contains_key(timeline)
    }

    /// Takes the answer to a subscribe; gives the backfill positions that change by it.
    pub(super) fn subscribed(
        &mut self,
        body: &Subscribed,
        asked: &[TimelineSubscription],
        sent: Option<Cursor>,
        log: (LogId, u32),
    ) -> Result<Vec<(TimelineId, Option<ArrivalSeq>)>, SessionError> {
        self.check_answer(body, sent, log)?;
        // Positions beside no cursor count as 0.
        let void = self.cursor.is_none() && sent.is_none();
        self.cursor = Some(body.cursor);
        let refused: BTreeSet<TimelineId> = body.refused.iter().map(|(id, _)| *id).collect();
        let mut positions = Vec::new();
        for wanted in asked {
            let timeline = wanted.timeline;
            if self.places.contains_key(&timeline) {
                continue;
            }
            let before = wanted
                .backfill
                .iter()
                .find(|(class, _)| *class == self.class);
            let before = before.map(|(_, after)| *after);
            let after = match (before, body.rewound) {
                (Some(_), false) if void => Some(ArrivalSeq(0)),
                (Some(after), false) => Some(after),
                // Merged at 0, or still to be merged from there.
                (_, true) => refused.contains(&timeline).then_some(ArrivalSeq(0)),
                (None, false) => refused.contains(&timeline).then_some(if void {
                    ArrivalSeq(0)
                } else {
                    body.cursor.seq
                }),
            };
            if after != before {
                positions.push((timeline, after));
            }
            if !refused.contains(&timeline) {
                let place = after.map_or(Place::Merged, |after| Place::Backfill { after });
                self.places.insert(timeline, place);
            }
        }
        Ok(positions)
    }

    fn check_answer(
        &self,
        body: &Subscribed,
        sent: Option<Cursor>,
        log: (LogId, u32),
    ) -> Result<(), SessionError> {
        let cursor = body.cursor;
        if (cursor.log, cursor.log_epoch) != log {
            return Err(self.wrong("a cursor of another log"));
        }
        let expected = match (self.cursor, body.rewound, sent) {
            (None, true, Some(_)) => cursor.seq == ArrivalSeq(0),
            (None, false, Some(sent)) => cursor == sent,
            (None, false, None) => true,
            (Some(before), false, _) => cursor.seq >= before.seq,
            (Some(_), true, _) | (None, true, None) => false,
        };
        if expected {
            Ok(())
        } else {
            Err(self.wrong("a cursor that nobody asked for"))
        }
    }

    pub(super) fn pushed(&mut self, body: &Push) -> Result<(), SessionError> {
        let cursor = self
            .cursor
            .ok_or_else(|| self.wrong("before it answered a subscribe"))?;
        if (body.cursor.log, body.cursor.log_epoch) != (cursor.log, cursor.log_epoch) {
            return Err(self.wrong("a cursor of another log"));
        }
        if !self.window.is_open() {
            return Err(self.wrong("more than the window"));
        }
        let first = body
            .entries
            .first()
            .map_or(ArrivalSeq(0), |entry| entry.arrival);
        match body.backfill {
            None => {
                if first <= cursor.seq {
                    return Err(self.wrong("entries that had passed"));
                }
                let merged = |timeline| self.places.get(&timeline) == Some(&Place::Merged);
                if !body
                    .entries
                    .iter()
                    .all(|entry| merged(entry.envelope.timeline()))
                {
                    return Err(self.wrong("a timeline that is not in this stream"));
                }
                self.cursor = Some(body.cursor);
            }
            Some(timeline) => {
                let Some(Place::Backfill { after }) = self.places.get(&timeline).copied() else {
                    return Err(self.wrong("a backfill that nobody asked for"));
                };
                // A position of a past that the log lost begins at 0 again.
                if first <= after && after <= cursor.seq {
                    return Err(self.wrong("entries that had passed"));
                }
                self.places.insert(
                    timeline,
                    Place::Backfill {
                        after: body.cursor.seq,
                    },
                );
            }
        }
        self.window
            .pushed(body.backfill, body.cursor.seq, &body.entries);
        Ok(())
    }

    pub(super) fn caught_up(&mut self, body: CaughtUp) -> Result<(), SessionError> {
        let before = self
            .cursor
            .ok_or_else(|| self.wrong("before it answered a subscribe"))?;
        let same_log = (before.log, before.log_epoch) == (body.cursor.log, body.cursor.log_epoch);
        if !same_log || body.cursor.seq < before.seq {
            return Err(self.wrong("a cursor that goes back"));
        }
        self.cursor = Some(body.cursor);
        Ok(())
    }

    pub(super) fn backfill_done(&mut self, body: BackfillDone) -> Result<(), SessionError> {
        match self.places.get_mut(&body.timeline) {
            Some(place @ Place::Backfill { .. }) => {
                *place = Place::Merged;
                Ok(())
            }
            Some(Place::Merged) | None => Err(self.wrong("the end of no backfill")),
        }
    }

    /// Takes the end of a subscription; gives the backfill position of a timeline that was merged.
    pub(super) fn ended(
        &mut self,
        body: SubscriptionEnded,
    ) -> Result<Option<ArrivalSeq>, SessionError> {
        match self.places.remove(&body.timeline) {
            Some(Place::Merged) => Ok(self.cursor.map(|cursor| cursor.seq)),
            Some(Place::Backfill { .. }) => Ok(None),
            None => Err(self.wrong("the end of no subscription")),
        }
    }

    /// True if the relay should be told: room was made.
    pub(super) fn pulled(&mut self, backfill: Option<TimelineId>, cursor: ArrivalSeq) -> bool {
        self.window.pulled(backfill, cursor)
    }

    const fn wrong(&self, what: &'static str) -> SessionError {
        SessionError::UnexpectedPush {
            class: self.class,
            what,
        }
    }
}
