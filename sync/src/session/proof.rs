//! Possession of author keys, bound to one TLS connection.
//!
//! Why the exporter: a proof that named only the timeline could be replayed by
//! a relay to another relay. Keying material that TLS exports (RFC 9266 has the
//! same idea) is different in every connection and known to its two ends only.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::{AuthorKey, TimelineId};
use khlong_crdt::signature;

use crate::limits::{PROOFS_PER_CONNECTION_MAX, PROOFS_PER_TIMELINE_MAX};
use crate::wire::frame::Prove;

use super::error::SessionError;

const DOMAIN: &[u8] = b"khlong proof v1\0";

/// What an author signs: `"khlong proof v1\0" ‖ exporter 32 ‖ timeline 32 ‖ author 32`.
#[must_use]
pub fn proof_bytes(exporter: &[u8; 32], timeline: &TimelineId, author: &AuthorKey) -> Vec<u8> {
    [DOMAIN, exporter, timeline.as_bytes(), author.as_bytes()].concat()
}

/// A proof that was verified where it was read, before the queue of the core that owns
/// the session: a signature costs more than the rest of a connection's turn.
#[derive(Clone, Copy, Debug)]
pub struct CheckedProof {
    proof: Prove,
    exporter: [u8; 32],
    holds: bool,
}

impl CheckedProof {
    /// Verifies `proof` for the connection with this keying material, strictly; weak
    /// keys are refused. A proof that does not hold is handed on too: the session
    /// closes the connection for it, in its place among the other frames.
    #[must_use]
    pub fn new(proof: Prove, exporter: &[u8; 32]) -> Self {
        Self {
            proof,
            exporter: *exporter,
            holds: holds(&proof, exporter),
        }
    }

    const fn proof(&self) -> &Prove {
        &self.proof
    }

    fn holds_for(&self, exporter: &[u8; 32]) -> bool {
        self.holds && self.exporter == *exporter
    }
}

/// A proof as it came to the session.
pub(super) enum Presented {
    /// As a frame: it is verified here.
    Frame(Prove),
    /// Verified where it was read.
    Checked(CheckedProof),
}

impl Presented {
    pub(super) const fn proof(&self) -> &Prove {
        match self {
            Self::Frame(proof) => proof,
            Self::Checked(checked) => checked.proof(),
        }
    }

    pub(super) fn holds(self, exporter: &[u8; 32]) -> bool {
        let checked = match self {
            Self::Frame(proof) => CheckedProof::new(proof, exporter),
            Self::Checked(checked) => checked,
        };
        checked.holds_for(exporter)
    }
}

/// The keys that one connection has proven.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    authors: BTreeMap<TimelineId, BTreeSet<AuthorKey>>,
    count: usize,
}

impl Proofs {
    pub(super) fn contains(&self, timeline: &TimelineId, author: &AuthorKey) -> bool {
        let authors = self.authors.get(timeline);
        authors.is_some_and(|authors| authors.contains(author))
    }

    /// Whether one more has room, before it is verified.
    pub(super) fn check_room(&self, timeline: &TimelineId) -> Result<(), SessionError> {
        if self.count >= PROOFS_PER_CONNECTION_MAX {
            return Err(SessionError::Limit {
                what: "proofs on one connection",
            });
        }
        if self.authors(timeline).count() >= PROOFS_PER_TIMELINE_MAX {
            return Err(SessionError::Limit {
                what: "proofs of one timeline on one connection",
            });
        }
        Ok(())
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

/// Strict verification, as everywhere ([`signature`]).
fn holds(proof: &Prove, exporter: &[u8; 32]) -> bool {
    let message = proof_bytes(exporter, &proof.timeline, &proof.author);
    signature::verify(proof.author.as_bytes(), &message, &proof.signature).is_ok()
}
