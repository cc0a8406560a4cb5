//! Every way in which the store can fail, and what to do about each.
//!
//! There are two enums because there are two audiences: [`EngineError`] is what
//! an engine may answer (and what a fault-injecting test expects), [`StoreError`]
//! is what a core, a driver or a command line sees.

use std::path::PathBuf;

use khlong_crdt::redacted::Redacted;

use crate::table::Table;

/// What an engine may answer to a read, a commit or a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Refused *before* anything was written: the free space is below the reserve.
    #[error(
        "only {free_bytes} bytes are free and {reserve_bytes} are kept in reserve; free some space and try again (nothing was written)"
    )]
    DiskFull {
        /// What the file system has left for us.
        free_bytes: u64,
        /// What must stay free, so that compaction and the log can go on.
        reserve_bytes: u64,
    },
    /// Refused *before* anything was written: the engine would have to wait for compaction.
    #[error(
        "the engine is catching up with its compactions; try again in a moment (nothing was written)"
    )]
    Busy,
    /// An earlier commit failed or its fate is unknown. An fsync is never retried.
    #[error("an earlier commit failed; close the folder and open it again")]
    Poisoned,
    /// The operating system or the engine failed during `operation`.
    #[error("{operation} failed: {message}; check the disk, then open the folder again")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// What the operating system said.
        message: String,
    },
    /// The engine's own checks found damaged bytes.
    #[error("damaged bytes found by {operation}: {message}; restore the folder from a backup")]
    Corrupt {
        /// What was being done.
        operation: &'static str,
        /// Where, in the engine's words.
        message: String,
    },
    /// A synced commit returned, but the counter of WAL syncs did not rise.
    #[error("a commit came back without a sync of the write-ahead log; this is a bug, report it")]
    NotSynced,
    /// The folder has a column family that this version does not know.
    #[error(
        "the folder has a table `{name}` that this version does not know; use the newer version that wrote it"
    )]
    UnknownTable {
        /// The column family.
        name: String,
    },
    /// RocksDB has quietly replaced an option on which a guarantee depends.
    #[error(
        "RocksDB replaced option `{option}`: wanted {wanted}, in effect {effective}; this is a bug, report it"
    )]
    OptionReplaced {
        /// RocksDB's name of the option.
        option: &'static str,
        /// What we asked for.
        wanted: String,
        /// What its OPTIONS file says.
        effective: String,
    },
}

impl EngineError {
    /// Whether the same commit may be tried again on the same engine.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::DiskFull { .. } | Self::Busy => true,
            Self::Poisoned
            | Self::Io { .. }
            | Self::Corrupt { .. }
            | Self::NotSynced
            | Self::UnknownTable { .. }
            | Self::OptionReplaced { .. } => false,
        }
    }
}

/// What the store says to its caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The engine failed; its own words say what to do.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another process has the folder open.
    #[error("{path} is in use by process {pid}; stop it and try again; while `khlong daemon` runs, commands share the folder", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds the lock; 0 if it did not write its number.
        pid: u32,
    },
    /// The folder is another user's, who might be unable to open what this one writes there.
    #[error(
        "{path} belongs to user {owner}, and this is user {own}; nothing was written: run the same command as that user, such as by `sudo -u '#{owner}' …`",
        path = path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The number of its user.
        owner: u32,
        /// The number of the user who wants to write there.
        own: u32,
    },
    /// A folder operation failed.
    #[error("{operation} {path} failed: {message}", path = path.display())]
    Folder {
        /// What was being done.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        message: String,
    },
    /// A node's folder was opened as a relay's, or the other way round.
    #[error("the folder belongs to a {found}, not to a {wanted}; name another folder")]
    WrongRole {
        /// What the folder says.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The folder was written by a newer version.
    #[error(
        "the folder has schema {found}, this version knows up to {supported}; install the newer version"
    )]
    SchemaTooNew {
        /// The folder's schema.
        found: u32,
        /// The newest schema known here.
        supported: u32,
    },
    /// A migration is missing from the list: a bug in the release.
    #[error("no migration leads from schema {from} to {to}; this release is broken, report it")]
    MigrationMissing {
        /// The folder's schema.
        from: u32,
        /// The schema wanted.
        to: u32,
    },
    /// The engine holds less than was acknowledged: something committed is gone.
    #[error(
        "the folder holds commits up to {found}, but {acknowledged} were acknowledged; restore a backup; a relay or gateway goes on in a new log epoch with `run --accept-loss`"
    )]
    BehindSideFile {
        /// Last commit in the engine.
        found: u64,
        /// Last commit in the side file.
        acknowledged: u64,
    },
    /// The engine holds another history than the one that was acknowledged.
    #[error(
        "commit {seq} of the folder is not the one that was acknowledged (another history was restored over it); restore the right backup; a relay or gateway goes on in a new log epoch with `run --accept-loss`"
    )]
    Diverged {
        /// The commit at which the hashes differ.
        seq: u64,
    },
    /// A row does not carry its checksum, or cannot be decoded.
    #[error("a row of table `{table}` is damaged: {reason}; restore the folder from a backup")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// The key in hexadecimal: it names timelines and authors.
        key: Redacted<String>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The batch is full; commit it, then go on.
    #[error("the batch holds {bytes} bytes and may hold {max}; commit it first")]
    BatchFull {
        /// What it would hold.
        bytes: usize,
        /// `BATCH_BYTES_MAX`.
        max: usize,
    },
    /// One key or one value is larger than any row may be.
    #[error("a row of table `{table}` would have {bytes} bytes, more than {max}")]
    RowTooLarge {
        /// Where.
        table: &'static str,
        /// Key and value together.
        bytes: usize,
        /// The limit that it breaks.
        max: usize,
    },
    /// A queue or table of the node has reached its named limit.
    #[error("{what} holds {max} entries, its limit; let it drain first")]
    TableFull {
        /// Which.
        what: &'static str,
        /// Its limit.
        max: u64,
    },
    /// An auth-op that was accepted before is refused by admission now.
    #[error("the admission log of a timeline does not replay; restore the folder from a backup")]
    AdmissionLog {
        /// Text form of the timeline's id.
        timeline: Redacted<String>,
        /// What admission said; it may name a principal.
        reason: Redacted<String>,
    },
}

