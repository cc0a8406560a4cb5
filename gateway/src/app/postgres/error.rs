//! Every way in which the journal's database can fail, and what to do about each.

use std::error::Error;
use std::io;

use khlong_store::journal::JournalError;
use tokio_postgres::error::SqlState;

/// What a failed request came from.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why the journal on PostgreSQL cannot be used. None has a password in its words.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No runtime for the connection.
    #[error("the system gives no event loop for the journal's database")]
    Runtime(#[source] io::Error),
    /// No answer, also over new connections.
    #[error(
        "the journal's database gave no answer for {seconds} s; what was under way is read back at the next start; for one that is lost for good there is `khlong-gateway journal take-back`"
    )]
    Unreachable {
        /// For how long it was tried.
        seconds: u64,
        /// What the last try met.
        #[source]
        source: Cause,
    },
    /// No answer, and the gateway was told to end: it is not waited for.
    #[error(
        "the gateway was told to end while the journal's database gave no answer; what was under way is read back at the next start"
    )]
    Stopped(#[source] Cause),
    /// It answers, and will not.
    #[error("the journal's database refuses; check user, rights and tables")]
    Refused(#[source] Said),
    /// A setting under which an answer would not mean that an entry is durable.
    #[error(
        "the journal's database has {setting} = {found}, under which it forgets what it has acknowledged; {remedy}"
    )]
    Unsafe {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Tables of a newer release.
    #[error(
        "the tables of the journal's database have version {found}, and this release knows {known}; use the newer one"
    )]
    Version {
        /// Theirs.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// Half of a journal.
    #[error(
        "a journal is being copied into this database, or that was cut off; run the same `khlong-gateway journal to-database` again, which goes on where it stopped; if that journal lies elsewhere by now, drop the schema khlong here"
    )]
    Unfinished,
    /// Another process has ended a move meanwhile, or gone on with it.
    #[error(
        "another process has changed what is in the database meanwhile; run the same command again"
    )]
    MovedMeanwhile,
    /// Rows that the tables do not allow.
    #[error(
        "the tables of the journal's database are not as they were made: {reason}; restore the database from a backup"
    )]
    Tables {
        /// What is wrong.
        reason: &'static str,
    },
}

/// The most characters of what a server said that are repeated.
const SAID_CHARS_MAX: usize = 300;

/// What the server said, or what its client met: one short line, without the details, in which
/// a server puts rows.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct Said {
    code: Option<SqlState>,
    words: String,
}

impl From<tokio_postgres::Error> for Said {
    fn from(error: tokio_postgres::Error) -> Self {
        let words = if let Some(said) = error.as_db_error() {
            format!("{} ({})", said.message(), said.code().code())
        } else {
            let cause = error.source().map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        };
        let plain = |char: char| if char.is_control() { ' ' } else { char };
        Self {
            code: error.code().cloned(),
            words: words.chars().take(SAID_CHARS_MAX).map(plain).collect(),
        }
    }
}

/// A server that is there, and is not the one that appends.
#[derive(Debug, thiserror::Error)]
#[error("the server takes no writes: it is a standby, or set read-only")]
pub(super) struct TakesNoWrites;

impl PostgresError {
    /// Whether the server has no database of that name.
    pub(super) fn is_no_database(&self) -> bool {
        match self {
            Self::Refused(said) => said.code == Some(SqlState::INVALID_CATALOG_NAME),
            Self::Runtime(_)
            | Self::Unreachable { .. }
            | Self::Stopped(_)
            | Self::Unsafe { .. }
            | Self::Version { .. }
            | Self::Unfinished
            | Self::MovedMeanwhile
            | Self::Tables { .. } => false,
        }
    }

    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(_) | Self::Unreachable { .. } | Self::Stopped(_) => 1,
            Self::Refused(said) => match &said.code {
                Some(code) if code.code().starts_with("28") => 4,
                Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => 4,
                Some(code) if *code == SqlState::DISK_FULL => 7,
                Some(_) | None => 1,
            },
            Self::Unsafe { .. } | Self::Unfinished | Self::MovedMeanwhile => 3,
            Self::Version { .. } => 8,
            Self::Tables { .. } => 9,
        }
    }
}

impl From<PostgresError> for JournalError {
    fn from(error: PostgresError) -> Self {
        Self::Elsewhere {
            exit_code: error.exit_code(),
            source: Box::new(error),
        }
    }
}

/// What one request met.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone, or the answer is: another try may help.
    Lost(Cause),
    /// Another try meets the same.
    Final(PostgresError),
}

impl Failure {
    pub(super) fn timed_out() -> Self {
        Self::Lost(Box::new(io::Error::from(io::ErrorKind::TimedOut)))
    }

    pub(super) fn of_io(error: io::Error) -> Self {
        Self::Lost(Box::new(error))
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        Self::Final(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    /// A server that starts, stops, fails over or is crowded is one that does not answer.
    fn from(error: tokio_postgres::Error) -> Self {
        let passes = error.code().is_none_or(|code| {
            code.code().starts_with("08")
                || [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::QUERY_CANCELED,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::LOCK_NOT_AVAILABLE,
                    SqlState::READ_ONLY_SQL_TRANSACTION,
                ]
                .contains(code)
        });
        if passes {
            Self::Lost(Box::new(Said::from(error)))
        } else {
            Self::Final(PostgresError::Refused(error.into()))
        }
    }
}
