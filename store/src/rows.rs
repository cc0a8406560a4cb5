//! Reading rows, whoever holds them.
//!
//! Typed tables read through [`Rows`], so the same function answers from what is
//! committed ([`Committed`]) and from an open batch ([`crate::batch::Batch`]).

use std::ops::ControlFlow;

use crate::engine::{Direction, Engine};
use crate::error::StoreError;
use crate::key::KeyRange;
use crate::record;
use crate::table::Table;

/// Sees payloads in order: key, payload. An error ends the scan and is returned by it.
pub type RowVisitor<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'v;

/// Sees rows in order, the damaged ones as the error that reading them gives.
pub type EachRowVisitor<'v> =
    dyn FnMut(&[u8], Result<&[u8], StoreError>) -> Result<ControlFlow<()>, StoreError> + 'v;

/// Rows in order by key, each damaged one as the error that reading it gives.
pub type EachRow<K, V> = Vec<(K, Result<V, StoreError>)>;

/// Checked reads: payloads without their checksum.
pub trait Rows {
    /// The payload at `key`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its checksum does not match, [`StoreError::Engine`] from the disk.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows `visit` the rows of `range` in order, until it breaks. A damaged
    /// row is shown as its error and does not end the scan.
    ///
    /// # Errors
    /// [`StoreError::Engine`] from the disk, and whatever `visit` returns.
    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError>;

    /// Shows `visit` the payloads of `range` in order, until it breaks.
    ///
    /// # Errors
    /// As [`Self::get`], and whatever `visit` returns.
    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), StoreError> {
        self.scan_each(table, range, direction, &mut |key, payload| {
            visit(key, payload?)
        })
    }
}

/// What is committed, read straight from an engine.
#[derive(Clone, Copy)]
pub struct Committed<'e>(pub &'e dyn Engine);

impl Rows for Committed<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0
            .get(table, key)?
            .map(|bytes| record::open(table, key, bytes))
            .transpose()
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        self.0
            .scan(table, range, direction, &mut |key, bytes| match visit(
                key,
                record::verify(table, key, bytes),
            ) {
                Ok(flow) => flow,
                Err(error) => {
                    outcome = Err(error);
                    ControlFlow::Break(())
                }
            })?;
        outcome
    }
}
