//! Chat exports become messages that a node can sign and write.
//!
//! Why sans-IO: the parsers take a file name and bytes and return what they
//! found, so that a dry run, a real import and a test run the same code. Only
//! [`irc_day_files`], [`read_export`] and [`open_export`] touch a disk.
//!
//! What every parser promises:
//!
//! * No bytes make it panic. UTF-8, UTF-16 with its mark and Thai in Windows-874
//!   (TIS-620) are read. A LINE export in anything else is refused; of an IRC
//!   log, which holds what many programs sent, such a line is decoded with
//!   U+FFFD and counted in [`Parsed::lossy_lines`].
//! * Every line is a message (or part of one), a [`SkippedLine`] with number
//!   and reason, or *structure*. Structure is a blank line, a date line, and
//!   the title and "saved on" lines of an export; it is not listed.
//! * A body is stored whole or not at all: one above
//!   [`IMPORT_BODY_BYTES_MAX`] is skipped, never cut.
//! * Control characters leave bodies and senders (tab and line feed stay in
//!   bodies), because a terminal would obey them.
//! * [`ImportedMessage::import_key`] depends on the message alone, not on the
//!   file or the device, so a second import adds nothing.

mod collect;
mod encoding;
mod error;
mod files;
mod irc;
mod line;
mod lines;
mod telegram;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use encoding::Encoding;
pub use error::ImportError;
pub use files::{irc_day_files, open_export, read_export};
pub use irc::parse_irc;
pub use line::parse_line;
pub use telegram::{
    ChatChoice, TELEGRAM_BODIES_BYTES_MAX, TELEGRAM_CHATS_MAX, TELEGRAM_DEPTH_MAX,
    TELEGRAM_FILE_BYTES_MAX, TELEGRAM_STRING_BYTES_MAX, TelegramChat, TelegramExport,
    TelegramLimit, parse_telegram,
};

/// Largest export that is read: 64 MiB, about 400,000 Thai messages of 50
/// characters, which is more than LINE writes into one file.
pub const IMPORT_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most lines in one export, of Telegram messages. Bounds what the list of skipped lines may take.
pub const IMPORT_LINES_MAX: usize = 2_000_000;

/// Most day files taken from one folder: 27 years of days.
pub const IMPORT_FILES_MAX: usize = 10_000;

/// Largest body of one message, in bytes of UTF-8 after cleaning.
pub const IMPORT_BODY_BYTES_MAX: usize = 16 * 1024;

/// Largest sender name, in bytes of UTF-8: 42 Thai characters.
pub const IMPORT_SENDER_BYTES_MAX: usize = 128;

/// Largest title, in bytes of UTF-8. A longer one is cut at a character:
/// a title is a suggestion, no part of a message.
pub const IMPORT_TITLE_BYTES_MAX: usize = 256;

/// Largest excerpt of a skipped line, in bytes of UTF-8.
pub const IMPORT_EXCERPT_BYTES_MAX: usize = 96;

const _: () = assert!(IMPORT_BODY_BYTES_MAX < IMPORT_FILE_BYTES_MAX);
const _: () = assert!(IMPORT_LINES_MAX < u32::MAX as usize);
const _: () = assert!(IMPORT_LINES_MAX * IMPORT_EXCERPT_BYTES_MAX < 4 * IMPORT_FILE_BYTES_MAX);

/// The network a message was written on. It is the `network` of the message's
/// origin and the format of its import key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// Internet Relay Chat: a channel log.
    Irc,
    /// The LINE messenger.
    Line,
    /// The Telegram messenger.
    Telegram,
}

