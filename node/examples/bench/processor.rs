//! Processor time of another process (Linux: `/proc`).

use std::fs;
use std::time::Duration;

use crate::processes::Failure;

/// What the threads that it has now have taken so far.
pub(crate) fn processor_time_of(pid: u32) -> Result<Duration, Failure> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(times) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue; // it has ended since
        };
        let taken = times.split_whitespace().next();
        nanoseconds += taken.ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
