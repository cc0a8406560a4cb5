//! The rows of the books: one encoder and one decoder each.

use std::ops::ControlFlow;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::day::Day;
use super::totals::{AccountClass, ClassTotals, DayTotals};
use crate::domains::ledger::Place;

const LAYOUT: &str = "the row does not have the layout of its table";

/// A day that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// Which.
    pub day: Day,
    /// The last command of the close before it; 0 for the first.
    pub after: JournalSeq,
    /// The last command whose records it covers; `after` if there are none.
    pub last: JournalSeq,
    /// How many records.
    pub records: u64,
    /// The journal's hash at `last`.
    pub journal_hash: [u8; 32],
    /// The hash of the close before it; zeros for the first.
    pub former_hash: [u8; 32],
    /// The hash over all of this: publish it.
    pub hash: [u8; 32],
}

/// A day that is being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) after: JournalSeq,
    pub(super) last: JournalSeq,
    pub(super) records: u64,
    /// The first record that is not added up.
    pub(super) next: Place,
}

/// The row of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayRow {
    Open(Progress),
    Closed(Close),
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;

/// `after 8 ‖ last 8 ‖ records 8 ‖ journal hash 32 ‖ former hash 32 ‖ hash 32`.
pub(super) fn put_close(start: Encoder, close: &Close) -> Encoder {
    start
        .u64(close.after.0)
        .u64(close.last.0)
        .u64(close.records)
        .fixed(&close.journal_hash)
        .fixed(&close.former_hash)
        .fixed(&close.hash)
}

pub(super) fn take_close(day: Day, fields: &mut Decoder<'_>) -> Option<Close> {
    Some(Close {
        day,
        after: JournalSeq(fields.u64()?),
        last: JournalSeq(fields.u64()?),
        records: fields.u64()?,
        journal_hash: fields.fixed()?,
        former_hash: fields.fixed()?,
        hash: fields.fixed()?,
    })
}

pub(super) fn day_key(day: Day) -> Vec<u8> {
    Encoder::new().u32(day.0).finish()
}

/// `1 ‖ close`, or while it is being closed `0 ‖ after 8 ‖ last 8 ‖ records 8 ‖ next: seq 8 ‖ index 2`.
pub(super) fn encode_day(row: &DayRow) -> Vec<u8> {
    let start = Encoder::new();
    match row {
        DayRow::Closed(close) => put_close(start.u8(CLOSED), close).finish(),
        DayRow::Open(progress) => start
            .u8(OPEN)
            .u64(progress.after.0)
            .u64(progress.last.0)
            .u64(progress.records)
            .u64(progress.next.seq.0)
            .fixed(&progress.next.index.to_be_bytes())
            .finish(),
    }
}

fn decode_day(key: &[u8], row: &[u8]) -> Result<(Day, DayRow), StoreError> {
    let mut place = Decoder::new(key);
    let mut fields = Decoder::new(row);
    let decoded = (|| {
        let day = Day(place.u32()?);
        place.end()?;
        let row = match fields.u8()? {
            CLOSED => DayRow::Closed(take_close(day, &mut fields)?),
            OPEN => DayRow::Open(Progress {
                after: JournalSeq(fields.u64()?),
                last: JournalSeq(fields.u64()?),
                records: fields.u64()?,
                next: Place {
                    seq: JournalSeq(fields.u64()?),
                    index: u16::from_be_bytes(fields.fixed()?),
                },
            }),
            _ => return None,
        };
        fields.end()?;
        Some((day, row))
    })();
    decoded.ok_or_else(|| StoreError::corrupt(Table::BooksClose, key, LAYOUT))
}

pub(super) fn day(rows: &dyn Rows, day: Day) -> Result<Option<DayRow>, StoreError> {
    let key = day_key(day);
    match rows.get(Table::BooksClose, &key)? {
        Some(row) => decode_day(&key, &row).map(|(_, row)| Some(row)),
        None => Ok(None),
    }
}

/// Shows `visit` the days from `from` on that are closed.
pub(super) fn each_close(
    rows: &dyn Rows,
    from: Day,
    direction: Direction,
    visit: &mut dyn FnMut(Close) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let range = KeyRange {
        start: day_key(from),
        end: None,
    };
    rows.scan(Table::BooksClose, &range, direction, &mut |key, row| {
        Ok(match decode_day(key, row)? {
            (_, DayRow::Closed(close)) => visit(close),
            (_, DayRow::Open(_)) => ControlFlow::Continue(()),
        })
    })
}

/// `[day 4][asset 4][class 2]`.
pub(super) fn total_key(day: Day, class: AccountClass) -> Vec<u8> {
    Encoder::new()
        .u32(day.0)
        .u32(class.ledger)
        .fixed(&class.code.to_be_bytes())
        .finish()
}

/// What a class moved so far on a day.
pub(super) fn total(
    rows: &dyn Rows,
    day: Day,
    class: AccountClass,
) -> Result<ClassTotals, StoreError> {
    let key = total_key(day, class);
    match rows.get(Table::BooksCloseTotal, &key)? {
        Some(row) => ClassTotals::decode(&row)
            .ok_or_else(|| StoreError::corrupt(Table::BooksCloseTotal, &key, LAYOUT)),
        None => Ok(ClassTotals::default()),
    }
}

/// What all classes moved so far on a day.
pub(super) fn totals(rows: &dyn Rows, day: Day) -> Result<DayTotals, StoreError> {
    let mut totals = DayTotals::default();
    each_total(rows, day, None, &mut |class, sums| {
        totals.0.insert(class, sums);
        ControlFlow::Continue(())
    })?;
    Ok(totals)
}

/// Shows `visit` what each class behind `after` moved so far on a day.
pub(super) fn each_total(
    rows: &dyn Rows,
    day: Day,
    after: Option<AccountClass>,
    visit: &mut dyn FnMut(AccountClass, ClassTotals) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut range = KeyRange::prefix(&day_key(day));
    if let Some(after) = after {
        range.start = total_key(day, after);
        // The first key behind it.
        range.start.push(0);
    }
    rows.scan(
        Table::BooksCloseTotal,
        &range,
        Direction::Forward,
        &mut |key, row| {
            let mut fields = Decoder::new(key);
            let class = (|| {
                fields.u32()?;
                Some(AccountClass {
                    ledger: fields.u32()?,
                    code: u16::from_be_bytes(fields.fixed()?),
                })
            })();
            let found = class.zip(ClassTotals::decode(row));
            let (class, sums) =
                found.ok_or_else(|| StoreError::corrupt(Table::BooksCloseTotal, key, LAYOUT))?;
            Ok(visit(class, sums))
        },
    )
}
