//! Every way in which a journal can fail, and what to do about each.

use std::error::Error;

use crate::error::StoreError;

/// What a journal says to its caller.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed; its own words say what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a journal already.
    #[error("the folder has a journal already; open it, or name an empty folder")]
    Exists,
    /// There is none.
    #[error("the folder has no journal; make one with `khlong-gateway init`")]
    Missing,
    /// Somebody else appended: what was decided stands on an older state.
    #[error(
        "the journal is at {found}, not at {expected}; read what was appended, then decide again"
    )]
    Moved {
        /// Where the caller believed it.
        expected: u64,
        /// Where it is.
        found: u64,
    },
    /// The entries are in the journal, and what follows from them could not be kept.
    #[error(
        "the journal has the entries, but the store did not take what follows from them ({0}); it is applied again when the folder is opened"
    )]
    NotKept(#[source] StoreError),
    /// A journal that lies elsewhere cannot be used, or did not tell what became of an append.
    #[error("the journal cannot be used where it lies")]
    Elsewhere {
        /// The exit code of a program that ends with it.
        exit_code: u8,
        /// Its own words, which say what to do.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// More than an append may hold.
    #[error("{found} {what}, more than {max}; split it")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// Bytes of the disk under an entry are damaged, so that neither it nor what lies behind it can
    /// be read. Those before it are right.
    #[error("the journal cannot be read from entry {seq} on")]
    Unreadable {
        /// The first that cannot be read.
        seq: u64,
        /// What the store met there, and what to do.
        #[source]
        source: StoreError,
    },
    /// An entry is not the one that was appended.
    #[error("entry {seq} of the journal is damaged: {reason}; restore it from a backup")]
    Broken {
        /// The first that does not check.
        seq: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl JournalError {
    /// Whether nothing was written, and the same call may be tried again: at once on the same
    /// store, or, for [`Self::Moved`], after reading what was appended.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Moved { .. } => true,
            Self::Exists
            | Self::Missing
            | Self::NotKept(_)
            | Self::Elsewhere { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable { .. }
            | Self::Broken { .. } => false,
        }
    }

    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) | Self::NotKept(error) | Self::Unreadable { source: error, .. } => {
                error.exit_code()
            }
            Self::Elsewhere { exit_code, .. } => *exit_code,
            Self::Exists | Self::Missing => 3,
            Self::Moved { .. } | Self::TooLarge { .. } => 1,
            Self::Broken { .. } => 9,
        }
    }
}
