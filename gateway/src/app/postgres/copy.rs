//! The mark of a folder whose journal lies in a database. Started without that database, its
//! copy would be taken for the journal, and both would go on, each its own way.

use khlong_store::engine::Durability;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;

/// The row of `meta`.
const META_ELSEWHERE: &[u8] = b"journal-elsewhere";

/// It lies in PostgreSQL.
const POSTGRES: &[u8] = &[1];

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
