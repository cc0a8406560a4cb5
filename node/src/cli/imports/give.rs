//! Where a chat goes, and giving it to the node in batches.

use std::collections::BTreeSet;

use super::super::error::CliError;
use super::super::gate::Gate;
use super::super::progress::Progress;
use super::read::Chat;
use crate::api::{IMPORT_BATCH_MESSAGES_MAX, ImportedLine, Request, Response, TimelineView};
use crate::import::ImportedMessage;

/// Bodies of one request. A batch becomes few envelopes then, and its line on
/// the socket stays far below the limit.
const IMPORT_BATCH_BYTES_MAX: usize = 512 * 1024;

/// Title of a timeline for a chat that has none.
const UNTITLED: &str = "imported";

/// Gives chats one after the other.
pub(super) struct Giver<'a> {
    pub(super) gate: &'a mut Gate,
    pub(super) dry_run: bool,
    /// Opened by this import for one chat, so no other chat's.
    opened: BTreeSet<String>,
    progress: Progress,
    total: u64,
    done: u64,
}

/// What came of one chat.
pub(super) struct Given {
    /// Absent when none was opened: in a dry run, or without a message.
    pub(super) timeline: Option<String>,
    pub(super) imported: u64,
    pub(super) known: u64,
}

impl<'a> Giver<'a> {
    pub(super) fn new(gate: &'a mut Gate, chats: &[Chat], dry_run: bool) -> Self {
        Self {
            gate,
            dry_run,
            opened: BTreeSet::new(),
            progress: Progress::new("importing"),
            total: chats.iter().map(|chat| chat.messages.len() as u64).sum(),
            done: 0,
        }
    }

    /// To the named timeline, else to the one of an earlier import, else to a new one.
    pub(super) async fn chat(
        &mut self,
        chat: &Chat,
        named: Option<&str>,
    ) -> Result<Given, CliError> {
        let target = match named {
            Some(name) => Some(name.to_owned()),
            None => self.earlier(chat).await?,
        };
        match target {
            Some(timeline) => self.all(chat, timeline).await,
            None if self.dry_run || chat.messages.is_empty() => Ok(Given {
                timeline: None,
                imported: chat.messages.len() as u64,
                known: chat.repeated,
            }),
            None => {
                let timeline = self.open_timeline(chat).await?;
                self.all(chat, timeline).await
            }
        }
    }

    /// The timeline that an earlier import of the same choice wrote to: of those
    /// that hold some of these messages and none that `--only` leaves out, the
    /// one that holds most.
    async fn earlier(&mut self, chat: &Chat) -> Result<Option<String>, CliError> {
        let Response::Timelines { timelines } = self.gate.ask(Request::TimelineLs).await? else {
            return Err(CliError::Unexpected);
        };
        let (chosen, left_out) = (sample(&chat.messages), sample(&chat.others));
        let mut best: Option<(u64, String)> = None;
        for view in timelines {
            if !view.followed || self.opened.contains(&view.id) {
                continue;
            }
            let known = give(self.gate, &view.id, &chosen, true).await?.known;
            let is_more = best.as_ref().is_none_or(|(most, _)| known > *most);
            if known > 0
                && is_more
                && self.is_of_chat(chat, &view).await?
                && give(self.gate, &view.id, &left_out, true).await?.known == 0
            {
                best = Some((known, view.id));
            }
        }
        Ok(best.map(|(_, id)| id))
    }

    /// Whether a timeline is a chat's: most of the chat's beginning is there, or its first
    /// message under its title. Two chats may share a line (a greeting that one person sends
    /// to both at one minute), and what belongs to one must not be shown to the other.
    async fn is_of_chat(&mut self, chat: &Chat, view: &TimelineView) -> Result<bool, CliError> {
        let beginning: Vec<_> = chat.messages.iter().take(BEGINNING).collect();
        let known = give(self.gate, &view.id, &beginning, true).await?.known;
        if 2 * known > beginning.len() as u64 {
            return Ok(true);
        }
        let first = beginning.get(..1).unwrap_or_default();
        Ok(chat.title.as_ref() == Some(&view.title)
            && give(self.gate, &view.id, first, true).await?.known > 0)
    }

    async fn open_timeline(&mut self, chat: &Chat) -> Result<String, CliError> {
        let request = Request::TimelineNew {
            title: chat.title.clone().unwrap_or_else(|| UNTITLED.to_owned()),
            kind: "group".to_owned(),
            relays: Vec::new(),
        };
        let Response::Timeline { timeline } = self.gate.ask(request).await? else {
            return Err(CliError::Unexpected);
        };
        self.opened.insert(timeline.id.clone());
        // Named by id from here on: another timeline may have the same title.
        Ok(timeline.id)
    }

    /// Writes everything, or only counts it.
    async fn all(&mut self, chat: &Chat, timeline: String) -> Result<Given, CliError> {
        let mut sum = Given {
            timeline: None,
            imported: 0,
            known: chat.repeated,
        };
        // A timeline of that name is asked for even if there is nothing to give.
        let batches = batches(&chat.messages).chain(chat.messages.is_empty().then_some(&[][..]));
        for batch in batches {
            let batch: Vec<&ImportedMessage> = batch.iter().collect();
            let given = give(self.gate, &timeline, &batch, self.dry_run).await?;
            sum.imported += given.imported;
            sum.known += given.known;
            sum.timeline = given.timeline;
            self.done += batch.len() as u64;
            self.progress.set(self.total, self.done);
        }
        Ok(sum)
    }
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

/// Gives one batch: the timeline's id, how many are new, how many are known.
async fn give(
    gate: &mut Gate,
    timeline: &str,
    batch: &[&ImportedMessage],
    dry_run: bool,
) -> Result<Given, CliError> {
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
    Ok(Given {
        timeline: Some(timeline),
        imported,
        known,
    })
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
        reply_to: message
            .reply_to
            .map(|key| data_encoding::HEXLOWER.encode(&key)),
    }
}
