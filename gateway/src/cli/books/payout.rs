//! `payout`: a batch's file, once more too, and what a bank's report would do to its batch; `settle` does it. The
//! file of a batch that is not recorded never leaves here.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use khlong_store::rows::Rows;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::desk::{Desk, Writes, undecided};
use super::{BooksError, Reads, Settle, look, settle};
use crate::cli::CliError;
use crate::cli::output::{Output, line};
use crate::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, ExportAnswer, PAIN002_BYTES_MAX, PayoutBatch,
    PayoutError, PayoutFormat, StatusReport, Text140, check_execution, exported, settle as told_of,
};
use crate::domains::books::{BooksCommand, Day};
use crate::objects::{Object, object};

/// Bytes of the list of who is paid: the most payouts, of 1,000 bytes each.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What to do with payouts.
#[derive(Debug, Subcommand)]
pub enum Payout {
    /// Record a batch of holds in a folder whose gateway does not run, then write its file to standard output: send
    /// it to the bank once. After a crash `payout again` writes it once more.
    Export(Export),
    /// Write the file of a batch that was recorded to standard output, byte for byte as it was then. Refused
    /// once an answer says what became of a payment of it. Send it only if it did not leave before, or if the bank takes a message once.
    Again(Again),
    /// Say what a bank's pain.002 would do to its batch: what is paid, comes back, waits, or needs a person. Nothing
    /// is done.
    Answer(Answer),
    /// Do what a bank's pain.002 says to its batch, in a folder whose gateway does not run: what is paid is posted,
    /// what was rejected comes back. The same answer again moves nothing. Ends with 9 if all else is done and a person must look at something.
    Settle(Settle),
}

/// Flags of `payout export`.
#[derive(Args, Debug)]
pub struct Export {
    /// The folder of a gateway that does not run.
    pub folder: PathBuf,
    /// The account towards which all is held, as 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = super::id)]
    pub clearing: u128,
    /// The day on which the bank shall pay, as 2026-11-28: today in Bangkok, or at most 366 days ahead.
    #[arg(long, value_name = "DAY")]
    pub execution: Day,
    /// Which file.
    #[arg(long, value_enum, default_value_t = Format::Pain001)]
    pub format: Format,
    /// Who pays and who is paid, as for `payout again`; - for standard input.
    #[arg(long, value_name = "FILE")]
    pub list: PathBuf,
    /// How it writes.
    #[command(flatten)]
    pub writes: Writes,
}

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// ISO 20022, pain.001.001.09.
    Pain001,
    /// CSV.
    Csv,
}

/// Flags of `payout again`.
#[derive(Args, Debug)]
pub struct Again {
    /// The folder of the gateway.
    pub folder: PathBuf,
    /// The batch, as 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = super::batch)]
    pub batch: u128,
    /// Who pays and who is paid, as JSON: debtor {name, account, bank}, creditors [{transfer, name, account,
    /// bank, remittance}]; - for standard input.
    #[arg(long, value_name = "FILE")]
    pub list: PathBuf,
    /// Where the journal lies in the database that this configuration names: what it says now counts, and no gateway
    /// may have the folder so long.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// With --config, go on although the clock seems wrong: you have looked at it.
    #[arg(long, requires = "config")]
    pub accept_time: bool,
}

/// Flags of `payout answer`.
#[derive(Args, Debug)]
pub struct Answer {
    /// The folder of the gateway.
    pub folder: PathBuf,
    /// The bank's report; - for standard input.
    #[arg(value_name = "XML")]
    pub report: PathBuf,
    /// What it reads.
    #[command(flatten)]
    pub reads: Reads,
}

/// The list as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(deserialize_with = "object")]
    debtor: Party,
    creditors: Vec<Object<Item>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Party {
    name: String,
    account: String,
    bank: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    transfer: String,
    name: String,
    account: String,
    bank: String,
    #[serde(default)]
    remittance: Option<String>,
}

pub(in crate::cli) fn payout(output: Output, asked: &Payout) -> Result<(), CliError> {
    match asked {
        Payout::Export(asked) => export(output, asked),
        Payout::Again(asked) => again(output, asked),
        Payout::Answer(asked) => answer(output, asked),
        Payout::Settle(asked) => settle::settle(output, asked),
    }
}

fn export(output: Output, asked: &Export) -> Result<(), CliError> {
    let (debtor, creditors) = parties(&asked.list)?;
    let failed = |error| CliError::from(BooksError::Payout(error));
    let mut desk = Desk::open(&asked.folder, &asked.writes)?;
    let (rows, now) = (desk.kernel().store(), desk.now());
    let batch = PayoutBatch::asked(
        rows,
        debtor,
        asked.clearing,
        now,
        asked.execution,
        creditors,
    )
    .map_err(failed)?;
    let id = batch.id();
    if exported(rows, id).map_err(BooksError::Store)?.is_some() {
        return Err(BooksError::Recorded { batch: id }.into());
    }
    check_execution(asked.execution, Day::of(now)).map_err(failed)?;
    let format = match asked.format {
        Format::Pain001 => PayoutFormat::Pain001,
        Format::Csv => PayoutFormat::Csv,
    };
    let record = batch.record(format).map_err(failed)?;
    let file = batch.file(format).map_err(failed)?;
    let command = BooksCommand::ExportPayouts(record);
    let (decided, told) = desk.ask("payout", &command, ExportAnswer::decode)?;
    match told {
        ExportAnswer::Recorded(..) => {
            tell(output, id, &file).map_err(|source| CliError::FileUntold { batch: id, source })
        }
        // Whoever follows the same database was faster.
        ExportAnswer::OtherFile(_) => Err(BooksError::Recorded { batch: id }.into()),
        ExportAnswer::Unfit(_) | ExportAnswer::InBatch(..) | ExportAnswer::Differs => {
            let refusal = told.refusal(id).map(failed);
            Err(refusal.unwrap_or_else(|| undecided(&decided).into()))
        }
    }
}

