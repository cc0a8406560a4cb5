//! What becomes of an appended envelope: propose, then apply into the open batch.

use std::sync::Arc;

use khlong_crdt::admission::{self as crdt_admission, AdmissionError, AuthBody, Rights};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::id::Seq;
use khlong_crdt::time::{Now, UnixMillis};
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::tables::admission::{self, AdmissionLog};
use khlong_store::tables::{quotas, timelines};
use khlong_sync::limits::{APPEND_BYTES_MAX, APPEND_ENVELOPES_MAX};
use khlong_sync::replica::Arrival;
use khlong_sync::session::input::Input;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;

use super::commit::Pending;
use super::policy::{
    AUTH_OPS_OF_MEMBERS_MAX, AUTH_OPS_PER_MEMBER_MAX, AUTH_OPS_PER_TIMELINE_MAX,
    CONTROL_RESERVE_BYTES, Opening, Policy,
};
use super::{ConnectionId, Hub, HubFailure, is_fatal};

/// Index rows, heads, counters and admission of one envelope in a batch, at most.
const ROW_BYTES_MAX: usize = 2 * 1024;

const _: () = assert!(APPEND_BYTES_MAX + APPEND_ENVELOPES_MAX * ROW_BYTES_MAX <= BATCH_BYTES_MAX);

/// What an envelope became, before the commit.
struct Decision {
    outcome: AppendOutcome,
    forked: bool,
    opened: bool,
}

/// Why something is refused, and when it may be tried again, if that is known.
#[derive(Clone, Copy)]
struct Refusal {
    code: ErrorCode,
    retry_after_ms: Option<u32>,
}

impl Refusal {
    const fn of(code: ErrorCode) -> Self {
        Self {
            code,
            retry_after_ms: None,
        }
    }
}

impl Decision {
    fn refused(code: ErrorCode) -> Self {
        Self::refused_by(Refusal::of(code))
    }

    fn refused_by(refusal: Refusal) -> Self {
        Self {
            outcome: AppendOutcome::Refused {
                code: refusal.code,
                retry_after_ms: refusal.retry_after_ms,
            },
            forked: false,
            opened: false,
        }
    }
}

impl Hub {
    /// The cheap checks of a whole request; then each envelope is decided.
    pub(super) fn propose(
        &mut self,
        now: Now,
        id: ConnectionId,
        request: u64,
        envelopes: Vec<VerifiedEnvelope>,
    ) -> Result<(), HubFailure> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let taken =
            connection
                .allowance
                .take(self.policy.write_rate, now.monotonic, envelopes.len());
        if let Err(retry_after_ms) = taken {
            self.stats.refuse(ErrorCode::RateLimited);
            let message = "this connection appends faster than the relay allows".to_owned();
            let retry_after_ms = Some(retry_after_ms);
            return self.step(
                now,
                id,
                Input::Refuse {
                    request,
                    code: ErrorCode::RateLimited,
                    message,
                    retry_after_ms,
                },
            );
        }
        let bytes: usize = envelopes
            .iter()
            .map(|envelope| envelope.bytes().len() + ROW_BYTES_MAX)
            .sum();
        if self.overlay.bytes() + bytes > BATCH_BYTES_MAX {
            self.commit(now)?;
        }
        self.apply(now, id, request, envelopes)
    }

    /// Whether this connection may open one timeline more: by the operator's policy, and by
    /// what it and its network have opened.
    fn may_open(&self, now: Now, id: ConnectionId) -> Result<(), Refusal> {
        let rate = self.policy.opening_rate;
        let Some(connection) = self.connections.get(&id).filter(|it| it.may_open) else {
            return Err(Refusal::of(ErrorCode::OpeningRefused));
        };
        if connection.opened >= rate.per_connection {
            return Err(Refusal::of(ErrorCode::QuotaExceeded));
        }
        let Some(network) = connection.network else {
            return Ok(());
        };
        self.openings
            .check(rate, now.monotonic, network)
            .map_err(|retry_after_ms| Refusal {
                code: ErrorCode::QuotaExceeded,
                retry_after_ms: Some(retry_after_ms),
            })
    }

    fn count_opening(&mut self, now: Now, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.opened = connection.opened.saturating_add(1);
        if let Some(network) = connection.network {
            let rate = self.policy.opening_rate;
            self.openings.take(rate, now.monotonic, network);
        }
    }

    /// The decision: duplicates, admission, quotas, forks, order.
    fn apply(
        &mut self,
        now: Now,
        connection: ConnectionId,
        request: u64,
        envelopes: Vec<VerifiedEnvelope>,
    ) -> Result<(), HubFailure> {
        // One date for a commit, since one receipt says it of all that a connection appended.
        let begun = self.pending.first().map(|append| append.received_at);
        let received_at = begun.unwrap_or(now.wall);
        let mut overlay = std::mem::take(&mut self.overlay);
        let mut outcomes = Vec::with_capacity(envelopes.len());
        let (mut forks, mut opened) = (0, 0);
        for envelope in &envelopes {
            let may_open = self.may_open(now, connection);
            let mut batch = self.store.batch_on(overlay);
            // Whatever an error cuts short is undone: half an envelope would be a duplicate next time.
            let decided = batch
                .atomically(|batch| decide(batch, &self.policy, envelope, received_at, may_open));
            let decision = match decided {
                Ok(decision) => decision,
                Err(error) if is_fatal(&error) => return Err(HubFailure::Read(error)),
                Err(error) => {
                    // One bad row must not stop the others; the client keeps the envelope.
                    tracing::error!(%error, "an envelope cannot be decided");
                    Decision::refused(ErrorCode::Internal)
                }
            };
            overlay = batch.into_overlay();
            forks += u64::from(decision.forked);
            opened += u64::from(decision.opened);
            if decision.opened {
                self.count_opening(now, connection);
            }
            if let AppendOutcome::Stored { arrival } = decision.outcome {
                self.arrivals.push(Arrival {
                    arrival,
                    received_at,
                    envelope: envelope.clone(),
                });
            }
            outcomes.push(decision.outcome);
        }
        self.overlay = overlay;
        self.pending.push(Pending {
            connection,
            request,
            received_at,
            envelopes,
            outcomes,
            forks,
            opened,
        });
        Ok(())
    }
}

