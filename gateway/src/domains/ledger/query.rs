//! Reading the ledger: accounts, transfers, an account's lines by time, statements.
//!
//! No row is kept for a line: each command leaves one row for each account that it moved,
//! with the balances after it, and the lines between are told from the records. They must
//! come to the balances of the row, so a statement also checks what it reads.

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::limits::PAGE_LINES_MAX;
use super::model::{
    AccountState, Asset, Balances, IdState, Place, Transfer, TransferFlags, TransferState,
};
use super::tables::{self, BalanceRow, Records};

/// The order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The oldest line first.
    Forward,
    /// The newest line first.
    Reverse,
}

/// From `start`, included, to `end`, excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub start: UnixMillis,
    /// The first moment after it.
    pub end: UnixMillis,
}

impl Period {
    /// All times.
    pub const ALWAYS: Self = Self {
        start: UnixMillis(i64::MIN),
        end: UnixMillis(i64::MAX),
    };
}

/// One movement of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Where it stands: also the cursor to go on after it.
    pub place: Place,
    /// When.
    pub time: UnixMillis,
    /// What; with flag `EXPIRED` and id 0, the end of a hold.
    pub record: Transfer,
    /// The account's balances after it.
    pub balances: Balances,
}

/// Some lines, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order that was asked for.
    pub lines: Vec<Line>,
    /// Pass it as `after` for the lines that follow; `None` when there are none.
    pub next: Option<Place>,
}

/// An account over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Before the first moment.
    pub opening: Balances,
    /// After the last one.
    pub closing: Balances,
    /// What lies between, the oldest first; further pages through [`lines`].
    pub page: Page,
}

/// The account as it stands.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn account(rows: &dyn Rows, id: u128) -> Result<Option<AccountState>, StoreError> {
    tables::account(rows, id)
}

/// The asset.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn asset(rows: &dyn Rows, ledger: u32) -> Result<Option<Asset>, StoreError> {
    tables::asset(rows, ledger)
}

/// A transfer, when it was made and what became of it.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn transfer(
    rows: &dyn Rows,
    id: u128,
) -> Result<Option<(Transfer, UnixMillis, TransferState)>, StoreError> {
    let Some(IdState::Transfer(state, place)) = tables::id_state(rows, id)? else {
        return Ok(None);
    };
    let (record, time) = tables::record(rows, place)?;
    Ok(Some((record, time, state)))
}

/// What moved the account in the period, at most `max` lines (and [`PAGE_LINES_MAX`]),
/// beyond the line `after`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn lines(
    rows: &dyn Rows,
    account: u128,
    period: Period,
    direction: Direction,
    after: Option<Place>,
    max: usize,
) -> Result<Page, StoreError> {
    let max = max.clamp(1, PAGE_LINES_MAX);
    let (start, end) = (
        first_at(rows, account, period.start)?,
        first_at(rows, account, period.end)?,
    );
    let mut page = Page {
        lines: Vec::new(),
        next: None,
    };
    let mut row = match (direction, after) {
        (Direction::Forward, None) => tables::balance_from(rows, account, start)?,
        (Direction::Forward, Some(after)) => {
            tables::balance_from(rows, account, after.seq.max(start))?
        }
        (Direction::Reverse, None) => tables::balance_before(rows, account, end)?,
        // A cursor is a caller's: its place may be the last number there is.
        (Direction::Reverse, Some(after)) if after.seq < end => {
            tables::balance_before(rows, account, after.seq.next())?
        }
        (Direction::Reverse, Some(_)) => tables::balance_before(rows, account, end)?,
    };
    while let Some(found) = row.filter(|row| row.seq >= start && row.seq < end) {
        let mut told = lines_of(rows, account, &found)?;
        if direction == Direction::Reverse {
            told.reverse();
        }
        for line in told {
            let is_behind = after.is_none_or(|after| match direction {
                Direction::Forward => line.place > after,
                Direction::Reverse => line.place < after,
            });
            if !is_behind {
                continue;
            }
            if page.lines.len() == max {
                page.next = page.lines.last().map(|line| line.place);
                return Ok(page);
            }
            page.lines.push(line);
        }
        row = match direction {
            Direction::Forward => tables::balance_from(rows, account, found.seq.next())?,
            Direction::Reverse => tables::balance_before(rows, account, found.seq)?,
        };
    }
    Ok(page)
}

