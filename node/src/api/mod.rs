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

mod views;

use serde::{Deserialize, Serialize};

pub use self::views::{
    BlockedView, CarrierView, Delivery, Event, MessageView, OutboxView, ReactionView, RelayView,
    TimelineView,
};

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
    /// Say goodbye and stop following a timeline; what is here stays readable.
    TimelineLeave {
        /// Which timeline.
        timeline: String,
    },
    /// Add a relay to a timeline, for every member; the relay gets the whole history. Only for
    /// admins. One that is being taken away stays.
    TimelineRelayAdd {
        /// Which timeline.
        timeline: String,
        /// `khlong://KEY@HOST:PORT`.
        relay: String,
    },
    /// Take a relay away from a timeline, for every member: as soon as another relay has
    /// everything that is here, and it has heard of it. Only for admins.
    TimelineRelayRm {
        /// Which timeline.
        timeline: String,
        /// Its address, its key, or the start of either.
        relay: String,
        /// At once: it is gone for good.
        #[serde(default)]
        force: bool,
    },
    /// Relays that carry a timeline.
    TimelineRelayLs {
        /// Which timeline.
        timeline: String,
    },
    /// Let a timeline draw no attention to itself, or again. It stays in sync.
    TimelineMute {
        /// Which timeline.
        timeline: String,
        /// Whether it is to be muted.
        muted: bool,
    },
    /// Hide the messages of a member from this node's user. Nothing is deleted, and nothing
    /// of it leaves the node.
    Block {
        /// The member: `prn_…`, the start of it, or a name that only one has.
        author: String,
        /// Only a member of this timeline.
        timeline: Option<String>,
    },
    /// Show the messages of a member again.
    Unblock {
        /// The member, as in [`Request::Block`].
        author: String,
        /// Only a member of this timeline.
        timeline: Option<String>,
    },
    /// Members that are blocked.
    BlockedLs,
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
    /// `irc`, `line` or `telegram`.
    pub network: String,
    /// The sender's name there.
    pub sender: String,
    /// When it was sent, milliseconds since 1970, UTC.
    pub sent_at_ms: i64,
    /// The text.
    pub body: String,
    /// 16 bytes, hexadecimal: equal for the same message of the same export.
    pub import_key: String,
    /// Import key of the message that it answers. One that is neither here nor before it in
    /// the request is left out.
    #[serde(default)]
    pub reply_to: Option<String>,
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
    /// Answer to [`Request::TimelineNew`], `…Join`, `…Rename`, `…Leave`, `…Mute`.
    Timeline {
        /// As it stands now.
        timeline: TimelineView,
    },
    /// Answer to [`Request::TimelineRelayAdd`], `…Rm`, `…Ls`.
    Carriers {
        /// Which timeline.
        timeline: String,
        /// In the order in which they were added.
        relays: Vec<CarrierView>,
        /// Relays that this node left and that had no room for the word of it, by address: who
        /// knows no other relay of the timeline needs a new link.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        untold: Vec<String>,
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
    /// Answer to [`Request::Block`], `Unblock`, `BlockedLs`.
    Blocked {
        /// Everybody who is blocked now.
        members: Vec<BlockedView>,
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
