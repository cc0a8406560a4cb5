//! The report of a comparison: for machines, for people, and its digest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use khlong_store::rows::Rows;
use serde_json::{Map, Value, json};

use super::ReconciliationError;
use super::bank_file::{BankFile, BankLine, Flow};
use super::compare::{Compared, Difference, DifferenceKind, compare};
use super::fields::shown;
use super::ours::{OurEntry, entries};
use super::record::ReconciliationRecord;
use crate::domains::books::amount::{balance, decimal};
use crate::domains::books::closes::close_of;
use crate::domains::books::day::Day;
use crate::domains::books::statement::cursor;
use crate::domains::books::tables::Close;

/// Decimals of baht.
const SCALE: u8 = 2;

/// What came of comparing an account with a bank's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    account: u128,
    from: Day,
    close: Close,
    file_digest: [u8; 32],
    ours: Vec<OurEntry>,
    bank: Vec<BankLine>,
    compared: Compared,
}

/// Compares what moved an account on closed days with the bank's file of these days.
///
/// # Errors
/// [`ReconciliationError`].
pub fn reconcile(
    rows: &dyn Rows,
    account: u128,
    from: Day,
    to: Day,
    file: &BankFile,
) -> Result<Reconciliation, ReconciliationError> {
    let close = closed_for(rows, from, to, file)?;
    let ours = entries(rows, account, from, to)?;
    Ok(Reconciliation::of(account, from, close, file, ours))
}

/// The close of the last day, if these days can be compared with the file.
///
/// # Errors
/// [`ReconciliationError::NotClosed`], [`ReconciliationError::OutsidePeriod`], or from the disk.
pub fn closed_for(
    rows: &dyn Rows,
    from: Day,
    to: Day,
    file: &BankFile,
) -> Result<Close, ReconciliationError> {
    let close = close_of(rows, to)?.ok_or(ReconciliationError::NotClosed { day: to })?;
    let mut lines = file.lines.iter();
    match lines.find(|line| line.day < from || line.day > to) {
        Some(line) => Err(ReconciliationError::OutsidePeriod {
            line: line.line,
            day: line.day,
        }),
        None => Ok(close),
    }
}

impl Reconciliation {
    /// Compares what moved the account from a day on, up to that of the close, with the file. Needs no rows:
    /// nothing of days that are closed changes while pages of it are read.
    #[must_use]
    pub fn of(
        account: u128,
        from: Day,
        close: Close,
        file: &BankFile,
        ours: Vec<OurEntry>,
    ) -> Self {
        let compared = compare(&ours, &file.lines);
        Self {
            account,
            from,
            close,
            file_digest: file.digest,
            ours,
            bank: file.lines.clone(),
            compared,
        }
    }

