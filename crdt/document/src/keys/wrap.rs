//! A wrap: one epoch key, sealed to one inbox key.

use khlong_crdt::id::{EpochId, InboxKey, TimelineId};
use rand_core::CryptoRng;

use super::epoch::EpochKey;
use super::inbox::InboxSecret;
use super::sealed_box::{self, SealedBoxError, TAG_BYTES};
use crate::context;
use khlong_crdt::reader::{Reader, Truncated};

/// Bytes of a wrap: inbox 32 ‖ encapsulated key 32 ‖ ciphertext 48.
pub const WRAP_BYTES: usize = 112;
const CIPHERTEXT_BYTES: usize = 48;
const _: () = assert!(32 + 32 + CIPHERTEXT_BYTES == WRAP_BYTES);
const _: () = assert!(32 + TAG_BYTES == CIPHERTEXT_BYTES);

/// K_E for one recipient. The `info` binds timeline, epoch and recipient, so a wrap
/// cannot be moved to another key-op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// For whom.
    pub inbox: InboxKey,
    /// The encapsulated key.
    pub encapsulated: [u8; 32],
    /// K_E and its tag.
    pub ciphertext: [u8; CIPHERTEXT_BYTES],
}

/// Why a wrap gave no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// HPKE refused; the source says why.
    #[error("an epoch key cannot be wrapped or unwrapped")]
    Box(#[source] SealedBoxError),
    /// The minter wrapped a key that is not the one the manifest promises.
    #[error("the wrapped key is not the one its manifest promises; its minter is at fault")]
    KeyCommitment,
    /// A key-op of another timeline.
    #[error("the key-op belongs to another timeline")]
    Timeline,
}

impl Wrap {
    /// Seals `key` to `inbox`.
    ///
    /// # Errors
    /// [`WrapError::Box`] for an inbox key of low order.
    pub fn seal(
        timeline: TimelineId,
        epoch: EpochId,
        inbox: InboxKey,
        key: &EpochKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, WrapError> {
        let info = info(timeline, epoch, inbox);
        let (encapsulated, ciphertext) =
            sealed_box::seal(inbox.as_bytes(), &info, &[], key.seed(), rng)
                .map_err(WrapError::Box)?;
        let ciphertext = ciphertext.try_into().expect("32 bytes and a tag of 16");
        Ok(Self {
            inbox,
            encapsulated,
            ciphertext,
        })
    }

    /// The key, if `secret` belongs to [`Self::inbox`].
    ///
    /// # Errors
    /// [`WrapError::Box`] for another recipient or changed bytes.
    pub fn open(
        &self,
        timeline: TimelineId,
        epoch: EpochId,
        secret: &InboxSecret,
    ) -> Result<EpochKey, WrapError> {
        let info = info(timeline, epoch, self.inbox);
        let plaintext = sealed_box::open(
            secret.seed(),
            &info,
            &[],
            &self.encapsulated,
            &self.ciphertext,
        )
        .map_err(WrapError::Box)?;
        let key = <[u8; 32]>::try_from(plaintext.as_slice())
            .map_err(|_| WrapError::Box(SealedBoxError::Open))?;
        Ok(EpochKey::from_seed(key))
    }

    /// inbox ‖ encapsulated key ‖ ciphertext.
    #[must_use]
    pub fn encode(&self) -> [u8; WRAP_BYTES] {
        let bytes = [
            self.inbox.as_bytes().as_slice(),
            &self.encapsulated,
            &self.ciphertext,
        ]
        .concat();
        bytes.try_into().expect("32 + 32 + 48 bytes")
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        Ok(Self {
            inbox: InboxKey::from_bytes(reader.array()?),
            encapsulated: reader.array()?,
            ciphertext: reader.array()?,
        })
    }
}

fn info(timeline: TimelineId, epoch: EpochId, inbox: InboxKey) -> Vec<u8> {
    [
        context::INFO_WRAP,
        timeline.as_bytes(),
        epoch.as_bytes(),
        inbox.as_bytes(),
    ]
    .concat()
}
