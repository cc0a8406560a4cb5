//! The store: an engine in its folder, with the promises that start-up checks.
//!
//! One core owns one store. It opens a [`Batch`], decides, turns the batch into
//! writes, commits once, and only then lets its acknowledgements go:
//!
//! ```text
//! let mut batch = store.batch();
//! tables::timelines::append(&mut batch, &envelope, received_at)?;
//! let writes = batch.into_writes();
//! store.commit(writes, Durability::Synced)?;      // then release the acks
//! ```
//!
//! After a failed commit, except `DiskFull` and `Busy`, drop the store and open it again.

use std::path::Path;

use khlong_crdt::id::LogId;

use crate::batch::{Batch, Overlay};
use crate::cache::Caches;
use crate::engine::memory::{MemoryDisk, MemoryEngine};
use crate::engine::rocks::{RocksEngine, RocksOptions};
use crate::engine::{CommitReceipt, Direction, Durability, Engine, EngineStats, Patience, Patient};
use crate::error::StoreError;
use crate::folder::{self, DATABASE_FOLDER, Folder};
use crate::identity::{
    self, Committed as LastCommit, LogIdentity, META_COMMITTED, META_LOG, META_ROLE, Role,
    encode_identity,
};
use crate::key::KeyRange;
use crate::migrate::{self, MIGRATIONS, SCHEMA};
use crate::record;
use crate::rows::{Committed, EachRowVisitor, Rows};
use crate::side_file::{SIDE_FILE, SideFile, SideState};
use crate::table::Table;
use crate::write_set::WriteSet;

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Whose folder it is; a folder never changes hands.
    pub role: Role,
    /// 16 random bytes: the name of the log if the folder is new, else unused.
    pub fresh_log_id: LogId,
    /// Go on although acknowledged commits are gone, in a new log epoch.
    pub accept_loss: bool,
    /// Sizes of the engine; of these the memory engine uses the reserve.
    pub sizes: RocksOptions,
}

/// What opening found, for the log and for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The folder is new.
    pub is_new: bool,
    /// What the side file said.
    pub side: SideState,
    /// The last commit that the engine holds.
    pub committed: LastCommit,
    /// Acknowledged commits are gone and the caller accepted that.
    pub lost: bool,
}

/// Sees every row of a store: table, key, payload.
pub type AnyRowVisitor<'v> = dyn FnMut(Table, &[u8], &[u8]) -> Result<(), StoreError> + 'v;

/// A store. Its readers see what is committed.
pub struct Store {
    // Dropped in this order: the engine closes before the lock goes.
    engine: Patient,
    side: SideFile,
    folder: Option<Folder>,
    caches: Caches,
    identity: LogIdentity,
    committed: LastCommit,
    has_unsynced: bool,
    opening: Opening,
}

