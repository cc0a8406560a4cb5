//! What one device keeps of one timeline, beside the epoch keys that it learns.

use khlong_crdt::id::{EpochId, TimelineId};
use zeroize::Zeroizing;

use super::key_op::KeyOp;
use crate::keys::author::AuthorSecret;
use crate::keys::epoch::EpochKey;
use crate::keys::inbox::InboxSecret;
use crate::keys::invite::InviteSecret;
use crate::keys::principal::PrincipalSecret;
use crate::keys::wrap::WrapError;
use khlong_crdt::reader::{Reader, Truncated};

const TIMELINE_SECRETS_VERSION: u8 = 1;

/// The keys of one member in one timeline, on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineSecrets {
    /// Which timeline.
    pub timeline: TimelineId,
    /// Who I am in it.
    pub principal: PrincipalSecret,
    /// To which epoch keys are wrapped for me.
    pub inbox: InboxSecret,
    /// What signs my envelopes on this device.
    pub author: AuthorSecret,
    /// How I came in: opens the wrap that was made for the invite.
    pub invite: Option<InviteSecret>,
}

/// Stored bytes that are no secrets of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimelineSecretsError {
    /// Cut short or too long.
    #[error("the stored secrets of a timeline are damaged; restore the folder from a backup")]
    Layout,
    /// Written by a newer program.
    #[error("stored secrets of version {0}; upgrade this program")]
    Version(u8),
}

impl TimelineSecrets {
    /// The epoch key in `op`, if it has a wrap for me or for the invite by which I came.
    ///
    /// # Errors
    /// As [`KeyOp::unwrap`].
    pub fn unwrap(&self, op: &KeyOp) -> Result<Option<(EpochId, EpochKey)>, WrapError> {
        if let Some(found) = op.unwrap(self.timeline, &self.inbox)? {
            return Ok(Some(found));
        }
        match &self.invite {
            Some(invite) => op.unwrap(self.timeline, &invite.inbox()),
            None => Ok(None),
        }
    }

    /// version 1 ‖ timeline ‖ principal ‖ inbox ‖ author ‖ invite flag u8 (‖ invite):
    /// 32 bytes each. To be sealed before it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + 4 * 32 + 1 + 32));
        bytes.push(TIMELINE_SECRETS_VERSION);
        bytes.extend_from_slice(self.timeline.as_bytes());
        bytes.extend_from_slice(self.principal.seed());
        bytes.extend_from_slice(self.inbox.seed());
        bytes.extend_from_slice(self.author.seed());
        bytes.push(u8::from(self.invite.is_some()));
        if let Some(invite) = &self.invite {
            bytes.extend_from_slice(invite.seed());
        }
        bytes
    }

    /// The inverse of [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`TimelineSecretsError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimelineSecretsError> {
        let cut = |_: Truncated| TimelineSecretsError::Layout;
        let mut reader = Reader::new(bytes);
        let version = reader.u8().map_err(cut)?;
        if version != TIMELINE_SECRETS_VERSION {
            return Err(TimelineSecretsError::Version(version));
        }
        let timeline = TimelineId::from_bytes(reader.array().map_err(cut)?);
        let principal = PrincipalSecret::from_seed(reader.array().map_err(cut)?);
        let inbox = InboxSecret::from_seed(reader.array().map_err(cut)?);
        let author = AuthorSecret::from_seed(reader.array().map_err(cut)?);
        let invite = match reader.u8().map_err(cut)? {
            0 => None,
            1 => Some(InviteSecret::from_seed(reader.array().map_err(cut)?)),
            _ => return Err(TimelineSecretsError::Layout),
        };
        if !reader.is_empty() {
            return Err(TimelineSecretsError::Layout);
        }
        Ok(Self {
            timeline,
            principal,
            inbox,
            author,
            invite,
        })
    }
}
