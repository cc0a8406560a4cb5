//! The admission state of one timeline, folded from its auth-ops.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    AdmissionError, AuthBody, ClearOp, History, Refusal, Rights, TimelineKind,
    ledger::{Grant, Handover, Ledger, Place, Settled, Standing},
};
use crate::{
    context::{SIGN_AUTHOR, SIGN_HANDOVER, SIGN_INBOX},
    envelope::{Header, Kind, VerifiedEnvelope},
    id::{AuthorKey, EnvelopeId, InboxKey, PrincipalKey, Seq, TimelineId},
    limits::{
        ADMISSION_OPS_MAX, AUTHORS_PER_PRINCIPAL_MAX, GRANTS_PER_PRINCIPAL_MAX, PRINCIPALS_MAX,
    },
    signature,
    time::UnixMillis,
};

/// Who may do what in one timeline.
///
/// The state is a function of the set of accepted auth-ops, not of their order. One
/// that is refused because what it rests on has not come yet
/// ([`AdmissionError::is_retryable`]) is to be offered again after others were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    timeline: TimelineId,
    genesis: EnvelopeId,
    kind: TimelineKind,
    history: History,
    founder: PrincipalKey,
    public_key: Option<[u8; 32]>,
    authors: BTreeMap<AuthorKey, PrincipalKey>,
    inboxes: BTreeMap<PrincipalKey, InboxKey>,
    ledger: Ledger,
    /// What the ledger amounts to.
    standing: BTreeMap<PrincipalKey, Standing>,
}

/// What to do about a second handover of one principal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SecondHandover {
    Refuse,
    HonourLowerId,
}

/// An auth-op on its way in.
struct Incoming<'a> {
    envelope: &'a VerifiedEnvelope,
    writer: PrincipalKey,
    received_at: UnixMillis,
}

impl Admission {
    /// From the genesis.
    ///
    /// # Errors
    /// [`AdmissionError::NotGenesis`] for anything but a genesis that its own timeline key
    /// signed; the errors of [`AuthBody::decode`].
    pub fn open(genesis: &VerifiedEnvelope) -> Result<Self, AdmissionError> {
        let prefix = genesis.prefix();
        if prefix.kind != Kind::AuthOp
            || prefix.author.as_bytes() != prefix.timeline.as_bytes()
            || prefix.seq != Seq::FIRST
        {
            return Err(AdmissionError::NotGenesis);
        }
        let body = AuthBody::decode(genesis.body().ok_or(AdmissionError::Pruned)?)?;
        let [
            ClearOp::Genesis {
                kind,
                history,
                admin,
                public_key,
                ..
            },
        ] = body.ops.as_slice()
        else {
            return Err(AdmissionError::NotGenesis);
        };
        if (*kind == TimelineKind::Public) != public_key.is_some() {
            return Err(AdmissionError::NotGenesis);
        }
        let ledger = Ledger::default();
        Ok(Self {
            timeline: prefix.timeline,
            genesis: genesis.id(),
            kind: *kind,
            history: *history,
            founder: *admin,
            public_key: *public_key,
            authors: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            standing: ledger.settle(*admin).standing,
            ledger,
        })
    }

