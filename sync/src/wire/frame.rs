//! What peers say, as domain types. Every value here is within its limit once it came through [`super::decode`].

use std::ops::RangeInclusive;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, LogId, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;

use super::code::ErrorCode;
use crate::replica::{Arrival, TransferTotals};
use crate::secret::Secret;

/// The stream on which a frame travels. Frames of one lane keep their order, lanes do not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The bidirectional control stream.
    Control,
    /// One stream for each class and direction.
    Class(Class),
    /// Datagrams: may be lost.
    Ephemeral,
}

impl Lane {
    /// As in a captured session: 0 control, 1–4 the classes, 5 ephemeral.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Class(class) => class as u8 + 1,
            Self::Ephemeral => 5,
        }
    }
}

/// A frame. Who may send which, when, and what it means: `PROTOCOL.md`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is documented on its body")]
pub enum Frame {
    Hello(Hello),
    Prove(Prove),
    Proved(Proved),
    Subscribe(Subscribe),
    Subscribed(Subscribed),
    Unsubscribe(Unsubscribe),
    SubscriptionEnded(SubscriptionEnded),
    Totals(Totals),
    Push(Push),
    Pull(Pull),
    CaughtUp(CaughtUp),
    BackfillDone(BackfillDone),
    Behind(Behind),
    Append(Append),
    Ack(Ack),
    Ephemeral(Ephemeral),
    Error(ErrorFrame),
    Ping(Ping),
    Pong(Pong),
    Goodbye(Goodbye),
    /// A frame of a later version: skipped. Its number is what can be said of it.
    Unknown(u32),
}

impl Frame {
    /// Where it travels. A transport refuses a frame that came on another lane;
    /// an unknown frame may come on any.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Subscribed(body) => Lane::Class(body.class),
            Self::SubscriptionEnded(body) => Lane::Class(body.class),
            Self::Totals(body) => Lane::Class(body.class),
            Self::Push(body) => Lane::Class(body.class),
            Self::CaughtUp(body) => Lane::Class(body.class),
            Self::BackfillDone(body) => Lane::Class(body.class),
            Self::Behind(body) => Lane::Class(body.class),
            Self::Append(body) => Lane::Class(body.class()),
            Self::Ephemeral(_) => Lane::Ephemeral,
            Self::Hello(_)
            | Self::Prove(_)
            | Self::Proved(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Pull(_)
            | Self::Ack(_)
            | Self::Error(_)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Goodbye(_)
            | Self::Unknown(_) => Lane::Control,
        }
    }
}

/// The first frame of each side: the client offers versions, the server answers with the chosen one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Offered versions; in the answer one version.
    pub versions: RangeInclusive<u16>,
    /// Name and version of the program, at most 64 bytes.
    pub agent: String,
    /// After so long a silence this side pings; the smaller of both counts.
    pub keep_alive_ms: u32,
    /// The server's log and its epoch.
    pub log: Option<(LogId, u32)>,
    /// What lets the client open timelines, where the relay asks for it.
    pub token: Option<Secret>,
    /// The server's clock, so that a client can see that its own is wrong.
    pub relay_time: Option<UnixMillis>,
}

/// "I hold the secret of this author key." Possession only: rights are judged at every use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prove {
    /// In which timeline.
    pub timeline: TimelineId,
    /// The key.
    pub author: AuthorKey,
    /// Over [`crate::session::proof::proof_bytes`].
    pub signature: [u8; 64],
}

/// The proof held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved {
    /// In which timeline.
    pub timeline: TimelineId,
    /// The key.
    pub author: AuthorKey,
}

/// One timeline of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineSubscription {
    /// Which.
    pub timeline: TimelineId,
    /// Classes in which it is not merged into the class stream yet, in order; what is after the position is missing.
    pub backfill: Vec<(Class, ArrivalSeq)>,
}

/// "Send me what is new in these."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Answered by one [`Subscribed`] for each class.
    pub request: u64,
    /// Only in the first subscribe of a connection: where each class stream goes on.
    pub cursors: Vec<(Class, Cursor)>,
    /// At least one.
    pub timelines: Vec<TimelineSubscription>,
    /// Reserved for push notifications: no relay keeps it yet.
    pub wake_up: Option<[u8; 16]>,
}

/// The answer, on each class lane before anything that follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Of the subscribe.
    pub request: u64,
    /// Which class stream.
    pub class: Class,
    /// From where it goes on. The client stores it.
    pub cursor: Cursor,
    /// The client's cursor is not of this log: the class begins anew, all accepted timelines are merged at 0.
    pub rewound: bool,
    /// Timelines that are not subscribed, and why.
    pub refused: Vec<(TimelineId, ErrorCode)>,
}

/// "No more of this."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Which.
    pub timeline: TimelineId,
}

