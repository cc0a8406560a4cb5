//! A look at a folder that changes nothing in it.
//!
//! Opening a store migrates, repairs and takes the lock. Whoever checks a backup, or asks
//! what is wrong with a folder, may do none of that: a checked backup must be byte for byte
//! what it was, and the folder may be another process's, or on a disk that is full.

use std::ops::ControlFlow;
use std::path::Path;

use crate::catalog::CATALOG;
use crate::engine::Direction;
use crate::engine::rocks::RocksEngine;
use crate::error::StoreError;
use crate::folder::DATABASE_FOLDER;
use crate::identity::{self, Committed as LastCommit, LogIdentity, META_ROLE};
use crate::key::KeyRange;
use crate::migrate;
use crate::rows::{Committed, EachRowVisitor, Rows};
use crate::side_file::{self, SideState};
use crate::store;
use crate::table::Table;

/// What a folder says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `node` or `relay`; `None`: the folder was made and never opened to its end.
    pub role: Option<String>,
    /// The schema of its rows; `None` as above.
    pub schema: Option<u32>,
    /// The name of its log; `None` as above.
    pub identity: Option<LogIdentity>,
    /// The last commit that the engine holds.
    pub committed: LastCommit,
    /// What the side file says.
    pub side: SideState,
}

impl Found {
    /// Whether something that was acknowledged is not there: what opening would refuse with.
    #[must_use]
    pub fn loss(&self) -> Option<StoreError> {
        store::find_loss(self.committed, self.side)
    }
}

/// A store that can only be read. No lock is taken: beside a process that writes, it shows
/// one moment of the past.
pub struct Peek {
    engine: RocksEngine,
    found: Found,
}

impl Peek {
    /// Opens the store in folder `path` for reading. Nothing is written, not even a log.
    ///
    /// # Errors
    /// What the engine met, such as damage or a table of a newer version;
    /// [`StoreError::Corrupt`] for a damaged row of `meta`. A newer schema is no error:
    /// it stands in [`Found::schema`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // First: a process that commits meanwhile writes it last.
        let side = side_file::peek(path)?;
        let engine = RocksEngine::open_read_only(&path.join(DATABASE_FOLDER))?;
        let rows = Committed(&engine);
        let role = rows.get(Table::Meta, META_ROLE)?;
        let found = Found {
            role: role.map(|role| String::from_utf8_lossy(&role).into_owned()),
            schema: migrate::read(&engine)?,
            identity: identity::read_identity(&rows)?,
            committed: LastCommit::read(&rows)?,
            side,
        };
        Ok(Self { engine, found })
    }

    /// Reads every row of every table, so that what is damaged is known before anybody relies on
    /// it. Returns how many there are.
    ///
    /// # Errors
    /// At the first row, or block of rows, that is not what was written.
    pub fn read_all(&self) -> Result<u64, StoreError> {
        let mut rows = 0;
        for row in CATALOG {
            let all = KeyRange::all();
            self.scan_each(row.table, &all, Direction::Forward, &mut |_, row| {
                row?;
                rows += 1;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(rows)
    }

    /// What the folder says about itself.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }
}

impl Rows for Peek {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.engine.has(table) {
            return Ok(None);
        }
        Committed(&self.engine).get(table, key)
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        if !self.engine.has(table) {
            return Ok(());
        }
        Committed(&self.engine).scan_each(table, range, direction, visit)
    }
}
