//! The relay's numbers, as the hub's thread publishes them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khlong_store::engine::EngineStats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::hub::HubStats;

/// From an SSD's fsync to a disk that hangs, in seconds.
const COMMIT_BUCKETS: [f64; 10] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0,
];

/// What the relay is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The hub's thread has not begun.
    Starting,
    /// Serving.
    Ready,
    /// A commit failed; the folder is being opened again.
    Rebuilding,
    /// On its way out.
    Stopping,
}

/// Everything that `/metrics` and the health checks know.
#[derive(Debug)]
pub struct Metrics {
    /// The server is going down.
    pub(crate) stopping: AtomicBool,
    registry: Registry,
    commits: Histogram,
    snapshot: Arc<Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    state: Mutex<State>,
    hub: Mutex<HubStats>,
    engine: Mutex<EngineStats>,
    failures: AtomicU64,
    udp_sent: AtomicU64,
    udp_received: AtomicU64,
    turned_away: Arc<AtomicU64>,
}

impl Metrics {
    /// `turned_away` is counted by the listener.
    #[must_use]
    pub fn new(turned_away: Arc<AtomicU64>) -> Self {
        let snapshot = Arc::new(Snapshot {
            state: Mutex::new(State::Starting),
            hub: Mutex::default(),
            engine: Mutex::default(),
            failures: AtomicU64::default(),
            udp_sent: AtomicU64::default(),
            udp_received: AtomicU64::default(),
            turned_away,
        });
        let mut registry = Registry::with_prefix("khlong");
        let commits = Histogram::new(COMMIT_BUCKETS);
        registry.register_with_unit(
            "commit",
            "Time of one commit with its fsync",
            Unit::Seconds,
            commits.clone(),
        );
        registry.register_collector(Box::new(Published(Arc::clone(&snapshot))));
        Self {
            stopping: AtomicBool::new(false),
            registry,
            commits,
            snapshot,
        }
    }

    /// What the relay is doing.
    #[must_use]
    pub fn state(&self) -> State {
        if self.stopping.load(Ordering::Relaxed) {
            return State::Stopping;
        }
        *lock(&self.snapshot.state)
    }

    /// Whether the last commit was refused for want of space.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        lock(&self.snapshot.hub).disk_full
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

    pub(crate) fn set_state(&self, state: State) {
        *lock(&self.snapshot.state) = state;
    }

    pub(crate) fn publish_hub(&self, stats: HubStats) {
        *lock(&self.snapshot.hub) = stats;
    }

    pub(crate) fn publish_engine(&self, stats: EngineStats) {
        *lock(&self.snapshot.engine) = stats;
    }

    pub(crate) fn count_failure(&self) {
        self.snapshot.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn observe_commit(&self, took: Duration) {
        self.commits.observe(took.as_secs_f64());
    }

    pub(crate) fn add_udp_bytes(&self, sent: u64, received: u64) {
        self.snapshot.udp_sent.fetch_add(sent, Ordering::Relaxed);
        self.snapshot
            .udp_received
            .fetch_add(received, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Published(Arc<Snapshot>);

impl Collector for Published {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let hub = lock(&self.0.hub).clone();
        let engine = *lock(&self.0.engine);
        for (name, help, value) in gauges(&hub, &engine) {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outside = [
            (
                "hub_failures",
                "Hubs given up after a failed commit or read",
                load(&self.0.failures),
            ),
            (
                "connections_turned_away",
                "Connections over a limit",
                load(&self.0.turned_away),
            ),
            (
                "udp_sent_bytes",
                "UDP payload sent to clients",
                load(&self.0.udp_sent),
            ),
            (
                "udp_received_bytes",
                "UDP payload received from clients",
                load(&self.0.udp_received),
            ),
        ];
        for (name, help, value) in counters(&hub, &engine).into_iter().chain(outside) {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let help = "Envelopes refused, by the protocol's error code";
        let mut family =
            encoder.encode_descriptor("envelopes_refused", help, None, MetricType::Counter)?;
        for (code, value) in &hub.envelopes_refused {
            let labels = [("code", code.to_string())];
            ConstCounter::new(*value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn gauges(hub: &HubStats, engine: &EngineStats) -> [(&'static str, &'static str, u64); 5] {
    [
        ("connections", "Connections now", hub.connections),
        (
            "timelines_watched",
            "Timelines that somebody watches now",
            hub.timelines_watched,
        ),
        (
            "disk_full",
            "1 while writes are refused for want of space",
            u64::from(hub.disk_full),
        ),
        (
            "store_disk_bytes",
            "Bytes of all files of the store",
            engine.disk_bytes,
        ),
        (
            "store_free_bytes",
            "Bytes that the file system has left",
            engine.free_bytes,
        ),
    ]
}

fn counters(hub: &HubStats, engine: &EngineStats) -> [(&'static str, &'static str, u64); 18] {
    [
        (
            "connections_opened",
            "Connections that finished the handshake",
            hub.connections_opened,
        ),
        (
            "frames_received",
            "Frames decoded and verified",
            hub.frames_received,
        ),
        (
            "frames_undecodable",
            "Frames that were neither",
            hub.frames_undecodable,
        ),
        (
            "sessions_failed",
            "Sessions ended by an error",
            hub.sessions_failed,
        ),
        ("commits", "Commits that wrote something", hub.commits),
        (
            "wal_syncs",
            "Syncs of the write-ahead log",
            engine.wal_syncs,
        ),
        ("envelopes_stored", "Envelopes stored", hub.envelopes_stored),
        (
            "envelope_stored_bytes",
            "Bytes of envelopes stored",
            hub.envelope_bytes_stored,
        ),
        (
            "envelopes_duplicate",
            "Envelopes that were here already",
            hub.envelopes_duplicate,
        ),
        (
            "forks",
            "Authors caught writing one number twice",
            hub.forks_seen,
        ),
        ("timelines_opened", "Timelines opened", hub.timelines_opened),
        (
            "acks",
            "Acks made: one for each commit and connection",
            hub.acks,
        ),
        (
            "arrivals_fanned_out",
            "Entries handed to live subscribers",
            hub.arrivals_fanned_out,
        ),
        (
            "ephemerals_relayed",
            "Ephemeral messages passed on",
            hub.ephemerals_relayed,
        ),
        (
            "envelopes_pruned",
            "Envelopes whose body expired and went",
            hub.bodies_pruned,
        ),
        (
            "envelope_pruned_bytes",
            "Bytes of these bodies",
            hub.body_bytes_pruned,
        ),
        (
            "retention_rounds",
            "Rounds of retention that went through everything",
            hub.retention_rounds,
        ),
        (
            "retention_rows_damaged",
            "Damaged rows that retention passed over",
            hub.retention_rows_damaged,
        ),
    ]
}
