//! Whether the bank says the same as the ledger about an account that stands for one at the bank.
//!
//! Over closed days, so that neither side changes any more. Nothing is moved: the result is a report, and
//! a command that records its digest.
//!
//! What belongs together is told by references. A bank line that is referred to by a transfer's id, as 32
//! hexadecimal digits, belongs to that transfer (of a hold, to its post); any other reference to the
//! transfers whose `user_data_128` is its [`reference_key`].

mod bank_file;
mod compare;
mod fields;
mod ours;
mod record;
mod report;

pub use bank_file::{
    BANK_FILE_BYTES_MAX, BANK_LINES_MAX, BankError, BankFile, BankLine, Flow, PROBLEMS_MAX,
    Problem, REFERENCE_BYTES_MAX, Refused,
};
pub use compare::{Difference, DifferenceKind};
pub use ours::{OUR_ENTRIES_MAX, OurEntry, OurPage, our_page, reference_key};
pub use record::{
    ReconciliationRecord, RecordAnswer, Recorded, reconciliations, recorded, standing,
};
pub use report::{Reconciliation, closed_for, reconcile};

pub(super) use record::record;

use khlong_store::error::StoreError;

use super::day::Day;
use super::statement::StatementError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReconciliationError {
    /// There is no statement of the account.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The store failed; its own words say what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A day of the period is open.
    #[error("{day} is not closed yet; close it first, or compare the days before it")]
    NotClosed {
        /// The last day asked for.
        day: Day,
    },
    /// The account does not count satang.
    #[error("the account does not count hundredths of baht; name one that does")]
    NotBaht,
    /// A bank line is of another day.
    #[error(
        "line {line}: {day} is not among the days that are compared; name its day, or cut the file"
    )]
    OutsidePeriod {
        /// In the file.
        line: u32,
        /// Its day.
        day: Day,
    },
    /// Too much at once.
    #[error("the account has more than {OUR_ENTRIES_MAX} entries in these days; compare fewer")]
    TooMany,
}
