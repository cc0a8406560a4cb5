//! What answers are made of: things as they stand on a node, and what happened to them.

use serde::{Deserialize, Serialize};

/// How far one's own message has come. Each state is proven by what arrived:
/// a relay's signed receipt, another member's encrypted one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Written here, on its way.
    Queued,
    /// A relay has it on disk and signed so.
    Stored,
    /// A device of another member has it.
    Delivered,
    /// Another member has read it.
    Read,
    /// Taken out of the outbox by hand; no relay has it.
    Dropped,
    /// Every relay that carries the timeline refused it for good; see `khlong outbox ls`.
    Refused,
    /// Written by another member.
    Received,
}

/// A relay of this node.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RelayView {
    /// `khlong://KEY@HOST:PORT`.
    pub address: String,
    /// `connected`, `connecting`, `waiting` or `off`.
    pub state: String,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// Whether it failed because whoever answered has another key.
    #[serde(default)]
    pub wrong_key: bool,
    /// Whether everything that the relay has is here.
    pub caught_up: bool,
    /// Whether it was asked if it is there, and has not answered yet.
    #[serde(default)]
    pub probing: bool,
    /// Envelopes that it announced since it was connected to.
    #[serde(default)]
    pub announced: u64,
    /// Envelopes that came since then, what others wrote meanwhile included.
    #[serde(default)]
    pub arrived: u64,
    /// Envelopes that it is still to be offered, at most, beside the outbox: it lost its log, or
    /// was away for long. Before that is 0 it is not `caught_up`.
    #[serde(default)]
    pub reoffering: u64,
    /// Why it takes nothing of that for now: the name of its error.
    #[serde(default)]
    pub reoffer_refused: Option<String>,
    /// Envelopes of one's own in the outbox that it is still to be offered; another relay may
    /// have them.
    #[serde(default)]
    pub lacking: u64,
    /// Envelopes of one's own in the outbox that it refused for good, or every relay did.
    #[serde(default)]
    pub refused: u64,
    /// When it last signed for an envelope since the node started, RFC 3339, UTC.
    #[serde(default)]
    pub last_stored_at: Option<String>,
    /// When it last sent one, RFC 3339, UTC.
    #[serde(default)]
    pub last_pushed_at: Option<String>,
}

/// A relay of one timeline.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct CarrierView {
    /// `khlong://KEY@HOST:PORT`.
    pub address: String,
    /// As in [`RelayView::state`].
    pub state: String,
    /// Whether an admin has named it to every member; else this node knows it by a link, or of itself.
    pub named: bool,
    /// Whether it was taken away, and this node waits until it can do without.
    pub leaving: bool,
    /// Envelopes of the timeline that it is still to be given, at most.
    pub lacking: u64,
    /// Why it refuses for good something of the timeline, e.g. `NotAdmitted`; as long as it
    /// does, no other relay is left for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuses: Option<String>,
    /// When it last signed for an envelope of the timeline since the node started, RFC 3339, UTC.
    #[serde(default)]
    pub last_stored_at: Option<String>,
    /// When it last sent one of the timeline since then, whether that was here already or not,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub last_pushed_at: Option<String>,
}

/// A timeline as it stands on this node.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct TimelineView {
    /// `tl_…`.
    pub id: String,
    /// Its title; empty until the first member has given one.
    pub title: String,
    /// `group`, `direct`, …; `joining` until its genesis has arrived.
    pub kind: String,
    /// Whether this node follows it.
    pub followed: bool,
    /// Nicknames of the members as in [`MessageView::author`], or the start of a key where there is none.
    pub members: Vec<String>,
    /// Messages here.
    pub messages: usize,
    /// Messages of others that came after the last `read`.
    pub unread: usize,
    /// Own envelopes that no relay has stored yet.
    pub queued: u64,
    /// Envelopes that wait for a key or for another envelope.
    pub parked: usize,
    /// Relays that carry it.
    pub relays: Vec<String>,
    /// Whether it is to draw no attention to itself.
    #[serde(default)]
    pub muted: bool,
    /// How many of its members are blocked here; their messages do not count as unread.
    #[serde(default)]
    pub blocked: usize,
}

