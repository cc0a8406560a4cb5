//! How an auth-op enters the admission state: whole, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Admission, AdmissionError, AuthBody, ClearOp, Refusal,
    ledger::{Grant, Handover, Place},
};
use crate::{
    context::{SIGN_AUTHOR, SIGN_HANDOVER, SIGN_INBOX},
    envelope::{Kind, VerifiedEnvelope},
    id::{AuthorKey, PrincipalKey, Seq},
    limits::AUTHORS_PER_PRINCIPAL_MAX,
    signature,
    time::UnixMillis,
};

/// Who judges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    /// By what has come so far: its log is one order.
    Relay,
    /// By the set: of two handovers the lower id counts; revocations are noted, and void nothing.
    Member,
}

/// What an absorbed op did to the state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absorbed {
    Known,
    New {
        /// Whose handover of the same invite gave way.
        superseded: Option<AuthorKey>,
    },
}

/// An auth-op on its way in.
pub(super) struct Incoming<'a> {
    pub(super) envelope: &'a VerifiedEnvelope,
    pub(super) writer: PrincipalKey,
    pub(super) received_at: UnixMillis,
}

impl Admission {
    pub(super) fn absorb(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
        judge: Judge,
    ) -> Result<Absorbed, AdmissionError> {
        if envelope.id() == self.genesis {
            return Ok(Absorbed::Known);
        }
        let body = self.body_of(envelope)?;
        if body.ops.iter().all(is_introduction) && !self.may_displace(envelope, judge) {
            return self.absorb_introduction(envelope, received_at, &body.ops, judge);
        }
        let mut next = self.clone();
        let (incoming, superseded) = next.record_all(envelope, received_at, &body.ops, judge)?;
        if judge == Judge::Member && next == *self {
            return Ok(Absorbed::Known);
        }
        let settled = next.ledger.settle(next.founder);
        match judge {
            Judge::Relay => {
                next.check(&incoming, &body.ops, &settled.standing, &settled.effective)?;
                next.check_tables(&settled.standing)?;
            }
            Judge::Member => {
                let granted = next.ledger.settle_grants(next.founder).standing;
                next.check_granted(&incoming, &body.ops, &granted)?;
                next.check_tables(&granted)?;
                next.granted = granted;
            }
        }
        next.standing = settled.standing;
        *self = next;
        Ok(Absorbed::New { superseded })
    }

    /// What an auth-op of this timeline says.
    fn body_of(&self, envelope: &VerifiedEnvelope) -> Result<AuthBody, AdmissionError> {
        let prefix = envelope.prefix();
        if prefix.kind != Kind::AuthOp {
            return Err(AdmissionError::NotAuthOp);
        }
        if prefix.timeline != self.timeline {
            return Err(AdmissionError::OtherTimeline);
        }
        if prefix.author.as_bytes() == prefix.timeline.as_bytes() {
            return Err(AdmissionError::SecondGenesis);
        }
        AuthBody::decode(envelope.body().ok_or(AdmissionError::Pruned)?)
    }

