//! `payout settle`: what a bank said of a batch, or a person who asked it, is done.
//!
//! Two commands, as over HTTP: the books note the answer and decide what is to become of each hold, then the ledger
//! is asked for just that. After a crash between the two the same answer is handed in again: what was decided stands,
//! and what was settled is left alone.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::BooksError;
use super::desk::{Desk, Writes, undecided};
use super::payout::{id_text, ids, tell_lists};
use crate::cli::CliError;
use crate::cli::output::Output;
use crate::domains::books::BooksCommand;
use crate::domains::books::payout::{
    FatesAnswer, PAIN002_BYTES_MAX, Settlement, StatusReport, answered,
};
use crate::domains::ledger::TransferResult;

/// Flags of `payout settle`.
#[derive(Args, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("said").args(["paid", "returned"]).multiple(true)))]
pub struct Settle {
    /// The folder of a gateway that does not run; of one that runs ask POST /v1/books/payouts/{id}/answers.
    pub folder: PathBuf,
    /// The bank's report; - for standard input.
    #[arg(
        value_name = "XML",
        required_unless_present = "batch",
        conflicts_with = "batch"
    )]
    pub report: Option<PathBuf>,
    /// Without a report: the batch of which --paid and --returned tell, as 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = super::batch, requires = "said")]
    pub batch: Option<u128>,
    /// Without a report: a hold whose payment the bank made, as you know from it.
    #[arg(long, value_name = "ID", value_parser = super::id, requires = "batch", conflicts_with = "report")]
    pub paid: Vec<u128>,
    /// Without a report: a hold whose payment the bank did not make and will not make, as you know from it.
    #[arg(long, value_name = "ID", value_parser = super::id, requires = "batch", conflicts_with = "report")]
    pub returned: Vec<u128>,
    /// How it writes.
    #[command(flatten)]
    pub writes: Writes,
}

/// Each hold of the batch is told once, and what the report names besides.
pub(super) fn settle(output: Output, asked: &Settle) -> Result<(), CliError> {
    let report = read(asked)?;
    let mut desk = Desk::open(&asked.folder, &asked.writes)?;
    let (record, said) = answered(desk.kernel().store(), &report)
        .map_err(|error| BooksError::of_answer(error, asked.batch.is_none()))?;
    let command = BooksCommand::AnswerPayouts(said);
    let (decided, answer) = desk.ask("payout settle", &command, FatesAnswer::decode)?;
    let fates = match answer {
        FatesAnswer::Fates(fates) => fates,
        FatesAnswer::UnknownBatch | FatesAnswer::Differs => {
            return Err(undecided(&decided).into());
        }
    };
    let mut told = Settlement::of(&record, &fates, &report);
    let mut settled_by = None;
    if !told.transfers.is_empty() {
        let entry = decided.seq.0;
        let asked = desk.transfer("payout settle", told.transfers.clone());
        let (settled, failures) = asked.map_err(|error| BooksError::NotCarriedOut {
            entry,
            source: Box::new(error),
        })?;
        told = told.note(&failures).ok_or_else(|| undecided(&settled))?;
        settled_by = Some(settled.seq.0);
    }
    tell(output, record.batch, (decided.seq.0, settled_by), &told)?;
    match told.failed.len() {
        0 => settled_or_told(&told),
        holds => Err(BooksError::Unsettled { holds }.into()),
    }
}

/// That all is well is what a program that is run every day goes by.
fn settled_or_told(told: &Settlement) -> Result<(), CliError> {
    let needs = [&told.doubtful, &told.contradicted].map(Vec::len);
    match (needs, told.foreign.len()) {
        ([0, 0], 0) => Ok(()),
        ([doubtful, contradicted], foreign) => Err(BooksError::NeedsPerson {
            doubtful,
            contradicted,
            foreign,
        }
        .into()),
    }
}

fn read(asked: &Settle) -> Result<StatusReport, CliError> {
    if let Some(batch) = asked.batch {
        let said = StatusReport::of_person(batch, &asked.paid, &asked.returned);
        return Ok(said.map_err(BooksError::Payout)?);
    }
    // Without a batch it is there.
    let path = asked.report.clone().unwrap_or_default();
    let bytes = super::read(&path, PAIN002_BYTES_MAX)?;
    Ok(StatusReport::parse(&bytes).map_err(BooksError::Report)?)
}

fn tell(
    output: Output,
    batch: u128,
    (entry, settled_by): (u64, Option<u64>),
    told: &Settlement,
) -> Result<(), CliError> {
    let failed =
        |(hold, result): &(u128, TransferResult)| format!("{} {}", id_text(*hold), result.name());
    let head = [
        ("batch", json!(id_text(batch))),
        ("entry", json!(entry)),
        ("settled_by", settled_by.map_or(Value::Null, |it| json!(it))),
    ];
    let lists = [
        ("posted", ids(&told.posted)),
        ("voided", ids(&told.voided)),
        ("failed", told.failed.iter().map(failed).collect()),
        ("waiting", ids(&told.waiting)),
        ("doubtful", ids(&told.doubtful)),
        ("settled", ids(&told.settled)),
        ("contradicted", ids(&told.contradicted)),
        ("foreign", told.foreign.clone()),
    ];
    tell_lists(output, "payout_settlement", head, lists)
}
