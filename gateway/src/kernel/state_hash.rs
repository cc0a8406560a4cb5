//! One hash over everything that a replay must rebuild.

use std::ops::ControlFlow;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::views::{META_APPLIED, VIEWS};

/// The hash over every row of every view, and over how far they go. Reads them all.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn state_hash(rows: &dyn Rows) -> Result<[u8; 32], StoreError> {
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 gateway state v1");
    let applied = rows.get(Table::Meta, META_APPLIED)?.unwrap_or_default();
    update(&mut hasher, Table::Meta, META_APPLIED, &applied);
    for table in VIEWS {
        rows.scan(
            table,
            &KeyRange::all(),
            Direction::Forward,
            &mut |key, row| {
                update(&mut hasher, table, key, row);
                Ok(ControlFlow::Continue(()))
            },
        )?;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// `table 1 ‖ key length 4 ‖ row length 4 ‖ key ‖ row`.
fn update(hasher: &mut blake3::Hasher, table: Table, key: &[u8], row: &[u8]) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    hasher
        .update(&[table.number()])
        .update(&length(key))
        .update(&length(row))
        .update(key)
        .update(row);
}
