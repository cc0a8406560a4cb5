//! Telegram Desktop exports (`result.json`), of one chat or of a whole account.
//!
//! ```text
//! { "name": "ตลาดริมคลอง", "type": "private_group", "id": 4711, "messages": [ … ] }
//! { "personal_information": …, "chats": { "list": [ <chat>, … ] }, "left_chats": … }
//! ```
//!
//! Exports are often hundreds of megabytes, most of it about pictures, so they are
//! read as a stream: what is no text of a wanted chat is never kept. [`guarded`]
//! bounds depth and lengths before the JSON parser sees a byte. A field of an
//! unexpected kind counts as absent, so that one strange message spoils no other.
//!
//! What becomes of what is not plain text:
//!
//! * Media is a placeholder in the language of the export's field names, as LINE
//!   writes one, and the caption follows it: `[photo] the pier`.
//! * A forwarded message says whose words these are: `[forwarded from Nok] …`.
//! * A link that shows another text has its address behind it.
//! * An edited message has its last text. Changed again before a second export, it
//!   is another message to the import (README).
//! * Service messages are skipped and counted.
//!
//! Limits count what is taken. Of a chat that is not, its messages are only counted, as soon
//! as its name and number say so: in every export that we know they stand before them.
//!
//! The import key has `from_id` where other formats have the sender: Telegram shows
//! each person the names of that person's own contacts. Message ids are in no key,
//! because in private chats and small groups every account numbers for itself.

mod chats;
mod guarded;
mod ignoring;
mod media;
mod message;
mod text;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use jiff::tz::Offset;
use serde::de::DeserializeSeed as _;

use self::chats::ChatSeed;
use self::guarded::Guarded;
use self::message::Message;
use super::collect::{Collector, Said, title_of};
use super::encoding::Encoding;
use super::lines::clean_name;
use super::{IMPORT_LINES_MAX, ImportError, Network, Parsed, Place, SkipReason};

/// Largest `result.json` that is read: a gibibyte, of which a few percent are text.
pub const TELEGRAM_FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Most bytes of bodies that are kept of one export.
pub const TELEGRAM_BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Most chats of one export; Telegram's own limit of chats an account takes part in is 1,000.
pub const TELEGRAM_CHATS_MAX: usize = 10_000;

/// Objects and lists within each other. Telegram needs eight.
pub const TELEGRAM_DEPTH_MAX: u32 = 32;

/// Longest string. Telegram's longest text has 4,096 characters.
pub const TELEGRAM_STRING_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(super::IMPORT_BODY_BYTES_MAX < TELEGRAM_STRING_BYTES_MAX);
const _: () = assert!((TELEGRAM_STRING_BYTES_MAX as u64) < TELEGRAM_FILE_BYTES_MAX);
const _: () = assert!((TELEGRAM_BODIES_BYTES_MAX as u64) < TELEGRAM_FILE_BYTES_MAX);
/// The JSON parser recurses, up to 128 levels of its own.
const _: () = assert!(TELEGRAM_DEPTH_MAX < 128);

/// What an export holds more of than is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelegramLimit {
    /// [`TELEGRAM_FILE_BYTES_MAX`].
    File,
    /// [`TELEGRAM_DEPTH_MAX`].
    Depth,
    /// [`TELEGRAM_STRING_BYTES_MAX`]; of what is no string, 64 bytes.
    Value,
    /// [`IMPORT_LINES_MAX`], of the chats that are taken.
    Messages,
    /// [`TELEGRAM_BODIES_BYTES_MAX`].
    Bodies,
    /// [`TELEGRAM_CHATS_MAX`].
    Chats,
}

impl fmt::Display for TelegramLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => write!(f, "more than {TELEGRAM_FILE_BYTES_MAX} bytes"),
            Self::Depth => write!(f, "values nested more than {TELEGRAM_DEPTH_MAX} deep"),
            Self::Value => write!(
                f,
                "a value longer than any of Telegram's (a string of {TELEGRAM_STRING_BYTES_MAX} bytes)"
            ),
            Self::Messages => write!(f, "more than {IMPORT_LINES_MAX} messages"),
            Self::Bodies => write!(f, "more than {TELEGRAM_BODIES_BYTES_MAX} bytes of text"),
            Self::Chats => write!(f, "more than {TELEGRAM_CHATS_MAX} chats"),
        }
    }
}

