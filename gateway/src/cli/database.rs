//! The journal's database, as commands beside the gateway see it.

use std::path::Path;

use khlong_store::journal::Head;

use super::{CliError, RunError};
use crate::app::postgres::{PostgresError, PostgresJournal, PostgresOptions};
use crate::config::{Config, Environment, Flags};
use crate::kernel::KernelError;

/// The one that the configuration names; `None` without a configuration.
pub(super) fn of(config: Option<&Path>) -> Result<Option<PostgresJournal>, CliError> {
    let Some(path) = config else {
        return Ok(None);
    };
    PostgresJournal::new(options(path)?)
        .map(Some)
        .map_err(CliError::Postgres)
}

/// How it is reached.
pub(super) fn options(path: &Path) -> Result<PostgresOptions, CliError> {
    let config = Config::load(path, Environment::of_process(), &Flags::default())
        .map_err(RunError::Config)?;
    let options = config.database().map_err(RunError::Config)?;
    options.ok_or_else(|| CliError::NoDatabase {
        path: path.to_owned(),
    })
}

/// Where the database stands, if what the folder `path` has up to `copy` is a part of it.
pub(super) fn compare(
    database: &mut PostgresJournal,
    path: &Path,
    copy: &Head,
) -> Result<Head, CliError> {
    let beside = database.beside(copy)?;
    let gone = KernelError::Gone {
        applied: copy.seq.0,
    };
    let beside = beside.ok_or_else(|| CliError::kernel(path, gone))?;
    beside
        .holds(copy)
        .map_err(|error| CliError::kernel(path, error))?;
    Ok(beside.head)
}

impl From<PostgresError> for CliError {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(error)
    }
}
