//! Who has opened how many timelines.
//!
//! A timeline costs a relay rows that never go, and each has a quota of its own: where
//! everybody may open some, one client could open as many as the disk holds. So a
//! connection opens so many, and all connections from one network so many a day.
//! Kept in memory: a restart forgets it, the quota of all timelines together does not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use khlong_crdt::time::Monotonic;

/// Networks that are remembered; beyond, the one that opened nothing for longest is forgotten.
pub(super) const NETWORKS_MAX: usize = 4_096;
const DAY_MICROS: u64 = 24 * 60 * 60 * 1_000_000;

/// How many timelines may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningRate {
    /// On one connection, in all.
    pub per_connection: u32,
    /// From one network (an IPv4 address, an IPv6 /64) in a day; a day's worth may come at
    /// once. At least 1.
    pub per_network_a_day: u32,
}

/// Networks with what is left to each: microseconds of the rate, saved for at most a day.
#[derive(Debug, Default)]
pub(super) struct Openings(BTreeMap<IpAddr, Left>);

#[derive(Clone, Copy, Debug)]
struct Left {
    micros: u64,
    counted: Monotonic,
}

impl Openings {
    /// Whether one more may be opened from `network`, or in how many milliseconds.
    pub(super) fn check(
        &self,
        rate: OpeningRate,
        now: Monotonic,
        network: IpAddr,
    ) -> Result<(), u32> {
        let missing = cost_micros(rate).saturating_sub(self.left(now, network).micros);
        if missing == 0 {
            return Ok(());
        }
        Err(u32::try_from(missing.div_ceil(1_000)).unwrap_or(u32::MAX))
    }

    /// One was opened.
    pub(super) fn take(&mut self, rate: OpeningRate, now: Monotonic, network: IpAddr) {
        let mut left = self.left(now, network);
        left.micros = left.micros.saturating_sub(cost_micros(rate));
        if self.0.len() >= NETWORKS_MAX && !self.0.contains_key(&network) {
            let idle = self.0.iter().min_by_key(|(_, left)| left.counted);
            if let Some(idle) = idle.map(|(network, _)| *network) {
                self.0.remove(&idle);
            }
        }
        self.0.insert(network, left);
    }

    fn left(&self, now: Monotonic, network: IpAddr) -> Left {
        let Some(before) = self.0.get(&network) else {
            return Left {
                micros: DAY_MICROS,
                counted: now,
            };
        };
        let gained = now.0.saturating_sub(before.counted.0);
        Left {
            micros: before.micros.saturating_add(gained).min(DAY_MICROS),
            counted: before.counted.max(now),
        }
    }
}

fn cost_micros(rate: OpeningRate) -> u64 {
    DAY_MICROS / u64::from(rate.per_network_a_day.max(1))
}
