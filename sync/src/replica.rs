//! What a session reads: the log of one peer, synchronously.
//!
//! `sync` owns the trait, `store` implements it on its batch and snapshot. A
//! session never writes: it says what came (events), its owner decides.

use khlong_crdt::admission::{Refusal, Rights};
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, EnvelopeId, LogId, PrincipalKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;

/// An envelope at its place in the log of its class.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its place; places of one log are given in order and never twice.
    pub arrival: ArrivalSeq,
    /// When the first relay received it.
    pub received_at: UnixMillis,
    /// The envelope; its prefix names timeline and class.
    pub envelope: VerifiedEnvelope,
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.arrival == other.arrival
            && self.received_at == other.received_at
            && self.envelope.bytes() == other.envelope.bytes()
    }
}

impl Eq for Arrival {}

/// How much a transfer will be, for progress bars and metered links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferTotals {
    /// Envelopes to come.
    pub envelopes: u64,
    /// Their bytes, without framing.
    pub bytes: u64,
}

/// How far the chain of one author is known without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorHeight {
    /// Whose chain.
    pub author: AuthorKey,
    /// The last place without a hole before it.
    pub seq: Seq,
    /// The envelope there.
    pub id: EnvelopeId,
}

/// Whether an author may do something in a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, as this principal.
    Permitted(PrincipalKey),
    /// No.
    Refused(Refusal),
    /// Nothing is known of this timeline.
    UnknownTimeline,
}

/// The replica could not be read. Not the peer's fault: the connection closes as `Internal`.
#[derive(Debug, thiserror::Error)]
#[error("reading {operation} from the local store failed; see the store's own error")]
pub struct ReplicaError {
    /// What was being read.
    pub operation: &'static str,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The log of one peer, as a session reads it.
///
/// Within one call of `Session::handle` all answers must be of one state.
pub trait Replica {
    /// The log and its epoch.
    fn log(&self) -> (LogId, u32);

    /// The last place of a class; place 0 with a zero hash in an empty log. Called often: keep it in memory.
    ///
    /// # Errors
    /// The store could not be read.
    fn head(&self, class: Class) -> Result<Cursor, ReplicaError>;

    /// The cursor at a place; `None` if the log never came that far. Place 0 always exists.
    ///
    /// # Errors
    /// The store could not be read.
    fn cursor_at(&self, class: Class, seq: ArrivalSeq) -> Result<Option<Cursor>, ReplicaError>;

    /// The last place of a timeline in a class; 0 if it has none.
    ///
    /// # Errors
    /// The store could not be read.
    fn timeline_head(&self, timeline: TimelineId, class: Class)
    -> Result<ArrivalSeq, ReplicaError>;

    /// What a timeline has at places in `after + 1 ..= up_to`, in order: at most
    /// `entries_max`, and as many as fit `bytes_max`, but the first in any case.
    ///
    /// # Errors
    /// The store could not be read.
    fn entries(
        &self,
        timeline: TimelineId,
        class: Class,
        after: ArrivalSeq,
        up_to: ArrivalSeq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Arrival>, ReplicaError>;

    /// The first place of a timeline beyond `after`; `None` if there is none. Reads no
    /// envelope where the store has an index; this default reads one.
    ///
    /// # Errors
    /// The store could not be read.
    fn next_arrival(
        &self,
        timeline: TimelineId,
        class: Class,
        after: ArrivalSeq,
    ) -> Result<Option<ArrivalSeq>, ReplicaError> {
        let first = self.entries(timeline, class, after, ArrivalSeq(u64::MAX), 1, 1)?;
        Ok(first.first().map(|entry| entry.arrival))
    }

    /// How much a timeline has beyond `after`.
    ///
    /// # Errors
    /// The store could not be read.
    fn totals(
        &self,
        timeline: TimelineId,
        class: Class,
        after: ArrivalSeq,
    ) -> Result<TransferTotals, ReplicaError>;

    /// How far each author's chain is known.
    ///
    /// # Errors
    /// The store could not be read.
    fn heights(&self, timeline: TimelineId) -> Result<Vec<AuthorHeight>, ReplicaError>;

    /// Whether `author` has `right` in `timeline` at the relay's time `at`.
    ///
    /// # Errors
    /// The store could not be read.
    fn judge(
        &self,
        timeline: TimelineId,
        author: &AuthorKey,
        right: Rights,
        at: UnixMillis,
    ) -> Result<Verdict, ReplicaError>;
}
