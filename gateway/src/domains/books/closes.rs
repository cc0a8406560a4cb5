//! Reading the closes, and checking them against the ledger.

use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::{self, JournalError, JournalSeq};
use khlong_store::rows::Rows;

use super::close::hash;
use super::day::Day;
use super::tables::{self, Close, DayRow};
use super::totals::{AccountClass, Adder, ClassTotals, DayTotals};
use crate::domains::ledger::{Place, first_records, last_records_before, records};

/// Why the closes are not those of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// The store failed; its own words say what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal failed; its own words say what to do.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A close does not follow from the ledger and the close before it.
    #[error(
        "the close of {day} is not what the ledger says: {reason}; restore a backup, and report it"
    )]
    Differs {
        /// The first such day.
        day: Day,
        /// In what.
        reason: &'static str,
    },
}

/// The close of a day; `None` while it is not closed.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn close_of(rows: &dyn Rows, day: Day) -> Result<Option<Close>, StoreError> {
    Ok(match tables::day(rows, day)? {
        Some(DayRow::Closed(close)) => Some(close),
        Some(DayRow::Open(_)) | None => None,
    })
}

/// The last close.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn last_close(rows: &dyn Rows) -> Result<Option<Close>, StoreError> {
    let mut found = None;
    tables::each_close(rows, Day(0), Direction::Reverse, &mut |close| {
        found = Some(close);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// Closes from a day on, in order, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn closes(rows: &dyn Rows, from: Day, max: usize) -> Result<Vec<Close>, StoreError> {
    let mut found = Vec::new();
    tables::each_close(rows, from, Direction::Forward, &mut |close| {
        if found.len() == max {
            return ControlFlow::Break(());
        }
        found.push(close);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// What each class moved on a day that is closed; `None` while it is not.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn close_totals(rows: &dyn Rows, day: Day) -> Result<Option<DayTotals>, StoreError> {
    match close_of(rows, day)? {
        Some(_) => tables::totals(rows, day).map(Some),
        None => Ok(None),
    }
}

/// The same for classes behind `after`, in order, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn close_classes(
    rows: &dyn Rows,
    day: Day,
    after: Option<AccountClass>,
    max: usize,
) -> Result<Option<Vec<(AccountClass, ClassTotals)>>, StoreError> {
    if close_of(rows, day)?.is_none() {
        return Ok(None);
    }
    let mut found = Vec::new();
    tables::each_total(rows, day, after, &mut |class, sums| {
        if found.len() == max {
            return ControlFlow::Break(());
        }
        found.push((class, sums));
        ControlFlow::Continue(())
    })?;
    Ok(Some(found))
}

/// The day that is to be closed next: the one after the last close, at first that of the first record.
/// `None` while the ledger has no record.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn due_day(rows: &dyn Rows) -> Result<Option<Day>, StoreError> {
    if let Some(close) = last_close(rows)? {
        return Ok(Some(close.day.next()));
    }
    Ok(first_records(rows)?.map(|(_, time)| Day::of(time)))
}

/// Days that are over and not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDays {
    /// The first.
    pub from: Day,
    /// The last.
    pub to: Day,
    /// Records of the first that are added up so far.
    pub records: u64,
}

/// The days that are over at `now` and not closed; `None` if there are none.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn due_days(rows: &dyn Rows, now: UnixMillis) -> Result<Option<DueDays>, StoreError> {
    let yesterday = Day::of(now).0.checked_sub(1).map(Day);
    let due = due_day(rows)?
        .zip(yesterday)
        .filter(|(from, to)| from <= to);
    let Some((from, to)) = due else {
        return Ok(None);
    };
    let records = match tables::day(rows, from)? {
        Some(DayRow::Open(progress)) => progress.records,
        Some(DayRow::Closed(_)) | None => 0,
    };
    Ok(Some(DueDays { from, to, records }))
}

/// Checks every close against the ledger and the journal: that no day and no record is left out or
/// counted twice, the sums, and each hash. Reads every record; returns the last close.
///
/// # Errors
/// [`CloseError::Differs`] names the first day that is wrong.
pub fn verify_closes(rows: &dyn Rows) -> Result<Option<Close>, CloseError> {
    let Some(head) = journal::head(rows)? else {
        return Ok(None);
    };
    let mut former: Option<Close> = None;
    let mut due = first_records(rows)?.map(|(_, time)| Day::of(time));
    let mut from = Day(0);
    loop {
        let Some(close) = closes(rows, from, 1)?.first().copied() else {
            return Ok(former);
        };
        let wrong = |reason| CloseError::Differs {
            day: close.day,
            reason,
        };
        if Some(close.day) != due {
            return Err(wrong("it does not follow the close before it"));
        }
        let (after, former_hash) = former.map_or((JournalSeq(0), [0; 32]), |former| {
            (former.last, former.hash)
        });
        if (close.after, close.former_hash) != (after, former_hash) {
            return Err(wrong("it does not begin where the close before it ended"));
        }
        let last = last_records_before(rows, close.day.end())?;
        if last.map_or(after, |last| last.max(after)) != close.last {
            return Err(wrong("it does not end with the last record of the day"));
        }
        let (count, totals) = add_up(rows, &close, &wrong)?;
        if count != close.records || totals != tables::totals(rows, close.day)? {
            return Err(wrong("its records come to other sums"));
        }
        let stored = journal::get(rows, close.last)?;
        if stored.is_none_or(|stored| stored.hash != close.journal_hash)
            || hash(head.id, &close, &totals) != close.hash
        {
            return Err(wrong("its hash is another one"));
        }
        from = close.day.next();
        due = Some(from);
        former = Some(close);
    }
}

/// Adds up the records of a close, and sees that their times are of its day.
fn add_up(
    rows: &dyn Rows,
    close: &Close,
    wrong: &dyn Fn(&'static str) -> CloseError,
) -> Result<(u64, DayTotals), CloseError> {
    let mut totals = DayTotals::default();
    let mut adder = Adder::new(&mut totals);
    let mut count = 0;
    let mut is_of_day = true;
    let from = Place {
        seq: close.after.next(),
        index: 0,
    };
    records(rows, from, close.last, &mut |_, time, record| {
        is_of_day &= Day::of(time) == close.day;
        count += 1;
        adder.add(rows, record, &|_| Ok(ClassTotals::default()))?;
        Ok(ControlFlow::Continue(()))
    })?;
    if is_of_day {
        Ok((count, totals))
    } else {
        Err(wrong("it holds a record of another day"))
    }
}
