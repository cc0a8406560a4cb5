//! Time and memory of this process.

use std::fs;
use std::time::Instant;

/// What has passed since it was begun.
pub(super) struct Meter {
    wall: Instant,
    cpu_ns: Option<u64>,
}

impl Meter {
    pub(super) fn begin() -> Self {
        Self {
            wall: Instant::now(),
            cpu_ns: cpu_ns(),
        }
    }

    /// Processor time of this thread and wall time, in seconds. Where the system
    /// does not tell the first (it is Linux's), it is the second.
    pub(super) fn read(&self) -> (f64, f64) {
        let wall = self.wall.elapsed().as_secs_f64();
        let cpu = cpu_ns()
            .zip(self.cpu_ns)
            .map_or(wall, |(now, then)| now.saturating_sub(then) as f64 / 1e9);
        (cpu, wall)
    }
}

/// Nanoseconds that this thread was on a processor (proc(5), `schedstat`).
fn cpu_ns() -> Option<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The most memory that the process ever had (proc(5), `VmHWM`), in MiB; 0 where the system does not tell.
pub(super) fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}
