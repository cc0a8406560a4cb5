//! The journal's database, as commands beside the gateway see it.

use std::path::Path;

use khlong_store::journal::Head;

use super::{CliError, RunError};
use crate::app::AppError;
use crate::app::postgres::{PostgresError, PostgresJournal, PostgresOptions};
use crate::config::{Config, Environment, Flags};
use crate::kernel::KernelError;

/// The one that the configuration names; `None` without a configuration.
pub(super) fn of(config: Option<&Path>) -> Result<Option<PostgresJournal>, CliError> {
    options(config)?
        .map(PostgresJournal::new)
        .transpose()
        .map_err(CliError::Postgres)
}

/// How to reach it.
pub(super) fn options(config: Option<&Path>) -> Result<Option<PostgresOptions>, CliError> {
    config.map(named).transpose()
}

/// How to reach the one that this configuration names.
pub(super) fn named(path: &Path) -> Result<PostgresOptions, CliError> {
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
    let beside = match (beside, copy.seq.0) {
        (Some(beside), _) => beside,
        // As a start says it.
        (None, 0) => return Err(RunError::App(AppError::NoJournalThere).into()),
        (None, applied) => return Err(CliError::kernel(path, KernelError::Gone { applied })),
    };
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
