//! Possession of author keys, bound to one TLS connection.
//!
//! Why the exporter: a proof that named only the timeline could be replayed by
//! a relay to another relay. Keying material that TLS exports (RFC 9266 has the
//! same idea) is different in every connection and known to its two ends only.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, VerifyingKey};
use khlong_crdt::id::{AuthorKey, TimelineId};

use crate::wire::frame::Prove;

const DOMAIN: &[u8] = b"khlong proof v1\0";

/// What an author signs: `"khlong proof v1\0" ‖ exporter 32 ‖ timeline 32 ‖ author 32`.
#[must_use]
pub fn proof_bytes(exporter: &[u8; 32], timeline: &TimelineId, author: &AuthorKey) -> Vec<u8> {
    [DOMAIN, exporter, timeline.as_bytes(), author.as_bytes()].concat()
}

/// The keys that one connection has proven.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    authors: BTreeMap<TimelineId, BTreeSet<AuthorKey>>,
    count: usize,
}

impl Proofs {
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn add(&mut self, timeline: TimelineId, author: AuthorKey) {
        if self.authors.entry(timeline).or_default().insert(author) {
            self.count += 1;
        }
    }

    pub(super) fn covers(&self, timeline: &TimelineId) -> bool {
        self.authors.contains_key(timeline)
    }

    pub(super) fn authors(&self, timeline: &TimelineId) -> impl Iterator<Item = &AuthorKey> {
        self.authors.get(timeline).into_iter().flatten()
    }
}

/// Strict verification; weak keys are refused.
pub(super) fn holds(proof: &Prove, exporter: &[u8; 32]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(proof.author.as_bytes()) else {
        return false;
    };
    let message = proof_bytes(exporter, &proof.timeline, &proof.author);
    let signature = Signature::from_bytes(&proof.signature);
    !key.is_weak() && key.verify_strict(&message, &signature).is_ok()
}
