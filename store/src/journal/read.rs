//! Reading entries back, and checking that they are the ones that were appended.

use std::ops::ControlFlow;

use super::{Chain, Entry, Head, JournalError, JournalSeq, head, key};
use crate::batch::Overlay;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Decoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// An entry as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: JournalSeq,
    /// The hash over it and all before.
    pub hash: [u8; 32],
    /// What was appended.
    pub entry: Entry,
}

/// The entry at `seq`, if the journal goes so far.
///
/// # Errors
/// [`JournalError::Broken`] if its row is damaged, [`JournalError::Unreadable`] if bytes under it are.
pub fn get(rows: &dyn Rows, seq: JournalSeq) -> Result<Option<Stored>, JournalError> {
    match rows.get(Table::Journal, &key(seq)) {
        Ok(None) => Ok(None),
        Ok(Some(row)) => decode(seq, &row).map(Some),
        Err(error) => Err(name(seq, error)),
    }
}

/// Shows `visit` the entries from `from` on, in order and without a gap, until it breaks.
/// Entries are whole rows; that they are the ones that were appended is for [`verify`] to say.
///
/// # Errors
/// [`JournalError::Broken`] names the first entry that is damaged or missing,
/// [`JournalError::Unreadable`] the first under which bytes of the disk are; and what `visit` returns.
pub fn read<E: From<JournalError>>(
    rows: &dyn Rows,
    from: JournalSeq,
    visit: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let last = head(rows)
        .map_err(JournalError::from)?
        .ok_or(JournalError::Missing)?
        .seq;
    let mut due = from.max(JournalSeq(1));
    let mut outcome = Ok(());
    let mut ended = false;
    let range = KeyRange {
        start: key(due),
        end: None,
    };
    let scanned = rows.scan_each(
        Table::Journal,
        &range,
        Direction::Forward,
        &mut |found, row| match step(due, last, found, row)
            .map_err(E::from)
            .and_then(&mut *visit)
        {
            Ok(ControlFlow::Continue(())) => {
                due = due.next();
                Ok(ControlFlow::Continue(()))
            }
            Ok(ControlFlow::Break(())) => {
                ended = true;
                Ok(ControlFlow::Break(()))
            }
            Err(error) => {
                outcome = Err(error);
                Ok(ControlFlow::Break(()))
            }
        },
    );
    // All before `due` was shown, and was whole.
    scanned.map_err(|error| name(due, error))?;
    outcome?;
    if !ended && due <= last {
        return Err(missing(due).into());
    }
    Ok(())
}

/// Reads the whole journal and checks each hash and the head.
///
/// # Errors
/// [`JournalError::Broken`] names the first entry that is not the one that was appended, and
/// [`JournalError::Unreadable`] the first that the disk does not give back.
pub fn verify(rows: &dyn Rows) -> Result<Head, JournalError> {
    let head = head(rows)?.ok_or(JournalError::Missing)?;
    let chain = Chain::of(head.id);
    let mut reached = Head::start(head.id);
    read(rows, JournalSeq(1), &mut |stored| {
        let entry = &stored.entry;
        reached = chain.extend(reached, &entry.header, &entry.command, &entry.outcome);
        if reached.hash == stored.hash {
            Ok(ControlFlow::Continue(()))
        } else {
            Err(broken(
                stored.seq,
                "its hash does not follow from the entries up to it",
            ))
        }
    })?;
    if reached == head {
        Ok(head)
    } else {
        Err(broken(head.seq, "the head has another hash"))
    }
}

/// The entries that wait in a batch, which follow `expected`.
pub(super) fn appended(batch: &Overlay, expected: JournalSeq) -> Result<Vec<Stored>, JournalError> {
    let mut found = Vec::new();
    let mut due = expected.next();
    for (place, row) in batch.rows(Table::Journal).into_iter().flatten() {
        let row = row.as_deref().filter(|_| *place == key(due));
        found.push(decode(due, row.ok_or_else(|| missing(due))?)?);
        due = due.next();
    }
    Ok(found)
}

/// One row of a scan: the entry that is due, or what is wrong.
fn step(
    due: JournalSeq,
    last: JournalSeq,
    found: &[u8],
    row: Result<&[u8], StoreError>,
) -> Result<Stored, JournalError> {
    if due > last {
        return Err(broken(due, "it stands behind the head"));
    }
    if found != key(due) {
        return Err(missing(due));
    }
    match row {
        Ok(row) => decode(due, row),
        Err(error) => Err(name(due, error)),
    }
}

fn decode(seq: JournalSeq, row: &[u8]) -> Result<Stored, JournalError> {
    let mut fields = Decoder::new(row);
    let stored = (|| {
        let hash = fields.fixed()?;
        let header = usize::try_from(fields.u32()?).ok()?;
        let command = usize::try_from(fields.u32()?).ok()?;
        Some(Stored {
            seq,
            hash,
            entry: Entry {
                header: fields.bytes(header)?.to_vec(),
                command: fields.bytes(command)?.to_vec(),
                outcome: fields.tail().to_vec(),
            },
        })
    })();
    stored.ok_or_else(|| broken(seq, "the row does not have the layout of its table"))
}

/// A damaged row, or damaged bytes of the disk, named by the place in the journal; what else the disk
/// says stays as it is.
fn name(seq: JournalSeq, error: StoreError) -> JournalError {
    if let StoreError::Corrupt { reason, .. } = error {
        return broken(seq, reason);
    }
    if error.is_damage() {
        return JournalError::Unreadable {
            seq: seq.0,
            source: error,
        };
    }
    JournalError::Store(error)
}

fn missing(seq: JournalSeq) -> JournalError {
    broken(seq, "it is missing")
}

fn broken(seq: JournalSeq, reason: &'static str) -> JournalError {
    JournalError::Broken { seq: seq.0, reason }
}
