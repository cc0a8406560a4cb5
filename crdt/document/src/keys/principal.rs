//! One member of one timeline. A relay sees this key, and nothing that joins two of
//! them: a person in ten timelines is ten principals.

use ed25519_dalek::SigningKey;
use khlong_crdt::context::{SIGN_AUTHOR, SIGN_HANDOVER, SIGN_INBOX};
use khlong_crdt::id::{AuthorKey, InboxKey, PrincipalKey, TimelineId};
use khlong_crdt::signature;

use super::secret::secret;

/// A principal's Ed25519 key: certifies author keys and the inbox key of its member.
#[derive(Clone)]
pub struct PrincipalSecret(SigningKey);

secret!(PrincipalSecret, 3, "principal key");

impl PrincipalSecret {
    /// From a 32-byte seed (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PrincipalKey {
        PrincipalKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// The signature in an `author` op: this key speaks for me.
    #[must_use]
    pub fn certify_author(&self, timeline: TimelineId, author: AuthorKey) -> [u8; 64] {
        self.certify(SIGN_AUTHOR, timeline, self.public(), author.as_bytes())
    }

    /// The signature in an `inbox` op: wrap to this key.
    #[must_use]
    pub fn certify_inbox(&self, timeline: TimelineId, inbox: InboxKey) -> [u8; 64] {
        self.certify(SIGN_INBOX, timeline, self.public(), inbox.as_bytes())
    }

    /// One of the two signatures in a `handover` op; both sides sign the same bytes.
    #[must_use]
    pub fn sign_handover(
        &self,
        timeline: TimelineId,
        from: PrincipalKey,
        to: PrincipalKey,
    ) -> [u8; 64] {
        self.certify(SIGN_HANDOVER, timeline, from, to.as_bytes())
    }

    fn certify(
        &self,
        domain: &[u8],
        timeline: TimelineId,
        principal: PrincipalKey,
        subject: &[u8; 32],
    ) -> [u8; 64] {
        let statement = [domain, timeline.as_bytes(), principal.as_bytes(), subject].concat();
        signature::sign(&self.0, &statement)
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}