/// From here on the class stream leaves this timeline out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionEnded {
    /// Which.
    pub timeline: TimelineId,
    /// In which class stream.
    pub class: Class,
    /// Absent: as asked.
    pub code: Option<ErrorCode>,
}

/// How much is about to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Which class stream.
    pub class: Class,
    /// Or which backfill in it.
    pub backfill: Option<TimelineId>,
    /// Envelopes and bytes.
    pub totals: TransferTotals,
}

/// Entries of a class stream, or of a backfill.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Which class stream.
    pub class: Class,
    /// Or which backfill in it.
    pub backfill: Option<TimelineId>,
    /// In order, at least one.
    pub entries: Vec<Arrival>,
    /// After these entries: the client stores it in the batch that stores them. In a backfill
    /// `seq` is the new position and `hash` that of the log at this place.
    pub cursor: Cursor,
}

/// "Durable up to here": gives credit back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Which class stream.
    pub class: Class,
    /// Or which backfill in it.
    pub backfill: Option<TimelineId>,
    /// The place.
    pub cursor: ArrivalSeq,
}

/// Nothing more up to this cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// Which class stream.
    pub class: Class,
    /// The client stores it.
    pub cursor: Cursor,
}

/// The backfill met the class stream: the timeline is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillDone {
    /// Which.
    pub timeline: TimelineId,
    /// In which class stream.
    pub class: Class,
}

/// The window is full and there is more; pushing goes on after a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Which class stream.
    pub class: Class,
    /// The server's head.
    pub cursor: Cursor,
}

/// Envelopes to keep.
#[derive(Clone, Debug)]
pub struct Append {
    /// Answered in one [`Ack`] or by one [`ErrorFrame`].
    pub request: u64,
    /// 1 to 256, together at most 1.5 MiB.
    pub envelopes: Vec<VerifiedEnvelope>,
}

impl Append {
    /// The lane: the most urgent class among the envelopes.
    #[must_use]
    pub fn class(&self) -> Class {
        self.envelopes
            .iter()
            .map(VerifiedEnvelope::class)
            .min()
            .unwrap_or(Class::Control)
    }
}

impl PartialEq for Append {
    fn eq(&self, other: &Self) -> bool {
        self.request == other.request
            && self.envelopes.len() == other.envelopes.len()
            && self
                .envelopes
                .iter()
                .zip(&other.envelopes)
                .all(|(a, b)| a.bytes() == b.bytes())
    }
}

/// What became of one envelope of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Durable now.
    Stored {
        /// Its place.
        arrival: ArrivalSeq,
    },
    /// Was here already.
    Duplicate {
        /// Its place.
        arrival: ArrivalSeq,
    },
    /// Not kept.
    Refused {
        /// Why.
        code: ErrorCode,
        /// When to try again, if that can help.
        retry_after_ms: Option<u32>,
    },
}

impl AppendOutcome {
    /// Stored or a duplicate: the receipt covers it.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        match self {
            Self::Stored { .. } | Self::Duplicate { .. } => true,
            Self::Refused { .. } => false,
        }
    }
}

/// What became of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendAnswer {
    /// Of the append.
    pub request: u64,
    /// One for each envelope, in its order.
    pub outcomes: Vec<AppendOutcome>,
}

/// The answer to all appends of a connection that one commit decided, sent after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// To the append that came first.
    pub first: AppendAnswer,
    /// To the others, as they came; at most 7.
    pub further: Vec<AppendAnswer>,
    /// Over the ids that were stored or duplicates: of the first append, then of
    /// the further ones, each in its order; absent if there are none.
    pub receipt: Option<AckReceipt>,
}

/// What a relay signs for the appends of one ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckReceipt {
    /// With everything in it: version 1.
    Whole(StoredReceipt),
    /// Without what the client knows: its relay, the log of Hello, and the ids that it sent.
    /// The signature is over the bytes of the whole one.
    Short {
        /// When the relay received them.
        received_at: UnixMillis,
        /// Of the whole receipt.
        signature: [u8; 64],
    },
}

/// Typing, presence: encrypted, never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ephemeral {
    /// Where.
    pub timeline: TimelineId,
    /// At most 1,024 bytes.
    pub payload: Vec<u8>,
}

/// Something was refused: a request if it names one, else the connection, which closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// Why.
    pub code: ErrorCode,
    /// Which request.
    pub request: Option<u64>,
    /// For a log, at most 256 bytes; never shown as if it were ours.
    pub message: String,
    /// When to try again, if that can help.
    pub retry_after_ms: Option<u32>,
}

/// "Are you there?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Comes back.
    pub nonce: u64,
}

/// "Yes."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Of the ping.
    pub nonce: u64,
}

/// The connection closes in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye {
    /// Why; absent: nothing is wrong.
    pub code: Option<ErrorCode>,
}
