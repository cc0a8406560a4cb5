//! What ends a command, and with which exit code.

use std::io;
use std::path::{Path, PathBuf};

use khlong_store::error::StoreError;
use khlong_store::journal::JournalError;
use thiserror::Error;

use super::backup::CopyError;
use super::books::BooksError;
use crate::app::moving::MoveError;
use crate::app::postgres::PostgresError;
use crate::app::taking_back::TakeBackError;
use crate::domains::promptpay::{PayloadError, PictureError, RecipientError};
use crate::kernel::KernelError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// `run`.
    #[error(transparent)]
    Run(#[from] super::RunError),
    /// What was typed names nobody.
    #[error("no such recipient")]
    Recipient(#[source] RecipientError),
    /// What was typed makes no code.
    #[error("no code can be made of this")]
    Encode(#[source] PayloadError),
    /// What was scanned is no code.
    #[error("this code is refused")]
    Decode(#[source] PayloadError),
    /// A code that cannot be drawn.
    #[error("the code cannot be drawn")]
    Picture(#[source] PictureError),
    /// Nothing is overwritten.
    #[error("{path} exists already; name another file, or remove it", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder.
    #[error("cannot write {path}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file or folder that cannot be looked at.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A new folder would go where something is.
    #[error("{path} has something in it; name an empty folder, or one that is not there", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A new folder would go into the one that it is made from.
    #[error("{path} lies in a folder that is read; name one elsewhere", path = path.display())]
    Inside {
        /// The folder that was to be made.
        path: PathBuf,
    },
    /// No gateway was ever in the folder.
    #[error("{path} is not the folder of a gateway; name another one, or make it with `khlong-gateway init`", path = path.display())]
    NoGateway {
        /// The folder.
        path: PathBuf,
    },
    /// A gateway, or another command, has the folder.
    #[error("{path} is in use by process {pid}; stop it, then try again", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process; 0 if it did not write its number.
        pid: u32,
    },
    /// What is in the folder, or what the disk says.
    #[error("{path} is refused", path = path.display())]
    Refused {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<KernelError>,
    },
    /// A damaged row, which whoever asks about the folder may see named.
    #[error("{path} is refused: damage in {place}; `khlong-gateway replay {path} --into NEW` rebuilds all from the journal, which loses nothing, unless that is what is damaged", path = path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// Table and key.
        place: String,
        /// What is wrong with it.
        #[source]
        source: Box<KernelError>,
    },
    /// The journal is shorter than what was acknowledged: a part of the log at the end is damaged, or an
    /// older folder was put back.
    #[error("{path} is refused: what was acknowledged is missing from entry {entry} of the journal on, if it held entries at all", path = path.display())]
    Lost {
        /// The folder.
        path: PathBuf,
        /// The first entry that is not there, if one is gone: what counts is commits, and some hold none.
        entry: u64,
        /// What the store says, and what to do.
        #[source]
        source: StoreError,
    },
    /// Debits and credits of an asset differ.
    #[error(
        "the books do not balance: asset {ledger} is out by {imbalance}; replay the journal into an empty folder, and report it"
    )]
    Unbalanced {
        /// The asset.
        ledger: u32,
        /// By how many of its smallest units.
        imbalance: u128,
    },
    /// What was published is not in the journal.
    #[error("the journal does not have entry {entry} with the hash that was published: {why}")]
    OtherHistory {
        /// Which entry.
        entry: u64,
        /// What it has instead, and since when.
        why: String,
    },
    /// The views do not follow from the journal.
    #[error("the views in {folder} are not those of its journal; {into} has the rebuilt ones: keep both, and report it", folder = folder.display(), into = into.display())]
    ViewsDiffer {
        /// Where they are.
        folder: PathBuf,
        /// Where the rebuilt ones are.
        into: PathBuf,
    },
    /// No backup from which a replay may begin.
    #[error("no replay begins from {path}: {reason}; name another backup, or leave out --from-snapshot", path = path.display())]
    NoSnapshot {
        /// What was named.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A replay that began from a snapshot came to other views.
    #[error("the views in {folder} are not those that follow from {snapshot}: one of them is wrong; replay without --from-snapshot, which trusts the journal alone; nothing was made", folder = folder.display(), snapshot = snapshot.display())]
    SnapshotDiffers {
        /// Where they are.
        folder: PathBuf,
        /// Where the replay began.
        snapshot: PathBuf,
    },
    /// A replay that began from a snapshot has nothing to be compared with.
    #[error("the views in {folder} cannot be read, so nothing tells whether those that follow from {snapshot} are right; replay without --from-snapshot, which trusts the journal alone; nothing was made", folder = folder.display(), snapshot = snapshot.display())]
    SnapshotAlone {
        /// Where they are.
        folder: PathBuf,
        /// Where the replay began.
        snapshot: PathBuf,
    },
    /// A replay that began from a snapshot came to another outcome.
    #[error("from {snapshot} on, entry {seq} of the journal replays to another outcome: the views in the backup are wrong, or this is a bug; replay without --from-snapshot, which trusts the journal alone", snapshot = snapshot.display())]
    SnapshotDiverged {
        /// Where the replay began.
        snapshot: PathBuf,
        /// The first entry that differs.
        seq: u64,
    },
    /// A configuration for a journal in a database that names none.
    #[error("{path} names no database: set journal.postgres, or leave out --config", path = path.display())]
    NoDatabase {
        /// The configuration.
        path: PathBuf,
    },
    /// The journal's database.
    #[error("the journal's database is not used")]
    Postgres(#[source] PostgresError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
    /// The books; their own words say what to do.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// Moves; their own words say what to do.
    #[error(transparent)]
    Move(MoveError),
    /// Taking a journal back; its own words say what to do.
    #[error(transparent)]
    TakeBack(TakeBackError),
    /// Backups; their own words say what to do.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Standard input.
    #[error("cannot read a text of UTF-8 from standard input")]
    Input(#[source] io::Error),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// Told apart from a full folder: whoever repeats the command does it twice.
    #[error("it is done, but standard output could not be written: do not repeat it")]
    Untold(#[source] io::Error),
    /// A batch whose file nobody has.
    #[error(
        "batch {batch:032x} is recorded, but its file could not be written to standard output: do not export it again, `khlong-gateway payout again` writes it"
    )]
    FileUntold {
        /// Which.
        batch: u128,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl CliError {
    pub(super) fn store(path: &Path, error: StoreError) -> Self {
        Self::kernel(path, error.into())
    }

    pub(super) fn journal(path: &Path, error: JournalError) -> Self {
        Self::kernel(path, KernelError::from_journal(error))
    }

    /// A failure of the store is the same whoever hands it on.
    pub(super) fn kernel(path: &Path, source: KernelError) -> Self {
        let path = path.to_owned();
        if let KernelError::Store(error) = &source {
            if let StoreError::Locked { pid, .. } = error {
                return Self::InUse { path, pid: *pid };
            }
            if let Some(place) = error.place() {
                return Self::Damaged {
                    path,
                    place,
                    source: Box::new(source),
                };
            }
        }
        Self::Refused {
            path,
            source: Box::new(source),
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Run(error) => error.exit_code(),
            Self::Recipient(_) | Self::Encode(_) => 2,
            Self::Exists { .. }
            | Self::NotEmpty { .. }
            | Self::Inside { .. }
            | Self::NoGateway { .. }
            | Self::NoDatabase { .. }
            | Self::InUse { .. } => 3,
            Self::Postgres(error) => error.exit_code(),
            Self::Refused { source, .. } | Self::Damaged { source, .. } => source.exit_code(),
            Self::Lost { source, .. } => source.exit_code(),
            Self::Decode(_)
            | Self::Unbalanced { .. }
            | Self::OtherHistory { .. }
            | Self::NoSnapshot { .. }
            | Self::SnapshotDiffers { .. }
            | Self::SnapshotAlone { .. }
            | Self::SnapshotDiverged { .. }
            | Self::ViewsDiffer { .. } => 9,
            Self::File { source, .. } | Self::Output(source) => of_io(source),
            Self::Untold(_) | Self::FileUntold { .. } => 1,
            Self::Books(error) => error.exit_code(),
            Self::Copy(error) => error.exit_code(),
            Self::Move(error) => error.exit_code(),
            Self::TakeBack(error) => error.exit_code(),
            Self::Picture(_) | Self::Input(_) | Self::Unreadable { .. } | Self::Entropy(_) => 1,
        }
    }
}

pub(super) fn of_io(error: &io::Error) -> u8 {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if full.contains(&error.kind()) { 7 } else { 1 }
}
