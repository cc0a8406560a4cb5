//! Sessions in pairs: both ends, their owners, and the bytes between them, in virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of the harness"
)]

pub mod link;
pub mod owners;
pub mod pair;
pub mod replica;
pub mod testdata;

use std::cell::RefCell;
use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, RelayKey, Seq, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_sync::wire::frame::{Ack, AckReceipt};

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn author(seed: u8) -> AuthorKey {
    AuthorKey::from_bytes(key(seed).verifying_key().to_bytes())
}

pub fn relay_key() -> SigningKey {
    key(200)
}

pub fn relay() -> RelayKey {
    RelayKey::from_bytes(relay_key().verifying_key().to_bytes())
}

pub fn timeline(n: u8) -> TimelineId {
    TimelineId::from_bytes([n; 32])
}

/// An envelope whose content is of no concern to a session, behind the author's
/// [`change`] before that place.
pub fn envelope(kind: Kind, tl: TimelineId, seed: u8, seq: u64, body: &[u8]) -> VerifiedEnvelope {
    let [n, ..] = *tl.as_bytes();
    let prev = match seq {
        1 => EnvelopeId::ZERO,
        seq => change(n, seed, seq - 1).id(),
    };
    sealed(kind, tl, seed, (seq, prev), body)
}

/// All of one author, each behind the one before.
pub fn chain(tl: TimelineId, seed: u8, bodies: &[Vec<u8>]) -> Vec<VerifiedEnvelope> {
    let mut last = EnvelopeId::ZERO;
    let bodies = (1..).zip(bodies);
    bodies
        .map(|(seq, body)| {
            let next = sealed(Kind::Change, tl, seed, (seq, last), body);
            last = next.id();
            next
        })
        .collect()
}

fn sealed(
    kind: Kind,
    tl: TimelineId,
    seed: u8,
    (seq, prev): (u64, EnvelopeId),
    body: &[u8],
) -> VerifiedEnvelope {
    let prefix = Prefix {
        kind,
        timeline: tl,
        author: author(seed),
        seq: Seq(seq),
        prev,
        epoch: EpochId::from_bytes([9; 32]),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    VerifiedEnvelope::sign(prefix, [3; 24], body, &key(seed)).unwrap()
}

thread_local! {
    static CHAINS: RefCell<BTreeMap<(u8, u8), Vec<VerifiedEnvelope>>> = const {
        RefCell::new(BTreeMap::new())
    };
}

fn body_of(seed: u8, seq: u64) -> Vec<u8> {
    format!("change {seq} of {seed}").into_bytes()
}

/// The change of author `seed` in timeline `n` at place `seq`, in a true chain of such changes.
pub fn change(n: u8, seed: u8, seq: u64) -> VerifiedEnvelope {
    CHAINS.with_borrow_mut(|chains| {
        let chain = chains.entry((n, seed)).or_default();
        let place = usize::try_from(seq - 1).unwrap();
        while chain.len() <= place {
            let prev = chain.last().map_or(EnvelopeId::ZERO, VerifiedEnvelope::id);
            let next = chain.len() as u64 + 1;
            let body = body_of(seed, next);
            chain.push(sealed(Kind::Change, timeline(n), seed, (next, prev), &body));
        }
        chain.get(place).cloned().unwrap()
    })
}

/// With no true envelope before it: as in the frozen bytes, which are from before there were chains.
pub mod detached {
    use super::*;

    /// See [`super::envelope`].
    pub fn envelope(
        kind: Kind,
        tl: TimelineId,
        seed: u8,
        seq: u64,
        body: &[u8],
    ) -> VerifiedEnvelope {
        let prev = if seq == 1 {
            EnvelopeId::ZERO
        } else {
            EnvelopeId::from_bytes([7; 32])
        };
        sealed(kind, tl, seed, (seq, prev), body)
    }

    /// See [`super::change`].
    pub fn change(n: u8, seed: u8, seq: u64) -> VerifiedEnvelope {
        envelope(Kind::Change, timeline(n), seed, seq, &body_of(seed, seq))
    }
}

/// The next envelope of a chain, with a true `prev`; `edit` says what else differs.
pub fn following(
    last: &VerifiedEnvelope,
    seed: u8,
    nonce: u8,
    edit: fn(&mut Prefix),
) -> VerifiedEnvelope {
    let mut prefix = Prefix {
        seq: Seq(last.seq().get() + 1),
        prev: last.id(),
        ..last.prefix().clone()
    };
    edit(&mut prefix);
    VerifiedEnvelope::sign(prefix, [nonce; 24], b"body", &key(seed)).unwrap()
}

/// As a relay says it to a client of version 1.
pub fn whole(receipt: StoredReceipt) -> Option<AckReceipt> {
    Some(AckReceipt::Whole(receipt))
}

/// And to one of version 2.
pub fn short(receipt: &StoredReceipt) -> Option<AckReceipt> {
    Some(AckReceipt::Short {
        received_at: receipt.received_at,
        signature: receipt.signature,
    })
}

pub fn whole_of(ack: &mut Ack) -> &mut StoredReceipt {
    match &mut ack.receipt {
        Some(AckReceipt::Whole(receipt)) => receipt,
        other => panic!("no whole receipt: {other:?}"),
    }
}
