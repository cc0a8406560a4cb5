//! The serving side of one class: one ordered stream over all merged timelines, and the backfills beside it.
//!
//! No gap and no duplicate, by construction: the stream always reads on from
//! what it pushed last, and only up to the *horizon*, the last arrival of which
//! the owner told the session. A timeline that is not merged is in no stream: its
//! backfill reads on from its own position until it meets the horizon, and there
//! it is merged. Work is done only where something arrived: for each merged
//! timeline its first unpushed arrival is known, or known not to exist.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::admission::Rights;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, TimelineId};

use super::error::SessionError;
use super::output::Outbox;
use super::view::View;
use super::window::Window;
use crate::limits::{PUSH_BYTES_MAX, PUSH_ENTRIES_MAX};
use crate::replica::{Arrival, Replica, TransferTotals};
use crate::wire::code::ErrorCode;
use crate::wire::frame::{
    BackfillDone, Behind, CaughtUp, Frame, Push, Subscribed, SubscriptionEnded, Totals,
};

/// A timeline that enters a stream.
pub(super) struct Entrance {
    pub(super) timeline: TimelineId,
    /// `None`: merged at the cursor.
    pub(super) backfill: Option<ArrivalSeq>,
}

/// One class of one connection.
#[derive(Debug)]
pub(super) struct ClassStream {
    class: Class,
    started: bool,
    /// Merged timelines: everything up to here was pushed or is waiting.
    horizon: ArrivalSeq,
    /// The cursor that the client was told last.
    announced: ArrivalSeq,
    places: BTreeMap<TimelineId, Place>,
    /// The first unpushed arrival of each merged timeline that has one.
    waiting: BTreeMap<ArrivalSeq, TimelineId>,
    backfilling: BTreeSet<TimelineId>,
    /// Backfills take turns.
    served_last: Option<TimelineId>,
    window: Window,
    told_behind: bool,
    owes_caught_up: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Merged { waits: bool },
    Backfill { after: ArrivalSeq, announced: bool },
}

impl ClassStream {
    pub(super) fn new(class: Class) -> Self {
        Self {
            class,
            started: false,
            horizon: ArrivalSeq(0),
            announced: ArrivalSeq(0),
            places: BTreeMap::new(),
            waiting: BTreeMap::new(),
            backfilling: BTreeSet::new(),
            served_last: None,
            window: Window::new(),
            told_behind: false,
            owes_caught_up: false,
        }
    }

    pub(super) const fn class(&self) -> Class {
        self.class
    }

    pub(super) const fn is_started(&self) -> bool {
        self.started
    }

    /// Answers a subscribe and lets the timelines in. `cursor` counts for the first one only.
    pub(super) fn subscribe(
        &mut self,
        request: u64,
        cursor: Option<Cursor>,
        entrances: &[Entrance],
        refused: &[(TimelineId, ErrorCode)],
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let class = self.class;
        let fresh = !self.started && cursor.is_none();
        let rewound = if self.started {
            self.refresh(replica)?;
            false
        } else {
            self.start(cursor, replica)?
        };
        let cursor = self.cursor_at(self.announced, replica)?;
        let refused = refused.to_vec();
        outbox.send(Frame::Subscribed(Subscribed {
            request,
            class,
            cursor,
            rewound,
            refused,
        }));
        let mut totals = TransferTotals::default();
        for entrance in entrances {
            // Positions mean something beside a cursor of their log only.
            let after = if fresh {
                ArrivalSeq(0)
            } else {
                entrance.backfill.unwrap_or_default()
            };
            if entrance.backfill.is_some() && !rewound {
                self.enter_backfill(entrance.timeline, after);
            } else {
                // Mutant: live from the head on, and what lies before it was not scanned.
                #[cfg(khlong_mutant = "backfill")]
                self.merge_at(entrance.timeline, self.horizon, replica)?;
                #[cfg(not(khlong_mutant = "backfill"))]
                self.merge_at(entrance.timeline, self.announced, replica)?;
                if replica.timeline_head(entrance.timeline, class)? > self.announced {
                    let more = replica.totals(entrance.timeline, class, self.announced)?;
                    totals.envelopes += more.envelopes;
                    totals.bytes += more.bytes;
                }
            }
        }
        if totals.envelopes > 0 {
            outbox.send(Frame::Totals(Totals {
                class,
                backfill: None,
                totals,
            }));
        }
        self.owes_caught_up = true;
        Ok(())
    }

