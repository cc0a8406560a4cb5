//! From an invite to membership: what the inviter writes, and the joiner's first act.

use khlong_crdt::address::InvitePayload;
use khlong_crdt::admission::{ClearOp, History, Rights};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{EpochId, InboxKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use rand_core::CryptoRng;

use super::key_op::KeyOp;
use super::manifest::ParentKey;
use super::mint::{MintError, MintRequest, mint};
use super::opening::{clear_auth_op, introduction};
use super::role::{Role, SealedOp, encode_sealed_ops};
use super::secrets::TimelineSecrets;
use crate::keys::author::AuthorSecret;
use crate::keys::epoch::EpochKey;
use crate::keys::inbox::InboxSecret;
use crate::keys::invite::{InviteError, InviteSecret};
use crate::keys::principal::PrincipalSecret;
use crate::keys::user::UserCard;

/// Whom an invite lets in, and as what.
#[derive(Debug)]
pub struct InviteRequest<'a> {
    /// Where to.
    pub timeline: TimelineId,
    /// What the joiner may do at relays.
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

/// A new invite. It works once an auth-op with `ops` (and `sealed_ops` sealed under
/// K_C) and the key-ops of [`admit_inbox`] are published.
#[derive(Debug)]
pub struct NewInvite {
    /// The secret behind it.
    pub secret: InviteSecret,
    /// What goes into the link.
    pub payload: InvitePayload,
    /// The clear part of the auth-op: grants the one-use principal.
    pub ops: Vec<ClearOp>,
    /// The plaintext of its sealed part: the role.
    pub sealed_ops: Vec<u8>,
}

/// Makes an invite.
///
/// # Errors
/// [`InviteError`] when the card's key cannot be sealed to.
pub fn create_invite(
    request: &InviteRequest<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<NewInvite, InviteError> {
    let secret = InviteSecret::generate(rng);
    let payload = match request.target {
        Some(card) => secret.targeted_payload(request.timeline, card, rng)?,
        None => secret.open_payload(),
    };
    let principal = secret.principal().public();
    let ops = vec![ClearOp::Grant {
        principal,
        rights: request.rights,
        expiry: request.expiry,
        quota_class: request.quota_class,
        one_use: true,
    }];
    let role = SealedOp::Role {
        principal,
        role: request.role,
    };
    let sealed_ops = encode_sealed_ops(&[role]).expect("one op of 33 bytes");
    Ok(NewInvite {
        secret,
        payload,
        ops,
        sealed_ops,
    })
}

/// How a newcomer's inbox gets to read.
#[derive(Debug)]
pub struct NewcomerKeys {
    /// To be published, one envelope each, after the auth-op that grants.
    pub ops: Vec<KeyOp>,
    /// The new epoch, where one was minted.
    pub minted: Option<(EpochId, EpochKey)>,
}

/// The key-ops that let `inbox` read. `epochs` describes the mint that would merge
/// all maximal epochs, without the newcomer; its `auth_heads` contain the auth-op
/// that grants.
///
/// In `full` timelines each of these epochs is granted, and the past follows from
/// their manifests. In the others a new epoch begins, so that the newcomer reads
/// nothing older than the invite. In public ones there is nothing to give.
///
/// # Errors
/// [`MintError`].
pub fn admit_inbox(
    epochs: &MintRequest<'_>,
    inbox: InboxKey,
    rng: &mut dyn CryptoRng,
) -> Result<NewcomerKeys, MintError> {
    if epochs.public_key.is_some() {
        return Ok(NewcomerKeys {
            ops: Vec::new(),
            minted: None,
        });
    }
    match epochs.history {
        History::Full => {
            let ops = grant_each(epochs, inbox, rng)?;
            Ok(NewcomerKeys { ops, minted: None })
        }
        History::SinceJoin | History::Ephemeral => {
            let recipients = [epochs.recipients, &[inbox]].concat();
            let minted = mint(
                &MintRequest {
                    recipients: &recipients,
                    ..*epochs
                },
                rng,
            )?;
            let ops = vec![minted.op];
            Ok(NewcomerKeys {
                ops,
                minted: Some((minted.epoch_id, minted.key)),
            })
        }
    }
}

fn grant_each(
    epochs: &MintRequest<'_>,
    inbox: InboxKey,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<KeyOp>, MintError> {
    let mut ops = Vec::with_capacity(epochs.parents.len());
    for (id, key) in epochs.parents {
        match key {
            ParentKey::Epoch(key) => {
                let op = KeyOp::grant(epochs.timeline, *id, key, &[inbox], rng)
                    .map_err(MintError::Wrap)?;
                ops.push(op);
            }
            // Whoever holds that K_E grants it.
            ParentKey::Control(_) => {}
        }
    }
    Ok(ops)
}

/// A joiner's keys and first envelope.
#[derive(Debug)]
pub struct JoinedTimeline {
    /// Fresh keys, which nobody else knows; the invite beside them.
    pub secrets: TimelineSecrets,
    /// Handover, author and inbox in one auth-op.
    pub envelopes: Vec<VerifiedEnvelope>,
}

/// Joins: makes a principal, and hands the invite's place over to it.
#[must_use]
pub fn join(
    timeline: TimelineId,
    invite: &InviteSecret,
    rng: &mut dyn CryptoRng,
) -> JoinedTimeline {
    let secrets = TimelineSecrets {
        timeline,
        principal: PrincipalSecret::generate(rng),
        inbox: InboxSecret::generate(rng),
        author: AuthorSecret::generate(rng),
        invite: Some(invite.clone()),
    };
    let one_use = invite.principal();
    let (from, to) = (one_use.public(), secrets.principal.public());
    let handover = ClearOp::Handover {
        from,
        to,
        from_signature: one_use.sign_handover(timeline, from, to),
        to_signature: secrets.principal.sign_handover(timeline, from, to),
    };
    let [author, inbox] = introduction(&secrets);
    let envelope = clear_auth_op(&secrets.author, timeline, &[handover, author, inbox]);
    JoinedTimeline {
        secrets,
        envelopes: vec![envelope],
    }
}
