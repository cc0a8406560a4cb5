//! What date it is when something may expire.
//!
//! Expiry is by the relay's own wall clock at both ends: the receipt date that it
//! gave, and the date now. Nobody else's clock has a say. A clock that goes back only
//! delays. A clock that leaps forward is not believed at once: what it would drop
//! cannot be brought back, and most leaps are mistakes that somebody corrects. Until
//! it has stood for [`LEAP_BELIEVED_AFTER_MS`], the date goes on as if there had been no leap.
//!
//! Why not write the last date down and doubt a leap across a restart too: a relay
//! that was off for a month would then keep for longer what it promised to drop, and nothing
//! tells the two apart. A start takes the clock at its word.

use khlong_crdt::time::{Now, UnixMillis};

/// How far the wall clock may run ahead of the monotonic one between two turns of
/// the sweep (at most an hour apart) and still be believed: 10 minutes.
const LEAP_MS_MIN: u64 = 10 * 60 * 1000;

/// How long a clock that leapt must stand before it is believed: 3 days of running,
/// the skew that must not cost anybody a body.
pub(super) const LEAP_BELIEVED_AFTER_MS: u64 = 3 * 24 * 60 * 60 * 1000;

const _: () = assert!(LEAP_MS_MIN < LEAP_BELIEVED_AFTER_MS);

/// Remembers when the two clocks last agreed.
#[derive(Debug, Default)]
pub(super) struct ExpiryClock {
    agreed: Option<Now>,
    in_doubt: bool,
}

impl ExpiryClock {
    /// The date by which things expire now.
    pub(super) fn date(&mut self, now: Now) -> UnixMillis {
        let agreed = self.agreed.unwrap_or(now);
        let passed_ms = now.monotonic.since_ms(agreed.monotonic);
        let expected = agreed.wall.after_ms(passed_ms);
        if now.wall <= expected.after_ms(LEAP_MS_MIN) || passed_ms >= LEAP_BELIEVED_AFTER_MS {
            self.agreed = Some(now);
            self.in_doubt = false;
            return now.wall;
        }
        if !self.in_doubt {
            self.in_doubt = true;
            tracing::warn!(
                leap_ms = now.wall.0.saturating_sub(expected.0),
                "the wall clock leapt forward; nothing expires by it for three days, unless it goes back; set it right"
            );
        }
        expected
    }
}
