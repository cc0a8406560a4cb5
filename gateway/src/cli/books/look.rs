//! The books in a folder, for commands that read and write nothing.
//!
//! A copy of a journal in a database may be behind it, and does not know. So it is not read without that database,
//! and with it only after it has followed to the end.

use std::path::{Path, PathBuf};

use clap::Args;
use khlong_store::folder::has_database;
use khlong_store::migrate::SCHEMA;
use khlong_store::peek::Peek;
use khlong_store::rows::Rows;

use super::BooksError;
use super::desk::unopened;
use crate::app::postgres::{Home, home};
use crate::app::{self, AppError, Fresh, Opening};
use crate::cli::{CliError, RunError, database};

/// Flags of what reads.
#[derive(Args, Debug, Default)]
pub struct Reads {
    /// Where the journal lies in the database that this configuration names: the folder follows it to its end first,
    /// and no gateway may have the folder so long.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The books as they stand: of a folder's own journal beside whoever has the folder, of a copy at the database's head.
pub(super) fn look(folder: &Path, config: Option<&Path>) -> Result<Box<dyn Rows>, CliError> {
    let Some(config) = config else {
        return Ok(Box::new(open(folder)?));
    };
    refuse_own(folder)?;
    let opening = Opening {
        folder: folder.to_owned(),
        journal: Some(database::named(config)?),
        ..Opening::default()
    };
    let opened = Fresh::draw().and_then(|fresh| app::open(&opening, fresh));
    let kernel = opened.map_err(|error| unopened(folder, error))?;
    Ok(Box::new(kernel.into_store()))
}

/// Refuses a folder that has its own journal where a database is named. To follow that would make it a copy for good,
/// also one that is kept as it was before the journal was moved.
pub(super) fn refuse_own(folder: &Path) -> Result<(), CliError> {
    match home(&peek(folder)?).map_err(BooksError::Store)? {
        Home::Folder => Err(BooksError::JournalHere {
            path: folder.to_owned(),
        }
        .into()),
        // Being opened tells what comes of a move that is under way.
        Home::Database | Home::Leaving(_) | Home::Returning(_) => Ok(()),
    }
}

/// A look at the folder of a gateway that has its journal. Nothing in it is changed, and no lock is taken.
pub(super) fn open(folder: &Path) -> Result<Peek, CliError> {
    let path = || folder.to_owned();
    let peek = peek(folder)?;
    if let Some(loss) = peek.found().loss() {
        return Err(BooksError::Store(loss).into());
    }
    match home(&peek).map_err(BooksError::Store)? {
        Home::Folder => Ok(peek),
        Home::Database => Err(BooksError::JournalElsewhere { path: path() }.into()),
        // Whether the database has more only the end of the move tells.
        Home::Leaving(_) => Err(RunError::App(AppError::MoveUnfinished { path: path() }).into()),
        Home::Returning(_) => {
            Err(RunError::App(AppError::TakeBackUnfinished { path: path() }).into())
        }
    }
}

/// A look at the folder of a gateway, wherever its journal lies.
fn peek(folder: &Path) -> Result<Peek, CliError> {
    let path = || folder.to_owned();
    if !has_database(folder).map_err(BooksError::Store)? {
        return Err(BooksError::NotAGateway { path: path() }.into());
    }
    let peek = Peek::open(folder).map_err(BooksError::Store)?;
    let found = peek.found();
    if found.role.as_deref() != Some("gateway") {
        return Err(BooksError::NotAGateway { path: path() }.into());
    }
    if let Some(schema) = found.schema.filter(|schema| *schema > SCHEMA) {
        return Err(BooksError::Newer { schema }.into());
    }
    Ok(peek)
}
