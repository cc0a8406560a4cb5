//! All assets and all accounts, a page at a time, by their numbers.

use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::model::{AccountState, Asset};
use super::tables;
use crate::domains::behind::behind;

/// The assets behind number `after`, in order, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn assets(rows: &dyn Rows, after: Option<u32>, max: usize) -> Result<Vec<Asset>, StoreError> {
    let mut found = Vec::new();
    let after = after.map(u32::to_be_bytes);
    for key in keys_behind(rows, Table::LedgerAsset, after, max)? {
        found.extend(tables::asset(rows, u32::from_be_bytes(key))?);
    }
    Ok(found)
}

/// The accounts behind id `after` as they stand, in order, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn accounts(
    rows: &dyn Rows,
    after: Option<u128>,
    max: usize,
) -> Result<Vec<AccountState>, StoreError> {
    let mut found = Vec::new();
    let after = after.map(u128::to_be_bytes);
    for key in keys_behind(rows, Table::LedgerAccount, after, max)? {
        found.extend(tables::account(rows, u128::from_be_bytes(key))?);
    }
    Ok(found)
}

fn keys_behind<const N: usize>(
    rows: &dyn Rows,
    table: Table,
    after: Option<[u8; N]>,
    max: usize,
) -> Result<Vec<[u8; N]>, StoreError> {
    let after = after.as_ref().map(<[u8; N]>::as_slice);
    behind(rows, table, after, max, |key, _| {
        <[u8; N]>::try_from(key).map_err(|_| StoreError::corrupt(table, key, "the key is no id"))
    })
}
