//! When the driver may ask a domain again for what is due there. The time is an argument.
//!
//! A domain that rejects the driver's command would do so again, and each try is an entry; so it
//! is left alone for longer each time, and no other domain with it. A command that took long is
//! followed by a rest as long, in which clients alone are served.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::limits::{OWN_PAUSE_MAX, OWN_PAUSE_MIN};

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    /// One after another.
    rejections: u32,
}

/// The pauses of all domains, by number.
#[derive(Debug, Default)]
pub struct Pauses(BTreeMap<u8, Pause>);

impl Pauses {
    /// How long nothing is asked of it yet.
    #[must_use]
    pub fn left(&self, domain: u8, now: Instant) -> Duration {
        let pause = self.0.get(&domain);
        pause.map_or(Duration::ZERO, |pause| {
            pause.until.saturating_duration_since(now)
        })
    }

    /// A command of it took so long.
    pub fn rest(&mut self, domain: u8, now: Instant, cost: Duration) {
        let pause = self.of(domain, now);
        pause.until = pause.until.max(now + cost);
    }

    /// It did what was due.
    pub fn done(&mut self, domain: u8) {
        if let Some(pause) = self.0.get_mut(&domain) {
            pause.rejections = 0;
        }
    }

    /// It rejected its command; returns the pause that begins.
    pub fn rejected(&mut self, domain: u8, now: Instant) -> Duration {
        let pause = self.of(domain, now);
        let factor = 2_u32.saturating_pow(pause.rejections);
        let length = OWN_PAUSE_MIN.saturating_mul(factor).min(OWN_PAUSE_MAX);
        pause.rejections = pause.rejections.saturating_add(1);
        pause.until = now + length;
        length
    }

    fn of(&mut self, domain: u8, now: Instant) -> &mut Pause {
        self.0.entry(domain).or_insert(Pause {
            until: now,
            rejections: 0,
        })
    }
}
