//! The sending side of one lane: which slot, and what of the header is left to say.

use khlong_crdt::envelope::{Prefix, VerifiedEnvelope};
use khlong_crdt::id::Seq;

use super::slot::Slot;
use super::{SHADOW, WHOLE, flag};
use crate::limits::SHADOW_SLOTS;

/// What the other side of one lane remembers.
///
/// It hashes nothing: ids are known. Whatever [`ShadowWriter::pack`] gave must be
/// sent, in its order.
#[derive(Debug)]
pub struct ShadowWriter {
    slots: Vec<Used>,
    packed: u64,
    allowed: usize,
}

impl Default for ShadowWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// A slot, and the count of envelopes when its author was last heard.
#[derive(Debug)]
struct Used {
    slot: Slot,
    at: u64,
}

/// How an envelope is sent.
struct Plan {
    like: u8,
    keep: u8,
}

impl ShadowWriter {
    /// Of a lane on which nothing was sent yet. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            packed: 0,
            allowed: SHADOW_SLOTS,
        }
    }

    /// Uses so many slots from now on; at first it is all of [`SHADOW_SLOTS`].
    pub fn allow(&mut self, slots: usize) {
        self.allowed = slots.min(SHADOW_SLOTS);
    }

    /// The envelope as bytes for [`super::ShadowReader::unpack`], and remembers it.
    ///
    /// An author that has a slot keeps it; another takes a free one, or the one whose author
    /// has been silent for the longest time. A pruned envelope goes whole.
    #[must_use]
    pub fn pack(&mut self, envelope: &VerifiedEnvelope) -> Vec<u8> {
        let prefix = envelope.prefix();
        let own =
            self.newest(|slot| (slot.timeline, slot.author) == (prefix.timeline, prefix.author));
        let like = own.or_else(|| self.newest(|slot| slot.timeline == prefix.timeline));
        let keep = own.unwrap_or_else(|| self.free());
        let plan = like.map(|like| Plan {
            like: number(like),
            keep: number(keep),
        });
        let slot = like.and_then(|like| self.slots.get(like));
        let slot = slot.map(|used| &used.slot);
        let bytes = match (plan, slot, envelope.body()) {
            (Some(plan), Some(slot), Some(body)) => shadow(&plan, slot, envelope, body),
            _ => whole(number(keep), envelope),
        };
        self.remember(keep, Slot::of(envelope));
        bytes
    }

    fn newest(&self, wanted: impl Fn(&Slot) -> bool) -> Option<usize> {
        let slots = self.slots.iter().enumerate();
        let wanted = slots.filter(|(_, used)| wanted(&used.slot));
        wanted
            .max_by_key(|(_, used)| used.at)
            .map(|(place, _)| place)
    }

    fn free(&self) -> usize {
        if self.slots.len() < self.allowed {
            return self.slots.len();
        }
        let slots = self.slots.iter().enumerate();
        let oldest = slots.min_by_key(|(_, used)| used.at);
        oldest.map_or(0, |(place, _)| place)
    }

    fn remember(&mut self, place: usize, slot: Slot) {
        self.packed += 1;
        let used = Used {
            slot,
            at: self.packed,
        };
        match self.slots.get_mut(place) {
            Some(before) => *before = used,
            None => self.slots.push(used),
        }
    }
}

fn number(slot: usize) -> u8 {
    u8::try_from(slot).expect("a slot is below SHADOW_SLOTS")
}

fn whole(keep: u8, envelope: &VerifiedEnvelope) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + envelope.bytes().len());
    bytes.push(WHOLE + keep);
    bytes.extend_from_slice(envelope.bytes());
    bytes
}

fn shadow(plan: &Plan, slot: &Slot, envelope: &VerifiedEnvelope, body: &[u8]) -> Vec<u8> {
    let (prefix, nonce) = (envelope.prefix(), envelope.header().nonce);
    let flags = flags(plan, slot, prefix, nonce == [0; 24]);
    let mut bytes = Vec::with_capacity(3 + envelope.bytes().len());
    bytes.extend([SHADOW + plan.like, flags]);
    if flags & flag::KEEP != 0 {
        bytes.push(plan.keep);
    }
    if flags & flag::AUTHOR != 0 {
        bytes.extend_from_slice(prefix.author.as_bytes());
    }
    if flags & flag::CHAIN != 0 {
        bytes.extend_from_slice(&prefix.seq.get().to_be_bytes());
        if prefix.seq != Seq(1) {
            bytes.extend_from_slice(prefix.prev.as_bytes());
        }
    }
    if flags & flag::EPOCH != 0 {
        bytes.extend_from_slice(prefix.epoch.as_bytes());
    }
    if flags & flag::KIND != 0 {
        bytes.extend([prefix.kind.as_u8(), prefix.expiry.as_u8()]);
    }
    if flags & flag::REFS != 0 {
        bytes.push(u8::try_from(prefix.refs.len()).expect("verified: at most 8"));
        for root in &prefix.refs {
            bytes.extend_from_slice(root.as_bytes());
        }
    }
    if flags & flag::NO_NONCE == 0 {
        bytes.extend_from_slice(&nonce);
    }
    bytes.extend_from_slice(envelope.signature());
    bytes.extend_from_slice(body);
    bytes
}

fn flags(plan: &Plan, slot: &Slot, prefix: &Prefix, no_nonce: bool) -> u8 {
    let follows = slot.next_seq() == Some(prefix.seq) && slot.id == prefix.prev;
    let like_kind = (slot.kind, slot.expiry) == (prefix.kind, prefix.expiry);
    let said = [
        (plan.like != plan.keep, flag::KEEP),
        (slot.author != prefix.author, flag::AUTHOR),
        (!follows, flag::CHAIN),
        (slot.epoch != prefix.epoch, flag::EPOCH),
        (!like_kind, flag::KIND),
        (!prefix.refs.is_empty(), flag::REFS),
        (no_nonce, flag::NO_NONCE),
    ];
    said.into_iter()
        .filter(|(is_said, _)| *is_said)
        .fold(0, |flags, (_, flag)| flags | flag)
}
