//! The mark of a folder whose journal lies in a database. Started without that database, its
//! copy would be taken for the journal, and both would go on, each its own way.

use khlong_store::engine::Durability;
use khlong_store::error::StoreError;
use khlong_store::journal::Head;
use khlong_store::key::Encoder;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;

use crate::kernel::KernelError;

/// The row of `meta`.
const META_ELSEWHERE: &[u8] = b"journal-elsewhere";

/// It came back from there: then the epoch of the folder's log at that time.
const RETURNED: u8 = 0;

/// It lies in PostgreSQL.
const POSTGRES: u8 = 1;

/// It is on its way there.
const LEAVING: u8 = 2;

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

/// Where a folder's journal lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In the folder.
    Folder,
    /// In a database; the folder has a copy.
    Database,
    /// In the folder until a move into a database has come to its end. Whether it has is for the
    /// database to say.
    Leaving,
}

/// What the folder says.
///
/// # Errors
/// Those of the disk; [`StoreError::Corrupt`].
pub fn home(rows: &dyn Rows) -> Result<Home, StoreError> {
    Ok(match rows.get(Table::Meta, META_ELSEWHERE)?.as_deref() {
        None | Some([RETURNED, ..]) => Home::Folder,
        Some([POSTGRES]) => Home::Database,
        Some([LEAVING]) => Home::Leaving,
        Some(_) => return Err(damaged()),
    })
}

/// Whether the folder's journal is not the folder's alone to go on with.
///
/// # Errors
/// As [`home`].
pub fn is_copy(rows: &dyn Rows) -> Result<bool, StoreError> {
    Ok(home(rows)? != Home::Folder)
}

/// Says that it is a copy, until the journal is moved back.
///
/// # Errors
/// Those of the disk.
pub fn mark_copy(store: &mut Store) -> Result<(), StoreError> {
    put(store, Home::Database, vec![POSTGRES])
}

/// Says that it is being moved into a database.
///
/// # Errors
/// Those of the disk.
pub fn mark_leaving(store: &mut Store) -> Result<(), StoreError> {
    put(store, Home::Leaving, vec![LEAVING])
}

/// Says that the journal came back whole, whatever the folder's log lost meanwhile.
///
/// # Errors
/// Those of the disk.
pub fn mark_returned(store: &mut Store) -> Result<(), StoreError> {
    let epoch = store.identity().epoch;
    put(
        store,
        Home::Folder,
        Encoder::new().u8(RETURNED).u32(epoch).finish(),
    )
}

/// The epoch of the folder's log in which its journal came back from a database; `None` if it
/// never did.
///
/// # Errors
/// Those of the disk; [`StoreError::Corrupt`].
pub fn returned_under(rows: &dyn Rows) -> Result<Option<u32>, StoreError> {
    let row = rows.get(Table::Meta, META_ELSEWHERE)?;
    let Some([RETURNED, epoch @ ..]) = row.as_deref() else {
        return Ok(None);
    };
    let epoch = <[u8; 4]>::try_from(epoch).map_err(|_| damaged())?;
    Ok(Some(u32::from_be_bytes(epoch)))
}

/// Says nothing any more: the folder goes on without the database, in a new epoch.
///
/// # Errors
/// Those of the disk.
pub fn unmark(store: &mut Store) -> Result<(), StoreError> {
    let mut batch = store.batch();
    batch.delete(Table::Meta, META_ELSEWHERE.to_vec())?;
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced)?;
    Ok(())
}

fn put(store: &mut Store, wanted: Home, row: Vec<u8>) -> Result<(), StoreError> {
    if home(store)? == wanted {
        return Ok(());
    }
    let mut batch = store.batch();
    batch.put(Table::Meta, META_ELSEWHERE.to_vec(), row)?;
    let writes = batch.into_writes();
    // What was committed before without a sync is durable with it.
    store.commit(writes, Durability::Synced)?;
    Ok(())
}

fn damaged() -> StoreError {
    StoreError::corrupt(
        Table::Meta,
        META_ELSEWHERE,
        "it does not say where the journal lies",
    )
}
