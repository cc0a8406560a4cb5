//! The one border to a storage engine, and its contract.
//!
//! Two engines live behind it: [`rocks`] (RocksDB, for people) and [`memory`]
//! (ordered maps on an imaginary disk, for tests and simulations, with faults
//! on demand). `tests/conformance.rs` runs one suite on both.
//!
//! # Contract
//! * A commit is atomic: after a crash all of a write set is there, or nothing.
//! * A commit with [`Durability::Synced`] that returned `Ok` survives loss of
//!   power. One with [`Durability::Buffered`] survives the end of the process
//!   on RocksDB, and may vanish with the power, always from the end: an earlier
//!   commit is never lost while a later one stays.
//! * [`EngineError::DiskFull`] and [`EngineError::Busy`] come before anything was
//!   written; the engine stays usable. Any other failure of a commit *poisons*
//!   the engine: its fate is unknown, so every later commit answers
//!   [`EngineError::Poisoned`] until the engine is dropped and opened again.
//! * Reads see every commit that returned `Ok`. A batch borrows the engine, and a
//!   commit needs it exclusively, so a batch's view never moves under it.

pub mod faults;
pub mod memory;
mod patient;
pub mod rocks;
mod rocks_tuning;

use std::ops::ControlFlow;
use std::path::Path;

pub use self::patient::Patience;
pub(crate) use self::patient::Patient;

use crate::error::EngineError;
use crate::key::KeyRange;
use crate::table::Table;
use crate::write_set::WriteSet;

/// What a commit must survive before it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: the write-ahead log is fsynced. Required before any acknowledgement.
    Synced,
    /// The end of the process. For what can be made again: caches, read heights.
    Buffered,
}

/// The order of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Lowest key first.
    Forward,
    /// Highest key first.
    Reverse,
}

/// Sees the rows of a scan in order: key, value. `Break` ends the scan.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// What a successful commit can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitReceipt {
    /// The engine's counter of commits since it was opened, this one included.
    pub commits: u64,
    /// The engine's counter of syncs of its write-ahead log, after this commit.
    /// A [`Durability::Synced`] commit has raised it.
    pub wal_syncs: u64,
}

/// Gauges and counters of an engine, for metrics and for proofs in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Commits since the engine was opened.
    pub commits: u64,
    /// Syncs of the write-ahead log since it was opened.
    pub wal_syncs: u64,
    /// Bytes of all files of the engine.
    pub disk_bytes: u64,
    /// Bytes that the file system has left.
    pub free_bytes: u64,
    /// Log files kept for recycling: the option in effect, not the one asked for.
    pub recycled_logs_max: u64,
    /// Whether a commit has failed; only opening again helps.
    pub poisoned: bool,
}

/// A storage engine: ordered tables of bytes, atomic commits.
pub trait Engine: Send {
    /// The record at `key`.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::Corrupt`] from the disk.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Shows `visit` the records of `range` in order, until it breaks.
    ///
    /// # Errors
    /// As [`Self::get`]. Rows seen before an error are good.
    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visitor<'_>,
    ) -> Result<(), EngineError>;

    /// Writes all of `writes`, or nothing.
    ///
    /// # Errors
    /// See the contract of the module.
    fn commit(
        &mut self,
        writes: &WriteSet,
        durability: Durability,
    ) -> Result<CommitReceipt, EngineError>;

    /// Makes a consistent copy at `target`, which must not exist yet.
    ///
    /// # Errors
    /// [`EngineError::Io`] if the copy cannot be made, [`EngineError::DiskFull`] before
    /// it is begun.
    fn checkpoint(&self, target: &Path) -> Result<(), EngineError>;

    /// Counters and gauges now.
    fn stats(&self) -> EngineStats;
}
