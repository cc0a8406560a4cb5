//! A journal that moves out of its folder into an empty database, once and for good. At each moment
//! at most one of the two goes on: the database serves nobody while it is filled, and the folder's
//! mark keeps gateways from it before the database serves anybody.
//!
//! Each step can be cut off. The same call again finds where it stopped: the database has the name
//! of its move, and a folder that is leaving is taken by no other one.

use std::path::PathBuf;

use khlong_store::error::StoreError;
use khlong_store::journal::{self, Head, Journal as _, JournalError, JournalSeq, LocalJournal};
use khlong_store::rows::Rows;
use khlong_store::store::Store;

use super::opening::open_store;
use super::postgres::{
    Beside, Home, MoveId, PostgresError, PostgresJournal, PostgresOptions, Standing, home,
    mark_copy, mark_leaving,
};
use super::{AppError, Fresh, Opening};
use crate::domains;
use crate::kernel::{Kernel, KernelError, Logic, state_hash};

/// Why a journal was not moved. It is where it was, or the same call goes on.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// No random numbers for the name of the move.
    #[error("the system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
    /// The folder does not open.
    #[error(transparent)]
    Open(AppError),
    /// The folder's journal or views, or what the database has beside them.
    #[error("the folder is refused")]
    Folder(#[source] KernelError),
    /// The folder does not say, or keep, where its journal lies.
    #[error("the folder's mark is not read or written")]
    Mark(#[source] StoreError),
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
    /// The database has all of the journal, and gateways use it.
    #[error(
        "the database has this journal already, up to entry {there}, where {path} goes to {here}; start the gateway with the configuration that names it",
        path = path.display()
    )]
    AlreadyThere {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
        /// The last one in the folder.
        here: u64,
    },
    /// A move that was cut off had more than the folder has.
    #[error(
        "a move into this database was cut off at entry {there}, and {path} goes to {here}: it is an older copy; run the command with the folder that has them all",
        path = path.display()
    )]
    OlderFolder {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
        /// The last one in the folder.
        here: u64,
    },
    /// What the database has is something else.
    #[error(
        "the database has a journal with {there} entries, which no move of the {here} in {path} has put there; name an empty database",
        path = path.display()
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// The last entry in the database.
        there: u64,
        /// The last one in the folder.
        here: u64,
    },
    /// A move into one database was cut off at its end, and another one is named.
    #[error(
        "a move of this journal into a database was cut off at its last step, and this is not that database; run the same command with the configuration of that one"
    )]
    OtherDatabase,
}

impl MoveError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Entropy(_) => 1,
            Self::Open(error) => error.exit_code(),
            Self::Folder(error) => error.exit_code(),
            Self::Mark(error) => error.exit_code(),
            Self::Postgres(error) => error.exit_code(),
            Self::There(error) => error.exit_code(),
            Self::InDatabase { .. }
            | Self::AlreadyThere { .. }
            | Self::OlderFolder { .. }
            | Self::OtherDatabase => 3,
            Self::NotEmpty { .. } => 9,
        }
    }
}

/// A journal that has moved.
#[derive(Debug)]
pub(crate) struct Moved {
    /// Where it stands in the folder.
    pub(crate) head: Head,
    /// The hash over the views in the folder.
    pub(crate) state: [u8; 32],
    /// Entries that this call copied.
    pub(crate) copied: u64,
}

/// Moves the journal of a folder into a database that is empty, or was filled by a call before that
/// was cut off. Nobody is served there before all of it was read back.
pub(crate) fn to_database(
    opening: &Opening,
    database: PostgresOptions,
    fresh: Fresh,
) -> Result<Moved, MoveError> {
    let (store, _) = open_store(opening, fresh).map_err(MoveError::Open)?;
    let home = home(&store).map_err(MoveError::Mark)?;
    if home == Home::Database {
        return Err(MoveError::InDatabase {
            path: opening.folder.clone(),
        });
    }
    if matches!(home, Home::Returning(_)) {
        let path = opening.folder.clone();
        return Err(MoveError::Open(AppError::TakeBackUnfinished { path }));
    }
    // Reads and checks the whole journal, and the views against it.
    let local = Box::new(LocalJournal);
    let opened = Kernel::open_with(local, store, domains::all(), Logic::CURRENT, fresh.journal);
    let mut kernel = opened.map_err(MoveError::Folder)?;
    let there = PostgresJournal::new(database).map_err(MoveError::Postgres)?;
    let there = there.wanting(Standing::Filling);
    if let Home::Leaving(id) = home {
        // Nothing is appended to it: all of it may be served elsewhere.
        return end(there, kernel.head(), id, kernel.into_store());
    }
    // A journal elsewhere lost nothing, so that nobody would say it later.
    kernel.declare_epoch().map_err(MoveError::Folder)?;
    let head = kernel.head();
    begin(there, head, opening, kernel.into_store())
}