    /// Applies an auth-op as a relay does: all of it or nothing. Twice is as good as once.
    ///
    /// `received_at` is the date of the first relay's receipt, by which expiry is judged.
    ///
    /// # Errors
    /// [`AdmissionError`]; the state is as before.
    pub fn apply(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<(), AdmissionError> {
        self.absorb(envelope, received_at, SecondHandover::Refuse)
    }

    /// Applies an auth-op as a member does: of two handovers of one invite, accepted by
    /// two relays that did not hear of each other, the one with the lower envelope id counts.
    ///
    /// # Errors
    /// As [`Self::apply`]; [`AdmissionError::AlreadyHandedOver`] for the higher id.
    pub fn merge(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<(), AdmissionError> {
        self.absorb(envelope, received_at, SecondHandover::HonourLowerId)
    }

    /// Whether an envelope may be stored. An auth-op is applied first: that makes its
    /// author known, and judges each op.
    ///
    /// Needed are: `append` for a change, key-op or notice, `read` for a receipt, `compact`
    /// for a fragment, any right for an auth-op.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admits(
        &self,
        header: &Header,
        received_at: UnixMillis,
    ) -> Result<PrincipalKey, Refusal> {
        let prefix = &header.prefix;
        let needed = match prefix.kind {
            Kind::Change | Kind::KeyOp | Kind::Notice => Rights::APPEND,
            Kind::Receipt => Rights::READ,
            Kind::Fragment => Rights::COMPACT,
            Kind::AuthOp => Rights::NONE,
        };
        let (principal, standing) = self.known(&prefix.author)?;
        if standing.is_revoked() && !standing.covers(&prefix.author, prefix.seq, &header.id()) {
            return Err(Refusal::Revoked);
        }
        standing.permits(needed, received_at)?;
        Ok(principal)
    }

    /// Whether an author may do something now, beyond what lies in its chain.
    ///
    /// Everybody may read a public timeline: there an author key that no principal
    /// certified counts as a principal of the same bytes.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn judge(
        &self,
        author: &AuthorKey,
        right: Rights,
        at: UnixMillis,
    ) -> Result<PrincipalKey, Refusal> {
        if self.kind == TimelineKind::Public && right == Rights::READ {
            let itself = PrincipalKey::from_bytes(author.to_bytes());
            return Ok(self.principal_of(author).unwrap_or(itself));
        }
        let (principal, standing) = self.known(author)?;
        if standing.is_revoked() {
            return Err(Refusal::Revoked);
        }
        standing.permits(right, at)?;
        Ok(principal)
    }

    /// Which timeline this is about.
    #[must_use]
    pub const fn timeline(&self) -> TimelineId {
        self.timeline
    }

    /// What the timeline is for.
    #[must_use]
    pub const fn kind(&self) -> TimelineKind {
        self.kind
    }

    /// What newcomers can read.
    #[must_use]
    pub const fn history(&self) -> History {
        self.history
    }

    /// The epoch key of a public timeline.
    #[must_use]
    pub const fn public_key(&self) -> Option<[u8; 32]> {
        self.public_key
    }

    /// Whose device an author key is.
    #[must_use]
    pub fn principal_of(&self, author: &AuthorKey) -> Option<PrincipalKey> {
        self.authors.get(author).copied()
    }

    /// Where a principal's epoch keys are wrapped to.
    #[must_use]
    pub fn inbox_of(&self, principal: &PrincipalKey) -> Option<InboxKey> {
        self.inboxes.get(principal).copied()
    }

    /// Principals with rights that are not revoked; expiry is not looked at. Invites that
    /// were not used are not among them, see [`Self::is_one_use`].
    pub fn principals(&self) -> impl Iterator<Item = (PrincipalKey, Rights)> {
        self.standing.iter().filter_map(|(key, standing)| {
            let rights = standing.rights();
            (!standing.is_revoked() && rights != Rights::NONE).then_some((*key, rights))
        })
    }

    /// Whether a principal is an invite that may only be handed over.
    #[must_use]
    pub fn is_one_use(&self, principal: &PrincipalKey) -> bool {
        self.standing.get(principal).is_some_and(|standing| {
            standing.invites().next().is_some() && standing.rights() == Rights::NONE
        })
    }

    /// To whom a one-use principal was handed over.
    #[must_use]
    pub fn successor_of(&self, principal: &PrincipalKey) -> Option<PrincipalKey> {
        self.ledger.handover(principal).map(|handover| handover.to)
    }

    /// Every certified author key, those of revoked principals too.
    pub fn authors(&self) -> impl Iterator<Item = (AuthorKey, PrincipalKey)> {
        self.authors
            .iter()
            .map(|(author, principal)| (*author, *principal))
    }

    /// The relay's policy class of a principal.
    #[must_use]
    pub fn quota_class(&self, principal: &PrincipalKey) -> u8 {
        self.standing
            .get(principal)
            .map_or(0, Standing::quota_class)
    }

    fn known(&self, author: &AuthorKey) -> Result<(PrincipalKey, &Standing), Refusal> {
        let key = self.authors.get(author).ok_or(Refusal::UnknownAuthor)?;
        let standing = self.standing.get(key).ok_or(Refusal::NotGranted)?;
        self.ledger.check_author(&self.standing, author)?;
        Ok((*key, standing))
    }

