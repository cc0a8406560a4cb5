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

/// Checked reads: payloads without their checksum.
pub trait Rows {
    /// The payload at `key`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its checksum does not match, [`StoreError::Engine`] from the disk.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

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
    ) -> Result<(), StoreError>;
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

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        self.0.scan(
            table,
            range,
            direction,
            &mut |key, bytes| match record::verify(table, key, bytes)
                .and_then(|payload| visit(key, payload))
            {
                Ok(flow) => flow,
                Err(error) => {
                    outcome = Err(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        outcome
    }
}