    /// True if the cursor is not of this log, so that the class begins anew.
    fn start(
        &mut self,
        cursor: Option<Cursor>,
        replica: &dyn Replica,
    ) -> Result<bool, SessionError> {
        let head = replica.head(self.class)?;
        self.started = true;
        self.horizon = head.seq;
        let Some(cursor) = cursor else {
            self.announced = head.seq;
            return Ok(false);
        };
        let known = if cursor.seq > head.seq {
            None
        } else {
            replica.cursor_at(self.class, cursor.seq)?
        };
        let holds = known == Some(cursor);
        self.announced = if holds { cursor.seq } else { ArrivalSeq(0) };
        Ok(!holds)
    }

    /// Raises the horizon to the head, so that what enters now is served up to now. What the merged
    /// timelines have there is found by asking: the owner may not have told yet.
    fn refresh(&mut self, replica: &dyn Replica) -> Result<(), SessionError> {
        let head = replica.head(self.class)?.seq;
        if head <= self.horizon {
            return Ok(());
        }
        let quiet = self
            .places
            .iter()
            .filter_map(|(timeline, place)| match place {
                Place::Merged { waits: false } => Some(*timeline),
                Place::Merged { waits: true } | Place::Backfill { .. } => None,
            });
        for timeline in quiet.collect::<Vec<_>>() {
            if replica.timeline_head(timeline, self.class)? > self.horizon {
                self.merge_at(timeline, self.horizon, replica)?;
            }
        }
        self.horizon = head;
        Ok(())
    }

    fn enter_backfill(&mut self, timeline: TimelineId, after: ArrivalSeq) {
        // A position beyond the log is of a past that was lost.
        let after = if after > self.horizon {
            ArrivalSeq(0)
        } else {
            after
        };
        self.places.insert(
            timeline,
            Place::Backfill {
                after,
                announced: false,
            },
        );
        self.backfilling.insert(timeline);
    }

    fn merge_at(
        &mut self,
        timeline: TimelineId,
        at: ArrivalSeq,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let next = replica.next_arrival(timeline, self.class, at)?;
        self.places.insert(
            timeline,
            Place::Merged {
                waits: next.is_some(),
            },
        );
        if let Some(next) = next {
            self.waiting.insert(next, timeline);
        }
        Ok(())
    }

    /// Takes a timeline out; `code` says why, `None` means as asked.
    pub(super) fn leave(
        &mut self,
        timeline: TimelineId,
        code: Option<ErrorCode>,
        outbox: &mut Outbox,
    ) {
        if self.places.remove(&timeline).is_none() {
            return;
        }
        self.backfilling.remove(&timeline);
        self.waiting.retain(|_, waiting| *waiting != timeline);
        let ended = SubscriptionEnded {
            timeline,
            class: self.class,
            code,
        };
        outbox.send(Frame::SubscriptionEnded(ended));
    }

