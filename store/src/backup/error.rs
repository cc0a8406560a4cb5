//! What stands in the way of a backup or a restore.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::MANIFEST_VERSION;
use crate::error::StoreError;

/// Damages that are spelled out for people; `--json` has all of them.
const DAMAGES_SHOWN: usize = 16;

/// One thing in a backup that is not what was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its path inside the backup, with `/` between folders.
    pub path: String,
    /// How it differs.
    pub reason: String,
}

impl Damage {
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// What stands in the way of a backup or a restore.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target exists.
    #[error("{path} exists already; name a new folder", path = .0.display())]
    Exists(PathBuf),
    /// The target names no folder, such as `/` or `..`.
    #[error("{path} is no name for a new folder", path = .0.display())]
    NoName(PathBuf),
    /// Under the name of the draft lies what this user did not make, or others may look into.
    #[error(
        "{path} is there already and not this user's alone (a link, a file, or a folder that others own or may enter); remove it, or name a folder elsewhere", path = .0.display()
    )]
    NotOwn(PathBuf),
    /// The target lies in the folder that is backed up.
    #[error("{path} lies in the folder of the store; name a folder elsewhere, best on another disk", path = .0.display())]
    InsideStore(PathBuf),
    /// The machine's clock stands before the backup was made.
    #[error(
        "the backup was made at {created_at}, and this machine's clock stands before that; set the clock: the number of the log's new epoch comes from it"
    )]
    ClockBehind {
        /// RFC 3339 in UTC.
        created_at: String,
    },
    /// A restore never mixes with what is there.
    #[error("{path} is not empty; stop what uses it, move what is there aside, and restore again", path = .0.display())]
    NotEmpty(PathBuf),
    /// Not made by `backup create`, or not to its end.
    #[error("{folder} is not a complete backup: {reason}; take another one", folder = folder.display())]
    Incomplete {
        /// Which.
        folder: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A newer version wrote it.
    #[error(
        "the backup has version {found}, this version knows {MANIFEST_VERSION}; install the newer version"
    )]
    TooNew {
        /// Its version.
        found: u32,
    },
    /// Files are not what was backed up.
    #[error("{folder} is damaged:{list}\nuse another backup", folder = folder.display(), list = Listed(damages))]
    Damaged {
        /// Which.
        folder: PathBuf,
        /// All that was found; at least one.
        damages: Vec<Damage>,
    },
    /// It would not fit; nothing was copied.
    #[error(
        "the backup needs {wanted} bytes at {path} (what the store keeps in reserve included) and {free} are free; free some space, or name a folder on another disk", path = path.display()
    )]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// Bytes of the checkpoint, and the reserve if it is the store's own disk.
        wanted: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The store in the copy is another one than was asked for.
    #[error(
        "the copy holds commit {copied}, and commit {wanted} was backed up; nothing was kept, try again"
    )]
    OtherCommit {
        /// In the copy.
        copied: u64,
        /// Promised by its origin.
        wanted: u64,
    },
    /// The store in the copy is whole, and not what its owner can go on with.
    #[error("the copy does not check: {0}; nothing was kept")]
    Unfit(String),
    /// Opening a store.
    #[error("the store does not open")]
    Store(#[source] StoreError),
    /// The disk said no.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exists(_)
            | Self::InsideStore(_)
            | Self::ClockBehind { .. }
            | Self::NoName(_)
            | Self::NotEmpty(_) => 3,
            Self::NotOwn(_) => 4,
            Self::NoRoom { .. } => 7,
            Self::TooNew { .. } => 8,
            Self::Incomplete { .. }
            | Self::Damaged { .. }
            | Self::OtherCommit { .. }
            | Self::Unfit(_) => 9,
            Self::Store(error) => error.exit_code(),
            Self::Io { source, .. } => {
                let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
                if full.contains(&source.kind()) { 7 } else { 1 }
            }
        }
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

struct Listed<'d>(&'d [Damage]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Damage { path, reason } in self.0.iter().take(DAMAGES_SHOWN) {
            write!(f, "\n  {path}: {reason}")?;
        }
        match self.0.len().saturating_sub(DAMAGES_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
