//! Chat exports through the public surface: every shape LINE, Telegram and IRC logs
//! come in, the hostile ones included, and the real channel log where it is present.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod hostile;
mod irc;
mod keys;
mod line;
mod line_dates;
mod telegram;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use khlong_node::import::{ImportedMessage, Parsed, SkipReason, parse_line, read_export};

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

pub(crate) fn line_file(name: &str) -> Parsed {
    parse_line(name, &read_export(&testdata("import").join(name)).unwrap()).unwrap()
}

pub(crate) fn line_text(text: &str) -> Parsed {
    parse_line("chat.txt", text.as_bytes()).unwrap()
}

/// `sent_at sender: body`, as a person would check it.
pub(crate) fn told(message: &ImportedMessage) -> String {
    let at = Timestamp::from_millisecond(message.sent_at_ms).unwrap();
    format!("{at} {}: {}", message.sender, message.body)
}

pub(crate) fn all_told(parsed: &Parsed) -> Vec<String> {
    parsed.messages.iter().map(told).collect()
}

pub(crate) fn skips(parsed: &Parsed) -> Vec<(u32, SkipReason)> {
    parsed
        .skipped
        .iter()
        .map(|skipped| (skipped.line, skipped.reason))
        .collect()
}

pub(crate) fn keys(parsed: &Parsed) -> BTreeSet<[u8; 16]> {
    parsed.messages.iter().map(|m| m.import_key).collect()
}
