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
const POSTGRES: u8 = 1;

/// It is on its way there; then the name of the move.
const LEAVING: u8 = 2;

/// It is on its way back; then the epoch of the folder's log that begins with that.
const RETURNING: u8 = 3;

/// The name of one move, drawn for it. The database that it fills has it as well, so that a folder
/// whose move was cut off is taken by that one and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveId([u8; 16]);

impl MoveId {
    /// From the operating system.
    ///
    /// # Errors
    /// If it gives no random numbers.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// One that was drawn before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What stands in rows.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

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
    /// In the folder until this move into a database has come to its end. Whether it has is for
    /// the database to say.
    Leaving(MoveId),
    /// In the folder again, once its first entry says so, which begins this epoch.
    Returning(u32),
}

/// What the folder says.
///
/// # Errors
/// Those of the disk; [`StoreError::Corrupt`].
pub fn home(rows: &dyn Rows) -> Result<Home, StoreError> {
    Ok(match rows.get(Table::Meta, META_ELSEWHERE)?.as_deref() {
        None => Home::Folder,
        Some([POSTGRES]) => Home::Database,
        Some([LEAVING, id @ ..]) => {
            let id = <[u8; 16]>::try_from(id).map_err(|_| damaged())?;
            Home::Leaving(MoveId::from_bytes(id))
        }
        Some([RETURNING, epoch @ ..]) => {
            let epoch = <[u8; 4]>::try_from(epoch).map_err(|_| damaged())?;
            Home::Returning(u32::from_be_bytes(epoch))
        }
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

/// Says that it is a copy, for good.
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
pub fn mark_leaving(store: &mut Store, id: MoveId) -> Result<(), StoreError> {
    let row = [&[LEAVING][..], id.as_bytes()].concat();
    put(store, Home::Leaving(id), row)
}

/// Says that its journal is being taken back, in this epoch of its log. What it said before is
/// forgotten: it goes back into no database that it was beside.
///
/// # Errors
/// Those of the disk.
pub fn mark_returning(store: &mut Store, epoch: u32) -> Result<(), StoreError> {
    let row = [&[RETURNING][..], &epoch.to_be_bytes()].concat();
    put(store, Home::Returning(epoch), row)
}

/// Says that the journal is the folder's own again. Only once that stands in the journal.
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
