//! One author and one key, what a writer makes of a plaintext under the cipher, and an
//! envelope around any content: made from DOCUMENT.md section 2, not with the code under test.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::seal::{OpenError, SealRequest, open, padded_length, seal};

const NONCE: [u8; 24] = [7; 24];

fn author() -> AuthorSecret {
    AuthorSecret::from_seed([1; 32])
}

fn key() -> EpochKey {
    EpochKey::from_seed([2; 32])
}

pub(crate) fn sealed(plaintext: &[u8]) -> VerifiedEnvelope {
    let request = SealRequest {
        kind: Kind::Change,
        timeline: TimelineId::from_bytes([3; 32]),
        seq: Seq(5),
        prev: EnvelopeId::from_bytes([4; 32]),
        epoch_id: EpochId::from_bytes([5; 32]),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    seal(request, &key(), plaintext, &author(), [9; 32]).unwrap()
}

fn cipher() -> XChaCha20Poly1305 {
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 body key v1");
    hasher.update(&[2; 32]).update(&[3; 32]);
    hasher.update(author().public().as_bytes());
    XChaCha20Poly1305::new(hasher.finalize().as_bytes().into())
}

/// What a writer makes of it under the cipher; it opens.
pub(crate) fn content_of(plaintext: &[u8]) -> Vec<u8> {
    let envelope = sealed(plaintext);
    assert_eq!(open(&envelope, &key()).unwrap(), plaintext);
    let aad = envelope.prefix().encode();
    let payload = Payload {
        msg: envelope.body().unwrap(),
        aad: &aad,
    };
    let nonce = envelope.header().nonce;
    cipher().decrypt((&nonce).into(), payload).unwrap()
}

pub(crate) fn open_content(content: &[u8]) -> Result<Vec<u8>, OpenError> {
    let prefix = sealed(b"").prefix().clone();
    let aad = prefix.encode();
    let payload = Payload {
        msg: content,
        aad: &aad,
    };
    let body = cipher().encrypt((&NONCE).into(), payload).unwrap();
    let envelope = VerifiedEnvelope::sign(prefix, NONCE, &body, author().signing_key()).unwrap();
    open(&envelope, &key())
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn padded(mut content: Vec<u8>) -> Vec<u8> {
    content.resize(padded_length(content.len()), 0);
    content
}
