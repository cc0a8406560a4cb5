//! What an account did from one day to another.
//!
//! Where a day is closed its bounds are those of the close, and they must come to the same balances as
//! the times of the records do: a statement that does not agree with the closes is not given.

use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::rows::Rows;

use super::closes::{close_of, last_close};
use super::day::Day;
use super::tables::Close;
use crate::domains::ledger::{
    self, Account, Asset, Balances, Direction, Line, Period, Place, balances_after, lines,
};

/// Which account, which days, and which lines of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementQuery {
    /// The account.
    pub account: u128,
    /// The first day.
    pub from: Day,
    /// The last day, included.
    pub to: Day,
    /// The cursor of the page before; `None` for the first page.
    pub after: Option<Place>,
    /// Lines of a page, at most `ledger::limits::PAGE_LINES_MAX`.
    pub max: usize,
}

/// A page of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatement {
    /// What was asked.
    pub query: StatementQuery,
    /// The account.
    pub account: Account,
    /// What it counts.
    pub asset: Asset,
    /// Before the first day.
    pub opening: Balances,
    /// After the last day.
    pub closing: Balances,
    /// The lines of this page, the oldest first.
    pub lines: Vec<Line>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<Place>,
    /// The last close that covers a day of it; `None` if all of its days are open.
    pub close: Option<Close>,
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The store failed; its own words say what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such account.
    #[error("there is no account {id:032x}")]
    UnknownAccount {
        /// Its id.
        id: u128,
    },
    /// The days are the wrong way round.
    #[error("{from} is after {to}; name the earlier day first")]
    Period {
        /// The first day.
        from: Day,
        /// The last day.
        to: Day,
    },
    /// The last day is of no year that these books can have.
    #[error("the year of {day} is none of the Common Era (take 543 from one of the Buddhist Era)")]
    Era {
        /// Which.
        day: Day,
    },
    /// A close and the records' times disagree.
    #[error(
        "the account does not come to what the close of {day} says; restore a backup, and report it"
    )]
    Differs {
        /// The close.
        day: Day,
    },
}

/// A page of an account's statement.
///
/// # Errors
/// [`StatementError`].
pub fn statement(
    rows: &dyn Rows,
    query: StatementQuery,
) -> Result<AccountStatement, StatementError> {
    let StatementQuery {
        account: id,
        from,
        to,
        after,
        max,
    } = query;
    if from > to {
        return Err(StatementError::Period { from, to });
    }
    if !to.is_of_common_era() {
        return Err(StatementError::Era { day: to });
    }
    let unknown = StatementError::UnknownAccount { id };
    let Some(account) = ledger::account(rows, id)?.map(|state| state.account) else {
        return Err(unknown);
    };
    let Some(asset) = ledger::asset(rows, account.ledger)? else {
        return Err(unknown);
    };
    let period = Period {
        start: from.start(),
        end: to.end(),
    };
    // Of a later page the bounds alone are of use.
    let first_max = if after.is_some() { 1 } else { max };
    let told = ledger::statement(rows, id, period, first_max)?;
    let page = match after {
        None => told.page,
        Some(_) => lines(rows, id, period, Direction::Forward, after, max)?,
    };
    check(rows, id, from.0.checked_sub(1).map(Day), told.opening)?;
    check(rows, id, Some(to), told.closing)?;
    Ok(AccountStatement {
        query,
        account,
        asset,
        opening: told.opening,
        closing: told.closing,
        lines: page.lines,
        next: page.next,
        close: covering(rows, from, to)?,
    })
}

/// If `day` is closed, the account's balances at its end are those at its close.
fn check(
    rows: &dyn Rows,
    account: u128,
    day: Option<Day>,
    told: Balances,
) -> Result<(), StatementError> {
    let Some(day) = day else {
        return Ok(());
    };
    match close_of(rows, day)? {
        Some(close) if balances_after(rows, account, close.last)? != told => {
            Err(StatementError::Differs { day })
        }
        Some(_) | None => Ok(()),
    }
}

/// The last close of a day of the period.
fn covering(rows: &dyn Rows, from: Day, to: Day) -> Result<Option<Close>, StoreError> {
    let Some(last) = last_close(rows)? else {
        return Ok(None);
    };
    close_of(rows, last.day.min(to)).map(|close| close.filter(|close| close.day >= from))
}

/// A cursor as text: `17-3`.
#[must_use]
pub fn cursor(place: Place) -> String {
    format!("{}-{}", place.seq.0, place.index)
}

/// Reads what [`cursor`] wrote.
#[must_use]
pub fn parse_cursor(text: &str) -> Option<Place> {
    let (seq, index) = text.split_once('-')?;
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(seq) || !is_plain(index) {
        return None;
    }
    Some(Place {
        seq: JournalSeq(seq.parse().ok()?),
        index: index.parse().ok()?,
    })
}
