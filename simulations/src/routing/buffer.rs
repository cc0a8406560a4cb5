//! What one machine holds.

use std::collections::BTreeMap;

use super::bits::Bits;

/// A copy of a bundle in a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// Counts arrivals at the machine: orders the buffer.
    pub(super) arrival: u64,
    pub(super) bytes: u64,
    /// Machines it went through, this one not counted if it wrote it.
    pub(super) hops: u16,
    /// That the machine may still give away, its own included.
    pub(super) copies: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Buffer {
    pub(super) held: Bits,
    /// By message.
    copies: BTreeMap<u32, Copy>,
    by_arrival: BTreeMap<u64, u32>,
    bytes: u64,
    arrivals: u64,
}

impl Buffer {
    pub(super) fn for_messages(count: usize) -> Self {
        Self {
            held: Bits::for_messages(count),
            copies: BTreeMap::new(),
            by_arrival: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
        }
    }

    pub(super) fn get(&self, message: u32) -> Option<Copy> {
        self.copies.get(&message).copied()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn add(&mut self, message: u32, bytes: u64, hops: u16, copies: u32) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        let copy = Copy {
            arrival,
            bytes,
            hops,
            copies,
        };
        // Nobody is given what it holds.
        self.copies.insert(message, copy);
        self.by_arrival.insert(arrival, message);
        self.held.set(message, true);
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, message: u32) -> Option<Copy> {
        let copy = self.copies.remove(&message)?;
        self.by_arrival.remove(&copy.arrival);
        self.held.set(message, false);
        self.bytes -= copy.bytes;
        Some(copy)
    }

    /// Gives copies away, or takes back what a broken transfer did not carry.
    pub(super) fn change_copies(&mut self, message: u32, change: impl FnOnce(u32) -> u32) {
        if let Some(copy) = self.copies.get_mut(&message) {
            copy.copies = change(copy.copies);
        }
    }

    /// All of them, by message.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Copy)> + '_ {
        self.copies.iter().map(|(message, copy)| (*message, *copy))
    }

    /// Those that arrived at `from` or later, by arrival.
    pub(super) fn arrived_from(&self, from: u64) -> impl Iterator<Item = (u64, u32)> + '_ {
        let arrivals = self.by_arrival.range(from..);
        arrivals.map(|(arrival, message)| (*arrival, *message))
    }

    /// What the next arrival will be numbered.
    pub(super) const fn next_arrival(&self) -> u64 {
        self.arrivals
    }

    /// The bundle that came first, but for those in `kept`.
    pub(super) fn oldest(&self, kept: &[u32]) -> Option<u32> {
        self.by_arrival
            .values()
            .copied()
            .find(|message| !kept.contains(message))
    }
}
