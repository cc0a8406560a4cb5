//! Why a command failed, and with which exit code.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use khlong_crdt::address::AddressError;
use khlong_store::error::StoreError;
use thiserror::Error;

use crate::backup::BackupError;
use crate::config::ConfigError;
use crate::identity::KeyError;
use crate::server::ServerError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The configuration.
    #[error(transparent)]
    Config(ConfigError),
    /// The key.
    #[error(transparent)]
    Key(KeyError),
    /// `init` never overwrites.
    #[error("{path} exists already; `khlong-relay run` serves it, or name another file with --config", path = path.display())]
    Exists {
        /// The configuration.
        path: PathBuf,
    },
    /// `run` serves a folder; only `init` makes one.
    #[error("{folder} holds no relay; is its disk mounted, and `store.folder` right? `khlong-relay --config {config} init` makes an empty one under the same key", folder = folder.display(), config = config.display())]
    NotInitialised {
        /// The folder of the store.
        folder: PathBuf,
        /// The configuration that names it.
        config: PathBuf,
    },
    /// No configuration either.
    #[error("{config} does not exist; run `khlong-relay --config {config} init` first, or name the right file with --config", config = config.display())]
    NotConfigured {
        /// Where it was looked for.
        config: PathBuf,
    },
    /// The host cannot stand in an address.
    #[error("`{host}` is no host name and no IP address")]
    Host {
        /// As given.
        host: String,
        /// What is wrong.
        #[source]
        source: AddressError,
    },
    /// A file or folder.
    #[error("cannot {action} {path}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Serving.
    #[error(transparent)]
    Server(ServerError),
    /// Reading the folder.
    #[error("the folder does not check")]
    Check(#[source] StoreError),
    /// A backup.
    #[error(transparent)]
    Backup(BackupError),
    /// The relay that runs is not where it was looked for.
    #[error(
        "a process has the folder, and no relay answers at {address}; name the HTTP address of the running relay with --admin"
    )]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The relay that runs has another key.
    #[error(
        "the relay at {address} has another key than the configuration; name the HTTP address of the right one with --admin, or the right configuration with --config"
    )]
    OtherRelay {
        /// Where it was asked.
        address: SocketAddr,
    },
    /// The relay that runs made no checkpoint.
    #[error("the relay at {address} made no checkpoint: {said}")]
    NoCheckpoint {
        /// Where it was asked.
        address: SocketAddr,
        /// The HTTP status.
        status: u16,
        /// Its words.
        said: String,
    },
    /// Any of these, when the log has told it already.
    #[error(transparent)]
    Logged(Box<Self>),
    /// The async runtime or its signals.
    #[error("cannot set up the process")]
    Process(#[source] std::io::Error),
}

impl CommandError {
    /// Whether a log has told it.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        matches!(self, Self::Logged(_))
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Logged(error) => error.exit_code(),
            // As the client says it of its own key file.
            Self::Config(ConfigError::SecretFile { source, .. }) if source.is_untrusted() => 4,
            Self::Config(_)
            | Self::Exists { .. }
            | Self::NotInitialised { .. }
            | Self::NotConfigured { .. }
            | Self::Host { .. } => 3,
            Self::Key(KeyError::Malformed) | Self::Unreachable { .. } => 3,
            Self::OtherRelay { .. } => 4,
            Self::NoCheckpoint { status, .. } => match status {
                507 => 7,
                _other => 1,
            },
            Self::Backup(error) => error.exit_code(),
            Self::Key(KeyError::Write { source, .. }) | Self::File { source, .. } => of_io(source),
            Self::Key(KeyError::Entropy(_)) | Self::Process(_) => 1,
            Self::Check(error) | Self::Server(ServerError::Store(error)) => error.exit_code(),
            Self::Server(
                ServerError::Quic(_)
                | ServerError::Admin { .. }
                | ServerError::Entropy(_)
                | ServerError::Thread(_)
                | ServerError::DriverHangs { .. }
                | ServerError::DriverGone,
            ) => 1,
        }
    }
}

fn of_io(error: &std::io::Error) -> u8 {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
    if full.contains(&error.kind()) { 7 } else { 1 }
}