/// From a folder that has its journal.
fn begin(
    mut there: PostgresJournal,
    here: Head,
    opening: &Opening,
    mut store: Store,
) -> Result<Moved, MoveError> {
    let found = there.standing(&here).map_err(MoveError::Postgres)?;
    let (id, before) = match found {
        None => {
            let id = MoveId::draw().map_err(MoveError::Entropy)?;
            there.create_for(here.id, id).map_err(MoveError::There)?;
            (id, Head::start(here.id))
        }
        Some((standing, beside)) => {
            let id = there.move_id().map_err(MoveError::Postgres)?;
            let is_part = is_part(&store, &here, &beside.head)?;
            match (standing, id) {
                (Standing::Filling, Some(id)) if is_part => (id, beside.head),
                (standing, _) => return Err(not_empty(opening, standing, &here, &beside)),
            }
        }
    };
    fill(&mut there, &store, before, &here)?;
    there.verify_up_to(&here).map_err(MoveError::There)?;
    // Before anybody is served there, and never after.
    mark_leaving(&mut store, id).map_err(MoveError::Mark)?;
    there.serve(&here, id).map_err(MoveError::Postgres)?;
    mark_copy(&mut store).map_err(MoveError::Mark)?;
    moved(&store, here, here.seq.0 - before.seq.0)
}

/// From one whose move was cut off at its last steps: only the same database takes it, which has
/// all of it, whatever the folder has lost since.
fn end(
    mut there: PostgresJournal,
    here: Head,
    id: MoveId,
    mut store: Store,
) -> Result<Moved, MoveError> {
    let found = there.standing(&here).map_err(MoveError::Postgres)?;
    let (standing, beside) = found.ok_or(MoveError::OtherDatabase)?;
    if there.move_id().map_err(MoveError::Postgres)? != Some(id) {
        return Err(MoveError::OtherDatabase);
    }
    beside.holds(&here).map_err(MoveError::Folder)?;
    if standing == Standing::Filling {
        let verified = there.verify_up_to(&beside.head);
        verified.map_err(MoveError::There)?;
        there.serve(&beside.head, id).map_err(MoveError::Postgres)?;
    }
    mark_copy(&mut store).map_err(MoveError::Mark)?;
    moved(&store, here, 0)
}

fn moved(rows: &dyn Rows, head: Head, copied: u64) -> Result<Moved, MoveError> {
    let state = state_hash(rows).map_err(|error| MoveError::Folder(error.into()))?;
    Ok(Moved {
        head,
        state,
        copied,
    })
}

fn not_empty(opening: &Opening, standing: Standing, here: &Head, beside: &Beside) -> MoveError {
    let path = opening.folder.clone();
    let (there, here, holds) = (beside.head.seq.0, here.seq.0, beside.holds(here).is_ok());
    match standing {
        Standing::Served if holds => MoveError::AlreadyThere { path, there, here },
        Standing::Filling if holds => MoveError::OlderFolder { path, there, here },
        Standing::Served | Standing::Filling => MoveError::NotEmpty { path, there, here },
    }
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

/// Copies what lies between, in parts of a size that has a limit.
fn fill(
    there: &mut PostgresJournal,
    store: &Store,
    before: Head,
    until: &Head,
) -> Result<(), MoveError> {
    let mut reached = before;
    while reached.seq < until.seq {
        let part = LocalJournal.read(store, reached.seq.next());
        let part = part.map_err(|error| MoveError::Folder(error.into()))?;
        let last = part.last();
        let last = last.ok_or_else(|| MoveError::Folder(JournalError::Missing.into()))?;
        there
            .append_there(&reached, &part)
            .map_err(MoveError::There)?;
        (reached.seq, reached.hash) = (last.seq, last.hash);
    }
    Ok(())
}
