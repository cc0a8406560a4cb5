//! Priority classes, and the cursor that names a place in a class log.

use crate::{
    context,
    id::{ArrivalSeq, EnvelopeId, LogId},
    reader::{Reader, Truncated},
};

/// What leaves first when a link is thin. A function of the envelope's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Membership and keys: without them nothing else opens.
    Control = 0,
    /// Changes and receipts.
    Text = 1,
    /// Fragments.
    Bulk = 2,
    /// Media chunks.
    Media = 3,
}

impl Class {
    /// Every class, most urgent first.
    pub const ALL: [Self; 4] = [Self::Control, Self::Text, Self::Bulk, Self::Media];

    /// The byte on the wire and in keys.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Lowercase name for metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Text => "text",
            Self::Bulk => "bulk",
            Self::Media => "media",
        }
    }
}

/// A class byte above 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a priority class (0 to 3); the peer may be newer than this program")]
pub struct UnknownClass(pub u8);

impl TryFrom<u8> for Class {
    type Error = UnknownClass;

    fn try_from(byte: u8) -> Result<Self, UnknownClass> {
        match byte {
            0 => Ok(Self::Control),
            1 => Ok(Self::Text),
            2 => Ok(Self::Bulk),
            3 => Ok(Self::Media),
            4..=u8::MAX => Err(UnknownClass(byte)),
        }
    }
}

/// Number of bytes of a running hash that a cursor carries.
pub const CURSOR_HASH_BYTES: usize = 8;

/// "I have everything of this class log up to here."
///
/// The hash binds the place to the log's content, so that a relay which lost its
/// tail, or was restored from a backup, notices instead of skipping entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Which log.
    pub log: LogId,
    /// Grows when the log accepted a loss.
    pub log_epoch: u32,
    /// The last entry passed; 0 before the first.
    pub seq: ArrivalSeq,
    /// First 8 bytes of the running hash after `seq`; zero at 0.
    pub hash: [u8; CURSOR_HASH_BYTES],
}

impl Cursor {
    /// Bytes of the binary form: log ‖ log epoch ‖ seq ‖ hash.
    pub const LENGTH: usize = 16 + 4 + 8 + CURSOR_HASH_BYTES;

    /// The place before the first entry.
    #[must_use]
    pub const fn start(log: LogId, log_epoch: u32) -> Self {
        Self {
            log,
            log_epoch,
            seq: ArrivalSeq::ZERO,
            hash: [0; CURSOR_HASH_BYTES],
        }
    }

    /// The place after `seq`, given the running hash there.
    #[must_use]
    pub fn at(log: LogId, log_epoch: u32, seq: ArrivalSeq, running: &RunningHash) -> Self {
        Self {
            log,
            log_epoch,
            seq,
            hash: running.short(),
        }
    }

    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LENGTH);
        bytes.extend_from_slice(self.log.as_bytes());
        bytes.extend_from_slice(&self.log_epoch.to_be_bytes());
        bytes.extend_from_slice(&self.seq.get().to_be_bytes());
        bytes.extend_from_slice(&self.hash);
        bytes
    }

    /// Reads the binary form; `None` unless it has exactly [`Self::LENGTH`] bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let cursor = Self::read(&mut reader).ok()?;
        (reader.remaining() == 0).then_some(cursor)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        Ok(Self {
            log: LogId::from_bytes(reader.array()?),
            log_epoch: reader.u32()?,
            seq: ArrivalSeq(reader.u64()?),
            hash: reader.array()?,
        })
    }
}

/// Running hash of a class log: a chain over its entries, so that equal hashes
/// mean equal logs. The default, 32 zero bytes, is the hash before the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RunningHash(pub [u8; 32]);

impl RunningHash {
    /// The hash after one more entry.
    #[must_use]
    pub fn extend(self, class: Class, arrival: ArrivalSeq, id: &EnvelopeId) -> Self {
        let mut hasher = context::hasher(context::ARRIVAL_CHAIN);
        hasher.update(&self.0);
        hasher.update(&[class.as_u8()]);
        hasher.update(&arrival.get().to_be_bytes());
        hasher.update(id.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// What a cursor carries of it.
    #[must_use]
    pub fn short(&self) -> [u8; CURSOR_HASH_BYTES] {
        let mut short = [0; CURSOR_HASH_BYTES];
        for (to, from) in short.iter_mut().zip(self.0) {
            *to = from;
        }
        short
    }
}
