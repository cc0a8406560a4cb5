//! The engine on an imaginary disk.
//!
//! [`MemoryDisk`] is the disk: it outlives the engine, can lose power, rot, fill
//! up and fail. [`MemoryEngine`] is what a process sees of it. The disk keeps a
//! base and a log of encoded, checksummed write sets, like RocksDB's SST files
//! and write-ahead log, so that a torn record is really torn bytes and opening
//! really has to notice it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::faults::{Fault, FaultKind, FaultPlan};
use super::{CommitReceipt, Direction, Durability, Engine, EngineStats, Visitor};
use crate::error::EngineError;
use crate::key::KeyRange;
use crate::limits::SCAN_CHUNK_ROWS;
use crate::side_file::SIDE_BYTES;
use crate::table::Table;
use crate::write_set::WriteSet;

/// A fully synced log is folded into the base when it is longer than this and than
/// what the disk holds: so a byte is folded a few times at most, and ten thousand
/// disks of a simulation have short logs.
const LOG_FOLDED_BYTES_MIN: u64 = 64 * 1024;
/// `length:4 ‖ checksum:8` before each record of the log.
const RECORD_HEADER_BYTES: usize = 12;

type Rows = BTreeMap<(Table, Vec<u8>), Arc<[u8]>>;

/// A disk in memory, shared by the engine on it and the test that torments it.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<DiskState>>,
}

#[derive(Debug, Default)]
struct DiskState {
    /// What the base files hold.
    base: Rows,
    /// Records since the base.
    log: Vec<u8>,
    /// How much of the log is synced.
    synced_bytes: usize,
    /// Base and log together: what a running engine reads.
    live: Rows,
    live_bytes: u64,
    rotten: BTreeSet<(Table, Vec<u8>)>,
    side: Option<[u8; SIDE_BYTES]>,
    checkpoints: BTreeMap<PathBuf, Rows>,
    free_bytes: Option<u64>,
    wal_syncs: u64,
    faults: FaultPlan,
    is_open: bool,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: whatever was not synced is gone. The engine on it is
    /// useless from now on; open another.
    pub fn crash(&self) {
        let mut disk = self.lock();
        if disk.synced_bytes < disk.log.len() {
            disk.faults.count(FaultKind::LostSuffix);
        }
        let synced_bytes = disk.synced_bytes;
        disk.log.truncate(synced_bytes);
        disk.is_open = false;
    }

    /// Cuts the power while the disk was writing: of the bytes that were not
    /// synced, the first `kept_bytes` got there.
    pub fn crash_torn(&self, kept_bytes: usize) {
        let mut disk = self.lock();
        let end = disk.synced_bytes.saturating_add(kept_bytes);
        if end < disk.log.len() {
            disk.faults.count(FaultKind::LostSuffix);
            disk.log.truncate(end);
        }
        disk.is_open = false;
    }

    /// Makes the next operation of the fault's kind fail (a commit, or a read).
    pub fn inject(&self, fault: Fault) {
        self.inject_after(0, fault);
    }

    /// The same after `successes` further operations; faults wait in line.
    pub fn inject_after(&self, successes: u64, fault: Fault) {
        self.lock().faults.inject(successes, fault);
    }

    /// How often faults of `kind` took effect.
    #[must_use]
    pub fn fired(&self, kind: FaultKind) -> u64 {
        self.lock().faults.fired(kind)
    }

    /// Takes back the faults that have not taken effect yet.
    pub fn forget_faults(&self) {
        self.lock().faults.forget();
    }

