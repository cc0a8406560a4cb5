//! The mark of a folder whose journal lies in a database. Started without that database, its
//! copy would be taken for the journal, and both would go on, each its own way.

use khlong_store::engine::Durability;
use khlong_store::error::StoreError;
use khlong_store::journal::Head;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;

use crate::kernel::KernelError;

/// The row of `meta`.
const META_ELSEWHERE: &[u8] = b"journal-elsewhere";

/// It lies in PostgreSQL.
const POSTGRES: &[u8] = &[1];

/// What a database has beside a folder's copy.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Its head.
    pub head: Head,
    /// Its hash of the entry to which the copy goes.
    pub hash: Option<Vec<u8>>,
}

impl Beside {
    /// That what the folder has up to `copy` is a part of what the database has.
    ///
    /// # Errors
    /// [`KernelError::OtherJournal`], [`KernelError::Behind`].
    pub fn holds(&self, copy: &Head) -> Result<(), KernelError> {
        let applied = copy.seq.0;
        if self.head.id != copy.id {
            return Err(KernelError::OtherJournal { applied });
        }
        if self.head.seq < copy.seq {
            return Err(KernelError::Behind {
                applied,
                head: self.head.seq.0,
            });
        }
        if applied > 0 && self.hash.as_ref().is_none_or(|hash| *hash != copy.hash) {
            return Err(KernelError::OtherJournal { applied });
        }
        Ok(())
    }
}

/// Whether the folder's journal is a copy.
///
/// # Errors
/// Those of the disk.
pub fn is_copy(rows: &dyn Rows) -> Result<bool, StoreError> {
    Ok(rows.get(Table::Meta, META_ELSEWHERE)?.is_some())
}

/// Says that it is one, for good.
///
/// # Errors
/// Those of the disk.
pub fn mark_copy(store: &mut Store) -> Result<(), StoreError> {
    if is_copy(store)? {
        return Ok(());
    }
    let mut batch = store.batch();
    batch.put(Table::Meta, META_ELSEWHERE.to_vec(), POSTGRES.to_vec())?;
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced)?;
    Ok(())
}
