//! The key of one device of one member in one timeline: it signs every envelope.

use ed25519_dalek::SigningKey;
use khlong_crdt::id::AuthorKey;
use khlong_crdt::signature;
use zeroize::Zeroizing;

use super::secret::secret;
use crate::context;

/// An author's Ed25519 key, and the key of its hedged nonces.
///
/// A restored folder or a copied device must make a new one: two devices that go on
/// in one chain fork it.
#[derive(Clone)]
pub struct AuthorSecret {
    signing: SigningKey,
    nonce_key: Zeroizing<[u8; 32]>,
}

secret!(AuthorSecret, 2, "author key");

impl AuthorSecret {
    /// From a 32-byte seed (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            signing: SigningKey::from_bytes(&seed),
            nonce_key: Zeroizing::new(context::derive(context::NONCE_KEY, &[&seed])),
        }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> AuthorKey {
        AuthorKey::from_bytes(self.signing.verifying_key().to_bytes())
    }

    /// Signs `message`, which starts with the domain of its purpose; for example the
    /// proof of possession on a connection.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        signature::sign(&self.signing, message)
    }

    /// What [`VerifiedEnvelope::sign`](khlong_crdt::envelope::VerifiedEnvelope::sign) takes.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// A nonce from randomness *and* from everything that it will encrypt: a cloned
    /// or restored device whose generator repeats still never uses one nonce for two
    /// different plaintexts.
    pub(crate) fn nonce(&self, random: &[u8; 32], prefix: &[u8], content: &[u8]) -> [u8; 24] {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        hasher.update(random).update(prefix).update(content);
        let mut nonce = [0; 24];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.signing.as_bytes()
    }
}
