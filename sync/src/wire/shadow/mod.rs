//! Envelopes whose header is left out as far as an earlier one implies it.
//!
//! Each lane and direction has *slots*; each holds what one header said. A
//! [`ShadowWriter`] sends an envelope whole and says in which slot to keep it, or
//! as the *shadow* of a slot: what differs, nonce, signature and body. A
//! [`ShadowReader`] rebuilds the bytes and verifies them as it would any others,
//! so a wrong rebuild is a wrong signature and nothing rests on trust in a slot.
//! `PROTOCOL.md`, "Version 2", has the layout.
//!
//! Both tables change with each envelope, in the order of the lane: the writer's
//! when it packs, the reader's when the envelope is rebuilt and verified. So whatever
//! is packed must be sent, in this order, or the lane must end.

mod reader;
mod slot;
mod writer;

use khlong_crdt::envelope::EnvelopeError;

pub use reader::ShadowReader;
pub use writer::ShadowWriter;

use crate::limits::SHADOW_SLOTS;

/// First byte of a packed envelope: this plus the slot in which a whole one is kept.
const WHOLE: u8 = 0x00;
/// Or this plus the slot whose shadow it is.
const SHADOW: u8 = 0x20;
/// The bits of the first byte that are the slot.
const SLOT_BITS: u8 = 0x1f;

/// Second byte of a shadow: what follows, in the order of the bits.
mod flag {
    /// The slot in which it is kept, u8; without it the one that it is the shadow of.
    pub(super) const KEEP: u8 = 0x01;
    /// The author, 32 bytes.
    pub(super) const AUTHOR: u8 = 0x02;
    /// seq u64, and prev, 32 bytes, unless seq is 1; without it the place behind the slot's.
    pub(super) const CHAIN: u8 = 0x04;
    /// The epoch, 32 bytes.
    pub(super) const EPOCH: u8 = 0x08;
    /// Kind and expiry class, a byte each.
    pub(super) const KIND: u8 = 0x10;
    /// Count u8 and so many refs of 32 bytes; without it none.
    pub(super) const REFS: u8 = 0x20;
    /// The nonce is zero and not sent.
    pub(super) const NO_NONCE: u8 = 0x40;
    /// All that have a meaning.
    pub(super) const ALL: u8 = KEEP | AUTHOR | CHAIN | EPOCH | KIND | REFS | NO_NONCE;
}

const _: () = assert!(SHADOW_SLOTS == SLOT_BITS as usize + 1);

/// Bytes that are no packed envelope. The lane is dead afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShadowError {
    /// A first byte of no meaning.
    #[error("a packed envelope begins with {0:#04x}, which means nothing")]
    Form(u8),
    /// Flags of no meaning.
    #[error("a shadow has flags {0:#04x}, some of which mean nothing")]
    Flags(u8),
    /// A shadow of nothing.
    #[error("a shadow of slot {0}, in which nothing is kept")]
    EmptySlot(u8),
    /// Slots are taken in order.
    #[error("an envelope is to be kept in slot {0}, which is beyond the next free one")]
    SlotBeyond(u8),
    /// A client uses one slot until the relay has answered its first proof.
    #[error("an envelope is to be kept in slot {0}, and nothing is proven on this connection")]
    SlotUnproven(u8),
    /// Fewer bytes than the first ones announce, or a shadow without a body.
    #[error("a packed envelope is cut short")]
    Truncated,
    /// Nothing comes after the last place of a chain.
    #[error("a shadow stands behind the last place of its chain")]
    EndOfChain,
    /// What was sent whole, or rebuilt, does not verify.
    #[error("a packed envelope does not verify")]
    Envelope(#[source] EnvelopeError),
}

impl From<EnvelopeError> for ShadowError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}