    /// Gets, and chunks of scans, that engines on it have read so far: what a decision
    /// costs the disk, without a clock.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.lock().faults.reads()
    }

    /// Flips one bit of a stored record, in the base and in what is read.
    /// `false` if there is no such row or bit.
    pub fn rot(&self, table: Table, key: &[u8], bit: usize) -> bool {
        let mut disk = self.lock();
        let row = (table, key.to_vec());
        let Some(record) = disk.live.get(&row) else {
            return false;
        };
        let mut bytes = record.to_vec();
        let Some(byte) = bytes.get_mut(bit / 8) else {
            return false;
        };
        *byte ^= 1 << (bit % 8);
        disk.fold();
        let rotten: Arc<[u8]> = bytes.into();
        disk.base.insert(row.clone(), Arc::clone(&rotten));
        disk.live.insert(row.clone(), rotten);
        disk.rotten.insert(row);
        true
    }

    /// Sets what the file system has left; `None` = without limit.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.lock().free_bytes = free_bytes;
    }

    /// Bytes of keys and records that a running engine reads.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.lock().live_bytes
    }

    /// A new disk with the content of a checkpoint made at `target`.
    #[must_use]
    pub fn from_checkpoint(&self, target: &Path) -> Option<Self> {
        let base = self.lock().checkpoints.get(target)?.clone();
        let disk = Self::new();
        disk.lock().base = base;
        Some(disk)
    }

    pub(crate) fn read_side(&self) -> Option<[u8; SIDE_BYTES]> {
        self.lock().side
    }

    pub(crate) fn write_side(&self, bytes: [u8; SIDE_BYTES]) {
        self.lock().side = Some(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        // A panic elsewhere leaves the maps whole: every change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskState {
    /// Rebuilds what is readable from base and log; drops a torn end.
    fn recover(&mut self) {
        self.live = self.base.clone();
        let mut at = 0;
        self.live_bytes = self
            .live
            .iter()
            .map(|((_, key), record)| row_bytes(key, record))
            .sum();
        while let Some((writes, next)) = read_record(&self.log, at) {
            self.apply(&writes);
            at = next;
        }
        if at < self.log.len() {
            self.faults.count(FaultKind::TornRecordDropped);
            self.log.truncate(at);
        }
        self.synced_bytes = self.synced_bytes.min(self.log.len());
    }

    /// Makes a write set readable.
    fn apply(&mut self, writes: &WriteSet) {
        for (table, key, record) in writes.iter() {
            let row = (table, key.to_vec());
            let replaced = match record {
                Some(record) => {
                    self.live_bytes += row_bytes(key, record);
                    self.live.insert(row, record.into())
                }
                None => self.live.remove(&row),
            };
            self.live_bytes -= replaced.map_or(0, |old| row_bytes(key, &old));
        }
    }

    /// Makes everything readable the base; only ever called when that loses no fault.
    fn fold(&mut self) {
        self.base = self.live.clone();
        self.log.clear();
        self.synced_bytes = 0;
    }

    fn append(&mut self, record: &[u8]) {
        self.log.extend_from_slice(record);
    }

    fn sync(&mut self) {
        self.synced_bytes = self.log.len();
        self.wal_syncs += 1;
    }

    /// Folds a long log, if all of it is synced and readable.
    fn fold_if_long(&mut self) {
        let is_long = self.log.len() as u64 > self.live_bytes.max(LOG_FOLDED_BYTES_MIN);
        if is_long && self.synced_bytes == self.log.len() {
            self.fold();
        }
    }

    fn note_rot(&mut self, table: Table, key: &[u8]) {
        if !self.rotten.is_empty() && self.rotten.contains(&(table, key.to_vec())) {
            self.faults.count(FaultKind::BitRot);
        }
    }
}

/// What a process sees of a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryEngine {
    disk: MemoryDisk,
    reserve_bytes: u64,
    commits: u64,
    poisoned: bool,
}

impl MemoryEngine {
    /// Opens the disk as after a restart: replays its log, drops a torn end.
    /// `reserve_bytes` stay free.
    ///
    /// # Errors
    /// [`EngineError::Io`] if another engine has it open (drop that one first).
    pub fn open(disk: &MemoryDisk, reserve_bytes: u64) -> Result<Self, EngineError> {
        let mut state = disk.lock();
        if state.is_open {
            return Err(EngineError::Io {
                operation: "open",
                message: "another engine has this disk open".to_owned(),
            });
        }
        state.recover();
        // RocksDB, too, keeps what it recovers from its log in synced files before it is open.
        state.synced_bytes = state.log.len();
        state.is_open = true;
        drop(state);
        Ok(Self {
            disk: disk.clone(),
            reserve_bytes,
            commits: 0,
            poisoned: false,
        })
    }

    /// Writes the record, with whatever goes wrong on the way.
    fn write(
        &self,
        disk: &mut DiskState,
        record: &[u8],
        durability: Durability,
    ) -> Result<(), EngineError> {
        match disk.faults.on_commit() {
            Some(Fault::Stall) => Err(EngineError::Busy),
            Some(Fault::NoSpace) => Err(io("commit", "no space left on device")),
            Some(Fault::SyncError { persisted }) => {
                if persisted {
                    disk.append(record);
                    disk.synced_bytes = disk.log.len();
                }
                Err(io("commit", "input/output error in fsync"))
            }
            Some(Fault::TornCommit { kept_bytes }) => {
                let kept = kept_bytes.min(record.len().saturating_sub(1));
                disk.append(record.get(..kept).unwrap_or_default());
                disk.synced_bytes = disk.log.len();
                Err(io("commit", "power lost"))
            }
            Some(Fault::ReadError) | None => {
                disk.append(record);
                if durability == Durability::Synced {
                    disk.sync();
                }
                Ok(())
            }
        }
    }
}

impl Drop for MemoryEngine {
    fn drop(&mut self) {
        self.disk.lock().is_open = false;
    }
}

