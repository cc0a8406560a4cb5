//! Exports of other programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::tz::Offset;
use khlong_node::import::{
    ChatChoice, IMPORT_BODY_BYTES_MAX, IMPORT_EXCERPT_BYTES_MAX, IMPORT_SENDER_BYTES_MAX,
    IMPORT_TITLE_BYTES_MAX, Parsed, TELEGRAM_CHATS_MAX, parse_irc, parse_line, parse_telegram,
};

use crate::fuzzing::{Seeds, fuzz};

/// The files below a folder of this crate, in the order of their names.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let paths = paths(folder);
    let read = |path: &PathBuf| std::fs::read(path).unwrap();
    paths.iter().map(read).collect()
}

fn paths(folder: &str) -> BTreeSet<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut paths = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                paths.insert(path);
            }
        }
    }
    paths
}

/// Those whose names begin so are in the format that a target reads, the rest is in another one.
fn mixed(begins: &str) -> Seeds {
    let of_format = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(begins)
    };
    let (genuine, others): (Vec<_>, Vec<_>) =
        paths("testdata/import").into_iter().partition(of_format);
    let read = |path: &PathBuf| std::fs::read(path).unwrap();
    let [genuine, others] =
        [genuine, others].map(|paths| paths.iter().map(read).collect::<Vec<_>>());
    Seeds::and(genuine, others)
}

/// What every parser promises of what it returns.
fn keeps_promises(parsed: &Parsed) {
    let keys: BTreeSet<_> = parsed.messages.iter().map(|m| m.import_key).collect();
    assert_eq!(keys.len(), parsed.messages.len(), "a key of its own each");
    assert!(parsed.skipped.is_sorted_by_key(|skipped| skipped.line));
    assert!(parsed.messages.is_sorted_by_key(|message| message.line));
    let title = parsed.title.as_deref().unwrap_or_default();
    assert!(title.len() <= IMPORT_TITLE_BYTES_MAX);
    for skipped in &parsed.skipped {
        assert!(skipped.excerpt.len() <= IMPORT_EXCERPT_BYTES_MAX);
        assert!(!skipped.excerpt.contains(char::is_control));
    }
    for message in &parsed.messages {
        assert!(message.body.len() <= IMPORT_BODY_BYTES_MAX);
        assert!((1..=IMPORT_SENDER_BYTES_MAX).contains(&message.sender.len()));
        assert!(!message.sender.contains(char::is_control));
        let obeyed = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n');
        assert!(!message.body.contains(obeyed));
        assert!(message.reply_to.is_none_or(|reply| keys.contains(&reply)));
    }
}

fuzz!(fuzz_line, 500, line_files(), line);

fn line_files() -> Seeds {
    let line = |sender: &str, body: &str| {
        format!(
            "2026/11/20
10:00	{sender}	{body}
"
        )
    };
    let [longest, others @ ..] = at_limits(line);
    mixed("line-")
        .and_genuine([files("tests/fixtures/import/line"), vec![longest]].concat())
        .and_others(others.to_vec())
}

/// A sender and a body that are as long as they may be, and one byte longer.
fn at_limits(line: impl Fn(&str, &str) -> String) -> [Vec<u8>; 3] {
    let (sender, body) = (IMPORT_SENDER_BYTES_MAX, IMPORT_BODY_BYTES_MAX);
    let sizes = [(sender, body), (sender + 1, 5), (5, body + 1)];
    sizes.map(|(sender, body)| line(&"s".repeat(sender), &"b".repeat(body)).into_bytes())
}

/// Whether there is a message in it.
fn line(bytes: &[u8]) -> bool {
    let parsed = parse_line("chat.txt", bytes).ok();
    assert_eq!(parsed, parse_line("chat.txt", bytes).ok(), "the same twice");
    parsed.iter().for_each(keeps_promises);
    parsed.is_some_and(|parsed| !parsed.messages.is_empty())
}

fuzz!(fuzz_irc, 500, irc_files(), irc);

fn irc_files() -> Seeds {
    let line = |sender: &str, body: &str| {
        format!(
            "[10:00] <{sender}> {body}
"
        )
    };
    let [longest, others @ ..] = at_limits(line);
    mixed("20")
        .and_genuine([files("tests/fixtures/import/irc/#hatyai"), vec![longest]].concat())
        .and_others(files("tests/fixtures/import/irc/quiet"))
        .and_others(others.to_vec())
}

fn irc(bytes: &[u8]) -> bool {
    let parsed = parse_irc("2026-11-20.txt", bytes).ok();
    assert_eq!(parsed, parse_irc("2026-11-20.txt", bytes).ok());
    parsed.iter().for_each(keeps_promises);
    parsed.is_some_and(|parsed| !parsed.messages.is_empty())
}

fuzz!(
    fuzz_telegram,
    500,
    files("tests/fixtures/import/telegram"),
    telegram
);

fn telegram(bytes: &[u8]) -> bool {
    let read = |choice: &ChatChoice| parse_telegram("result.json", bytes, Offset::UTC, choice);
    let (lone, all) = (read(&ChatChoice::Lone), read(&ChatChoice::All));
    if let Ok(lone) = lone {
        // What is chosen decides what is kept, not what can be read.
        let all = all.as_ref().unwrap();
        assert_eq!(lone.is_account, all.is_account);
        assert_eq!(lone.chats.len(), all.chats.len());
    }
    let Ok(all) = all else {
        return false;
    };
    assert!(all.chats.len() <= TELEGRAM_CHATS_MAX);
    let mut messages = 0;
    for chat in all.chats {
        messages += chat.messages;
        let parsed = chat.parsed.unwrap();
        assert_eq!(parsed.messages.len(), chat.messages);
        keeps_promises(&parsed);
    }
    messages > 0
}
