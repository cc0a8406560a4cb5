//! What can be wrong, as a number that never changes its meaning.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $retry:literal;)*) => {
        /// Why something was refused. Numbers are never reused (`PROTOCOL.md`, "Errors").
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A code of a later version.
            Unknown(u32),
        }

        impl ErrorCode {
            /// All that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As on the wire.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// From the wire; every number is a code.
            #[must_use]
            pub const fn from_number(number: u32) -> Self {
                match number {
                    $($number => Self::$name,)*
                    unknown => Self::Unknown(unknown),
                }
            }

            /// May the same thing succeed later, unchanged?
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self {
                    $(Self::$name => $retry,)*
                    Self::Unknown(_) => false,
                }
            }
        }
    };
}

codes! {
    /// No common protocol version.
    VersionUnsupported = 1, false;
    /// Bytes that are no frame, or a field that is not what it must be.
    Malformed = 2, false;
    /// Longer, or more, than a limit.
    LimitExceeded = 3, false;
    /// A frame that has no place here: out of order, of the wrong side, about something never asked.
    Protocol = 4, false;
    /// No author key was proven for this timeline on this connection.
    Unproven = 5, false;
    /// The proof's signature is wrong.
    BadProof = 6, false;
    /// No genesis of this timeline is here.
    UnknownTimeline = 7, false;
    /// Admission does not permit it (not granted, revoked, expired).
    NotAdmitted = 8, false;
    /// This principal has already been handed over.
    AlreadyHandedOver = 9, false;
    /// The envelope breaks a rule of its kind.
    InvalidEnvelope = 10, false;
    /// Two different envelopes of this author and place are already kept as evidence of a fork.
    ForkEvidenceFull = 11, false;
    /// The relay's policy does not let this client open timelines (a token may be missing).
    OpeningRefused = 12, false;
    /// Issuer, timeline or device is over its quota.
    QuotaExceeded = 13, true;
    /// The relay's disk is full; reads go on.
    DiskFull = 14, true;
    /// Busy; try again after `retry_after_ms`.
    Busy = 15, true;
    /// Too many frames a second.
    RateLimited = 16, true;
    /// Too many appends wait for their ack.
    TooManyInFlight = 17, true;
    /// The handshake did not end in time.
    HandshakeTimeout = 18, true;
    /// Nothing was heard for too long.
    IdleTimeout = 19, true;
    /// The relay is going down in good order.
    ShuttingDown = 20, true;
    /// The relay failed and starts anew.
    Internal = 21, true;
    /// A timeline that is not merged was subscribed without a backfill position.
    BackfillRequired = 22, false;
    /// A frame did not arrive completely in time.
    SlowFrame = 23, true;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(number) => write!(f, "code {number}"),
            known @ (Self::VersionUnsupported
            | Self::Malformed
            | Self::LimitExceeded
            | Self::Protocol
            | Self::Unproven
            | Self::BadProof
            | Self::UnknownTimeline
            | Self::NotAdmitted
            | Self::AlreadyHandedOver
            | Self::InvalidEnvelope
            | Self::ForkEvidenceFull
            | Self::OpeningRefused
            | Self::QuotaExceeded
            | Self::DiskFull
            | Self::Busy
            | Self::RateLimited
            | Self::TooManyInFlight
            | Self::HandshakeTimeout
            | Self::IdleTimeout
            | Self::ShuttingDown
            | Self::Internal
            | Self::BackfillRequired
            | Self::SlowFrame) => write!(f, "{known:?}"),
        }
    }
}
