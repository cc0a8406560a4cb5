//! Reading the ledger's records in the order in which they were made, whatever account they moved.

use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::commands::take_transfer;
use super::limits::{CHUNK_RECORDS, TRANSFER_BYTES};
use super::model::{Place, Transfer, TransferFlags};
use super::query::transfer;
use super::tables;

/// What a record does to both of its accounts: to the debits of one, and to the credits of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// Pending from now on.
    pub holds: u128,
    /// Pending no longer.
    pub releases: u128,
    /// Posted.
    pub posts: u128,
}

/// Sees a record: its place, its time, itself.
pub type RecordVisitor<'v> =
    dyn FnMut(Place, UnixMillis, &Transfer) -> Result<ControlFlow<()>, StoreError> + 'v;

/// What `record` does; `None` if it ends a hold that is not there.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn effect(rows: &dyn Rows, record: &Transfer) -> Result<Option<Effect>, StoreError> {
    let releases = if record.settles() {
        match transfer(rows, record.pending_id)? {
            Some((pending, _, _)) => pending.amount,
            None => return Ok(None),
        }
    } else {
        0
    };
    let gives_back = TransferFlags::VOID_PENDING_TRANSFER.with(TransferFlags::EXPIRED);
    let (holds, posts) = if record.flags.has(TransferFlags::PENDING) {
        (record.amount, 0)
    } else if record.flags.has_any(gives_back) {
        (0, 0)
    } else {
        (0, record.amount)
    };
    Ok(Some(Effect {
        holds,
        releases,
        posts,
    }))
}

/// Shows `visit` the records from `from` on, up to those of command `last`, until it breaks.
///
/// # Errors
/// From the disk, a damaged row, and what `visit` returns.
pub fn records(
    rows: &dyn Rows,
    from: Place,
    last: JournalSeq,
    visit: &mut RecordVisitor<'_>,
) -> Result<(), StoreError> {
    let chunk_of = |index: u16| u16::try_from(usize::from(index) / CHUNK_RECORDS).unwrap_or(0);
    let range = KeyRange {
        start: tables::chunk_key(from.seq, chunk_of(from.index)),
        end: (last.0 < u64::MAX).then(|| tables::chunk_key(last.next(), 0)),
    };
    rows.scan(
        Table::LedgerTransfer,
        &range,
        Direction::Forward,
        &mut |key, row| {
            let damaged = || StoreError::corrupt(Table::LedgerTransfer, key, "not transfers");
            let (first, time) = head(key, row).ok_or_else(damaged)?;
            let (chunks, []) = row
                .get(8..)
                .unwrap_or_default()
                .as_chunks::<TRANSFER_BYTES>()
            else {
                return Err(damaged());
            };
            for (index, bytes) in (first.index..).zip(chunks) {
                let place = Place { index, ..first };
                if place < from {
                    continue;
                }
                let record = take_transfer(&mut Decoder::new(bytes)).ok_or_else(damaged)?;
                if visit(place, time, &record)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        },
    )
}

/// The first command that left records, and its time.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn first_records(rows: &dyn Rows) -> Result<Option<(JournalSeq, UnixMillis)>, StoreError> {
    at_edge(rows, &KeyRange::all(), Direction::Forward)
}

/// The last command that left records and whose time is before `time`. Times never fall along the
/// journal, so it is looked for by halves.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn last_records_before(
    rows: &dyn Rows,
    time: UnixMillis,
) -> Result<Option<JournalSeq>, StoreError> {
    let Some((last, at)) = at_edge(rows, &KeyRange::all(), Direction::Reverse)? else {
        return Ok(None);
    };
    if at < time {
        return Ok(Some(last));
    }
    // All below `low` are before the time, all from `high` on are not.
    let (mut low, mut high) = (0, last.0);
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let range = KeyRange {
            start: tables::chunk_key(JournalSeq(middle), 0),
            end: None,
        };
        match at_edge(rows, &range, Direction::Forward)? {
            Some((seq, at)) if at < time => {
                found = Some(seq);
                low = seq.next().0;
            }
            Some(_) | None => high = middle,
        }
    }
    Ok(found)
}

/// The command of the first row that a scan meets, and its time.
fn at_edge(
    rows: &dyn Rows,
    range: &KeyRange,
    direction: Direction,
) -> Result<Option<(JournalSeq, UnixMillis)>, StoreError> {
    let mut found = None;
    rows.scan(Table::LedgerTransfer, range, direction, &mut |key, row| {
        let (place, time) = head(key, row)
            .ok_or_else(|| StoreError::corrupt(Table::LedgerTransfer, key, "not transfers"))?;
        found = Some((place.seq, time));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// The place of a row's first record, and its time.
fn head(key: &[u8], row: &[u8]) -> Option<(Place, UnixMillis)> {
    let mut place = Decoder::new(key);
    let seq = JournalSeq(place.u64()?);
    let chunk = u16::from_be_bytes(place.fixed()?);
    place.end()?;
    let index = usize::from(chunk).checked_mul(CHUNK_RECORDS)?;
    let place = Place {
        seq,
        index: u16::try_from(index).ok()?,
    };
    Some((place, UnixMillis(Decoder::new(row).i64()?)))
}