impl StoreError {
    /// A damaged row, named so that an operator can find it.
    #[must_use]
    pub fn corrupt(table: Table, key: &[u8], reason: &'static str) -> Self {
        Self::Corrupt {
            table: table.name(),
            key: Redacted::new(hexadecimal(key)),
            reason,
        }
    }

    /// What is damaged, by its name: for whoever asks about a folder, not for a log.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Corrupt { table, key, .. } => {
                Some(format!("table `{table}`, key {}", key.expose()))
            }
            Self::AdmissionLog { timeline, reason } => Some(format!(
                "timeline {}: {}",
                timeline.expose(),
                reason.expose()
            )),
            Self::Engine(_)
            | Self::Locked { .. }
            | Self::Foreign { .. }
            | Self::Folder { .. }
            | Self::WrongRole { .. }
            | Self::SchemaTooNew { .. }
            | Self::MigrationMissing { .. }
            | Self::BehindSideFile { .. }
            | Self::Diverged { .. }
            | Self::BatchFull { .. }
            | Self::RowTooLarge { .. }
            | Self::TableFull { .. } => None,
        }
    }

    /// Whether the same call may be tried again on the same store.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_retryable(),
            Self::Locked { .. } | Self::BatchFull { .. } | Self::TableFull { .. } => true,
            Self::Foreign { .. }
            | Self::Folder { .. }
            | Self::WrongRole { .. }
            | Self::SchemaTooNew { .. }
            | Self::MigrationMissing { .. }
            | Self::BehindSideFile { .. }
            | Self::Diverged { .. }
            | Self::Corrupt { .. }
            | Self::RowTooLarge { .. }
            | Self::AdmissionLog { .. } => false,
        }
    }

    /// Whether bytes at rest are not what was written: of what is derived, none are there.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::Engine(EngineError::Corrupt { .. })
        )
    }

    /// The exit code of a program that ends with this error: 1 failure, 3 config,
    /// 4 untrusted or unauthorised, 7 quota or disk, 8 incompatible version, 9 integrity.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Engine(error) => match error {
                EngineError::DiskFull { .. } => 7,
                EngineError::Io { message, .. } if says_full(message) => 7,
                EngineError::UnknownTable { .. } => 8,
                EngineError::Corrupt { .. } => 9,
                EngineError::Busy
                | EngineError::Poisoned
                | EngineError::Io { .. }
                | EngineError::NotSynced
                | EngineError::OptionReplaced { .. } => 1,
            },
            Self::WrongRole { .. } => 3,
            Self::Foreign { .. } => 4,
            Self::TableFull { .. } => 7,
            Self::SchemaTooNew { .. } | Self::MigrationMissing { .. } => 8,
            Self::BehindSideFile { .. }
            | Self::Diverged { .. }
            | Self::Corrupt { .. }
            | Self::AdmissionLog { .. } => 9,
            Self::Folder { message, .. } if says_full(message) => 7,
            Self::Locked { .. } => 3,
            Self::Folder { .. } | Self::BatchFull { .. } | Self::RowTooLarge { .. } => 1,
        }
    }
}

/// Whether the operating system said ENOSPC or EDQUOT. Engines hand on its words
/// and not its number.
fn says_full(message: &str) -> bool {
    ["No space left on device", "Disk quota exceeded"]
        .iter()
        .any(|words| message.contains(words))
}

fn hexadecimal(key: &[u8]) -> String {
    use std::fmt::Write as _;
    key.iter()
        .fold(String::with_capacity(key.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