impl Store {
    /// Opens or makes the store in folder `path`.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], [`StoreError::Locked`], [`StoreError::WrongRole`], [`StoreError::SchemaTooNew`],
    /// [`StoreError::BehindSideFile`] and [`StoreError::Diverged`] (both unless
    /// `accept_loss`), or what the engine met.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        Self::in_folder(path, options, None)
    }

    /// The same for whoever fills it, or catches up: commits that a busy engine puts off, those of
    /// opening it among them, are tried again for as long as `patience` has it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_patiently(
        path: &Path,
        options: &OpenOptions,
        patience: Box<dyn Patience>,
    ) -> Result<Self, StoreError> {
        Self::in_folder(path, options, Some(patience))
    }

    /// [`Self::open_patiently`] in a folder that the caller has locked. With a clone of that it keeps
    /// others out also after this has failed, or the store was dropped.
    ///
    /// # Errors
    /// As [`Self::open`], but for [`StoreError::Foreign`] and [`StoreError::Locked`].
    pub fn open_locked(
        folder: Folder,
        options: &OpenOptions,
        patience: Box<dyn Patience>,
    ) -> Result<Self, StoreError> {
        Self::in_locked(folder, options, Some(patience))
    }

    fn in_folder(
        path: &Path,
        options: &OpenOptions,
        patience: Option<Box<dyn Patience>>,
    ) -> Result<Self, StoreError> {
        folder::refuse_foreign_place(path)?;
        Self::in_locked(Folder::lock(path)?, options, patience)
    }

    fn in_locked(
        folder: Folder,
        options: &OpenOptions,
        patience: Option<Box<dyn Patience>>,
    ) -> Result<Self, StoreError> {
        let engine = RocksEngine::open(&folder.database(), options.sizes)?;
        let engine = Patient::new(Box::new(engine), patience);
        let side = SideFile::in_folder(folder.path())?;
        Self::start(engine, side, Some(folder), options)
    }

    /// Opens the store on an imaginary disk.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn in_memory(disk: &MemoryDisk, options: &OpenOptions) -> Result<Self, StoreError> {
        Self::on_disk(disk, options, None)
    }

    /// [`Self::open_patiently`] on an imaginary disk.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn in_memory_patiently(
        disk: &MemoryDisk,
        options: &OpenOptions,
        patience: Box<dyn Patience>,
    ) -> Result<Self, StoreError> {
        Self::on_disk(disk, options, Some(patience))
    }

    fn on_disk(
        disk: &MemoryDisk,
        options: &OpenOptions,
        patience: Option<Box<dyn Patience>>,
    ) -> Result<Self, StoreError> {
        let engine = MemoryEngine::open(disk, options.sizes.reserve_bytes)?;
        let engine = Patient::new(Box::new(engine), patience);
        Self::start(engine, SideFile::Memory(disk.clone()), None, options)
    }

    /// From here on a busy engine is told at once, as if the store was opened by [`Self::open`]: its
    /// core has clients now.
    pub fn end_patience(&mut self) {
        self.engine.end_patience();
    }

    /// An empty batch on what is committed.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        self.batch_on(Overlay::default())
    }

    /// A batch that goes on where [`Batch::into_overlay`] left off.
    #[must_use]
    pub fn batch_on(&self, overlay: Overlay) -> Batch<'_> {
        Batch::on(&self.engine, Some(&self.caches), self.identity, overlay)
    }

    /// Writes all of `writes`, or nothing. With [`Durability::Synced`] it returns
    /// only when they survive loss of power.
    ///
    /// # Errors
    /// `DiskFull` and `Busy` wrote nothing and may be tried again; after any other
    /// error drop the store and open it anew: what it holds is not known.
    pub fn commit(
        &mut self,
        mut writes: WriteSet,
        durability: Durability,
    ) -> Result<CommitReceipt, StoreError> {
        // Mutant: what is acknowledged is not on the disk yet.
        #[cfg(khlong_mutant = "fsync")]
        let durability = if durability == Durability::Synced {
            Durability::Buffered
        } else {
            durability
        };
        let needs_sync = durability == Durability::Synced && self.has_unsynced;
        if writes.is_empty() && !needs_sync {
            let stats = self.engine.stats();
            return Ok(CommitReceipt {
                commits: stats.commits,
                wal_syncs: stats.wal_syncs,
            });
        }
        let committed = self.committed.extend(&writes.encode());
        writes.put(
            Table::Meta,
            META_COMMITTED.to_vec(),
            record::seal(Table::Meta, META_COMMITTED, committed.encode()),
        );
        let receipt = self.engine.commit(&writes, durability)?;
        self.committed = committed;
        self.caches.absorb(&writes);
        match durability {
            Durability::Synced => {
                self.has_unsynced = false;
                self.side.write(committed)?;
            }
            Durability::Buffered => self.has_unsynced = true,
        }
        Ok(receipt)
    }

    /// [`Self::commit`] of what a batch left. What its auth-ops led to stays in memory, so
    /// that nobody replays it.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_overlay(
        &mut self,
        mut overlay: Overlay,
        durability: Durability,
    ) -> Result<CommitReceipt, StoreError> {
        let admissions = overlay.take_admissions();
        let receipt = self.commit(overlay.into_writes(), durability)?;
        for (timeline, admission) in admissions {
            self.caches.keep_admission(&timeline, admission);
        }
        Ok(receipt)
    }

    /// Begins another epoch of the log, durable when it returns: cursors into the log so far
    /// stop matching, and nodes offer again what they wrote. `epoch` is taken if it lies
    /// above the epoch now, else the next one.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn begin_epoch(&mut self, epoch: u32) -> Result<LogIdentity, StoreError> {
        let identity = LogIdentity {
            log: self.identity.log,
            epoch: epoch.max(self.identity.epoch.saturating_add(1)),
        };
        let mut batch = self.batch();
        batch.put(Table::Meta, META_LOG.to_vec(), encode_identity(identity))?;
        let writes = batch.into_writes();
        self.commit(writes, Durability::Synced)?;
        self.identity = identity;
        Ok(identity)
    }

    /// A consistent copy of the store in the new folder `target`: a backup that
    /// [`Self::open`] opens. On a memory disk it is kept under that name.
    ///
    /// # Errors
    /// From the engine or the file system; `target` must not exist.
    pub fn checkpoint(&self, target: &Path) -> Result<(), StoreError> {
        if self.folder.is_none() {
            return Ok(self.engine.checkpoint(target)?);
        }
        let failed = |operation, path: &Path, error: &std::io::Error| StoreError::Folder {
            operation,
            path: path.to_path_buf(),
            message: error.to_string(),
        };
        if target.exists() {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(failed("create", target, &exists));
        }
        folder::create_private(target).map_err(|error| failed("create", target, &error))?;
        self.engine.checkpoint(&target.join(DATABASE_FOLDER))?;
        let side = target.join(SIDE_FILE);
        std::fs::write(&side, crate::side_file::encode(self.committed))
            .map_err(|error| failed("write", &side, &error))
    }

    /// The name of the class logs in it.
    #[must_use]
    pub fn identity(&self) -> LogIdentity {
        self.identity
    }

    /// What opening found.
    #[must_use]
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// The last commit.
    #[must_use]
    pub fn last_commit(&self) -> LastCommit {
        self.committed
    }

    /// Counters and gauges of the engine.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        self.engine.stats()
    }

    /// Every record of every table, checked: what `khlong-relay check` and the
    /// search for plaintext walk through.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] at the first damaged row, or what `visit` returns.
    pub fn for_each_row(&self, visit: &mut AnyRowVisitor<'_>) -> Result<(), StoreError> {
        for row in crate::catalog::CATALOG {
            self.scan(
                row.table,
                &KeyRange::all(),
                Direction::Forward,
                &mut |key, payload| {
                    visit(row.table, key, payload).map(std::ops::ControlFlow::Continue)
                },
            )?;
        }
        Ok(())
    }

    pub(crate) fn caches(&self) -> &Caches {
        &self.caches
    }

    fn start(
        mut engine: Patient,
        mut side: SideFile,
        folder: Option<Folder>,
        options: &OpenOptions,
    ) -> Result<Self, StoreError> {
        // Whatever is refused stays as it was: another program, or an earlier release with
        // a backup beside it, may still want it.
        migrate::check(&engine, SCHEMA)?;
        refuse_wrong_role(&engine, options.role)?;
        let side_state = side.read()?;
        let committed = LastCommit::read(&Committed(&engine))?;
        let loss = find_loss(committed, side_state);
        let lost = match loss {
            Some(error) if !options.accept_loss => return Err(error),
            Some(_) => true,
            None => false,
        };
        let found_schema = migrate::migrate(&mut engine, MIGRATIONS, SCHEMA)?;
        let identity = identify(&mut engine, options, lost)?;
        if side_state == SideState::Unreadable {
            tracing::warn!("the side file does not check; it is passed over and written anew");
        }
        side.write(committed)?;
        let opening = Opening {
            is_new: found_schema.is_none(),
            side: side_state,
            committed,
            lost,
        };
        Ok(Self {
            engine,
            side,
            folder,
            caches: Caches::default(),
            identity,
            committed,
            has_unsynced: false,
            opening,
        })
    }
}

