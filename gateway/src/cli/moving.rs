//! `journal to-database` and `journal to-folder`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::journal::object;
use super::output::{Output, hexadecimal};
use super::{CliError, database};
use crate::app::moving::{self, MoveError, Moved};
use crate::app::{AppError, Fresh, Opening};

/// What to do with a journal.
#[derive(Debug, Subcommand)]
pub enum Journal {
    /// Move the journal of a folder into a database that is empty, or has the beginning of it. Cut off, the same command goes on; nobody is served from half of a journal.
    ToDatabase(ToDatabase),
    /// Move the journal out of a database into the folder of a gateway beside it. Gateways on the database stop.
    ToFolder(ToFolder),
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

/// Flags of `journal to-folder`.
#[derive(Args, Debug)]
pub struct ToFolder {
    /// The folder of a gateway that does not run, beside the database; `init` makes one.
    pub folder: PathBuf,
    /// The configuration that names the database (`journal.postgres`).
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "abandon_database"
    )]
    pub config: Option<PathBuf>,
    /// The database is lost for good: go on with what the folder has. What was acknowledged beyond it is lost; the first entry says so.
    #[arg(long, conflicts_with = "config")]
    pub abandon_database: bool,
}

pub(super) fn execute(output: Output, what: &Journal) -> Result<(), CliError> {
    let fresh = Fresh::draw().map_err(|error| unmoved(Path::new(""), MoveError::Open(error)))?;
    let of = |folder: &Path| Opening {
        folder: folder.to_owned(),
        ..Opening::default()
    };
    match what {
        Journal::ToDatabase(ToDatabase { folder, config }) => {
            let options = database::options(config)?;
            let moved = moving::to_database(&of(folder), options, fresh);
            say(output, "database", folder, moved)
        }
        Journal::ToFolder(ToFolder { folder, config, .. }) => {
            let moved = match config {
                Some(config) => {
                    let options = database::options(config)?;
                    moving::to_folder(&of(folder), &options, fresh)
                }
                None => moving::abandon(&of(folder), fresh),
            };
            say(output, "folder", folder, moved)
        }
    }
}

fn say(
    output: Output,
    to: &str,
    folder: &Path,
    moved: Result<Moved, MoveError>,
) -> Result<(), CliError> {
    let moved = moved.map_err(|error| unmoved(folder, error))?;
    let (journal, head) = (moved.head.id, moved.head);
    let (journal, hash) = (hexadecimal(journal.as_bytes()), hexadecimal(&head.hash));
    let state = hexadecimal(&moved.state);
    if output.json {
        return output.object(object(json!({
            "kind": "moved_journal",
            "to": to,
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
        MoveError::Postgres(error) => CliError::Postgres(error),
        error @ (MoveError::Open(_)
        | MoveError::There(_)
        | MoveError::InDatabase { .. }
        | MoveError::InFolder { .. }
        | MoveError::NotAPart { .. }
        | MoveError::OtherDatabase
        | MoveError::AnotherFolder) => CliError::Move(error),
    }
}
