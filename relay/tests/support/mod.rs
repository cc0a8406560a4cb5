//! Timelines and clients for the tests of the relay: real sessions, real signatures.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    unreachable_pub,
    reason = "a module of tests is reached by its test file only"
)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one event of many"
)]

pub mod client;
pub mod operator;
pub mod process;
pub mod served;
#[cfg(unix)]
pub mod user;
pub mod virtual_world;

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use khlong_crdt::admission::{AuthBody, ClearOp, History, Rights, TimelineKind};
use khlong_crdt::class::Class;
use khlong_crdt::context::{SIGN_AUTHOR, SIGN_INBOX};
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, InboxKey, PrincipalKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_sync::session::proof::proof_bytes;

/// A timeline with one admin and members that it admitted.
pub struct Timeline {
    pub genesis: VerifiedEnvelope,
}

/// One author of a timeline and the head of its chain.
pub struct Author {
    pub timeline: TimelineId,
    pub key: SigningKey,
    principal: SigningKey,
    seq: Seq,
    prev: EnvelopeId,
}

fn secret(seed: u64, what: &str) -> SigningKey {
    let mut hasher = blake3::Hasher::new_derive_key("khlong relay tests");
    hasher.update(&seed.to_be_bytes()).update(what.as_bytes());
    SigningKey::from_bytes(hasher.finalize().as_bytes())
}

fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

/// Opens timeline number `seed`: genesis, and the admin's introduction.
pub fn open(seed: u64) -> (Timeline, Author, VerifiedEnvelope) {
    let timeline_key = secret(seed, "timeline");
    let id = TimelineId::from_bytes(public(&timeline_key));
    let principal = secret(seed, "admin");
    let genesis = ClearOp::Genesis {
        kind: TimelineKind::Group,
        history: History::Full,
        admin: PrincipalKey::from_bytes(public(&principal)),
        public_key: None,
        nonce: [7; 16],
    };
    let body = AuthBody::encode(&[genesis], &[]).unwrap();
    let prefix = prefix(
        Kind::AuthOp,
        id,
        &timeline_key,
        Seq(1),
        EnvelopeId::from_bytes([0; 32]),
    );
    let genesis = VerifiedEnvelope::sign(prefix, [0; 24], &body, &timeline_key).unwrap();
    let mut admin = Author::new(id, secret(seed, "admin author"), principal);
    let intro = admin.introduce();
    (Timeline { genesis }, admin, intro)
}

fn prefix(
    kind: Kind,
    timeline: TimelineId,
    key: &SigningKey,
    seq: Seq,
    prev: EnvelopeId,
) -> Prefix {
    let epoch = if kind.needs_epoch() { [9; 32] } else { [0; 32] };
    Prefix {
        kind,
        timeline,
        author: AuthorKey::from_bytes(public(key)),
        seq,
        prev,
        epoch: EpochId::from_bytes(epoch),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    }
}

impl Author {
    fn new(timeline: TimelineId, key: SigningKey, principal: SigningKey) -> Self {
        Self {
            timeline,
            key,
            principal,
            seq: Seq(0),
            prev: EnvelopeId::from_bytes([0; 32]),
        }
    }

    pub fn author(&self) -> AuthorKey {
        AuthorKey::from_bytes(public(&self.key))
    }

    pub fn principal(&self) -> PrincipalKey {
        PrincipalKey::from_bytes(public(&self.principal))
    }

    /// The first envelope of every author.
    pub fn introduce(&mut self) -> VerifiedEnvelope {
        let (principal, author) = (self.principal(), self.author());
        let message = [
            SIGN_AUTHOR,
            self.timeline.as_bytes(),
            principal.as_bytes(),
            author.as_bytes(),
        ]
        .concat();
        let signature = self.principal.sign(&message).to_bytes();
        self.auth_op(&[ClearOp::Author {
            principal,
            author,
            signature,
        }])
    }