    fn absorb(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
        second: SecondHandover,
    ) -> Result<(), AdmissionError> {
        if envelope.id() == self.genesis {
            return Ok(());
        }
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
        let body = AuthBody::decode(envelope.body().ok_or(AdmissionError::Pruned)?)?;
        let mut next = self.clone();
        let incoming = Incoming {
            envelope,
            writer: next.introduce(envelope, &body.ops)?,
            received_at,
        };
        for (index, op) in body.ops.iter().enumerate() {
            next.record(&incoming, index, op, second)?;
        }
        let settled = next.ledger.settle(next.founder);
        next.check(&incoming, &body.ops, &settled)?;
        next.standing = settled.standing;
        *self = next;
        Ok(())
    }

    /// The writer: by the certificate in its first envelope, and only there.
    fn introduce(
        &mut self,
        envelope: &VerifiedEnvelope,
        ops: &[ClearOp],
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
                full(
                    "author keys of one principal",
                    others.count() + 1,
                    AUTHORS_PER_PRINCIPAL_MAX,
                )?;
                self.authors.insert(author, principal);
                Ok(principal)
            }
        }
    }

    fn record(
        &mut self,
        incoming: &Incoming<'_>,
        index: usize,
        op: &ClearOp,
        second: SecondHandover,
    ) -> Result<(), AdmissionError> {
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
                self.hand_over(*from, incoming.handover(index), second)?;
            }
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        from: PrincipalKey,
        handover: Handover,
        second: SecondHandover,
    ) -> Result<(), AdmissionError> {
        if let Some(old) = self.ledger.handover(&from) {
            if old.place.id == handover.place.id {
                return Ok(());
            }
            if second == SecondHandover::Refuse || old.place.id < handover.place.id {
                return Err(AdmissionError::AlreadyHandedOver(from));
            }
        }
        self.ledger.hand_over(from, handover);
        Ok(())
    }

    /// Every op must count (a handover by way of its author), and the writer must be somebody, at the latest by its own ops.
    fn check(
        &self,
        incoming: &Incoming<'_>,
        ops: &[ClearOp],
        settled: &Settled,
    ) -> Result<(), AdmissionError> {
        let envelope = incoming.envelope;
        let nobody = Standing::default();
        let writer = settled.standing.get(&incoming.writer).unwrap_or(&nobody);
        self.ledger
            .check_author(&settled.standing, &envelope.author())
            .map_err(AdmissionError::Refused)?;
        for (index, op) in ops.iter().enumerate() {
            match op {
                ClearOp::Grant { principal, .. } | ClearOp::Revoke { principal, .. } => {
                    if !settled.effective.contains(&incoming.place(index)) {
                        return Err(incoming.why_void(writer, *principal));
                    }
                    let grants = settled
                        .standing
                        .get(principal)
                        .map_or(0, Standing::grant_count);
                    full("grants of one principal", grants, GRANTS_PER_PRINCIPAL_MAX)?;
                }
                ClearOp::Genesis { .. }
                | ClearOp::Author { .. }
                | ClearOp::Inbox { .. }
                | ClearOp::Handover { .. } => {}
            }
        }
        if !writer.covers(&envelope.author(), envelope.seq(), &envelope.id()) {
            return resigned(ops, incoming.writer);
        }
        writer
            .permits(Rights::NONE, incoming.received_at)
            .map_err(AdmissionError::Refused)?;
        let everybody: BTreeSet<_> = settled
            .standing
            .keys()
            .chain(self.authors.values())
            .collect();
        full("principals", everybody.len(), PRINCIPALS_MAX)?;
        full("admission ops", self.ledger.len(), ADMISSION_OPS_MAX)
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
    fn place(&self, index: usize) -> Place {
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

fn full(what: &'static str, count: usize, limit: usize) -> Result<(), AdmissionError> {
    if count > limit {
        return Err(AdmissionError::Full { what, limit });
    }
    Ok(())
}

fn certified(
    principal: &PrincipalKey,
    statement: &[u8],
    signature: &[u8; 64],
) -> Result<(), AdmissionError> {
    signature::verify(principal.as_bytes(), statement, signature)
        .map_err(|_| AdmissionError::BadCertificate)
}
