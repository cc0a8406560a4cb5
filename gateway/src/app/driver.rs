//! The thread that owns the kernel: drain, apply, commit once, release, read.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use khlong_crdt::time::{Monotonic, UnixMillis};
use khlong_store::journal::JournalError;

use super::answers::{answer, refusal};
use super::clock::DriverClock;
use super::handle::{AskError, Asked, Committed, Handle, Input, Job, State};
use super::limits::{
    BATCH_INPUTS_MAX, COMMIT_PAUSE, COMMIT_WITHIN, DISK_HEADROOM_BYTES, DISK_LOOK_EVERY,
    FOLLOW_EVERY, TICK_EVERY,
};
use super::measure::Measure;
use super::pauses::{Pauses, after};
use crate::kernel::{
    Kernel, KernelError, OVERDUE_AGAIN_ENTRIES, Outcome, OwnRejection, Proposal, Ticket,
};
use crate::metrics::{CommandOutcome, OVERDUE};

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Next,
    Last,
}

pub(super) struct Driver {
    pub(super) kernel: Kernel,
    pub(super) queued: Receiver<Input>,
    pub(super) clock: DriverClock,
    /// Below so much free space commands are refused.
    pub(super) reserve_bytes: u64,
    /// How long idempotency keys are kept.
    pub(super) keep_keys: Duration,
    /// Where it is told whether writes are taken.
    pub(super) handle: Handle,
    /// Whether another gateway may be the one that serves: the last entry is not this one's, in
    /// a journal that is shared.
    pub(super) follows: bool,
    /// How long one that follows leaves what is due to the others.
    pub(super) follower_waits: Duration,
    /// When it was made.
    pub(super) began: Monotonic,
}

/// What the loop remembers between two turns. Moments are those of the driver's clock.
pub(super) struct Due {
    pub(super) evict: Monotonic,
    disk_look: Monotonic,
    pub(super) is_disk_full: bool,
    /// Of which domain the driver asks nothing yet.
    pub(super) pauses: Pauses,
    /// The driver's own commands that are not committed, with their domains.
    pub(super) own: BTreeMap<Ticket, u8>,
    /// Writes before which more was due than two commits hold, in the order in which they came: at most
    /// [`BATCH_INPUTS_MAX`], as so many fewer are taken from the queue.
    put_off: Vec<Asked>,
    /// Entries of the kernel's own that were rejected, and are not committed.
    own_rejected: u64,
    /// When the journal is asked again what others appended, though nobody reads.
    follow: Monotonic,
    pub(super) measure: Measure,
}

impl Driver {
    /// Until it is told to stop.
    ///
    /// # Errors
    /// What stopped the kernel; whoever waits hears [`AskError::Stopped`].
    pub(super) fn run(mut self) -> Result<(), KernelError> {
        let (metrics, head) = (Arc::clone(self.handle.metrics()), self.kernel.head().seq);
        let mut due = Due {
            evict: self.began,
            disk_look: self.began,
            is_disk_full: false,
            pauses: Pauses::default(),
            own: BTreeMap::new(),
            put_off: Vec::new(),
            own_rejected: 0,
            follow: self.began,
            measure: Measure::new(metrics, head, self.began),
        };
        due.measure
            .publish(&self.kernel, self.began, self.follows, due.is_disk_full);
        let mut turn = Turn::Next;
        loop {
            let mut inputs = Vec::new();
            // Once it is to stop only what it has put off is done.
            let room = match turn {
                Turn::Next => BATCH_INPUTS_MAX.saturating_sub(due.put_off.len()),
                Turn::Last => 0,
            };
            if room > 0 {
                match self.queued.recv_timeout(self.wait(&due)?) {
                    Ok(first) => {
                        inputs.push(first);
                        inputs.extend(self.queued.try_iter().take(room - 1));
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) if due.put_off.is_empty() => return Ok(()),
                    Err(RecvTimeoutError::Disconnected) => turn = Turn::Last,
                }
            }
            inputs.iter().for_each(|_| self.handle.metrics().dequeue());
            let mut jobs = Vec::new();
            let done = self.turn(inputs, &mut jobs, &mut due);
            if done.is_err() {
                // Before the reads that wait are dropped: they hear why.
                self.handle.set_state(State::Stopping);
            }
            if done? == Turn::Last {
                turn = Turn::Last;
            }
            if turn == Turn::Last && due.put_off.is_empty() {
                return Ok(());
            }
        }
    }

    pub(super) fn monotonic(&self) -> Monotonic {
        (self.clock)().monotonic
    }