impl Network {
    /// The name that goes into the origin and into the import key. Frozen:
    /// another name is another key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Irc => "irc",
            Self::Line => "line",
            Self::Telegram => "telegram",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One message found in an export, ready to be signed by the importer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedMessage {
    /// Where it was written.
    pub network: Network,
    /// The name in the export; at most [`IMPORT_SENDER_BYTES_MAX`] bytes,
    /// never empty, without control characters.
    pub sender: String,
    /// Milliseconds since 1970-01-01 UTC. Exports know the minute, so the
    /// seconds are zero unless the log had them.
    pub sent_at_ms: i64,
    /// The text; at most [`IMPORT_BODY_BYTES_MAX`] bytes. Stickers and photos
    /// are the placeholder that the export had. An IRC body may be empty: some
    /// people do send a blank line.
    pub body: String,
    /// Equal for equal messages on every device: the first 16 bytes of BLAKE3
    /// `derive_key("khlong.network 2026-11 import key v1")` over format,
    /// sender, minute and body, each with its length as u32 BE before it, and
    /// an ordinal as u32 BE. The minute is `sent_at_ms / 60,000` rounded down,
    /// as i64 BE. Of Telegram the sender is `from_id`, if there is one, because
    /// names there are those of the exporter's contacts.
    ///
    /// The ordinal counts the earlier messages of the same file with the same
    /// sender, minute and body. It does not count the other messages of that
    /// minute, so that an export of other days, or one in which somebody's
    /// message is missing, still gives the same keys.
    pub import_key: [u8; 16],
    /// Import key of the message that it answers, if that is in the same export.
    pub reply_to: Option<[u8; 16]>,
    /// The file it came from, as given to the parser.
    pub file: Arc<str>,
    /// Its first line, from 1.
    pub line: u32,
}

/// A line that became no message, so that nothing is dropped in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// The file, as given to the parser.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// Why.
    pub reason: SkipReason,
    /// How the line begins: at most [`IMPORT_EXCERPT_BYTES_MAX`] bytes,
    /// without control characters.
    pub excerpt: String,
}

/// Why a line became no message. `Display` is for people, [`SkipReason::code`]
/// for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// Somebody came, went or changed the name.
    JoinOrPart,
    /// Written by the server or the app, not by a person.
    SystemLine,
    /// An IRC action (`* mali waves`): a log shows who, but not reliably where
    /// the name ends.
    Action,
    /// An IRC notice (`-NickServ- …`).
    Notice,
    /// The sender took the message back.
    Unsent,
    /// A message before any readable date line.
    NoDate,
    /// A date or time that no calendar or clock has.
    BadTimestamp,
    /// A LINE message without a text.
    EmptyBody,
    /// The body is above [`IMPORT_BODY_BYTES_MAX`].
    BodyTooLong,
    /// The sender is empty or above [`IMPORT_SENDER_BYTES_MAX`].
    BadSender,
    /// Nothing that the format knows.
    Unrecognized,
}

impl SkipReason {
    /// A stable word for JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::JoinOrPart => "join-or-part",
            Self::SystemLine => "system-line",
            Self::Action => "action",
            Self::Notice => "notice",
            Self::Unsent => "unsent",
            Self::NoDate => "no-date",
            Self::BadTimestamp => "bad-timestamp",
            Self::EmptyBody => "empty-body",
            Self::BodyTooLong => "body-too-long",
            Self::BadSender => "bad-sender",
            Self::Unrecognized => "unrecognized",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JoinOrPart => f.write_str("somebody joined, left or changed the name"),
            Self::SystemLine => f.write_str("written by the server or the app"),
            Self::Action => f.write_str("an IRC action, not a message"),
            Self::Notice => f.write_str("an IRC notice, not a message"),
            Self::Unsent => f.write_str("the sender took the message back"),
            Self::NoDate => f.write_str("no date line before it"),
            Self::BadTimestamp => f.write_str("no such date or time"),
            Self::EmptyBody => f.write_str("the message has no text"),
            Self::BodyTooLong => write!(f, "longer than {IMPORT_BODY_BYTES_MAX} bytes"),
            Self::BadSender => write!(
                f,
                "the sender's name is empty or longer than {IMPORT_SENDER_BYTES_MAX} bytes"
            ),
            Self::Unrecognized => f.write_str("not a line of this format"),
        }
    }
}

/// A byte of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In its line, from 1.
    pub byte: usize,
}

impl Place {
    /// Of the byte at `offset`.
    fn of(bytes: &[u8], offset: usize) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let in_line = before.rsplit(|byte| *byte == b'\n').next();
        Self {
            line: u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1),
            byte: in_line.map_or(0, <[u8]>::len) + 1,
        }
    }
}

/// What one export holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The name of the group, of the other person or of the channel, if the export tells.
    pub title: Option<String>,
    /// In the order of the file.
    pub messages: Vec<ImportedMessage>,
    /// In the order of the file.
    pub skipped: Vec<SkippedLine>,
    /// How many lines were not UTF-8 and hold U+FFFD now.
    pub lossy_lines: u32,
    /// Where the first of them stops being UTF-8.
    pub first_lossy: Option<Place>,
    /// How its bytes were read.
    pub encoding: Encoding,
}

impl Parsed {
    /// How many messages each sender has; what `--only` may be set to.
    pub fn senders(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for message in &self.messages {
            *counts.entry(message.sender.as_str()).or_insert(0) += 1;
        }
        counts
    }
}
