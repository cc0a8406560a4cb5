//! What this node follows at a relay, and how far it is there.

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_store::tables::cursors;
use khlong_sync::replica::Arrival;
use khlong_sync::session::input::Input;
use khlong_sync::wire::frame::TimelineSubscription;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::{Link, Live};
use crate::peer::outbox::Waiting;
use crate::peer::reoffers::Reoffer;

impl Peer {
    /// Timelines that were left, or moved away, while they were shown here.
    pub(super) fn unsubscriptions(&mut self, relay: RelayKey) -> Vec<Input> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Vec::new();
        };
        let left: Vec<TimelineId> = live
            .subscribed
            .iter()
            .copied()
            .filter(|timeline| {
                !self.book.follows(*timeline) || !self.book.carriers_of(*timeline).contains(&relay)
            })
            .collect();
        for timeline in &left {
            live.subscribed.remove(timeline);
            live.not_shown.remove(timeline);
            live.asked_last.remove(timeline);
            live.backfilling.retain(|(of, _)| of != timeline);
        }
        left.into_iter()
            .map(|timeline| Input::Unsubscribe { timeline })
            .collect()
    }

    /// Asks for whatever of `carried` is followed and was not asked for on this connection.
    pub(super) fn missing_subscription(
        &mut self,
        relay: RelayKey,
        carried: &[TimelineId],
    ) -> Result<Option<Input>, NodeError> {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return Ok(None);
        };
        let missing: Vec<TimelineId> = carried
            .iter()
            .copied()
            .filter(|timeline| self.book.follows(*timeline))
            .filter(|timeline| !live.subscribed.contains(timeline))
            .collect();
        let introduction = |timeline: &TimelineId| self.outbox.introduction(*timeline, relay);
        // Of the same kind: keys and permissions that it is offered again.
        let reoffer = |timeline: &TimelineId| self.reoffers.get(relay, *timeline);
        let is_unknown = |timeline: &TimelineId| {
            reoffer(timeline).is_some_and(Reoffer::is_in_control)
                || introduction(timeline).next().is_some()
        };
        let is_held_up = |timeline: &TimelineId| {
            reoffer(timeline).is_some_and(|reoffer| reoffer.held_up.is_some())
                || introduction(timeline).any(Waiting::is_held_up)
        };
        // A timeline that the relay does not let in yet is nothing to wait for.
        let lacks_subscription = missing.iter().any(|timeline| !is_held_up(timeline));
        // Before a relay knows the author it would refuse to show the timeline.
        let wanted: Vec<TimelineId> = missing
            .iter()
            .copied()
            .filter(|timeline| !is_unknown(timeline))
            .collect();
        let mut input = None;
        if !wanted.is_empty() {
            let is_first = !std::mem::replace(&mut live.has_subscribed, true);
            live.subscribed.extend(&wanted);
            live.not_shown.retain(|timeline| !wanted.contains(timeline));
            if is_first {
                live.caught_up = [false; 4];
            }
            let request = live.request();
            let (subscribe, backfilling) = self.subscription(relay, request, &wanted, is_first)?;
            if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
                live.backfilling.extend(backfilling);
            }
            input = Some(subscribe);
        }
        self.progress(relay, |live| live.lacks_subscription = lacks_subscription);
        Ok(input)
    }

    /// Asks for `wanted` from where this node stands, and says which histories are on their way.
    ///
    /// Only the first subscription of a connection carries cursors: the stream
    /// of a class has one position. A timeline that is asked for later brings a
    /// place of its own for every class, until it has caught up with the stream.
    fn subscription(
        &mut self,
        relay: RelayKey,
        request: u64,
        wanted: &[TimelineId],
        is_first: bool,
    ) -> Result<(Input, Vec<(TimelineId, Class)>), NodeError> {
        let followed = self.book.carried_by(relay).into_iter();
        let left_out: Vec<TimelineId> = followed
            .filter(|timeline| self.book.follows(*timeline) && !wanted.contains(timeline))
            .collect();
        let (at, backfills) = self.with_batch(|batch| {
            let mut at = Vec::new();
            for class in Class::ALL {
                at.extend(cursors::get(batch, &relay, class)?.map(|cursor| (class, cursor)));
            }
            let backfills = cursors::backfills(batch, &relay)?;
            // The cursors will pass what is left out now: note where it stands.
            for timeline in left_out.iter().filter(|_| is_first) {
                for class in Class::ALL {
                    let has_place = backfills
                        .iter()
                        .any(|(of, at, _)| of == timeline && *at == class);
                    if !has_place {
                        let cursor = at.iter().find(|(of, _)| *of == class);
                        let upto = cursor.map_or(ArrivalSeq(0), |(_, cursor)| cursor.seq);
                        cursors::put_backfill(batch, &relay, timeline, class, upto)?;
                    }
                }
            }
            Ok((at, backfills))
        })?;
        let place = |timeline: TimelineId, class: Class| {
            let known = backfills
                .iter()
                .find(|(of, at, _)| *of == timeline && *at == class);
            match (known, is_first) {
                (Some((_, _, upto)), _) => Some(*upto),
                (None, true) => None,
                // No place is known: all of it again, since what is here already adds nothing.
                (None, false) => Some(ArrivalSeq(0)),
            }
        };
        let mut backfilling = Vec::new();
        let mut timelines = Vec::new();
        for timeline in wanted {
            let backfill: Vec<(Class, ArrivalSeq)> = Class::ALL
                .into_iter()
                .filter_map(|class| Some((class, place(*timeline, class)?)))
                .collect();
            backfilling.extend(backfill.iter().map(|(class, _)| (*timeline, *class)));
            timelines.push(TimelineSubscription {
                timeline: *timeline,
                backfill,
            });
        }
        let cursors = if is_first { at } else { Vec::new() };
        Ok((
            Input::Subscribe {
                request,
                cursors,
                timelines,
                wake_up: None,
            },
            backfilling,
        ))
    }

    /// Where the relay says that this node stands, in one batch: the class, and
    /// each timeline whose history comes apart from it.
    pub(super) fn subscribed(
        &mut self,
        relay: RelayKey,
        class: Class,
        cursor: Cursor,
        positions: Vec<(TimelineId, Option<ArrivalSeq>)>,
    ) -> Result<(), NodeError> {
        self.with_batch(|batch| {
            cursors::put(batch, &relay, class, &cursor)?;
            positions
                .iter()
                .try_for_each(|(timeline, position)| match position {
                    Some(upto) => cursors::put_backfill(batch, &relay, timeline, class, *upto),
                    None => cursors::remove_backfill(batch, &relay, timeline, class),
                })
        })?;
        for (timeline, position) in positions {
            if position.is_none() {
                self.merged(relay, timeline, class);
            } else {
                self.progress(relay, |live| {
                    live.backfilling.insert((timeline, class));
                });
            }
        }
        Ok(())
    }

    pub(super) fn pushed(
        &mut self,
        now: Now,
        relay: RelayKey,
        (class, backfill): (Class, Option<TimelineId>),
        entries: &[Arrival],
        cursor: Cursor,
    ) -> Result<Vec<Input>, NodeError> {
        // Mutant: the cursor is on the disk before what it passes.
        #[cfg(khlong_mutant = "cursor")]
        if backfill.is_none() {
            let mut apart = self.store.batch();
            cursors::put(&mut apart, &relay, class, &cursor).map_err(NodeError::Store)?;
            let writes = apart.into_writes();
            let synced = khlong_store::engine::Durability::Synced;
            self.store
                .commit(writes, synced)
                .map_err(NodeError::Store)?;
        }
        for entry in entries {
            let new = self.receive(&entry.envelope, entry.received_at)?;
            if let Some(link) = self.links.get_mut(&relay).filter(|_| new.is_some()) {
                link.note_useful();
            }
            if class == Class::Control {
                self.control_arrived(now, relay, &entry.envelope, new)?;
            }
        }
        // In the same batch as what it passes: a crash in between loses neither.
        self.with_batch(|batch| match backfill {
            None => cursors::put(batch, &relay, class, &cursor),
            Some(timeline) => cursors::put_backfill(batch, &relay, &timeline, class, cursor.seq),
        })?;
        Ok(vec![Input::Pulled {
            class,
            backfill,
            cursor: cursor.seq,
        }])
    }

    pub(super) fn set_caught_up(&mut self, relay: RelayKey, class: Class, done: bool) {
        self.progress(relay, |live| {
            if let Some(slot) = live.caught_up.get_mut(class as usize) {
                *slot = done;
            }
        });
    }

    pub(super) fn merged(&mut self, relay: RelayKey, timeline: TimelineId, class: Class) {
        self.progress(relay, |live| {
            live.backfilling.remove(&(timeline, class));
        });
    }

    /// What is not shown is nothing to wait for, and not read either.
    pub(super) fn not_shown(&mut self, relay: RelayKey, timeline: TimelineId, class: Class) {
        if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
            live.not_shown.insert(timeline);
        }
        self.merged(relay, timeline, class);
    }

    /// Notes progress, and tells whoever watches when nothing is missing any more.
    fn progress(&mut self, relay: RelayKey, note: impl FnOnce(&mut Live)) {
        let Some(live) = self.links.get_mut(&relay).and_then(Link::live) else {
            return;
        };
        let before = live.is_caught_up();
        note(live);
        if !before && live.is_caught_up() {
            self.tell_relay(relay);
        }
    }
}