impl Rows for Store {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Committed(&self.engine).get(table, key)
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        Committed(&self.engine).scan_each(table, range, direction, visit)
    }
}

fn refuse_wrong_role(engine: &dyn Engine, role: Role) -> Result<(), StoreError> {
    match Committed(engine).get(Table::Meta, META_ROLE)? {
        Some(found) if found != role.name().as_bytes() => Err(StoreError::WrongRole {
            found: String::from_utf8_lossy(&found).into_owned(),
            wanted: role.name(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Whether something that was acknowledged is not there.
pub(crate) fn find_loss(committed: LastCommit, side: SideState) -> Option<StoreError> {
    let SideState::Acknowledged(acknowledged) = side else {
        return None;
    };
    if committed.seq < acknowledged.seq {
        return Some(StoreError::BehindSideFile {
            found: committed.seq,
            acknowledged: acknowledged.seq,
        });
    }
    if committed.seq == acknowledged.seq && committed.hash != acknowledged.hash {
        return Some(StoreError::Diverged { seq: committed.seq });
    }
    None
}

/// The log's identity: read, made for a new folder, or with a new epoch after a loss.
fn identify(
    engine: &mut dyn Engine,
    options: &OpenOptions,
    lost: bool,
) -> Result<LogIdentity, StoreError> {
    let identity = match identity::read_identity(&Committed(engine))? {
        Some(identity) if !lost => return Ok(identity),
        Some(identity) => LogIdentity {
            log: identity.log,
            epoch: identity.epoch.saturating_add(1),
        },
        None => LogIdentity {
            log: options.fresh_log_id,
            epoch: 1,
        },
    };
    if lost {
        tracing::warn!(
            log_epoch = identity.epoch,
            "acknowledged commits are gone; a new log epoch begins"
        );
    }
    let mut batch = Batch::over(engine);
    batch.put(Table::Meta, META_LOG.to_vec(), encode_identity(identity))?;
    batch.put(
        Table::Meta,
        META_ROLE.to_vec(),
        options.role.name().as_bytes().to_vec(),
    )?;
    let writes = batch.into_writes();
    engine.commit(&writes, Durability::Synced)?;
    Ok(identity)
}
