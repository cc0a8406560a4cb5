//! Every way in which the kernel can fail, and what to do about each.

use std::fmt;

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
    /// The journal has more of another gateway's entries than were applied: see [`super::Kernel::follow`].
    #[error("another gateway's entries are not all applied yet; follow the journal, then go on")]
    NotFollowed,
    /// An earlier call failed for good.
    #[error("an earlier commit failed; open the folder again")]
    Broken,
    /// The views are not those of the journal's head.
    #[error(
        "the views go to entry {applied} and the journal to {head}; if the journal was put back, restore a newer backup of it, which has what the views have; else replay it into an empty folder, or, if it lies in a database and no backup of that has it, see `khlong-gateway journal take-back`"
    )]
    Behind {
        /// The last command that they hold.
        applied: u64,
        /// The journal's head.
        head: u64,
    },
    /// The journal lies in a database, and that has none.
    #[error(
        "the views go to entry {applied}, and the journal's database has no journal; name the database that has it, or restore that from its newest backup; a journal that lies in the folder is moved into a database by `khlong-gateway journal to-database`, and one whose database is lost for good is taken back by `journal take-back`"
    )]
    Gone {
        /// The last command that they hold.
        applied: u64,
    },
    /// The views are those of another journal.
    #[error(
        "the views go to entry {applied} of another journal than the one beside them; restore the right backup, or replay the journal into an empty folder"
    )]
    OtherJournal {
        /// The last command that they hold.
        applied: u64,
    },
    /// There are views, and nothing says from which journal they follow.
    #[error(
        "the folder has views and nothing that says from which journal they follow; restore it from a backup"
    )]
    NoJournal,
    /// The clock cannot be right, and the journal has no time to compare with.
    #[error(
        "the clock says {read}, and no gateway ran before {earliest}; set the clock right, then start again",
        read = Moment(*read),
        earliest = Moment(super::EARLIEST_MS)
    )]
    Early {
        /// What it says, in milliseconds since 1970.
        read: i64,
    },
    /// The clock cannot be right.
    #[error(
        "the clock says {read}, and the time was {known}; set the clock right, then start again, with --accept-time if it is right already",
        read = Moment(*read),
        known = Moment(*known)
    )]
    Clock {
        /// What it says, in milliseconds since 1970.
        read: i64,
        /// The reading before it, or the time of the journal's last entry.
        known: i64,
    },
    /// A name that only the kernel uses.
    #[error("the caller has the kernel's own name; use another one")]
    KernelsName,
    /// Two domains have one number or one table, or one has a table that is no view.
    #[error(
        "domain {number} claims a number or a table that is not its own; this is a bug, report it"
    )]
    Domains {
        /// The second of them.
        number: u8,
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

/// Milliseconds since 1970 as people read them, in UTC.
struct Moment(i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => fmt::Display::fmt(&moment, f),
            // A time that the calendar does not have.
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl KernelError {
    /// A failure of the journal; what the store says of itself stays its own, so that a full or
    /// busy one is tried again.
    pub(crate) fn from_journal(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => Self::Store(error),
            error @ (JournalError::Exists
            | JournalError::Missing
            | JournalError::NotKept(_)
            | JournalError::Elsewhere { .. }
            | JournalError::Moved { .. }
            | JournalError::TooLarge { .. }
            | JournalError::Unreadable { .. }
            | JournalError::Broken { .. }) => Self::Journal(error),
        }
    }

    /// Whether the kernel must be dropped and the folder opened again. What it had not
    /// released may be there or not; a retry under the same key tells.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Store(StoreError::Engine(error)) => !error.is_retryable(),
            // The entries are in the journal, and the store takes what follows from them later.
            Self::Journal(JournalError::NotKept(error)) => !error.is_retryable(),
            Self::Store(_)
            | Self::Journal(_)
            | Self::Broken
            | Self::Behind { .. }
            | Self::Gone { .. }
            | Self::OtherJournal { .. }
            | Self::NoJournal
            | Self::Domains { .. }
            | Self::UnknownEntry { .. }
            | Self::Diverged { .. } => true,
            Self::Unfit { .. }
            | Self::KeyReused { .. }
            | Self::KernelsName
            | Self::Clock { .. }
            | Self::Early { .. }
            | Self::NotFollowed
            | Self::GroupFull => false,
        }
    }

    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Journal(error) => error.exit_code(),
            Self::Unfit { .. }
            | Self::KeyReused { .. }
            | Self::KernelsName
            | Self::GroupFull
            | Self::NotFollowed
            | Self::Domains { .. }
            | Self::Broken => 1,
            Self::Clock { .. } | Self::Early { .. } => 3,
            Self::UnknownEntry { .. } => 8,
            Self::Behind { .. }
            | Self::Gone { .. }
            | Self::OtherJournal { .. }
            | Self::NoJournal
            | Self::Diverged { .. } => 9,
        }
    }
}