    /// New arrivals, in order. Those of an idle stream go out without reading anything.
    pub(super) fn advanced(
        &mut self,
        arrivals: &[Arrival],
        view: View<'_>,
        ended: &mut Vec<(TimelineId, ErrorCode)>,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        if !self.started {
            return Ok(());
        }
        let class = self.class;
        let of_class = arrivals
            .iter()
            .filter(|arrival| arrival.envelope.class() == class);
        let known = self.horizon;
        let news = of_class.filter(|arrival| arrival.arrival > known);
        let mut live = Vec::new();
        let mut live_bytes = 0;
        let mut horizon = self.horizon;
        let mut direct = self.waiting.is_empty() && self.window.is_open();
        for news in news {
            horizon = news.arrival;
            let timeline = news.envelope.timeline();
            let Some(Place::Merged { waits }) = self.places.get_mut(&timeline) else {
                continue;
            };
            let fits = live.len() < PUSH_ENTRIES_MAX && live_bytes < PUSH_BYTES_MAX;
            direct = direct && fits;
            if !direct {
                if !*waits {
                    *waits = true;
                    self.waiting.insert(news.arrival, timeline);
                }
            } else if let Some(code) = view.refuses(timeline, Rights::READ)? {
                self.leave(timeline, Some(code), outbox);
                ended.push((timeline, code));
            } else {
                live_bytes += news.envelope.bytes().len();
                live.push(news.clone());
            }
        }
        self.horizon = horizon;
        if !live.is_empty() {
            self.push(None, live, view.replica, outbox)?;
        }
        self.pump(view, ended, outbox)
    }

    /// "Durable up to here": makes room and goes on. False if it freed nothing.
    pub(super) fn pulled(&mut self, backfill: Option<TimelineId>, cursor: ArrivalSeq) -> bool {
        self.window.pulled(backfill, cursor)
    }

    /// Pushes what there is and what the window allows; first the stream, then the backfills in turn.
    pub(super) fn pump(
        &mut self,
        view: View<'_>,
        ended: &mut Vec<(TimelineId, ErrorCode)>,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        if !self.started {
            return Ok(());
        }
        while self.first_waiting().is_some() {
            if !self.window.is_open() {
                return self.say_behind(view.replica, outbox);
            }
            let entries = self.gather(view, ended, outbox)?;
            if !entries.is_empty() {
                self.push(None, entries, view.replica, outbox)?;
            }
        }
        if self.owes_caught_up {
            self.say_caught_up(view.replica, outbox)?;
        }
        while let Some(timeline) = self.next_backfill() {
            if !self.window.is_open() {
                return self.say_behind(view.replica, outbox);
            }
            if let Some(code) = view.refuses(timeline, Rights::READ)? {
                self.leave(timeline, Some(code), outbox);
                ended.push((timeline, code));
            } else {
                self.backfill(timeline, view.replica, outbox)?;
            }
        }
        if self.told_behind {
            self.say_caught_up(view.replica, outbox)?;
        }
        Ok(())
    }

    /// The first arrival that waits, if the session may know of it already.
    fn first_waiting(&self) -> Option<(ArrivalSeq, TimelineId)> {
        let (&first, &timeline) = self.waiting.first_key_value()?;
        (first <= self.horizon).then_some((first, timeline))
    }

    /// One push out of the timelines that wait, in the order of arrival.
    fn gather(
        &mut self,
        view: View<'_>,
        ended: &mut Vec<(TimelineId, ErrorCode)>,
        outbox: &mut Outbox,
    ) -> Result<Vec<Arrival>, SessionError> {
        let mut entries: Vec<Arrival> = Vec::new();
        let mut bytes = 0;
        while let Some((first, timeline)) = self.first_waiting() {
            if entries.len() >= PUSH_ENTRIES_MAX || bytes >= PUSH_BYTES_MAX {
                break;
            }
            if let Some(code) = view.refuses(timeline, Rights::READ)? {
                if entries.is_empty() {
                    self.leave(timeline, Some(code), outbox);
                    ended.push((timeline, code));
                    continue;
                }
                // What was gathered leaves first: the end of a subscription has its place in the stream.
                break;
            }
            self.waiting.remove(&first);
            // Alone up to where the next timeline waits.
            let other = self.waiting.keys().next().map(|seq| ArrivalSeq(seq.0 - 1));
            let up_to = other.unwrap_or(self.horizon).min(self.horizon);
            let (room, room_bytes) = (PUSH_ENTRIES_MAX - entries.len(), PUSH_BYTES_MAX - bytes);
            let after = ArrivalSeq(first.0 - 1);
            let run = view
                .replica
                .entries(timeline, self.class, after, up_to, room, room_bytes)?;
            let last = run.last().map_or(up_to, |entry| entry.arrival);
            bytes += run
                .iter()
                .map(|entry| entry.envelope.bytes().len())
                .sum::<usize>();
            entries.extend(run);
            self.merge_at(timeline, last, view.replica)?;
        }
        Ok(entries)
    }

