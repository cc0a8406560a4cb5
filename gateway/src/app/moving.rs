//! A journal that moves out of its folder into a database, and back. At each moment at most one of
//! the two goes on: the database serves nobody while it is filled and after the journal has left it,
//! and the folder's mark keeps gateways from it before the database serves anybody.
//!
//! Each step can be cut off. The same call again finds where it stopped.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_store::error::StoreError;
use khlong_store::journal::{
    self, Chain, Head, Journal, JournalError, JournalSeq, LocalJournal, Stored,
};
use khlong_store::rows::Rows;
use khlong_store::store::Store;

use super::opening::{declare_epoch, open_store};
use super::postgres::{
    Home, PostgresError, PostgresJournal, PostgresOptions, Standing, home, mark_copy, mark_leaving,
    mark_returned, unmark,
};
use super::{AppError, Fresh, Opening};
use crate::domains;
use crate::kernel::{Kernel, KernelError, Logic, state_hash};

/// Why a journal was not moved. It is where it was, or the same call goes on.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The folder does not open.
    #[error(transparent)]
    Open(AppError),
    /// The folder, or its journal and views.
    #[error("the folder is refused")]
    Folder(#[source] KernelError),
    /// The database.
    #[error("the journal's database is not used")]
    Postgres(#[source] PostgresError),
    /// The database's journal.
    #[error("the journal in the database is refused")]
    There(#[source] JournalError),
    /// The folder has a copy only.
    #[error(
        "the journal of {path} lies in a database already; `khlong-gateway verify FOLDER --config FILE` compares both",
        path = path.display()
    )]
    InDatabase {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to move back.
    #[error("the journal of {path} lies in that folder already", path = path.display())]
    InFolder {
        /// The folder.
        path: PathBuf,
    },
    /// What the database has is not the beginning of the folder's journal.
    #[error(
        "the database has {there} entries that are not the first of the {here} in {path}: another journal, or another history of this one; name an empty database, or the folder of that journal",
        path = path.display()
    )]
    NotAPart {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
        /// The last one in the folder.
        here: u64,
    },
    /// A move into one database was cut off at its end, and another one is named.
    #[error(
        "a move of this journal into a database was cut off at its last step, and this is not that database; name that one"
    )]
    OtherDatabase,
    /// Another folder has the journal.
    #[error(
        "the journal was moved out of this database into another folder; that one has what was decided since"
    )]
    AnotherFolder,
}

impl MoveError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(error) => error.exit_code(),
            Self::Folder(error) => error.exit_code(),
            Self::Postgres(error) => error.exit_code(),
            Self::There(error) => error.exit_code(),
            Self::InDatabase { .. }
            | Self::InFolder { .. }
            | Self::OtherDatabase
            | Self::AnotherFolder => 3,
            Self::NotAPart { .. } => 9,
        }
    }
}

impl From<StoreError> for MoveError {
    fn from(error: StoreError) -> Self {
        Self::Folder(error.into())
    }
}

impl From<KernelError> for MoveError {
    fn from(error: KernelError) -> Self {
        Self::Folder(error)
    }
}

impl From<PostgresError> for MoveError {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(error)
    }
}

/// A journal that has moved.
#[derive(Debug)]
pub(crate) struct Moved {
    /// Where it stands.
    pub(crate) head: Head,
    /// The hash over the views in the folder.
    pub(crate) state: [u8; 32],
    /// Entries that this call copied.
    pub(crate) copied: u64,
}

/// Moves the journal of a folder into a database that is empty, or has the beginning of it. Nobody
/// is served there before all of it was read back.
pub(crate) fn to_database(
    opening: &Opening,
    database: PostgresOptions,
    fresh: Fresh,
) -> Result<Moved, MoveError> {
    let (store, _) = open_store(opening, fresh).map_err(MoveError::Open)?;
    let home = home(&store)?;
    if home == Home::Database {
        return Err(MoveError::InDatabase {
            path: opening.folder.clone(),
        });
    }
    // Reads and checks the whole journal, and the views against it.
    let mut kernel = kernel(store, Box::new(LocalJournal), fresh)?;
    // A journal elsewhere lost nothing, so that nobody would say it later.
    declare_epoch(&mut kernel)?;
    let here = kernel.head();
    let mut store = kernel.into_store();
    let mut there = PostgresJournal::new(database)?.wanting(Standing::Filling);
    let found = there.standing(&here)?;
    if home == Home::Leaving {
        // Cut off at the last steps. Another database would be a second home beside the first.
        match &found {
            Some((Standing::Served, beside)) if beside.holds(&here).is_ok() => {
                mark_copy(&mut store)?;
                return moved(&store, here, 0);
            }
            Some((Standing::Filling, beside)) if beside.head == here => {}
            Some(_) | None => return Err(MoveError::OtherDatabase),
        }
    }
    let before = match found {
        None => {
            there.create(here.id).map_err(MoveError::There)?;
            Head::start(here.id)
        }
        Some((standing, beside)) => {
            if !is_part(&store, &here, &beside.head)? {
                return Err(MoveError::NotAPart {
                    path: opening.folder.clone(),
                    there: beside.head.seq.0,
                    here: here.seq.0,
                });
            }
            if standing != Standing::Filling {
                there.restand(&beside.head, standing, Standing::Filling)?;
            }
            beside.head
        }
    };
    fill(&mut there, &store, before, &here)?;
    there.verify_up_to(&here).map_err(MoveError::There)?;
    // Before anybody is served there, and never after.
    mark_leaving(&mut store)?;
    there.restand(&here, Standing::Filling, Standing::Served)?;
    mark_copy(&mut store)?;
    moved(&store, here, here.seq.0 - before.seq.0)
}

