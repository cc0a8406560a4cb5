//! Writing: messages and what changes them, receipts, imports.

use std::collections::BTreeSet;

use khlong_crdt::id::{MessageId, Seq, TimelineId};
use khlong_crdt::time::{Now, UnixMillis};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::{DRAFT_BYTES_MAX, DRAFTS_PER_ENVELOPE_MAX};
use khlong_document::timeline::message::{Origin, imported_id};
use khlong_document::timeline::pages::writing::ComposeError;
use khlong_document::timeline::write::WriteError;

use super::unknown_timeline;
use crate::api::{Delivery, IMPORT_BATCH_MESSAGES_MAX, ImportedLine, Response};
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::find::check_body;

impl Peer {
    pub(super) fn send(
        &mut self,
        now: Now,
        timeline: &str,
        body: String,
        reply_to: Option<&str>,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        check_body(&body)?;
        let reply_to = reply_to
            .map(|target| self.resolve_standing(id, target))
            .transpose()?;
        let draft = Draft::Message {
            body,
            reply_to,
            attachments: Vec::new(),
            origin: None,
            import_key: None,
            sent_at: now.wall,
        };
        self.write_one(now, id, None, draft)
    }

    pub(super) fn react(
        &mut self,
        now: Now,
        timeline: &str,
        message: &str,
        emoji: String,
        remove: bool,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let target = self.resolve_standing(id, message)?;
        let draft = if remove {
            Draft::Unreact { target, emoji }
        } else {
            Draft::React { target, emoji }
        };
        self.write_one(now, id, Some(target), draft)
    }

    pub(super) fn read(&mut self, now: Now, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let open = self
            .timelines
            .get_mut(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        open.read_all();
        self.owing.insert(id);
        // Who left tells nobody any more.
        let follows = self.book.follows(id);
        let receipt = follows
            .then(|| open.write_receipt(&mut self.rng))
            .transpose()
            .map_err(NodeError::Write)?
            .flatten();
        let read = open.message_count() as u64;
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.read_messages = read;
        }
        self.save_book()?;
        if let Some(envelope) = &receipt {
            self.queue(now, envelope)?;
        }
        Ok(self.written(id, None, receipt.map(|envelope| envelope.prefix().seq)))
    }

    pub(super) fn import(
        &mut self,
        now: Now,
        timeline: &str,
        lines: Vec<ImportedLine>,
        dry_run: bool,
    ) -> Result<Response, NodeError> {
        if lines.len() > IMPORT_BATCH_MESSAGES_MAX {
            return Err(NodeError::Usage(format!(
                "at most {IMPORT_BATCH_MESSAGES_MAX} messages a request"
            )));
        }
        let (id, open) = self.find_timeline(timeline)?;
        self.check_followed(id)?;
        let offered = lines.len() as u64;
        let mut drafts = Vec::new();
        let mut keys = BTreeSet::new();
        for line in lines {
            let key = import_key(&line.import_key)?;
            // What it answers is here, or comes before it in the request; else it answers nothing.
            let answered = line.reply_to.as_deref().map(import_key).transpose()?;
            let reply_to = answered
                .map(|answered| (answered, imported_id(&id, &answered)))
                .filter(|(answered, message)| {
                    keys.contains(answered) || open.message(message).is_some()
                })
                .map(|(_, message)| message);
            if keys.insert(key) && open.message(&imported_id(&id, &key)).is_none() {
                drafts.push(Draft::Message {
                    body: line.body,
                    reply_to,
                    attachments: Vec::new(),
                    origin: Some(Origin {
                        network: line.network,
                        sender: line.sender,
                    }),
                    import_key: Some(key),
                    sent_at: UnixMillis(line.sent_at_ms),
                });
            }
        }
        let imported = drafts.len() as u64;
        if !dry_run {
            self.write_imported(now, id, &drafts)?;
        }
        Ok(Response::Imported {
            timeline: id.to_string(),
            imported,
            known: offered - imported,
        })
    }

    /// As many envelopes as the messages need, for one commit. What would be
    /// refused is refused before the first one.
    fn write_imported(
        &mut self,
        now: Now,
        id: TimelineId,
        drafts: &[Draft],
    ) -> Result<(), NodeError> {
        for draft in drafts {
            draft.check().map_err(|error| {
                NodeError::Write(WriteError::Compose(ComposeError::Draft(error)))
            })?;
        }
        for part in envelopes_of(drafts) {
            self.write(now, id, part)?;
        }
        Ok(())
    }

    pub(super) fn write_one(
        &mut self,
        now: Now,
        id: TimelineId,
        message: Option<MessageId>,
        draft: Draft,
    ) -> Result<Response, NodeError> {
        let seq = self.write(now, id, &[draft])?;
        let new = || self.timelines.get(&id)?.message_in(seq);
        let concerned = message.or_else(new);
        Ok(self.written(id, concerned, Some(seq)))
    }

    fn written(&self, id: TimelineId, message: Option<MessageId>, seq: Option<Seq>) -> Response {
        let author = self.timelines.get(&id).map(Timeline::author);
        let chain = author.zip(seq);
        Response::Written {
            timeline: id.to_string(),
            message: message.map(|message| message.to_string()),
            envelope: chain.map(|(author, seq)| format!("{author}:{}", seq.0)),
            delivery: chain.map_or(Delivery::Stored, |(author, seq)| {
                self.queue_state(id, author, seq)
            }),
        }
    }
}

/// Cuts where either limit of an envelope is reached; each part holds at least one draft.
fn envelopes_of(drafts: &[Draft]) -> impl Iterator<Item = &[Draft]> {
    let mut rest = drafts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest
            .iter()
            .take(DRAFTS_PER_ENVELOPE_MAX)
            .take_while(|draft| {
                bytes += draft.text_bytes();
                bytes <= DRAFT_BYTES_MAX
            });
        let count = fits.count().max(1).min(rest.len());
        let (part, after) = rest.split_at(count);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

fn import_key(text: &str) -> Result<[u8; 16], NodeError> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| NodeError::Usage("an import key is 16 bytes, hexadecimal".to_owned()))
}
