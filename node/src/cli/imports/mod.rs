//! `import`: another network's export, signed by this node.
//!
//! A timeline holds one chat. Files of several chats become several timelines,
//! each found again by the next import; only who names a timeline has them in one.

pub(super) mod args;
mod give;
mod read;
mod telegram;

use std::collections::BTreeSet;

use serde::Serialize;

use self::args::Import;
use self::give::Giver;
use self::read::Chat;
use super::error::CliError;
use super::gate::Gate;
use super::output::note;
use super::progress::Progress;
use super::wait::Drained;
use super::{Patience, Run, wait};
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
struct ChatSummary {
    kind: &'static str,
    title: Option<String>,
    timeline: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

/// The last line of `--json`: all chats together.
#[derive(Serialize)]
struct Summary {
    kind: &'static str,
    #[serde(flatten)]
    counts: Counts,
    /// Absent when none was opened (in a dry run, or without a message), and when
    /// there are several.
    timeline: Option<String>,
    /// Each once.
    timelines: BTreeSet<String>,
    dry_run: bool,
    #[serde(skip)]
    chats: Vec<ChatSummary>,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Counts {
    imported: u64,
    /// Here already by an earlier import, or in more than one file.
    known: u64,
    /// Lines that became no message.
    skipped: u64,
    /// Messages of senders that `--only` left out.
    others: u64,
}

pub(super) async fn run(run: &Run, import: Import) -> Result<(), CliError> {
    let chats = read::chats(run, &import)?;
    if let (Some(timeline), true) = (&import.timeline, chats.len() > 1) {
        let titles: Vec<&str> = chats.iter().map(Chat::name).collect();
        note(&format!(
            "{} chats go into the one timeline {timeline}: {}; without --timeline each gets its own",
            chats.len(),
            titles.join(", ")
        ));
    }
    list_skipped(run, &chats)?;
    let (summary, outcome) = if import.dry_run {
        dry(run, &chats, &import).await?
    } else {
        write(run, &chats, &import).await?
    };
    // What is written is told, also when the rest failed or was not stored in time.
    if outcome.is_ok() || !summary.chats.is_empty() {
        shown(run, &summary)?;
    }
    outcome
}

fn shown(run: &Run, summary: &Summary) -> Result<(), CliError> {
    let several = summary.chats.len() > 1;
    for chat in summary.chats.iter().filter(|_| several) {
        if run.output.json {
            run.output.object(chat)?;
        } else {
            let title = chat.title.as_deref().unwrap_or(Chat::UNNAMED);
            let line = sentence(chat.counts, summary.dry_run);
            run.output.line(&format!("{title}: {line}"))?;
        }
    }
    if run.output.json {
        run.output.object(summary)
    } else {
        run.output.line(&sentence(summary.counts, summary.dry_run))
    }
}

fn sentence(counts: Counts, dry_run: bool) -> String {
    let what = if dry_run {
        "would be imported"
    } else {
        "imported"
    };
    let mut line = format!(
        "{} {what}, {} lines skipped",
        counts.imported, counts.skipped
    );
    for (count, why) in [
        (counts.known, "here already"),
        (counts.others, "by other senders"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {count} {why}"));
        }
    }
    line
}

fn list_skipped(run: &Run, chats: &[Chat]) -> Result<(), CliError> {
    for line in chats.iter().flat_map(|chat| &chat.skipped) {
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
    Ok(())
}

/// What was written, and what ended it.
type Given = (Summary, Result<(), CliError>);

async fn dry(run: &Run, chats: &[Chat], import: &Import) -> Result<Given, CliError> {
    let mut gate = run.look().await?;
    let counted = give_all(&mut gate, chats, import).await;
    gate.close().await;
    Ok(counted)
}

async fn write(run: &Run, chats: &[Chat], import: &Import) -> Result<Given, CliError> {
    let patience = Patience::from(import.wait);
    let mut gate = run.open(!patience.offline()).await?;
    let (summary, mut outcome) = give_all(&mut gate, chats, import).await;
    let is_left_alone = patience.offline() || (patience.want.is_none() && gate.is_daemon());
    if outcome.is_ok() && !is_left_alone {
        outcome = settle(&mut gate, patience).await;
    }
    gate.close().await;
    Ok((summary, outcome))
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
            stands: super::wait::STAYS_QUEUED,
        }
        .into()),
        Drained::Empty | Drained::Late | Drained::Refused(_) => Ok(()),
    }
}

/// One chat after the other, until one fails.
async fn give_all(gate: &mut Gate, chats: &[Chat], import: &Import) -> Given {
    let mut giver = Giver::new(gate, chats, import.dry_run);
    let mut summary = Summary {
        kind: "import",
        counts: Counts::default(),
        timeline: None,
        timelines: BTreeSet::new(),
        dry_run: import.dry_run,
        chats: Vec::new(),
    };
    let mut outcome = Ok(());
    for chat in chats {
        let given = match giver.chat(chat, import.timeline.as_deref()).await {
            Ok(given) => given,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        let counts = Counts {
            imported: given.imported,
            known: given.known,
            skipped: chat.skipped.len() as u64,
            others: chat.others.len() as u64,
        };
        summary.counts.add(counts);
        summary.timelines.extend(given.timeline.clone());
        summary.chats.push(ChatSummary {
            kind: "chat",
            title: chat.title.clone(),
            timeline: given.timeline,
            counts,
        });
    }
    if summary.timelines.len() == 1 {
        summary.timeline = summary.timelines.first().cloned();
    }
    (summary, outcome)
}

impl Chat {
    const UNNAMED: &str = "(no title)";

    fn name(&self) -> &str {
        self.title.as_deref().unwrap_or(Self::UNNAMED)
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.imported += more.imported;
        self.known += more.known;
        self.skipped += more.skipped;
        self.others += more.others;
    }
}
