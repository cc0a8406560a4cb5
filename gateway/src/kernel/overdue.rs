//! What is due and too much for one command: the kernel lets it happen in commands of its own.

use std::collections::BTreeMap;

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::Encoder;

use super::Kernel;
use super::command::{Command, KERNEL_CALLER};
use super::error::KernelError;
use super::outcome::Outcome;

/// After so many entries a domain that rejected a command of the kernel's own is given one again,
/// or after a start. Each try is an entry, and without others between them nothing would differ.
pub const OVERDUE_AGAIN_ENTRIES: u64 = 1_024;

/// A command of the kernel's own was rejected: what it was to let happen is still due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRejection {
    /// Which domain rejected it.
    pub domain: u8,
    /// Its entry, which has the reason.
    pub seq: JournalSeq,
}

/// What the kernel remembers of its own commands.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// Domains that are given none before this head of the journal.
    put_off: BTreeMap<u8, JournalSeq>,
    /// What nobody was told yet: the latest of each domain.
    untold: BTreeMap<u8, OwnRejection>,
}

impl Kernel {
    /// Lets happen what is due, in commands of its own, until what is left is little enough
    /// for the next command to let it happen itself.
    pub(super) fn make_room_in_time(&mut self, admitted_at: UnixMillis) -> Result<(), KernelError> {
        let now = self.applied.time.max(admitted_at);
        for place in 0..self.domains.len() {
            while let Some(command) = self.next_overdue(place, now)? {
                let (domain, logic) = (command.domain, self.logic);
                self.apply_under(&command, logic, None)?;
                // Nobody waits for its answer. One that is rejected would be so again, and
                // would be journaled before every command.
                let output = self.waiting.pop();
                let answer = output.and_then(|output| output.decided.outcome());
                if matches!(answer, Some(Outcome::Done(_))) {
                    self.overdue.put_off.remove(&domain);
                    continue;
                }
                let seq = self.head.seq;
                let again = JournalSeq(seq.0.saturating_add(OVERDUE_AGAIN_ENTRIES));
                self.overdue.put_off.insert(domain, again);
                let rejection = OwnRejection { domain, seq };
                self.overdue.untold.insert(domain, rejection);
                break;
            }
        }
        Ok(())
    }

    /// What the kernel gave a domain by itself, and that rejected, since this was asked last: nobody
    /// else hears of it. It is durable after the next commit.
    pub fn take_own_rejections(&mut self) -> Vec<OwnRejection> {
        let untold = std::mem::take(&mut self.overdue.untold);
        untold.into_values().collect()
    }

    /// Of how many domains something is overdue now that they have rejected.
    ///
    /// # Errors
    /// From the disk.
    pub fn overdue_rejected(&self) -> Result<u64, StoreError> {
        let now = self.applied.time.max(self.clock.unwrap_or_default());
        let mut rejected = 0;
        for domain in &self.domains {
            let is_put_off = self.overdue.put_off.contains_key(&domain.number());
            rejected += u64::from(is_put_off && domain.is_overdue(&self.store, now)?);
        }
        Ok(rejected)
    }

    fn next_overdue(
        &mut self,
        place: usize,
        now: UnixMillis,
    ) -> Result<Option<Command>, KernelError> {
        let number = self.domains.get(place).map(|domain| domain.number());
        let again = number.and_then(|number| self.overdue.put_off.get(&number));
        if again.is_some_and(|again| self.head.seq < *again) {
            return Ok(None);
        }
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
