//! Independent work on several threads, its results in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::error::SimError;

/// Does `work(0)`, `work(1)`, … `work(count − 1)` on `jobs` threads (all processors if absent) and
/// hands the results to `take` in this order. Stops at the first error, of whichever.
///
/// Results wait until those before them are there; a thread that is too far ahead waits too.
pub(super) fn in_order<T: Send>(
    count: usize,
    jobs: Option<usize>,
    work: impl Fn(usize) -> Result<T, SimError> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), SimError>,
) -> Result<(), SimError> {
    let processors = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = jobs.unwrap_or_else(processors).clamp(1, count.max(1));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (send, receive) = sync_channel(jobs);
        for _ in 0..jobs {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    // The receiver goes away at the first error.
                    if place >= count || send.send((place, work(place))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut wanted = 0;
        for (place, result) in receive {
            waiting.insert(place, result?);
            while let Some(result) = waiting.remove(&wanted) {
                take(wanted, result)?;
                wanted += 1;
            }
        }
        Ok(())
    })
}
