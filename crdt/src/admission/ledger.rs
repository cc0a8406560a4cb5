//! The recorded grants, revocations and handovers, and the pure function from them
//! to who may do what.
//!
//! The result depends on the set of recorded ops only, never on the order in which
//! they came. Admins are judged by *seniority*: distance from the genesis along
//! grants, then key. An op of a senior admin is settled before any of a junior one,
//! and a junior cannot revoke a senior, so no two revocations can cancel each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClearOp, Cut, Refusal, Rights};
use crate::{
    id::{AuthorKey, EnvelopeId, PrincipalKey, Seq},
    time::UnixMillis,
};

/// What one grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) rights: Rights,
    pub(super) expiry: UnixMillis,
    pub(super) quota_class: u8,
    pub(super) one_use: bool,
}

impl Grant {
    /// What a grant gives, and to whom; None of every other op.
    pub(super) const fn of(op: &ClearOp) -> Option<(PrincipalKey, Self)> {
        match op {
            ClearOp::Grant {
                principal,
                rights,
                expiry,
                quota_class,
                one_use,
            } => {
                let grant = Self {
                    rights: *rights,
                    expiry: *expiry,
                    quota_class: *quota_class,
                    one_use: *one_use,
                };
                Some((*principal, grant))
            }
            ClearOp::Genesis { .. }
            | ClearOp::Revoke { .. }
            | ClearOp::Author { .. }
            | ClearOp::Inbox { .. }
            | ClearOp::Handover { .. } => None,
        }
    }

    pub(super) const FOUNDER: Self = Self {
        rights: Rights::ALL,
        expiry: UnixMillis(0),
        quota_class: 0,
        one_use: false,
    };

    fn is_live(&self, at: UnixMillis) -> bool {
        self.expiry.get() == 0 || at <= self.expiry
    }

    /// What the successor of a one-use principal gets. The expiry of an invite bounds
    /// the handover, not the membership that follows.
    fn heir(self) -> Self {
        Self {
            one_use: false,
            expiry: UnixMillis(0),
            ..self
        }
    }
}

/// Where an op stands; orders the ops of one admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) author: AuthorKey,
    pub(super) seq: Seq,
    pub(super) id: EnvelopeId,
    pub(super) index: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    Grant(PrincipalKey, Grant),
    Revoke(PrincipalKey, Vec<Cut>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    act: Act,
    at: UnixMillis,
}

/// The one accepted handover of a one-use principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handover {
    pub(super) to: PrincipalKey,
    pub(super) place: Place,
    pub(super) at: UnixMillis,
}

/// Where the chains of a revoked principal end; chains that are not named count for nothing.
type Cuts = BTreeMap<AuthorKey, (Seq, EnvelopeId)>;

/// What a principal has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Each with the one-use principal that it was inherited from.
    grants: Vec<(Grant, Option<PrincipalKey>)>,
    cuts: Option<Cuts>,
}

impl Standing {
    /// Of one who has this grant and nothing else.
    pub(super) fn of(grant: Grant) -> Self {
        Self {
            grants: vec![(grant, None)],
            cuts: None,
        }
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.cuts.is_some()
    }

    pub(super) fn grant_count(&self) -> usize {
        self.grants.len()
    }

    /// Whether an op or envelope at this place counts.
    pub(super) fn covers(&self, author: &AuthorKey, seq: Seq, id: &EnvelopeId) -> bool {
        match &self.cuts {
            None => true,
            Some(cuts) => cuts
                .get(author)
                .is_some_and(|(last, last_id)| seq < *last || (seq == *last && id == last_id)),
        }
    }

    /// Whether the live grants together give `right`.
    pub(super) fn permits(&self, right: Rights, at: UnixMillis) -> Result<(), Refusal> {
        let lasting = || {
            self.lasting()
                .map(|grant| (grant.rights, grant.is_live(at)))
        };
        let live = lasting().filter(|(_, live)| *live);
        let union = |rights: Rights, (more, _): (Rights, bool)| rights.union(more);
        if live.clone().next().is_some() && live.fold(Rights::NONE, union).contains(right) {
            return Ok(());
        }
        Err(match (self.grants.is_empty(), lasting().next().is_some()) {
            (true, _) => Refusal::NotGranted,
            (false, false) => Refusal::OneUse,
            (false, true) if lasting().fold(Rights::NONE, union).contains(right) => {
                Refusal::Expired
            }
            (false, true) => Refusal::MissingRight,
        })
    }

    /// Whether a handover at `at` finds a one-use grant.
    fn may_hand_over(&self, at: UnixMillis) -> Result<(), Refusal> {
        let mut invites = self.invites().peekable();
        if self.grants.is_empty() {
            Err(Refusal::NotGranted)
        } else if invites.peek().is_none() {
            Err(Refusal::MissingRight)
        } else if invites.any(|grant| grant.is_live(at)) {
            Ok(())
        } else {
            Err(Refusal::Expired)
        }
    }