/// Which chats of an export are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatChoice {
    /// The chat of an export of one chat. Those of a whole account are only counted.
    Lone,
    /// Those with this name or id.
    Named(String),
    /// Every one.
    All,
}

/// What one export holds.
#[derive(Debug)]
pub struct TelegramExport {
    /// In the order of the file, whether taken or not.
    pub chats: Vec<TelegramChat>,
    /// Whether it is the export of a whole account.
    pub is_account: bool,
    /// Escapes `\xNN`, which JSON does not have and some versions of Telegram Desktop
    /// wrote. They were read as the character that they mean.
    pub escapes: u64,
}

/// One chat of an export.
#[derive(Debug)]
pub struct TelegramChat {
    /// Telegram's number of it.
    pub id: Option<String>,
    /// Its name. One's own notes and chats with deleted accounts have none.
    pub title: Option<String>,
    /// `personal_chat`, `private_group`, …
    pub kind: Option<String>,
    /// How many of its entries are messages that can be imported.
    pub messages: usize,
    /// What is in it, if it was chosen.
    pub parsed: Option<Parsed>,
}

/// Reads one export. `file_name` is used in the lists; `zone` is that of the computer
/// that exported, for versions that wrote no other time.
///
/// # Errors
/// [`ImportError::NotTelegram`], [`ImportError::BadJson`], [`ImportError::BeyondLimit`],
/// [`ImportError::Unreadable`].
pub fn parse_telegram(
    file_name: &str,
    bytes: impl Read,
    zone: Offset,
    choice: &ChatChoice,
) -> Result<TelegramExport, ImportError> {
    let place = Cell::new(Place { line: 1, byte: 0 });
    let mut guarded = Guarded::new(bytes, &place);
    let mut reading = Reading {
        file: file_name,
        zone,
        choice,
        place: &place,
        chats: Vec::new(),
        is_account: false,
        entries: 0,
        body_bytes: 0,
        beyond: None,
    };
    let mut json = serde_json::Deserializer::from_reader(&mut guarded);
    let outcome = ChatSeed::root(&mut reading)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    drop(json);
    let file = || file_name.to_owned();
    if let Some(limit) = guarded.beyond.or(reading.beyond) {
        return Err(ImportError::BeyondLimit {
            file: file(),
            place: place.get(),
            limit,
        });
    }
    if let Err(error) = outcome {
        if error.is_io() {
            return Err(ImportError::Unreadable {
                path: file(),
                source: error.into(),
            });
        }
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        return Err(ImportError::BadJson {
            file: file(),
            place: place.get(),
            reason: reason.to_owned(),
        });
    }
    if reading.chats.is_empty() && !reading.is_account {
        return Err(ImportError::NotTelegram { file: file() });
    }
    Ok(TelegramExport {
        chats: reading.chats,
        is_account: reading.is_account,
        escapes: guarded.escapes,
    })
}

/// The kind of a chat that has no name.
const NAMELESS_KIND: &str = "saved_messages";

/// What is known of an export while it is read.
struct Reading<'a> {
    file: &'a str,
    zone: Offset,
    choice: &'a ChatChoice,
    /// How far the JSON parser has read.
    place: &'a Cell<Place>,
    chats: Vec<TelegramChat>,
    is_account: bool,
    /// Of the `messages` that are kept.
    entries: usize,
    /// Of the bodies that are kept.
    body_bytes: usize,
    /// Ended the reading.
    beyond: Option<TelegramLimit>,
}

/// A chat whose end has not been read yet.
struct OpenChat {
    id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    /// The name was read, also if it says nothing.
    has_name: bool,
    has_messages: bool,
    /// What it holds is kept: it is wanted, or that is not known yet.
    is_kept: bool,
    collector: Collector,
    taken: usize,
    /// As in [`Reading`], of this chat.
    entries: usize,
    body_bytes: usize,
    /// Import keys by Telegram's number of the message, for replies.
    keys: BTreeMap<i64, [u8; 16]>,
}

impl OpenChat {
    fn new(file: &str) -> Self {
        Self {
            id: None,
            name: None,
            kind: None,
            has_name: false,
            has_messages: false,
            is_kept: true,
            collector: Collector::new(Network::Telegram, file),
            taken: 0,
            entries: 0,
            body_bytes: 0,
            keys: BTreeMap::new(),
        }
    }
}

