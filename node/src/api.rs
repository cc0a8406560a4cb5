//! What a person or a program may ask of a node, and what it answers.
//!
//! The same types serve the command line with the folder open, the command
//! line through the daemon's socket, and `--json`: one JSON object a line. So
//! a script reads the same answer whether a daemon runs or not.
//!
//! One thing has one name in all of them. What an object is about has its id in
//! `id`; what it belongs to is named by its kind (`timeline`, `message`), a member
//! by `author_id`. In the answers `timeline` and `messages`, which are about a
//! whole timeline, `timeline` is that object. `kind` says what an answer is.

use serde::{Deserialize, Serialize};

/// Version of every JSON answer; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 2;

/// Messages answered by one [`Request::Log`] unless it names a limit.
pub const LOG_MESSAGES_DEFAULT: usize = 50;

/// One question or order. Timelines are named by id (`tl_…`), by title, or by
/// the start of either where that is unambiguous; messages by id or its start.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Who this node is.
    Id,
    /// Add a relay. One with the key of a known one is that one at another address, or with
    /// another token. Timelines without a relay are carried by it from now on.
    RelayAdd {
        /// `khlong://KEY@HOST:PORT`.
        address: String,
        /// What the relay asks of those who open timelines on it; absent = as before.
        token: Option<String>,
    },
    /// Forget a relay, also in the timelines that it carries.
    RelayRm {
        /// Its address, its key, or the start of either.
        relay: String,
        /// Also when something waits to be stored there and nowhere else.
        #[serde(default)]
        force: bool,
    },
    /// List relays and the state of the connection to each.
    RelayLs,
    /// Open a timeline.
    TimelineNew {
        /// Shown to every member.
        title: String,
        /// `group`, `direct`, `channel` or `public`.
        kind: String,
        /// Relays that carry it, as addresses; empty = every relay of this node.
        relays: Vec<String>,
    },
    /// Make an invite link.
    TimelineInvite {
        /// Which timeline.
        timeline: String,
        /// A contact card; absent = an open link, which whoever holds it can use once.
        to: Option<String>,
        /// The joiner may read and not write.
        read_only: bool,
        /// Seconds until the link expires, counted by the relay's clock; 0 = it never does.
        expires_in_s: u64,
    },
    /// Join by an invite link.
    TimelineJoin {
        /// `khlong://KEY@HOST:PORT/join/tl_…#…`.
        link: String,
    },
    /// Forget a timeline that is being joined, if every relay that carries it is reached and
    /// refuses to let this node in; else change nothing.
    TimelineJoinEnd {
        /// Which timeline.
        timeline: String,
    },
    /// List timelines.
    TimelineLs,
    /// Give a timeline another title, for every member.
    TimelineRename {
        /// Which timeline.
        timeline: String,
        /// The new title.
        title: String,
    },
    /// Where a timeline is, and what each relay lacks.
    TimelineRelays {
        /// Which timeline.
        timeline: String,
    },
    /// Move a timeline to other relays, for every member; one's own must be an admin's.
    TimelineMove {
        /// Which timeline.
        timeline: String,
        /// All relays that it has from now on: addresses, or known ones by the start of it.
        to: Vec<String>,
    },
    /// Say goodbye and stop following a timeline; what is here stays readable.
    TimelineLeave {
        /// Which timeline.
        timeline: String,
    },
    /// Change this node's nickname in every timeline that it writes in.
    Nickname {
        /// The new nickname.
        nickname: String,
    },
    /// Write a message.
    Send {
        /// Which timeline.
        timeline: String,
        /// The text.
        body: String,
        /// The message that it answers.
        reply_to: Option<String>,
    },
    /// Replace the text of one's own message.
    Edit {
        /// Which timeline.
        timeline: String,
        /// Which message.
        message: String,
        /// The new text.
        body: String,
    },
    /// Take back one's own message.
    Delete {
        /// Which timeline.
        timeline: String,
        /// Which message.
        message: String,
    },
    /// Add a reaction, or take it back.
    React {
        /// Which timeline.
        timeline: String,
        /// Which message.
        message: String,
        /// The reaction, an emoji as a rule.
        emoji: String,
        /// Take it back.
        remove: bool,
    },
    /// Mark everything that is here as read, and tell the others.
    Read {
        /// Which timeline.
        timeline: String,
    },
    /// Messages, oldest first.
    Log {
        /// Which timeline.
        timeline: String,
        /// Skip this many from the start; absent = show the newest.
        from: Option<usize>,
        /// At most so many.
        limit: Option<usize>,
    },
    /// One message by id or its start.
    Message {
        /// Which timeline.
        timeline: String,
        /// Which message.
        message: String,
    },
    /// Ask every connected relay whether it is still there. The node is not idle until each
    /// has answered or was given up, after 10 s of silence.
    Probe,
    /// Everything a person asks when something seems stuck.
    Status,
    /// Envelopes that no relay has stored yet.
    OutboxLs,
    /// Offer refused envelopes again, now.
    OutboxRetry,
    /// Stop offering a timeline's queued messages and receipts. They stay in the local
    /// history, marked as dropped; keys and permissions too, unless a relay has the timeline.
    OutboxDrop {
        /// Which timeline.
        timeline: String,
    },
    /// Write messages found in another network's export.
    Import {
        /// Which timeline.
        timeline: String,
        /// At most [`IMPORT_BATCH_MESSAGES_MAX`]. Those with one key are one message.
        messages: Vec<ImportedLine>,
        /// Only count what would be written.
        #[serde(default)]
        dry_run: bool,
    },
    /// Hashes by which two replicas of a timeline are compared.
    Digest {
        /// Which timeline.
        timeline: String,
    },
}

