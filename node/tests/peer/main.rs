//! The sans-IO peer in virtual time: on imaginary disks, no file, no clock, no socket.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod border;
mod conversation;
mod course;
mod disk;
mod failed_commit;
mod faults;
mod imports;
mod joining;
mod net;
mod old_nodes;
mod patience;
mod quiet;
mod relays;
mod reoffer;
mod reoffer_rows;
mod reoffer_terms;
mod restored;
mod snapshots;

/// What every wall clock shows at the start: a day in September 2026.
const WALL_START_MS: i64 = 1_790_000_000_000;
