//! Grants to principals of whom nothing is known: by far the most there are.
//!
//! Settling takes as long as there are ops, so n grants, each settled alone, would take n².
//! A grant to somebody whom no op names cannot alter what any other op amounts to, unless it
//! makes an admin; so its outcome is known, and nothing has to be copied or settled.

use std::collections::BTreeSet;

use super::{
    Admission, ClearOp, Rights,
    absorb::{Incoming, Judge},
    ledger::{Grant, Standing},
};
use crate::{
    envelope::VerifiedEnvelope,
    id::{PrincipalKey, Seq},
    limits::{ADMISSION_OPS_MAX, PRINCIPALS_MAX},
    time::UnixMillis,
};

impl Admission {
    /// Absorbs an auth-op of nothing but such grants, by an admin who surely is one. False
    /// if it is not that, or a table may be full: then nothing has changed.
    pub(super) fn absorb_newcomers(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
        ops: &[ClearOp],
        judge: Judge,
    ) -> bool {
        let author = envelope.author();
        let Some(writer) = self.authors.get(&author).copied() else {
            return false;
        };
        let Some(grants) = plain_grants(ops) else {
            return false;
        };
        let incoming = Incoming {
            envelope,
            writer,
            received_at,
        };
        let targets: BTreeSet<_> = grants.iter().map(|(target, _)| *target).collect();
        let is_plain = envelope.seq() > Seq::FIRST
            && targets.len() == grants.len()
            && targets.iter().all(|target| self.is_unknown(target))
            && !self.ledger.joined(&author)
            && !self.ledger.holds(&writer, &incoming.place(0))
            && self.is_plain_admin(&writer, received_at, judge);
        let known = self.standing.len().max(self.granted.len());
        if !is_plain
            || known + self.authors.len() + grants.len() > PRINCIPALS_MAX
            || self.ledger.len() + grants.len() > ADMISSION_OPS_MAX
        {
            return false;
        }
        for (index, (target, grant)) in grants.into_iter().enumerate() {
            let place = incoming.place(index);
            self.ledger
                .grant(writer, place, received_at, (target, grant));
            self.standing.insert(target, Standing::of(grant));
            if judge == Judge::Member {
                self.granted.insert(target, Standing::of(grant));
            }
        }
        true
    }

    fn is_unknown(&self, principal: &PrincipalKey) -> bool {
        !self.standing.contains_key(principal)
            && !self.granted.contains_key(principal)
            && self.ledger.is_silent(principal)
    }

    /// Whether the writer was an admin whatever is settled first: nobody revoked it, and what
    /// makes it one is all that it has.
    fn is_plain_admin(&self, writer: &PrincipalKey, at: UnixMillis, judge: Judge) -> bool {
        let is_plain = |standing: Option<&Standing>| {
            standing.is_some_and(|standing| {
                (*writer == self.founder || standing.grant_count() == 1)
                    && !standing.is_revoked()
                    && standing.permits(Rights::ADMIN, at).is_ok()
            })
        };
        is_plain(self.standing.get(writer))
            && (judge == Judge::Relay || is_plain(self.granted.get(writer)))
    }
}

/// The grants, if there are no other ops and none makes an admin, whose ops might count by it.
fn plain_grants(ops: &[ClearOp]) -> Option<Vec<(PrincipalKey, Grant)>> {
    let grants = ops.iter().map(Grant::of);
    let plain =
        grants.map(|grant| grant.filter(|(_, grant)| !grant.rights.contains(Rights::ADMIN)));
    plain.collect()
}
