//! Whether an auth-op that was recorded counts, and still fits the tables.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Admission, AdmissionError, ClearOp, Refusal, Rights,
    absorb::Incoming,
    ledger::{Place, Standing},
};
use crate::{
    id::PrincipalKey,
    limits::{ADMISSION_OPS_MAX, GRANTS_PER_PRINCIPAL_MAX, PRINCIPALS_MAX},
};

impl Admission {
    /// A member's check: every op must be granted. Whether a revocation counts is for
    /// [`super::ledger::Ledger::settle`] to say each time anew. How many grants a principal
    /// has is not asked: which came first must not matter, and all ops are bounded.
    pub(super) fn check_granted(
        &self,
        incoming: &Incoming<'_>,
        ops: &[ClearOp],
        granted: &BTreeMap<PrincipalKey, Standing>,
    ) -> Result<(), AdmissionError> {
        let nobody = Standing::default();
        let writer = granted.get(&incoming.writer).unwrap_or(&nobody);
        let may = |right| {
            writer
                .permits(right, incoming.received_at)
                .map_err(AdmissionError::Refused)
        };
        self.ledger
            .check_author(granted, &incoming.envelope.author())
            .map_err(AdmissionError::Refused)?;
        for op in ops {
            match op {
                ClearOp::Grant { .. } | ClearOp::Revoke { .. } => may(Rights::ADMIN)?,
                ClearOp::Genesis { .. }
                | ClearOp::Author { .. }
                | ClearOp::Inbox { .. }
                | ClearOp::Handover { .. } => {}
            }
        }
        may(Rights::NONE)
    }

    /// Every op must count (a handover by way of its author), and the writer must be somebody, at the latest by its own ops.
    pub(super) fn check(
        &self,
        incoming: &Incoming<'_>,
        ops: &[ClearOp],
        standing: &BTreeMap<PrincipalKey, Standing>,
        effective: &BTreeSet<Place>,
    ) -> Result<(), AdmissionError> {
        let envelope = incoming.envelope;
        let nobody = Standing::default();
        let writer = standing.get(&incoming.writer).unwrap_or(&nobody);
        self.ledger
            .check_author(standing, &envelope.author())
            .map_err(AdmissionError::Refused)?;
        for (index, op) in ops.iter().enumerate() {
            match op {
                ClearOp::Grant { principal, .. } => {
                    if !effective.contains(&incoming.place(index)) {
                        return Err(incoming.why_void(writer, *principal));
                    }
                    check_grants(standing, principal)?;
                }
                // However many grants there are: they must not keep anybody in.
                ClearOp::Revoke { principal, .. } => {
                    if !effective.contains(&incoming.place(index)) {
                        return Err(incoming.why_void(writer, *principal));
                    }
                }
                ClearOp::Handover { to, .. } => check_grants(standing, to)?,
                ClearOp::Genesis { .. } | ClearOp::Author { .. } | ClearOp::Inbox { .. } => {}
            }
        }
        if !writer.covers(&envelope.author(), envelope.seq(), &envelope.id()) {
            return resigned(ops, incoming.writer);
        }
        writer
            .permits(Rights::NONE, incoming.received_at)
            .map_err(AdmissionError::Refused)
    }

    pub(super) fn check_tables(
        &self,
        standing: &BTreeMap<PrincipalKey, Standing>,
    ) -> Result<(), AdmissionError> {
        let everybody: BTreeSet<_> = standing.keys().chain(self.authors.values()).collect();
        full("principals", everybody.len(), PRINCIPALS_MAX)?;
        full("admission ops", self.ledger.len(), ADMISSION_OPS_MAX)
    }
}

impl Incoming<'_> {
    fn why_void(&self, writer: &Standing, target: PrincipalKey) -> AdmissionError {
        let envelope = self.envelope;
        if !writer.covers(&envelope.author(), envelope.seq(), &envelope.id()) {
            return AdmissionError::Refused(Refusal::Revoked);
        }
        match writer.permits(Rights::ADMIN, self.received_at) {
            Err(refusal) => AdmissionError::Refused(refusal),
            Ok(()) => AdmissionError::Senior(target),
        }
    }
}

/// A resignation lies beyond its own cut, and counts all the same.
fn resigned(ops: &[ClearOp], writer: PrincipalKey) -> Result<(), AdmissionError> {
    let only_resigns = ops
        .iter()
        .all(|op| matches!(op, ClearOp::Revoke { principal, .. } if *principal == writer));
    if only_resigns {
        Ok(())
    } else {
        Err(AdmissionError::Refused(Refusal::Revoked))
    }
}

fn check_grants(
    standing: &BTreeMap<PrincipalKey, Standing>,
    principal: &PrincipalKey,
) -> Result<(), AdmissionError> {
    let grants = standing.get(principal).map_or(0, Standing::grant_count);
    full("grants of one principal", grants, GRANTS_PER_PRINCIPAL_MAX)
}

fn full(what: &'static str, count: usize, limit: usize) -> Result<(), AdmissionError> {
    if count > limit {
        return Err(AdmissionError::Full { what, limit });
    }
    Ok(())
}
