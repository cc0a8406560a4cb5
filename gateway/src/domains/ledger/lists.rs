//! All assets and all accounts, a page at a time, by their numbers.

use std::ops::ControlFlow;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::model::{AccountState, Asset};
use super::tables;

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
    // A longer key with a zero at its end is the first one behind it.
    let start = after.map_or_else(Vec::new, |key| [&key[..], &[0]].concat());
    let range = KeyRange { start, end: None };
    let mut found = Vec::new();
    rows.scan(table, &range, Direction::Forward, &mut |key, _| {
        if found.len() == max {
            return Ok(ControlFlow::Break(()));
        }
        let Ok(id) = <[u8; N]>::try_from(key) else {
            return Err(StoreError::corrupt(table, key, "the key is no id"));
        };
        found.push(id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
