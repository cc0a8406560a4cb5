//! `import` as a person types it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::tz::Offset;

use super::super::args::StoredWait;
use crate::import::ChatChoice;

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// What wrote the export
    #[arg(value_enum)]
    pub(super) format: Format,
    /// Exports: LINE `.txt` files, IRC day files `YYYY-MM-DD.txt` and folders of them, or
    /// Telegram's `result.json`
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Where to write them [default: where an earlier import of it went, else a new timeline with its title]
    #[arg(long)]
    pub(super) timeline: Option<String>,
    /// Only the messages of this sender; may be repeated
    #[arg(long, value_name = "SENDER")]
    pub(super) only: Vec<String>,
    /// Of a Telegram account, the chat with this name or id; without it or --all they are listed
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    chat: Option<String>,
    /// Of a Telegram account, every chat, each into a timeline of its own
    #[arg(long)]
    all: bool,
    /// Clock of the computer that exported from Telegram, for old exports without a time zone
    #[arg(
        long,
        value_name = "OFFSET",
        value_parser = zone,
        default_value = "+07:00",
        allow_hyphen_values = true
    )]
    pub(super) zone: Offset,
    /// Show what would be written and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) wait: StoredWait,
}

/// Formats that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Channel logs, one file a day
    Irc,
    /// LINE's "Export chat history"
    Line,
    /// Telegram Desktop's "Export chat history" or "Export Telegram data", format JSON. A message that was edited between two exports is there twice, as it was and as it is
    Telegram,
}

impl Import {
    /// Which chats of an account are meant.
    pub(super) fn choice(&self) -> ChatChoice {
        match &self.chat {
            Some(name) => ChatChoice::Named(name.clone()),
            None if self.all => ChatChoice::All,
            None => ChatChoice::Lone,
        }
    }
}

/// `+07:00`, `-03:30`, `+7`.
fn zone(text: &str) -> Result<Offset, String> {
    let wrong = || "write an offset from UTC, from -14:00 to +14:00, such as +07:00".to_owned();
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        Some(_) | None => return Err(wrong()),
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "00"));
    let number = |text: &str, max: i32| {
        let is_digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let number: i32 = text.parse().ok().filter(|_| is_digits)?;
        (number <= max).then_some(number)
    };
    number(hours, 14)
        .zip(number(minutes, 59))
        .map(|(hours, minutes)| sign * (hours * 3_600 + minutes * 60))
        .filter(|seconds| seconds.abs() <= 14 * 3_600)
        .and_then(|seconds| Offset::from_seconds(seconds).ok())
        .ok_or_else(wrong)
}
