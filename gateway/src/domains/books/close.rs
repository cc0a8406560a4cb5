//! Closing a day.
//!
//! The times of commands never fall along the journal, so the records of a day are those of a range of
//! it: behind the last command of the close before, up to the last command that left records and whose
//! time is before the day's end. The range is fixed by the first command of a close; what is journaled
//! afterwards has that command's time or a later one, so it belongs to a later day.

use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use khlong_store::error::StoreError;
use khlong_store::journal::{self, JournalError, JournalId, JournalSeq};
use khlong_store::table::Table;

use super::closes::{due_day, last_close};
use super::commands::CloseAnswer;
use super::day::Day;
use super::limits::close_records;
use super::tables::{self, Close, DayRow, Progress};
use super::totals::{Adder, DayTotals};
use crate::domains::ledger::{Place, Transfer, last_records_before, records};
use crate::kernel::{ApplyError, Context, Logic, Notice, Rejection};

/// The topic of the notice that a close leaves.
pub const DAY_CLOSED: &str = "books.day_closed";

/// Closes `asked`, or the day that is next; adds up at most [`close_records`].
pub(super) fn close(
    context: &mut Context<'_, '_>,
    asked: Option<Day>,
) -> Result<CloseAnswer, ApplyError> {
    if let Some(day) = asked
        && let Some(DayRow::Closed(close)) = tables::day(context.rows(), day)?
    {
        return Ok(CloseAnswer::Closed(close));
    }
    let Some(expected) = due_day(context.rows())? else {
        return Ok(CloseAnswer::NothingYet);
    };
    let day = asked.unwrap_or(expected);
    if day != expected {
        return Ok(CloseAnswer::OutOfOrder { expected });
    }
    if context.now() < day.end() {
        let until = day.end();
        return Ok(CloseAnswer::TooEarly { day, until });
    }
    let begun = match tables::day(context.rows(), day)? {
        Some(DayRow::Open(progress)) => progress,
        Some(DayRow::Closed(close)) => return Ok(CloseAnswer::Closed(close)),
        None => begin(context, day)?,
    };
    let (progress, is_whole) = step(context, day, begun)?;
    let (row, answer) = if is_whole {
        let close = finish(context, day, &progress)?;
        tell(context, &close)?;
        (DayRow::Closed(close), CloseAnswer::Closed(close))
    } else {
        let records = progress.records;
        (
            DayRow::Open(progress),
            CloseAnswer::Unfinished { day, records },
        )
    };
    let row = tables::encode_day(&row);
    context.put(Table::BooksClose, tables::day_key(day), row)?;
    Ok(answer)
}

fn begin(context: &Context<'_, '_>, day: Day) -> Result<Progress, StoreError> {
    let after = last_close(context.rows())?.map_or(JournalSeq(0), |close| close.last);
    let last =
        last_records_before(context.rows(), day.end())?.map_or(after, |last| last.max(after));
    Ok(Progress {
        after,
        last,
        records: 0,
        next: Place {
            seq: after.next(),
            index: 0,
        },
    })
}

/// Adds up the next records; says whether they were the last ones.
fn step(
    context: &mut Context<'_, '_>,
    day: Day,
    mut progress: Progress,
) -> Result<(Progress, bool), ApplyError> {
    let max = close_records(context.logic());
    let mut due: Vec<Transfer> = Vec::new();
    let mut next = None;
    records(
        context.rows(),
        progress.next,
        progress.last,
        &mut |place, _, record| {
            if due.len() == max {
                next = Some(place);
                return Ok(ControlFlow::Break(()));
            }
            due.push(*record);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let mut moved = DayTotals::default();
    let mut adder = Adder::new(&mut moved);
    for record in &due {
        let rows = context.rows();
        adder.add(rows, record, &|class| tables::total(rows, day, class))?;
    }
    for (class, totals) in &moved.0 {
        let key = tables::total_key(day, *class);
        context.put(Table::BooksCloseTotal, key, totals.encode())?;
    }
    progress.records += due.len() as u64;
    progress.next = next.unwrap_or(progress.next);
    Ok((progress, next.is_none()))
}

fn finish(context: &Context<'_, '_>, day: Day, progress: &Progress) -> Result<Close, ApplyError> {
    let totals = tables::totals(context.rows(), day)?;
    if !totals.is_balanced() {
        return Err(ApplyError::Rejected(Rejection::Invariant));
    }
    let former = last_close(context.rows())?;
    let (id, journal_hash) = journal_at(context, progress.last)?;
    let mut close = Close {
        day,
        after: progress.after,
        last: progress.last,
        records: progress.records,
        journal_hash,
        former_hash: former.map_or([0; 32], |former| former.hash),
        hash: [0; 32],
    };
    close.hash = hash(id, &close, &totals);
    Ok(close)
}

/// For whoever keeps heads outside, so that no history can be changed unseen. Whether anybody
/// does is not for a domain to know.
fn tell(context: &mut Context<'_, '_>, close: &Close) -> Result<(), ApplyError> {
    if context.logic() < Logic::V3 {
        return Ok(());
    }
    let data = format!(
        r#"{{"day":"{}","seq":"{}","journal_hash":"{}","hash":"{}"}}"#,
        close.day,
        close.last.0,
        HEXLOWER.encode(&close.journal_hash),
        HEXLOWER.encode(&close.hash),
    );
    let topic = DAY_CLOSED.to_owned();
    context.send(&Notice { topic, data }.encode())?;
    Ok(())
}

/// The journal's id, and its hash at a command.
fn journal_at(
    context: &Context<'_, '_>,
    seq: JournalSeq,
) -> Result<(JournalId, [u8; 32]), ApplyError> {
    let missing = || StoreError::corrupt(Table::Journal, &seq.0.to_be_bytes(), "it is missing");
    let head = journal::head(context.rows())?.ok_or_else(missing)?;
    match journal::get(context.rows(), seq) {
        Ok(Some(stored)) => Ok((head.id, stored.hash)),
        Err(JournalError::Store(error) | JournalError::Unreadable { source: error, .. }) => {
            Err(error.into())
        }
        Ok(None) | Err(_) => Err(missing().into()),
    }
}

/// The hash of a close: over the journal's id, all its fields but the hash itself, and its totals.
pub(super) fn hash(id: JournalId, close: &Close, totals: &DayTotals) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 gateway close v1");
    hasher
        .update(id.as_bytes())
        .update(&close.former_hash)
        .update(&close.day.0.to_be_bytes())
        .update(&close.after.0.to_be_bytes())
        .update(&close.last.0.to_be_bytes())
        .update(&close.records.to_be_bytes())
        .update(&close.journal_hash);
    for (class, sums) in &totals.0 {
        hasher
            .update(&class.ledger.to_be_bytes())
            .update(&class.code.to_be_bytes())
            .update(&sums.encode());
    }
    *hasher.finalize().as_bytes()
}
