//! Every way in which the kernel can fail, and what to do about each.

use khlong_store::error::StoreError;
use khlong_store::journal::JournalError;

/// What the kernel says to its driver.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The store failed; its own words say what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal failed; its own words say what to do.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The command breaks a limit.
    #[error("the command has {found} {what}, and may have {max}")]
    Unfit {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// The idempotency key stands for another command.
    #[error("the idempotency key stands for another command (entry {seq}); use a fresh key")]
    KeyReused {
        /// Where that command stands.
        seq: u64,
    },
    /// The group is full.
    #[error("the group of commands is full; commit it, then go on")]
    GroupFull,
    /// An earlier call failed for good.
    #[error("an earlier commit failed; open the folder again")]
    Broken,
    /// The views are not those of the journal's head.
    #[error(
        "the views go to entry {applied} and the journal to {head}; replay it into an empty folder"
    )]
    Behind {
        /// The last command that they hold.
        applied: u64,
        /// The journal's head.
        head: u64,
    },
    /// An entry that this release cannot read.
    #[error(
        "entry {seq} of the journal has a layout or rules that this version does not know; use the newer version that wrote it"
    )]
    UnknownEntry {
        /// Which.
        seq: u64,
    },
    /// A replay came to something else.
    #[error("entry {seq} of the journal replays to another outcome; this is a bug, report it")]
    Diverged {
        /// The first that differs.
        seq: u64,
    },
}

impl KernelError {
    /// Whether the kernel must be dropped and the folder opened again. What it had not
    /// released may be there or not; a retry under the same key tells.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Store(StoreError::Engine(error)) => !error.is_retryable(),
            Self::Store(_)
            | Self::Journal(_)
            | Self::Broken
            | Self::Behind { .. }
            | Self::UnknownEntry { .. }
            | Self::Diverged { .. } => true,
            Self::Unfit { .. } | Self::KeyReused { .. } | Self::GroupFull => false,
        }
    }

    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Journal(error) => error.exit_code(),
            Self::Unfit { .. } | Self::KeyReused { .. } | Self::GroupFull | Self::Broken => 1,
            Self::UnknownEntry { .. } => 8,
            Self::Behind { .. } | Self::Diverged { .. } => 9,
        }
    }
}
