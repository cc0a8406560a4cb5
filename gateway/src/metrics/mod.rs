//! The gateway's numbers, for Prometheus: prefix `khlong_gateway_`, and no label that names anybody.
//!
//! Whoever does something counts it here, and the driver's thread publishes what only it may look
//! at. Every label has a fixed set of values: kinds and outcomes of commands, routes as they stand
//! in `/openapi.json`, classes of status.

mod published;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use self::published::{Numbers, Sums};
use self::published::{Published, Shown};
use crate::app::postgres::Watch;
use crate::domains::books::{BOOKS_DOMAIN, BooksCommand};
use crate::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use crate::kernel::{Command, Housekeeping, KERNEL_DOMAIN};

/// From an SSD's fsync to a database that is far away, or hangs, in seconds.
const COMMIT_BUCKETS: [f64; 10] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0,
];

/// Up to the largest group of commands.
const ENTRIES_BUCKETS: [f64; 8] = [1.0, 2.0, 4.0, 16.0, 64.0, 256.0, 512.0, 1_024.0];

/// From a read in memory to a request that waits for a database, in seconds.
const REQUEST_BUCKETS: [f64; 10] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0,
];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Route = [(&'static str, String); 1];
type Answer = [(&'static str, String); 2];

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It was carried out, and is in the journal. Items of a batch may still have failed.
    Done,
    /// It was rejected as a whole, and is in the journal.
    Rejected,
    /// It was decided before: the answer is from the journal.
    Known,
    /// It was not decided: unfit, its key was used, or there is no room.
    Refused,
}

impl CommandOutcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Known => "known",
            Self::Refused => "refused",
        }
    }
}

/// What came of a notice at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An attempt: it has it.
    Sent,
    /// An attempt: it has not.
    Failed,
    /// The end: it was tried for days, and is not tried again; or this release cannot read the
    /// notice. Counted once that outcome, and no other one, stands in the journal.
    GivenUp,
}

impl Delivery {
    const fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// A command that the kernel decided by itself, to make room for another one.
pub const OVERDUE: &str = "overdue";

/// What a command asks for, as a label: one of a fixed set, whoever sends what.
#[must_use]
pub fn kind(command: &Command) -> &'static str {
    let named = match command.domain {
        KERNEL_DOMAIN => Housekeeping::name_of(&command.body),
        LEDGER_DOMAIN => LedgerCommand::name_of(&command.body),
        BOOKS_DOMAIN => BooksCommand::name_of(&command.body),
        _ => None,
    };
    named.unwrap_or("other")
}

/// Everything that `/metrics` knows.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    commands: Family<Labels<2>, Counter>,
    commit_seconds: Histogram,
    commit_entries: Histogram,
    deliveries: Family<Labels<1>, Counter>,
    requests: Family<Answer, Counter>,
    request_seconds: Family<Route, Histogram>,
    published: Arc<Published>,
}

impl Metrics {
    /// `queue_max`: inputs that may wait for the driver; `database`: how it goes with the journal's.
    #[must_use]
    pub fn new(queue_max: usize, database: Option<Watch>) -> Self {
        let mut registry = Registry::with_prefix("khlong_gateway");
        let commands: Family<Labels<2>, Counter> = Family::default();
        // From 0 on, so that the first one is an increase.
        let rejected = CommandOutcome::Rejected.label();
        commands.get_or_create_owned(&[("kind", OVERDUE), ("outcome", rejected)]);
        let commit_seconds = Histogram::new(COMMIT_BUCKETS);
        let commit_entries = Histogram::new(ENTRIES_BUCKETS);
        let deliveries: Family<Labels<1>, Counter> = Family::default();
        // From 0 on, so that the first one that is given up is an increase.
        for delivery in [Delivery::Sent, Delivery::Failed, Delivery::GivenUp] {
            deliveries.get_or_create_owned(&[("result", delivery.label())]);
        }
        let requests = Family::default();
        let request_seconds: Family<Route, Histogram> =
            Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS));
        registry.register(
            "commands",
            "Commands, by what they ask for and what came of them",
            commands.clone(),
        );
        registry.register_with_unit(
            "commit",
            "Time of one commit that wrote something, with its sync or the database's answer",
            Unit::Seconds,
            commit_seconds.clone(),
        );
        registry.register(
            "commit_entries",
            "Entries of the journal in one commit",
            commit_entries.clone(),
        );
        registry.register(
            "outbox_deliveries",
            "Attempts to deliver a notice to one target that it took (sent) or not (failed), and targets that were given up",
            deliveries.clone(),
        );
        registry.register(
            "http_requests",
            "HTTP requests answered, by route and class of status",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request",
            "Time from a request's head to its answer's head, by route",
            Unit::Seconds,
            request_seconds.clone(),
        );
        let published = Arc::new(Published::new(queue_max, database));
        registry.register_collector(Box::new(Shown(Arc::clone(&published))));
        Self {
            registry,
            commands,
            commit_seconds,
            commit_entries,
            deliveries,
            requests,
            request_seconds,
            published,
        }
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// A bug in the encoding.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    /// A command came to its end.
    pub fn count_command(&self, kind: &'static str, outcome: CommandOutcome, count: u64) {
        let labels = [("kind", kind), ("outcome", outcome.label())];
        self.commands.get_or_create(&labels).inc_by(count);
    }

    /// A commit wrote so many entries.
    pub fn observe_commit(&self, took: Duration, entries: u64) {
        self.commit_seconds.observe(took.as_secs_f64());
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.commit_entries.observe(entries.into());
    }

    /// A commit that wrote nothing is tried again.
    pub fn count_retry(&self) {
        add(&self.published.commit_retries, 1);
    }

    /// Entries of other gateways were applied.
    pub fn count_followed(&self, entries: u64) {
        add(&self.published.entries_followed, entries);
    }

    /// Something was to be told to so many targets.
    pub fn count_deliveries(&self, delivery: Delivery, count: u64) {
        if count > 0 {
            let labels = [("result", delivery.label())];
            self.deliveries.get_or_create(&labels).inc_by(count);
        }
    }

    /// A request was answered; `route` is none of the client's words.
    pub fn observe_request(&self, route: &str, status: u16, took: Duration) {
        let class = format!("{}xx", status / 100);
        let labels = [("route", route.to_owned()), ("status", class)];
        self.requests.get_or_create(&labels).inc();
        let seconds = self
            .request_seconds
            .get_or_create(&[("route", route.to_owned())]);
        seconds.observe(took.as_secs_f64());
    }

    /// An input goes into the queue.
    pub(crate) fn enqueue(&self) {
        add(&self.published.queue, 1);
    }

    /// It came out, or found no place.
    pub(crate) fn dequeue(&self) {
        self.published.queue.fetch_sub(1, Ordering::Relaxed);
    }

    /// The queue was full.
    pub(crate) fn count_queue_full(&self) {
        add(&self.published.queue_refused, 1);
    }

    /// What the driver's thread saw last.
    pub(crate) fn publish(&self, numbers: Numbers) {
        self.published.set(numbers);
    }

    /// Whether requests are decided now.
    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.published
            .ready
            .store(is_ready.into(), Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
