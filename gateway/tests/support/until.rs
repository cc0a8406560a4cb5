//! Waiting for what a real server or a thread is about to do.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::{Duration, Instant};

/// Generous, because the machine may be busy building.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks: what is waited for needs the processor more than whoever waits.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks until `is_so`; after a minute the test fails, and says `what` did not come.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    found(what, || is_so().then_some(()));
}

/// The same for a value, once it is there.
#[track_caller]
pub(crate) fn found<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    found_every(PAUSE, what, look)
}

/// The same, not more often than so: of whoever counts requests.
#[track_caller]
pub(crate) fn found_every<T>(
    pause: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waited {} s in vain until {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(pause);
    }
}
