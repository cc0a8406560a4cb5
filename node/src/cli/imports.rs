//! `import`: another network's export, signed by this node.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::args::{Format, Import};
use super::error::CliError;
use super::gate::Gate;
use super::progress::Progress;
use super::wait::Drained;
use super::{Run, wait};
use crate::api::{IMPORT_BATCH_MESSAGES_MAX, ImportedLine, Request, Response};
use crate::error::NodeError;
use crate::import::{
    ImportedMessage, SkippedLine, irc_day_files, parse_irc, parse_line, read_export,
};

/// Bodies of one request. A batch becomes few envelopes then, and its line on
/// the socket stays far below the limit.
const IMPORT_BATCH_BYTES_MAX: usize = 512 * 1024;

/// What all files hold together.
#[derive(Default)]
struct Found {
    title: Option<String>,
    messages: Vec<ImportedMessage>,
    skipped: Vec<SkippedLine>,
    lossy_lines: u32,
    /// Left out by `--only`.
    others: Vec<ImportedMessage>,
    /// In more than one of the files.
    repeated: u64,
}

/// One skipped line, as JSON.
#[derive(Serialize)]
struct Skipped<'a> {
    kind: &'static str,
    file: &'a str,
    line: u32,
    reason: &'static str,
    text: &'a str,
}

/// The last line of `--json`.
#[derive(Serialize)]
struct Summary {
    imported: u64,
    /// Here already by an earlier import, or in more than one file.
    known: u64,
    /// Lines that became no message.
    skipped: u64,
    /// Messages of senders that `--only` left out.
    others: u64,
    /// Absent when none was opened: in a dry run, or without a message.
    timeline: Option<String>,
    dry_run: bool,
}

pub(super) async fn run(run: &Run, import: Import) -> Result<(), CliError> {
    let found = read(&import)?;
    list_skipped(run, &found)?;
    let summary = if import.dry_run {
        dry(run, &found, &import).await?
    } else {
        write(run, &found, &import).await?
    };
    if run.output.json {
        return run.output.object(&summary);
    }
    let what = if import.dry_run {
        "would be imported"
    } else {
        "imported"
    };
    let mut line = format!(
        "{} {what}, {} lines skipped",
        summary.imported, summary.skipped
    );
    for (count, why) in [
        (summary.known, "here already"),
        (summary.others, "by other senders"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {count} {why}"));
        }
    }
    run.output.line(&line)
}

fn read(import: &Import) -> Result<Found, CliError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for given in &import.files {
        match import.format {
            Format::Irc => files.extend(irc_day_files(given)?),
            Format::Line => files.push(given.clone()),
        }
    }
    let progress = Progress::new("reading");
    let mut found = Found::default();
    let total = files.len() as u64;
    for (done, path) in (1_u64..).zip(&files) {
        let bytes = read_export(path)?;
        let name = path.display().to_string();
        let parsed = match import.format {
            Format::Irc => parse_irc(&name, &bytes)?,
            Format::Line => parse_line(&name, &bytes)?,
        };
        found.title = found.title.or(parsed.title);
        found.messages.extend(parsed.messages);
        found.skipped.extend(parsed.skipped);
        found.lossy_lines = found.lossy_lines.saturating_add(parsed.lossy_lines);
        progress.set(total, done);
    }
    let (read, mut keys) = (found.messages.len(), BTreeSet::new());
    found
        .messages
        .retain(|message| keys.insert(message.import_key));
    found.repeated = (read - found.messages.len()) as u64;
    if !import.only.is_empty() {
        (found.messages, found.others) = found
            .messages
            .into_iter()
            .partition(|message| import.only.contains(&message.sender));
        if found.messages.is_empty() && !found.others.is_empty() {
            let wanted = import.only.join(", ");
            return Err(CliError::Usage(format!(
                "no message is by {wanted}; the names must be as in the export"
            )));
        }
    }
    Ok(found)
}

fn list_skipped(run: &Run, found: &Found) -> Result<(), CliError> {
    for line in &found.skipped {
        if run.output.json {
            run.output.object(&Skipped {
                kind: "skipped",
                file: &line.file,
                line: line.line,
                reason: line.reason.code(),
                text: &line.excerpt,
            })?;
        } else {
            run.output.line(&format!(
                "{}:{}: skipped: {}: {}",
                line.file, line.line, line.reason, line.excerpt
            ))?;
        }
    }
    if found.lossy_lines > 0 {
        eprintln!(
            "khlong: {} lines were not UTF-8; what could not be read is shown as \u{fffd}",
            found.lossy_lines
        );
    }
    Ok(())
}

async fn dry(run: &Run, found: &Found, import: &Import) -> Result<Summary, CliError> {
    let mut gate = run.look().await?;
    let counted = count(&mut gate, found, import).await;
    gate.close().await;
    counted
}

async fn count(gate: &mut Gate, found: &Found, import: &Import) -> Result<Summary, CliError> {
    let target = match &import.timeline {
        Some(name) => Some(name.clone()),
        None => earlier(gate, found).await?,
    };
    match target {
        Some(timeline) => give_all(gate, found, timeline, true).await,
        None => Ok(Summary {
            imported: found.messages.len() as u64,
            known: found.repeated,
            skipped: found.skipped.len() as u64,
            others: found.others.len() as u64,
            timeline: None,
            dry_run: true,
        }),
    }
}

async fn write(run: &Run, found: &Found, import: &Import) -> Result<Summary, CliError> {
    let patience = super::Patience::from(import.wait);
    let mut gate = run.open(!patience.offline()).await?;
    let written = write_all(&mut gate, found, import).await;
    let settled = match (
        &written,
        patience.offline() || (patience.want.is_none() && gate.is_daemon()),
    ) {
        (Ok(_), false) => settle(&mut gate, patience).await,
        _ => Ok(()),
    };
    gate.close().await;
    let summary = written?;
    settled.map(|()| summary)
}

