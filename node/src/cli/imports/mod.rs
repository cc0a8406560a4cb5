//! `import`: other networks' exports, signed by this node.

mod found;
mod give;

use serde::Serialize;

use self::found::{Chat, Found, read};
use self::give::{Given, count, write};
use super::args::{Import, Patience};
use super::error::CliError;
use super::gate::Gate;
use super::progress::Progress;
use super::wait::Drained;
use super::{Run, wait};
use crate::error::NodeError;

/// One skipped line, as JSON.
#[derive(Serialize)]
struct Skipped<'a> {
    kind: &'static str,
    file: &'a str,
    line: u32,
    reason: &'static str,
    text: &'a str,
}

/// One chat of several, as JSON.
#[derive(Serialize)]
struct ChatSummary<'a> {
    kind: &'static str,
    title: Option<&'a str>,
    imported: u64,
    known: u64,
    timeline: Option<&'a str>,
}

/// The last line of `--json`: all chats together.
#[derive(Serialize)]
struct Summary {
    imported: u64,
    /// Here already by an earlier import, or in more than one file.
    known: u64,
    /// Lines that became no message.
    skipped: u64,
    /// Messages of senders that `--only` left out.
    others: u64,
    /// Absent when none was opened (in a dry run, or without a message), and of several chats.
    timeline: Option<String>,
    /// One for each chat that has one.
    timelines: Vec<String>,
    dry_run: bool,
}

pub(super) async fn run(run: &Run, import: Import) -> Result<(), CliError> {
    let found = read(&import)?;
    // A reader that went away (`… | head`) stops no import.
    unless_closed(list_skipped(run, &found))?;
    let patience = Patience::from(import.wait);
    let mut gate = if import.dry_run {
        run.look().await?
    } else {
        run.open(!patience.offline()).await?
    };
    let mut given = Vec::new();
    let mut outcome = Ok(());
    for chat in &found.chats {
        let named = import.timeline.as_deref();
        let one = if import.dry_run {
            count(&mut gate, chat, named).await
        } else {
            write(&mut gate, chat, named).await
        };
        match one {
            Ok(one) => given.push(one),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let waits =
        !import.dry_run && !patience.offline() && (patience.want.is_some() || !gate.is_daemon());
    if outcome.is_ok() && waits {
        outcome = settle(&mut gate, patience).await;
    }
    gate.close().await;
    // What is written is told, also when the rest failed or was not stored in time.
    if outcome.is_ok() || !given.is_empty() {
        unless_closed(tell(run, &import, &found, &given))?;
    }
    outcome
}

fn unless_closed(told: Result<(), CliError>) -> Result<(), CliError> {
    match told {
        Err(error) if error.is_closed_pipe() => Ok(()),
        told => told,
    }
}

fn tell(run: &Run, import: &Import, found: &Found, given: &[Given]) -> Result<(), CliError> {
    let several = given.len() > 1;
    let what = if import.dry_run {
        "would be imported"
    } else {
        "imported"
    };
    for (chat, given) in found.chats.iter().zip(given).filter(|_| several) {
        let title = chat.title.as_deref();
        if run.output.json {
            run.output.object(&ChatSummary {
                kind: "chat",
                title,
                imported: given.imported,
                known: given.known,
                timeline: given.timeline.as_deref(),
            })?;
        } else {
            let title = title.unwrap_or("imported");
            run.output
                .line(&format!("{title}: {} {what}", given.imported))?;
        }
    }
    let timelines: Vec<String> = given
        .iter()
        .filter_map(|one| one.timeline.clone())
        .collect();
    let others = found
        .chats
        .iter()
        .map(|chat: &Chat| chat.others.len() as u64);
    let summary = Summary {
        imported: given.iter().map(|one| one.imported).sum(),
        known: given.iter().map(|one| one.known).sum(),
        skipped: found.skipped.len() as u64,
        others: others.sum(),
        timeline: timelines.first().filter(|_| !several).cloned(),
        timelines,
        dry_run: import.dry_run,
    };
    if run.output.json {
        return run.output.object(&summary);
    }
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

async fn settle(gate: &mut Gate, patience: Patience) -> Result<(), CliError> {
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
