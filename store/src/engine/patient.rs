//! Commits that wait while the engine must throttle.
//!
//! RocksDB is told never to hold a commit up (see [`super::rocks`]): a core that serves clients has
//! them waiting, and its driver says for how long. Whoever fills a folder, or catches up, has nobody
//! to answer, and would give up at the first stall of a long journal. It opens its store with a
//! [`Patience`], which has the clock and the pauses; each commit of that store passes here, those of
//! opening it among them.

use std::path::Path;

use super::{CommitReceipt, Direction, Durability, Engine, EngineStats, Visitor};
use crate::error::EngineError;
use crate::key::KeyRange;
use crate::table::Table;
use crate::write_set::WriteSet;

/// How long a commit that a busy engine put off is tried again.
pub trait Patience: Send {
    /// The engine was [`EngineError::Busy`] for the `tries`th time in a row, from 1, and wrote
    /// nothing. Pauses, and says whether the commit is tried again.
    fn wait(&mut self, tries: u32) -> bool;
}

/// An engine with the patience of whoever opened it; without one it is the engine.
pub(crate) struct Patient {
    engine: Box<dyn Engine>,
    patience: Option<Box<dyn Patience>>,
}

impl Patient {
    pub(crate) fn new(engine: Box<dyn Engine>, patience: Option<Box<dyn Patience>>) -> Self {
        Self { engine, patience }
    }

    /// A busy engine is told at once from here on.
    pub(crate) fn end_patience(&mut self) {
        self.patience = None;
    }
}

impl Engine for Patient {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        self.engine.scan(table, range, direction, visit)
    }

    fn commit(
        &mut self,
        writes: &WriteSet,
        durability: Durability,
    ) -> Result<CommitReceipt, EngineError> {
        let mut tries = 0_u32;
        loop {
            let came = self.engine.commit(writes, durability);
            let (Err(EngineError::Busy), Some(patience)) = (&came, &mut self.patience) else {
                return came;
            };
            tries = tries.saturating_add(1);
            if !patience.wait(tries) {
                return came;
            }
        }
    }

    fn checkpoint(&self, target: &Path) -> Result<(), EngineError> {
        self.engine.checkpoint(target)
    }

    fn stats(&self) -> EngineStats {
        self.engine.stats()
    }
}
