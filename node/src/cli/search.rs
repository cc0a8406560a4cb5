//! `search`: messages by what they say.

use std::io::IsTerminal as _;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use serde::Serialize;

use super::error::CliError;
use super::output::note;
use super::{Run, show};
use crate::search::snippet::Snippet;
use crate::search::{FOUND_MAX, Found, Hit, Wanted};
use crate::shown::{escaped, short};

/// Bold, and back.
const MARK: (&str, &str) = ("\u{1b}[1m", "\u{1b}[0m");

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Words that must all be there; `"…"` for words in this order. The last may be the start of one
    query: String,
    /// Only in this timeline: its id, its title, or the start of either
    #[arg(long = "in", value_name = "TIMELINE")]
    timeline: Option<String>,
    /// Only by this member or sender, by name or key
    #[arg(long = "from", value_name = "AUTHOR")]
    author: Option<String>,
    /// Only from then on: a day (2026-11-30, in UTC) or a time (2026-11-30T09:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = since)]
    since: Option<i64>,
    /// Only until then, that day or millisecond included
    #[arg(long, value_name = "DATE", value_parser = until)]
    until: Option<i64>,
    /// Show at most so many, up to 500
    #[arg(
        long, short = 'n', value_name = "COUNT", default_value_t = 20,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=FOUND_MAX as u64)
    )]
    limit: usize,
    /// Show whole message ids
    #[arg(long)]
    ids: bool,
}

/// One message that was found, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    id: &'a str,
    timeline: &'a str,
    timeline_title: &'a str,
    author: &'a str,
    author_id: &'a str,
    sent_at: &'a str,
    score: f32,
    snippet: &'a str,
    /// Bytes of the snippet, from and to.
    marks: &'a [(usize, usize)],
}

pub(super) async fn run(run: &Run, asked: Asked) -> Result<(), CliError> {
    let wanted = wanted(&asked)?;
    let mut gate = run.look().await?;
    let found = gate.search(wanted).await;
    gate.close().await;
    show_all(run, &found?, asked.ids)
}

fn wanted(asked: &Asked) -> Result<Wanted, CliError> {
    let before_ms = asked.until;
    if let (Some(since), Some(before)) = (asked.since, before_ms)
        && since >= before
    {
        let reason = "nothing lies between --since and --until: exchange them";
        return Err(CliError::Usage(reason.to_owned()));
    }
    Ok(Wanted {
        query: asked.query.clone(),
        timeline: asked.timeline.clone(),
        author: asked.author.clone(),
        since_ms: asked.since,
        before_ms,
        limit: asked.limit,
    })
}

fn show_all(run: &Run, found: &Found, whole_ids: bool) -> Result<(), CliError> {
    if let Some(reason) = &found.rebuilt {
        note(&format!(
            "the search index was of no use and was built anew: {reason}"
        ));
    }
    if let Some(reason) = &found.behind {
        note(&format!("not everything was looked through: {reason}"));
    }
    found
        .hits
        .iter()
        .try_for_each(|hit| print(run, hit, whole_ids))?;
    match (found.hits.len(), found.total) {
        (0, _) => note("nothing was found"),
        (shown, total) if shown < total => {
            note(&format!(
                "the newest {shown} of {total}; --limit shows more"
            ));
        }
        _ => {}
    }
    Ok(())
}

fn print(run: &Run, hit: &Hit, whole_ids: bool) -> Result<(), CliError> {
    if run.output.json {
        return run.output.object(&Line {
            kind: "found",
            id: &hit.id,
            timeline: &hit.timeline,
            timeline_title: &hit.title,
            author: &hit.author,
            author_id: &hit.author_id,
            sent_at: &hit.sent_at,
            score: hit.score,
            snippet: &hit.snippet.text,
            marks: &hit.snippet.marks,
        });
    }
    let id = if whole_ids { &hit.id } else { short(&hit.id) };
    run.output.raw(&format!(
        "{}  {id}  {}  {}: {}",
        show::minute(&hit.sent_at),
        escaped(&hit.title),
        escaped(&hit.author),
        marked(&hit.snippet, has_marks())
    ))
}

/// Only on a terminal, and not where `NO_COLOR` says no.
fn has_marks() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn marked(snippet: &Snippet, has_marks: bool) -> String {
    let part = |from, to| escaped(snippet.text.get(from..to).unwrap_or_default());
    let (on, off) = if has_marks { MARK } else { ("", "") };
    let mut shown = String::new();
    let mut before = 0;
    for (from, to) in &snippet.marks {
        shown.push_str(&part(before, *from));
        shown.push_str(on);
        shown.push_str(&part(*from, *to));
        shown.push_str(off);
        before = *to;
    }
    shown.push_str(&part(before, snippet.text.len()));
    shown
}

/// The first millisecond of a day, or of a time.
pub(super) fn since(text: &str) -> Result<i64, String> {
    match text.parse::<Date>() {
        Ok(day) if !text.contains('T') => start_of(day),
        Ok(_) | Err(_) => time(text),
    }
}

/// The first millisecond after a day, or after a time.
pub(super) fn until(text: &str) -> Result<i64, String> {
    match text.parse::<Date>() {
        Ok(day) if !text.contains('T') => {
            start_of(day.tomorrow().map_err(|error| error.to_string())?)
        }
        Ok(_) | Err(_) => Ok(time(text)?.saturating_add(1)),
    }
}

fn start_of(day: Date) -> Result<i64, String> {
    let start = Offset::UTC.to_timestamp(day.to_datetime(Time::midnight()));
    Ok(start.map_err(|error| error.to_string())?.as_millisecond())
}

fn time(text: &str) -> Result<i64, String> {
    let time: Timestamp = text
        .parse()
        .map_err(|_| "write a day (2026-11-30) or a time (2026-11-30T09:00:00Z)".to_owned())?;
    Ok(time.as_millisecond())
}
