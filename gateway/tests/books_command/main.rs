//! `khlong-gateway statement`, `reconcile`, `payout` and `audit` on a real folder: what they print, what they refuse and
//! with which exit code, that they change nothing, and what they record when they are asked to.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../program/mod.rs"]
mod program;

mod folder;
mod payouts;
mod settle;
mod told;
mod unread;
