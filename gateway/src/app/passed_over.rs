//! Whether another gateway on the same journal is the one that works. The time is an argument.
//!
//! Nobody tells whether another one is there: what shows is that it appends. So the one that was
//! passed over keeps back for a while after each such sight, and no longer, or nobody would be
//! ready when the other one has died.

use khlong_crdt::time::Monotonic;

use super::limits::FOLLOWER_WAITS;
use super::pauses::after;

/// What was seen of the others.
#[derive(Debug, Default)]
pub(super) struct PassedOver {
    /// When another gateway was last seen to append, and not this one since.
    since: Option<Monotonic>,
}

impl PassedOver {
    /// Entries of another gateway were applied.
    pub(super) fn others_appended(&mut self, now: Monotonic) {
        self.since = Some(now);
    }

    /// This one appended.
    pub(super) fn appended(&mut self) {
        self.since = None;
    }

    /// For [`FOLLOWER_WAITS`] after the last sight, unless this one has appended since.
    pub(super) fn is_passed_over(&self, now: Monotonic) -> bool {
        self.since
            .is_some_and(|since| now < after(since, FOLLOWER_WAITS))
    }
}
