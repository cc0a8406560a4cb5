//! How long whoever fills a folder, or catches up, waits while its store is busy with what was written
//! before. Nobody has asked for anything then, so only a disk that does not come to an end is told.

use std::time::{Duration, Instant};

use khlong_store::engine::Patience;

use super::limits::{STALL_PAUSE_MAX, STALL_PAUSE_MIN, STALL_WITHIN};

/// Waits for one commit as long as [`STALL_WITHIN`], by the system's clock, with pauses that grow.
#[derive(Debug)]
pub struct BulkPatience {
    within: Duration,
    since: Instant,
}

impl BulkPatience {
    /// Of another length.
    #[must_use]
    pub fn within(within: Duration) -> Self {
        Self {
            within,
            since: Instant::now(),
        }
    }
}

impl Default for BulkPatience {
    fn default() -> Self {
        Self::within(STALL_WITHIN)
    }
}

impl Patience for BulkPatience {
    fn wait(&mut self, tries: u32) -> bool {
        if tries == 1 {
            self.since = Instant::now();
            tracing::info!("the store is busy with its compactions, and waited for");
        }
        if self.since.elapsed() >= self.within {
            return false;
        }
        let factor = 2_u32.saturating_pow(tries.saturating_sub(1));
        std::thread::sleep(STALL_PAUSE_MIN.saturating_mul(factor).min(STALL_PAUSE_MAX));
        true
    }
}
