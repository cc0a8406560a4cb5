//! A table a page at a time.

use std::ops::ControlFlow;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

/// The rows of `table` behind the key `after`, in the order of their keys, at most `max`, as `read` reads them.
///
/// # Errors
/// From the disk, or from `read`.
pub(super) fn behind<T>(
    rows: &dyn Rows,
    table: Table,
    after: Option<&[u8]>,
    max: usize,
    mut read: impl FnMut(&[u8], &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        table,
        &KeyRange::behind(after),
        Direction::Forward,
        &mut |key, row| {
            if found.len() == max {
                return Ok(ControlFlow::Break(()));
            }
            found.push(read(key, row)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}
