//! A journal that is taken back into its folder, because the database in which it lay, or into which
//! it was moving, is lost for good.
//!
//! The folder goes on from what it has, as a restored one does: its log begins an epoch, and the first
//! entry behind what was there says so. Only then the folder forgets that its journal was elsewhere.
//! Each step can be cut off; until the last one nothing runs on the folder, and the same call ends it.

use std::path::{Path, PathBuf};

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::journal::{Head, LocalJournal};
use khlong_store::store::Store;

use super::opening::open_store;
use super::postgres::{
    Heard, Home, PostgresError, PostgresJournal, PostgresOptions, home, mark_returning, unmark,
};
use super::{AppError, Fresh, Opening};
use crate::domains;
use crate::kernel::{Doubt, Kernel, KernelError, Logic, latest_epoch, state_hash};

/// Why a journal was not taken back. The folder is what it was, or the same call goes on.
#[derive(Debug, thiserror::Error)]
pub enum TakeBackError {
    /// The folder does not open.
    #[error(transparent)]
    Open(AppError),
    /// The folder's journal or views, or the clock beside them.
    #[error("the folder is refused")]
    Folder(#[source] KernelError),
    /// The folder does not say, or keep, where its journal lies, or in which epoch it is.
    #[error("the folder's mark is not read or written")]
    Mark(#[source] StoreError),
    /// Somebody speaks where the database is said to be lost.
    #[error(
        "the journal's database answers, and does not say whether it has the journal: it may not be lost; put right what it says, or, if nobody will ever start it again, stop it"
    )]
    Postgres(#[source] PostgresError),
    /// There is nothing to take back.
    #[error(
        "{path} has its journal itself, up to entry {here}; start the gateway with a configuration that names no database",
        path = path.display()
    )]
    AtHome {
        /// The folder.
        path: PathBuf,
        /// Its last entry.
        here: u64,
    },
    /// All of it is there.
    #[error(
        "the database has this journal, up to entry {there}, with all that {path} has, up to {here}: it is not lost; start the gateway with the configuration that names it, after a move that was cut off run `khlong-gateway journal to-database` again, and beside a folder that was being taken back make a new one (`khlong-gateway init FOLDER --config FILE`); if it is damaged and has no backup, drop the schema khlong there first",
        path = path.display()
    )]
    NotLost {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
        /// The last one in the folder.
        here: u64,
    },
    /// A journal of this name is there, and gateways may go on with it.
    #[error(
        "the database has a journal of the same id, up to entry {there}, which does not have all that {path} has, up to {here}: it was put back, or is another history; see what of it is worth keeping, then drop the schema khlong there, so that no gateway goes on with it",
        path = path.display()
    )]
    Differs {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
        /// The last one in the folder.
        here: u64,
    },
}

impl TakeBackError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(error) => error.exit_code(),
            Self::Folder(error) => error.exit_code(),
            Self::Mark(error) => error.exit_code(),
            Self::Postgres(error) => error.exit_code(),
            Self::AtHome { .. } | Self::NotLost { .. } => 3,
            Self::Differs { .. } => 9,
        }
    }
}

/// The clock, as whoever asks reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// What it says. Its seconds since 1970 are the epoch's number, unless the log's is higher.
    pub(crate) now: UnixMillis,
    /// A person has looked at it, so that it is believed.
    pub(crate) is_accepted: bool,
}

/// A journal that was taken back.
#[derive(Debug)]
pub(crate) struct TakenBack {
    /// Where it stands. Its last entry begins the epoch.
    pub(crate) head: Head,
    /// The hash over the views there.
    pub(crate) state: [u8; 32],
    /// The epoch.
    pub(crate) epoch: u32,
    /// What was heard of the database.
    pub(crate) heard: Heard,
    /// What is odd about the clock.
    pub(crate) doubt: Option<Doubt>,
}