/// The account over a period: its first page, and its balances before and after all of it.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn statement(
    rows: &dyn Rows,
    account: u128,
    period: Period,
    max: usize,
) -> Result<Statement, StoreError> {
    let at = |time| -> Result<Balances, StoreError> {
        let seq = first_at(rows, account, time)?;
        let row = tables::balance_before(rows, account, seq)?;
        Ok(row.map_or_else(Balances::default, |row| row.balances))
    };
    Ok(Statement {
        opening: at(period.start)?,
        closing: at(period.end)?,
        page: lines(rows, account, period, Direction::Forward, None, max)?,
    })
}

/// The first place at which the account moved at `time` or later; behind all of them if it
/// did not. Times never fall along the journal, so it is looked for by halves.
fn first_at(rows: &dyn Rows, account: u128, time: UnixMillis) -> Result<JournalSeq, StoreError> {
    let behind = |row: &BalanceRow| row.seq.next().0;
    let last = tables::balance_before(rows, account, JournalSeq(u64::MAX))?;
    let (mut low, mut high) = (0, last.as_ref().map_or(0, behind));
    while low < high {
        let middle = low + (high - low) / 2;
        match tables::balance_from(rows, account, JournalSeq(middle))? {
            Some(row) if row.time < time => low = behind(&row),
            Some(_) | None => high = middle,
        }
    }
    Ok(JournalSeq(low))
}

/// The lines of one command, the oldest first.
fn lines_of(rows: &dyn Rows, account: u128, row: &BalanceRow) -> Result<Vec<Line>, StoreError> {
    let before = tables::balance_before(rows, account, row.seq)?;
    let mut balances = before.map_or_else(Balances::default, |row| row.balances);
    let mut lines = Vec::with_capacity(row.moves.len());
    let mut records = Records::default();
    let wrong = || {
        let key = tables::balance_key(account, row.seq);
        StoreError::corrupt(
            Table::LedgerBalance,
            &key,
            "the balances do not follow from the transfers",
        )
    };
    for index in &row.moves {
        let place = Place {
            seq: row.seq,
            index: *index,
        };
        let (record, time) = records.read(rows, place)?;
        balances = step(rows, balances, account, &record)?.ok_or_else(wrong)?;
        lines.push(Line {
            place,
            time,
            record,
            balances,
        });
    }
    if balances == row.balances {
        Ok(lines)
    } else {
        Err(wrong())
    }
}

/// The balances after `record`; `None` if it does not fit them.
fn step(
    rows: &dyn Rows,
    mut balances: Balances,
    account: u128,
    record: &Transfer,
) -> Result<Option<Balances>, StoreError> {
    let held = if record.settles() {
        match transfer(rows, record.pending_id)? {
            Some((pending, _, _)) => pending.amount,
            None => return Ok(None),
        }
    } else {
        0
    };
    let (pending, posted) = if record.debit_account_id == account {
        (&mut balances.debits_pending, &mut balances.debits_posted)
    } else if record.credit_account_id == account {
        (&mut balances.credits_pending, &mut balances.credits_posted)
    } else {
        return Ok(None);
    };
    let gives_back = TransferFlags::VOID_PENDING_TRANSFER.with(TransferFlags::EXPIRED);
    let (holds, posts) = if record.flags.has(TransferFlags::PENDING) {
        (record.amount, 0)
    } else if record.flags.has_any(gives_back) {
        (0, 0)
    } else {
        (0, record.amount)
    };
    let Some(new_pending) = pending
        .checked_add(holds)
        .and_then(|sum| sum.checked_sub(held))
    else {
        return Ok(None);
    };
    let Some(new_posted) = posted.checked_add(posts) else {
        return Ok(None);
    };
    (*pending, *posted) = (new_pending, new_posted);
    Ok(Some(balances))
}
