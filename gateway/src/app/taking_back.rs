//! A journal that is taken back into its folder, because the database in which it lay, or into which
//! it was moving, is lost for good.
//!
//! The folder goes on from what it has, as a restored one does: its log begins an epoch, and the first
//! entry behind what was there says so. Only then the folder forgets that its journal was elsewhere.
//! Each step can be cut off; until the last one nothing runs on the folder, and the same call ends it.

use std::path::{Path, PathBuf};

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::journal::{self, Head, JournalId, JournalSeq, LocalJournal};
use khlong_store::store::Store;

use super::opening::open_store;
use super::postgres::{
    Heard, Home, PostgresError, PostgresJournal, PostgresOptions, Standing, home, mark_returning,
    unmark,
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
    /// Somebody speaks where the database is said to be lost, or did in one of the tries.
    #[error(
        "a server answers in the place of the journal's database, or did a moment ago, and does not say whether it has the journal: it may not be lost; put right what it says, or, if nobody will ever start it again, stop it"
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
    /// There is nothing to take back: no entry, so no time either, by which a clock could be judged.
    #[error(
        "{path} has no entry, so there is nothing to take back; make an empty folder in its place with `khlong-gateway init`",
        path = path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A call before was cut off, and meanwhile the database turned up.
    #[error(
        "the database is there again, up to entry {there}, with all that {path} had when taking its journal back was cut off: leave the database as it is, and in place of {path} make another folder beside it with `khlong-gateway init FOLDER --config FILE`",
        path = path.display()
    )]
    ThereAgain {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
    },
    /// The same, of a move that had not come to its end: only the folder could have ended it.
    #[error(
        "the database is there again, up to entry {there}; no gateway was ever served from it, and {path} has forgotten the move: drop the schema khlong there, then run the same `khlong-gateway journal take-back` again",
        path = path.display()
    )]
    NeverServed {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
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
            Self::AtHome { .. }
            | Self::Empty { .. }
            | Self::ThereAgain { .. }
            | Self::NeverServed { .. }
            | Self::NotLost { .. } => 3,
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
    /// What it is now.
    pub(crate) own: Own,
    /// What was heard of the database.
    pub(crate) heard: Heard,
    /// What is odd about the clock.
    pub(crate) doubt: Option<Doubt>,
}

/// A journal that is its folder's own again.
#[derive(Debug)]
pub struct Own {
    /// Where it stands. Its last entry begins the epoch.
    pub head: Head,
    /// The hash over the views there.
    pub state: [u8; 32],
    /// The epoch.
    pub epoch: u32,
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
    if copy.seq.0 == 0 {
        let path = path.clone();
        return Err(TakeBackError::Empty { path });
    }
    let mut kernel = open_alone(store, fresh.journal)?;
    let doubt = look_at(&mut kernel, reading).map_err(TakeBackError::Folder)?;
    let had = had(&kernel, home).map_err(TakeBackError::Folder)?;
    let heard = refuse_found(path, home, database, &had)?;
    let own = make_own(kernel.into_store(), reading.now, fresh.journal)?;
    Ok(TakenBack { own, heard, doubt })
}

/// What follows the database's answer: the folder's journal becomes its own again, in an epoch of
/// the number of seconds that `now` says, or in the one of a call that was cut off. The order is
/// what keeps a folder that is cut off anywhere from being started without the entry that says so.
///
/// # Errors
/// [`TakeBackError::Mark`], [`TakeBackError::Folder`]; another call goes on.
pub fn make_own(
    mut store: Store,
    now: UnixMillis,
    journal: JournalId,
) -> Result<Own, TakeBackError> {
    let epoch = match home(&store).map_err(TakeBackError::Mark)? {
        // A call before was cut off: there is one epoch for both.
        Home::Returning(epoch) => epoch,
        Home::Folder | Home::Database | Home::Leaving(_) => {
            number(now, &store).map_err(TakeBackError::Mark)?
        }
    };
    mark_returning(&mut store, epoch).map_err(TakeBackError::Mark)?;
    if store.identity().epoch < epoch {
        store.begin_epoch(epoch).map_err(TakeBackError::Mark)?;
    }
    let mut kernel = open_alone(store, journal)?;
    declare(&mut kernel, epoch).map_err(TakeBackError::Folder)?;
    let head = kernel.head();
    let mut store = kernel.into_store();
    unmark(&mut store).map_err(TakeBackError::Mark)?;
    let state = state_hash(&store).map_err(TakeBackError::Mark)?;
    Ok(Own { head, state, epoch })
}

/// On the folder's own journal. Reads and checks all of it, and the views against it.
fn open_alone(store: Store, journal: JournalId) -> Result<Kernel, TakeBackError> {
    let local = Box::new(LocalJournal);
    Kernel::open_with(local, store, domains::all(), Logic::CURRENT, journal)
        .map_err(TakeBackError::Folder)
}

/// The number of the epoch comes from the clock, so it is held to what a start holds it to.
fn look_at(kernel: &mut Kernel, reading: Reading) -> Result<Option<Doubt>, KernelError> {
    if reading.is_accepted {
        return kernel.accept_time(reading.now).map(|()| None);
    }
    kernel.begin_time(reading.now)
}

/// Up to where a database that is there again would have to go: without the entry by which a call
/// before, which was cut off, began its epoch.
fn had(kernel: &Kernel, home: Home) -> Result<Head, KernelError> {
    let head = kernel.head();
    let Home::Returning(epoch) = home else {
        return Ok(head);
    };
    let begun = latest_epoch(kernel.store())?;
    if begun.is_none_or(|begun| begun.number != epoch || begun.seq != head.seq) {
        return Ok(head);
    }
    let seq = JournalSeq(head.seq.0.saturating_sub(1));
    let before = journal::get(kernel.store(), seq).map_err(KernelError::from_journal)?;
    let start = Head::start(head.id);
    Ok(before.map_or(start, |before| Head {
        id: head.id,
        seq,
        hash: before.hash,
    }))
}

/// Hears whether the database has the journal. One of the same id is refused whatever is in it:
/// where gateways may go on with it, two would have one name.
fn refuse_found(
    path: &Path,
    home: Home,
    database: PostgresOptions,
    had: &Head,
) -> Result<Heard, TakeBackError> {
    let mut there = PostgresJournal::new(database)
        .map_err(|error| TakeBackError::Open(AppError::Postgres(error)))?;
    let heard = there.heard(had).map_err(TakeBackError::Postgres)?;
    if let Heard::Journal(beside, standing) = &heard
        && beside.head.id == had.id
    {
        let (path, there, here) = (path.to_owned(), beside.head.seq.0, had.seq.0);
        let is_returning = matches!(home, Home::Returning(_));
        return Err(match (beside.holds(had), standing) {
            (Err(_), _) => TakeBackError::Differs { path, there, here },
            (Ok(()), _) if !is_returning => TakeBackError::NotLost { path, there, here },
            // The folder goes back into no database that it was beside.
            (Ok(()), Standing::Served) => TakeBackError::ThereAgain { path, there },
            (Ok(()), Standing::Filling) => TakeBackError::NeverServed { path, there },
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
