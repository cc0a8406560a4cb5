//! Credit: what was pushed in one class and is not durable at the other side yet.
//!
//! Both sides keep the same account: the server to stop in time, the client to
//! see that it does. A push may go while entries and bytes are below the limit.

use std::collections::{BTreeMap, VecDeque};

use khlong_crdt::id::{ArrivalSeq, TimelineId};

use crate::limits::{BYTES_IN_FLIGHT_MAX, ENTRIES_IN_FLIGHT_MAX};
use crate::replica::Arrival;

/// Of one class, its backfills included.
#[derive(Debug)]
pub(super) struct Window {
    entries: usize,
    bytes: usize,
    /// By transfer: the class stream (`None`) or a backfill.
    sent: BTreeMap<Option<TimelineId>, VecDeque<Sent>>,
}

#[derive(Debug)]
struct Sent {
    up_to: ArrivalSeq,
    entries: usize,
    bytes: usize,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            entries: 0,
            bytes: 0,
            sent: BTreeMap::new(),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.entries < ENTRIES_IN_FLIGHT_MAX && self.bytes < BYTES_IN_FLIGHT_MAX
    }

    pub(super) fn pushed(
        &mut self,
        transfer: Option<TimelineId>,
        up_to: ArrivalSeq,
        entries: &[Arrival],
    ) {
        let bytes = entries
            .iter()
            .map(|entry| entry.envelope.bytes().len())
            .sum();
        self.entries += entries.len();
        self.bytes += bytes;
        let sent = Sent {
            up_to,
            entries: entries.len(),
            bytes,
        };
        self.sent.entry(transfer).or_default().push_back(sent);
    }

    /// Frees what is durable; false if that was nothing. A position beyond what
    /// was pushed frees what was pushed, no more.
    pub(super) fn pulled(&mut self, transfer: Option<TimelineId>, up_to: ArrivalSeq) -> bool {
        let Some(queue) = self.sent.get_mut(&transfer) else {
            return false;
        };
        let mut freed = false;
        while let Some(sent) = queue.pop_front_if(|sent| sent.up_to <= up_to) {
            self.entries -= sent.entries;
            self.bytes -= sent.bytes;
            freed = true;
        }
        if queue.is_empty() {
            self.sent.remove(&transfer);
        }
        freed
    }
}
