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
mod lines_property;
// The simulator's search for bugs compares with the same one.
#[allow(dead_code, reason = "the search uses more of it")]
#[path = "../../../simulations/src/fuzz/ledger/model.rs"]
mod naive;
mod pending;
mod property;
mod queries;
mod transfers;
mod upcoming;