    /// Until something is due, and not longer than the clock may go unread.
    fn wait(&self, due: &Due) -> Result<Duration, KernelError> {
        let now = (self.clock)();
        if !due.put_off.is_empty() {
            return Ok(Duration::ZERO);
        }
        let measure = due.measure.left(now.monotonic);
        if due.is_disk_full {
            return Ok(measure.min(DISK_LOOK_EVERY));
        }
        let wall = self.due_by(now);
        let mut least = measure.min(TICK_EVERY);
        for (domain, at) in self.kernel.deadlines()? {
            let millis = u64::try_from(at.0.saturating_sub(wall.0)).unwrap_or(0);
            let wait = Duration::from_millis(millis).max(due.pauses.left(domain, now.monotonic));
            least = least.min(wait);
        }
        Ok(least)
    }

    /// Reads that were not answered stay in `jobs`.
    fn turn(
        &mut self,
        inputs: Vec<Input>,
        jobs: &mut Vec<Job>,
        due: &mut Due,
    ) -> Result<Turn, KernelError> {
        let now = (self.clock)();
        if due.disk_look <= now.monotonic {
            self.look_at_disk(due);
        }
        let mut waiting = BTreeMap::new();
        let mut writes = std::mem::take(&mut due.put_off);
        let mut turn = Turn::Next;
        for input in inputs {
            match input {
                Input::Write(asked) => writes.push(*asked),
                Input::Read(job) => jobs.push(job),
                Input::Stop => turn = Turn::Last,
            }
        }
        // One that waits behind another gateway would else decide on an old state, and be refused;
        // and whoever else waited may have done what is due.
        let is_to_act = self.follows && !self.kernel.due(self.due_by(now))?.is_empty();
        if is_to_act || due.follow <= now.monotonic {
            self.follow(due)?;
        }
        self.do_what_is_due(now, due)?;
        for asked in writes {
            self.apply(asked, now.wall, &mut waiting, due)?;
        }
        self.commit_and_release(&mut waiting, due)?;
        if !jobs.is_empty() {
            // Once for all of them: another gateway may have appended, and this one not know.
            self.follow(due)?;
            self.read(std::mem::take(jobs), now.wall);
        }
        due.measure
            .publish(&self.kernel, now.monotonic, self.follows, due.is_disk_full);
        Ok(turn)
    }

    fn follow(&mut self, due: &mut Due) -> Result<(), KernelError> {
        let known = self.kernel.head().seq;
        let mut reached = known;
        let mut until = after(self.monotonic(), COMMIT_WITHIN);
        while let Err(error) = self.kernel.follow() {
            // All else is no disk that put it off: it would be the same again, or has broken the kernel.
            if !matches!(error, KernelError::Journal(JournalError::NotKept(_))) {
                return Err(error);
            }
            // The minute is that of one commit: a long way has many.
            let head = self.kernel.head().seq;
            if head != reached {
                reached = head;
                until = after(self.monotonic(), COMMIT_WITHIN);
            }
            self.pause(error, until, due)?;
        }
        due.follow = after(self.monotonic(), FOLLOW_EVERY);
        let head = self.kernel.head().seq;
        if head != known {
            self.follows = true;
            due.measure.followed(head);
            self.handle.others_appended(self.monotonic());
            tracing::info!(entry = head.0, "another gateway's entries were applied");
        }
        Ok(())
    }

    fn look_at_disk(&self, due: &mut Due) {
        let least = self.reserve_bytes.saturating_add(DISK_HEADROOM_BYTES);
        due.is_disk_full = self.kernel.store().stats().free_bytes < least;
        due.disk_look = after(self.monotonic(), DISK_LOOK_EVERY);
        self.handle.set_disk_full(due.is_disk_full);
    }

    fn apply(
        &mut self,
        mut asked: Asked,
        now: UnixMillis,
        waiting: &mut BTreeMap<Ticket, Asked>,
        due: &mut Due,
    ) -> Result<(), KernelError> {
        if due.is_disk_full {
            return self.answer_known(asked, due);
        }
        if !due.put_off.is_empty() {
            // In the order in which they came.
            due.put_off.push(asked);
            return Ok(());
        }
        asked.command.admitted_at = now;
        let before = self.kernel.head().seq;
        let mut applied = self.kernel.apply(&asked.command);
        let mut rejected = self.tell_own_rejections(due);
        if matches!(applied, Err(KernelError::GroupFull)) {
            self.commit_and_release(waiting, due)?;
            self.look_at_disk(due);
            if due.is_disk_full {
                return self.answer_known(asked, due);
            }
            let again = self.kernel.head().seq;
            applied = self.kernel.apply(&asked.command);
            rejected += self.tell_own_rejections(due);
            if matches!(applied, Err(KernelError::GroupFull)) && self.kernel.head().seq > again {
                // A whole commit of what is due before it, and more of that: reads come between.
                let entries = self.kernel.head().seq.0.saturating_sub(before.0 + rejected);
                due.measure.overdue(entries);
                due.put_off.push(asked);
                return Ok(());
            }
        }
        match applied {
            Ok(ticket) => {
                let entries = self.kernel.head().seq.0.saturating_sub(before.0 + rejected);
                due.measure.applied(ticket, &asked.command, entries);
                waiting.insert(ticket, asked);
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                due.measure.refused(&asked.command);
                answer(asked, Err(refusal(&error)));
            }
        }
        Ok(())
    }

