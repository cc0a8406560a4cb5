//! The kernel without anything to do.

use khlong_crdt::time::Monotonic;
use rand::Rng as _;

use super::Sample;
use super::meter::{Meter, peak_mib};
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;

/// Of a sample.
const EVENTS: u64 = 20_000_000;
/// That wait at once.
const WAITING: u32 = 10_000;
/// Delays are drawn beforehand and used in turn: the draw is not what is measured.
const DELAYS: usize = 1 << 16;
/// The greatest delay, some second.
const DELAY_US_MAX: u64 = 1 << 20;

pub(super) fn sample(seed: u64) -> Sample {
    let mut stream = Seeds::new(seed).stream("bench", "null events");
    let delays: Vec<u64> = (0..DELAYS)
        .map(|_| 1 + stream.next_u64() % DELAY_US_MAX)
        .collect();
    let mut turn = delays.iter().copied().cycle();
    let mut queue = EventQueue::in_order();
    for event in 0..WAITING {
        let at = Monotonic(turn.next().unwrap_or(1));
        queue.schedule(at, EventClass::Timer, event);
    }
    let meter = Meter::begin();
    while queue.taken() < EVENTS
        && let Some((now, event)) = queue.pop_until(Monotonic(u64::MAX))
    {
        let at = now.after_micros(turn.next().unwrap_or(1));
        queue.schedule(at, EventClass::Timer, event);
    }
    let (cpu_s, wall_s) = meter.read();
    Sample {
        figure: queue.taken() as f64 / cpu_s,
        cpu_s,
        wall_s,
        peak_mib: peak_mib(),
    }
}
