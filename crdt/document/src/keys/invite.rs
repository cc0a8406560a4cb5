//! Invites: a secret that stands for a one-use principal which an admin has granted.
//!
//! The inviter knows this secret. That is harmless after the joiner's first act, the
//! handover to a principal of its own making: the invite's principal can do nothing
//! else, and only once.

use khlong_crdt::address::InvitePayload;
use khlong_crdt::id::TimelineId;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::inbox::InboxSecret;
use super::principal::PrincipalSecret;
use super::sealed_box::{self, ENCAPSULATED_KEY_BYTES, SealedBoxError, TAG_BYTES};
use super::secret::secret;
use super::user::{UserCard, UserSecret};
use crate::context;

/// Bytes of a targeted invite: encapsulated key ‖ secret ‖ tag.
pub const SEALED_INVITE_BYTES: usize = ENCAPSULATED_KEY_BYTES + 32 + TAG_BYTES;

/// 32 random bytes; whoever holds them can join.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct InviteSecret([u8; 32]);

secret!(InviteSecret, 7, "invite secret");

/// Why an invite cannot be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Sealed to someone else, or damaged.
    #[error("the invite cannot be opened; it was made for another person, or is not whole")]
    Sealed(#[source] SealedBoxError),
    /// A targeted invite, and no user key at hand.
    #[error("the invite is sealed to a person; open it on a device of that person")]
    UserKeyNeeded,
    /// The sealed part has the wrong length.
    #[error(
        "the invite is not whole ({bytes} bytes instead of {SEALED_INVITE_BYTES}); copy it again"
    )]
    Length {
        /// Bytes found.
        bytes: usize,
    },
}

impl InviteSecret {
    /// From the 32 bytes of an open invite.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The one-use principal that the inviter grants.
    #[must_use]
    pub fn principal(&self) -> PrincipalSecret {
        PrincipalSecret::from_seed(context::derive(context::INVITE_PRINCIPAL, &[&self.0]))
    }

    /// The inbox to which the inviter wraps the epoch key.
    #[must_use]
    pub fn inbox(&self) -> InboxSecret {
        InboxSecret::from_seed(context::derive(context::INVITE_INBOX, &[&self.0]))
    }

    /// As part of a link: whoever reads it can join, until it is used or expires.
    #[must_use]
    pub fn open_payload(&self) -> InvitePayload {
        InvitePayload::Open(self.0)
    }

    /// As part of a link that only the user of `card` can use.
    ///
    /// # Errors
    /// [`InviteError::Sealed`] never for a card that was parsed: it refuses weak keys.
    pub fn targeted_payload(
        &self,
        timeline: TimelineId,
        card: &UserCard,
        rng: &mut dyn CryptoRng,
    ) -> Result<InvitePayload, InviteError> {
        let user = card.user_key();
        let (encapsulated, ciphertext) =
            sealed_box::seal(&user, &info(timeline, &user), &[], &self.0, rng)
                .map_err(InviteError::Sealed)?;
        Ok(InvitePayload::Sealed(
            [encapsulated.as_slice(), &ciphertext].concat(),
        ))
    }

    /// The secret of a link's payload; `user` is needed for a targeted one.
    ///
    /// # Errors
    /// [`InviteError`].
    pub fn from_payload(
        timeline: TimelineId,
        payload: &InvitePayload,
        user: Option<&UserSecret>,
    ) -> Result<Self, InviteError> {
        match payload {
            InvitePayload::Open(secret) => Ok(Self(*secret)),
            InvitePayload::Sealed(sealed) => {
                let user = user.ok_or(InviteError::UserKeyNeeded)?;
                Self::open_targeted(timeline, sealed, user)
            }
        }
    }

    fn open_targeted(
        timeline: TimelineId,
        sealed: &[u8],
        user: &UserSecret,
    ) -> Result<Self, InviteError> {
        let length = InviteError::Length {
            bytes: sealed.len(),
        };
        if sealed.len() != SEALED_INVITE_BYTES {
            return Err(length);
        }
        let (encapsulated, ciphertext) = sealed.split_first_chunk().ok_or(length)?;
        let info = info(timeline, &user.public());
        let secret = sealed_box::open(user.seed(), &info, &[], encapsulated, ciphertext)
            .map_err(InviteError::Sealed)?;
        let seed = secret.as_slice().try_into().map_err(|_| length)?;
        Ok(Self(seed))
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.0
    }
}

fn info(timeline: TimelineId, user: &[u8; 32]) -> Vec<u8> {
    [context::INFO_INVITE, timeline.as_bytes(), user].concat()
}