fn decide(
    batch: &mut Batch<'_>,
    policy: &Policy,
    envelope: &VerifiedEnvelope,
    received_at: UnixMillis,
    may_open: Result<(), Refusal>,
) -> Result<Decision, StoreError> {
    // Also of what retention has pruned: a body that expired does not come back.
    if let Some(stored) = timelines::get(batch, &envelope.id())? {
        let outcome = AppendOutcome::Duplicate {
            arrival: stored.arrival,
        };
        return Ok(Decision {
            outcome,
            forked: false,
            opened: false,
        });
    }
    if envelope.body().is_none() {
        // A header alone would take the place of the real thing for ever.
        return Ok(Decision::refused(ErrorCode::InvalidEnvelope));
    }
    let prefix = envelope.prefix();
    let known = batch.admission(&prefix.timeline)?;
    let is_new = known.is_none();
    let admitted = match known {
        None if !is_genesis(envelope) => Err(ErrorCode::UnknownTimeline),
        None => match may_open {
            Err(refusal) => return Ok(Decision::refused_by(refusal)),
            Ok(()) => AdmissionLog::open(envelope)
                .map(Some)
                .map_err(|error| code_of(&error)),
        },
        Some(log) if prefix.kind == Kind::AuthOp => auth_op(&log, envelope, received_at).map(Some),
        Some(log) => log
            .admission()
            .admits(envelope.header(), received_at)
            .map(|_| None)
            .map_err(code_of_refusal),
    };
    let after = match admitted {
        Ok(after) => after.map(Arc::new),
        Err(code) => return Ok(Decision::refused(code)),
    };
    if is_over_quota(batch, policy, envelope)? {
        return Ok(Decision::refused(ErrorCode::QuotaExceeded));
    }
    store(batch, envelope, received_at, after, is_new)
}

/// The admission with this auth-op: judged by it, and by what a relay keeps of them. Each
/// one is read at every start and never goes, so those that say nothing are refused, and
/// who may not grant writes few.
fn auth_op(
    log: &AdmissionLog,
    envelope: &VerifiedEnvelope,
    received_at: UnixMillis,
) -> Result<AdmissionLog, ErrorCode> {
    let before = log.admission();
    let after = log
        .with(envelope, received_at)
        .map_err(|error| code_of(&error))?;
    if after.admission() == before && !has_sealed_part(envelope) {
        return Err(ErrorCode::InvalidEnvelope);
    }
    let author = envelope.author();
    let is_admin = [before, after.admission()]
        .iter()
        .any(|admission| admission.judge(&author, Rights::ADMIN, received_at).is_ok());
    let (most, writers_most) = if is_admin {
        (AUTH_OPS_PER_TIMELINE_MAX, usize::MAX)
    } else {
        (AUTH_OPS_OF_MEMBERS_MAX, AUTH_OPS_PER_MEMBER_MAX)
    };
    let writer = after.admission().principal_of(&author);
    let written = writer.map_or(0, |writer| after.written_by(&writer));
    if after.length() > most || written > writers_most {
        return Err(ErrorCode::LimitExceeded);
    }
    Ok(after)
}

