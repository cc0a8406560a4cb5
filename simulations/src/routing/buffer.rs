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
    /// By message: walked through for each transfer, so it lies in one piece.
    copies: Vec<(u32, Copy)>,
    by_arrival: BTreeMap<u64, u32>,
    bytes: u64,
    arrivals: u64,
}

impl Buffer {
    pub(super) fn for_messages(count: usize) -> Self {
        Self {
            held: Bits::for_messages(count),
            copies: Vec::new(),
            by_arrival: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
        }
    }

    pub(super) fn get(&self, message: u32) -> Option<Copy> {
        let place = self.place(message).ok()?;
        self.copies.get(place).map(|(_, copy)| *copy)
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
        if let Err(place) = self.place(message) {
            self.copies.insert(place, (message, copy));
        }
        self.by_arrival.insert(arrival, message);
        self.held.set(message, true);
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, message: u32) -> Option<Copy> {
        let place = self.place(message).ok()?;
        let (_, copy) = self.copies.remove(place);
        self.by_arrival.remove(&copy.arrival);
        self.held.set(message, false);
        self.bytes -= copy.bytes;
        Some(copy)
    }

    /// Gives copies away, or takes back what a broken transfer did not carry.
    pub(super) fn change_copies(&mut self, message: u32, change: impl FnOnce(u32) -> u32) {
        let place = self.place(message);
        if let Some((_, copy)) = place.ok().and_then(|place| self.copies.get_mut(place)) {
            copy.copies = change(copy.copies);
        }
    }

    /// All of them, by message.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Copy)> + '_ {
        self.copies.iter().copied()
    }

    fn place(&self, message: u32) -> Result<usize, usize> {
        self.copies
            .binary_search_by_key(&message, |(held, _)| *held)
    }

    /// The bundle that came first, but for those in `kept`.
    pub(super) fn oldest(&self, kept: &[u32]) -> Option<u32> {
        self.by_arrival
            .values()
            .copied()
            .find(|message| !kept.contains(message))
    }
}
