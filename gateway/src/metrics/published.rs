//! Numbers that are read where they are, at each scrape.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use khlong_store::engine::EngineStats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::app::postgres::Watch;

/// What the driver's thread sees.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// The journal's last entry, as far as this gateway knows.
    pub journal_head: u64,
    /// The last entry in the views.
    pub applied_index: u64,
    /// Whether the last entry of a shared journal may be another gateway's.
    pub follows: bool,
    /// Whether writes are refused for want of space.
    pub disk_full: bool,
    /// Idempotency keys that stand for a command.
    pub idempotency_keys: u64,
    /// Notices that wait, at most [`crate::app::limits::OUTBOX_COUNTED_MAX`].
    pub outbox_waiting: u64,
    /// The end of the last day that was closed, in seconds since 1970; 0: none was.
    pub last_close_day: i64,
    /// Domains of which something is overdue that they have rejected.
    pub overdue_rejected: u64,
    /// When those four were looked up, in seconds since 1970; `None`: not yet.
    pub tables_read: Option<i64>,
    /// What all balances come to; `None` until they were added up once.
    pub sums: Option<Sums>,
    /// The disk.
    pub engine: EngineStats,
}

/// What all balances came to at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// By how much debits and credits of all assets differ.
    pub imbalance: u128,
    /// The moment, in seconds since 1970.
    pub as_of: i64,
}

#[derive(Debug)]
pub(super) struct Published {
    pub(super) queue: AtomicU64,
    queue_max: u64,
    pub(super) queue_refused: AtomicU64,
    pub(super) commit_retries: AtomicU64,
    pub(super) entries_followed: AtomicU64,
    pub(super) ready: AtomicU64,
    database: Option<Watch>,
    numbers: Mutex<Numbers>,
}

impl Published {
    pub(super) fn new(queue_max: usize, database: Option<Watch>) -> Self {
        Self {
            queue: AtomicU64::default(),
            queue_max: u64::try_from(queue_max).unwrap_or(u64::MAX),
            queue_refused: AtomicU64::default(),
            commit_retries: AtomicU64::default(),
            entries_followed: AtomicU64::default(),
            ready: AtomicU64::default(),
            database,
            numbers: Mutex::default(),
        }
    }

    pub(super) fn set(&self, numbers: Numbers) {
        *self.numbers.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }
}

#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Published>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in gauges(&self.0) {
            // One that is not known yet would be read as 0.
            let Some(value) = value else { continue };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        for (name, help, value) in counters(&self.0) {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        Ok(())
    }
}

fn gauges(published: &Published) -> [(&'static str, &'static str, Option<i64>); 17] {
    let numbers = *published
        .numbers
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let large = |value: u64| Some(i64::try_from(value).unwrap_or(i64::MAX));
    let flag = |is_so: bool| Some(i64::from(is_so));
    let is_away = published.database.as_ref().is_some_and(Watch::is_away);
    let imbalance = |sums: Sums| i64::try_from(sums.imbalance).unwrap_or(i64::MAX);
    [
        (
            "ready",
            "1 while requests are decided: what /readyz says",
            large(published.ready.load(Ordering::Relaxed)),
        ),
        (
            "follows",
            "1 while the last entry of a shared journal may be another gateway's",
            flag(numbers.follows),
        ),
        (
            "disk_full",
            "1 while writes are refused for want of space",
            flag(numbers.disk_full),
        ),
        (
            "overdue_rejected_domains",
            "Domains of which something is overdue that they have rejected, such as the end of holds, at tables_read_seconds: 0, or something is wrong",
            large(numbers.overdue_rejected),
        ),
        (
            "postgres_away",
            "1 while the journal's database does not answer",
            flag(is_away),
        ),
        (
            "queue_inputs",
            "Commands and reads that wait for the driver",
            large(published.queue.load(Ordering::Relaxed)),
        ),
        (
            "queue_inputs_max",
            "How many may wait: limits.queue",
            large(published.queue_max),
        ),
        (
            "journal_head",
            "The last entry of the journal that is known",
            large(numbers.journal_head),
        ),
        (
            "applied_index",
            "The last entry that the views hold",
            large(numbers.applied_index),
        ),
        (
            "idempotency_keys",
            "Idempotency keys that stand for a command, at tables_read_seconds",
            numbers.tables_read.and(large(numbers.idempotency_keys)),
        ),
        (
            "outbox_waiting",
            "Notices that wait to be delivered, at tables_read_seconds; 1,000: so many or more",
            numbers.tables_read.and(large(numbers.outbox_waiting)),
        ),
        (
            "last_close_day_seconds",
            "End of the last day that was closed, since 1970, at tables_read_seconds; 0: none was",
            numbers.tables_read.map(|_| numbers.last_close_day),
        ),
        (
            "tables_read_seconds",
            "When keys, notices and the last close were looked up, since 1970; absent, as these are: not yet",
            numbers.tables_read,
        ),
        (
            "imbalance",
            "By how many smallest units debits and credits differ, over all assets, at balances_read_seconds: 0, or something is wrong; absent until all were added up once",
            numbers.sums.map(imbalance),
        ),
        (
            "balances_read_seconds",
            "The moment whose balances were added up last, since 1970; absent: none yet",
            numbers.sums.map(|sums| sums.as_of),
        ),
        (
            "store_disk_bytes",
            "Bytes of all files of the store",
            large(numbers.engine.disk_bytes),
        ),
        (
            "store_free_bytes",
            "Bytes that the file system has left",
            large(numbers.engine.free_bytes),
        ),
    ]
}

fn counters(published: &Published) -> [(&'static str, &'static str, u64); 5] {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let database = published.database.as_ref();
    [
        (
            "queue_refused",
            "Commands and reads that found the queue full",
            load(&published.queue_refused),
        ),
        (
            "commit_retries",
            "Commits that wrote nothing and were tried again",
            load(&published.commit_retries),
        ),
        (
            "entries_followed",
            "Entries of other gateways that were applied",
            load(&published.entries_followed),
        ),
        (
            "postgres_reconnects",
            "Connections to the journal's database after the first",
            database.map_or(0, |watch| watch.connections().saturating_sub(1)),
        ),
        (
            "postgres_failures",
            "Requests to the journal's database without an answer",
            database.map_or(0, Watch::failures),
        ),
    ]
}
