//! How an auth-op enters the admission state: whole, or not at all.

use super::{
    Admission, AdmissionError, AuthBody, ClearOp,
    ledger::{Grant, Handover, Place},
};
use crate::{
    context::{SIGN_AUTHOR, SIGN_HANDOVER, SIGN_INBOX},
    envelope::{Kind, VerifiedEnvelope},
    id::{AuthorKey, PrincipalKey, Seq},
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
    /// Its author had come by another first envelope, with a higher id.
    Reassigned,
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
        if judge == Judge::Member && envelope.seq() == Seq::FIRST {
            let author = envelope.author();
            let known = [self.firsts.get(&author), self.lowest_firsts.get(&author)];
            match known.into_iter().flatten().min() {
                Some(first) if *first < envelope.id() => {
                    return Err(AdmissionError::AuthorTaken(author));
                }
                Some(first) if *first > envelope.id() => {
                    return self.reassign(envelope, received_at, &body.ops);
                }
                Some(_) | None => {}
            }
        }
        if body.ops.iter().all(is_introduction) && !self.may_displace(envelope, judge) {
            return self.absorb_introduction(envelope, received_at, &body.ops, judge);
        }
        if self.absorb_newcomers(envelope, received_at, &body.ops, judge) {
            return Ok(Absorbed::New { superseded: None });
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

    /// Notes what an auth-op says, without judging whether it counts. After an error the
    /// state may hold a part of it.
    pub(super) fn record_all<'a>(
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
        if judge == Judge::Member && envelope.seq() == Seq::FIRST {
            if !hands_over(ops) {
                superseded = self.keep_lowest(incoming.writer, envelope.author())?;
            }
            self.firsts.insert(envelope.author(), envelope.id());
        }
        self.authors.insert(envelope.author(), incoming.writer);
        for (index, op) in ops.iter().enumerate() {
            superseded = self.record(&incoming, index, op, judge)?.or(superseded);
        }
        Ok((incoming, superseded))
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
            ClearOp::Grant { .. } => {
                if let Some(grant) = Grant::of(op) {
                    self.ledger.grant(writer, incoming.place(index), at, grant);
                }
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

fn certified(
    principal: &PrincipalKey,
    statement: &[u8],
    signature: &[u8; 64],
) -> Result<(), AdmissionError> {
    signature::verify(principal.as_bytes(), statement, signature)
        .map_err(|_| AdmissionError::BadCertificate)
}
