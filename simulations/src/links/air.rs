//! Airtime that several contacts of a machine share.
//!
//! A radio hears one station at a time. So all contacts of one machine over
//! links of one `channel` share that machine's airtime, both directions of each:
//! a frame that leaves while `n` directions have something to send, itself
//! included, takes `n` times as long as alone. Of `n` stations that always have
//! something to send each gets 1/n of the rate, and one that sends alone has all of it.
//!
//! The share is fixed when a frame leaves, by the busier of its two ends. What
//! comes later does not slow it down, what ends before does not speed it up: over
//! many frames that is the same. Machines out of reach of each other do not
//! disturb each other (no hidden stations, no capture, no collisions: what those
//! cost is in the link's rate).

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::time::Monotonic;

use crate::plan::Entity;

/// One direction of a contact, by a number of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender(pub u64);

/// Who is sending, on each channel of each machine.
#[derive(Clone, Debug, Default)]
pub struct Air {
    /// In order of the end of what they send.
    busy: BTreeMap<(u8, Entity), BTreeSet<(Monotonic, Sender)>>,
}

impl Air {
    /// Into how many parts airtime is divided if `sender`, busy until `until`, sends at `now`.
    pub fn share(
        &mut self,
        now: Monotonic,
        channel: u8,
        ends: [Entity; 2],
        sender: Sender,
        until: Monotonic,
    ) -> u32 {
        let others = ends.map(|end| {
            let Some(busy) = self.busy.get_mut(&(channel, end)) else {
                return 0;
            };
            while busy.first().is_some_and(|(until, _)| *until <= now) {
                busy.pop_first();
            }
            busy.len() - usize::from(busy.contains(&(until, sender)))
        });
        let most = others.into_iter().max().unwrap_or(0);
        u32::try_from(most).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// `sender`, which was busy until `before`, is now until `until`.
    pub fn occupy(
        &mut self,
        channel: u8,
        ends: [Entity; 2],
        sender: Sender,
        before: Monotonic,
        until: Monotonic,
    ) {
        for end in ends {
            let busy = self.busy.entry((channel, end)).or_default();
            busy.remove(&(before, sender));
            busy.insert((until, sender));
        }
    }

    /// `sender`, which was busy until `before`, sends no more: its contact has ended.
    pub fn vacate(&mut self, channel: u8, ends: [Entity; 2], sender: Sender, before: Monotonic) {
        for end in ends {
            if let Some(busy) = self.busy.get_mut(&(channel, end)) {
                busy.remove(&(before, sender));
                if busy.is_empty() {
                    self.busy.remove(&(channel, end));
                }
            }
        }
    }
}
