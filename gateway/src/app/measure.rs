//! What the driver tells of its work: counted when it is durable, and read from the tables now and
//! then. The time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use khlong_crdt::time::Monotonic;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;

use super::limits::{
    BALANCES_AT_ONCE, BALANCES_EVERY, BALANCES_PAUSE, OUTBOX_COUNTED_MAX, TABLES_EVERY,
};
use super::pauses::after;
use crate::domains::books;
use crate::domains::ledger::{Count, Totals};
use crate::kernel::{Command, Decided, Kernel, Outcome, Ticket, known_keys, waiting_count};
use crate::metrics::{CommandOutcome, Metrics, Numbers, OVERDUE, Sums, kind};

/// Of one driver.
pub(super) struct Measure {
    metrics: Arc<Metrics>,
    /// The last entry that is durable.
    committed: JournalSeq,
    /// Commands whose commit is to come: what they ask for, and whether they were decided now.
    waiting: BTreeMap<Ticket, (&'static str, bool)>,
    /// Commands that the kernel decided by itself, likewise.
    overdue: u64,
    numbers: Numbers,
    /// When the tables are looked at next.
    tables: Monotonic,
    /// No idempotency key of an entry before this one is known: what was forgotten is passed over once.
    oldest_key: JournalSeq,
    /// When balances are added up next, or some more of them.
    balances: Monotonic,
    /// Balances that are being added up, and since when, in seconds since 1970.
    count: Option<(Count, i64)>,
}

impl Measure {
    pub(super) fn new(metrics: Arc<Metrics>, head: JournalSeq, now: Monotonic) -> Self {
        Self {
            metrics,
            committed: head,
            waiting: BTreeMap::new(),
            overdue: 0,
            numbers: Numbers::default(),
            tables: now,
            oldest_key: JournalSeq(0),
            balances: now,
            count: None,
        }
    }

    /// A command was applied, which made the journal longer by `entries`; none: it was known.
    pub(super) fn applied(&mut self, ticket: Ticket, command: &Command, entries: u64) {
        self.waiting.insert(ticket, (kind(command), entries > 0));
        self.overdue(entries.saturating_sub(1));
    }

    /// The kernel decided so many commands by itself.
    pub(super) fn overdue(&mut self, entries: u64) {
        self.overdue += entries;
    }

    /// What it answers was decided before, and is not applied.
    pub(super) fn known(&self, command: &Command) {
        let outcome = CommandOutcome::Known;
        self.metrics.count_command(kind(command), outcome, 1);
    }

    /// A command was not decided.
    pub(super) fn refused(&self, command: &Command) {
        let outcome = CommandOutcome::Refused;
        self.metrics.count_command(kind(command), outcome, 1);
    }

    /// A commit wrote all up to `head`.
    pub(super) fn committed(&mut self, head: JournalSeq, took: Duration) {
        let entries = head.0.saturating_sub(self.committed.0);
        self.metrics.observe_commit(took, entries);
        self.committed = head;
        let overdue = std::mem::take(&mut self.overdue);
        if overdue > 0 {
            let outcome = CommandOutcome::Done;
            self.metrics.count_command(OVERDUE, outcome, overdue);
        }
    }

    /// A commit wrote nothing.
    pub(super) fn retried(&self) {
        self.metrics.count_retry();
    }

    /// Entries of other gateways were applied, up to `head`.
    pub(super) fn followed(&mut self, head: JournalSeq) {
        let entries = head.0.saturating_sub(self.committed.0);
        self.metrics.count_followed(entries);
        self.committed = head;
    }

    /// An answer leaves.
    pub(super) fn released(&mut self, ticket: Ticket, decided: &Decided) {
        let Some((kind, is_new)) = self.waiting.remove(&ticket) else {
            return;
        };
        let outcome = match (is_new, decided.outcome()) {
            (false, _) => CommandOutcome::Known,
            (true, Some(Outcome::Done(_))) => CommandOutcome::Done,
            (true, Some(Outcome::Rejected(_)) | None) => CommandOutcome::Rejected,
        };
        self.metrics.count_command(kind, outcome, 1);
    }

    /// How long until balances are added up, or some more of them: that goes on although nobody asks
    /// for anything.
    pub(super) fn left(&self, now: Monotonic) -> Duration {
        Duration::from_micros(self.balances.since_micros(now))
    }

    /// After a commit. What cannot be read stays as it was: whoever needs it says so.
    pub(super) fn publish(
        &mut self,
        kernel: &Kernel,
        now: Monotonic,
        follows: bool,
        disk_full: bool,
    ) {
        self.numbers.journal_head = kernel.head().seq.0;
        self.numbers.applied_index = kernel.applied().seq.0;
        (self.numbers.follows, self.numbers.disk_full) = (follows, disk_full);
        if self.tables <= now {
            self.tables = after(now, TABLES_EVERY);
            self.numbers.engine = kernel.store().stats();
            if let Err(error) = self.read_tables(kernel) {
                tracing::debug!(%error, "the tables cannot be measured");
            }
        }
        if self.balances <= now {
            self.add_up(kernel, now);
        }
        self.metrics.publish(self.numbers);
    }

    fn read_tables(&mut self, kernel: &Kernel) -> Result<(), StoreError> {
        let (rows, numbers) = (kernel.store(), &mut self.numbers);
        numbers.overdue_rejected = kernel.overdue_rejected()?;
        let (keys, oldest) = known_keys(rows, kernel.head().seq, self.oldest_key)?;
        (numbers.idempotency_keys, self.oldest_key) = (keys, oldest);
        numbers.outbox_waiting = waiting_count(rows, OUTBOX_COUNTED_MAX)?;
        let last = books::last_close(rows)?;
        numbers.last_close_day = last.map_or(0, |close| close.day.end().0.div_euclid(1_000));
        numbers.tables_read = Some(seconds(kernel));
        Ok(())
    }

    /// Some of the accounts, as they were when that was begun.
    fn add_up(&mut self, kernel: &Kernel, now: Monotonic) {
        let begin = || (Count::after(kernel.head().seq), seconds(kernel));
        let (mut count, began) = self.count.take().unwrap_or_else(begin);
        self.balances = after(now, BALANCES_EVERY);
        match count.step(kernel.store(), BALANCES_AT_ONCE) {
            Ok(false) => {
                self.balances = after(now, BALANCES_PAUSE);
                self.count = Some((count, began));
            }
            Ok(true) => {
                let apart = count.totals().values().map(Totals::imbalance);
                self.numbers.sums = Some(Sums {
                    imbalance: apart.fold(0, u128::saturating_add),
                    as_of: began,
                });
            }
            // The imbalance stays what it was, or unknown; its age tells.
            Err(error) => tracing::warn!(%error, "balances cannot be added up"),
        }
    }
}

/// The driver's clock, since 1970.
fn seconds(kernel: &Kernel) -> i64 {
    kernel.clock().map_or(0, |now| now.0.div_euclid(1_000))
}