    fn push(
        &mut self,
        backfill: Option<TimelineId>,
        entries: Vec<Arrival>,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let up_to = entries.last().map_or(self.announced, |entry| entry.arrival);
        let cursor = self.cursor_at(up_to, replica)?;
        self.window.pushed(backfill, up_to, &entries);
        if backfill.is_none() {
            self.announced = up_to;
        }
        outbox.send(Frame::Push(Push {
            class: self.class,
            backfill,
            entries,
            cursor,
        }));
        Ok(())
    }

    fn next_backfill(&self) -> Option<TimelineId> {
        let after = self.served_last.and_then(|last| {
            let bounds = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            self.backfilling.range(bounds).next()
        });
        after.or_else(|| self.backfilling.first()).copied()
    }

    /// One push of a backfill, and its end where it meets the horizon.
    fn backfill(
        &mut self,
        timeline: TimelineId,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        self.served_last = Some(timeline);
        let class = self.class;
        let Some(Place::Backfill { after, announced }) = self.places.get(&timeline).copied() else {
            self.backfilling.remove(&timeline);
            return Ok(());
        };
        if !announced {
            let totals = replica.totals(timeline, class, after)?;
            if totals.envelopes > 0 {
                outbox.send(Frame::Totals(Totals {
                    class,
                    backfill: Some(timeline),
                    totals,
                }));
            }
        }
        let entries = replica.entries(
            timeline,
            class,
            after,
            self.horizon,
            PUSH_ENTRIES_MAX,
            PUSH_BYTES_MAX,
        )?;
        let after = entries.last().map_or(after, |entry| entry.arrival);
        self.places.insert(
            timeline,
            Place::Backfill {
                after,
                announced: true,
            },
        );
        if !entries.is_empty() {
            self.push(Some(timeline), entries, replica, outbox)?;
        }
        let next = replica.next_arrival(timeline, class, after)?;
        if next.is_some_and(|next| next <= self.horizon) {
            return Ok(());
        }
        // The client's cursor must not lie before what the backfill brought, or it would get it twice.
        if self.announced < self.horizon {
            self.say_caught_up(replica, outbox)?;
        }
        self.backfilling.remove(&timeline);
        self.merge_at(timeline, self.horizon, replica)?;
        outbox.send(Frame::BackfillDone(BackfillDone { timeline, class }));
        Ok(())
    }

    fn say_behind(
        &mut self,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        if !self.told_behind {
            self.told_behind = true;
            let cursor = replica.head(self.class)?;
            outbox.send(Frame::Behind(Behind {
                class: self.class,
                cursor,
            }));
        }
        Ok(())
    }

    fn say_caught_up(
        &mut self,
        replica: &dyn Replica,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let cursor = self.cursor_at(self.horizon, replica)?;
        self.announced = self.horizon;
        self.owes_caught_up = false;
        self.told_behind = false;
        outbox.send(Frame::CaughtUp(CaughtUp {
            class: self.class,
            cursor,
        }));
        Ok(())
    }

    fn cursor_at(&self, seq: ArrivalSeq, replica: &dyn Replica) -> Result<Cursor, SessionError> {
        let head = replica.head(self.class)?;
        if head.seq == seq {
            return Ok(head);
        }
        let cursor = replica.cursor_at(self.class, seq)?;
        cursor.ok_or(SessionError::Misuse {
            what: "the replica lost a place that it had",
        })
    }
}
