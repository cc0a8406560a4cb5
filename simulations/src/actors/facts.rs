//! What the world saw: the only thing that recorders and checkers look at.
//!
//! Facts are taken from the wire and from what a person would see, never from a
//! core's own opinion of itself: a relay has acknowledged an envelope when a
//! frame that says so has left it, whatever its tables hold.

use khlong_crdt::id::{EnvelopeId, TimelineId};
use khlong_crdt::time::Monotonic;
use khlong_sync::wire::code::ErrorCode;

use crate::plan::Entity;

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// When.
    pub at: Monotonic,
    /// Who did it.
    pub who: Entity,
    /// What.
    pub what: What,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An append left the node.
    Offered {
        /// The relay.
        relay: Entity,
        /// What it holds.
        envelopes: Vec<EnvelopeId>,
    },
    /// An ack left the relay: these are promised.
    Acknowledged {
        /// The node.
        node: Entity,
        /// Stored or duplicate.
        envelopes: Vec<EnvelopeId>,
    },
    /// A relay refused an envelope.
    Refused {
        /// The node.
        node: Entity,
        /// Which.
        envelope: EnvelopeId,
        /// Why.
        code: ErrorCode,
    },
    /// Two envelopes of one author and place were noticed.
    ForkSeen {
        /// Where.
        timeline: TimelineId,
    },
    /// The node tried to connect.
    Attempt {
        /// To which relay.
        relay: Entity,
    },
    /// A connection stands.
    Connected {
        /// The relay.
        relay: Entity,
    },
    /// A connection is gone.
    Disconnected {
        /// The relay.
        relay: Entity,
    },
    /// A core failed (a commit, a read) and was built again from its disk.
    CoreFailed {
        /// What it said.
        reason: String,
    },
    /// The machine was killed.
    Crashed,
    /// It runs again.
    Started,
    /// Bytes of a frame went on the wire, transport included.
    Sent {
        /// To whom.
        to: Entity,
        /// `control`, `text`, `bulk`, `media` or `ephemeral`.
        class: &'static str,
        /// Bytes.
        bytes: u64,
    },
    /// A frame was cut off by the end of its contact or a crash.
    Aborted {
        /// To whom it was going.
        to: Entity,
    },
}