/// Who pays, and who is paid for which transfer.
fn parties(list: &Path) -> Result<(Debtor, Vec<(u128, Creditor)>), CliError> {
    let bytes = super::read(list, LIST_BYTES_MAX)?;
    let Object(list): Object<List> = serde_json::from_slice(&bytes).map_err(BooksError::List)?;
    let failed = |error| CliError::from(BooksError::Payout(error));
    let debtor = debtor(&list.debtor).map_err(failed)?;
    let mut creditors = Vec::new();
    for Object(item) in &list.creditors {
        let transfer = super::id(&item.transfer).map_err(|why| BooksError::Transfer {
            text: item.transfer.chars().take(40).collect(),
            why,
        })?;
        creditors.push((transfer, creditor(item).map_err(failed)?));
    }
    Ok((debtor, creditors))
}

fn again(output: Output, asked: &Again) -> Result<(), CliError> {
    let (debtor, creditors) = parties(&asked.list)?;
    let failed = |error| CliError::from(BooksError::Payout(error));
    let batch = asked.batch;
    let file = |rows: &dyn Rows| {
        let known = exported(rows, batch)
            .map_err(BooksError::Store)?
            .ok_or_else(|| failed(PayoutError::UnknownBatch { batch }))?;
        let again = PayoutBatch::again(rows, debtor, &known, creditors).map_err(failed)?;
        again.file(known.record.format).map_err(failed)
    };
    let file = if asked.config.is_some() {
        super::look::refuse_own(&asked.folder)?;
        let writes = Writes {
            config: asked.config.clone(),
            accept_time: asked.accept_time,
        };
        let desk = Desk::open(&asked.folder, &writes)?;
        file(desk.kernel().store())?
    } else {
        // Of a copy nobody knows what was answered since: it is refused.
        file(&super::open(&asked.folder)?)?
    };
    tell(output, batch, &file).map_err(CliError::Output)
}

fn tell(output: Output, batch: u128, file: &[u8]) -> io::Result<()> {
    // It was made of texts.
    let file = String::from_utf8_lossy(file);
    if output.json {
        output.file(&line(Map::from_iter([
            ("kind".to_owned(), json!("payout_file")),
            ("batch".to_owned(), json!(id_text(batch))),
            ("file".to_owned(), json!(file)),
        ])))
    } else {
        output.file(&file)
    }
}

fn debtor(party: &Party) -> Result<Debtor, PayoutError> {
    Ok(Debtor {
        name: Text140::new(&party.name)?,
        account: AccountNumber::new(&party.account)?,
        agent: Agent::new(&party.bank)?,
    })
}

fn creditor(item: &Item) -> Result<Creditor, PayoutError> {
    Ok(Creditor {
        name: Text140::new(&item.name)?,
        account: AccountNumber::new(&item.account)?,
        agent: Agent::new(&item.bank)?,
        remittance: item.remittance.as_deref().map(Text140::new).transpose()?,
    })
}

fn answer(output: Output, asked: &Answer) -> Result<(), CliError> {
    let bytes = super::read(&asked.report, PAIN002_BYTES_MAX)?;
    let report = StatusReport::parse(&bytes).map_err(BooksError::Report)?;
    let rows = look(&asked.folder, asked.reads.config.as_deref())?;
    let told = told_of(rows.as_ref(), &report);
    let told = told.map_err(|error| BooksError::of_answer(error, true))?;
    let lists = [
        ("posts", ids(&told.posted)),
        ("voids", ids(&told.voided)),
        ("waits", ids(&told.waiting)),
        ("doubtful", ids(&told.doubtful)),
        ("settled", ids(&told.settled)),
        ("contradicts", ids(&told.contradicted)),
        ("foreign", told.foreign),
    ];
    let head = [("batch", json!(id_text(report.batch)))];
    tell_lists(output, "payout_answer", head, lists)
}

pub(super) fn ids(holds: &[u128]) -> Vec<String> {
    holds.iter().map(|hold| id_text(*hold)).collect()
}

/// Some facts, then each hold with the name of the list that it is in: a line each, or an object.
pub(super) fn tell_lists<const H: usize, const L: usize>(
    output: Output,
    kind: &str,
    head: [(&str, Value); H],
    lists: [(&str, Vec<String>); L],
) -> Result<(), CliError> {
    if output.json {
        let mut fields = Map::from_iter([("kind".to_owned(), json!(kind))]);
        fields.extend(head.map(|(name, value)| (name.to_owned(), value)));
        fields.extend(lists.map(|(name, ids)| (name.to_owned(), json!(ids))));
        return output.object(fields);
    }
    let mut text = String::new();
    for (name, value) in head {
        // Without quotation marks.
        let said = match value.as_str() {
            Some(words) => words.to_owned(),
            None => value.to_string(),
        };
        if !value.is_null() {
            text.push_str(&format!("{name}: {said}\n"));
        }
    }
    for (name, ids) in lists {
        for id in ids {
            text.push_str(&format!("{name}: {id}\n"));
        }
    }
    output.text(&text)
}

pub(super) fn id_text(id: u128) -> String {
    format!("{id:032x}")
}
