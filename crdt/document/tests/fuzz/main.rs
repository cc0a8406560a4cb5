//! Any bytes, at every decoder of this crate: a value that encodes to the same bytes, or a
//! typed error. How long, and with which engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod chunk;
#[path = "../../../tests/fuzzing/mod.rs"]
mod fuzzing;
mod keys;
mod member;
mod membership;
mod sealed;
mod snapshot;
#[path = "../timeline_room/mod.rs"]
mod timeline_room;

use fuzzing::hex_strings;
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use khlong_document::keys::author::AuthorSecret;
use khlong_document::seal::SealRequest;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// The seeds under which `sealed.json` was made.
const AUTHOR_SEED: [u8; 32] = [0x11; 32];
const KEY: [u8; 32] = [0x22; 32];
const INBOX_SEED: [u8; 32] = [0x33; 32];
const TIMELINE: TimelineId = TimelineId::from_bytes([0x55; 32]);

/// The frozen envelopes of a kind.
fn frozen(kind: Kind) -> Vec<VerifiedEnvelope> {
    let vectors = hex_strings(include_str!("../../../testdata/sealed.json"));
    vectors
        .into_iter()
        .filter_map(|bytes| VerifiedEnvelope::verify(bytes).ok())
        .filter(|envelope| envelope.kind() == kind)
        .collect()
}

/// Their bodies.
fn frozen_bodies(kind: Kind) -> Vec<Vec<u8>> {
    let envelopes = frozen(kind).into_iter();
    let bodies = envelopes.filter_map(|envelope| envelope.body().map(<[u8]>::to_vec));
    bodies.collect()
}

fn request(kind: Kind, is_sealed: bool) -> SealRequest {
    SealRequest {
        kind,
        timeline: TIMELINE,
        seq: Seq(7),
        prev: EnvelopeId::from_bytes([0x66; 32]),
        epoch_id: if is_sealed {
            EpochId::from_bytes([0x77; 32])
        } else {
            EpochId::ZERO
        },
        expiry: Expiry::Month,
        refs: Vec::new(),
    }
}

/// What the functions of this crate sign, but for the body.
fn prefix_of(request: SealRequest, author: &AuthorSecret) -> Prefix {
    Prefix {
        kind: request.kind,
        timeline: request.timeline,
        author: author.public(),
        seq: request.seq,
        prev: request.prev,
        epoch: request.epoch_id,
        expiry: request.expiry,
        refs: request.refs,
    }
}

fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}
