//! A comparison as JSON.

use khlong_crdt::time::UnixMillis;
use khlong_store::journal::JournalSeq;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{DayText, hex};
use crate::domains::books::reconciliation::{BankLine, Difference, OurEntry, Reconciliation};
use crate::http::ledger::lines::cursor;
use crate::http::ledger::moment;
use crate::http::ledger::number::{Decimal, Decimal64, Decimal128};
use crate::kernel::Decided;

/// What came of a comparison. Amounts are in satang.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ReconciliationAnswer {
    /// The journal's entry that decided the request.
    entry: u64,
    /// The entry that recorded this report first.
    recorded: u64,
    /// When, RFC 3339.
    time: String,
    #[schema(value_type = String)]
    account_id: Decimal128,
    #[schema(value_type = String, example = "2026-11-27")]
    from: DayText,
    #[schema(value_type = String, example = "2026-11-27")]
    to: DayText,
    /// The hash of the close of the last day, in hexadecimal.
    close: String,
    /// BLAKE3 of the bank's file, in hexadecimal.
    file: String,
    /// Over all of the report, in hexadecimal.
    digest: String,
    /// Pairs without a difference.
    matched: usize,
    /// Entries of the ledger.
    ours: usize,
    /// Lines of the bank.
    bank: usize,
    differences: Vec<DifferenceAnswer>,
}

/// What does not agree.
#[derive(Debug, Serialize, ToSchema)]
struct DifferenceAnswer {
    /// `missing`, `extra`, `duplicate`, `split`, `merged`, `one_satang`, `amount`, `day` or
    /// `reference`.
    #[schema(value_type = String, example = "one_satang")]
    kind: &'static str,
    /// The ledger's side.
    ours: Vec<EntryAnswer>,
    /// The bank's side.
    bank: Vec<BankLineAnswer>,
}

/// An entry of the ledger.
#[derive(Debug, Serialize, ToSchema)]
struct EntryAnswer {
    /// Where it stands in the account's lines.
    cursor: String,
    #[schema(value_type = String)]
    transfer_id: Decimal128,
    #[schema(value_type = String, example = "2026-11-27")]
    day: DayText,
    /// `in` or `out` of the account.
    #[schema(value_type = String, example = "in")]
    direction: &'static str,
    #[schema(value_type = String)]
    amount: Decimal128,
}

/// A line of the bank's file.
#[derive(Debug, Serialize, ToSchema)]
struct BankLineAnswer {
    /// Its number; the header is line 1.
    line: u32,
    #[schema(value_type = String, example = "2026-11-27")]
    day: DayText,
    /// `in` or `out` of the account.
    #[schema(value_type = String, example = "in")]
    direction: &'static str,
    #[schema(value_type = String)]
    amount: Decimal64,
    reference: String,
}

impl ReconciliationAnswer {
    pub(super) fn new(
        told: &Reconciliation,
        decided: &Decided,
        recorded: JournalSeq,
        at: UnixMillis,
    ) -> Self {
        let record = told.record();
        let difference = |difference: &Difference| DifferenceAnswer {
            kind: difference.kind.name(),
            ours: told
                .our_entries(difference)
                .map(EntryAnswer::from)
                .collect(),
            bank: told
                .bank_lines(difference)
                .map(BankLineAnswer::from)
                .collect(),
        };
        Self {
            entry: decided.seq.0,
            recorded: recorded.0,
            time: moment(at),
            account_id: Decimal(record.account),
            from: DayText(record.from),
            to: DayText(record.to),
            close: hex(&record.close_hash),
            file: hex(&record.file_digest),
            digest: hex(&record.report_digest),
            matched: told.matched(),
            ours: told.ours().len(),
            bank: told.bank().len(),
            differences: told.differences().iter().map(difference).collect(),
        }
    }
}

impl From<&OurEntry> for EntryAnswer {
    fn from(entry: &OurEntry) -> Self {
        Self {
            cursor: cursor(entry.place),
            transfer_id: Decimal(entry.id),
            day: DayText(entry.day),
            direction: entry.flow.name(),
            amount: Decimal(entry.amount),
        }
    }
}

impl From<&BankLine> for BankLineAnswer {
    fn from(line: &BankLine) -> Self {
        Self {
            line: line.line,
            day: DayText(line.day),
            direction: line.flow.name(),
            // More than 0.
            amount: Decimal(line.amount.0.unsigned_abs()),
            reference: line.reference.clone(),
        }
    }
}
