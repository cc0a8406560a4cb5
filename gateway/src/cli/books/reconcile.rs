//! `reconcile`: whether a bank's file says what the ledger says.

use std::path::PathBuf;

use clap::Args;
use khlong_store::rows::Rows;

use super::desk::{Desk, Writes, undecided};
use super::{BooksError, look};
use crate::cli::CliError;
use crate::cli::output::Output;
use crate::domains::books::reconciliation::{
    BANK_FILE_BYTES_MAX, BankFile, RecordAnswer, reconcile as compare,
};
use crate::domains::books::{BooksCommand, Day};

/// Flags of `reconcile`.
#[derive(Args, Debug)]
pub struct Reconcile {
    /// The folder of the gateway.
    pub folder: PathBuf,
    /// The bank's CSV, with the columns date, time, amount, reference and direction; - for standard input.
    #[arg(value_name = "CSV")]
    pub file: PathBuf,
    /// The account that stands for the one at the bank, as 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = super::id)]
    pub account: u128,
    /// The first day, as 2026-11-01. Days are those of Bangkok.
    #[arg(long, value_name = "DAY")]
    pub from: Day,
    /// The last day, included; it must be closed.
    #[arg(long, value_name = "DAY")]
    pub to: Day,
    /// Record the digests in the journal; the folder's gateway must not run then.
    #[arg(long)]
    pub record: bool,
    /// Where the journal lies in the database that this configuration names: the folder follows it to its end first,
    /// and no gateway may have the folder so long. With --record it is written there; a gateway that serves on it
    /// may stop then, and must be started again: while one runs, ask /v1/books.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// With --record, go on although the clock seems wrong: you have looked at it.
    #[arg(long, requires = "record")]
    pub accept_time: bool,
}

/// The report, as text or as a JSON object. That there are differences is no failure.
pub(in crate::cli) fn reconcile(output: Output, asked: &Reconcile) -> Result<(), CliError> {
    let bytes = super::read(&asked.file, BANK_FILE_BYTES_MAX)?;
    let file = BankFile::parse(&bytes).map_err(BooksError::BankFile)?;
    let compare = |rows: &dyn Rows| {
        compare(rows, asked.account, asked.from, asked.to, &file)
            .map_err(BooksError::Reconciliation)
    };
    let told = if asked.record {
        let writes = Writes {
            config: asked.config.clone(),
            accept_time: asked.accept_time,
        };
        // First: of a copy only then all is there that the database has.
        let mut desk = Desk::open(&asked.folder, &writes)?;
        let told = compare(desk.kernel().store())?;
        let command = BooksCommand::RecordReconciliation(told.record());
        let (decided, answer) = desk.ask("reconcile", &command, RecordAnswer::decode)?;
        match answer {
            RecordAnswer::Recorded(..) => {}
            RecordAnswer::OtherClose | RecordAnswer::UnknownAccount | RecordAnswer::Differs => {
                return Err(undecided(&decided).into());
            }
        }
        told
    } else {
        compare(look(&asked.folder, asked.config.as_deref())?.as_ref())?
    };
    if output.json {
        output.object(told.json())
    } else {
        output.text(&told.text())
    }
}
