//! The one place of the gateway that asks clocks.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use khlong_crdt::time::{Monotonic, Now, UnixMillis};

use crate::kernel::{Doubt, Kernel, KernelError};

/// What the driver asks for the time of day and for every moment that it waits for: what is due,
/// pauses of its own commands, old keys, looks at the disk and the journal, tries of a commit.
pub type DriverClock = Arc<dyn Fn() -> Now + Send + Sync>;

/// The system's.
pub(crate) fn system() -> DriverClock {
    let clock = Clock::start();
    Arc::new(move || clock.now())
}

/// Counts from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Now {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic: Monotonic(micros),
            wall: UnixMillis(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// The first reading of the clock; what is odd about it is for whoever reads the log.
pub(super) fn begin(kernel: &mut Kernel, now: UnixMillis, accept: bool) -> Result<(), KernelError> {
    if accept {
        return kernel.accept_time(now);
    }
    match kernel.begin_time(now)? {
        None => {}
        Some(doubt @ Doubt::Alone) => tracing::info!("{doubt}"),
        Some(doubt @ (Doubt::Ahead(_) | Doubt::Behind(_))) => tracing::warn!("{doubt}"),
    }
    Ok(())
}
