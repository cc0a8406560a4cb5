//! The event loop's queue: a binary heap ordered by (time, class, tiebreak, seq).
//!
//! `seq` makes the order total, so a run never depends on the heap's inner
//! layout. `tiebreak` is zero in research runs, where events of one moment
//! happen in the order in which they were scheduled; a search for bugs draws it
//! at random, so that each seed tries another interleaving of what is concurrent.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use khlong_crdt::time::Monotonic;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// Events that may wait at once: beyond it a scenario is broken, not big.
/// 64 Mi entries of some 50 bytes are 3.2 GiB.
pub const PENDING_EVENTS_MAX: usize = 64 * 1024 * 1024;

/// Which of several events of one moment comes first.
///
/// The end of a contact comes before what arrives at the same microsecond, so a
/// transfer that needs exactly the contact's length is lost: a contact is the
/// half-open interval [up, down).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventClass {
    /// Faults and topology: contacts begin and end, machines crash and start.
    World = 0,
    /// Bytes arrive.
    Arrival = 1,
    /// Timers.
    Timer = 2,
    /// What people do.
    Workload = 3,
    /// Checks and samples, after everything else of the moment.
    Probe = 4,
}

struct Entry<E> {
    at: u64,
    /// Class above, tiebreak below.
    rank: u64,
    seq: u64,
    event: E,
}

impl<E> Entry<E> {
    const fn key(&self) -> (u64, u64, u64) {
        (self.at, self.rank, self.seq)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// Reversed: the standard heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Events that wait, and the present moment: the time of the last one taken.
pub struct EventQueue<E> {
    heap: BinaryHeap<Entry<E>>,
    now: Monotonic,
    scheduled: u64,
    taken: u64,
    tiebreaks: Option<ChaCha8Rng>,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::in_order()
    }
}

impl<E> EventQueue<E> {
    /// Events of one moment and class come in the order in which they were scheduled.
    #[must_use]
    pub const fn in_order() -> Self {
        Self {
            heap: BinaryHeap::new(),
            now: Monotonic(0),
            scheduled: 0,
            taken: 0,
            tiebreaks: None,
        }
    }

    /// Events of one moment and class come in an order that `tiebreaks` draws.
    #[must_use]
    pub const fn shuffled(tiebreaks: ChaCha8Rng) -> Self {
        Self {
            heap: BinaryHeap::new(),
            now: Monotonic(0),
            scheduled: 0,
            taken: 0,
            tiebreaks: Some(tiebreaks),
        }
    }

    /// The time of the last event taken.
    #[must_use]
    pub const fn now(&self) -> Monotonic {
        self.now
    }

    /// Events taken so far.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Events that wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.heap.len()
    }

    /// When the next event is; `None` if nothing waits.
    #[must_use]
    pub fn next_at(&self) -> Option<Monotonic> {
        self.heap.peek().map(|entry| Monotonic(entry.at))
    }

    /// Adds an event. What is due in the past happens now.
    ///
    /// # Panics
    /// Beyond [`PENDING_EVENTS_MAX`]: the model schedules without end.
    pub fn schedule(&mut self, at: Monotonic, class: EventClass, event: E) {
        assert!(
            self.heap.len() < PENDING_EVENTS_MAX,
            "more than {PENDING_EVENTS_MAX} events wait: the model schedules without end"
        );
        let tiebreak = self
            .tiebreaks
            .as_mut()
            .map_or(0, |stream| stream.next_u64() >> 8);
        self.heap.push(Entry {
            at: at.0.max(self.now.0),
            rank: (class as u64) << 56 | tiebreak,
            seq: self.scheduled,
            event,
        });
        self.scheduled += 1;
    }

    /// Takes the next event and moves the present to it.
    pub fn pop(&mut self) -> Option<(Monotonic, E)> {
        let entry = self.heap.pop()?;
        self.now = Monotonic(entry.at);
        self.taken += 1;
        Some((self.now, entry.event))
    }

    /// The same, if it is not after `end`; otherwise the present moves to `end`.
    pub fn pop_until(&mut self, end: Monotonic) -> Option<(Monotonic, E)> {
        match self.heap.peek() {
            Some(entry) if entry.at <= end.0 => self.pop(),
            Some(_) | None => {
                self.now = self.now.max(end);
                None
            }
        }
    }
}
