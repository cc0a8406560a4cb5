//! Typed ids and keys, and the two sequence numbers.
//!
//! Each is its bytes and nothing else; `Debug`, `Display` and `FromStr` use the
//! text form of [`crate::text`], so that a log line can be pasted into a command.

use std::{fmt, str::FromStr};

use crate::text::{self, TextError};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// What the text form starts with.
            pub const PREFIX: &'static str = $prefix;
            /// Number of bytes.
            pub const LENGTH: usize = $length;
            /// All bytes zero: "none", where a layout says so.
            pub const ZERO: Self = Self([0; $length]);

            /// Takes the bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The bytes, by value.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $length] {
                self.0
            }

            /// The lowest and the highest id whose text may start with `start`; `None` if no
            /// id is written so. What lies between is to be compared by its text.
            #[must_use]
            pub fn range_from(start: &str) -> Option<std::ops::RangeInclusive<Self>> {
                let (lowest, highest) = text::payloads_from($prefix, start)?;
                Some(Self(lowest)..=Self(highest))
            }

            /// Whether all bytes are zero.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&text::encode($prefix, &self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                text::decode_array($prefix, text).map(Self)
            }
        }
    };
}

id!(
    /// A timeline: the Ed25519 public key that signed its genesis and was erased.
    TimelineId, 32, "tl_"
);
id!(
    /// An envelope: hash of its header.
    EnvelopeId, 32, "env_"
);
id!(
    /// Ed25519 key of one device of one member in one timeline. Signs envelopes.
    AuthorKey, 32, "aut_"
);
id!(
    /// Ed25519 key of one member in one timeline. Certifies author and inbox keys.
    PrincipalKey, 32, "prn_"
);
id!(
    /// X25519 key of one member in one timeline. Epoch keys are wrapped to it.
    InboxKey, 32, "inb_"
);
id!(
    /// An epoch: hash of its manifest.
    EpochId, 32, "ep_"
);
id!(
    /// A user: hash of the genesis record. Never seen by a relay.
    UserId, 32, "usr_"
);
id!(
    /// Ed25519 key of a device. Never seen by a relay.
    DeviceKey, 32, "dev_"
);
id!(
    /// Ed25519 key of a relay: pins its certificate and signs its receipts.
    RelayKey, 32, "rly_"
);
id!(
    /// Root of a media object, cited by envelopes.
    MediaRootId, 32, "med_"
);
id!(
    /// A message in a timeline.
    MessageId, 16, "msg_"
);
id!(
    /// A relay's or node's log, drawn at random when the store was made.
    LogId, 16, "log_"
);

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// Zero: nothing yet.
            pub const ZERO: Self = Self(0);
            /// The first that exists.
            pub const FIRST: Self = Self(1);

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The following number.
            ///
            /// # Panics
            /// At 2^64 − 1, which no log reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("fewer than 2^64 entries"))
            }

            /// The preceding number, or `None` for 0.
            #[must_use]
            pub const fn previous(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    };
}

sequence!(
    /// Place in an author's chain; the first envelope is 1, 0 means none.
    Seq
);
sequence!(
    /// Place in a class log; the first entry is 1, 0 is before the first.
    ArrivalSeq
);
