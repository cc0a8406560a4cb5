//! The engine on RocksDB: one column family for each table of the catalog.
//!
//! # Decisions about the write-ahead log
//! * Each [`Durability::Synced`] commit is one `WriteBatch` written with
//!   `sync = true`, and the ticker `rocksdb.wal.synced` is read after it: a
//!   commit whose sync did not happen is a failed commit.
//! * Log files are recycled (an fsync into a file whose blocks exist is 2–5
//!   times as frequent as into a growing one). RocksDB silently turns recycling
//!   off under the recovery modes TolerateCorruptedTailRecords and
//!   AbsoluteConsistency and under log TTLs, so the option *in effect* is read
//!   back from the OPTIONS file and compared.
//! * Recovery mode is PointInTimeRecovery, which stops quietly at a damaged
//!   record, also in the middle of the log. That alone would lose acknowledged
//!   commits without a word; the side file (see [`crate::side_file`]) turns it
//!   into a refusal to start.
//! * `no_slowdown`: RocksDB answers instead of waiting when it must throttle. Who waits then, and for
//!   how long, is the say of whoever opened the store (see [`super::Patience`]).
//!   A commit that is tried again takes no part in the throttled writing: it gets through when the
//!   compactions are done.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rocksdb::statistics::Ticker;
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBRawIterator, ErrorKind, Options,
    ReadOptions, WriteBatch, WriteOptions,
};

use super::rocks_tuning::{RECYCLED_LOGS, database_options, table_options};
use super::{CommitReceipt, Direction, Durability, Engine, EngineStats, Visitor};
use crate::catalog::CATALOG;
use crate::error::EngineError;
use crate::key::KeyRange;
use crate::table::Table;
use crate::write_set::WriteSet;

/// Sizes of a RocksDB engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RocksOptions {
    /// Size of one memtable, and so, roughly, of one log file. Default 16 MiB.
    pub write_buffer_bytes: usize,
    /// Cache of blocks, shared by all tables. Default 64 MiB.
    pub block_cache_bytes: usize,
    /// Space that must stay free; below it commits answer `DiskFull`. Default
    /// 256 MiB: room to flush every memtable and to compact one level.
    pub reserve_bytes: u64,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            write_buffer_bytes: 16 * 1024 * 1024,
            block_cache_bytes: 64 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Names the list of a database's files; it is there from the first opening on.
const CURRENT_FILE: &str = "CURRENT";

/// How often a look without a lock is tried while a file is gone: whoever writes may have
/// removed it between the reading of the list and the opening of the file.
const LOOKS: usize = 5;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// RocksDB behind the trait. Dropping it closes the database.
pub struct RocksEngine {
    db: DB,
    /// Kept because the statistics hang on it.
    options: Options,
    path: PathBuf,
    reserve_bytes: u64,
    recycled_logs: u64,
    commits: u64,
    poisoned: bool,
}

impl RocksEngine {
    /// Opens or creates the database in folder `path`, on which the caller has the lock.
    ///
    /// # Errors
    /// [`EngineError::UnknownTable`] if a newer version wrote it,
    /// [`EngineError::Corrupt`] if RocksDB finds damage that it cannot pass, or files are gone,
    /// [`EngineError::OptionReplaced`] if recycling was silently turned off.
    pub fn open(path: &Path, sizes: RocksOptions) -> Result<Self, EngineError> {
        let options = database_options(path, sizes);
        refuse_unknown_tables(path, &options).map_err(|error| not_opened(path, error))?;
        let cache = Cache::new_lru_cache(sizes.block_cache_bytes);
        let families = CATALOG
            .iter()
            .map(|row| ColumnFamilyDescriptor::new(row.name, table_options(row, sizes, &cache)))
            .chain([ColumnFamilyDescriptor::new(
                rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
                Options::default(),
            )]);
        let db = DB::open_cf_descriptors(&options, path, families)
            .map_err(|error| not_opened(path, failed("open", &error)))?;
        let recycled_logs = effective_recycled_logs(path)?;
        Ok(Self {
            db,
            options,
            path: path.to_path_buf(),
            reserve_bytes: sizes.reserve_bytes,
            recycled_logs,
            commits: 0,
            poisoned: false,
        })
    }

    /// Opens the database in folder `path` for reading. Nothing in the folder changes, no
    /// lock is taken, and every commit is refused. Tables that the folder does not have yet
    /// are left out: see [`Self::has`].
    ///
    /// # Errors
    /// [`EngineError::UnknownTable`] if a newer version wrote it, [`EngineError::Corrupt`]
    /// for damage, [`EngineError::Io`] also where there is no database, or where a file is gone:
    /// without a lock that may be the work of whoever writes there.
    pub fn open_read_only(path: &Path) -> Result<Self, EngineError> {
        let mut opened = Self::look(path);
        for _ in 1..LOOKS {
            if !opened.as_ref().is_err_and(|error| is_gone(path, error)) {
                break;
            }
            std::thread::sleep(LOOK_PAUSE);
            opened = Self::look(path);
        }
        opened
    }

