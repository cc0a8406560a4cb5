//! The ledger, case by case and against a naive one.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../fixture/mod.rs"]
mod fixture;

mod accounts;
mod chains;
mod groups;
mod naive;
mod pending;
mod property;
mod queries;
mod transfers;
