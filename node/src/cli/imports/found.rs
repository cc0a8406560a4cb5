//! What the files of an import hold, chat by chat.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cli::args::{Format, Import};
use crate::cli::error::CliError;
use crate::cli::progress::Progress;
use crate::import::{
    ImportedMessage, Parsed, SkippedLine, irc_day_files, parse_irc, parse_line, read_export,
};

/// All files together.
pub(super) struct Found {
    /// At least one, in the order in which they were named.
    pub(super) chats: Vec<Chat>,
    pub(super) skipped: Vec<SkippedLine>,
    pub(super) lossy_lines: u32,
}

/// One conversation of the other network, from one file or several.
#[derive(Default)]
pub(super) struct Chat {
    pub(super) title: Option<String>,
    pub(super) messages: Vec<ImportedMessage>,
    /// Left out by `--only`.
    pub(super) others: Vec<ImportedMessage>,
    /// In more than one of the files.
    pub(super) repeated: u64,
}

/// What tells two chats apart: files with one of these are parts of one chat.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum ChatKey {
    /// A LINE export names its chat. Those of one name are taken for one chat at several times.
    Title(String),
    /// A LINE export that names none.
    File(PathBuf),
    /// Day files of a channel lie in one folder.
    Folder(PathBuf),
}

pub(super) fn read(import: &Import) -> Result<Found, CliError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for given in &import.files {
        match import.format {
            Format::Irc => files.extend(irc_day_files(given)?),
            Format::Line => files.push(given.clone()),
        }
    }
    let progress = Progress::new("reading");
    let (mut skipped, mut lossy_lines) = (Vec::new(), 0_u32);
    let (mut chats, mut places) = (Vec::<Chat>::new(), BTreeMap::new());
    let total = files.len() as u64;
    for (done, path) in (1_u64..).zip(&files) {
        let bytes = read_export(path)?;
        let name = path.display().to_string();
        let parsed = match import.format {
            Format::Irc => parse_irc(&name, &bytes)?,
            Format::Line => parse_line(&name, &bytes)?,
        };
        let place = *places
            .entry(chat_key(import, path, &parsed))
            .or_insert(chats.len());
        if place == chats.len() {
            chats.push(Chat::default());
        }
        if let Some(chat) = chats.get_mut(place) {
            chat.title = chat.title.take().or(parsed.title);
            chat.messages.extend(parsed.messages);
        }
        skipped.extend(parsed.skipped);
        lossy_lines = lossy_lines.saturating_add(parsed.lossy_lines);
        progress.set(total, done);
    }
    for chat in &mut chats {
        chat.choose(&import.only);
    }
    let holds =
        |part: fn(&Chat) -> &Vec<ImportedMessage>| chats.iter().any(|c| !part(c).is_empty());
    if !holds(|chat| &chat.messages) && holds(|chat| &chat.others) {
        let wanted = import.only.join(", ");
        return Err(CliError::Usage(format!(
            "no message is by {wanted}; the names must be as in the export"
        )));
    }
    Ok(Found {
        chats,
        skipped,
        lossy_lines,
    })
}

/// With a timeline that was named everything goes there.
fn chat_key(import: &Import, path: &Path, parsed: &Parsed) -> Option<ChatKey> {
    if import.timeline.is_some() {
        return None;
    }
    Some(match (import.format, &parsed.title) {
        (Format::Irc, _) => ChatKey::Folder(path.parent().map(Path::to_owned).unwrap_or_default()),
        (Format::Line, Some(title)) => ChatKey::Title(title.clone()),
        (Format::Line, None) => ChatKey::File(path.to_owned()),
    })
}

impl Chat {
    /// Leaves out what came twice, and what is by nobody of `only` unless that is empty.
    fn choose(&mut self, only: &[String]) {
        let (read, mut keys) = (self.messages.len(), BTreeSet::new());
        self.messages
            .retain(|message| keys.insert(message.import_key));
        self.repeated = (read - self.messages.len()) as u64;
        if !only.is_empty() {
            let messages = std::mem::take(&mut self.messages).into_iter();
            (self.messages, self.others) =
                messages.partition(|message| only.contains(&message.sender));
        }
    }
}
