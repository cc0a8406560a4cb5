//! What is kept of a comparison: its digests. The report itself can be made again from the ledger and
//! the file.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use crate::domains::behind::behind;
use crate::domains::books::closes::close_of;
use crate::domains::books::day::Day;
use crate::domains::ledger;
use crate::kernel::{ApplyError, Context};

/// A comparison, as a command records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconciliationRecord {
    /// The account.
    pub account: u128,
    /// The first day.
    pub from: Day,
    /// The last day, included.
    pub to: Day,
    /// The hash of the close of the last day.
    pub close_hash: [u8; 32],
    /// BLAKE3 of the bank's file.
    pub file_digest: [u8; 32],
    /// What came of it; see `Reconciliation::digest`.
    pub report_digest: [u8; 32],
    /// Pairs without a difference.
    pub matched: u32,
    /// Differences.
    pub differences: u32,
}

/// A comparison that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The command that recorded it first.
    pub seq: JournalSeq,
    /// The time of it.
    pub at: UnixMillis,
    /// What it said.
    pub record: ReconciliationRecord,
}

/// What comes of recording one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordAnswer {
    /// 0: it is recorded; by which command first, and when.
    Recorded(JournalSeq, UnixMillis),
    /// 1: the last day is not closed, or under another hash.
    OtherClose,
    /// 2: there is no such account.
    UnknownAccount,
    /// 3: a report with that digest is recorded, and is another one; or its first day is after its last.
    Differs,
}

impl RecordAnswer {
    /// `code 1 ‖ fields`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Recorded(seq, at) => Encoder::new().u8(0).u64(seq.0).i64(at.0).finish(),
            Self::OtherClose => vec![1],
            Self::UnknownAccount => vec![2],
            Self::Differs => vec![3],
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(bytes);
        let answer = match fields.u8()? {
            0 => Self::Recorded(JournalSeq(fields.u64()?), UnixMillis(fields.i64()?)),
            1 => Self::OtherClose,
            2 => Self::UnknownAccount,
            3 => Self::Differs,
            _ => return None,
        };
        fields.end()?;
        Some(answer)
    }
}

impl ReconciliationRecord {
    /// `account 16 ‖ from 4 ‖ to 4 ‖ close hash 32 ‖ file digest 32 ‖ report digest 32 ‖ matched 4 ‖ differences 4`.
    pub(in crate::domains::books) fn put(&self, start: Encoder) -> Encoder {
        start
            .fixed(&self.account.to_be_bytes())
            .u32(self.from.0)
            .u32(self.to.0)
            .fixed(&self.close_hash)
            .fixed(&self.file_digest)
            .fixed(&self.report_digest)
            .u32(self.matched)
            .u32(self.differences)
    }

    pub(in crate::domains::books) fn take(fields: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            account: u128::from_be_bytes(fields.fixed()?),
            from: Day(fields.u32()?),
            to: Day(fields.u32()?),
            close_hash: fields.fixed()?,
            file_digest: fields.fixed()?,
            report_digest: fields.fixed()?,
            matched: fields.u32()?,
            differences: fields.u32()?,
        })
    }
}

/// Keeps the digests. The same report again is answered as it was first.
pub(in crate::domains::books) fn record(
    context: &mut Context<'_, '_>,
    record: &ReconciliationRecord,
) -> Result<RecordAnswer, ApplyError> {
    if let Some(known) = recorded(context.rows(), &record.report_digest)? {
        return Ok(if known.record == *record {
            RecordAnswer::Recorded(known.seq, known.at)
        } else {
            RecordAnswer::Differs
        });
    }
    if record.from > record.to {
        return Ok(RecordAnswer::Differs);
    }
    if ledger::account(context.rows(), record.account)?.is_none() {
        return Ok(RecordAnswer::UnknownAccount);
    }
    let close = close_of(context.rows(), record.to)?;
    if close.is_none_or(|close| close.hash != record.close_hash) {
        return Ok(RecordAnswer::OtherClose);
    }
    let (seq, at) = (context.seq(), context.now());
    let row = record.put(Encoder::new().u64(seq.0).i64(at.0)).finish();
    let key = record.report_digest.to_vec();
    context.put(Table::BooksReconciliation, key, row)?;
    Ok(RecordAnswer::Recorded(seq, at))
}

/// What was recorded of the report with that digest.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn recorded(rows: &dyn Rows, report_digest: &[u8; 32]) -> Result<Option<Recorded>, StoreError> {
    match rows.get(Table::BooksReconciliation, report_digest)? {
        Some(row) => decode(report_digest, &row).map(Some),
        None => Ok(None),
    }
}

/// The comparisons that were recorded behind the digest `after`, by their digests, at most `max`. Their order is not
/// that of time.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn reconciliations(
    rows: &dyn Rows,
    after: Option<[u8; 32]>,
    max: usize,
) -> Result<Vec<Recorded>, StoreError> {
    let after = after.as_ref().map(<[u8; 32]>::as_slice);
    behind(rows, Table::BooksReconciliation, after, max, decode)
}

/// The comparisons of which a day at least was not compared again since, the one that was recorded last
/// first; `None` if more than `max` are recorded, which are not read.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn standing(rows: &dyn Rows, max: usize) -> Result<Option<Vec<Recorded>>, StoreError> {
    let mut found = Vec::new();
    let mut is_all = true;
    rows.scan(
        Table::BooksReconciliation,
        &KeyRange::all(),
        Direction::Forward,
        &mut |key, row| {
            if found.len() == max {
                is_all = false;
                return Ok(ControlFlow::Break(()));
            }
            found.push(decode(key, row)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    if !is_all {
        return Ok(None);
    }
    found.sort_by_key(|it| Reverse(it.seq));
    let mut known: BTreeMap<u128, Days> = BTreeMap::new();
    found.retain(|it| {
        let days = known.entry(it.record.account).or_default();
        days.add(it.record.from, it.record.to)
    });
    Ok(Some(found))
}

/// Days: the last of each run of them, by its first. No two runs touch.
#[derive(Default)]
struct Days(BTreeMap<Day, Day>);

impl Days {
    /// Returns whether one of them is new.
    fn add(&mut self, mut from: Day, mut to: Day) -> bool {
        let before = self.0.range(..=from).next_back();
        if before.is_some_and(|(_, last)| *last >= to) {
            return false;
        }
        loop {
            let touching = self.0.range(..=to.next()).next_back();
            let Some((&first, &last)) = touching.filter(|(_, last)| last.next() >= from) else {
                break;
            };
            self.0.remove(&first);
            (from, to) = (from.min(first), to.max(last));
        }
        self.0.insert(from, to);
        true
    }
}

fn decode(report_digest: &[u8], row: &[u8]) -> Result<Recorded, StoreError> {
    let mut fields = Decoder::new(row);
    let found = (|| {
        let found = Recorded {
            seq: JournalSeq(fields.u64()?),
            at: UnixMillis(fields.i64()?),
            record: ReconciliationRecord::take(&mut fields)?,
        };
        fields.end()?;
        Some(found)
    })();
    found.ok_or_else(|| {
        StoreError::corrupt(
            Table::BooksReconciliation,
            report_digest,
            "the row does not have the layout of its table",
        )
    })
}
