//! The key of this machine. It never leaves it, and no timeline names it.

use ed25519_dalek::SigningKey;
use khlong_crdt::id::DeviceKey;
use khlong_crdt::signature;

use super::secret::secret;

/// The Ed25519 key of a device. Signs the user's genesis record, later the user's log.
#[derive(Clone)]
pub struct DeviceSecret(SigningKey);

secret!(DeviceSecret, 1, "device key");

impl DeviceSecret {
    /// From a 32-byte seed (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> DeviceKey {
        DeviceKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`, which starts with the domain of its purpose.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        signature::sign(&self.0, message)
    }

    fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}
