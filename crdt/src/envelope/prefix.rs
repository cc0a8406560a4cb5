//! The prefix: what is known before sealing, and the additional data of the seal.

use super::{EnvelopeError, VERSION_SUITE};
use crate::{
    class::Class,
    id::{AuthorKey, EnvelopeId, EpochId, MediaRootId, Seq, TimelineId},
    limits::{BODY_BYTES_MAX, FRAGMENT_BODY_BYTES_MAX, PREFIX_BYTES_MAX, REFS_MAX},
    reader::Reader,
};

/// What an envelope carries; decides its class, its body limit and who opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A batch of document changes of one author, under the epoch key.
    Change = 1,
    /// A compacted part of a page, under the epoch key.
    Fragment = 2,
    /// Delivered and read heights, under the epoch key.
    Receipt = 3,
    /// Clear admission operations and a part under the control key.
    AuthOp = 4,
    /// Epoch manifest and wrapped epoch keys, clear.
    KeyOp = 5,
    /// Tells a removed member, sealed to its inbox key.
    Notice = 6,
}

impl Kind {
    /// Every kind, by number.
    pub const ALL: [Self; 6] = [
        Self::Change,
        Self::Fragment,
        Self::Receipt,
        Self::AuthOp,
        Self::KeyOp,
        Self::Notice,
    ];

    /// The byte in the prefix.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The priority class in which it travels.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::AuthOp | Self::KeyOp | Self::Notice => Class::Control,
            Self::Change | Self::Receipt => Class::Text,
            Self::Fragment => Class::Bulk,
        }
    }

    /// The longest body, in bytes.
    #[must_use]
    pub const fn body_bytes_max(self) -> usize {
        match self {
            Self::Fragment => FRAGMENT_BODY_BYTES_MAX,
            Self::Change | Self::Receipt | Self::AuthOp | Self::KeyOp | Self::Notice => {
                BODY_BYTES_MAX
            }
        }
    }

    /// Whether the body is under an epoch key, so that the prefix must name the epoch.
    #[must_use]
    pub const fn needs_epoch(self) -> bool {
        match self {
            Self::Change | Self::Fragment | Self::Receipt => true,
            Self::AuthOp | Self::KeyOp | Self::Notice => false,
        }
    }
}

impl TryFrom<u8> for Kind {
    type Error = EnvelopeError;

    fn try_from(byte: u8) -> Result<Self, EnvelopeError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_u8() == byte)
            .ok_or(EnvelopeError::Kind(byte))
    }
}

/// How long a relay keeps the body, counted from the first relay's receipt date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Expiry {
    /// For good.
    #[default]
    Keep = 0,
    /// 1 day.
    Day = 1,
    /// 7 days.
    Week = 2,
    /// 30 days.
    Month = 3,
    /// 90 days.
    Quarter = 4,
    /// 365 days.
    Year = 5,
}

impl Expiry {
    /// Every class, by number.
    pub const ALL: [Self; 6] = [
        Self::Keep,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
        Self::Year,
    ];

    /// The byte in the prefix.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Days to keep, or `None` for good.
    #[must_use]
    pub const fn days(self) -> Option<u32> {
        match self {
            Self::Keep => None,
            Self::Day => Some(1),
            Self::Week => Some(7),
            Self::Month => Some(30),
            Self::Quarter => Some(90),
            Self::Year => Some(365),
        }
    }
}

impl TryFrom<u8> for Expiry {
    type Error = EnvelopeError;

    fn try_from(byte: u8) -> Result<Self, EnvelopeError> {
        Self::ALL
            .into_iter()
            .find(|expiry| expiry.as_u8() == byte)
            .ok_or(EnvelopeError::Expiry(byte))
    }
}

/// The first 140 + 32·n bytes of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// What the body is.
    pub kind: Kind,
    /// Where it belongs.
    pub timeline: TimelineId,
    /// Who signs.
    pub author: AuthorKey,
    /// Place in the author's chain, from 1.
    pub seq: Seq,
    /// Id of the author's previous envelope; zero exactly at seq 1.
    pub prev: EnvelopeId,
    /// Epoch of the body; zero when it is under none.
    pub epoch: EpochId,
    /// How long the body is kept.
    pub expiry: Expiry,
    /// Media that the body speaks of, at most [`REFS_MAX`].
    pub refs: Vec<MediaRootId>,
}

impl Prefix {
    /// The byte-exact form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PREFIX_BYTES_MAX);
        bytes.push(VERSION_SUITE);
        bytes.push(self.kind.as_u8());
        bytes.extend_from_slice(self.timeline.as_bytes());
        bytes.extend_from_slice(self.author.as_bytes());
        bytes.extend_from_slice(&self.seq.get().to_be_bytes());
        bytes.extend_from_slice(self.prev.as_bytes());
        bytes.extend_from_slice(self.epoch.as_bytes());
        bytes.push(self.expiry.as_u8());
        // A count above a byte is refused by `check` before anything is signed.
        bytes.push(u8::try_from(self.refs.len()).unwrap_or(u8::MAX));
        for root in &self.refs {
            bytes.extend_from_slice(root.as_bytes());
        }
        bytes
    }

    /// Reads a prefix from the start of `bytes`; gives its length too.
    ///
    /// # Errors
    /// [`EnvelopeError`] for unknown versions, kinds and classes, a short slice, and
    /// the rules of [`Prefix::check`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), EnvelopeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION_SUITE {
            return Err(EnvelopeError::Version(version));
        }
        let kind = Kind::try_from(reader.u8()?)?;
        let prefix = Self::read_fields(kind, &mut reader)?;
        prefix.check()?;
        let length = prefix.encoded_length();
        Ok((prefix, length))
    }

    fn read_fields(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, EnvelopeError> {
        let timeline = TimelineId::from_bytes(reader.array()?);
        let author = AuthorKey::from_bytes(reader.array()?);
        let seq = Seq(reader.u64()?);
        let prev = EnvelopeId::from_bytes(reader.array()?);
        let epoch = EpochId::from_bytes(reader.array()?);
        let expiry = Expiry::try_from(reader.u8()?)?;
        let count = usize::from(reader.u8()?);
        if count > REFS_MAX {
            return Err(EnvelopeError::TooManyRefs(count));
        }
        let refs = (0..count)
            .map(|_| reader.array().map(MediaRootId::from_bytes))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            kind,
            timeline,
            author,
            seq,
            prev,
            epoch,
            expiry,
            refs,
        })
    }

    /// The rules that bind the fields to one another.
    ///
    /// # Errors
    /// [`EnvelopeError::Chain`], [`EnvelopeError::Epoch`], [`EnvelopeError::TooManyRefs`].
    pub fn check(&self) -> Result<(), EnvelopeError> {
        if self.seq == Seq::ZERO || (self.seq == Seq(1)) != self.prev.is_zero() {
            return Err(EnvelopeError::Chain);
        }
        if self.kind.needs_epoch() && self.epoch.is_zero() {
            return Err(EnvelopeError::Epoch);
        }
        if self.refs.len() > REFS_MAX {
            return Err(EnvelopeError::TooManyRefs(self.refs.len()));
        }
        Ok(())
    }

    fn encoded_length(&self) -> usize {
        crate::limits::PREFIX_BYTES_MIN + 32 * self.refs.len()
    }
}
