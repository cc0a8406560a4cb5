//! What is due by the clock: when, for whom, and in front of which command.

use khlong_crdt::time::UnixMillis;
use khlong_store::key::Encoder;

use super::Kernel;
use super::command::{Command, KERNEL_CALLER};
use super::error::KernelError;
use super::outcome::Outcome;

impl Kernel {
    /// The earliest of [`Self::deadlines`].
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn next_deadline(&self) -> Result<Option<UnixMillis>, KernelError> {
        let deadlines = self.deadlines()?;
        Ok(deadlines.into_iter().map(|(_, at)| at).min())
    }

    /// Which domains want a command of their own, and when; the driver then submits what
    /// [`Self::due`] gives.
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn deadlines(&self) -> Result<Vec<(u8, UnixMillis)>, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        let mut deadlines = Vec::new();
        for domain in &self.domains {
            if let Some(at) = domain.next_deadline(&self.store)? {
                deadlines.push((domain.number(), at));
            }
        }
        Ok(deadlines)
    }

    /// The domains whose deadline is not after `now`, each with the body of the command that it
    /// wants.
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn due(&self, now: UnixMillis) -> Result<Vec<(u8, Vec<u8>)>, KernelError> {
        let deadlines = self.deadlines()?;
        let is_due = |number| {
            let mut all = deadlines.iter();
            all.any(|(domain, at)| *domain == number && *at <= now)
        };
        let due = self
            .domains
            .iter()
            .filter(|domain| is_due(domain.number()))
            .filter_map(|domain| Some((domain.number(), domain.due()?)));
        Ok(due.collect())
    }

    /// Lets happen what is due, in commands of its own, until what is left is little enough
    /// for the next command to let it happen itself.
    pub(super) fn make_room_in_time(&mut self, admitted_at: UnixMillis) -> Result<(), KernelError> {
        if self.stuck {
            return Ok(());
        }
        let now = self.applied.time.max(admitted_at);
        for place in 0..self.domains.len() {
            while let Some(command) = self.overdue(place, now)? {
                let logic = self.logic;
                self.apply_under(&command, logic, None)?;
                // Nobody waits for its answer. One that is rejected would be so again, and
                // would be journaled before every command.
                let answer = self
                    .waiting
                    .pop()
                    .and_then(|output| output.decided.outcome());
                if !matches!(answer, Some(Outcome::Done(_))) {
                    self.stuck = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn overdue(&mut self, place: usize, now: UnixMillis) -> Result<Option<Command>, KernelError> {
        let key = Encoder::new().u64(self.head.seq.next().0).finish();
        self.looked_up(|batch, domains| {
            let Some(domain) = domains.get(place) else {
                return Ok(None);
            };
            let (true, Some(body)) = (domain.is_overdue(batch, now)?, domain.due()) else {
                return Ok(None);
            };
            Ok(Some(Command {
                caller: KERNEL_CALLER.to_vec(),
                scope: b"due".to_vec(),
                key,
                admitted_at: now,
                domain: domain.number(),
                body,
            }))
        })
    }
}