    /// Notes an auth-op that was accepted before. After an error the state is of no use.
    pub(super) fn record_accepted(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<(), AdmissionError> {
        if envelope.id() != self.genesis {
            let body = self.body_of(envelope)?;
            self.record_all(envelope, received_at, &body.ops, Judge::Relay)?;
        }
        Ok(())
    }

    /// Half of all auth-ops only introduce an author or name an inbox. They leave the ledger
    /// as it is, so who stands where is known, and nothing has to be copied or settled.
    fn absorb_introduction(
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

    /// Notes what an auth-op says, without judging whether it counts. After an error the
    /// state may hold a part of it.
    fn record_all<'a>(
        &mut self,
        envelope: &'a VerifiedEnvelope,
        received_at: UnixMillis,
        ops: &[ClearOp],
        judge: Judge,
    ) -> Result<(Incoming<'a>, Option<AuthorKey>), AdmissionError> {
        let incoming = Incoming {
            envelope,
            writer: self.writer_of(envelope, ops, judge)?,
            received_at,
        };
        let mut superseded = None;
        if judge == Judge::Member && envelope.seq() == Seq::FIRST && !hands_over(ops) {
            superseded = self.keep_lowest(incoming.writer, envelope.author())?;
        }
        self.authors.insert(envelope.author(), incoming.writer);
        for (index, op) in ops.iter().enumerate() {
            superseded = self.record(&incoming, index, op, judge)?.or(superseded);
        }
        Ok((incoming, superseded))
    }

    /// Whether a member has as many author keys of this principal as count, so that one
    /// more takes the place of another.
    fn may_displace(&self, envelope: &VerifiedEnvelope, judge: Judge) -> bool {
        let crowded = |lowest: &BTreeSet<_>| lowest.len() >= AUTHORS_PER_PRINCIPAL_MAX;
        judge == Judge::Member
            && envelope.seq() == Seq::FIRST
            && self.lowest_authors.values().any(crowded)
    }

    /// Counts an author key that came without a handover. Of more than a principal may have
    /// the lowest count, whatever their order; who gives way is told, if it had counted.
    fn keep_lowest(
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
        Ok(highest.filter(|highest| self.authors.remove(highest).is_some()))
    }

    /// The writer: by the certificate in its first envelope, and only there.
    fn writer_of(
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

    fn record(
        &mut self,
        incoming: &Incoming<'_>,
        index: usize,
        op: &ClearOp,
        judge: Judge,
    ) -> Result<Option<AuthorKey>, AdmissionError> {
        let (writer, at) = (incoming.writer, incoming.received_at);
        match op {
            ClearOp::Genesis { .. } => return Err(AdmissionError::SecondGenesis),
            ClearOp::Grant {
                principal,
                rights,
                expiry,
                quota_class,
                one_use,
            } => {
                let grant = Grant {
                    rights: *rights,
                    expiry: *expiry,
                    quota_class: *quota_class,
                    one_use: *one_use,
                };
                self.ledger
                    .grant(writer, incoming.place(index), at, (*principal, grant));
            }
            ClearOp::Revoke { principal, cuts } => {
                self.ledger
                    .revoke(writer, incoming.place(index), at, (*principal, cuts));
            }
            ClearOp::Author {
                principal,
                author,
                signature,
            } => {
                if *author != incoming.envelope.author() {
                    return Err(AdmissionError::BadCertificate);
                }
                let statement = self.statement(SIGN_AUTHOR, principal, author.as_bytes());
                certified(principal, &statement, signature)?;
            }
            ClearOp::Inbox {
                principal,
                inbox,
                signature,
            } => {
                if *principal != writer {
                    return Err(AdmissionError::BadCertificate);
                }
                let statement = self.statement(SIGN_INBOX, principal, inbox.as_bytes());
                certified(principal, &statement, signature)?;
                let kept = self.inboxes.entry(writer).or_insert(*inbox);
                // Two of one principal: the lower one, so that their order does not matter.
                *kept = (*kept).min(*inbox);
            }
            ClearOp::Handover {
                from,
                to,
                from_signature,
                to_signature,
            } => {
                if *to != writer || incoming.envelope.seq() != Seq::FIRST {
                    return Err(AdmissionError::Introduction);
                }
                let statement = self.statement(SIGN_HANDOVER, from, to.as_bytes());
                certified(from, &statement, from_signature)?;
                certified(to, &statement, to_signature)?;
                return self.hand_over(*from, incoming.handover(index), judge);
            }
        }
        Ok(None)
    }

    /// The author whose handover of the same invite gives way, if there is one.
    fn hand_over(
        &mut self,
        from: PrincipalKey,
        handover: Handover,
        judge: Judge,
    ) -> Result<Option<AuthorKey>, AdmissionError> {
        let id = handover.place.id;
        let old = self.ledger.handover(&from).copied();
        if old.is_some_and(|old| old.place.id == id) {
            return Ok(None);
        }
        match judge {
            Judge::Relay if old.is_some() => return Err(AdmissionError::AlreadyHandedOver(from)),
            Judge::Relay => {}
            Judge::Member => {
                let lowest = self.honoured.entry(from).or_insert(id);
                if *lowest < id {
                    return Err(AdmissionError::AlreadyHandedOver(from));
                }
                *lowest = id;
            }
        }
        self.ledger.hand_over(from, handover);
        Ok(old.map(|old| old.place.author))
    }

    fn statement(&self, domain: &[u8], first: &PrincipalKey, second: &[u8; 32]) -> Vec<u8> {
        [
            domain,
            self.timeline.as_bytes(),
            first.as_bytes(),
            &second[..],
        ]
        .concat()
    }
}

impl Incoming<'_> {
    pub(super) fn place(&self, index: usize) -> Place {
        Place {
            author: self.envelope.author(),
            seq: self.envelope.seq(),
            id: self.envelope.id(),
            index,
        }
    }

    fn handover(&self, index: usize) -> Handover {
        Handover {
            to: self.writer,
            place: self.place(index),
            at: self.received_at,
        }
    }
}

/// An op that alters neither grants nor revocations nor handovers.
const fn is_introduction(op: &ClearOp) -> bool {
    match op {
        ClearOp::Author { .. } | ClearOp::Inbox { .. } => true,
        ClearOp::Genesis { .. }
        | ClearOp::Grant { .. }
        | ClearOp::Revoke { .. }
        | ClearOp::Handover { .. } => false,
    }
}

fn hands_over(ops: &[ClearOp]) -> bool {
    ops.iter().any(|op| matches!(op, ClearOp::Handover { .. }))
}

fn put_back<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

fn certified(
    principal: &PrincipalKey,
    statement: &[u8],
    signature: &[u8; 64],
) -> Result<(), AdmissionError> {
    signature::verify(principal.as_bytes(), statement, signature)
        .map_err(|_| AdmissionError::BadCertificate)
}