    fn look(path: &Path) -> Result<Self, EngineError> {
        let sizes = RocksOptions::default();
        let options = database_options(path, sizes);
        refuse_unknown_tables(path, &options)?;
        let names = DB::list_cf(&options, path).map_err(|error| failed("open", &error))?;
        let cache = Cache::new_lru_cache(sizes.block_cache_bytes);
        let families = CATALOG
            .iter()
            .filter(|row| names.iter().any(|name| name == row.name))
            .map(|row| ColumnFamilyDescriptor::new(row.name, table_options(row, sizes, &cache)))
            .chain([ColumnFamilyDescriptor::new(
                rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
                Options::default(),
            )]);
        let db = DB::open_cf_descriptors_read_only(&options, path, families, false)
            .map_err(|error| failed("open", &error))?;
        Ok(Self {
            db,
            options,
            path: path.to_path_buf(),
            reserve_bytes: 0,
            recycled_logs: 0,
            commits: 0,
            // Nobody is to write through it.
            poisoned: true,
        })
    }

    /// Whether the database has this table.
    #[must_use]
    pub fn has(&self, table: Table) -> bool {
        self.db.cf_handle(table.name()).is_some()
    }

    fn family(&self, table: Table) -> Result<&ColumnFamily, EngineError> {
        self.db
            .cf_handle(table.name())
            .ok_or_else(|| EngineError::Corrupt {
                operation: "look up a table",
                message: format!("column family {} is missing", table.name()),
            })
    }

    fn wal_syncs(&self) -> u64 {
        self.options.get_ticker_count(Ticker::WalFileSynced)
    }

    fn refuse_when_full(&self) -> Result<(), EngineError> {
        let free_bytes = fs4::available_space(&self.path).map_err(|error| EngineError::Io {
            operation: "measure free space",
            message: error.to_string(),
        })?;
        if free_bytes < self.reserve_bytes {
            return Err(EngineError::DiskFull {
                free_bytes,
                reserve_bytes: self.reserve_bytes,
            });
        }
        Ok(())
    }

    fn write(&self, writes: &WriteSet, durability: Durability) -> Result<(), EngineError> {
        let mut batch = WriteBatch::default();
        for (table, key, record) in writes.iter() {
            let family = self.family(table)?;
            match record {
                Some(record) => batch.put_cf(family, key, record),
                None => batch.delete_cf(family, key),
            }
        }
        let mut how = WriteOptions::default();
        how.set_sync(durability == Durability::Synced);
        how.set_no_slowdown(true);
        let syncs_before = self.wal_syncs();
        self.db.write_opt(batch, &how).map_err(|error| {
            // "Write stall" under no_slowdown: answered before the log is touched.
            if error.kind() == ErrorKind::Incomplete {
                EngineError::Busy
            } else {
                failed("commit", &error)
            }
        })?;
        if durability == Durability::Synced && self.wal_syncs() <= syncs_before {
            return Err(EngineError::NotSynced);
        }
        Ok(())
    }
}

impl Engine for RocksEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.db
            .get_cf(self.family(table)?, key)
            .map_err(|error| failed("get", &error))
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut rows = self
            .db
            .raw_iterator_cf_opt(self.family(table)?, read_options(table, range, direction));
        match direction {
            Direction::Forward => rows.seek(&range.start),
            Direction::Reverse => rows.seek_to_last(),
        }
        while let Some((key, record)) = rows.item() {
            if visit(key, record) == ControlFlow::Break(()) {
                return Ok(());
            }
            step(&mut rows, direction);
        }
        rows.status().map_err(|error| failed("scan", &error))
    }

    fn commit(
        &mut self,
        writes: &WriteSet,
        durability: Durability,
    ) -> Result<CommitReceipt, EngineError> {
        if self.poisoned {
            return Err(EngineError::Poisoned);
        }
        self.refuse_when_full()?;
        if let Err(error) = self.write(writes, durability) {
            self.poisoned = !error.is_retryable();
            return Err(error);
        }
        self.commits += 1;
        Ok(CommitReceipt {
            commits: self.commits,
            wal_syncs: self.wal_syncs(),
        })
    }

    fn checkpoint(&self, target: &Path) -> Result<(), EngineError> {
        // It flushes every memtable first; a flush that finds no room fails the engine.
        self.refuse_when_full()?;
        rocksdb::checkpoint::Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(target))
            .map_err(|error| failed("checkpoint", &error))
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            commits: self.commits,
            wal_syncs: self.wal_syncs(),
            disk_bytes: folder_bytes(&self.path),
            free_bytes: fs4::available_space(&self.path).unwrap_or_default(),
            recycled_logs_max: self.recycled_logs,
            poisoned: self.poisoned,
        }
    }
}

