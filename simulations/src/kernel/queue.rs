//! The event loop's queue, ordered by (time, class, tiebreak, seq).
//!
//! `seq` makes the order total, so a run never depends on the queue's inner
//! layout. `tiebreak` is zero in research runs, where events of one moment
//! happen in the order in which they were scheduled; a search for bugs draws it
//! at random, so that each seed tries another interleaving of what is concurrent.
//!
//! It is a radix heap (Ahuja, Mehlhorn, Orlin and Tarjan, 1990). Nothing is ever
//! due before the last event taken, so an event lies in the bucket of the highest
//! bit in which its time differs from that one's, and moves to lower buckets as
//! time passes, at most 64 times. That is a few copies of neighbouring memory an
//! event, where a binary heap misses the cache at each of its levels.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use khlong_crdt::time::Monotonic;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// Events that may wait at once: beyond it a scenario is broken, not big.
/// 64 Mi entries of some 50 bytes are 3.2 GiB.
pub const PENDING_EVENTS_MAX: usize = 64 * 1024 * 1024;
/// One for each bit of a time.
const BUCKETS: usize = 64;
/// Room that an emptied bucket keeps, in events: a plan's first wave is not kept for ever.
const BUCKET_ROOM_KEPT: usize = 64 * 1024;

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

/// Events whose time has one highest bit that differs from the queue's `base`.
struct Bucket<E> {
    entries: Vec<Entry<E>>,
    /// The earliest time among them.
    first: u64,
}

impl<E> Bucket<E> {
    const fn empty() -> Self {
        Self {
            entries: Vec::new(),
            first: u64::MAX,
        }
    }

    fn push(&mut self, entry: Entry<E>) {
        self.first = self.first.min(entry.at);
        self.entries.push(entry);
    }
}

/// Events that wait, and the present moment: the time of the last one taken.
pub struct EventQueue<E> {
    /// Due at `base`, in order.
    due: BinaryHeap<Entry<E>>,
    /// Due later, by the highest bit in which their time differs from `base`.
    later: [Bucket<E>; BUCKETS],
    /// A bit for each bucket that is not empty.
    occupied: u64,
    /// The time of the last event taken; `now` may be past it, and no event is before it.
    base: u64,
    waiting: usize,
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
            due: BinaryHeap::new(),
            later: [const { Bucket::empty() }; BUCKETS],
            occupied: 0,
            base: 0,
            waiting: 0,
            now: Monotonic(0),
            scheduled: 0,
            taken: 0,
            tiebreaks: None,
        }
    }

    /// Events of one moment and class come in an order that `tiebreaks` draws.
    #[must_use]
    pub fn shuffled(tiebreaks: ChaCha8Rng) -> Self {
        Self {
            tiebreaks: Some(tiebreaks),
            ..Self::in_order()
        }
    }

    /// The present moment.
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
    pub const fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// When the next event is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Monotonic> {
        if !self.due.is_empty() {
            return Some(Monotonic(self.base));
        }
        let bucket = self.later.get(self.lowest()?)?;
        Some(Monotonic(bucket.first))
    }

    /// Adds an event. What is due in the past happens now.
    ///
    /// # Panics
    /// Beyond [`PENDING_EVENTS_MAX`]: the model schedules without end.
    pub fn schedule(&mut self, at: Monotonic, class: EventClass, event: E) {
        assert!(
            self.waiting < PENDING_EVENTS_MAX,
            "more than {PENDING_EVENTS_MAX} events wait: the model schedules without end"
        );
        let tiebreak = self
            .tiebreaks
            .as_mut()
            .map_or(0, |stream| stream.next_u64() >> 8);
        let entry = Entry {
            at: at.0.max(self.now.0),
            rank: (class as u64) << 56 | tiebreak,
            seq: self.scheduled,
            event,
        };
        self.scheduled += 1;
        self.waiting += 1;
        self.place(entry);
    }

    /// Takes the next event and moves the present to it.
    pub fn pop(&mut self) -> Option<(Monotonic, E)> {
        if self.due.is_empty() {
            self.refill()?;
        }
        let entry = self.due.pop()?;
        self.waiting -= 1;
        self.taken += 1;
        self.now = Monotonic(entry.at);
        Some((self.now, entry.event))
    }

    /// The same, if it is not after `end`; otherwise the present moves to `end`.
    pub fn pop_until(&mut self, end: Monotonic) -> Option<(Monotonic, E)> {
        match self.next_at() {
            Some(at) if at <= end => self.pop(),
            Some(_) | None => {
                self.now = self.now.max(end);
                None
            }
        }
    }

    fn lowest(&self) -> Option<usize> {
        (self.occupied != 0).then(|| self.occupied.trailing_zeros() as usize)
    }

    fn place(&mut self, entry: Entry<E>) {
        let differs = entry.at ^ self.base;
        if differs == 0 {
            return self.due.push(entry);
        }
        let place = differs.ilog2() as usize;
        if let Some(bucket) = self.later.get_mut(place) {
            bucket.push(entry);
            self.occupied |= 1 << place;
        }
    }

    /// Moves `base` to the earliest time and what lay with it to where it now belongs:
    /// all of it further down, since it agrees with the new base in the bucket's bit.
    fn refill(&mut self) -> Option<()> {
        let place = self.lowest()?;
        self.occupied &= !(1 << place);
        let bucket = self.later.get_mut(place)?;
        self.base = bucket.first;
        bucket.first = u64::MAX;
        let mut entries = std::mem::take(&mut bucket.entries);
        for entry in entries.drain(..) {
            self.place(entry);
        }
        if entries.capacity() <= BUCKET_ROOM_KEPT
            && let Some(bucket) = self.later.get_mut(place)
        {
            bucket.entries = entries;
        }
        Some(())
    }
}