/// Moves the journal out of a database into a folder that has a copy of it, and takes the folder's
/// mark away. From the moment in which the database gives it away gateways on it stop.
pub(crate) fn to_folder(
    opening: &Opening,
    database: &PostgresOptions,
    fresh: Fresh,
) -> Result<Moved, MoveError> {
    let (store, copy) = open_store(opening, fresh).map_err(MoveError::Open)?;
    refuse_home(&store, opening)?;
    let log = store.identity().log;
    let connect = |standing| {
        let journal = PostgresJournal::new(database.clone());
        journal.map(|journal| journal.wanting(standing))
    };
    let mut there = connect(Standing::Served)?;
    let applied = copy.seq.0;
    let found = there.standing(&copy)?;
    let (standing, beside) = found.ok_or(KernelError::Gone { applied })?;
    match standing {
        Standing::Filling => return Err(PostgresError::Unfinished.into()),
        // This call was cut off before.
        Standing::MovedAway if there.moved_to(&copy)? == Some(log) => {}
        Standing::MovedAway => return Err(MoveError::AnotherFolder),
        Standing::Served => {}
    }
    beside.holds(&copy)?;
    // Most of what is missing while others are still served.
    let kernel_there = kernel(store, Box::new(connect(standing)?), fresh)?;
    let store = kernel_there.into_store();
    if standing == Standing::Served && there.move_away(&copy, log)? != Some(log) {
        return Err(MoveError::AnotherFolder);
    }
    let last = connect(Standing::MovedAway)?;
    let kernel_there = kernel(store, Box::new(last), fresh)?;
    let head = kernel_there.head();
    let mut store = kernel_there.into_store();
    mark_returned(&mut store)?;
    moved(&store, head, head.seq.0 - applied)
}

/// Goes on with a folder's copy alone, because its database is lost for good. What the database
/// has beyond the copy is lost with it, so a new epoch of the journal says so.
pub(crate) fn abandon(opening: &Opening, fresh: Fresh) -> Result<Moved, MoveError> {
    let (mut store, _) = open_store(opening, fresh).map_err(MoveError::Open)?;
    refuse_home(&store, opening)?;
    // Before anything changes: a copy that is damaged is not gone on from.
    journal::verify(&store).map_err(|error| MoveError::Folder(error.into()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    store.begin_epoch(u32::try_from(seconds).unwrap_or(u32::MAX))?;
    // Cut off here, the next start declares it.
    unmark(&mut store)?;
    let mut kernel = kernel(store, Box::new(LocalJournal), fresh)?;
    declare_epoch(&mut kernel)?;
    let head = kernel.head();
    moved(kernel.store(), head, 0)
}

fn refuse_home(store: &Store, opening: &Opening) -> Result<(), MoveError> {
    match home(store)? {
        Home::Folder => Err(MoveError::InFolder {
            path: opening.folder.clone(),
        }),
        Home::Database | Home::Leaving => Ok(()),
    }
}

fn kernel(store: Store, journal: Box<dyn Journal>, fresh: Fresh) -> Result<Kernel, KernelError> {
    Kernel::open_with(
        journal,
        store,
        domains::all(),
        Logic::CURRENT,
        fresh.journal,
    )
}

fn moved(rows: &dyn Rows, head: Head, copied: u64) -> Result<Moved, MoveError> {
    let state = state_hash(rows)?;
    Ok(Moved {
        head,
        state,
        copied,
    })
}

/// Whether the journal in `rows`, which goes to `here`, begins with what ends at `there`.
fn is_part(rows: &dyn Rows, here: &Head, there: &Head) -> Result<bool, MoveError> {
    if there.id != here.id || there.seq > here.seq {
        return Ok(false);
    }
    if there.seq == JournalSeq(0) {
        return Ok(true);
    }
    let same = journal::get(rows, there.seq).map_err(|error| MoveError::Folder(error.into()))?;
    Ok(same.is_some_and(|stored| stored.hash == there.hash))
}

/// Copies what lies between, in parts of a size that has a limit, each entry compared with its hash.
fn fill(
    there: &mut PostgresJournal,
    store: &Store,
    before: Head,
    until: &Head,
) -> Result<(), MoveError> {
    let chain = Chain::of(until.id);
    let broken = |error: JournalError| MoveError::Folder(error.into());
    let mut reached = before;
    while reached.seq < until.seq {
        let part = LocalJournal
            .read(store, reached.seq.next())
            .map_err(broken)?;
        let mut next = reached;
        for stored in &part {
            next = follow(&chain, next, stored).map_err(broken)?;
        }
        there.fill(&reached, &part).map_err(MoveError::There)?;
        reached = next;
    }
    Ok(())
}

fn follow(chain: &Chain, reached: Head, stored: &Stored) -> Result<Head, JournalError> {
    let entry = &stored.entry;
    let next = chain.extend(reached, &entry.header, &entry.command, &entry.outcome);
    if next.seq == stored.seq && next.hash == stored.hash {
        return Ok(next);
    }
    Err(JournalError::Broken {
        seq: stored.seq.0,
        reason: "its hash does not follow from the entries up to it",
    })
}
