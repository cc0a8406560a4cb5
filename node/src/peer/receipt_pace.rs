//! How often receipts are written: the first one at once, in a busy timeline one for many
//! messages. Each receipt goes to every member, so one for each message would make the
//! traffic of a group grow with the square of its members.

use std::collections::BTreeMap;

use khlong_crdt::id::TimelineId;
use khlong_crdt::time::Monotonic;

/// Between two receipts in one timeline.
const RECEIPT_PAUSE_MS: u64 = 250;

/// One entry a timeline in both.
#[derive(Debug, Default)]
pub(super) struct ReceiptPace {
    /// Until when nothing more is told.
    paused: BTreeMap<TimelineId, Monotonic>,
    /// Where something is owed meanwhile.
    waiting: BTreeMap<TimelineId, Monotonic>,
}

impl ReceiptPace {
    /// Whether an owed receipt has to wait; if not, the next one has to.
    pub(super) fn puts_off(&mut self, timeline: TimelineId, now: Monotonic) -> bool {
        match self.paused.get(&timeline) {
            Some(until) if *until > now => {
                self.waiting.insert(timeline, *until);
                true
            }
            Some(_) | None => {
                self.paused.insert(timeline, now.after_ms(RECEIPT_PAUSE_MS));
                false
            }
        }
    }

    /// Timelines whose pause is over and where something is owed.
    pub(super) fn take_due(&mut self, now: Monotonic) -> Vec<TimelineId> {
        let due = self.waiting.iter().filter(|(_, until)| **until <= now);
        let due: Vec<TimelineId> = due.map(|(timeline, _)| *timeline).collect();
        for timeline in &due {
            self.waiting.remove(timeline);
        }
        due
    }

    /// When [`Self::take_due`] has something.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.waiting.values().min().copied()
    }
}
