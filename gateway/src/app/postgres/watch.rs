//! What a gateway and its way to the database tell each other: that it is to end, and how it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

/// One for all clones of the same options.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stop: watch::Sender<bool>,
    is_away: AtomicBool,
    connections: AtomicU64,
    failures: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(false),
            is_away: AtomicBool::default(),
            connections: AtomicU64::default(),
            failures: AtomicU64::default(),
        }
    }
}

impl Watch {
    /// Whoever waits for a database that does not answer gives up.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Whether it was told to.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.stop.borrow()
    }

    /// Until it is told to.
    pub(super) async fn stopped(&self) {
        // The sender is in here, so it is not gone.
        let _ = self.0.stop.subscribe().wait_for(|is_told| *is_told).await;
    }

    /// Whether the last request got no answer.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.0.is_away.load(Ordering::Relaxed)
    }

    /// Connections that were made and found fit; all but the first are reconnections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Requests that got no answer.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    pub(super) fn connected(&self) {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        self.0.is_away.store(false, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) {
        self.0.is_away.store(true, Ordering::Relaxed);
        self.0.failures.fetch_add(1, Ordering::Relaxed);
    }
}
