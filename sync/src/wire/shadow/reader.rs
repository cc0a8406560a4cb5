//! The receiving side of one lane: the bytes of an envelope out of what was left to say.

use khlong_crdt::envelope::{
    EnvelopeError, Expiry, Header, Kind, Prefix, VerifiedEnvelope, body_hash,
};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, MediaRootId, Seq};
use khlong_crdt::limits::REFS_MAX;
use khlong_crdt::reader::Reader;

use super::slot::Slot;
use super::{SHADOW, SLOT_BITS, ShadowError, WHOLE, flag};
use crate::limits::SHADOW_SLOTS;

/// What one lane has brought, as far as its sender said to keep it.
///
/// After an error the lane is dead: both tables may differ.
#[derive(Debug)]
pub struct ShadowReader {
    slots: Vec<Slot>,
    allowed: usize,
}

impl Default for ShadowReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ShadowReader {
    /// Of a lane on which nothing came yet. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            allowed: SHADOW_SLOTS,
        }
    }

    /// From now on the sender may use so many slots; at first it is all of [`SHADOW_SLOTS`].
    /// Those that are in use stay.
    pub fn allow(&mut self, slots: usize) {
        self.allowed = slots.min(SHADOW_SLOTS);
    }

    /// Slots in which something is kept: about 140 bytes each.
    #[must_use]
    pub fn used(&self) -> usize {
        self.slots.len()
    }

    /// The envelope that was packed, byte for byte, made by `check`; and remembers it.
    /// Allocates at most the bytes of a header beyond those that came.
    ///
    /// # Errors
    /// [`ShadowError`]; the slots are as before.
    pub fn unpack(
        &mut self,
        packed: &[u8],
        check: impl Fn(&[u8]) -> Result<VerifiedEnvelope, EnvelopeError>,
    ) -> Result<VerifiedEnvelope, ShadowError> {
        let (&first, rest) = packed.split_first().ok_or(ShadowError::Truncated)?;
        let slot = first & SLOT_BITS;
        let (keep, envelope) = match first & !SLOT_BITS {
            WHOLE => {
                self.check_place(slot)?;
                (slot, check(rest)?)
            }
            SHADOW => {
                let like = self.slots.get(usize::from(slot));
                let like = like.ok_or(ShadowError::EmptySlot(slot))?;
                let mut reader = Reader::new(rest);
                let flags = one(&mut reader)?;
                if flags & !flag::ALL != 0 {
                    return Err(ShadowError::Flags(flags));
                }
                let keep = match flags & flag::KEEP {
                    0 => slot,
                    _ => one(&mut reader)?,
                };
                self.check_place(keep)?;
                (keep, check(&rebuild(like, flags, &mut reader)?)?)
            }
            _ => return Err(ShadowError::Form(first)),
        };
        let seen = Slot::of(&envelope);
        match self.slots.get_mut(usize::from(keep)) {
            Some(place) => *place = seen,
            None => {
                // As many as are used: most lanes need one or two.
                self.slots.reserve_exact(1);
                self.slots.push(seen);
            }
        }
        Ok(envelope)
    }

    /// Used ones and the next free one, if it is allowed.
    fn check_place(&self, slot: u8) -> Result<(), ShadowError> {
        let at = usize::from(slot);
        if at >= SHADOW_SLOTS || at > self.slots.len() {
            return Err(ShadowError::SlotBeyond(slot));
        }
        if at >= self.allowed && at == self.slots.len() {
            return Err(ShadowError::SlotUnproven(slot));
        }
        Ok(())
    }
}

/// Header, signature and body; whether they belong together is for the check.
fn rebuild(like: &Slot, flags: u8, reader: &mut Reader<'_>) -> Result<Vec<u8>, ShadowError> {
    let prefix = prefix(like, flags, reader)?;
    let nonce = match flags & flag::NO_NONCE {
        0 => array(reader)?,
        _ => [0; 24],
    };
    let signature: [u8; 64] = array(reader)?;
    let body = reader.take(reader.remaining()).unwrap_or_default();
    if body.is_empty() {
        return Err(ShadowError::Truncated);
    }
    let header = Header {
        prefix,
        nonce,
        body_len: u32::try_from(body.len()).map_err(|_| EnvelopeError::Length)?,
        body_hash: body_hash(body),
    };
    Ok([&header.encode(), &signature[..], body].concat())
}

fn prefix(like: &Slot, flags: u8, reader: &mut Reader<'_>) -> Result<Prefix, ShadowError> {
    let author = match flags & flag::AUTHOR {
        0 => like.author,
        _ => AuthorKey::from_bytes(array(reader)?),
    };
    let (seq, prev) = match flags & flag::CHAIN {
        0 => (like.next_seq().ok_or(ShadowError::EndOfChain)?, like.id),
        _ => match Seq(u64::from_be_bytes(array(reader)?)) {
            Seq(1) => (Seq(1), EnvelopeId::from_bytes([0; 32])),
            seq => (seq, EnvelopeId::from_bytes(array(reader)?)),
        },
    };
    let epoch = match flags & flag::EPOCH {
        0 => like.epoch,
        _ => EpochId::from_bytes(array(reader)?),
    };
    let (kind, expiry) = match flags & flag::KIND {
        0 => (like.kind, like.expiry),
        _ => (
            Kind::try_from(one(reader)?)?,
            Expiry::try_from(one(reader)?)?,
        ),
    };
    let refs = match flags & flag::REFS {
        0 => Vec::new(),
        _ => refs(reader)?,
    };
    Ok(Prefix {
        kind,
        timeline: like.timeline,
        author,
        seq,
        prev,
        epoch,
        expiry,
        refs,
    })
}

fn refs(reader: &mut Reader<'_>) -> Result<Vec<MediaRootId>, ShadowError> {
    let count = usize::from(one(reader)?);
    if count > REFS_MAX {
        return Err(EnvelopeError::TooManyRefs(count).into());
    }
    (0..count)
        .map(|_| array(reader).map(MediaRootId::from_bytes))
        .collect()
}

fn one(reader: &mut Reader<'_>) -> Result<u8, ShadowError> {
    reader.u8().map_err(|_| ShadowError::Truncated)
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], ShadowError> {
    reader.array().map_err(|_| ShadowError::Truncated)
}
