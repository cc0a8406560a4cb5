//! What came of a run, in the same shape for every protocol.

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;

use crate::plan::Entity;

/// One message and one of those for whom it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageResult {
    /// Place in [`crate::plan::Plan::messages`].
    pub message: u32,
    /// For whom.
    pub to: Entity,
    /// When it was written.
    pub created: Monotonic,
    /// When it arrived; `None` = not before the end of the run (censored), or dropped.
    pub delivered: Option<Monotonic>,
    /// Machines that it went through, the last one included; 0 if not delivered.
    pub hops: u16,
    /// Copies in the network when it arrived; 0 if not delivered or not counted.
    pub copies: u32,
}

/// What something cost, by class: `control`, `text`, `bulk`, `media`, `routing`, `transport`.
pub type BytesByClass = BTreeMap<&'static str, u64>;

/// What happened at a moment, for the event table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Happening {
    /// When.
    pub at: Monotonic,
    /// `created`, `sent`, `relayed`, `delivered`, `dropped`, `aborted`, `up`, `down`, `crash`, `start`, …
    pub kind: &'static str,
    /// Who did it.
    pub from: Entity,
    /// To whom, if to somebody.
    pub to: Option<Entity>,
    /// Place in the plan's messages, if it is about one.
    pub message: Option<u32>,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// The state of buffers at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// When.
    pub at: Monotonic,
    /// Messages held, over all machines.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One run of one protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunResults {
    /// Which protocol: `epidemic`, …, `khlong`.
    pub protocol: String,
    /// By message, then receiver.
    pub messages: Vec<MessageResult>,
    /// In order; empty unless asked for.
    pub happenings: Vec<Happening>,
    /// In order.
    pub occupancy: Vec<Occupancy>,
    /// Bytes on the wire.
    pub bytes: BytesByClass,
    /// Messages passed from machine to machine, deliveries included.
    pub relayed: u64,
    /// Transfers that a contact's end or a crash cut off.
    pub aborted: u64,
    /// Messages dropped, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Events that the loop handled.
    pub events: u64,
    /// See [`crate::kernel::trace`].
    pub trace_hash: String,
    /// Further counters of the protocol, by name.
    pub counters: BTreeMap<String, u64>,
}
