//! What ends a run or a command, and with which exit code.

use std::io;
use std::path::PathBuf;

use crate::mobility::error::MobilityError;
use crate::scenario::error::ScenarioError;

/// Exit codes of the command line, the same as those of the other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Ok = 0,
    /// Anything without a code of its own.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The scenario is not usable as it is.
    Config = 3,
    /// The folder was written by another version.
    Incompatible = 8,
    /// Two runs with one seed differ, or a folder is not what its manifest says.
    Integrity = 9,
}

/// Everything that a simulation reports. Messages say what to do next.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A mobility model or its file.
    #[error("{0}")]
    Mobility(#[source] MobilityError),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is there stays there.
    #[error("{} is there already: name another folder with --out, or move it away", .0.display())]
    Exists(PathBuf),
    /// A table in a run folder.
    #[error("the table {} is damaged: {problem}", path.display())]
    Table {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The folder's version is not ours.
    #[error("{} has schema version {found}; this program reads version {known}", path.display())]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// Two runs that should be the same are not.
    #[error("{0}")]
    Differs(String),
    /// A number is outside its limits.
    #[error("{0}")]
    Missed(String),
    /// A routing protocol refused the plan.
    #[error("{protocol}: {problem}")]
    Run {
        /// Which.
        protocol: String,
        /// What is wrong.
        problem: String,
    },
}

impl SimError {
    /// What a script sees.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Scenario(
                ScenarioError::Override { .. } | ScenarioError::NoSuchScenario { .. },
            )
            | Self::Usage(_) => ExitCode::Usage,
            Self::Scenario(_) | Self::Mobility(_) => ExitCode::Config,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Exists(_)
            | Self::Missed(_)
            | Self::Run { .. } => ExitCode::Failure,
            Self::Version { .. } => ExitCode::Incompatible,
            Self::Table { .. } | Self::Differs(_) => ExitCode::Integrity,
        }
    }
}
