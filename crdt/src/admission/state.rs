//! The admission state of one timeline, folded from its auth-ops.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    AdmissionError, AuthBody, ClearOp, History, Refusal, Rights, TimelineKind,
    absorb::{Absorbed, Judge},
    ledger::{Ledger, Standing},
};
use crate::{
    envelope::{Header, Kind, VerifiedEnvelope},
    id::{AuthorKey, EnvelopeId, InboxKey, PrincipalKey, Seq, TimelineId},
    time::UnixMillis,
};

/// Who may do what in one timeline.
///
/// The state is a function of the set of accepted auth-ops, not of their order. One
/// that is refused because what it rests on has not come yet
/// ([`AdmissionError::is_retryable`]) is to be offered again after others were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    pub(super) timeline: TimelineId,
    pub(super) genesis: EnvelopeId,
    kind: TimelineKind,
    history: History,
    pub(super) founder: PrincipalKey,
    public_key: Option<[u8; 32]>,
    pub(super) authors: BTreeMap<AuthorKey, PrincipalKey>,
    pub(super) inboxes: BTreeMap<PrincipalKey, InboxKey>,
    pub(super) ledger: Ledger,
    /// What the ledger amounts to.
    pub(super) standing: BTreeMap<PrincipalKey, Standing>,
    /// What its grants alone amount to; kept by members only.
    pub(super) granted: BTreeMap<PrincipalKey, Standing>,
    /// The lowest handover of each invite that a member has seen; as many as grants.
    pub(super) honoured: BTreeMap<PrincipalKey, EnvelopeId>,
    /// Of the author keys of each principal that came without a handover, the lowest that a
    /// member has seen; at most `AUTHORS_PER_PRINCIPAL_MAX` each.
    pub(super) lowest_authors: BTreeMap<PrincipalKey, BTreeSet<AuthorKey>>,
    /// By which envelope each author came; kept by members only.
    pub(super) firsts: BTreeMap<AuthorKey, EnvelopeId>,
    /// The same of authors that came by two: the lowest that was seen. At most as many as
    /// ever counted.
    pub(super) lowest_firsts: BTreeMap<AuthorKey, EnvelopeId>,
}

/// What a member learns from an auth-op that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// Nothing: it was known.
    Known,
    /// Who may do what has changed.
    New,
    /// It has the lower id of two handovers of one invite, or an author key lower than one of
    /// the sixteen that counted of its principal. The author that gives way never counted:
    /// the state is to be built anew, see [`Admission::reopened`].
    Supersedes(AuthorKey),
    /// It has the lower id of two first envelopes of one author, which may name two principals.
    /// The other one never counted. All that was learnt but this is forgotten: the state is to
    /// be built anew from all auth-ops, and so is whatever was decided by it.
    Reassigns(AuthorKey),
}

/// Members leave expiry to relays: before every date no grant has expired.
const BEFORE_EXPIRY: UnixMillis = UnixMillis(i64::MIN);

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
            granted: ledger.settle_grants(*admin).standing,
            honoured: BTreeMap::new(),
            lowest_authors: BTreeMap::new(),
            firsts: BTreeMap::new(),
            lowest_firsts: BTreeMap::new(),
            ledger,
        })
    }

    /// As it was after the genesis, but it still knows which handover of each granted invite
    /// and which author keys of each principal count: given all auth-ops again, it never
    /// takes the others.
    #[must_use]
    pub fn reopened(self) -> Self {
        let mut honoured = self.honoured;
        honoured.retain(|from, _| self.ledger.check_handover(&self.granted, from).is_ok());
        let mut lowest_authors = self.lowest_authors;
        let is_granted = |standing: &Standing| standing.grant_count() > 0;
        lowest_authors.retain(|principal, _| self.granted.get(principal).is_some_and(is_granted));
        let ledger = Ledger::default();
        Self {
            firsts: BTreeMap::new(),
            authors: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            standing: ledger.settle(self.founder).standing,
            granted: ledger.settle_grants(self.founder).standing,
            honoured,
            lowest_authors,
            ledger,
            ..self
        }
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
        self.absorb(envelope, received_at, Judge::Relay)?;
        Ok(())
    }

    /// Applies an auth-op as a member does, whose state must not depend on order or date:
    ///
    /// * of two handovers of one invite, accepted by two relays that did not hear of each
    ///   other, the one with the lower envelope id counts; of more than sixteen author keys
    ///   of one principal, the lowest; of two first envelopes of one author, the lower one;
    /// * expiry and revocation void nothing here ([`Self::is_granted`]); revocations are
    ///   noted, and show in [`Self::principals`] and [`Self::judge`].
    ///
    /// # Errors
    /// As [`Self::apply`]; [`AdmissionError::AlreadyHandedOver`] for the higher id and
    /// [`AdmissionError::TooManyAuthors`] for the higher key, [`AdmissionError::AuthorTaken`]
    /// for the higher first envelope, for good.
    pub fn merge(&mut self, envelope: &VerifiedEnvelope) -> Result<Merged, AdmissionError> {
        Ok(match self.absorb(envelope, BEFORE_EXPIRY, Judge::Member)? {
            Absorbed::Known => Merged::Known,
            Absorbed::Reassigned => Merged::Reassigns(envelope.author()),
            Absorbed::New { superseded: None } => Merged::New,
            Absorbed::New {
                superseded: Some(author),
            } => Merged::Supersedes(author),
        })
    }

    /// Whether grants alone, without expiry and revocation, give an author a right. Only
    /// for a state that was built by [`Self::merge`]: there it never turns from yes to no,
    /// except when a handover gives way ([`Merged::Supersedes`]).
    #[must_use]
    pub fn is_granted(&self, author: &AuthorKey, right: Rights) -> bool {
        let standing = self
            .authors
            .get(author)
            .and_then(|principal| self.granted.get(principal));
        self.ledger.check_author(&self.granted, author).is_ok()
            && standing.is_some_and(|standing| standing.permits(right, BEFORE_EXPIRY).is_ok())
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

    /// Invites that were used, and whose only grant has an expiry: a relay that gets the
    /// handover after that date refuses it. Each with its rights and quota class.
    pub fn expiring_invites(&self) -> impl Iterator<Item = (PrincipalKey, Rights, u8)> {
        self.standing.iter().filter_map(|(invite, standing)| {
            let mut grants = standing.invites();
            let (Some(grant), None) = (grants.next(), grants.next()) else {
                return None;
            };
            let is_used = self.ledger.handover(invite).is_some() && !standing.is_revoked();
            let expires = is_used && grant.expiry.get() != 0;
            expires.then_some((*invite, grant.rights, grant.quota_class))
        })
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
}
