//! A small timeline built by hand: fixed keys, real signatures, no sealing.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it, and a test stops at the first surprise"
)]

pub(crate) mod group;

use ed25519_dalek::{Signer, SigningKey};
use khlong_crdt::{
    admission::{AuthBody, ClearOp, Cut, History, Rights, TimelineKind},
    context::{SIGN_AUTHOR, SIGN_HANDOVER, SIGN_INBOX},
    envelope::{Expiry, Kind, Prefix, VerifiedEnvelope},
    id::{AuthorKey, EnvelopeId, EpochId, InboxKey, PrincipalKey, Seq, TimelineId},
    time::UnixMillis,
};

/// A key from a name: the same in every run.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&bytes(name))
}

/// 32 bytes from a name.
pub(crate) fn bytes(name: &str) -> [u8; 32] {
    blake3::derive_key("khlong.network 2026-11 test bytes v1", name.as_bytes())
}

pub(crate) fn principal(name: &str) -> PrincipalKey {
    PrincipalKey::from_bytes(key(name).verifying_key().to_bytes())
}

pub(crate) fn timeline() -> TimelineId {
    TimelineId::from_bytes(key("timeline").verifying_key().to_bytes())
}

/// A prefix at the start of `author`'s chain.
pub(crate) fn prefix(kind: Kind, author: &SigningKey) -> Prefix {
    Prefix {
        kind,
        timeline: timeline(),
        author: AuthorKey::from_bytes(author.verifying_key().to_bytes()),
        seq: Seq::FIRST,
        prev: EnvelopeId::ZERO,
        epoch: if kind.needs_epoch() {
            EpochId::from_bytes(bytes("epoch"))
        } else {
            EpochId::ZERO
        },
        expiry: Expiry::Keep,
        refs: Vec::new(),
    }
}

pub(crate) fn genesis_of(kind: TimelineKind) -> VerifiedEnvelope {
    let op = ClearOp::Genesis {
        kind,
        history: History::Full,
        admin: principal("owner"),
        public_key: (kind == TimelineKind::Public).then(|| bytes("public key")),
        nonce: [7; 16],
    };
    let signer = key("timeline");
    let body = AuthBody::encode(&[op], &[]).unwrap();
    VerifiedEnvelope::sign(prefix(Kind::AuthOp, &signer), [0; 24], &body, &signer).unwrap()
}

pub(crate) fn genesis() -> VerifiedEnvelope {
    genesis_of(TimelineKind::Group)
}

pub(crate) fn grant(name: &str, rights: Rights) -> ClearOp {
    ClearOp::Grant {
        principal: principal(name),
        rights,
        expiry: UnixMillis(0),
        quota_class: 0,
        one_use: false,
    }
}

pub(crate) fn invite(name: &str, rights: Rights, expiry: i64) -> ClearOp {
    ClearOp::Grant {
        principal: principal(name),
        rights,
        expiry: UnixMillis(expiry),
        quota_class: 3,
        one_use: true,
    }
}

pub(crate) fn revoke(name: &str, cuts: &[Cut]) -> ClearOp {
    ClearOp::Revoke {
        principal: principal(name),
        cuts: cuts.to_vec(),
    }
}

pub(crate) fn certificate(principal_name: &str, author: &SigningKey) -> ClearOp {
    let author = AuthorKey::from_bytes(author.verifying_key().to_bytes());
    let principal = principal(principal_name);
    let statement = statement(SIGN_AUTHOR, &principal, author.as_bytes());
    ClearOp::Author {
        principal,
        author,
        signature: key(principal_name).sign(&statement).to_bytes(),
    }
}

pub(crate) fn inbox(principal_name: &str, inbox: [u8; 32]) -> ClearOp {
    let principal = principal(principal_name);
    let statement = statement(SIGN_INBOX, &principal, &inbox);
    ClearOp::Inbox {
        principal,
        inbox: InboxKey::from_bytes(inbox),
        signature: key(principal_name).sign(&statement).to_bytes(),
    }
}

pub(crate) fn handover(from: &str, to: &str) -> ClearOp {
    let statement = statement(SIGN_HANDOVER, &principal(from), principal(to).as_bytes());
    ClearOp::Handover {
        from: principal(from),
        to: principal(to),
        from_signature: key(from).sign(&statement).to_bytes(),
        to_signature: key(to).sign(&statement).to_bytes(),
    }
}

fn statement(domain: &[u8], first: &PrincipalKey, second: &[u8; 32]) -> Vec<u8> {
    [domain, timeline().as_bytes(), first.as_bytes(), second].concat()
}

/// One author's chain.
pub(crate) struct Chain {
    pub(crate) key: SigningKey,
    pub(crate) seq: Seq,
    pub(crate) head: EnvelopeId,
}

impl Chain {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            key: key(name),
            seq: Seq::ZERO,
            head: EnvelopeId::ZERO,
        }
    }

    /// A chain whose first envelope certifies it for the principal of the same name.
    pub(crate) fn introduced(principal_name: &str, device: &str) -> (Self, VerifiedEnvelope) {
        let mut chain = Self::new(&format!("{principal_name}/{device}"));
        let ops = [
            certificate(principal_name, &chain.key),
            inbox(principal_name, bytes(&format!("inbox of {principal_name}"))),
        ];
        let first = chain.auth(&ops);
        (chain, first)
    }

    /// The chain of a joiner, whose first envelope takes over an invite.
    pub(crate) fn joined(invite: &str, name: &str) -> (Self, VerifiedEnvelope) {
        let mut chain = Self::new(&format!("{name}/phone"));
        let ops = [
            handover(invite, name),
            certificate(name, &chain.key),
            inbox(name, bytes(&format!("inbox of {name}"))),
        ];
        let first = chain.auth(&ops);
        (chain, first)
    }

    pub(crate) fn author(&self) -> AuthorKey {
        AuthorKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// Where the chain stands.
    pub(crate) fn cut(&self) -> Cut {
        Cut {
            author: self.author(),
            seq: self.seq,
            id: self.head,
        }
    }

    pub(crate) fn auth(&mut self, ops: &[ClearOp]) -> VerifiedEnvelope {
        self.write(Kind::AuthOp, &AuthBody::encode(ops, &[]).unwrap())
    }

    pub(crate) fn write(&mut self, kind: Kind, body: &[u8]) -> VerifiedEnvelope {
        let prefix = Prefix {
            seq: self.seq.next(),
            prev: self.head,
            ..prefix(kind, &self.key)
        };
        let envelope = VerifiedEnvelope::sign(prefix, [0; 24], body, &self.key).unwrap();
        self.seq = envelope.seq();
        self.head = envelope.id();
        envelope
    }
}
