//! When a relay that is taken away is full, and not only busy with its disk: what it refused
//! for want of room, and when. The rule is that of `crdt/document/DOCUMENT.md` §5.
//!
//! It lies in the node's folder, so that a command goes on where the one before it was. So it
//! counts by the clock on the wall, and a clock that is set begins anew.

use khlong_crdt::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::pauses::PAUSE_MAX_MS;

/// A relay that has had no room for so long is full, in milliseconds.
const FULL_AFTER_MS: i64 = 5_000;
/// Longest time between two refusals that say so together, in milliseconds: a quarter of an
/// hour. What nobody asked for longer may have been otherwise meanwhile.
const APART_MS_MAX: i64 = 15 * 60 * 1_000;
const _: () = assert!(
    APART_MS_MAX as u64 >= 2 * PAUSE_MAX_MS && FULL_AFTER_MS < APART_MS_MAX,
    "a node that stays online asks twice within it"
);

/// Refusals for want of room, none long after the one before, and nothing taken between them.
/// Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NoRoom {
    /// The first.
    since_ms: i64,
    /// The last.
    last_ms: i64,
}

impl NoRoom {
    /// One more refusal, behind those that are known.
    pub(crate) fn noted(known: Option<Self>, now: UnixMillis) -> Self {
        let goes_on = known.filter(|known| {
            let apart = now.0.saturating_sub(known.last_ms);
            (0..=APART_MS_MAX).contains(&apart)
        });
        Self {
            since_ms: goes_on.map_or(now.0, |known| known.since_ms),
            last_ms: now.0,
        }
    }

    /// Whether they are of a relay that is full.
    pub(crate) const fn is_full(self) -> bool {
        self.last_ms.saturating_sub(self.since_ms) >= FULL_AFTER_MS
    }
}