/// Takes the journal of a folder back out of a database that has it no more.
pub(crate) fn take_back(
    opening: &Opening,
    database: PostgresOptions,
    fresh: Fresh,
    reading: Reading,
) -> Result<TakenBack, TakeBackError> {
    let path = &opening.folder;
    let (store, copy) = open_store(opening, fresh).map_err(TakeBackError::Open)?;
    let home = home(&store).map_err(TakeBackError::Mark)?;
    if home == Home::Folder {
        let (path, here) = (path.clone(), copy.seq.0);
        return Err(TakeBackError::AtHome { path, here });
    }
    let mut kernel = open_alone(store, fresh)?;
    let doubt = look_at(&mut kernel, reading).map_err(TakeBackError::Folder)?;
    let heard = refuse_found(path, database, &kernel.head())?;
    let mut store = kernel.into_store();
    let epoch = match home {
        // A call before was cut off: there is one epoch for both.
        Home::Returning(epoch) => epoch,
        Home::Folder | Home::Database | Home::Leaving(_) => {
            number(reading.now, &store).map_err(TakeBackError::Mark)?
        }
    };
    mark_returning(&mut store, epoch).map_err(TakeBackError::Mark)?;
    if store.identity().epoch < epoch {
        store.begin_epoch(epoch).map_err(TakeBackError::Mark)?;
    }
    let mut kernel = open_alone(store, fresh)?;
    declare(&mut kernel, epoch).map_err(TakeBackError::Folder)?;
    let head = kernel.head();
    let mut store = kernel.into_store();
    unmark(&mut store).map_err(TakeBackError::Mark)?;
    let state = state_hash(&store).map_err(TakeBackError::Mark)?;
    Ok(TakenBack {
        head,
        state,
        epoch,
        heard,
        doubt,
    })
}

/// On the folder's own journal. Reads and checks all of it, and the views against it.
fn open_alone(store: Store, fresh: Fresh) -> Result<Kernel, TakeBackError> {
    let journal = Box::new(LocalJournal);
    Kernel::open_with(
        journal,
        store,
        domains::all(),
        Logic::CURRENT,
        fresh.journal,
    )
    .map_err(TakeBackError::Folder)
}

/// The number of the epoch comes from the clock, so it is held to what a start holds it to.
fn look_at(kernel: &mut Kernel, reading: Reading) -> Result<Option<Doubt>, KernelError> {
    if reading.is_accepted {
        return kernel.accept_time(reading.now).map(|()| None);
    }
    kernel.begin_time(reading.now)
}

/// Hears whether the database has the journal. One of the same id is refused whatever is in it:
/// where gateways may go on with it, two would have one name.
fn refuse_found(
    path: &Path,
    database: PostgresOptions,
    copy: &Head,
) -> Result<Heard, TakeBackError> {
    let mut there = PostgresJournal::new(database)
        .map_err(|error| TakeBackError::Open(AppError::Postgres(error)))?;
    let heard = there.heard(copy).map_err(TakeBackError::Postgres)?;
    if let Heard::Journal(beside) = &heard
        && beside.head.id == copy.id
    {
        let (path, there, here) = (path.to_owned(), beside.head.seq.0, copy.seq.0);
        return Err(match beside.holds(copy) {
            Ok(()) => TakeBackError::NotLost { path, there, here },
            Err(_) => TakeBackError::Differs { path, there, here },
        });
    }
    Ok(heard)
}

/// Seconds since 1970, if that lies above the epochs of the log and of the journal: other folders, and
/// backups of this one, may have begun some too, and no two may have one number.
fn number(now: UnixMillis, store: &Store) -> Result<u32, StoreError> {
    let seconds = u32::try_from(now.0.div_euclid(1_000)).unwrap_or(u32::MAX);
    let told = latest_epoch(store)?.map_or(0, |latest| latest.number);
    let last = told.max(store.identity().epoch);
    Ok(seconds.max(last.saturating_add(1)))
}

/// Begins the epoch in the journal, unless a call that was cut off has.
fn declare(kernel: &mut Kernel, epoch: u32) -> Result<(), KernelError> {
    let latest = latest_epoch(kernel.store())?;
    if latest.is_some_and(|latest| latest.number == epoch) {
        return Ok(());
    }
    kernel.begin_epoch(epoch)
}
