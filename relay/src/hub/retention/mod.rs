//! Retention: bodies that have expired go, a bounded piece of work at a time.
//!
//! Header, signature and every row of an envelope stay, so cursors, counts and
//! chains do. The rules, and why a change waits for its whole timeline, are in
//! `crdt/ENVELOPE.md` §2; the rows in `store/KEYSPACE.md`.
//!
//! Once an hour a *round* goes over what there is, in turns with a pause between
//! them. A turn notes what has arrived, drops receipts that are due, then goes on
//! through the timelines. Its writes are one batch, committed with what else the hub
//! decides; all that a round must not forget is in them, so a hub that is built anew
//! begins another round and loses nothing but the pause.

mod clock;
mod turn;

use khlong_crdt::id::TimelineId;
use khlong_crdt::time::{Monotonic, Now};
use khlong_store::batch::Batch;
use khlong_store::error::{EngineError, StoreError};

use self::clock::ExpiryClock;
use self::turn::Turn;
pub use self::turn::{TURN_ENVELOPES_MAX, TURN_TIMELINES_MAX};
use super::policy::Retention;
use super::stats::HubStats;
use super::{Hub, HubFailure, is_fatal};

/// From the start of one round to the next.
pub const ROUND_EVERY_MS: u64 = 60 * 60 * 1000;
/// Between two turns of a round: appends and readers go first.
const TURN_PAUSE_MS: u64 = 20;
/// A relay that has just started serves first. A disk that fails under the sweep
/// then costs a restart a minute, not one after another.
const FIRST_ROUND_AFTER_MS: u64 = 60 * 1000;
/// When to try again after a turn that could not be committed.
const REFUSED_RETRY_MS: u64 = 30 * 1000;

/// Where the sweep is. Between two rounds it remembers nothing.
#[derive(Debug)]
pub(super) struct Sweep {
    /// When to go on; `None` once the hub shuts down.
    due: Option<Monotonic>,
    started: bool,
    round_began: Option<Monotonic>,
    /// The last timeline that this round is done with.
    after: Option<TimelineId>,
    /// A turn whose writes wait for their commit.
    uncommitted: Option<Turn>,
    clock: ExpiryClock,
}

impl Sweep {
    pub(super) fn new() -> Self {
        Self {
            due: Some(Monotonic(0)),
            started: false,
            round_began: None,
            after: None,
            uncommitted: None,
            clock: ExpiryClock::default(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.due
    }

    pub(super) fn stop(&mut self) {
        self.due = None;
    }

    /// What the last turn wrote is durable (or it wrote nothing): it counts.
    pub(super) fn committed(&mut self, now: Now, stats: &mut HubStats) {
        let Some(turn) = self.uncommitted.take() else {
            return;
        };
        stats.bodies_pruned += turn.bodies;
        stats.body_bytes_pruned += turn.bytes;
        stats.retention_rows_damaged += turn.damaged;
        if !turn.finished {
            self.after = turn.after;
            return;
        }
        stats.retention_rounds += 1;
        let began = self.round_began.take().unwrap_or(now.monotonic);
        self.after = None;
        self.go_on_at(began.after_ms(ROUND_EVERY_MS));
    }

    /// What the last turn wrote was refused: the round goes on where it was before.
    pub(super) fn refused(&mut self, now: Now) {
        if self.uncommitted.take().is_some() {
            self.go_on_at(now.monotonic.after_ms(REFUSED_RETRY_MS));
        }
    }

    /// Gives this round up; the next one begins anew.
    fn give_up(&mut self, now: Now) {
        self.round_began = None;
        self.after = None;
        self.go_on_at(now.monotonic.after_ms(ROUND_EVERY_MS));
    }

    fn turn(
        &mut self,
        now: Now,
        policy: &Retention,
        batch: &mut Batch<'_>,
    ) -> Result<Turn, StoreError> {
        turn::run(batch, policy, self.clock.date(now), self.after)
    }

    fn is_due(&self, now: Now) -> bool {
        self.due.is_some_and(|due| due <= now.monotonic)
    }

    fn go_on_at(&mut self, at: Monotonic) {
        if self.due.is_some() {
            self.due = Some(at);
        }
    }
}

impl Hub {
    /// One turn of the sweep, if it is due.
    pub(super) fn sweep(&mut self, now: Now) -> Result<(), HubFailure> {
        if !self.sweep.is_due(now) {
            return Ok(());
        }
        if !self.sweep.started {
            self.sweep.started = true;
            let first = now.monotonic.after_ms(FIRST_ROUND_AFTER_MS);
            self.sweep.go_on_at(first);
            return Ok(());
        }
        // A turn begins with an empty batch, so that it can be dropped alone if it fails.
        self.commit(now)?;
        if !self.sweep.is_due(now) {
            return Ok(());
        }
        self.sweep.round_began.get_or_insert(now.monotonic);
        self.sweep.go_on_at(now.monotonic.after_ms(TURN_PAUSE_MS));
        let mut batch = self.store.batch();
        match self.sweep.turn(now, &self.policy.retention, &mut batch) {
            Ok(turn) => {
                self.overlay = batch.into_overlay();
                self.sweep.uncommitted = Some(turn);
                if self.overlay.is_empty() {
                    self.sweep.committed(now, &mut self.stats);
                }
                Ok(())
            }
            Err(error) if is_fatal(&error) && !is_damage(&error) => Err(HubFailure::Read(error)),
            Err(error) => {
                tracing::error!(%error, "this round of retention ends early");
                self.stats.retention_rows_damaged += 1;
                self.sweep.give_up(now);
                Ok(())
            }
        }
    }
}

/// Bytes that are not what they were, of one row or of one of the engine's blocks.
fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Corrupt { .. } | StoreError::Engine(EngineError::Corrupt { .. })
    )
}
