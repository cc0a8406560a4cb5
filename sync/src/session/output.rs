//! What comes out of a session.

use std::collections::VecDeque;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, TimelineId};
use khlong_crdt::receipt::StoredProof;

use crate::replica::{Arrival, TransferTotals};
use crate::wire::code::ErrorCode;
use crate::wire::frame::{AppendOutcome, Frame, Hello, Lane};

/// For the transport, or for the core that owns the session.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this.
    Send(Lane, Frame),
    /// Something happened.
    Event(Event),
    /// Close the connection after what was sent. Always the last output.
    Close {
        /// Why; `None`: nothing is wrong.
        code: Option<ErrorCode>,
    },
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Both: the handshake is over.
    Ready {
        /// Of the other side.
        hello: Hello,
        /// Spoken from now on.
        version: u16,
    },
    /// Both: an author key was proven.
    Proved {
        /// In which timeline.
        timeline: TimelineId,
        /// The key.
        author: AuthorKey,
    },
    /// Both: the other side closes in good order.
    Goodbye {
        /// Why; `None`: nothing is wrong.
        code: Option<ErrorCode>,
    },

    /// Server: the session watches this timeline from now on; it needs its arrivals.
    Watching {
        /// Which.
        timeline: TimelineId,
        /// Reserved for push notifications: no relay keeps it yet.
        wake_up: Option<[u8; 16]>,
    },
    /// Server: and no longer.
    Unwatched {
        /// Which.
        timeline: TimelineId,
    },
    /// Server: decide this, then `Input::Acknowledge` or `Input::Refuse`. Only envelopes of proven timelines.
    Append {
        /// For the answer.
        request: u64,
        /// To keep.
        envelopes: Vec<VerifiedEnvelope>,
    },
    /// Both: said in a timeline that is proven here (server) or subscribed (client).
    Ephemeral {
        /// Where.
        timeline: TimelineId,
        /// Encrypted.
        payload: Vec<u8>,
    },

    /// Client: once for each class. Store the cursor and the changed backfill positions, in one batch.
    Subscribed {
        /// Of the subscribe.
        request: u64,
        /// Which class stream.
        class: Class,
        /// Where it goes on.
        cursor: Cursor,
        /// It begins anew: the cursor was not of this log.
        rewound: bool,
        /// Not subscribed, and why.
        refused: Vec<(TimelineId, ErrorCode)>,
        /// Backfill positions of this class to store (`Some`) or to remove (`None`): a refused
        /// timeline gets one, or the cursor would pass its entries; a rewound class has none but 0.
        positions: Vec<(TimelineId, Option<ArrivalSeq>)>,
    },
    /// Client: the class stream leaves this timeline out from its cursor on.
    SubscriptionEnded {
        /// Which.
        timeline: TimelineId,
        /// In which class stream.
        class: Class,
        /// `None`: as asked.
        code: Option<ErrorCode>,
        /// It was merged: store this backfill position, or the cursor would pass its entries.
        position: Option<ArrivalSeq>,
    },
    /// Client: this much is about to come.
    Totals {
        /// Which class stream.
        class: Class,
        /// Or which backfill in it.
        backfill: Option<TimelineId>,
        /// Envelopes and bytes.
        totals: TransferTotals,
    },
    /// Client: entries; store them and the cursor in one batch, then `Input::Pulled`.
    Pushed {
        /// Which class stream.
        class: Class,
        /// Or which backfill in it: then `cursor.seq` is the backfill position.
        backfill: Option<TimelineId>,
        /// In order.
        entries: Vec<Arrival>,
        /// After them.
        cursor: Cursor,
    },
    /// Client: nothing more up to this cursor; store it.
    CaughtUp {
        /// Which class stream.
        class: Class,
        /// To store.
        cursor: Cursor,
    },
    /// Client: the timeline is merged; remove its backfill position.
    BackfillDone {
        /// Which.
        timeline: TimelineId,
        /// In which class stream.
        class: Class,
    },
    /// Client: more is there than the window holds; `Input::Pulled` makes room.
    Behind {
        /// Which class stream.
        class: Class,
        /// The relay's head.
        cursor: Cursor,
    },
    /// Client: the relay answered an append, and its receipt was verified.
    Acked {
        /// Of the append.
        request: u64,
        /// One for each envelope.
        outcomes: Vec<AppendOutcome>,
        /// One for each envelope, beside its outcome: that the relay stored it, if it did.
        proofs: Vec<Option<StoredProof>>,
    },
    /// Client: a whole request was refused, by the relay or, before sending, by the session.
    Refused {
        /// Which.
        request: u64,
        /// Why.
        code: ErrorCode,
        /// In the relay's words, control characters removed.
        message: String,
        /// When to try again.
        retry_after_ms: Option<u32>,
    },
}

/// The queue of outputs.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outputs: VecDeque<Output>,
}

impl Outbox {
    pub(super) fn send(&mut self, frame: Frame) {
        self.outputs.push_back(Output::Send(frame.lane(), frame));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn close(&mut self, code: Option<ErrorCode>) {
        self.outputs.push_back(Output::Close { code });
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
