//! Group commit: one fsync, then the acks and pushes that it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::EnvelopeId;
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::{Now, UnixMillis};
use khlong_store::engine::Durability;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::tables::timelines;
use khlong_sync::replica::Arrival;
use khlong_sync::session::input::Input;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{AppendAnswer, AppendOutcome};

use super::{ConnectionId, Hub, HubFailure, is_fatal};

/// When to come back after a full disk: an operator has to act first.
const DISK_FULL_RETRY_MS: u32 = 30_000;
/// When to come back while the engine catches up.
const BUSY_RETRY_MS: u32 = 500;

/// An append that was decided and waits for the commit.
pub(super) struct Pending {
    pub(super) connection: ConnectionId,
    pub(super) request: u64,
    /// The same for all appends of a commit.
    pub(super) received_at: UnixMillis,
    pub(super) envelopes: Vec<VerifiedEnvelope>,
    pub(super) outcomes: Vec<AppendOutcome>,
    /// Of the envelopes stored: those that showed a fork.
    pub(super) forks: u64,
    /// Of the envelopes stored: those that opened a timeline.
    pub(super) opened: u64,
}

/// The answers to one connection, and what its receipt is over. The session bounds
/// them: no more appends than may be in flight.
#[derive(Default)]
struct Gathered {
    answers: Vec<AppendAnswer>,
    received_at: UnixMillis,
    kept: Vec<EnvelopeId>,
}

impl Gathered {
    fn add(&mut self, append: Pending) {
        let Pending {
            connection: _,
            request,
            received_at,
            envelopes,
            outcomes,
            forks: _,
            opened: _,
        } = append;
        let decided = envelopes.iter().zip(&outcomes);
        let kept = decided.filter(|(_, outcome)| outcome.is_kept());
        self.kept.extend(kept.map(|(envelope, _)| envelope.id()));
        self.received_at = received_at;
        self.answers.push(AppendAnswer { request, outcomes });
    }
}

impl Hub {
    /// Makes everything decided so far durable, with one fsync, and only then
    /// makes acks and live pushes. Without decisions it does nothing.
    ///
    /// A full disk, or an engine that must catch up, wrote nothing: the
    /// appends are refused with a time to come back, and the hub goes on.
    ///
    /// # Errors
    /// [`HubFailure::Commit`]: nobody gets an ack; drop the hub.
    pub fn commit(&mut self, now: Now) -> Result<(), HubFailure> {
        if self.pending.is_empty() && self.overlay.is_empty() {
            return Ok(());
        }
        let overlay = std::mem::take(&mut self.overlay);
        let pending = std::mem::take(&mut self.pending);
        let arrivals = std::mem::take(&mut self.arrivals);
        if !overlay.is_empty() {
            match self.store.commit_overlay(overlay, Durability::Synced) {
                Ok(_) => {
                    self.stats.commits += 1;
                    self.stats.disk_full = false;
                    self.sweep.committed(now, &mut self.stats);
                }
                Err(StoreError::Engine(EngineError::DiskFull { .. })) => {
                    self.stats.disk_full = true;
                    self.sweep.refused(now);
                    return self.refuse_all(now, pending, ErrorCode::DiskFull, DISK_FULL_RETRY_MS);
                }
                Err(StoreError::Engine(EngineError::Busy)) => {
                    self.sweep.refused(now);
                    return self.refuse_all(now, pending, ErrorCode::Busy, BUSY_RETRY_MS);
                }
                // Mutant: the hub goes on as if the batch were on the disk.
                #[cfg(khlong_mutant = "commit-failure")]
                Err(_) => {}
                #[cfg(not(khlong_mutant = "commit-failure"))]
                Err(error) => return Err(HubFailure::Commit(error)),
            }
        }
        for append in &pending {
            self.stats.forks_seen += append.forks;
            self.stats.timelines_opened += append.opened;
        }
        self.acknowledge(now, pending)?;
        self.fan_out(now, arrivals)?;
        self.settle(now)
    }

    /// One ack with one signature for each connection, however many appends it made.
    fn acknowledge(&mut self, now: Now, pending: Vec<Pending>) -> Result<(), HubFailure> {
        let identity = self.store.identity();
        let mut acks: BTreeMap<ConnectionId, Gathered> = BTreeMap::new();
        for append in pending {
            self.count(&append);
            acks.entry(append.connection).or_default().add(append);
        }
        for (connection, ack) in acks {
            let Gathered {
                answers,
                received_at,
                kept,
            } = ack;
            let receipt = (!kept.is_empty()).then(|| {
                StoredReceipt::sign(&self.key, identity.log, identity.epoch, received_at, &kept)
            });
            self.stats.acks += 1;
            self.step(now, connection, Input::Acknowledge { answers, receipt })?;
        }
        Ok(())
    }

    fn count(&mut self, append: &Pending) {
        for (envelope, outcome) in append.envelopes.iter().zip(&append.outcomes) {
            match outcome {
                AppendOutcome::Stored { .. } => {
                    self.stats.envelopes_stored += 1;
                    self.stats.envelope_bytes_stored += envelope.bytes().len() as u64;
                }
                AppendOutcome::Duplicate { .. } => self.stats.envelopes_duplicate += 1,
                AppendOutcome::Refused { code, .. } => self.stats.refuse(*code),
            }
        }
    }

    /// Shows what is new to everybody who watches it.
    fn fan_out(&mut self, now: Now, arrivals: Vec<Arrival>) -> Result<(), HubFailure> {
        let mut watching = BTreeSet::new();
        for arrival in &arrivals {
            if let Some(ids) = self.watchers.get(&arrival.envelope.prefix().timeline) {
                self.stats.arrivals_fanned_out += ids.len() as u64;
                watching.extend(ids.iter().copied());
            }
        }
        let arrivals: Arc<[Arrival]> = arrivals.into();
        for id in watching {
            self.step(now, id, Input::Advanced(Arc::clone(&arrivals)))?;
        }
        Ok(())
    }

    /// Nothing was written: what would have been stored is refused. What was
    /// here before this batch is still a duplicate.
    fn refuse_all(
        &mut self,
        now: Now,
        pending: Vec<Pending>,
        code: ErrorCode,
        retry_after_ms: u32,
    ) -> Result<(), HubFailure> {
        let refused = AppendOutcome::Refused {
            code,
            retry_after_ms: Some(retry_after_ms),
        };
        let mut answers = Vec::with_capacity(pending.len());
        for mut append in pending {
            for (envelope, outcome) in append.envelopes.iter().zip(&mut append.outcomes) {
                *outcome = match *outcome {
                    AppendOutcome::Refused {
                        code,
                        retry_after_ms,
                    } => AppendOutcome::Refused {
                        code,
                        retry_after_ms,
                    },
                    AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => {
                        match timelines::get(&self.store, &envelope.id()) {
                            Ok(Some(stored)) => AppendOutcome::Duplicate {
                                arrival: stored.arrival,
                            },
                            Ok(None) => refused,
                            Err(error) if is_fatal(&error) => return Err(HubFailure::Read(error)),
                            Err(_) => refused,
                        }
                    }
                };
            }
            answers.push(append);
        }
        self.acknowledge(now, answers)?;
        self.settle(now)
    }
}
