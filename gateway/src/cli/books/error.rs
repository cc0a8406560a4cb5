//! What ends a command about the books, and with which exit code.

use std::path::PathBuf;

use khlong_store::error::StoreError;

use crate::cli::CliError;
use crate::cli::error::of_io;
use crate::domains::books::audit::AuditError;
use crate::domains::books::payout::{PayoutError, SETTLING_IDS_MAX, StatusError};
use crate::domains::books::reconciliation::{ReconciliationError, Refused};
use crate::domains::books::{CloseError, Day, StatementError};
use crate::domains::l10n::FormatError;
use crate::kernel::KernelError;

/// Why there is nothing to tell of the books.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The folder cannot be read.
    #[error("the folder cannot be read")]
    Store(#[source] StoreError),
    /// Another folder.
    #[error("{path} is no folder of a gateway", path = path.display())]
    NotAGateway {
        /// Which.
        path: PathBuf,
    },
    /// A folder that holds a copy, and no word where the journal is.
    #[error(
        "the journal of {path} lies in a database; name the gateway's configuration with --config",
        path = path.display()
    )]
    JournalElsewhere {
        /// The folder.
        path: PathBuf,
    },
    /// A folder with its own journal, and the word that it is elsewhere.
    #[error(
        "the journal of {path} lies in the folder itself; leave --config out to read it as it stands, or name a folder that follows the database",
        path = path.display()
    )]
    JournalHere {
        /// The folder.
        path: PathBuf,
    },
    /// Holds that the ledger did not settle.
    #[error(
        "{holds} holds were not settled, see `failed`; open an account that is closed first (each try spends one of {SETTLING_IDS_MAX} ids of a hold), then hand the same answer in again"
    )]
    Unsettled {
        /// How many.
        holds: usize,
    },
    /// What was said is not what the ledger has, or may not be so.
    #[error(
        "all else is done, and a person must look at these: {doubtful} doubtful, {contradicted} contradicted, {foreign} foreign"
    )]
    NeedsPerson {
        /// Rejections that may be of a payment that is made.
        doubtful: usize,
        /// Holds of which the ledger, or an earlier answer, says something else.
        contradicted: usize,
        /// Payments that are none of the batch.
        foreign: usize,
    },
    /// The books decided, and the ledger was not asked.
    #[error(
        "entry {entry} notes the answer and decides, and it is not carried out; hand the same answer in again"
    )]
    NotCarriedOut {
        /// What decided.
        entry: u64,
        /// Why not.
        #[source]
        source: Box<CliError>,
    },
    /// A newer release wrote it.
    #[error("the folder has schema {schema}, of a newer version; use that one")]
    Newer {
        /// Which.
        schema: u32,
    },
    /// No statement.
    #[error("there is no statement")]
    Statement(#[source] StatementError),
    /// No cursor.
    #[error("`{0}` is no cursor; give the place of a statement's last line, as 17-3")]
    Cursor(String),
    /// The language data are missing.
    #[error("there is no statement")]
    Format(#[source] FormatError),
    /// No comparison.
    #[error("nothing was compared")]
    Reconciliation(#[source] ReconciliationError),
    /// The bank's file has faults.
    #[error("the bank's file is refused")]
    BankFile(#[source] Refused),
    /// The list of who is paid is none.
    #[error("the list of who is paid cannot be read")]
    List(#[source] serde_json::Error),
    /// The list of who is paid names a transfer by what is no id.
    #[error("`{}` in the list of who is paid is no transfer: {why}", .text.escape_debug())]
    Transfer {
        /// What was given.
        text: String,
        /// How to write it.
        why: String,
    },
    /// No file of a batch, and no answer to it.
    #[error("there is no payout")]
    Payout(#[source] PayoutError),
    /// A bank's report about something that did not leave here.
    #[error("the bank's report is about something else; ask the bank whose file it read")]
    Foreign(#[source] PayoutError),
    /// The bank's report is none.
    #[error("the bank's report is refused")]
    Report(#[source] StatusError),
    /// A day that goes on.
    #[error("{day} is not over yet; name an earlier day")]
    NotOver {
        /// Which.
        day: Day,
    },
    /// A batch that was recorded before.
    #[error(
        "batch {batch:032x} was recorded before, and its file may have left; ask the bank, then `payout again` writes it once more"
    )]
    Recorded {
        /// Which.
        batch: u128,
    },
    /// A command that was rejected.
    #[error(
        "the books did not take this, and entry {entry} of the journal says why (`export` prints it); report it"
    )]
    Undecided {
        /// Its entry.
        entry: u64,
    },
    /// The closes are wrong.
    #[error("the closes do not hold")]
    Closes(#[source] CloseError),
    /// The tables are not those of the journal.
    #[error("the tables do not follow from the journal")]
    Views(#[source] KernelError),
    /// No table.
    #[error("the journal was not written")]
    Audit(#[source] AuditError),
}

impl BooksError {
    /// What is wrong with an answer to a batch; `is_report`: a bank gave it, and nobody typed the batch.
    pub(super) fn of_answer(error: PayoutError, is_report: bool) -> Self {
        if is_report && matches!(error, PayoutError::UnknownBatch { .. }) {
            return Self::Foreign(error);
        }
        Self::Payout(error)
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Format(_)
            | Self::NotOver { .. }
            | Self::Recorded { .. }
            | Self::Unsettled { .. }
            | Self::Undecided { .. } => 1,
            Self::NotCarriedOut { source, .. } => source.exit_code(),
            Self::NotAGateway { .. } | Self::JournalElsewhere { .. } | Self::JournalHere { .. } => {
                3
            }
            Self::Newer { .. } => 8,
            Self::Cursor(_) => 2,
            Self::Statement(error) => of_statement(error),
            // What a bank says is not what it must be.
            Self::BankFile(_) | Self::Report(_) | Self::Foreign(_) | Self::NeedsPerson { .. } => 9,
            Self::List(_) | Self::Transfer { .. } => 2,
            Self::Payout(error) => match error {
                PayoutError::Store(error) => error.exit_code(),
                PayoutError::Text { .. }
                | PayoutError::Execution { .. }
                | PayoutError::Count { .. }
                | PayoutError::Named { .. }
                | PayoutError::Twice { .. } => 2,
                PayoutError::Unfit { .. }
                | PayoutError::UnknownBatch { .. }
                | PayoutError::Write(_) => 1,
                PayoutError::OtherFile { .. } | PayoutError::OtherMessage { .. } => 9,
            },
            Self::Reconciliation(error) => match error {
                ReconciliationError::Statement(error) => of_statement(error),
                ReconciliationError::Store(error) => error.exit_code(),
                ReconciliationError::OutsidePeriod { .. } | ReconciliationError::NotBaht => 2,
                ReconciliationError::NotClosed { .. } | ReconciliationError::TooMany => 1,
            },
            Self::Closes(error) => match error {
                CloseError::Store(error) => error.exit_code(),
                CloseError::Journal(error) => error.exit_code(),
                CloseError::Differs { .. } => 9,
            },
            Self::Views(error) => error.exit_code(),
            Self::Audit(error) => match error {
                AuditError::Journal(error) => error.exit_code(),
                AuditError::Broken { .. } => 9,
                AuditError::UnknownEntry { .. } => 8,
                AuditError::Write(error) => of_io(error),
            },
        }
    }
}

fn of_statement(error: &StatementError) -> u8 {
    match error {
        StatementError::Store(error) => error.exit_code(),
        StatementError::UnknownAccount { .. } => 1,
        StatementError::Period { .. } | StatementError::Era { .. } => 2,
        StatementError::Differs { .. } => 9,
    }
}
