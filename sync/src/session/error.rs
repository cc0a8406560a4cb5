//! Why a connection ends.

use std::ops::RangeInclusive;

use khlong_crdt::class::Class;
use khlong_crdt::id::{AuthorKey, TimelineId};
use khlong_crdt::redacted::Redacted;

use crate::replica::ReplicaError;
use crate::wire::WireError;
use crate::wire::code::ErrorCode;

/// Fatal for the connection; what was durable stays so.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No common version.
    #[error(
        "the peer speaks protocol versions {theirs:?}, this program {ours:?}; update the older one"
    )]
    Version {
        /// Of the peer.
        theirs: RangeInclusive<u16>,
        /// Of this program.
        ours: RangeInclusive<u16>,
    },
    /// The peer did not finish the handshake.
    #[error("the peer did not finish the handshake in time; connect again")]
    HandshakeTimeout,
    /// The peer is silent.
    #[error("nothing was heard from the peer for too long; connect again")]
    IdleTimeout,
    /// Bytes that are no frame.
    #[error("the peer sent bytes that are no frame of this protocol")]
    Wire(#[source] WireError),
    /// A frame that has no place here.
    #[error("the peer broke the protocol: {what}")]
    Protocol {
        /// How.
        what: &'static str,
    },
    /// More than a limit.
    #[error("the peer went over a limit: {what}")]
    Limit {
        /// Which.
        what: &'static str,
    },
    /// Too many frames a second.
    #[error("the peer sends more control frames a second than allowed; connect again later")]
    RateLimited,
    /// A wrong proof.
    #[error("the peer does not hold the key of an author that it claims to be")]
    BadProof {
        /// Claimed timeline.
        timeline: Redacted<TimelineId>,
        /// Claimed author.
        author: Redacted<AuthorKey>,
    },
    /// An ack for something that is not in flight: replayed, or invented.
    #[error("the relay acknowledged request {request}, which is not in flight")]
    UnexpectedAck {
        /// As it says.
        request: u64,
    },
    /// An ack that does not prove what it says. Nothing of it counts.
    #[error("the relay's ack of request {request} is forged: {what}")]
    ForgedAck {
        /// Of the append.
        request: u64,
        /// How it shows.
        what: &'static str,
    },
    /// Entries that were not asked for, or in a wrong order.
    #[error("the relay pushed {what} in class {class:?}")]
    UnexpectedPush {
        /// Which stream.
        class: Class,
        /// What is wrong.
        what: &'static str,
    },
    /// The peer ended the connection and said why.
    #[error("the peer closed the connection: {code}")]
    Remote {
        /// Why.
        code: ErrorCode,
        /// In the peer's words, control characters removed: it may say anything.
        message: Redacted<String>,
        /// When to come back.
        retry_after_ms: Option<u32>,
    },
    /// The local store failed.
    #[error("the local store failed during a session")]
    Replica(#[source] ReplicaError),
    /// The owner of the session gave an input that has no place here.
    #[error("this program used its session wrongly: {what}; please report it")]
    Misuse {
        /// How.
        what: &'static str,
    },
}

impl SessionError {
    /// What the peer is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Version { .. } => ErrorCode::VersionUnsupported,
            Self::HandshakeTimeout => ErrorCode::HandshakeTimeout,
            Self::IdleTimeout => ErrorCode::IdleTimeout,
            Self::Wire(error) => error.code(),
            Self::Protocol { .. }
            | Self::UnexpectedAck { .. }
            | Self::ForgedAck { .. }
            | Self::UnexpectedPush { .. } => ErrorCode::Protocol,
            Self::Limit { .. } => ErrorCode::LimitExceeded,
            Self::RateLimited => ErrorCode::RateLimited,
            Self::BadProof { .. } => ErrorCode::BadProof,
            Self::Remote { code, .. } => *code,
            Self::Replica(_) | Self::Misuse { .. } => ErrorCode::Internal,
        }
    }

    /// May a new connection do better, unchanged?
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.code().is_retryable()
    }
}

impl From<ReplicaError> for SessionError {
    fn from(error: ReplicaError) -> Self {
        Self::Replica(error)
    }
}