/// A message as it stands on this node.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct MessageView {
    /// `msg_…`.
    pub id: String,
    /// Nickname of the author, or the name in the network that it was imported from. Of two
    /// members whose nicknames look alike each has the start of the key behind it.
    pub author: String,
    /// The member who wrote or imported it, `prn_…`; an author key, `aut_…`, until that is known.
    #[serde(default)]
    pub author_id: String,
    /// Whether this node's user wrote it.
    pub mine: bool,
    /// RFC 3339, UTC; what the author's clock said.
    pub sent_at: String,
    /// The text as it stands; empty when deleted.
    pub body: String,
    /// Whether the text was changed.
    pub edited: bool,
    /// Whether its author took it back.
    pub deleted: bool,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// Reactions: the emoji and who gave it.
    pub reactions: Vec<ReactionView>,
    /// The network that it was imported from.
    pub origin: Option<String>,
    /// How far it has come.
    pub delivery: Delivery,
    /// Whether its author is blocked here: not to be shown unasked.
    #[serde(default)]
    pub blocked: bool,
}

/// A member whose messages are hidden.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct BlockedView {
    /// `prn_…`.
    pub author_id: String,
    /// Nickname as in [`MessageView::author`].
    pub author: String,
    /// The timeline whose member it is.
    pub timeline: String,
    /// Title of that timeline.
    pub title: String,
    /// When it was blocked, RFC 3339, UTC.
    pub since: String,
}

/// A reaction and those who gave it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ReactionView {
    /// The emoji.
    pub emoji: String,
    /// Nicknames.
    pub by: Vec<String>,
}

/// An envelope that waits for a relay.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct OutboxView {
    /// Which timeline.
    pub timeline: String,
    /// `env_…`. In JSON `id`.
    #[serde(rename = "id")]
    pub envelope: String,
    /// Place in the own chain.
    pub seq: u64,
    /// Bytes.
    pub bytes: u64,
    /// When it was written, RFC 3339, UTC.
    pub queued_at: String,
    /// How often a relay answered an attempt with a refusal.
    pub attempts: u32,
    /// Name of the relay's error, when every relay that carries the timeline
    /// refused it for good: only [`Request::OutboxRetry`](super::Request::OutboxRetry) offers it again.
    pub refused: Option<String>,
    /// Name of the relay's error, when it is offered again without being asked to.
    pub put_off: Option<String>,
    /// Number of that error on the wire (`sync/PROTOCOL.md` §7).
    pub code: Option<u32>,
    /// When the relay that put it off is asked again, RFC 3339, UTC.
    pub next_attempt: Option<String>,
}

/// Something happened on a node.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A message arrived or was written here.
    Message {
        /// Which timeline.
        timeline: String,
        /// Which message.
        message: String,
    },
    /// A message was edited, deleted or reacted to.
    Changed {
        /// Which timeline.
        timeline: String,
        /// Which message.
        message: String,
    },
    /// Title, roster or pins changed, or a member joined.
    State {
        /// Which timeline.
        timeline: String,
    },
    /// Delivery of own messages came further.
    Delivery {
        /// Which timeline.
        timeline: String,
    },
    /// A relay was reached, lost, or everything that it has is here.
    Relay {
        /// As it stands now.
        relay: RelayView,
    },
    /// A member wrote two envelopes at one place of a chain: a copied device, or a cheat.
    Fork {
        /// Which timeline.
        timeline: String,
        /// Whose chain, `aut_…`. In JSON `author_id`.
        #[serde(rename = "author_id")]
        author: String,
        /// Where.
        seq: u64,
    },
    /// More happened at once than is kept: the oldest events before the next one
    /// were dropped. The history has everything: ask it.
    Missed {
        /// How many.
        count: u64,
    },
}
