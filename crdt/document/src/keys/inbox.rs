//! The X25519 key of one member of one timeline, to which epoch keys are wrapped.

use khlong_crdt::id::InboxKey;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::secret::secret;

/// A member's X25519 secret.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct InboxSecret([u8; 32]);

secret!(InboxSecret, 4, "inbox key");

impl InboxSecret {
    /// From 32 bytes, clamped at use (RFC 7748 §5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> InboxKey {
        InboxKey::from_bytes(public_of(&self.0))
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The X25519 public key of a secret.
pub(crate) fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// Whether anything sealed to `public` stays secret. A point of low order gives the
/// same shared secret (zero) to everybody.
#[must_use]
pub fn is_usable_public_key(public: &[u8; 32]) -> bool {
    // Every clamped scalar is a multiple of the cofactor, so any one decides.
    StaticSecret::from([1; 32])
        .diffie_hellman(&PublicKey::from(*public))
        .was_contributory()
}
