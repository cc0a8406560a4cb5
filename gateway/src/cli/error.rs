//! What ends a command, and with which exit code.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domains::promptpay::{PayloadError, PictureError, RecipientError};

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// `run`.
    #[error(transparent)]
    Run(#[from] super::RunError),
    /// What was typed names nobody.
    #[error("no such recipient")]
    Recipient(#[source] RecipientError),
    /// What was typed makes no code.
    #[error("no code can be made of this")]
    Encode(#[source] PayloadError),
    /// What was scanned is no code.
    #[error("this code is refused")]
    Decode(#[source] PayloadError),
    /// A code that cannot be drawn.
    #[error("the code cannot be drawn")]
    Picture(#[source] PictureError),
    /// Nothing is overwritten.
    #[error("{path} exists already; name another file, or remove it", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder.
    #[error("cannot write {path}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Standard input.
    #[error("cannot read a text of UTF-8 from standard input")]
    Input(#[source] io::Error),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl CliError {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Run(error) => error.exit_code(),
            Self::Recipient(_) | Self::Encode(_) => 2,
            Self::Exists { .. } => 3,
            Self::Decode(_) => 9,
            Self::File { source, .. } | Self::Output(source) => of_io(source),
            Self::Picture(_) | Self::Input(_) => 1,
        }
    }
}

fn of_io(error: &io::Error) -> u8 {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if full.contains(&error.kind()) { 7 } else { 1 }
}
