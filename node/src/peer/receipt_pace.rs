//! How often receipts are written: the first one at once, in a busy timeline one for many
//! messages. Each receipt goes to every member, so one for each message would make the
//! traffic of a group grow with the square of its members.

use std::collections::BTreeMap;

use khlong_crdt::id::TimelineId;
use khlong_crdt::time::Monotonic;

/// Between two receipts in one timeline.
const RECEIPT_PAUSE_MS: u64 = 250;

/// Timelines in which a receipt was just written.
#[derive(Debug, Default)]
pub(super) struct ReceiptPace(BTreeMap<TimelineId, Pause>);

#[derive(Debug)]
struct Pause {
    until: Monotonic,
    /// Whether something is owed meanwhile.
    is_owed: bool,
}

impl ReceiptPace {
    /// Whether an owed receipt has to wait; if not, the next one has to.
    pub(super) fn puts_off(&mut self, timeline: TimelineId, now: Monotonic) -> bool {
        if let Some(pause) = self.0.get_mut(&timeline)
            && pause.until > now
        {
            pause.is_owed = true;
            return true;
        }
        let pause = Pause {
            until: now.after_ms(RECEIPT_PAUSE_MS),
            is_owed: false,
        };
        self.0.insert(timeline, pause);
        false
    }

    /// Ends the pauses that are over, and says where something is owed.
    pub(super) fn take_due(&mut self, now: Monotonic) -> Vec<TimelineId> {
        let over = self.0.extract_if(.., |_, pause| pause.until <= now);
        over.filter(|(_, pause)| pause.is_owed)
            .map(|(timeline, _)| timeline)
            .collect()
    }

    /// When [`Self::take_due`] has something.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        let owed = self.0.values().filter(|pause| pause.is_owed);
        owed.map(|pause| pause.until).min()
    }
}
