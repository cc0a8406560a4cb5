//! The sealed envelope: the unit that is signed, stored and sent.
//!
//! `header ‖ signature ‖ body`. The header names author, place in the author's
//! chain and the hash of the body, so that a body can be pruned and the header
//! still verifies. The layout is fixed, and hashes and signatures cover the bytes as
//! received, never a re-encoding. `crdt/ENVELOPE.md` has every offset.

mod header;
mod prefix;
mod verify;

pub use header::{Header, body_hash};
pub use prefix::{Expiry, Kind, Prefix};
pub use verify::VerifiedEnvelope;

use crate::{reader::Truncated, signature::SignatureError};

/// Version in the high nibble (1), cipher suite in the low one (1).
pub const VERSION_SUITE: u8 = 0x11;

/// Why bytes are not an envelope. Never retryable: the same bytes fail again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Another version or suite.
    #[error("envelope version/suite {0:#04x} is not supported; update this program")]
    Version(u8),
    /// A kind byte outside 1–6.
    #[error("envelope kind {0} is unknown; update this program")]
    Kind(u8),
    /// An expiry class above 5.
    #[error("expiry class {0} is unknown; update this program")]
    Expiry(u8),
    /// Fewer bytes than the layout needs, or more.
    #[error("the envelope is cut short or has bytes left over; fetch it again")]
    Length,
    /// More media roots than [`crate::limits::REFS_MAX`].
    #[error("the envelope cites {0} media roots, at most 8 are allowed")]
    TooManyRefs(usize),
    /// Sequence number 0, or `prev` is zero although seq is above 1, or the reverse.
    #[error("sequence number and previous id contradict each other")]
    Chain,
    /// A change, fragment or receipt that names no epoch.
    #[error("a sealed body must name its epoch")]
    Epoch,
    /// A body of no bytes or more than its kind allows.
    #[error("a body of {length} bytes is outside 1 to {limit}; split it")]
    BodyLength {
        /// Bytes announced or given.
        length: usize,
        /// Limit of the kind.
        limit: usize,
    },
    /// The body is not the one that the header names.
    #[error("the body does not match the hash in its header; fetch it again")]
    BodyHash,
    /// The signature or the author key.
    #[error("the envelope is not signed by its author")]
    Signature(#[source] SignatureError),
    /// Asked to sign for another author than the key's.
    #[error("the signing key is not the key of the author in the prefix")]
    ForeignKey,
}

impl EnvelopeError {
    /// Whether the same bytes may pass later. Only a newer program helps.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Version(_)
            | Self::Kind(_)
            | Self::Expiry(_)
            | Self::Length
            | Self::TooManyRefs(_)
            | Self::Chain
            | Self::Epoch
            | Self::BodyLength { .. }
            | Self::BodyHash
            | Self::Signature(_)
            | Self::ForeignKey => false,
        }
    }
}

impl From<Truncated> for EnvelopeError {
    fn from(_: Truncated) -> Self {
        Self::Length
    }
}
