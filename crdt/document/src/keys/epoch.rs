//! Epoch keys: K_E opens content, K_C (derived from it) opens the membership log.
//!
//! They are two so that a newcomer to a `since-join` timeline can follow who may do
//! what back to the genesis without reading one old message.

use khlong_crdt::id::{AuthorKey, TimelineId};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::secret::secret;
use crate::context;

/// K_E: opens changes, fragments and receipts of one epoch.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EpochKey([u8; 32]);

/// K_C: opens the sealed part of auth-ops of one epoch.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ControlKey([u8; 32]);

secret!(EpochKey, 5, "epoch key");
secret!(ControlKey, 6, "control key");

impl EpochKey {
    /// From the 32 bytes of a wrap or of a public timeline's genesis.
    #[must_use]
    pub fn from_seed(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// K_C.
    #[must_use]
    pub fn control(&self) -> ControlKey {
        ControlKey(context::derive(context::CONTROL_KEY, &[&self.0]))
    }

    /// What the manifest promises about this key.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        self.control().commitment()
    }

    /// The 32 bytes, for a wrap or for a public timeline's genesis.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// Each author seals under a key of its own, so that no two writers have to keep
    /// their nonces apart.
    pub(crate) fn body_key(&self, timeline: TimelineId, author: AuthorKey) -> Zeroizing<[u8; 32]> {
        let parts: [&[u8]; 3] = [&self.0, timeline.as_bytes(), author.as_bytes()];
        Zeroizing::new(context::derive(context::BODY_KEY, &parts))
    }

    /// Key of the nonces of what every member rebuilds: the hash over the changes is checked
    /// by whoever can open the body, and by nobody else.
    pub(crate) fn rebuilt_nonce_key(
        &self,
        timeline: TimelineId,
        author: AuthorKey,
    ) -> Zeroizing<[u8; 32]> {
        let parts: [&[u8]; 3] = [&self.0, timeline.as_bytes(), author.as_bytes()];
        Zeroizing::new(context::derive(context::REBUILT_NONCE, &parts))
    }

    /// Key of the parents' keys in the manifest of this epoch.
    pub(crate) fn parents_key(&self, timeline: TimelineId) -> Zeroizing<[u8; 32]> {
        let parts: [&[u8]; 2] = [&self.0, timeline.as_bytes()];
        Zeroizing::new(context::derive(context::PARENTS_KEY, &parts))
    }
}

impl ControlKey {
    /// From the 32 bytes in a child's manifest.
    #[must_use]
    pub fn from_seed(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What the manifest promises. It binds K_E as well: K_C is a hash of it, so two
    /// different K_E with one commitment would be a collision of BLAKE3. Taken over
    /// K_C so that also those who hold only K_C can check it.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        context::derive(context::KEY_COMMITMENT, &[&self.0])
    }

    /// The 32 bytes, for a child's manifest.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn body_key(&self, timeline: TimelineId, author: AuthorKey) -> Zeroizing<[u8; 32]> {
        let parts: [&[u8]; 3] = [&self.0, timeline.as_bytes(), author.as_bytes()];
        Zeroizing::new(context::derive(context::CONTROL_BODY_KEY, &parts))
    }
}
