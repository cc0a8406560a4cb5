//! How a timeline begins: three envelopes that its first admin writes.
//!
//! 1. the genesis, signed by the timeline's key, which is then erased;
//! 2. the admin's first envelope, which certifies its author key and inbox key;
//! 3. the first epoch.
//!
//! The first admin is the owner because the genesis names it: a sealed role would
//! have to lie under the first epoch, whose manifest cites these auth-ops.

use khlong_crdt::admission::{ClearOp, History, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use rand_core::CryptoRng;

use super::mint::{MintRequest, mint};
use super::secrets::TimelineSecrets;
use crate::keys::author::AuthorSecret;
use crate::keys::epoch::EpochKey;
use crate::keys::inbox::InboxSecret;
use crate::keys::principal::PrincipalSecret;
use crate::seal::{SealRequest, seal_auth_op, seal_key_op};

/// A new timeline.
#[derive(Debug)]
pub struct OpenedTimeline {
    /// Its id.
    pub timeline: TimelineId,
    /// The first admin's keys.
    pub secrets: TimelineSecrets,
    /// Genesis, introduction, mint: to be stored and sent in this order.
    pub envelopes: Vec<VerifiedEnvelope>,
}

/// Opens a timeline. The timeline's own key does not survive this call.
#[must_use]
pub fn open_timeline(
    kind: TimelineKind,
    history: History,
    rng: &mut dyn CryptoRng,
) -> OpenedTimeline {
    let timeline_key = AuthorSecret::generate(rng);
    let timeline = TimelineId::from_bytes(*timeline_key.public().as_bytes());
    let secrets = TimelineSecrets {
        timeline,
        principal: PrincipalSecret::generate(rng),
        inbox: InboxSecret::generate(rng),
        author: AuthorSecret::generate(rng),
        invite: None,
    };
    let public_key = (kind == TimelineKind::Public).then(|| EpochKey::generate(rng));
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    let genesis = ClearOp::Genesis {
        kind,
        history,
        admin: secrets.principal.public(),
        public_key: public_key.as_ref().map(|key| *key.seed()),
        nonce,
    };
    let genesis = clear_auth_op(&timeline_key, timeline, &[genesis]);
    let intro = clear_auth_op(&secrets.author, timeline, &introduction(&secrets));
    let auth_heads = [genesis.id(), intro.id()];
    let mint = first_epoch(&secrets, history, public_key.as_ref(), &auth_heads, rng);
    OpenedTimeline {
        timeline,
        secrets,
        envelopes: vec![genesis, intro, mint],
    }
}

/// The ops by which a principal makes its author key and inbox key known.
pub(super) fn introduction(secrets: &TimelineSecrets) -> [ClearOp; 2] {
    let TimelineSecrets {
        timeline,
        principal,
        inbox,
        author,
        ..
    } = secrets;
    let (author, inbox) = (author.public(), inbox.public());
    [
        ClearOp::Author {
            principal: principal.public(),
            author,
            signature: principal.certify_author(*timeline, author),
        },
        ClearOp::Inbox {
            principal: principal.public(),
            inbox,
            signature: principal.certify_inbox(*timeline, inbox),
        },
    ]
}

/// An author's first envelope, with no sealed part.
pub(super) fn clear_auth_op(
    author: &AuthorSecret,
    timeline: TimelineId,
    ops: &[ClearOp],
) -> VerifiedEnvelope {
    let request = request(Kind::AuthOp, timeline, Seq::FIRST, EnvelopeId::ZERO);
    seal_auth_op(request, ops, None, author, [0; 32]).expect("a few ops fit an envelope")
}

fn first_epoch(
    secrets: &TimelineSecrets,
    history: History,
    public_key: Option<&EpochKey>,
    auth_heads: &[EnvelopeId; 2],
    rng: &mut dyn CryptoRng,
) -> VerifiedEnvelope {
    let own_inbox = [secrets.inbox.public()];
    // Everyone reads the key of a public timeline in its genesis: nobody needs a wrap.
    let recipients = if public_key.is_some() {
        &[][..]
    } else {
        &own_inbox[..]
    };
    let minted = mint(
        &MintRequest {
            timeline: secrets.timeline,
            history,
            parents: &[],
            auth_heads,
            minter: secrets.principal.public(),
            recipients,
            public_key,
        },
        rng,
    )
    .expect("one recipient, whose key was made here");
    let [_, intro] = *auth_heads;
    let request = request(Kind::KeyOp, secrets.timeline, Seq::FIRST.next(), intro);
    seal_key_op(request, &minted.op, &secrets.author).expect("one wrap fits an envelope")
}

fn request(kind: Kind, timeline: TimelineId, seq: Seq, prev: EnvelopeId) -> SealRequest {
    let expiry = Expiry::Keep;
    SealRequest {
        kind,
        timeline,
        seq,
        prev,
        epoch_id: EpochId::ZERO,
        expiry,
        refs: Vec::new(),
    }
}
