//! The journal's database, as commands beside the gateway see it.

use std::path::Path;

use khlong_store::journal::{Head, JournalError};

use super::{CliError, RunError};
use crate::app::postgres::{PostgresError, PostgresJournal, PostgresOptions};
use crate::config::{Config, Environment, Flags};

/// The one that the configuration names; `None` without a configuration.
pub(super) fn of(config: Option<&Path>) -> Result<Option<PostgresJournal>, CliError> {
    options(config)?
        .map(PostgresJournal::new)
        .transpose()
        .map_err(CliError::Postgres)
}

/// How to reach it.
pub(super) fn options(config: Option<&Path>) -> Result<Option<PostgresOptions>, CliError> {
    let Some(path) = config else {
        return Ok(None);
    };
    let config = Config::load(path, Environment::of_process(), &Flags::default())
        .map_err(RunError::Config)?;
    let options = config.database().map_err(RunError::Config)?;
    options.map(Some).ok_or_else(|| CliError::NoDatabase {
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
    let beside = beside.ok_or_else(|| CliError::journal(path, JournalError::Missing))?;
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
