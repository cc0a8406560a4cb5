//! Giving the messages of a chat to the node.

use super::found::Chat;
use crate::api::{IMPORT_BATCH_MESSAGES_MAX, ImportedLine, Request, Response};
use crate::cli::error::CliError;
use crate::cli::gate::Gate;
use crate::cli::progress::Progress;
use crate::import::ImportedMessage;

/// Bodies of one request. A batch becomes few envelopes then, and its line on
/// the socket stays far below the limit.
const IMPORT_BATCH_BYTES_MAX: usize = 512 * 1024;

/// What became of a chat.
#[derive(Default)]
pub(super) struct Given {
    pub(super) imported: u64,
    pub(super) known: u64,
    /// Absent when none was opened: in a dry run, or without a message.
    pub(super) timeline: Option<String>,
}

/// Counts what would be written.
pub(super) async fn count(
    gate: &mut Gate,
    chat: &Chat,
    named: Option<&str>,
) -> Result<Given, CliError> {
    match target(gate, chat, named).await? {
        Some(timeline) => give_all(gate, chat, timeline, true).await,
        None => Ok(Given {
            imported: chat.messages.len() as u64,
            known: chat.repeated,
            timeline: None,
        }),
    }
}

/// Writes to the timeline that is named, to that of an earlier import, or to a new one.
pub(super) async fn write(
    gate: &mut Gate,
    chat: &Chat,
    named: Option<&str>,
) -> Result<Given, CliError> {
    let timeline = match target(gate, chat, named).await? {
        Some(timeline) => timeline,
        None if chat.messages.is_empty() => return count(gate, chat, named).await,
        None => open_timeline(gate, chat).await?,
    };
    give_all(gate, chat, timeline, false).await
}

async fn target(
    gate: &mut Gate,
    chat: &Chat,
    named: Option<&str>,
) -> Result<Option<String>, CliError> {
    match named {
        Some(name) => Ok(Some(name.to_owned())),
        None => earlier(gate, chat).await,
    }
}

/// The timeline that an earlier import of the same choice wrote to: it holds the beginning of
/// these messages and none of those that `--only` leaves out.
///
/// Two chats may share a line (greetings that one person sends to both at one minute), and
/// what belongs to one must not be shown to the other: so most of the beginning must be there,
/// or its first message in a timeline of that title.
async fn earlier(gate: &mut Gate, chat: &Chat) -> Result<Option<String>, CliError> {
    let Response::Timelines { timelines } = gate.ask(Request::TimelineLs).await? else {
        return Err(CliError::Unexpected);
    };
    let beginning: Vec<_> = chat.messages.iter().take(BEGINNING).collect();
    let Some(first) = beginning.first().copied() else {
        return Ok(None);
    };
    let left_out = sample(&chat.others);
    for view in timelines.into_iter().filter(|view| view.followed) {
        let known = give(gate, &view.id, &beginning, true).await?.2;
        let has_most = 2 * known > beginning.len() as u64;
        let is_called_so = chat.title.as_ref() == Some(&view.title);
        let is_it =
            has_most || (is_called_so && give(gate, &view.id, &[first], true).await?.2 == 1);
        if is_it && give(gate, &view.id, &left_out, true).await?.2 == 0 {
            return Ok(Some(view.id));
        }
    }
    Ok(None)
}

/// Messages by which a chat is known again.
const BEGINNING: usize = 128;

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
    chat: &Chat,
    timeline: String,
    dry_run: bool,
) -> Result<Given, CliError> {
    let progress = Progress::new("importing");
    let total = chat.messages.len() as u64;
    let mut given = Given {
        known: chat.repeated,
        ..Given::default()
    };
    let mut done = 0;
    // A timeline of that name is asked for even if there is nothing to give.
    let batches = batches(&chat.messages).chain(chat.messages.is_empty().then_some(&[][..]));
    for batch in batches {
        let batch: Vec<&ImportedMessage> = batch.iter().collect();
        let (id, imported, known) = give(gate, &timeline, &batch, dry_run).await?;
        given.imported += imported;
        given.known += known;
        given.timeline = Some(id);
        done += batch.len() as u64;
        progress.set(total, done);
    }
    Ok(given)
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

async fn open_timeline(gate: &mut Gate, chat: &Chat) -> Result<String, CliError> {
    let title = chat.title.clone().unwrap_or_else(|| "imported".to_owned());
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