    /// All rights but those of an unused invite; expiry is not looked at.
    pub(super) fn rights(&self) -> Rights {
        self.lasting()
            .fold(Rights::NONE, |rights, grant| rights.union(grant.rights))
    }

    pub(super) fn quota_class(&self) -> u8 {
        self.grants
            .iter()
            .map(|(grant, _)| grant.quota_class)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn invites(&self) -> impl Iterator<Item = &Grant> {
        let grants = self.grants.iter().map(|(grant, _)| grant);
        grants.filter(|grant| grant.one_use)
    }

    fn lasting(&self) -> impl Iterator<Item = &Grant> + Clone {
        let grants = self.grants.iter().map(|(grant, _)| grant);
        grants.filter(|grant| !grant.one_use)
    }

    /// What both revocations leave.
    fn tighten(&mut self, cuts: &[Cut]) {
        let new: Cuts = cuts
            .iter()
            .map(|cut| (cut.author, (cut.seq, cut.id)))
            .collect();
        self.cuts = Some(match self.cuts.take() {
            None => new,
            Some(old) => old
                .into_iter()
                .filter_map(|(author, end)| new.get(&author).map(|other| (author, end.min(*other))))
                .collect(),
        });
    }
}

/// Every grant and revocation that was ever accepted, by the principal who wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    acts: BTreeMap<PrincipalKey, BTreeMap<Place, Written>>,
    handovers: BTreeMap<PrincipalKey, Handover>,
    /// Authors whose first envelope took over an invite, and that invite.
    joined_by: BTreeMap<AuthorKey, PrincipalKey>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Revocations {
    Count,
    Ignore,
}

/// The outcome of [`Ledger::settle`].
#[derive(Default)]
pub(super) struct Settled {
    pub(super) standing: BTreeMap<PrincipalKey, Standing>,
    /// Ops that count. An op outside is void.
    pub(super) effective: BTreeSet<Place>,
    done: BTreeSet<PrincipalKey>,
    queue: BTreeSet<(u32, PrincipalKey)>,
}

impl Ledger {
    pub(super) fn grant(
        &mut self,
        issuer: PrincipalKey,
        place: Place,
        at: UnixMillis,
        (principal, grant): (PrincipalKey, Grant),
    ) {
        self.write(issuer, place, at, Act::Grant(principal, grant));
    }

    pub(super) fn revoke(
        &mut self,
        issuer: PrincipalKey,
        place: Place,
        at: UnixMillis,
        (principal, cuts): (PrincipalKey, &[Cut]),
    ) {
        self.write(issuer, place, at, Act::Revoke(principal, cuts.to_vec()));
    }

    fn write(&mut self, issuer: PrincipalKey, place: Place, at: UnixMillis, act: Act) {
        let acts = self.acts.entry(issuer).or_default();
        acts.entry(place).or_insert(Written { act, at });
    }

    /// Whether a principal has written no op and handed nothing over.
    pub(super) fn is_silent(&self, principal: &PrincipalKey) -> bool {
        !self.acts.contains_key(principal) && !self.handovers.contains_key(principal)
    }

    /// Whether an author came by an invite.
    pub(super) fn joined(&self, author: &AuthorKey) -> bool {
        self.joined_by.contains_key(author)
    }

    /// Whether an op is recorded.
    pub(super) fn holds(&self, issuer: &PrincipalKey, place: &Place) -> bool {
        self.acts
            .get(issuer)
            .is_some_and(|acts| acts.contains_key(place))
    }

    pub(super) fn handover(&self, from: &PrincipalKey) -> Option<&Handover> {
        self.handovers.get(from)
    }

    pub(super) fn hand_over(&mut self, from: PrincipalKey, handover: Handover) {
        self.joined_by.insert(handover.place.author, from);
        self.handovers.insert(from, handover);
    }

    /// An author stands and falls with the handover in its first envelope.
    pub(super) fn check_author(
        &self,
        standing: &BTreeMap<PrincipalKey, Standing>,
        author: &AuthorKey,
    ) -> Result<(), Refusal> {
        let Some(from) = self.joined_by.get(author) else {
            return Ok(());
        };
        let taken = self.handovers.get(from);
        if taken.is_none_or(|handover| handover.place.author != *author) {
            return Err(Refusal::NotGranted);
        }
        self.check_handover(standing, from)
    }

    pub(super) fn len(&self) -> usize {
        self.acts.values().map(BTreeMap::len).sum()
    }

    /// Why the handover of `from` does not count, if so.
    pub(super) fn check_handover(
        &self,
        standing: &BTreeMap<PrincipalKey, Standing>,
        from: &PrincipalKey,
    ) -> Result<(), Refusal> {
        let handover = self.handovers.get(from).ok_or(Refusal::NotGranted)?;
        let standing = standing.get(from).ok_or(Refusal::NotGranted)?;
        let Place {
            author, seq, id, ..
        } = &handover.place;
        if !standing.covers(author, *seq, id) {
            return Err(Refusal::Revoked);
        }
        standing.may_hand_over(handover.at)
    }