/// Messages of one [`Request::Import`]; the importer sends as many requests as it needs.
pub const IMPORT_BATCH_MESSAGES_MAX: usize = 256;

/// One message of another network, as the importer found it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ImportedLine {
    /// `irc` or `line`.
    pub network: String,
    /// The sender's name there.
    pub sender: String,
    /// When it was sent, milliseconds since 1970, UTC.
    pub sent_at_ms: i64,
    /// The text.
    pub body: String,
    /// 16 bytes, hexadecimal: equal for the same message of the same export.
    pub import_key: String,
}

/// What came of a [`Request`].
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Response {
    /// Answer to [`Request::Id`].
    Id {
        /// `usr_…`.
        user: String,
        /// `dev_…`.
        device: String,
        /// `card_…`: what others need to invite this user.
        card: String,
        /// The nickname shown to others.
        nickname: String,
    },
    /// Answer to the relay requests.
    Relays {
        /// In the order in which they were added.
        relays: Vec<RelayView>,
    },
    /// Answer to [`Request::TimelineNew`], `…Join`, `…Rename`, `…Leave`.
    Timeline {
        /// As it stands now.
        timeline: TimelineView,
    },
    /// Answer to [`Request::TimelineRelays`] and [`Request::TimelineMove`].
    TimelineRelays {
        /// Which timeline.
        timeline: String,
        /// In the order in which they were added.
        relays: Vec<TimelineRelayView>,
    },
    /// Answer to [`Request::TimelineJoinEnd`] when the timeline was forgotten; else it is
    /// [`Response::Timeline`].
    NotLetIn {
        /// Which timeline.
        timeline: String,
        /// Number on the wire of what the relays said (`sync/PROTOCOL.md` §7).
        code: u32,
    },
    /// Answer to [`Request::TimelineLs`].
    Timelines {
        /// By title.
        timelines: Vec<TimelineView>,
    },
    /// Answer to [`Request::TimelineInvite`].
    Invite {
        /// Which timeline.
        timeline: String,
        /// To be given to the one who joins, over a channel that both trust.
        link: String,
    },
    /// Answer to whatever wrote something.
    Written {
        /// Which timeline.
        timeline: String,
        /// The message, when one was written or changed. In JSON `id`, as in [`MessageView`].
        #[serde(rename = "id")]
        message: Option<String>,
        /// Author and place in the chain, `aut_…:seq`, of the envelope; absent when nothing had to be written.
        /// In JSON `place`: it is no `env_…`.
        #[serde(rename = "place")]
        envelope: Option<String>,
        /// How far it has come.
        delivery: Delivery,
    },
    /// Answer to [`Request::Log`] and [`Request::Message`].
    Messages {
        /// Which timeline.
        timeline: TimelineView,
        /// Place of the first one in the whole history.
        from: usize,
        /// Oldest first.
        messages: Vec<MessageView>,
    },
    /// Answer to [`Request::Status`].
    Status {
        /// Envelopes that no relay has stored yet.
        queued: u64,
        /// Relays.
        relays: Vec<RelayView>,
        /// Timelines.
        timelines: Vec<TimelineView>,
    },
    /// Answer to the outbox requests.
    Outbox {
        /// Oldest first.
        entries: Vec<OutboxView>,
    },
    /// Answer to [`Request::Import`].
    Imported {
        /// Which timeline.
        timeline: String,
        /// Newly written, or to be written after a dry run.
        imported: u64,
        /// Here already by an earlier import, or twice in the request.
        known: u64,
    },
    /// Answer to [`Request::Digest`].
    Digest {
        /// Which timeline.
        timeline: String,
        /// Over the sorted hashes of every accepted change, hexadecimal.
        state_hash: String,
        /// Over the canonical save of every page, hexadecimal.
        canonical_hash: String,
        /// Messages.
        messages: usize,
    },
    /// The request was refused; nothing was changed.
    Refused {
        /// What to do about it.
        message: String,
        /// Exit code of the command line.
        exit_code: u8,
    },
}

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
    /// Whether it does not answer, and everything that it carries is in step with another relay.
    #[serde(default)]
    pub covered: bool,
    /// Own envelopes that it has not signed for, whoever else has.
    #[serde(default)]
    pub owed: u64,
}

/// A relay of a timeline.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct TimelineRelayView {
    /// `khlong://KEY@HOST:PORT`.
    pub address: String,
    /// As in [`RelayView::state`].
    pub state: String,
    /// Why the last attempt to reach it failed, if it did.
    pub last_error: Option<String>,
    /// Envelopes that it is still to be given.
    pub owed: u64,
    /// Number on the wire of its error, where it refused one of them for good (`sync/PROTOCOL.md` §7).
    pub code: Option<u32>,
    /// Whether the timeline is on its way to it.
    pub arriving: bool,
    /// Whether it is left once another one has everything and it has nothing new.
    pub leaving: bool,
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
    /// The relay that it came from first: its address, or its key where it is no relay of
    /// this node any more. Absent for what was written here.
    #[serde(default)]
    pub served_by: Option<String>,
    /// Relays that signed that they keep it, of one's own, named likewise.
    #[serde(default)]
    pub stored_at: Vec<String>,
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
    /// refused it for good: only [`Request::OutboxRetry`] offers it again.
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
