//! What goes into a session.

use std::sync::Arc;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, TimelineId};
use khlong_crdt::receipt::StoredReceipt;

use super::proof::CheckedProof;
use crate::replica::Arrival;
use crate::wire::WireError;
use crate::wire::code::ErrorCode;
use crate::wire::frame::{AppendAnswer, Frame, TimelineSubscription};

/// From the connection, from the clock, or from the core that owns the session.
#[derive(Debug)]
pub enum Input {
    /// The connection stands.
    Connected {
        /// Keying material that both ends export from TLS.
        exporter: [u8; 32],
    },
    /// A frame came, on its lane.
    Frame(Frame),
    /// Server: a [`Frame::Prove`] came and was verified where it was read. Given as a
    /// plain frame it is verified here.
    Proof(CheckedProof),
    /// Something else came. The peer is told, and the connection closes.
    Undecodable(WireError),
    /// The connection is gone.
    Disconnected,
    /// A deadline may have passed.
    Timeout,

    /// Client: prove an author key; the signature is over `proof::proof_bytes`.
    Prove {
        /// In which timeline.
        timeline: TimelineId,
        /// The key.
        author: AuthorKey,
        /// By its secret.
        signature: [u8; 64],
    },
    /// Client: subscribe, after the proofs. The first one carries the cursors, and in it only what has a cursor may lack a backfill position.
    Subscribe {
        /// Unique among all requests of this connection.
        request: u64,
        /// Stored cursors of this relay.
        cursors: Vec<(Class, Cursor)>,
        /// At most 4,096.
        timelines: Vec<TimelineSubscription>,
        /// Reserved for push notifications: no relay keeps it yet.
        wake_up: Option<[u8; 16]>,
    },
    /// Client: subscribe no more.
    Unsubscribe {
        /// From which timeline.
        timeline: TimelineId,
    },
    /// Client: append. Waits inside the session for a proof that is under way.
    Append {
        /// Unique among all requests of this connection.
        request: u64,
        /// 1 to 256, at most 1.5 MiB.
        envelopes: Vec<VerifiedEnvelope>,
    },
    /// Client: pushed entries are durable up to here.
    Pulled {
        /// Which class stream.
        class: Class,
        /// Or which backfill in it.
        backfill: Option<TimelineId>,
        /// `seq` of the cursor of the push.
        cursor: ArrivalSeq,
    },
    /// Client: ask whether the relay is there. Until it has answered, see
    /// [`Session::is_probing`](super::Session::is_probing), 10 s of silence end the connection.
    Probe,
    /// Client: say something that is never stored.
    Ephemeral {
        /// Where.
        timeline: TimelineId,
        /// Encrypted, at most 1,024 bytes.
        payload: Vec<u8>,
    },

    /// Server: these arrivals were decided, in order within each class. Every
    /// arrival of a watched timeline must be given, others may be; one list
    /// serves all sessions. The replica must already show them.
    Advanced(Arc<[Arrival]>),
    /// Server: the answers to every `Event::Append` that one commit decided.
    Acknowledge {
        /// At least one; to each event at most one, with an outcome for each of its envelopes.
        answers: Vec<AppendAnswer>,
        /// Over the ids of all that were stored or duplicates, in the order of the answers.
        receipt: Option<StoredReceipt>,
    },
    /// Server: refuse a whole request.
    Refuse {
        /// Of the event.
        request: u64,
        /// Why.
        code: ErrorCode,
        /// In a sentence; cut at 256 bytes.
        message: String,
        /// When to try again.
        retry_after_ms: Option<u32>,
    },
    /// Server: pass on what another connection said; dropped if this one does not watch the timeline.
    RelayEphemeral {
        /// Where.
        timeline: TimelineId,
        /// As it came.
        payload: Vec<u8>,
    },
    /// Close in good order.
    Close {
        /// Why; `None`: nothing is wrong.
        code: Option<ErrorCode>,
    },
}
