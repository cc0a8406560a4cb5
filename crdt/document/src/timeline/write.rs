//! Writing: drafts become changes, changes become one sealed envelope, and the
//! envelope is received here like everybody else's.

use khlong_crdt::address::InvitePayload;
use khlong_crdt::admission::{AdmissionError, History, Refusal, Rights};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, MediaRootId, MessageId};
use khlong_crdt::limits::REFS_MAX;
use khlong_crdt::time::UnixMillis;
use rand_core::CryptoRng;

use super::Timeline;
use super::compact;
use super::draft::Draft;
use super::pages::writing::ComposeError;
use super::plaintext::ChangePlaintext;
use super::receive::note_auth_head;
use crate::keys::epoch::EpochKey;
use crate::keys::inbox::is_usable_public_key;
use crate::keys::invite::InviteError;
use crate::keys::user::UserCard;
use crate::membership::joining::{InviteRequest, admit_inbox, create_invite};
use crate::membership::manifest::ParentKey;
use crate::membership::mint::{MintError, MintRequest};
use crate::membership::role::Role;
use crate::seal::{self, Parts, SealError, SealRequest};

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The genesis, the grant or the epoch key has not arrived.
    #[error("this timeline cannot be written yet: sync with its relay first")]
    NotReady,
    /// [`Timeline::must_reread`].
    #[error("this timeline must be read again from its store first; start the node anew")]
    Stale,
    /// Two used one invite, and the other one counts; or this principal has too many devices.
    #[error(
        "someone else has used your invite to this timeline, or you have used more than 16 devices and restored folders in it; ask for another invite"
    )]
    Superseded,
    /// Whoever came by a link for readers.
    #[error("you may read this timeline and not write in it: ask an admin for another invite")]
    ReadOnly,
    /// Only the author of a message edits or deletes it.
    #[error("message {0} was written by someone else; only its author may change it")]
    NotYours(MessageId),
    /// Only admins invite.
    #[error("you may not invite to this timeline")]
    NotAdmin(#[source] Refusal),
    /// Only admins say which relays a timeline has.
    #[error(
        "only an admin of the timeline adds a relay to it or takes one away; ask one, or follow it by a new link"
    )]
    NotMover(#[source] Refusal),
    /// The drafts.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// Sealing.
    #[error("the envelope cannot be sealed; write less at once")]
    Seal(#[source] SealError),
    /// The grant.
    #[error("the invite would not count")]
    Admission(#[source] AdmissionError),
    /// The timeline has as many epochs as it may have.
    #[error("the timeline has too many epochs; open a new one")]
    EpochsFull,
    /// The invite.
    #[error("the invite cannot be made")]
    Invite(#[source] InviteError),
    /// The newcomer's keys.
    #[error("the keys for the invite cannot be made")]
    Mint(#[source] MintError),
}

/// Whom an invite lets in.
#[derive(Clone, Copy, Debug)]
pub struct InviteTerms<'a> {
    /// What relays let the joiner do.
    pub rights: Rights,
    /// What the joiner is to the other members.
    pub role: Role,
    /// Until when the invite can be used; 0 = for ever.
    pub expiry: UnixMillis,
    /// The relay's policy class.
    pub quota_class: u8,
    /// For one user only; none makes an open invite.
    pub target: Option<&'a UserCard>,
}

impl Timeline {
    /// Writes drafts as one envelope and shows them here at once. The envelope is to
    /// be stored and sent; [`super::limits::DRAFT_BYTES_MAX`] and
    /// [`super::limits::DRAFTS_PER_ENVELOPE_MAX`] say what fits one.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is changed then.
    pub fn write(
        &mut self,
        drafts: &[Draft],
        now: UnixMillis,
        random: &mut dyn CryptoRng,
    ) -> Result<VerifiedEnvelope, WriteError> {
        self.check_ready()?;
        self.check_ownership(drafts)?;
        if drafts.iter().any(|it| matches!(it, Draft::Relay { .. })) {
            self.check_mover(now)?;
        }
        let (epoch_id, _) = self.epochs.current().ok_or(WriteError::NotReady)?;
        let lineage = if self.history() == Some(History::Full) {
            EpochId::ZERO
        } else {
            epoch_id
        };
        let author = self.author;
        let sections = self.pages.compose(&author, lineage, drafts, now)?;
        let plaintext = ChangePlaintext {
            clock: now,
            auth_heads: self.cited_auth_heads(),
            sections,
        };
        let request = SealRequest {
            epoch_id,
            refs: media(drafts),
            ..self.request(Kind::Change)
        };
        let named = self.named_auth_heads();
        let compact = compact::write::write(&author, &epoch_id, &plaintext, &named);
        let raw;
        let parts = match &compact {
            Some(compact) => compact.parts(),
            None => {
                raw = plaintext.encode();
                Parts::of_text(&raw)
            }
        };
        self.seal_content(request, parts, random)
    }

    /// Tells what was received and shown since my last receipt; None when nothing
    /// was (see [`Timeline::pending_receipt`]).
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write_receipt(
        &mut self,
        random: &mut dyn CryptoRng,
    ) -> Result<Option<VerifiedEnvelope>, WriteError> {
        if !self.pending_receipt() {
            return Ok(None);
        }
        match self.check_ready() {
            Err(WriteError::ReadOnly) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        let (epoch_id, _) = self.epochs.current().ok_or(WriteError::NotReady)?;
        let receipt = self.receipts.compose(
            &self.principal,
            |author| self.is_mine(author),
            |author| self.pages.first_unshown(author),
        );
        let request = SealRequest {
            epoch_id,
            ..self.request(Kind::Receipt)
        };
        let receipt = receipt.encode();
        self.seal_content(request, Parts::of_text(&receipt), random)
            .map(Some)
    }

    /// Makes an invite: the envelopes to be stored and sent, in this order, and what
    /// goes into the link.
    ///
    /// # Errors
    /// [`WriteError`]; needs the right to administrate. Nothing is changed then.
    pub fn invite(
        &mut self,
        terms: &InviteTerms<'_>,
        now: UnixMillis,
        random: &mut dyn CryptoRng,
    ) -> Result<(Vec<VerifiedEnvelope>, InvitePayload), WriteError> {
        self.check_ready()?;
        let admission = self.admission.as_ref().ok_or(WriteError::NotReady)?;
        admission
            .judge(&self.author, Rights::ADMIN, now)
            .map_err(WriteError::NotAdmin)?;
        let (history, public_key) = (
            admission.history(),
            admission.public_key().map(EpochKey::from_seed),
        );
        let recipients: Vec<_> = admission
            .principals()
            .filter(|(_, rights)| rights.contains(Rights::READ))
            .filter_map(|(principal, _)| admission.inbox_of(&principal))
            // One member with a weak key must not keep everybody from a new epoch
            // (`TimelineEvent::WeakInbox` has told of it).
            .filter(|inbox| is_usable_public_key(inbox.as_bytes()))
            .collect();
        let request = InviteRequest {
            timeline: self.timeline,
            rights: terms.rights,
            role: terms.role,
            expiry: terms.expiry,
            quota_class: terms.quota_class,
            target: terms.target,
        };
        let invite = create_invite(&request, random).map_err(WriteError::Invite)?;

        let (epoch_id, key) = self
            .epochs
            .current()
            .map(|(id, key)| (id, key.control()))
            .ok_or(WriteError::NotReady)?;
        let request = SealRequest {
            epoch_id,
            ..self.request(Kind::AuthOp)
        };
        let grant = seal::seal_auth_op(
            request,
            &invite.ops,
            Some((&key, &invite.sealed_ops)),
            &self.secrets.author,
            bytes(random),
        )
        .map_err(WriteError::Seal)?;
        // Nothing is received before all of it is made: a grant without its keys would let
        // somebody in who can read nothing.
        let mut admission = admission.clone();
        admission.merge(&grant).map_err(WriteError::Admission)?;
        let mut auth_heads = self.auth_heads.clone();
        note_auth_head(&mut auth_heads, &grant);

        let parents: Vec<_> = self
            .epochs
            .maximal()
            .into_iter()
            .map(|(id, key)| (id, ParentKey::Epoch(key.clone())))
            .collect();
        let auth_heads: Vec<_> = auth_heads.into_values().map(|(_, id)| id).collect();
        let epochs = MintRequest {
            timeline: self.timeline,
            history,
            parents: &parents,
            auth_heads: &auth_heads,
            minter: self.principal,
            recipients: &recipients,
            public_key: public_key.as_ref(),
        };
        let newcomer = admit_inbox(&epochs, invite.secret.inbox().public(), random)
            .map_err(WriteError::Mint)?;
        if newcomer.minted.is_some() && self.epochs.is_full() {
            return Err(WriteError::EpochsFull);
        }
        let mut head = (grant.seq(), grant.id());
        let mut envelopes = vec![grant];
        for op in &newcomer.ops {
            let request = SealRequest {
                seq: head.0.next(),
                prev: head.1,
                ..self.request(Kind::KeyOp)
            };
            let envelope =
                seal::seal_key_op(request, op, &self.secrets.author).map_err(WriteError::Seal)?;
            head = (envelope.seq(), envelope.id());
            envelopes.push(envelope);
        }
        self.receive_all(envelopes.iter().cloned());
        Ok((envelopes, invite.payload))
    }

    pub(super) fn check_ready(&self) -> Result<(), WriteError> {
        if self.is_superseded() {
            return Err(WriteError::Superseded);
        }
        if self.is_stale {
            return Err(WriteError::Stale);
        }
        match (self.is_ready(), self.can_acknowledge()) {
            (true, _) => Ok(()),
            (false, true) => Err(WriteError::ReadOnly),
            (false, false) => Err(WriteError::NotReady),
        }
    }

    fn check_ownership(&self, drafts: &[Draft]) -> Result<(), WriteError> {
        for draft in drafts {
            let (Draft::Edit { target, .. } | Draft::Delete { target }) = draft else {
                continue;
            };
            let message = self
                .message(target)
                .ok_or(ComposeError::UnknownMessage(*target))?;
            if message.principal != Some(self.principal) {
                return Err(WriteError::NotYours(*target));
            }
        }
        Ok(())
    }

    fn seal_content(
        &mut self,
        request: SealRequest,
        plaintext: Parts<'_>,
        random: &mut dyn CryptoRng,
    ) -> Result<VerifiedEnvelope, WriteError> {
        let key = self
            .epochs
            .key(&request.epoch_id)
            .ok_or(WriteError::NotReady)?;
        let envelope =
            seal::seal_parts(request, key, plaintext, &self.secrets.author, bytes(random))
                .map_err(WriteError::Seal)?;
        self.receive(&envelope);
        Ok(envelope)
    }

    /// My next envelope, under no epoch yet.
    pub(super) fn request(&self, kind: Kind) -> SealRequest {
        SealRequest {
            kind,
            timeline: self.timeline,
            seq: self.next_seq(),
            prev: self.head.1,
            epoch_id: EpochId::ZERO,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        }
    }

    /// The newest auth-ops that I know, as far as a plaintext or a manifest holds them.
    fn cited_auth_heads(&self) -> Vec<EnvelopeId> {
        self.auth_heads.values().map(|(_, id)| *id).collect()
    }

    /// Of these, the ones that a reader does not take for granted: every writer knows the
    /// genesis, and what it wrote itself.
    fn named_auth_heads(&self) -> Vec<EnvelopeId> {
        let genesis = AuthorKey::from_bytes(*self.timeline.as_bytes());
        let heads = self.auth_heads.iter();
        heads
            .filter(|(author, _)| **author != genesis && **author != self.author)
            .map(|(_, (_, id))| *id)
            .collect()
    }
}

/// Media that the envelope names, so that a relay keeps them as long.
fn media(drafts: &[Draft]) -> Vec<MediaRootId> {
    let mut roots: Vec<MediaRootId> = drafts
        .iter()
        .flat_map(|draft| match draft {
            Draft::Message { attachments, .. } => attachments.as_slice(),
            Draft::Edit { .. }
            | Draft::Delete { .. }
            | Draft::React { .. }
            | Draft::Unreact { .. }
            | Draft::Title(_)
            | Draft::Nickname(_)
            | Draft::Leave
            | Draft::Relay { .. }
            | Draft::Pin { .. } => &[],
        })
        .copied()
        .collect();
    roots.sort_unstable();
    roots.dedup();
    roots.truncate(REFS_MAX);
    roots
}

pub(super) fn bytes(random: &mut dyn CryptoRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    bytes
}