fn step(rows: &mut DBRawIterator<'_>, direction: Direction) {
    match direction {
        Direction::Forward => rows.next(),
        Direction::Reverse => rows.prev(),
    }
}

fn read_options(table: Table, range: &KeyRange, direction: Direction) -> ReadOptions {
    let mut how = ReadOptions::default();
    how.set_iterate_lower_bound(range.start.as_slice());
    if let Some(end) = &range.end {
        how.set_iterate_upper_bound(end.as_slice());
    }
    // The prefix filter may be used only where the whole range lies in one prefix.
    let prefix = range
        .start
        .get(..table.row().prefix_bytes)
        .filter(|prefix| !prefix.is_empty());
    let within_prefix = prefix.is_some_and(|prefix| {
        let whole = KeyRange::prefix(prefix);
        range.end.is_some()
            && whole
                .end
                .is_none_or(|end| range.end.as_ref().is_some_and(|mine| *mine <= end))
    });
    how.set_total_order_seek(!within_prefix || direction == Direction::Reverse);
    how
}

/// RocksDB opens only when every column family is named; one that is not ours
/// was made by a newer version.
fn refuse_unknown_tables(path: &Path, options: &Options) -> Result<(), EngineError> {
    if !path.join(CURRENT_FILE).exists() {
        return refuse_rows_without_a_list(path);
    }
    let names = DB::list_cf(options, path).map_err(|error| failed("open", &error))?;
    let known = |name: &String| {
        name == rocksdb::DEFAULT_COLUMN_FAMILY_NAME
            || CATALOG.iter().any(|row| row.name == name.as_str())
    };
    match names.into_iter().find(|name| !known(name)) {
        Some(name) => Err(EngineError::UnknownTable { name }),
        None => Ok(()),
    }
}

/// RocksDB would take it for a folder that is new, and remove the rows. A database that was cut
/// off while it was made has neither logs nor tables.
fn refuse_rows_without_a_list(path: &Path) -> Result<(), EngineError> {
    let entries = std::fs::read_dir(path).into_iter().flatten();
    let mut names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let has_rows = names.any(|path| {
        let end = path.extension().and_then(|end| end.to_str());
        matches!(end, Some("sst" | "log"))
    });
    // Whoever makes one just now writes the list first.
    if has_rows && !path.join(CURRENT_FILE).exists() {
        return Err(EngineError::Corrupt {
            operation: "open",
            message: format!("{CURRENT_FILE} is missing"),
        });
    }
    Ok(())
}

/// Under the lock a file that is gone is damage: nobody else removes one.
fn not_opened(path: &Path, error: EngineError) -> EngineError {
    if let EngineError::Io { operation, message } = &error
        && is_gone(path, &error)
    {
        return EngineError::Corrupt {
            operation,
            message: message.clone(),
        };
    }
    error
}

/// RocksDB reports a file that its own list names and that is gone as it reports any other.
fn is_gone(path: &Path, error: &EngineError) -> bool {
    let (EngineError::Io { message, .. } | EngineError::Corrupt { message, .. }) = error else {
        return false;
    };
    message.contains("No such file or directory") && path.join(CURRENT_FILE).exists()
}

/// Reads back what RocksDB made of `recycle_log_file_num`: it writes the options
/// in effect to `OPTIONS-<number>` at every open.
fn effective_recycled_logs(path: &Path) -> Result<u64, EngineError> {
    let failed = |error: std::io::Error| EngineError::Io {
        operation: "read OPTIONS",
        message: error.to_string(),
    };
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("OPTIONS-"))
            .and_then(|tail| tail.parse().ok());
        if let Some(number) = number
            && newest.as_ref().is_none_or(|(best, _)| number > *best)
        {
            newest = Some((number, entry.path()));
        }
    }
    let text = newest
        .map(|(_, path)| std::fs::read_to_string(path))
        .transpose()
        .map_err(failed)?
        .unwrap_or_default();
    let effective = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("recycle_log_file_num="))
        .unwrap_or("missing");
    match effective.parse() {
        Ok(logs) if logs == RECYCLED_LOGS as u64 => Ok(logs),
        Ok(_) | Err(_) => Err(EngineError::OptionReplaced {
            option: "recycle_log_file_num",
            wanted: RECYCLED_LOGS.to_string(),
            effective: effective.to_owned(),
        }),
    }
}

fn folder_bytes(path: &Path) -> u64 {
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

fn failed(operation: &'static str, error: &rocksdb::Error) -> EngineError {
    let message = error.as_ref().to_owned();
    if error.kind() == ErrorKind::Corruption {
        EngineError::Corrupt { operation, message }
    } else {
        EngineError::Io { operation, message }
    }
}
