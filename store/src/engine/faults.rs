//! Faults that the memory engine injects, and the proof that they fired.
//!
//! A test that injects a fault and passes because the fault never happened
//! proves nothing; so every fault is counted when it takes effect.

use std::collections::{BTreeMap, VecDeque};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A commit's sync fails with EIO. Whether the bytes reached the disk is
    /// not known to the caller; here it is chosen.
    SyncError {
        /// The record is on the disk although the call failed.
        persisted: bool,
    },
    /// Power goes in the middle of a commit: a prefix of its record is on the disk.
    TornCommit {
        /// Bytes of the record that got there.
        kept_bytes: usize,
    },
    /// The file system has no space for the record (ENOSPC in the write, not the reserve).
    NoSpace,
    /// The engine would have to wait: nothing is written, the caller is told `Busy`.
    Stall,
    /// A read fails with EIO.
    ReadError,
}

/// Kinds of faults, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// [`Fault::SyncError`].
    SyncError,
    /// [`Fault::TornCommit`].
    TornCommit,
    /// [`Fault::NoSpace`].
    NoSpace,
    /// [`Fault::Stall`].
    Stall,
    /// [`Fault::ReadError`].
    ReadError,
    /// A read met a bit that was flipped at rest.
    BitRot,
    /// A crash dropped commits that were not synced.
    LostSuffix,
    /// Opening dropped a record that was only partly on the disk.
    TornRecordDropped,
    /// A commit was refused because the reserve was reached.
    DiskFull,
}

impl Fault {
    fn kind(self) -> FaultKind {
        match self {
            Self::SyncError { .. } => FaultKind::SyncError,
            Self::TornCommit { .. } => FaultKind::TornCommit,
            Self::NoSpace => FaultKind::NoSpace,
            Self::Stall => FaultKind::Stall,
            Self::ReadError => FaultKind::ReadError,
        }
    }

    fn is_of_a_read(self) -> bool {
        match self {
            Self::ReadError => true,
            Self::SyncError { .. } | Self::TornCommit { .. } | Self::NoSpace | Self::Stall => false,
        }
    }
}

/// Faults that wait, in order, and those that fired.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    /// For commits: how many still succeed first, then the fault.
    commits: VecDeque<(u64, Fault)>,
    /// The same for reads.
    reads: VecDeque<(u64, Fault)>,
    reads_seen: u64,
    fired: BTreeMap<FaultKind, u64>,
}

impl FaultPlan {
    /// Adds a fault that takes effect after `successes` further operations of its kind
    /// (counted from the fault before it).
    pub(crate) fn inject(&mut self, successes: u64, fault: Fault) {
        let queue = if fault.is_of_a_read() {
            &mut self.reads
        } else {
            &mut self.commits
        };
        queue.push_back((successes, fault));
    }

    /// Takes back what waits; what fired stays counted.
    pub(crate) fn forget(&mut self) {
        self.commits.clear();
        self.reads.clear();
    }

    /// The fault that hits this commit, if any.
    pub(crate) fn on_commit(&mut self) -> Option<Fault> {
        let fault = Self::next(&mut self.commits)?;
        self.count(fault.kind());
        Some(fault)
    }

    /// Whether this read fails.
    pub(crate) fn on_read(&mut self) -> bool {
        self.reads_seen += 1;
        let Some(fault) = Self::next(&mut self.reads) else {
            return false;
        };
        self.count(fault.kind());
        true
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads_seen
    }

    pub(crate) fn count(&mut self, kind: FaultKind) {
        *self.fired.entry(kind).or_default() += 1;
    }

    pub(crate) fn fired(&self, kind: FaultKind) -> u64 {
        self.fired.get(&kind).copied().unwrap_or_default()
    }

    fn next(queue: &mut VecDeque<(u64, Fault)>) -> Option<Fault> {
        let (successes, _) = queue.front_mut()?;
        if *successes > 0 {
            *successes -= 1;
            return None;
        }
        queue.pop_front().map(|(_, fault)| fault)
    }
}