    /// A member that this admin admits: its author, and the grant to send before its introduction.
    pub fn admit(&mut self, seed: u64) -> (Author, VerifiedEnvelope) {
        let member = Author::new(
            self.timeline,
            secret(seed, "member author"),
            secret(seed, "member"),
        );
        let grant = ClearOp::Grant {
            principal: member.principal(),
            rights: Rights::MEMBER,
            expiry: UnixMillis(0),
            quota_class: 0,
            one_use: false,
        };
        let grant = self.auth_op(&[grant]);
        (member, grant)
    }

    pub fn revoke(&mut self, principal: PrincipalKey) -> VerifiedEnvelope {
        self.auth_op(&[ClearOp::Revoke {
            principal,
            cuts: Vec::new(),
        }])
    }

    pub fn auth_op(&mut self, ops: &[ClearOp]) -> VerifiedEnvelope {
        let body = AuthBody::encode(ops, &[]).unwrap();
        self.seal(Kind::AuthOp, &body)
    }

    /// The same with a part that only members can read.
    pub fn auth_op_with(&mut self, ops: &[ClearOp], sealed: &[u8]) -> VerifiedEnvelope {
        let body = AuthBody::encode(ops, sealed).unwrap();
        self.seal(Kind::AuthOp, &body)
    }

    /// Where epoch keys for this member are wrapped to.
    pub fn inbox(&self, n: u8) -> ClearOp {
        let (principal, inbox) = (self.principal(), InboxKey::from_bytes([n; 32]));
        let message = [
            SIGN_INBOX,
            self.timeline.as_bytes(),
            principal.as_bytes(),
            inbox.as_bytes(),
        ]
        .concat();
        let signature = self.principal.sign(&message).to_bytes();
        ClearOp::Inbox {
            principal,
            inbox,
            signature,
        }
    }

    /// A change with this body, as bytes that the relay cannot read anyway.
    pub fn write(&mut self, body: &[u8]) -> VerifiedEnvelope {
        self.seal(Kind::Change, body)
    }

    /// Another envelope of the last number: a fork.
    pub fn fork(&self, body: &[u8], prev: EnvelopeId) -> VerifiedEnvelope {
        let prefix = prefix(Kind::Change, self.timeline, &self.key, self.seq, prev);
        VerifiedEnvelope::sign(prefix, [1; 24], body, &self.key).unwrap()
    }

    pub fn head(&self) -> EnvelopeId {
        self.prev
    }

    pub fn proof(&self, exporter: &[u8; 32]) -> [u8; 64] {
        self.key
            .sign(&proof_bytes(exporter, &self.timeline, &self.author()))
            .to_bytes()
    }

    fn seal(&mut self, kind: Kind, body: &[u8]) -> VerifiedEnvelope {
        self.write_for(Expiry::Keep, kind, body)
    }

    /// An envelope that asks to be kept for a while.
    pub fn write_for(&mut self, expiry: Expiry, kind: Kind, body: &[u8]) -> VerifiedEnvelope {
        let seq = self.seq.next();
        let mut prefix = prefix(kind, self.timeline, &self.key, seq, self.prev);
        prefix.expiry = expiry;
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&seq.get().to_be_bytes());
        let envelope = VerifiedEnvelope::sign(prefix, nonce, body, &self.key).unwrap();
        self.seq = seq;
        self.prev = envelope.id();
        envelope
    }
}

/// What a client has received: (class, arrival) → id, and whether anything came twice.
#[derive(Default)]
pub struct Inbox {
    pub ids: BTreeMap<(Class, u64), EnvelopeId>,
    pub envelopes: BTreeMap<EnvelopeId, VerifiedEnvelope>,
    pub behind: u32,
    pub order_broken: bool,
    last: BTreeMap<Class, u64>,
}

impl Inbox {
    pub fn take(&mut self, class: Class, arrival: u64, id: EnvelopeId, in_stream: bool) {
        assert!(
            self.ids.insert((class, arrival), id).is_none(),
            "arrival {arrival} came twice"
        );
        if in_stream {
            let last = self.last.entry(class).or_default();
            self.order_broken |= arrival <= *last;
            *last = arrival;
        }
    }

    pub fn texts(&self) -> Vec<EnvelopeId> {
        self.ids
            .iter()
            .filter(|((class, _), _)| *class == Class::Text)
            .map(|(_, id)| *id)
            .collect()
    }
}
