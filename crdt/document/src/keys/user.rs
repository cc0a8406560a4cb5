//! A user: the X25519 key to which others seal invites, vouched for by a device.
//!
//! No timeline and no relay ever sees these keys. A user shows them as a *card*, on
//! paper, as a QR code or in another messenger.

use std::fmt;
use std::str::FromStr;

use khlong_crdt::id::{DeviceKey, UserId};
use khlong_crdt::signature;
use khlong_crdt::text::{self, TextError};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::device::DeviceSecret;
use super::inbox::{is_usable_public_key, public_of};
use super::secret::secret;
use crate::context;
use khlong_crdt::reader::{Reader, Truncated};

/// Bytes of a genesis record: version 1 ‖ device 32 ‖ user 32 ‖ nonce 16 ‖ signature 64.
pub const USER_GENESIS_BYTES: usize = 1 + 32 + 32 + 16 + 64;
const USER_GENESIS_VERSION: u8 = 1;
const CARD_PREFIX: &str = "card_";

/// The per-user X25519 secret; shared by all devices of a user.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct UserSecret([u8; 32]);

secret!(UserSecret, 8, "user key");

impl UserSecret {
    /// From 32 bytes, clamped at use (RFC 7748 §5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The public key, as it stands in a card.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        public_of(&self.0)
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The first record of a user's log. Its hash is the user's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserGenesis {
    device: DeviceKey,
    user: [u8; 32],
    nonce: [u8; 16],
    signature: [u8; 64],
}

/// Bytes that are no genesis record of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserGenesisError {
    /// Not [`USER_GENESIS_BYTES`] bytes.
    #[error("a user record has {USER_GENESIS_BYTES} bytes; ask for the card again")]
    Length,
    /// Made by a newer program.
    #[error("a user record of version {0}; upgrade this program")]
    Version(u8),
    /// The device did not sign it, or has a weak key.
    #[error("the signature of a user record is wrong; ask for the card again")]
    Signature,
    /// The user's key has a low order.
    #[error("the user's key is weak; do not use this card")]
    WeakKey,
}

impl UserGenesis {
    /// A new user, vouched for by `device`.
    #[must_use]
    pub fn create(device: &DeviceSecret, user: &UserSecret, nonce: [u8; 16]) -> Self {
        let mut record = Self {
            device: device.public(),
            user: user.public(),
            nonce,
            signature: [0; 64],
        };
        record.signature = device.sign(&record.statement());
        record
    }

    /// Reads and verifies a record.
    ///
    /// # Errors
    /// [`UserGenesisError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, UserGenesisError> {
        if bytes.len() != USER_GENESIS_BYTES {
            return Err(UserGenesisError::Length);
        }
        let mut reader = Reader::new(bytes);
        let length = |_: Truncated| UserGenesisError::Length;
        let version = reader.u8().map_err(length)?;
        if version != USER_GENESIS_VERSION {
            return Err(UserGenesisError::Version(version));
        }
        let record = Self {
            device: DeviceKey::from_bytes(reader.array().map_err(length)?),
            user: reader.array().map_err(length)?,
            nonce: reader.array().map_err(length)?,
            signature: reader.array().map_err(length)?,
        };
        if !is_usable_public_key(&record.user) {
            return Err(UserGenesisError::WeakKey);
        }
        signature::verify(
            record.device.as_bytes(),
            &record.statement(),
            &record.signature,
        )
        .map_err(|_| UserGenesisError::Signature)?;
        Ok(record)
    }

    /// version ‖ device ‖ user ‖ nonce ‖ signature.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.unsigned().as_slice(), &self.signature].concat()
    }

    /// The user's id.
    #[must_use]
    pub fn id(&self) -> UserId {
        UserId::from_bytes(context::derive(context::USER_ID, &[&self.encode()]))
    }

    /// The first device.
    #[must_use]
    pub fn device(&self) -> DeviceKey {
        self.device
    }

    fn unsigned(&self) -> Vec<u8> {
        let version: &[u8] = &[USER_GENESIS_VERSION];
        [version, self.device.as_bytes(), &self.user, &self.nonce].concat()
    }

    fn statement(&self) -> Vec<u8> {
        [context::SIGN_USER, &self.unsigned()].concat()
    }
}

/// What a user gives to others: `card_` ‖ base32(genesis record ‖ checksum).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCard(UserGenesis);

/// Text that is no user card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserCardError {
    /// Mistyped, or something else.
    #[error("not a user card")]
    Text(#[source] TextError),
    /// A well-formed text around a bad record.
    #[error("the user card is not valid")]
    Record(#[source] UserGenesisError),
}

impl UserCard {
    /// The card of a record.
    #[must_use]
    pub fn new(genesis: UserGenesis) -> Self {
        Self(genesis)
    }

    /// Whose card it is.
    #[must_use]
    pub fn id(&self) -> UserId {
        self.0.id()
    }

    /// The record behind it.
    #[must_use]
    pub fn genesis(&self) -> &UserGenesis {
        &self.0
    }

    /// The X25519 key to which a targeted invite is sealed.
    #[must_use]
    pub fn user_key(&self) -> [u8; 32] {
        self.0.user
    }
}

impl fmt::Display for UserCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode(CARD_PREFIX, &self.0.encode()))
    }
}

impl FromStr for UserCard {
    type Err = UserCardError;

    fn from_str(card: &str) -> Result<Self, UserCardError> {
        let record = text::decode(CARD_PREFIX, card).map_err(UserCardError::Text)?;
        UserGenesis::decode(&record)
            .map(Self)
            .map_err(UserCardError::Record)
    }
}