impl Engine for MemoryEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let mut disk = self.disk.lock();
        if disk.faults.on_read() {
            return Err(io("get", "input/output error"));
        }
        disk.note_rot(table, key);
        Ok(disk
            .live
            .get(&(table, key.to_vec()))
            .map(|record| record.to_vec()))
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        let mut left = range.clone();
        loop {
            // Rows are copied out before they are shown, so that a visitor may read the engine too.
            let chunk = {
                let mut disk = self.disk.lock();
                if disk.faults.on_read() {
                    return Err(io("scan", "input/output error"));
                }
                chunk(&disk.live, table, &left, direction)
            };
            for (key, record) in &chunk {
                self.disk.lock().note_rot(table, key);
                if visit(key, record) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
            let Some((last, _)) = chunk.last() else {
                return Ok(());
            };
            match direction {
                Direction::Forward => left.start = [last.as_slice(), &[0]].concat(),
                Direction::Reverse => left.end = Some(last.clone()),
            }
        }
    }

    fn commit(
        &mut self,
        writes: &WriteSet,
        durability: Durability,
    ) -> Result<CommitReceipt, EngineError> {
        if self.poisoned {
            return Err(EngineError::Poisoned);
        }
        let mut disk = self.disk.lock();
        let payload = writes.encode();
        if let Some(free_bytes) = disk.free_bytes
            && free_bytes < self.reserve_bytes.saturating_add(payload.len() as u64)
        {
            disk.faults.count(FaultKind::DiskFull);
            return Err(EngineError::DiskFull {
                free_bytes,
                reserve_bytes: self.reserve_bytes,
            });
        }
        if let Err(error) = self.write(&mut disk, &record(&payload), durability) {
            drop(disk);
            self.poisoned = !error.is_retryable();
            return Err(error);
        }
        disk.free_bytes = disk
            .free_bytes
            .map(|free_bytes| free_bytes.saturating_sub(payload.len() as u64));
        for (table, key, _) in writes.iter() {
            if !disk.rotten.is_empty() {
                disk.rotten.remove(&(table, key.to_vec()));
            }
        }
        disk.apply(writes);
        disk.fold_if_long();
        self.commits += 1;
        Ok(CommitReceipt {
            commits: self.commits,
            wal_syncs: disk.wal_syncs,
        })
    }

    fn checkpoint(&self, target: &Path) -> Result<(), EngineError> {
        let mut disk = self.disk.lock();
        if disk.checkpoints.contains_key(target) {
            return Err(io("checkpoint", "the target exists"));
        }
        let rows = disk.live.clone();
        disk.checkpoints.insert(target.to_path_buf(), rows);
        Ok(())
    }

    fn stats(&self) -> EngineStats {
        let disk = self.disk.lock();
        EngineStats {
            commits: self.commits,
            wal_syncs: disk.wal_syncs,
            disk_bytes: disk.live_bytes,
            free_bytes: disk.free_bytes.unwrap_or(u64::MAX),
            recycled_logs_max: 0,
            poisoned: self.poisoned,
        }
    }
}

fn io(operation: &'static str, message: &str) -> EngineError {
    EngineError::Io {
        operation,
        message: message.to_owned(),
    }
}

fn row_bytes(key: &[u8], record: &[u8]) -> u64 {
    (key.len() + record.len()) as u64
}

fn chunk(
    rows: &Rows,
    table: Table,
    range: &KeyRange,
    direction: Direction,
) -> Vec<(Vec<u8>, Arc<[u8]>)> {
    if range.is_empty() {
        return Vec::new();
    }
    let start = Bound::Included((table, range.start.clone()));
    let end = match &range.end {
        Some(end) => Bound::Excluded((table, end.clone())),
        // No key is longer than KEY_BYTES_MAX, and none of that length is all 0xff twice over.
        None => Bound::Excluded((table, vec![u8::MAX; 2 * crate::limits::KEY_BYTES_MAX])),
    };
    let found = rows
        .range((start, end))
        .map(|((_, key), record)| (key.clone(), Arc::clone(record)));
    match direction {
        Direction::Forward => found.take(SCAN_CHUNK_ROWS).collect(),
        Direction::Reverse => found.rev().take(SCAN_CHUNK_ROWS).collect(),
    }
}

fn record(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    crate::key::Encoder::new()
        .u32(length)
        .fixed(&log_checksum(payload))
        .tail(payload)
        .finish()
}

/// The write set at `at` and where the next record begins; `None` at the end
/// of the log, or where bytes are missing or wrong.
fn read_record(log: &[u8], at: usize) -> Option<(WriteSet, usize)> {
    let mut rest = crate::key::Decoder::new(log.get(at..)?);
    let length = usize::try_from(rest.u32()?).ok()?;
    let checksum = rest.fixed()?;
    let payload = rest.bytes(length)?;
    if log_checksum(payload) != checksum {
        return None;
    }
    Some((
        WriteSet::decode(payload)?,
        at + RECORD_HEADER_BYTES + length,
    ))
}

fn log_checksum(payload: &[u8]) -> [u8; 8] {
    let mut checksum = [0; 8];
    blake3::Hasher::new()
        .update(payload)
        .finalize_xof()
        .fill(&mut checksum);
    checksum
}
