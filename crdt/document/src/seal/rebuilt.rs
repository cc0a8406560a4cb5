//! Envelopes whose changes are not written out but rebuilt by every reader (`DOCUMENT.md` §8,
//! codec 1). Their nonce is a hash over the changes too, so it says whether what was rebuilt
//! is what the writer meant, at no byte's cost.

use khlong_crdt::envelope::{Kind, VerifiedEnvelope};

use super::{OpenError, SealError, SealRequest, body_of, cipher, content};
use crate::keys::author::AuthorSecret;
use crate::keys::epoch::EpochKey;

/// Knows the nonce of one envelope, and all that it is a hash of but the changes.
pub(crate) struct Witness {
    nonce: [u8; 24],
    hasher: blake3::Hasher,
}

impl Witness {
    fn new(nonce: [u8; 24], key: &[u8; 32], prefix: &[u8], content: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(prefix).update(content);
        Self { nonce, hasher }
    }

    /// Whether the writer sealed changes with these hashes, in this order.
    pub(crate) fn fits(&self, changes: &[[u8; 32]]) -> bool {
        self.nonce_of(changes) == self.nonce
    }

    fn nonce_of(&self, changes: &[[u8; 32]]) -> [u8; 24] {
        let mut all = blake3::Hasher::new();
        for change in changes {
            all.update(change);
        }
        let mut hasher = self.hasher.clone();
        hasher.update(all.finalize().as_bytes());
        let mut nonce = [0; 24];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }
}

/// Seals a change whose plaintext is in the compact form; `changes` are the hashes of what
/// a reader will rebuild. Takes no randomness: equal nonces mean equal envelopes.
pub(crate) fn seal_rebuilt(
    request: SealRequest,
    key: &EpochKey,
    plaintext: &[u8],
    changes: &[[u8; 32]],
    author: &AuthorSecret,
) -> Result<VerifiedEnvelope, SealError> {
    request.expect_kind(&[Kind::Change])?;
    request.expect_epoch(true)?;
    let content = content::pack(plaintext)?;
    let prefix = request.into_prefix(author.public())?;
    let aad = prefix.encode();
    let nonce_key = key.rebuilt_nonce_key(prefix.timeline, prefix.author);
    let nonce = Witness::new([0; 24], &nonce_key, &aad, &content).nonce_of(changes);
    let body_key = key.body_key(prefix.timeline, prefix.author);
    let body = cipher::encrypt(&body_key, &nonce, &aad, &content);
    VerifiedEnvelope::sign(prefix, nonce, &body, author.signing_key()).map_err(SealError::Envelope)
}

/// Opens a change, and what tells whether its changes were rebuilt as they were.
pub(crate) fn open_with_witness(
    envelope: &VerifiedEnvelope,
    key: &EpochKey,
) -> Result<(Vec<u8>, Witness), OpenError> {
    let body = body_of(envelope, Kind::Change)?;
    let prefix = envelope.prefix();
    let aad = prefix.encode();
    let nonce = envelope.header().nonce;
    let body_key = key.body_key(prefix.timeline, prefix.author);
    let content = cipher::decrypt(&body_key, &nonce, &aad, body)?;
    let nonce_key = key.rebuilt_nonce_key(prefix.timeline, prefix.author);
    let witness = Witness::new(nonce, &nonce_key, &aad, &content);
    content::unpack(&content).map(|plaintext| (plaintext, witness))
}
