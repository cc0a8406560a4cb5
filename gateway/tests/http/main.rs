//! The gateway over HTTP: a real server on a port of this machine, a real folder, real
//! connections; and for what only a failing disk shows, an imaginary one.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod backup;
mod books;
mod browser;
mod client;
mod close_killed;
mod config;
mod config_command;
mod days;
mod due;
mod failing;
#[path = "../fixture/mod.rs"]
mod fixture;
mod flags;
mod group_commit;
mod idempotency;
mod killed;
mod limits;
mod lines;
mod lists;
#[path = "../support/log.rs"]
mod log;
mod malformed;
mod many_comparisons;
mod metrics;
mod monitoring;
mod office;
mod overdue;
mod paced;
mod page;
mod payout_days;
mod payout_refusals;
mod payouts;
#[path = "../program/mod.rs"]
mod program;
#[path = "../support/queries.rs"]
mod queries;
mod rejected;
mod routes;
mod server;
mod service;
mod stalled;
mod unreadable;
#[path = "../support/until.rs"]
mod until;