    /// Who stands where, by all recorded ops.
    pub(super) fn settle(&self, founder: PrincipalKey) -> Settled {
        self.settle_by(founder, Revocations::Count)
    }

    /// Who would stand where if nobody had ever been revoked.
    pub(super) fn settle_grants(&self, founder: PrincipalKey) -> Settled {
        self.settle_by(founder, Revocations::Ignore)
    }

    fn settle_by(&self, founder: PrincipalKey, revocations: Revocations) -> Settled {
        let mut settled = Settled::default();
        let standing = settled.standing.entry(founder).or_default();
        standing.grants.push((Grant::FOUNDER, None));
        settled.queue.insert((0, founder));
        while let Some((rank, issuer)) = settled.queue.pop_first() {
            if settled.done.insert(issuer)
                && let Some(acts) = self.acts.get(&issuer)
            {
                if revocations == Revocations::Count {
                    self.settle_revocations(&mut settled, issuer, acts);
                }
                self.settle_grants_of(&mut settled, rank, issuer, acts);
            }
        }
        self.drop_void_heirs(&mut settled);
        settled
    }

    /// Before the grants, which they bind: of itself, then of others.
    fn settle_revocations(
        &self,
        settled: &mut Settled,
        issuer: PrincipalKey,
        acts: &BTreeMap<Place, Written>,
    ) {
        let mut resignations = Vec::new();
        for (place, written) in acts {
            if let Act::Revoke(target, cuts) = &written.act
                && *target == issuer
                && self.is_admin_act(settled, &issuer, place, written.at)
            {
                settled.effective.insert(*place);
                resignations.push(cuts);
            }
        }
        for cuts in resignations {
            settled.standing.entry(issuer).or_default().tighten(cuts);
        }
        for (place, written) in acts {
            if let Act::Revoke(target, cuts) = &written.act
                && *target != issuer
                && !self.is_settled(settled, target)
                && self.is_admin_act(settled, &issuer, place, written.at)
            {
                settled.effective.insert(*place);
                settled.standing.entry(*target).or_default().tighten(cuts);
            }
        }
    }

    fn settle_grants_of(
        &self,
        settled: &mut Settled,
        rank: u32,
        issuer: PrincipalKey,
        acts: &BTreeMap<Place, Written>,
    ) {
        for (place, written) in acts {
            if let Act::Grant(target, grant) = &written.act
                && self.is_admin_act(settled, &issuer, place, written.at)
            {
                settled.effective.insert(*place);
                self.settle_grant(settled, rank, *target, *grant);
            }
        }
    }

    fn settle_grant(&self, settled: &mut Settled, rank: u32, target: PrincipalKey, grant: Grant) {
        let standing = settled.standing.entry(target).or_default();
        standing.grants.push((grant, None));
        let mut holder = target;
        if grant.one_use {
            let Some(handover) = self.handovers.get(&target) else {
                return;
            };
            if !grant.is_live(handover.at)
                || self.check_handover(&settled.standing, &target).is_err()
            {
                return;
            }
            holder = handover.to;
            let heir = settled.standing.entry(holder).or_default();
            heir.grants.push((grant.heir(), Some(target)));
        }
        if grant.rights.contains(Rights::ADMIN) {
            settled.queue.insert((rank.saturating_add(1), holder));
        }
    }

    /// Whether a senior, or the successor of this invite as a senior, was settled before.
    fn is_settled(&self, settled: &Settled, principal: &PrincipalKey) -> bool {
        let heir = self.handovers.get(principal).map(|handover| handover.to);
        settled.done.contains(principal) || heir.is_some_and(|heir| settled.done.contains(&heir))
    }

    /// Whether the issuer was an admin when it wrote this, and the place counts.
    fn is_admin_act(
        &self,
        settled: &Settled,
        issuer: &PrincipalKey,
        place: &Place,
        at: UnixMillis,
    ) -> bool {
        settled.standing.get(issuer).is_some_and(|standing| {
            standing.covers(&place.author, place.seq, &place.id)
                && standing.permits(Rights::ADMIN, at).is_ok()
        }) && self.check_author(&settled.standing, &place.author).is_ok()
    }

    /// An invite may have been revoked after its grant was settled.
    fn drop_void_heirs(&self, settled: &mut Settled) {
        let void: BTreeSet<PrincipalKey> = self
            .handovers
            .keys()
            .filter(|from| self.check_handover(&settled.standing, from).is_err())
            .copied()
            .collect();
        for standing in settled.standing.values_mut() {
            let kept = |via: &Option<PrincipalKey>| via.is_none_or(|from| !void.contains(&from));
            standing.grants.retain(|(_, via)| kept(via));
        }
    }
}