impl Reading<'_> {
    /// One entry of `messages`.
    fn entry(
        &mut self,
        chat: &mut OpenChat,
        line: u32,
        entry: Option<Message>,
    ) -> Result<(), TelegramLimit> {
        if !chat.is_kept {
            let is_one = entry.is_some_and(|message| self.is_importable(&message));
            chat.taken += usize::from(is_one);
            return Ok(());
        }
        chat.entries += 1;
        self.entries += 1;
        if self.entries > IMPORT_LINES_MAX {
            return Err(TelegramLimit::Messages);
        }
        let Some(message) = entry else {
            let nothing = "no message";
            chat.collector.skip(line, SkipReason::Unrecognized, nothing);
            return Ok(());
        };
        let sent_at_ms = match message.sent_at_ms(self.zone) {
            Ok(sent_at_ms) if message.is_written() => sent_at_ms,
            outcome => {
                let reason = message.skipped().or(outcome.err());
                let reason = reason.unwrap_or(SkipReason::Unrecognized);
                chat.collector.skip(line, reason, &message.outline());
                return Ok(());
            }
        };
        let body = message.body();
        if body.trim().is_empty() {
            chat.collector
                .skip(line, SkipReason::EmptyBody, &message.outline());
            return Ok(());
        }
        let key = chat.collector.said(
            line,
            Said {
                sender: message.sender(),
                known_as: message.known_as(),
                sent_at_ms,
                body: &body,
                reply_to: message.answers().and_then(|id| chat.keys.get(&id)).copied(),
            },
        );
        let Some(key) = key else { return Ok(()) };
        chat.keys.extend(message.number().map(|id| (id, key)));
        chat.taken += 1;
        chat.body_bytes += body.len();
        self.body_bytes += body.len();
        if self.body_bytes > TELEGRAM_BODIES_BYTES_MAX {
            return Err(TelegramLimit::Bodies);
        }
        Ok(())
    }

    /// Whether [`Self::entry`] takes it.
    fn is_importable(&self, message: &Message) -> bool {
        let body = message.body();
        message.is_written()
            && message.sent_at_ms(self.zone).is_ok()
            && !body.trim().is_empty()
            && Collector::takes(message.sender(), &body)
    }

    /// Before the messages of a chat: whether they may be wanted. Its name may stand behind them;
    /// one's own notes have none.
    fn may_want(&self, chat: &OpenChat, is_lone: bool) -> bool {
        let is_known =
            chat.id.is_some() && (chat.has_name || chat.kind.as_deref() == Some(NAMELESS_KIND));
        match self.choice {
            ChatChoice::Lone => is_lone,
            ChatChoice::Named(name) => {
                let title = chat.name.as_deref().and_then(title_of);
                !is_known || is_called(name, chat.id.as_deref(), title.as_deref())
            }
            ChatChoice::All => true,
        }
    }

    /// The end of a chat; only now is it known for sure whether it is wanted.
    fn close(&mut self, chat: OpenChat, is_lone: bool) -> Result<(), TelegramLimit> {
        if is_lone && !chat.has_messages {
            return Ok(());
        }
        if self.chats.len() >= TELEGRAM_CHATS_MAX {
            return Err(TelegramLimit::Chats);
        }
        let parsed = chat.collector.finish(chat.name.as_deref(), Encoding::Utf8);
        let is_wanted = match self.choice {
            ChatChoice::Lone => is_lone,
            ChatChoice::Named(name) => {
                chat.is_kept && is_called(name, chat.id.as_deref(), parsed.title.as_deref())
            }
            ChatChoice::All => true,
        };
        if !is_wanted {
            self.entries -= chat.entries;
            self.body_bytes -= chat.body_bytes;
        }
        self.chats.push(TelegramChat {
            id: chat.id,
            title: parsed.title.clone(),
            kind: chat.kind,
            messages: chat.taken,
            parsed: is_wanted.then_some(parsed),
        });
        Ok(())
    }
}

fn is_called(name: &str, id: Option<&str>, title: Option<&str>) -> bool {
    let name = clean_name(name);
    [id, title].contains(&Some(name.as_str()))
}
