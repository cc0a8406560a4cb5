//! The books: closes, statements, comparisons with a bank, payouts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../fixture/mod.rs"]
mod fixture;

mod audit;
mod bank_file;
mod close;
mod decided;
mod golden;
#[path = "../golden_file/mod.rs"]
mod golden_file;
mod golden_notices;
mod golden_owned;
mod office;
mod owned;
mod owned_property;
mod pain002;
mod payout;
mod property;
mod reconciliation;
mod settlement;
mod shops;
mod statement;
