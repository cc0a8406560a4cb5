//! Paying out: holds towards a clearing account become a file for the bank, and what the bank says of it
//! posts or voids them.
//!
//! What is paid is in the ledger; names and account numbers are not, and come from whoever keeps them. The
//! file is a function of both, and its digest is recorded before it leaves. So after a crash it is made
//! again, byte for byte, and a batch leaves with one file only. That nobody is paid twice also rests on the
//! bank, which takes a message of one id once.

mod answer;
mod batch;
mod execution;
mod export;
mod fate;
mod item;
mod list;
mod pain001;
mod pain002;
mod payment_csv;
mod person;
mod reason;
mod settlement;
mod text;

pub use answer::{AnswerRecord, FatesAnswer};
pub use batch::{Creditor, Debtor, PAYOUTS_MAX, Payout, PayoutBatch, PayoutFormat, first_settled};
pub use execution::{EXECUTION_DAYS_AHEAD_MAX, check_execution};
pub use export::{ExportAnswer, ExportRecord, Exported, exported};
pub use fate::{Fate, SETTLING_IDS_MAX, settling_id};
pub use item::{batch_of, may_settle};
pub use list::{PayoutHold, exports, holds};
pub use pain002::{PAIN002_BYTES_MAX, PaymentStatus, StatusError, StatusReport};
pub use settlement::{Settlement, answered, settle};
pub use text::{AccountNumber, Agent, Text140};

pub(super) use answer::answer;
pub(super) use export::export;

use khlong_store::error::StoreError;

use super::day::Day;

/// Why there is no payout.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// The store failed; its own words say what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A text that the file cannot hold.
    #[error("`{}` cannot stand in a payment file: {why}", .text.escape_debug())]
    Text {
        /// What was given.
        text: String,
        /// The rule.
        why: &'static str,
    },
    /// None, or too many.
    #[error("a batch has 1 to {PAYOUTS_MAX} payouts, this has {found}")]
    Count {
        /// How many.
        found: usize,
    },
    /// A person's word about no payment, or about too many.
    #[error("name 1 to {PAYOUTS_MAX} payments that were paid or returned, not {found}")]
    Named {
        /// How many.
        found: usize,
    },
    /// The same payout twice.
    #[error("transfer {transfer:032x} is in the list twice")]
    Twice {
        /// Which.
        transfer: u128,
    },
    /// A transfer that cannot be paid out.
    #[error("transfer {transfer:032x} cannot be paid out: {why}")]
    Unfit {
        /// Which.
        transfer: u128,
        /// Why.
        why: &'static str,
    },
    /// A day on which nobody means to pay.
    #[error("the bank cannot be asked to pay on {day}: {why}")]
    Execution {
        /// Which.
        day: Day,
        /// Why not.
        why: &'static str,
    },
    /// The batch left with another file.
    #[error(
        "the batch {batch:032x} left with another file; give the same names and accounts as then"
    )]
    OtherFile {
        /// Which.
        batch: u128,
    },
    /// No such batch.
    #[error("no batch {batch:032x} was exported")]
    UnknownBatch {
        /// Which.
        batch: u128,
    },
    /// The report answers something else than the batch's file.
    #[error(
        "the report answers `{found}`, which is not the file of batch {batch:032x}; ask the bank which file it read"
    )]
    OtherMessage {
        /// Which batch it names.
        batch: u128,
        /// What it names besides.
        found: String,
    },
    /// The writer of XML failed.
    #[error("the file cannot be written: {0}")]
    Write(std::io::Error),
}
