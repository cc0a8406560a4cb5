//! `journal to-database`, and where `journal take-back` begins.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::journal::object;
use super::output::{Output, hexadecimal};
use super::taking_back::{self, TakeBack};
use super::{CliError, database};
use crate::app::moving::{self, MoveError, Moved};
use crate::app::{AppError, Fresh, Opening};

/// What to do with a journal.
#[derive(Debug, Subcommand)]
pub enum Journal {
    /// Move the journal of a folder into an empty database, for good. Cut off, the same command goes on; nobody is served from half of a journal.
    ToDatabase(ToDatabase),
    /// Take the journal back into a folder whose database is lost for good, also in the middle of a move into it. Its first entry then says from where it goes on, as after a restore. Cut off, the same command ends it.
    TakeBack(TakeBack),
}

/// Flags of `journal to-database`.
#[derive(Args, Debug)]
pub struct ToDatabase {
    /// The folder of a gateway that does not run. It stays, with the views and a copy of the journal.
    pub folder: PathBuf,
    /// The configuration that names the database (`journal.postgres`).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

pub(super) fn execute(output: Output, what: &Journal) -> Result<(), CliError> {
    match what {
        Journal::ToDatabase(asked) => to_database(output, asked),
        Journal::TakeBack(asked) => taking_back::execute(output, asked),
    }
}

fn to_database(output: Output, asked: &ToDatabase) -> Result<(), CliError> {
    let ToDatabase { folder, config } = asked;
    let options = database::named(config)?;
    let opening = Opening {
        folder: folder.clone(),
        ..Opening::default()
    };
    let moved = Fresh::draw()
        .map_err(MoveError::Open)
        .and_then(|fresh| moving::to_database(&opening, options, fresh))
        .map_err(|error| unmoved(folder, error))?;
    say(output, &moved)
}

fn say(output: Output, moved: &Moved) -> Result<(), CliError> {
    let (journal, head) = (moved.head.id, moved.head);
    let (journal, hash) = (hexadecimal(journal.as_bytes()), hexadecimal(&head.hash));
    let state = hexadecimal(&moved.state);
    if output.json {
        return output.object(object(json!({
            "kind": "moved_journal",
            "to": "database",
            "journal": journal,
            "entries": head.seq.0,
            "head": hash,
            "state": state,
            "copied": moved.copied,
        })));
    }
    output.text(&format!(
        "journal: {journal}\nentries: {}\nhead: {hash}\nstate: {state}\ncopied: {}\n",
        head.seq.0, moved.copied
    ))
}

/// What the commands that read say in these cases, with the path.
fn unmoved(folder: &Path, error: MoveError) -> CliError {
    match error {
        MoveError::Open(AppError::NoGateway { path }) => CliError::NoGateway { path },
        MoveError::Open(AppError::Store(error)) => CliError::store(folder, error),
        MoveError::Open(AppError::Kernel(error)) | MoveError::Folder(error) => {
            CliError::kernel(folder, error)
        }
        MoveError::Mark(error) => CliError::store(folder, error),
        MoveError::Postgres(error) => CliError::Postgres(error),
        error @ (MoveError::Entropy(_)
        | MoveError::Open(_)
        | MoveError::There(_)
        | MoveError::InDatabase { .. }
        | MoveError::AlreadyThere { .. }
        | MoveError::OlderFolder { .. }
        | MoveError::NotEmpty { .. }
        | MoveError::OtherDatabase) => CliError::Move(error),
    }
}