/// Whether members read more in it than a relay can.
fn has_sealed_part(envelope: &VerifiedEnvelope) -> bool {
    let body = envelope.body().map(AuthBody::decode);
    body.is_some_and(|body| body.is_ok_and(|body| !body.sealed.is_empty()))
}

fn store(
    batch: &mut Batch<'_>,
    envelope: &VerifiedEnvelope,
    received_at: UnixMillis,
    after: Option<Arc<AdmissionLog>>,
    opened: bool,
) -> Result<Decision, StoreError> {
    let prefix = envelope.prefix();
    match timelines::append(batch, envelope, received_at)? {
        timelines::Appended::Stored { arrival, forked } => {
            let more = quotas::Use {
                bytes: envelope.bytes().len() as u64,
                count: 1,
            };
            quotas::store_in(batch, &prefix.timeline, more)?;
            if let Some(after) = after {
                admission::record_applied(batch, arrival, &envelope.id(), after)?;
            }
            Ok(Decision {
                outcome: AppendOutcome::Stored { arrival },
                forked,
                opened,
            })
        }
        timelines::Appended::Duplicate { arrival } | timelines::Appended::Restored { arrival } => {
            Ok(Decision {
                outcome: AppendOutcome::Duplicate { arrival },
                forked: false,
                opened: false,
            })
        }
        timelines::Appended::ThirdFork => Ok(Decision::refused(ErrorCode::ForkEvidenceFull)),
    }
}

fn is_over_quota(
    batch: &Batch<'_>,
    policy: &Policy,
    envelope: &VerifiedEnvelope,
) -> Result<bool, StoreError> {
    let timeline = envelope.prefix().timeline;
    let stored = quotas::get(batch, quotas::Scope::Timeline, timeline.as_bytes())?;
    let bytes = envelope.bytes().len() as u64;
    let reserve = if envelope.class() == Class::Control {
        CONTROL_RESERVE_BYTES
    } else {
        0
    };
    let quota = policy.timeline_quota_bytes.saturating_add(reserve);
    if stored.bytes.saturating_add(bytes) > quota {
        return Ok(true);
    }
    if policy.opening != Opening::Open {
        return Ok(false);
    }
    // A new timeline has no reserve: it has no members yet who could be removed.
    let is_new = stored.count == 0;
    let reserve = if is_new { 0 } else { reserve };
    let quota = policy.open_quota_bytes.saturating_add(reserve);
    let all = quotas::of_everybody(batch)?;
    Ok(all.bytes.saturating_add(bytes) > quota)
}

fn is_genesis(envelope: &VerifiedEnvelope) -> bool {
    let prefix = envelope.prefix();
    prefix.kind == Kind::AuthOp
        && prefix.seq == Seq(1)
        && prefix.author.as_bytes() == prefix.timeline.as_bytes()
}

fn code_of(error: &AdmissionError) -> ErrorCode {
    match error {
        AdmissionError::Refused(refusal) => code_of_refusal(*refusal),
        AdmissionError::Senior(_) => ErrorCode::NotAdmitted,
        AdmissionError::AlreadyHandedOver(_) => ErrorCode::AlreadyHandedOver,
        AdmissionError::Full { .. } | AdmissionError::TooManyAuthors(_) => ErrorCode::LimitExceeded,
        AdmissionError::Truncated
        | AdmissionError::Malformed
        | AdmissionError::UnknownOp(_)
        | AdmissionError::UnknownValue
        | AdmissionError::TooManyOps(_)
        | AdmissionError::TooManyCuts(_)
        | AdmissionError::NotGenesis
        | AdmissionError::SecondGenesis
        | AdmissionError::Pruned
        | AdmissionError::OtherTimeline
        | AdmissionError::NotAuthOp
        | AdmissionError::Introduction
        | AdmissionError::BadCertificate
        | AdmissionError::AuthorTaken(_) => ErrorCode::InvalidEnvelope,
    }
}

fn code_of_refusal(refusal: crdt_admission::Refusal) -> ErrorCode {
    match refusal {
        crdt_admission::Refusal::UnknownAuthor
        | crdt_admission::Refusal::NotGranted
        | crdt_admission::Refusal::Revoked
        | crdt_admission::Refusal::Expired
        | crdt_admission::Refusal::MissingRight
        | crdt_admission::Refusal::OneUse => ErrorCode::NotAdmitted,
    }
}
