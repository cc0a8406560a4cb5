//! Files become chats: what one chat is, and what of it is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::Run;
use super::super::error::CliError;
use super::super::output::note;
use super::super::progress::Progress;
use super::args::{Format, Import};
use super::telegram;
use crate::import::{
    Encoding, ImportedMessage, Parsed, SkippedLine, irc_day_files, parse_irc, parse_line,
    read_export,
};

/// One chat of the other network, over all of its files.
#[derive(Default)]
pub(super) struct Chat {
    /// The name of the group, person or channel, where the files tell it.
    pub(super) title: Option<String>,
    pub(super) messages: Vec<ImportedMessage>,
    pub(super) skipped: Vec<SkippedLine>,
    /// Left out by `--only`.
    pub(super) others: Vec<ImportedMessage>,
    /// In more than one of the files.
    pub(super) repeated: u64,
}

/// What keeps chats apart. Two LINE groups of one name are one chat: their
/// exports do not say more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Belongs {
    /// To the group, person or channel of this name.
    Title(String),
    /// A LINE export that names nobody: the file is the chat.
    File(String),
    /// IRC days that name no channel: their folder is the chat.
    Folder(PathBuf),
    /// To Telegram's chat of this number. Two of one name are two chats.
    Number(String),
}

/// One chat, as one file has it.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Its number, where the other network numbers chats.
    pub(super) number: Option<String>,
    pub(super) parsed: Parsed,
}

/// The chats of all files, in the order in which they first come up.
pub(super) fn chats(run: &Run, import: &Import) -> Result<Vec<Chat>, CliError> {
    let found = match import.format {
        Format::Irc | Format::Line => files(import)?,
        Format::Telegram => telegram::found(run, import)?,
    };
    let channels = channels_by_folder(&found);
    let mut places: BTreeMap<Belongs, usize> = BTreeMap::new();
    let mut chats: Vec<Chat> = Vec::new();
    for of_file in found {
        let belongs = belongs(import.format, &of_file, &channels);
        let parsed = of_file.parsed;
        let place = *places.entry(belongs.clone()).or_insert(chats.len());
        if place == chats.len() {
            chats.push(Chat {
                title: match belongs {
                    Belongs::Title(title) => Some(title),
                    Belongs::Number(_) => parsed.title,
                    Belongs::File(_) | Belongs::Folder(_) => None,
                },
                ..Chat::default()
            });
        }
        if let Some(chat) = chats.get_mut(place) {
            chat.messages.extend(parsed.messages);
            chat.skipped.extend(parsed.skipped);
        }
    }
    for chat in &mut chats {
        chat.choose(&import.only);
    }
    let is_anybody_left = chats.iter().any(|chat| !chat.messages.is_empty());
    if !is_anybody_left && chats.iter().any(|chat| !chat.others.is_empty()) {
        return Err(CliError::Usage(format!(
            "no message is by {}; the names must be as in the export",
            import.only.join(", ")
        )));
    }
    Ok(chats)
}

impl Chat {
    /// Each message once, and only those of the senders that were asked for.
    fn choose(&mut self, only: &[String]) {
        let (read, mut keys) = (self.messages.len(), BTreeSet::new());
        self.messages
            .retain(|message| keys.insert(message.import_key));
        self.repeated = (read - self.messages.len()) as u64;
        if !only.is_empty() {
            let messages = std::mem::take(&mut self.messages);
            (self.messages, self.others) = messages
                .into_iter()
                .partition(|message| only.contains(&message.sender));
        }
    }
}

fn files(import: &Import) -> Result<Vec<Found>, CliError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for given in &import.files {
        if import.format == Format::Irc {
            files.extend(irc_day_files(given)?);
        } else {
            files.push(given.clone());
        }
    }
    let progress = Progress::new("reading");
    let total = files.len() as u64;
    let mut all = Vec::new();
    let mut words = Vec::new();
    for (done, path) in (1_u64..).zip(files) {
        let bytes = read_export(&path)?;
        let name = path.display().to_string();
        let parsed = if import.format == Format::Irc {
            parse_irc(&name, &bytes)?
        } else {
            parse_line(&name, &bytes)?
        };
        words.extend(about_encoding(&name, &parsed));
        all.push(Found {
            path,
            number: None,
            parsed,
        });
        progress.set(total, done);
    }
    drop(progress);
    words.iter().for_each(|words| note(words));
    Ok(all)
}

/// What a person should know about how a file was read.
fn about_encoding(name: &str, parsed: &Parsed) -> Option<String> {
    if let Some(place) = parsed.first_lossy {
        return Some(format!(
            "{name}: {} lines are not UTF-8, the first is line {} (byte {}); what could not be read is shown as \u{fffd}",
            parsed.lossy_lines, place.line, place.byte
        ));
    }
    match parsed.encoding {
        Encoding::Utf8 => None,
        Encoding::Utf16 | Encoding::Windows874 => Some(format!(
            "{name} is not UTF-8; read as {}",
            parsed.encoding.name()
        )),
    }
}

/// The one channel of each folder of IRC days, where it is one: a quiet day names none.
fn channels_by_folder(files: &[Found]) -> BTreeMap<PathBuf, Option<String>> {
    let mut channels: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    for Found { path, parsed, .. } in files {
        let Some(channel) = &parsed.title else {
            continue;
        };
        let known = channels
            .entry(folder_of(path))
            .or_insert_with(|| Some(channel.clone()));
        if known.as_ref() != Some(channel) {
            *known = None;
        }
    }
    channels
}

fn belongs(format: Format, found: &Found, channels: &BTreeMap<PathBuf, Option<String>>) -> Belongs {
    let Found {
        path,
        number,
        parsed,
    } = found;
    if let Some(number) = number {
        return Belongs::Number(number.clone());
    }
    if let Some(title) = &parsed.title {
        return Belongs::Title(title.clone());
    }
    match format {
        Format::Line | Format::Telegram => Belongs::File(path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )),
        Format::Irc => match channels.get(&folder_of(path)) {
            Some(Some(channel)) => Belongs::Title(channel.clone()),
            Some(None) | None => Belongs::Folder(folder_of(path)),
        },
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or_else(|| Path::new("")).to_owned()
}