    /// Takes nothing new; what stands in the journal is answered, or the retry of a payment
    /// that happened would look like one that did not. All that was applied is committed.
    fn answer_known(&self, asked: Asked, due: &Due) -> Result<(), KernelError> {
        let with = match self.kernel.propose(&asked.command) {
            Ok(Proposal::Known(decided)) => Ok(decided),
            Ok(Proposal::Admitted) => Err(AskError::DiskFull),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => Err(refusal(&error)),
        };
        if with.is_ok() {
            due.measure.known(&asked.command);
        } else {
            due.measure.refused(&asked.command);
        }
        answer(asked, with);
        Ok(())
    }

    /// One sync for all. A commit that wrote nothing is tried again for a while, so that a
    /// short stall of the disk costs nobody an answer.
    fn commit_and_release(
        &mut self,
        waiting: &mut BTreeMap<Ticket, Asked>,
        due: &mut Due,
    ) -> Result<(), KernelError> {
        let until = after(self.monotonic(), COMMIT_WITHIN);
        loop {
            let began = self.monotonic();
            match self.kernel.commit() {
                Ok(None) => break,
                Ok(Some(_)) => {
                    self.follows = false;
                    self.handle.appended();
                    let took = Duration::from_micros(self.monotonic().since_micros(began));
                    due.measure.committed(self.kernel.head().seq, took);
                    let rejected = std::mem::take(&mut due.own_rejected);
                    let outcome = CommandOutcome::Rejected;
                    let metrics = self.handle.metrics();
                    metrics.count_command(OVERDUE, outcome, rejected);
                    break;
                }
                Err(error) => self.pause(error, until, due)?,
            }
        }
        for output in self.kernel.release() {
            due.measure.released(output.ticket, &output.decided);
            if let Some(asked) = waiting.remove(&output.ticket) {
                answer(asked, Ok(output.decided));
            } else if let Some(domain) = due.own.remove(&output.ticket) {
                match output.decided.outcome() {
                    Some(Outcome::Done(_)) => due.pauses.done(domain),
                    Some(Outcome::Rejected(_)) | None => {
                        let entry = output.decided.seq.0;
                        let pause = due.pauses.rejected(domain, self.monotonic());
                        tracing::error!(
                            entry,
                            domain,
                            ?pause,
                            "what is due was rejected; report it, it is tried again after a pause"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Between two tries of a commit that the disk put off. Its journal may have it, if that lies
    /// elsewhere; nobody is answered before the store has it too.
    fn pause(
        &self,
        error: KernelError,
        until: Monotonic,
        due: &mut Due,
    ) -> Result<(), KernelError> {
        if error.is_fatal() || until <= self.monotonic() {
            return Err(error);
        }
        due.measure.retried();
        tracing::warn!(%error, "a commit wrote nothing and is tried again");
        std::thread::sleep(COMMIT_PAUSE);
        Ok(())
    }

    /// What the kernel let happen by itself, and a domain rejected: nobody asked for it, so nobody
    /// else tells. Returns how many entries those are.
    pub(super) fn tell_own_rejections(&mut self, due: &mut Due) -> u64 {
        let mut rejected = 0;
        for OwnRejection { domain, seq } in self.kernel.take_own_rejections() {
            rejected += 1;
            tracing::error!(
                entry = seq.0,
                domain,
                again_after_entries = OVERDUE_AGAIN_ENTRIES,
                "what is overdue was rejected; report it, it is tried again"
            );
        }
        due.own_rejected += rejected;
        rejected
    }

    fn read(&self, jobs: Vec<Job>, now: UnixMillis) {
        let committed = Committed {
            store: self.kernel.store(),
            head: self.kernel.head(),
            time: self.kernel.applied().time,
            now,
            follows: self.follows,
        };
        for job in jobs {
            // Whoever waits for it hears that it failed; the books are not touched by it.
            if catch_unwind(AssertUnwindSafe(|| job(&committed))).is_err() {
                tracing::error!("a read panicked; this is a bug");
            }
        }
    }
}
