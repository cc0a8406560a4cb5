//! What ends a command, and with which exit code.

use std::io;
use std::path::PathBuf;

use crate::backup::BackupError;
use crate::error::{ExitCode, NodeError};
use crate::import::ImportError;

/// The last word of a command. Messages say what to do next.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The node refused the request and said why.
    #[error("{message}")]
    Refused { message: String, exit_code: u8 },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Config(String),
    /// Neither a daemon that answers nor free.
    #[error(
        "{} is in use by another program{}; wait until that command has ended, or stop it",
        .home.display(), process(*.pid)
    )]
    InUse {
        home: PathBuf,
        /// 0 when it is not known.
        pid: u32,
    },
    /// `doctor` found something, and has said what.
    #[error("something is wrong with this node's set-up")]
    Unwell(ExitCode),
    #[error("could not read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("could not write {}", .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("could not write to standard output")]
    Output(#[source] io::Error),
    #[error("the terminal failed")]
    Terminal(#[source] io::Error),
    /// Told apart from a full folder: whoever repeats the command writes twice.
    #[error("it was written, but standard output could not be: do not write it again")]
    Untold(#[source] io::Error),
    #[error(
        "the node answered something else than was asked; use one version of khlong for the daemon and the command"
    )]
    Unexpected,
}

impl CliError {
    /// The same of a command that has written already.
    pub(super) fn after_writing(self) -> Self {
        if let Self::Output(source) = self {
            Self::Untold(source)
        } else {
            self
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Node(error) => error.exit_code() as u8,
            Self::Backup(error) => error.exit_code(),
            Self::Refused { exit_code, .. } => *exit_code,
            Self::Unwell(code) => *code as u8,
            Self::Usage(_) => ExitCode::Usage as u8,
            Self::Config(_) | Self::InUse { .. } => ExitCode::Config as u8,
            Self::Unexpected => ExitCode::Incompatible as u8,
            Self::Unwritable { source, .. } | Self::Output(source) => ExitCode::of_io(source) as u8,
            Self::Import(_) | Self::Unreadable { .. } | Self::Terminal(_) | Self::Untold(_) => {
                ExitCode::Failure as u8
            }
        }
    }
}

fn process(pid: u32) -> String {
    match pid {
        0 => String::new(),
        pid => format!(" (process {pid})"),
    }
}
