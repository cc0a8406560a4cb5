//! What one header said, as far as a later one may be like it.

use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, Seq, TimelineId};

use crate::limits::SHADOW_SLOTS;

/// About 140 bytes; a lane has at most [`SHADOW_SLOTS`] in each direction, and none before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    pub(super) timeline: TimelineId,
    pub(super) author: AuthorKey,
    pub(super) epoch: EpochId,
    pub(super) expiry: Expiry,
    pub(super) seq: Seq,
    pub(super) id: EnvelopeId,
}

const _: () = assert!(size_of::<Slot>() * SHADOW_SLOTS <= 8 * 1_024);

impl Slot {
    pub(super) fn of(envelope: &VerifiedEnvelope) -> Self {
        let prefix: &Prefix = envelope.prefix();
        Self {
            kind: prefix.kind,
            timeline: prefix.timeline,
            author: prefix.author,
            epoch: prefix.epoch,
            expiry: prefix.expiry,
            seq: prefix.seq,
            id: envelope.id(),
        }
    }

    /// The place behind it, if its chain has one.
    pub(super) fn next_seq(&self) -> Option<Seq> {
        self.seq.get().checked_add(1).map(Seq)
    }
}
