//! A relay that is away, or takes nothing, while another one of the timeline goes on.
//!
//! Up to a limit the outbox keeps a row for each envelope that such a relay lacks. Beyond it
//! the rows that another relay has signed for go, and a cursor remembers instead from where
//! on one's own chain is to be offered ([`super::portions`]): a dead relay takes no place.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::{AuthorKey, RelayKey, Seq, TimelineId};
use khlong_store::tables::outbox;
use khlong_sync::limits::APPEND_ENVELOPES_MAX;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::batch::{INPUT_BYTES_MAX, ROW_BYTES_MAX};
use crate::peer::outbox::{Place, Waiting};
use crate::peer::reoffers::{At, Reoffer};

/// Rows of one timeline that wait for one relay only, others having signed.
const BEHIND_ROWS_MAX: usize = 256;
/// Rows that go in one step; the next answer of another relay takes the next step.
const STEP_ROWS_MAX: usize = 1_024;
const _: () = assert!(BEHIND_ROWS_MAX < STEP_ROWS_MAX);
// With the receipts of the answer, and the cursors of each timeline's relays.
const _: () =
    assert!((STEP_ROWS_MAX + 8 * APPEND_ENVELOPES_MAX) * ROW_BYTES_MAX <= INPUT_BYTES_MAX);

/// A row that waits for one relay only, others having signed.
type Behind = (Place, AuthorKey, Seq);

impl Peer {
    /// After an answer: for each relay of the timeline that lacks too much.
    /// All timelines of an answer share the rows of one step.
    pub(super) fn let_fall_behind(
        &mut self,
        timelines: &BTreeSet<TimelineId>,
    ) -> Result<(), NodeError> {
        let mut left = STEP_ROWS_MAX;
        for timeline in timelines {
            left -= self.let_rows_go(*timeline, left)?;
        }
        Ok(())
    }

    /// Takes at most `left` rows out of the outbox; returns how many.
    fn let_rows_go(&mut self, timeline: TimelineId, left: usize) -> Result<usize, NodeError> {
        let carriers = self.book.carriers_of(timeline);
        if carriers.len() < 2 || !self.book.follows(timeline) {
            return Ok(0);
        }
        // All cursors first: a row goes when no relay waits for it but such as have one.
        let (mut begun, mut rows) = (BTreeMap::new(), BTreeMap::new());
        for relay in &carriers {
            let waiting = self.outbox.of(timeline);
            let behind = waiting.filter(|it| it.is_stored() && it.is_for(*relay));
            let behind: Vec<Behind> = behind
                .take(STEP_ROWS_MAX)
                .map(|it| (it.place(), it.author, it.seq))
                .collect();
            if behind.len() > BEHIND_ROWS_MAX
                && let Some(cursor) = self.fall_behind(*relay, timeline, &behind)?
            {
                begun.insert(*relay, cursor);
                rows.extend(behind.into_iter().map(|row| (row.0, (row.1, row.2))));
            }
        }
        let mut gone = 0;
        for (place, (author, seq)) in rows {
            if gone >= left {
                break;
            }
            let has_cursor = |relay| {
                begun
                    .get(relay)
                    .is_some_and(|it| !it.has_passed(author, seq))
            };
            let wants = |it: &Waiting| {
                let mut relays = carriers.iter();
                relays.any(|relay| it.is_for(*relay) && !has_cursor(relay))
            };
            if self.outbox.get(place).is_none_or(wants) {
                continue;
            }
            self.outbox.remove(place);
            self.with_batch(|batch| outbox::remove(batch, &timeline, place.n))?;
            gone += 1;
        }
        Ok(gone)
    }

    /// Begins the cursor of a relay before the first of these, or makes it longer.
    fn fall_behind(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        behind: &[Behind],
    ) -> Result<Option<Reoffer>, NodeError> {
        let begun = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))?;
        let lowest = behind.iter().map(|(_, author, seq)| (*author, *seq)).min();
        let (Some(begun), Some((author, seq))) = (begun, lowest) else {
            return Ok(None);
        };
        let before = At::Own {
            author,
            seq: Seq(seq.0.saturating_sub(1)),
        };
        let knows_me = self.outbox.introduction(timeline, relay).next().is_none();
        let cursor = match self.reoffers.get(relay, timeline).copied() {
            Some(known) => Reoffer {
                ends: begun.ends,
                at: known.at.earlier(before),
                resume: known.resume.map(|at| at.earlier(before)),
                ..known
            },
            None if !knows_me => begun,
            None => Reoffer {
                at: before,
                ..begun
            },
        };
        self.set_reoffer(relay, timeline, cursor)?;
        Ok(Some(cursor))
    }

    /// Envelopes of one's own in the outbox that this relay is still to be offered, and those
    /// that it lacks and is not offered any more.
    pub(in crate::peer) fn lacking(&self, relay: RelayKey) -> (u64, u64) {
        let carried = self.book.carried_by(relay);
        let waiting = carried
            .iter()
            .flat_map(|timeline| self.outbox.of(*timeline));
        let missing = waiting.filter(|it| it.is_missing_at(relay));
        missing.fold((0, 0), |(lacking, refused), it| {
            if it.is_for(relay) {
                (lacking + 1, refused)
            } else {
                (lacking, refused + 1)
            }
        })
    }
}
