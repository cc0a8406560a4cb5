//! Small rows by name: a node's sealed secrets and its state.
//!
//! The writer owns encoding and version of the value. Names are short ASCII
//! paths such as `relay/…`; a list is a scan by the start of the name.

use std::ops::ControlFlow;

use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::KeyRange;
use crate::rows::Rows;
use crate::table::Table;

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Sealed by the node's master key *before* it gets here.
    Secret,
    /// Relays, nicknames, read heights, which timeline is on which relay.
    NodeState,
}

/// A name and its value.
pub type NamedRow = (Vec<u8>, Vec<u8>);

/// The value under `name`.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, which: Named, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    rows.get(which.table(), name)
}

/// Sets the value under `name`.
///
/// # Errors
/// [`StoreError::BatchFull`], [`StoreError::RowTooLarge`].
pub fn put(
    batch: &mut Batch<'_>,
    which: Named,
    name: &[u8],
    value: Vec<u8>,
) -> Result<(), StoreError> {
    batch.put(which.table(), name.to_vec(), value)
}

/// Removes `name`.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn remove(batch: &mut Batch<'_>, which: Named, name: &[u8]) -> Result<(), StoreError> {
    batch.delete(which.table(), name.to_vec())
}

/// Every name that begins with `start`, with its value, in the order of the names.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn list(rows: &dyn Rows, which: Named, start: &[u8]) -> Result<Vec<NamedRow>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        which.table(),
        &KeyRange::prefix(start),
        Direction::Forward,
        &mut |name, value| {
            found.push((name.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

impl Named {
    fn table(self) -> Table {
        match self {
            Self::Secret => Table::Secret,
            Self::NodeState => Table::NodeState,
        }
    }
}
