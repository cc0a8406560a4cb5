//! The folder of a gateway and where its journal lies, before anything is answered from them.

use std::path::PathBuf;

use khlong_crdt::id::LogId;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::folder::has_database;
use khlong_store::identity::Role;
use khlong_store::journal::{self, Head, Journal, JournalId, LocalJournal};
use khlong_store::store::{OpenOptions, Store};

use super::AppError;
use super::patience::BulkPatience;
use super::postgres::{self, Home, PostgresError, PostgresJournal, PostgresOptions};
use crate::domains;
use crate::kernel::{Kernel, KernelError, Logic};

/// Random names for a folder that is new.
#[derive(Clone, Copy)]
pub(crate) struct Fresh {
    pub(super) log: LogId,
    pub(super) journal: JournalId,
}

impl Fresh {
    pub(crate) fn draw() -> Result<Self, AppError> {
        let (mut log, mut journal) = ([0; 16], [0; 16]);
        getrandom::fill(&mut log).map_err(AppError::Entropy)?;
        getrandom::fill(&mut journal).map_err(AppError::Entropy)?;
        Ok(Self {
            log: LogId::from_bytes(log),
            journal: JournalId::from_bytes(journal),
        })
    }
}

/// Which folder a kernel is opened on, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opening {
    /// The folder of a gateway.
    pub(crate) folder: PathBuf,
    /// Sizes of its store.
    pub(crate) sizes: RocksOptions,
    /// Open it although acknowledged commits are gone.
    pub(crate) accept_loss: bool,
    /// The database that keeps the journal; `None`: the folder itself, and a copy is refused.
    pub(crate) journal: Option<PostgresOptions>,
}

/// Opens a folder that has a journal. All that writes to one comes through here: a second way
/// could begin a journal, or write where another one is kept.
pub(crate) fn open(options: &Opening, fresh: Fresh) -> Result<Kernel, AppError> {
    let (mut store, copy) = open_store(options, fresh)?;
    let journal = journal_of(options, &mut store, &copy)?;
    let opened = Kernel::open_with(
        journal,
        store,
        domains::all(),
        Logic::CURRENT,
        fresh.journal,
    );
    let mut kernel = opened.map_err(AppError::Kernel)?;
    kernel.declare_epoch().map_err(AppError::Kernel)?;
    Ok(kernel)
}

/// The store of a folder that has a journal, and where that, or the copy of it, stands.
pub(super) fn open_store(options: &Opening, fresh: Fresh) -> Result<(Store, Head), AppError> {
    let no_gateway = || AppError::NoGateway {
        path: options.folder.clone(),
    };
    // Opening a store makes it.
    if !has_database(&options.folder).map_err(AppError::Store)? {
        return Err(no_gateway());
    }
    let opening = OpenOptions {
        role: Role::Gateway,
        fresh_log_id: fresh.log,
        accept_loss: options.accept_loss,
        sizes: options.sizes,
    };
    // A copy may have much to catch up with. Who serves ends the patience afterwards.
    let patience = Box::new(BulkPatience::default());
    let opened = Store::open_patiently(&options.folder, &opening, patience);
    let store = opened.map_err(AppError::Store)?;
    let head = journal::head(&store).map_err(|error| AppError::Kernel(error.into()))?;
    let copy = head.ok_or_else(no_gateway)?;
    Ok((store, copy))
}

fn journal_of(
    options: &Opening,
    store: &mut Store,
    copy: &Head,
) -> Result<Box<dyn Journal>, AppError> {
    let path = || options.folder.clone();
    let home = postgres::home(store).map_err(AppError::Store)?;
    // Being taken back, it lies in no database any more.
    let is_returning = matches!(home, Home::Returning(_));
    let Some(database) = options.journal.as_ref().filter(|_| !is_returning) else {
        return match home {
            Home::Folder => Ok(Box::new(LocalJournal)),
            Home::Database => Err(AppError::JournalElsewhere { path: path() }),
            Home::Leaving(_) => Err(AppError::MoveUnfinished { path: path() }),
            Home::Returning(_) => Err(AppError::TakeBackUnfinished { path: path() }),
        };
    };
    let mut journal = PostgresJournal::new(database.clone()).map_err(AppError::Postgres)?;
    let beside = match journal.beside(copy) {
        // Not its advice for others, to drop the tables: this folder goes on only with them.
        Err(PostgresError::Unfinished) if matches!(home, Home::Leaving(_)) => {
            return Err(AppError::MoveUnfinished { path: path() });
        }
        beside => beside.map_err(AppError::Postgres)?,
    };
    let beside = match (beside, copy.seq.0) {
        (Some(beside), _) => beside,
        (None, _) if matches!(home, Home::Leaving(_)) => {
            return Err(AppError::MoveUnfinished { path: path() });
        }
        // A folder with nothing in it may be the first one beside that database.
        (None, 0) => return Err(AppError::NoJournalThere),
        (None, applied) => return Err(AppError::Kernel(KernelError::Gone { applied })),
    };
    if let Home::Leaving(id) = home
        && journal.move_id().map_err(AppError::Postgres)? != Some(id)
    {
        return Err(AppError::MoveUnfinished { path: path() });
    }
    // Before the mark: another database's name in the configuration may be a slip.
    beside.holds(copy).map_err(AppError::Kernel)?;
    postgres::mark_copy(store).map_err(AppError::Store)?;
    Ok(Box::new(journal))
}