    /// Pairs without a difference.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.compared.matched.len()
    }

    /// The differences: places in [`Self::ours`] and [`Self::bank`].
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.compared.differences
    }

    /// Our entries, by time.
    #[must_use]
    pub fn ours(&self) -> &[OurEntry] {
        &self.ours
    }

    /// The bank's lines, in the order of the file.
    #[must_use]
    pub fn bank(&self) -> &[BankLine] {
        &self.bank
    }

    /// BLAKE3 over what was compared and every difference. `DOMAINS.md` has its layout.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher =
            blake3::Hasher::new_derive_key("khlong.network 2026-11 gateway reconciliation v1");
        hasher
            .update(&self.account.to_be_bytes())
            .update(&self.from.0.to_be_bytes())
            .update(&self.close.day.0.to_be_bytes())
            .update(&self.close.hash)
            .update(&self.file_digest)
            .update(&count(self.matched()))
            .update(&count(self.differences().len()));
        for difference in self.differences() {
            hasher
                .update(&[difference.kind.number()])
                .update(&count(difference.ours.len()));
            for entry in self.our_entries(difference) {
                hasher
                    .update(&entry.place.seq.0.to_be_bytes())
                    .update(&entry.place.index.to_be_bytes());
            }
            hasher.update(&count(difference.bank.len()));
            for line in self.bank_lines(difference) {
                hasher.update(&line.line.to_be_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }

    /// What the command records.
    #[must_use]
    pub fn record(&self) -> ReconciliationRecord {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        ReconciliationRecord {
            account: self.account,
            from: self.from,
            to: self.close.day,
            close_hash: self.close.hash,
            file_digest: self.file_digest,
            report_digest: self.digest(),
            matched: number(self.matched()),
            differences: number(self.differences().len()),
        }
    }

    /// For machines. Amounts are decimals as text.
    #[must_use]
    pub fn json(&self) -> Map<String, Value> {
        let differences: Vec<Value> = self
            .differences()
            .iter()
            .map(|difference| {
                let ours: Vec<Value> = self.our_entries(difference).map(our_json).collect();
                let bank: Vec<Value> = self.bank_lines(difference).map(bank_json).collect();
                json!({
                    "kind": difference.kind.name(),
                    "difference": self.apart(difference),
                    "ours": ours,
                    "bank": bank,
                })
            })
            .collect();
        let object = json!({
            "kind": "reconciliation",
            "account": format!("{:032x}", self.account),
            "from": self.from.to_string(),
            "to": self.close.day.to_string(),
            "close": hex(&self.close.hash),
            "file": hex(&self.file_digest),
            "report": hex(&self.digest()),
            "ours": self.side(|flow| self.our_sum(flow), self.ours.len()),
            "bank": self.side(|flow| self.bank_sum(flow), self.bank.len()),
            "matched": self.matched(),
            "differences": differences,
        });
        match object {
            Value::Object(fields) => fields,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        }
    }

    /// For people: counts, then a paragraph for each difference.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "Account {:032x}, {} to {}\nLedger: {} entries, in {}, out {}\nBank: {} lines, in {}, out {}\nMatched: {}\nDifferences: {}\n",
            self.account,
            self.from,
            self.close.day,
            self.ours.len(),
            decimal(self.our_sum(Flow::In), SCALE),
            decimal(self.our_sum(Flow::Out), SCALE),
            self.bank.len(),
            decimal(self.bank_sum(Flow::In), SCALE),
            decimal(self.bank_sum(Flow::Out), SCALE),
            self.matched(),
            self.differences().len(),
        );
        let mut counts: BTreeMap<DifferenceKind, usize> = BTreeMap::new();
        for difference in self.differences() {
            *counts.entry(difference.kind).or_default() += 1;
        }
        // Writing into a text cannot fail.
        for (kind, count) in counts {
            let _ = writeln!(text, "  {}: {count}", words(kind));
        }
        for difference in self.differences() {
            let _ = writeln!(
                text,
                "\n{}, bank less ledger {}",
                words(difference.kind),
                self.apart(difference)
            );
            for entry in self.our_entries(difference) {
                let _ = writeln!(
                    text,
                    "  ledger {} {} {} {:032x}",
                    entry.day,
                    entry.flow.name(),
                    decimal(entry.amount, SCALE),
                    entry.id
                );
            }
            for line in self.bank_lines(difference) {
                let _ = writeln!(
                    text,
                    "  bank line {} {} {} {} {}",
                    line.line,
                    line.day,
                    line.flow.name(),
                    line.amount,
                    shown(&line.reference)
                );
            }
        }
        let _ = writeln!(text, "\nDigest: {}", hex(&self.digest()));
        text
    }

    fn side(&self, sum: impl Fn(Flow) -> u128, entries: usize) -> Value {
        json!({
            "entries": entries,
            "in": decimal(sum(Flow::In), SCALE),
            "out": decimal(sum(Flow::Out), SCALE),
        })
    }

    /// Our entries of a difference.
    pub fn our_entries<'r>(
        &'r self,
        difference: &'r Difference,
    ) -> impl Iterator<Item = &'r OurEntry> {
        difference.ours.iter().filter_map(|at| self.ours.get(*at))
    }

    /// The bank's lines of a difference.
    pub fn bank_lines<'r>(
        &'r self,
        difference: &'r Difference,
    ) -> impl Iterator<Item = &'r BankLine> {
        difference.bank.iter().filter_map(|at| self.bank.get(*at))
    }

    /// What the bank has more than the ledger; what went out counts as less.
    fn apart(&self, difference: &Difference) -> String {
        let (mut more, mut less) = (0_u128, 0_u128);
        for line in self.bank_lines(difference) {
            let side = match line.flow {
                Flow::In => &mut more,
                Flow::Out => &mut less,
            };
            *side = side.saturating_add(line.amount.0.unsigned_abs().into());
        }
        for entry in self.our_entries(difference) {
            let side = match entry.flow {
                Flow::In => &mut less,
                Flow::Out => &mut more,
            };
            *side = side.saturating_add(entry.amount);
        }
        balance(more, less, SCALE)
    }

    fn our_sum(&self, flow: Flow) -> u128 {
        let of_flow = self.ours.iter().filter(|entry| entry.flow == flow);
        of_flow.fold(0, |sum: u128, entry| sum.saturating_add(entry.amount))
    }

    fn bank_sum(&self, flow: Flow) -> u128 {
        let of_flow = self.bank.iter().filter(|line| line.flow == flow);
        of_flow
            .map(|line| u128::from(line.amount.0.unsigned_abs()))
            .sum()
    }
}

fn words(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Missing => "Missing at the bank",
        DifferenceKind::Extra => "Extra at the bank",
        DifferenceKind::Duplicate => "Once more at the bank",
        DifferenceKind::Split => "Split at the bank",
        DifferenceKind::Merged => "Merged at the bank",
        DifferenceKind::OneSatang => "One satang off",
        DifferenceKind::Amount => "Another amount",
        DifferenceKind::Day => "Another day",
        DifferenceKind::Reference => "Another reference",
    }
}

fn our_json(entry: &OurEntry) -> Value {
    json!({
        "place": cursor(entry.place),
        "transfer": format!("{:032x}", entry.id),
        "day": entry.day.to_string(),
        "direction": entry.flow.name(),
        "amount": decimal(entry.amount, SCALE),
    })
}

fn bank_json(line: &BankLine) -> Value {
    json!({
        "line": line.line,
        "day": line.day.to_string(),
        "direction": line.flow.name(),
        "amount": line.amount.to_string(),
        "reference": line.reference,
    })
}

fn count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}
