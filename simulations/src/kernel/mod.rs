//! What every simulation stands on: the event loop, randomness, the trace.
//!
//! Time is [`khlong_crdt::time::Monotonic`], microseconds since the start of
//! the run: the cores of node and relay take the same type, so nothing is
//! converted between the simulator and what it drives.

pub mod queue;
pub mod seeds;
pub mod trace;

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: u64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: u64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: u64 = 24 * HOUR;