async fn settle(gate: &mut Gate, patience: super::Patience) -> Result<(), CliError> {
    let mut listener = gate.subscribe().await?;
    let progress = Progress::new("sending");
    let drained = wait::drain(gate, &mut listener, patience.timeout, &progress).await?;
    let waited_ms = u64::try_from(patience.timeout.as_millis()).unwrap_or(u64::MAX);
    match drained {
        Drained::Refused(obstacle) if patience.want.is_some() => Err(obstacle.error().into()),
        Drained::Late if patience.want.is_some() => Err(NodeError::TimedOut {
            what: "stored",
            waited_ms,
        }
        .into()),
        Drained::Empty | Drained::Late | Drained::Refused(_) => Ok(()),
    }
}

async fn write_all(gate: &mut Gate, found: &Found, import: &Import) -> Result<Summary, CliError> {
    let target = match &import.timeline {
        Some(name) => Some(name.clone()),
        None => earlier(gate, found).await?,
    };
    let timeline = match target {
        Some(timeline) => timeline,
        None if found.messages.is_empty() => return count(gate, found, import).await,
        None => open_timeline(gate, found).await?,
    };
    give_all(gate, found, timeline, false).await
}

/// The timeline that an earlier import of the same choice wrote to: it holds
/// some of these messages and none of those that `--only` leaves out.
async fn earlier(gate: &mut Gate, found: &Found) -> Result<Option<String>, CliError> {
    let Response::Timelines { timelines } = gate.ask(Request::TimelineLs).await? else {
        return Err(CliError::Unexpected);
    };
    let (chosen, left_out) = (sample(&found.messages), sample(&found.others));
    for view in timelines.into_iter().filter(|view| view.followed) {
        let (_, _, known) = give(gate, &view.id, &chosen, true).await?;
        if known > 0 && give(gate, &view.id, &left_out, true).await?.2 == 0 {
            return Ok(Some(view.id));
        }
    }
    Ok(None)
}

/// One request's worth to look for: the beginning, which a longer export of a
/// chat shares with a shorter one, and as many from all over the rest.
fn sample(messages: &[ImportedMessage]) -> Vec<&ImportedMessage> {
    const HALF: usize = IMPORT_BATCH_MESSAGES_MAX / 2;
    let (beginning, rest) = messages.split_at(messages.len().min(HALF));
    let step = rest.len().div_ceil(HALF).max(1);
    beginning.iter().chain(rest.iter().step_by(step)).collect()
}

/// Writes everything, or only counts it.
async fn give_all(
    gate: &mut Gate,
    found: &Found,
    timeline: String,
    dry_run: bool,
) -> Result<Summary, CliError> {
    let progress = Progress::new("importing");
    let total = found.messages.len() as u64;
    let mut summary = Summary {
        imported: 0,
        known: found.repeated,
        skipped: found.skipped.len() as u64,
        others: found.others.len() as u64,
        timeline: None,
        dry_run,
    };
    let mut done = 0;
    // A timeline of that name is asked for even if there is nothing to give.
    let batches = batches(&found.messages).chain(found.messages.is_empty().then_some(&[][..]));
    for batch in batches {
        let batch: Vec<&ImportedMessage> = batch.iter().collect();
        let (id, imported, known) = give(gate, &timeline, &batch, dry_run).await?;
        summary.imported += imported;
        summary.known += known;
        summary.timeline = Some(id);
        done += batch.len() as u64;
        progress.set(total, done);
    }
    Ok(summary)
}

/// Gives one batch: the timeline's id, how many are new, how many are known.
async fn give(
    gate: &mut Gate,
    timeline: &str,
    batch: &[&ImportedMessage],
    dry_run: bool,
) -> Result<(String, u64, u64), CliError> {
    let request = Request::Import {
        timeline: timeline.to_owned(),
        messages: batch.iter().map(|message| line(message)).collect(),
        dry_run,
    };
    let Response::Imported {
        timeline,
        imported,
        known,
    } = gate.ask(request).await?
    else {
        return Err(CliError::Unexpected);
    };
    Ok((timeline, imported, known))
}

async fn open_timeline(gate: &mut Gate, found: &Found) -> Result<String, CliError> {
    let title = found.title.clone().unwrap_or_else(|| "imported".to_owned());
    let request = Request::TimelineNew {
        title,
        kind: "group".to_owned(),
        relays: Vec::new(),
    };
    let Response::Timeline { timeline } = gate.ask(request).await? else {
        return Err(CliError::Unexpected);
    };
    // Named by id from here on: another timeline may have the same title.
    Ok(timeline.id)
}

/// Cuts where either limit is reached; a batch holds at least one message.
fn batches(messages: &[ImportedMessage]) -> impl Iterator<Item = &[ImportedMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest
            .iter()
            .take(IMPORT_BATCH_MESSAGES_MAX)
            .take_while(|message| {
                bytes += message.body.len();
                bytes <= IMPORT_BATCH_BYTES_MAX
            });
        let count = fits.count().max(1).min(rest.len());
        let (batch, after) = rest.split_at(count);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

fn line(message: &ImportedMessage) -> ImportedLine {
    ImportedLine {
        network: message.network.name().to_owned(),
        sender: message.sender.clone(),
        sent_at_ms: message.sent_at_ms,
        body: message.body.clone(),
        import_key: data_encoding::HEXLOWER.encode(&message.import_key),
    }
}
