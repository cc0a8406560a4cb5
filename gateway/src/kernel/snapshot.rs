//! Views that were taken from a snapshot, so that a replay begins behind it.
//!
//! The journal itself is never taken from there: a snapshot only says what its first part came to.

use std::ops::ControlFlow;

use khlong_store::batch::{Batch, Overlay};
use khlong_store::engine::{Direction, Durability};
use khlong_store::error::StoreError;
use khlong_store::journal::{self, ENTRIES_MAX, Entry, Head, JournalError, JournalSeq};
use khlong_store::key::KeyRange;
use khlong_store::limits::{BATCH_BYTES_MAX, VALUE_BYTES_MAX};
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;

use super::error::KernelError;
use super::views::{META_APPLIED, VIEWS};

/// Bytes after which what was copied is committed: a half of what a batch takes.
const PART_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;

const _: () = assert!(
    PART_BYTES_MAX + 2 * VALUE_BYTES_MAX <= BATCH_BYTES_MAX,
    "a part that is nearly full takes one more row"
);

/// Makes in the empty `store` the journal of `source` up to `at`, and the views of `snapshot`, which
/// says that it ends there. Opening the store then checks that both belong together, and
/// [`super::replay`] goes on.
///
/// # Errors
/// [`JournalError::Broken`] if the journal has another entry at `at`; those of both disks.
pub fn adopt(
    source: &dyn Rows,
    snapshot: &dyn Rows,
    at: &Head,
    store: &mut Store,
) -> Result<(), KernelError> {
    copy_journal(source, at, store)?;
    let mut part = Overlay::default();
    for table in VIEWS {
        snapshot.scan(
            table,
            &KeyRange::all(),
            Direction::Forward,
            &mut |key, row| {
                put(store, &mut part, table, key, row)?;
                Ok(ControlFlow::Continue(()))
            },
        )?;
    }
    if let Some(row) = snapshot.get(Table::Meta, META_APPLIED)? {
        put(store, &mut part, Table::Meta, META_APPLIED, &row)?;
    }
    store.commit_overlay(part, Durability::Synced)?;
    Ok(())
}

fn put(
    store: &mut Store,
    part: &mut Overlay,
    table: Table,
    key: &[u8],
    row: &[u8],
) -> Result<(), StoreError> {
    let mut batch = store.batch_on(std::mem::take(part));
    batch.put(table, key.to_vec(), row.to_vec())?;
    *part = batch.into_overlay();
    if part.bytes() >= PART_BYTES_MAX {
        store.commit_overlay(std::mem::take(part), Durability::Buffered)?;
    }
    Ok(())
}

fn copy_journal(source: &dyn Rows, at: &Head, store: &mut Store) -> Result<(), KernelError> {
    let mut reached = commit(store, |batch| journal::create(batch, at.id))?;
    while reached.seq < at.seq {
        let (mut entries, mut bytes): (Vec<Entry>, usize) = (Vec::new(), 0);
        journal::read(source, reached.seq.next(), &mut |stored| {
            let is_last = stored.seq >= at.seq;
            bytes += stored.entry.bytes();
            entries.push(stored.entry);
            let is_full = entries.len() >= ENTRIES_MAX || bytes >= PART_BYTES_MAX;
            Ok::<_, JournalError>(if is_last || is_full {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        let before = reached.seq;
        reached = commit(store, |batch| journal::append(batch, before, &entries))?;
        if reached.seq == before {
            return Err(broken(before.next(), "it is missing").into());
        }
    }
    if reached == *at {
        Ok(())
    } else {
        Err(broken(at.seq, "the snapshot has another entry in its place").into())
    }
}

fn commit<T>(
    store: &mut Store,
    write: impl FnOnce(&mut Batch<'_>) -> Result<T, JournalError>,
) -> Result<T, KernelError> {
    let mut batch = store.batch();
    let written = write(&mut batch)?;
    let writes = batch.into_writes();
    store.commit(writes, Durability::Buffered)?;
    Ok(written)
}

fn broken(seq: JournalSeq, reason: &'static str) -> JournalError {
    JournalError::Broken { seq: seq.0, reason }
}
