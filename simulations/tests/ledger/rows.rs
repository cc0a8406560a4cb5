//! Rows as a disk or a kernel with a fault would show them: those that are there, but for some.

use std::collections::BTreeMap;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::key::KeyRange;
use khlong_store::rows::{EachRowVisitor, Rows};
use khlong_store::table::Table;

/// What is planted; `None` takes a row away.
pub(crate) struct Planted<'r> {
    rows: &'r dyn Rows,
    table: Table,
    key: Vec<u8>,
    row: Option<Vec<u8>>,
}

impl<'r> Planted<'r> {
    pub(crate) fn without(rows: &'r dyn Rows, table: Table, key: &[u8]) -> Self {
        Self {
            rows,
            table,
            key: key.to_vec(),
            row: None,
        }
    }

    /// With what `change` makes of the row.
    pub(crate) fn changed(
        rows: &'r dyn Rows,
        table: Table,
        key: &[u8],
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let mut row = rows.get(table, key).unwrap().unwrap();
        change(&mut row);
        Self {
            row: Some(row),
            ..Self::without(rows, table, key)
        }
    }

    /// With a row of `from` under another key.
    pub(crate) fn copied(rows: &'r dyn Rows, table: Table, from: &[u8], to: &[u8]) -> Self {
        Self {
            row: rows.get(table, from).unwrap(),
            ..Self::without(rows, table, to)
        }
    }
}

impl Rows for Planted<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if (table, key) == (self.table, self.key.as_slice()) {
            return Ok(self.row.clone());
        }
        self.rows.get(table, key)
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        if table != self.table {
            return self.rows.scan_each(table, range, direction, visit);
        }
        let mut found = BTreeMap::new();
        self.rows
            .scan(table, range, Direction::Forward, &mut |key, row| {
                found.insert(key.to_vec(), row.to_vec());
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
        found.remove(&self.key);
        if let Some(row) = self.row.as_ref().filter(|_| range.contains(&self.key)) {
            found.insert(self.key.clone(), row.clone());
        }
        let mut rows: Vec<_> = found.iter().collect();
        if direction == Direction::Reverse {
            rows.reverse();
        }
        for (key, row) in rows {
            if visit(key, Ok(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
