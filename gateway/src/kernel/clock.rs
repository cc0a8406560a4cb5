//! Which readings of the driver's clock are taken.
//!
//! Time goes on by commands and never back, so one wrong reading in the journal would move it
//! for good. The kernel has no clock of its own: it compares each reading with the one before.

use std::fmt;

use khlong_crdt::time::UnixMillis;

use super::Kernel;
use super::error::KernelError;

/// How far a reading may lie ahead of the one before: 15 minutes. A driver reads its clock more
/// often, also while nobody asks for anything.
pub const JUMP_MS_MAX: i64 = 15 * 60 * 1_000;

/// How far the first reading may lie ahead of the journal's last entry: 30 days without a command.
pub const IDLE_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1_000;

/// How far a reading may lie behind the latest one, and the first one behind the journal's last
/// entry: 15 minutes, in which time stands still.
pub const BEHIND_MS_MAX: i64 = 15 * 60 * 1_000;

/// How far the first reading may lie ahead of the journal's last entry without a word: 1 day. A
/// gateway that was off for longer is told apart from a clock that is wrong by a person.
pub const QUIET_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// How far it may lie behind without a word: 1 second, which setting a clock by others may take.
pub const STILL_MS_MAX: i64 = 1_000;

/// The start of 2026 (UTC), before which no gateway ran: an empty journal has no entry with which the
/// first reading could be compared, and a clock without a battery says 1970 or when it was made.
pub const EARLIEST_MS: i64 = 1_767_225_600_000;

const _: () = assert!(
    STILL_MS_MAX < BEHIND_MS_MAX && JUMP_MS_MAX < QUIET_MS_MAX && QUIET_MS_MAX < IDLE_MS_MAX,
    "what is said of a reading lies within what is taken"
);

const _: () = assert!(
    JUMP_MS_MAX <= BEHIND_MS_MAX && BEHIND_MS_MAX < IDLE_MS_MAX,
    "a jump that was taken and then set right keeps no gateway from starting"
);

/// What a person should know of a first reading that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The journal is empty: the reading is believed, because nothing is known.
    Alone,
    /// So many milliseconds ahead of the last entry, more than [`QUIET_MS_MAX`]: the gateway was off
    /// for so long, or the clock is wrong, and the next command moves time there for good.
    Ahead(i64),
    /// So many milliseconds behind the last entry, more than [`STILL_MS_MAX`]: time stands still
    /// until the clock has passed it.
    Behind(i64),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str(
                "the journal is empty, so nothing tells whether the clock is right: look at it before the first command",
            ),
            Self::Ahead(millis) => write!(
                f,
                "the clock is {} hours ahead of the last entry; if the gateway was not without commands for so long, set the clock right before the next one, which moves time for good",
                millis / 3_600_000
            ),
            Self::Behind(millis) => write!(
                f,
                "the clock is {} seconds behind the last entry: time stands still until it has passed that",
                millis / 1_000
            ),
        }
    }
}

impl Kernel {
    /// The first reading after a start. Whoever starts again within [`IDLE_MS_MAX`] of a wrong one
    /// acknowledges it, and so is told what it is.
    ///
    /// # Errors
    /// As [`Self::tick`]; [`KernelError::Early`] beside an empty journal before [`EARLIEST_MS`].
    pub fn begin_time(&mut self, now: UnixMillis) -> Result<Option<Doubt>, KernelError> {
        let is_empty = self.head().seq.0 == 0;
        if is_empty && now.0 < EARLIEST_MS {
            return Err(KernelError::Early { read: now.0 });
        }
        self.tick(now)?;
        let ahead = now.0.saturating_sub(self.applied().time.0);
        Ok(if is_empty {
            Some(Doubt::Alone)
        } else if ahead > QUIET_MS_MAX {
            Some(Doubt::Ahead(ahead))
        } else if ahead < -STILL_MS_MAX {
            Some(Doubt::Behind(-ahead))
        } else {
            None
        })
    }

    /// Takes note of the time. A driver calls it at least every few minutes, whether or not
    /// there are commands; each command is a reading too.
    ///
    /// # Errors
    /// [`KernelError::Clock`] if the reading cannot be right by what is known:
    /// it is negative, more than [`JUMP_MS_MAX`] ahead of the latest one or [`BEHIND_MS_MAX`]
    /// behind it, or, the first one, more than [`IDLE_MS_MAX`] ahead of the journal or
    /// [`BEHIND_MS_MAX`] behind it. Nothing is changed, and the next one may be right; a driver
    /// that cannot ask a person ends, because time would stand still unseen.
    pub fn tick(&mut self, now: UnixMillis) -> Result<(), KernelError> {
        let last = self.applied().time;
        let (earliest, latest) = match self.clock {
            Some(read) => (
                read.0.saturating_sub(BEHIND_MS_MAX),
                read.0.saturating_add(JUMP_MS_MAX),
            ),
            None if self.head().seq.0 == 0 => (0, i64::MAX),
            None => (
                last.0.saturating_sub(BEHIND_MS_MAX),
                last.0.saturating_add(IDLE_MS_MAX),
            ),
        };
        if now.0 < earliest.max(0) || now.0 > latest {
            return Err(KernelError::Clock {
                read: now.0,
                known: self.clock.unwrap_or(last).0,
            });
        }
        self.clock = Some(self.clock.map_or(now, |read| read.max(now)));
        Ok(())
    }

    /// Takes the reading whatever is known: a person has looked at the clock. Where the
    /// journal is ahead of it, time stands still until it is reached.
    ///
    /// # Errors
    /// [`KernelError::Clock`] if it is negative.
    pub fn accept_time(&mut self, now: UnixMillis) -> Result<(), KernelError> {
        if now.0 < 0 {
            return Err(KernelError::Clock {
                read: now.0,
                known: self.applied().time.0,
            });
        }
        self.clock = Some(now);
        Ok(())
    }
}
