//! Between protobuf and domain types. Every limit of a field is enforced on the way in.

mod envelopes;
mod inward;
mod outward;
mod shadowed;

use super::EnvelopeCheck;
use super::lane::Terms;
use super::shadow::ShadowReader;

/// What the bytes of a frame do not say themselves.
pub(super) struct Context<'c> {
    /// `None`: version 1.
    pub(super) terms: Option<Terms>,
    /// Of the lane.
    pub(super) slots: &'c mut ShadowReader,
    /// Makes the envelopes.
    pub(super) check: &'c EnvelopeCheck,
}

#[expect(unreachable_pub, reason = "generated from proto/wire.proto")]
pub(super) mod pb {
    include!(concat!(env!("OUT_DIR"), "/khlong.wire.v1.rs"));
}

/// The highest body number of this version.
pub(super) const BODY_NUMBER_MAX: u32 = 20;

/// `AppendOutcome.outcome`.
const OUTCOME_STORED: u32 = 1;
const OUTCOME_DUPLICATE: u32 = 2;
const OUTCOME_REFUSED: u32 = 3;
