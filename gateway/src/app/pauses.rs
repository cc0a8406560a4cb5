//! When the driver may ask a domain again for what is due there. The time is an argument.
//!
//! A domain that rejects the driver's command would do so again, and each try is an entry; so it
//! is left alone for longer each time, and no other domain with it. A command that took long is
//! followed by a rest as long, in which clients alone are served.

use std::collections::BTreeMap;
use std::time::Duration;

use khlong_crdt::time::Monotonic;

use super::limits::{OWN_PAUSE_MAX, OWN_PAUSE_MIN};

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Monotonic,
    /// One after another.
    rejections: u32,
}

/// The pauses of all domains, by number.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<u8, Pause>);

impl Pauses {
    /// How long nothing is asked of it yet.
    pub(super) fn left(&self, domain: u8, now: Monotonic) -> Duration {
        let pause = self.0.get(&domain);
        pause.map_or(Duration::ZERO, |pause| {
            Duration::from_micros(pause.until.since_micros(now))
        })
    }

    /// Nothing is asked of it for so long: a command of it took that, or the disk is to be asked first.
    pub(super) fn rest(&mut self, domain: u8, now: Monotonic, cost: Duration) {
        let pause = self.of(domain, now);
        pause.until = pause.until.max(after(now, cost));
    }

    /// It did what was due.
    pub(super) fn done(&mut self, domain: u8) {
        if let Some(pause) = self.0.get_mut(&domain) {
            pause.rejections = 0;
        }
    }

    /// It rejected its command; returns the pause that begins.
    pub(super) fn rejected(&mut self, domain: u8, now: Monotonic) -> Duration {
        let pause = self.of(domain, now);
        let factor = 2_u32.saturating_pow(pause.rejections);
        let length = OWN_PAUSE_MIN.saturating_mul(factor).min(OWN_PAUSE_MAX);
        pause.rejections = pause.rejections.saturating_add(1);
        pause.until = after(now, length);
        length
    }

    fn of(&mut self, domain: u8, now: Monotonic) -> &mut Pause {
        self.0.entry(domain).or_insert(Pause {
            until: now,
            rejections: 0,
        })
    }
}

/// So much later.
pub(super) fn after(now: Monotonic, length: Duration) -> Monotonic {
    now.after_micros(u64::try_from(length.as_micros()).unwrap_or(u64::MAX))
}
