//! Telegram exports: which of an account's chats are meant.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::super::Run;
use super::super::error::CliError;
use super::super::output::note;
use super::super::progress::Progress;
use super::args::Import;
use super::read::Found;
use crate::import::{ChatChoice, TelegramChat, TelegramExport, open_export, parse_telegram};

/// A chat that could be chosen, as JSON.
#[derive(Serialize)]
struct Choosable<'a> {
    kind: &'static str,
    file: String,
    id: Option<&'a str>,
    title: Option<&'a str>,
    chat_kind: Option<&'a str>,
    messages: usize,
}

/// What was chosen of every file. Where nothing was, or too much, the chats are told and the
/// error says how to choose.
pub(super) fn found(run: &Run, import: &Import) -> Result<Vec<Found>, CliError> {
    let choice = import.choice();
    let exports = read(import, &choice)?;
    let chats = || exports.iter().flat_map(|(_, export)| &export.chats);
    match &choice {
        ChatChoice::All => {}
        ChatChoice::Lone => {
            if exports.iter().any(|(_, export)| export.is_account) {
                list(run, &exports, |_| true)?;
                return Err(CliError::Usage(format!(
                    "{} chats are in it; choose one by --chat NAME (or its number), or give each a timeline of its own by --all",
                    chats().count()
                )));
            }
        }
        ChatChoice::Named(name) => {
            let chosen = || chats().filter(|chat| chat.parsed.is_some());
            let numbers: BTreeSet<_> = chosen().map(|chat| &chat.id).collect();
            if numbers.is_empty() {
                list(run, &exports, |_| true)?;
                return Err(CliError::Usage(format!(
                    "no chat is called `{name}`; names and numbers must be as in the export"
                )));
            }
            if numbers.len() > 1 {
                list(run, &exports, |chat| chat.parsed.is_some())?;
                return Err(CliError::Usage(format!(
                    "{} chats are called `{name}`; choose one by its number, --chat NUMBER",
                    numbers.len()
                )));
            }
        }
    }
    let found = exports.into_iter().flat_map(|(file, export)| {
        export.chats.into_iter().filter_map(move |chat| {
            Some(Found {
                path: Path::new(&file).to_owned(),
                number: chat.id,
                parsed: chat.parsed?,
            })
        })
    });
    Ok(found.collect())
}

fn read(import: &Import, choice: &ChatChoice) -> Result<Vec<(String, TelegramExport)>, CliError> {
    let progress = Progress::new("reading");
    let total = import.files.len() as u64;
    let mut exports = Vec::new();
    for (done, path) in (1_u64..).zip(&import.files) {
        let name = path.display().to_string();
        let export = parse_telegram(&name, open_export(path)?, import.zone, choice)?;
        exports.push((name, export));
        progress.set(total, done);
    }
    drop(progress);
    for (name, export) in &exports {
        if export.escapes > 0 {
            note(&format!(
                "{name}: {} escapes `\\xNN` are not JSON; each was read as the character that it means",
                export.escapes
            ));
        }
    }
    Ok(exports)
}

fn list(
    run: &Run,
    exports: &[(String, TelegramExport)],
    is_meant: impl Fn(&TelegramChat) -> bool,
) -> Result<(), CliError> {
    for (file, export) in exports {
        for chat in export.chats.iter().filter(|chat| is_meant(chat)) {
            let (id, title) = (chat.id.as_deref(), chat.title.as_deref());
            if run.output.json {
                run.output.object(&Choosable {
                    kind: "choice",
                    file: file.clone(),
                    id,
                    title,
                    chat_kind: chat.kind.as_deref(),
                    messages: chat.messages,
                })?;
            } else {
                run.output.line(&format!(
                    "{}  {}  {} messages",
                    id.unwrap_or("(no number)"),
                    title.unwrap_or("(no title)"),
                    chat.messages
                ))?;
            }
        }
    }
    Ok(())
}
