//! First envelopes: which author belongs to which principal.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Admission, AdmissionError, ClearOp, Refusal,
    absorb::{Absorbed, Judge},
};
use crate::{
    envelope::VerifiedEnvelope,
    id::{AuthorKey, PrincipalKey, Seq},
    limits::AUTHORS_PER_PRINCIPAL_MAX,
    time::UnixMillis,
};

impl Admission {
    /// Half of all auth-ops only introduce an author or name an inbox. They leave the ledger
    /// as it is, so who stands where is known, and nothing has to be copied or settled.
    pub(super) fn absorb_introduction(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
        ops: &[ClearOp],
        judge: Judge,
    ) -> Result<Absorbed, AdmissionError> {
        let author = envelope.author();
        let writer = self.writer_of(envelope, ops, judge)?;
        let before = (
            self.authors.get(&author).copied(),
            self.inboxes.get(&writer).copied(),
        );
        let lowest = self.lowest_authors.get(&writer).cloned();
        let first = self.firsts.get(&author).copied();
        let checked = self.record_all(envelope, received_at, ops, judge).and_then(
            |(incoming, _)| match judge {
                Judge::Relay => self.check(&incoming, ops, &self.standing, &BTreeSet::new()),
                Judge::Member => self.check_granted(&incoming, ops, &self.granted),
            },
        );
        if let Err(error) = checked {
            put_back(&mut self.authors, author, before.0);
            put_back(&mut self.inboxes, writer, before.1);
            put_back(&mut self.lowest_authors, writer, lowest);
            put_back(&mut self.firsts, author, first);
            return Err(error);
        }
        // The tables need no second look: the writer has a grant, so it was counted before.
        let after = (self.authors.get(&author), self.inboxes.get(&writer));
        Ok(if after == (before.0.as_ref(), before.1.as_ref()) {
            Absorbed::Known
        } else {
            Absorbed::New { superseded: None }
        })
    }

    /// Whether a member has as many author keys of this principal as count, so that one
    /// more takes the place of another.
    pub(super) fn may_displace(&self, envelope: &VerifiedEnvelope, judge: Judge) -> bool {
        let crowded = |lowest: &BTreeSet<_>| lowest.len() >= AUTHORS_PER_PRINCIPAL_MAX;
        judge == Judge::Member
            && envelope.seq() == Seq::FIRST
            && self.lowest_authors.values().any(crowded)
    }

    /// Counts an author key that came without a handover. Of more than a principal may have
    /// the lowest count, whatever their order; who gives way is told, if it had counted.
    pub(super) fn keep_lowest(
        &mut self,
        principal: PrincipalKey,
        author: AuthorKey,
    ) -> Result<Option<AuthorKey>, AdmissionError> {
        let lowest = self.lowest_authors.entry(principal).or_default();
        lowest.insert(author);
        if lowest.len() <= AUTHORS_PER_PRINCIPAL_MAX {
            return Ok(None);
        }
        let highest = lowest.pop_last();
        if highest == Some(author) {
            return Err(AdmissionError::TooManyAuthors(principal));
        }
        if let Some(highest) = &highest {
            self.firsts.remove(highest);
        }
        Ok(highest.filter(|highest| self.authors.remove(highest).is_some()))
    }

    /// The author came by another envelope: begins anew, knowing nothing but which one counts.
    /// By the other one invites may have been taken, and author keys have given way. Grants are
    /// not asked: a lower envelope stays the first one whenever its own grant comes.
    pub(super) fn reassign(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
        ops: &[ClearOp],
    ) -> Result<Absorbed, AdmissionError> {
        let mut anew = self.clone();
        anew.honoured.clear();
        anew.lowest_authors.clear();
        let mut anew = anew.reopened();
        anew.lowest_firsts.insert(envelope.author(), envelope.id());
        // Of no use to itself, it must not take the place of one that counts.
        anew.clone()
            .record_all(envelope, received_at, ops, Judge::Member)?;
        *self = anew;
        Ok(Absorbed::Reassigned)
    }

    /// The writer: by the certificate in its first envelope, and only there.
    pub(super) fn writer_of(
        &self,
        envelope: &VerifiedEnvelope,
        ops: &[ClearOp],
        judge: Judge,
    ) -> Result<PrincipalKey, AdmissionError> {
        let author = envelope.author();
        let mut certificates = ops.iter().filter_map(|op| match op {
            ClearOp::Author { principal, .. } => Some(*principal),
            ClearOp::Genesis { .. }
            | ClearOp::Grant { .. }
            | ClearOp::Revoke { .. }
            | ClearOp::Inbox { .. }
            | ClearOp::Handover { .. } => None,
        });
        let certificate = certificates.next();
        let handovers = ops
            .iter()
            .filter(|op| matches!(op, ClearOp::Handover { .. }))
            .count();
        if handovers > 1 {
            return Err(AdmissionError::Introduction);
        }
        if certificates.next().is_some() || certificate.is_some() != (envelope.seq() == Seq::FIRST)
        {
            return Err(AdmissionError::Introduction);
        }
        let known = self.authors.get(&author).copied();
        match (certificate, known) {
            (Some(principal), Some(owner)) if principal != owner => {
                Err(AdmissionError::AuthorTaken(author))
            }
            (_, Some(owner)) => Ok(owner),
            (None, None) => Err(AdmissionError::Refused(Refusal::UnknownAuthor)),
            (Some(principal), None) => {
                let others = self.authors.values().filter(|owner| **owner == principal);
                if judge == Judge::Relay && others.count() >= AUTHORS_PER_PRINCIPAL_MAX {
                    return Err(AdmissionError::TooManyAuthors(principal));
                }
                Ok(principal)
            }
        }
    }
}

fn put_back<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}
