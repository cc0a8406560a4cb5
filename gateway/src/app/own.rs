//! What the driver asks of the kernel by itself: what is due, and that old keys are forgotten.

use std::time::Duration;

use khlong_crdt::time::{Now, UnixMillis};

use super::driver::{Driver, Due};
use super::limits::{DISK_LOOK_EVERY, EVICT_EVERY};
use super::pauses::after;
use crate::kernel::{Command, Housekeeping, KERNEL_DOMAIN, KernelError, oldest_key};

/// Who asks where the driver itself does. No key of the configuration can have this name.
const DRIVER_CALLER: &[u8] = b"\0driver";

impl Driver {
    /// Deadlines up to here are this gateway's to meet. One that follows leaves them to the one
    /// that works: also while that is busy with what has long been due, and when both were started
    /// a moment ago.
    pub(super) fn due_by(&self, now: Now) -> UnixMillis {
        if !self.follows {
            return now.wall;
        }
        let waits = i64::try_from(self.follower_waits.as_millis()).unwrap_or(i64::MAX);
        let silent = now.wall.0.saturating_sub(self.kernel.applied().time.0);
        let waited = Duration::from_micros(now.monotonic.0.saturating_sub(self.began.0));
        if silent < waits || waited < self.follower_waits {
            return UnixMillis(i64::MIN);
        }
        UnixMillis(now.wall.0.saturating_sub(waits))
    }

    /// Reads the clock, gives each domain what is due there, and forgets old keys. At most one
    /// command of a domain a turn: clients are served between two of them.
    pub(super) fn do_what_is_due(&mut self, now: Now, due: &mut Due) -> Result<(), KernelError> {
        // A clock that is not believed: commands would be refused unseen, or time stand still.
        // A start compares it with the journal anew, and a person may accept it.
        self.kernel.tick(now.wall)?;
        if due.is_disk_full {
            return Ok(());
        }
        let is_paused = |due: &Due, domain| !due.pauses.left(domain, now.monotonic).is_zero();
        for (domain, body) in self.kernel.due(self.due_by(now))? {
            if !is_paused(due, domain) && !self.do_own(now, b"due", domain, body, due)? {
                return Ok(());
            }
        }
        if due.evict <= now.monotonic && !self.follows && !is_paused(due, KERNEL_DOMAIN) {
            let keep = i64::try_from(self.keep_keys.as_millis()).unwrap_or(i64::MAX);
            let before = UnixMillis(now.wall.0.saturating_sub(keep));
            let oldest = oldest_key(self.kernel.store())?;
            if oldest.is_some_and(|oldest| oldest < before) {
                // More than one command forgets: the next turn goes on.
                let body = Housekeeping::Evict { before }.encode();
                self.do_own(now, b"evict", KERNEL_DOMAIN, body, due)?;
            } else {
                due.evict = after(now.monotonic, EVICT_EVERY);
            }
        }
        Ok(())
    }

    /// Nobody waits for the answer. Returns whether the commit has room for more: holds whose time
    /// is over come first, and may fill it. Then it is not the command that is wrong, and the next
    /// turn goes on behind the commit.
    fn do_own(
        &mut self,
        now: Now,
        scope: &[u8],
        domain: u8,
        body: Vec<u8>,
        due: &mut Due,
    ) -> Result<bool, KernelError> {
        let key = self.kernel.head().seq.next().0.to_be_bytes();
        let command = Command {
            caller: DRIVER_CALLER.to_vec(),
            scope: scope.to_vec(),
            key: key.to_vec(),
            admitted_at: now.wall,
            domain,
            body,
        };
        let before = self.kernel.head().seq;
        let began = self.monotonic();
        let applied = self.kernel.apply(&command);
        let ended = self.monotonic();
        let rejected = self.tell_own_rejections(due);
        match applied {
            Err(error) if error.is_fatal() => return Err(error),
            Err(KernelError::GroupFull) => return Ok(false),
            Err(error @ KernelError::Store(_)) => {
                due.pauses.rest(domain, ended, DISK_LOOK_EVERY);
                tracing::warn!(%error, domain, "what is due could not be done, and is tried again");
            }
            Err(error) => {
                due.measure.refused(&command);
                let pause = due.pauses.rejected(domain, ended);
                tracing::error!(%error, domain, ?pause, "a command of the driver is refused");
            }
            Ok(ticket) => {
                let entries = self.kernel.head().seq.0.saturating_sub(before.0 + rejected);
                due.measure.applied(ticket, &command, entries);
                due.own.insert(ticket, domain);
                let cost = Duration::from_micros(ended.since_micros(began));
                due.pauses.rest(domain, ended, cost);
            }
        }
        Ok(true)
    }
}
