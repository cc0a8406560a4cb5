//! Why a command failed, and with which exit code.

use std::path::PathBuf;

use khlong_crdt::address::AddressError;
use khlong_store::error::StoreError;
use thiserror::Error;

use crate::config::ConfigError;
use crate::identity::KeyError;
use crate::server::ServerError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The configuration.
    #[error(transparent)]
    Config(ConfigError),
    /// The log filter.
    #[error("`log.level`: `{level}` is no level and no filter; use error, warn, info or debug")]
    LogLevel {
        /// As given.
        level: String,
    },
    /// The key.
    #[error(transparent)]
    Key(KeyError),
    /// `init` never overwrites.
    #[error("{path} exists already; `khlong-relay run` serves it, or name another file with --config", path = path.display())]
    Exists {
        /// The configuration.
        path: PathBuf,
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
    /// Nothing is in the folder that the configuration names. A relay that began anew there
    /// would tell its clients that everything is lost.
    #[error(
        "{path} holds no relay; is its disk mounted, and `store.folder` right? If what it held is gone for good, \
         `khlong-relay run --accept-loss` begins anew under the same key",
        path = path.display()
    )]
    NoRelay {
        /// `store.folder`.
        path: PathBuf,
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
    /// The async runtime or its signals.
    #[error("cannot set up the process")]
    Process(#[source] std::io::Error),
}

impl CommandError {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::LogLevel { .. }
            | Self::Exists { .. }
            | Self::NoRelay { .. }
            | Self::Host { .. } => 3,
            Self::Key(KeyError::Malformed) => 3,
            Self::Key(KeyError::Entropy(_) | KeyError::Write { .. })
            | Self::File { .. }
            | Self::Process(_) => 1,
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
