//! From what a person typed to what is meant, and the small steps all requests share.

use khlong_crdt::id::{MessageId, Seq, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::{NICKNAME_BYTES_MAX, TITLE_BYTES_MAX};
use rand_core::Rng as _;

use super::Peer;
use super::requests::unknown_timeline;
use crate::api::{Event, TimelineView};
use crate::error::NodeError;

/// Letters that must be given of an id.
pub(super) const ID_LETTERS_MIN: usize = 6;

impl Peer {
    /// A timeline by id, by title, or by the start of either.
    pub(super) fn resolve(&self, name: &str) -> Result<TimelineId, NodeError> {
        if let Ok(id) = name.parse::<TimelineId>() {
            return self
                .timelines
                .contains_key(&id)
                .then_some(id)
                .ok_or_else(|| unknown_timeline(name));
        }
        let named = |exact: bool| -> Vec<TimelineId> {
            self.timelines
                .iter()
                .filter(|(id, timeline)| {
                    let title = timeline.state().title.unwrap_or_default();
                    if exact {
                        title == name
                    } else {
                        title.starts_with(name)
                            || (name.len() >= ID_LETTERS_MIN && id.to_string().starts_with(name))
                    }
                })
                .map(|(id, _)| *id)
                .collect()
        };
        let mut found = named(true);
        if found.is_empty() && !name.is_empty() {
            found = named(false);
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(unknown_timeline(name)),
            several => Err(NodeError::NotFound(format!(
                "{} timelines are called `{name}`; use the id from `khlong timeline ls`",
                several.len()
            ))),
        }
    }

    /// A message by id or by its start.
    pub(super) fn resolve_message(
        &self,
        id: TimelineId,
        name: &str,
    ) -> Result<MessageId, NodeError> {
        let unknown =
            || NodeError::NotFound(format!("no message is called `{name}`; see `khlong log`"));
        let timeline = self.timelines.get(&id).ok_or_else(unknown)?;
        if let Ok(message) = name.parse::<MessageId>() {
            return timeline
                .message(&message)
                .map(|_| message)
                .ok_or_else(unknown);
        }
        if name.len() < ID_LETTERS_MIN {
            return Err(unknown());
        }
        let found: Vec<MessageId> = timeline.messages_called(name).take(2).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(unknown()),
            _ => Err(NodeError::NotFound(format!(
                "several messages start with `{name}`; give more of it"
            ))),
        }
    }

    /// A message that this node's user wrote.
    pub(super) fn own_message(
        &self,
        timeline: &str,
        message: &str,
    ) -> Result<(TimelineId, MessageId), NodeError> {
        let id = self.resolve(timeline)?;
        let target = self.resolve_message(id, message)?;
        let mine = self.timelines.get(&id).is_some_and(|open| {
            open.message(&target)
                .is_some_and(|found| found.principal == Some(open.principal()))
        });
        if mine {
            Ok((id, target))
        } else {
            Err(NodeError::NotYours)
        }
    }

    /// Before anything is written in a timeline, or made for it.
    pub(super) fn check_followed(&self, id: TimelineId) -> Result<(), NodeError> {
        let left = self.timelines.contains_key(&id) && !self.book.follows(id);
        if left { Err(NodeError::Left) } else { Ok(()) }
    }

    /// A message that is there, to be answered, changed or reacted to.
    pub(super) fn resolve_standing(
        &self,
        id: TimelineId,
        name: &str,
    ) -> Result<MessageId, NodeError> {
        let message = self.resolve_message(id, name)?;
        let open = self.timelines.get(&id);
        let deleted = open
            .and_then(|open| open.message(&message))
            .is_some_and(|it| it.deleted);
        if deleted {
            return Err(NodeError::NotFound(format!(
                "`{name}` was deleted by its author"
            )));
        }
        Ok(message)
    }

    /// Seals drafts into one envelope, keeps it and queues it.
    pub(super) fn write(
        &mut self,
        now: Now,
        id: TimelineId,
        drafts: &[Draft],
    ) -> Result<Seq, NodeError> {
        self.check_followed(id)?;
        let timeline = self
            .timelines
            .get_mut(&id)
            .ok_or_else(|| unknown_timeline(&id.to_string()))?;
        let before = timeline.message_count();
        let envelope = timeline
            .write(drafts, now.wall, &mut self.rng)
            .map_err(NodeError::Write)?;
        self.owing.insert(id);
        // New messages of one's own stand at the end of the newest page.
        let news = timeline.messages(before..timeline.message_count());
        self.queue(now, &envelope)?;
        self.tell_written(id, drafts, news.into_iter().map(|message| message.id));
        Ok(envelope.prefix().seq)
    }

    fn tell_written(
        &mut self,
        id: TimelineId,
        drafts: &[Draft],
        news: impl Iterator<Item = MessageId>,
    ) {
        for message in news {
            let (timeline, message) = (id.to_string(), message.to_string());
            self.emit(Event::Message { timeline, message });
        }
        for draft in drafts {
            let timeline = id.to_string();
            match draft {
                Draft::Message { .. } => {}
                Draft::Edit { target, .. }
                | Draft::Delete { target }
                | Draft::React { target, .. }
                | Draft::Unreact { target, .. } => {
                    self.emit(Event::Changed {
                        timeline,
                        message: target.to_string(),
                    });
                }
                Draft::Title(_)
                | Draft::Nickname(_)
                | Draft::Leave
                | Draft::Relay { .. }
                | Draft::Pin { .. } => {
                    self.emit(Event::State { timeline });
                }
            }
        }
    }

    /// Introduces this user where that still has to be done, and acknowledges
    /// what others wrote. Receipts never answer receipts.
    ///
    /// What a timeline does not take concerns that timeline; only a folder that
    /// fails ends the peer.
    pub(super) fn owe_receipts(&mut self, now: Now) -> Result<(), NodeError> {
        self.reread_timelines()?;
        self.owing.extend(self.receipts.take_due(now.monotonic));
        for id in std::mem::take(&mut self.owing) {
            match self.owe_receipts_in(now, id) {
                Ok(()) => {}
                Err(error @ NodeError::Write(_)) => {
                    // Tried again with the next input.
                    self.owing.insert(id);
                    let error = error.full_message();
                    tracing::warn!(timeline = %id, %error, "what is owed there could not be written");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn owe_receipts_in(&mut self, now: Now, id: TimelineId) -> Result<(), NodeError> {
        self.renew_author_in(now, id)?;
        let (Some(timeline), Some(entry)) = (
            self.timelines.get(&id),
            self.book.timelines.get_mut(&id.to_string()),
        ) else {
            return Ok(());
        };
        if !entry.followed || !timeline.can_acknowledge() {
            return Ok(());
        }
        if timeline.is_ready() && std::mem::take(&mut entry.introduce) {
            let nickname = self.book.nickname.clone();
            self.save_book()?;
            self.write(now, id, &[Draft::Nickname(nickname)])?;
        }
        let Some(timeline) = self.timelines.get_mut(&id) else {
            return Ok(());
        };
        if !timeline.pending_receipt() || self.receipts.puts_off(id, now.monotonic) {
            return Ok(());
        }
        let receipt = timeline
            .write_receipt(&mut self.rng)
            .map_err(NodeError::Write)?;
        receipt.map_or(Ok(()), |envelope| self.queue(now, &envelope))
    }

    pub(super) fn timeline_views(&self) -> Vec<TimelineView> {
        let mut views: Vec<TimelineView> = self
            .timelines
            .keys()
            .map(|id| self.timeline_view(*id))
            .collect();
        views.sort_by(|a, b| (&a.title, &a.id).cmp(&(&b.title, &b.id)));
        views
    }

    pub(super) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

/// A message without a letter in it says nothing.
pub(super) fn check_body(body: &str) -> Result<(), NodeError> {
    if body.trim().is_empty() {
        return Err(NodeError::Usage("the text is empty".to_owned()));
    }
    Ok(())
}

/// Before anything is begun that would need it: a refusal must leave nothing behind.
pub(super) fn check_title(title: &str) -> Result<(), NodeError> {
    if title.trim().is_empty() {
        return Err(NodeError::Usage("a title has a letter at least".to_owned()));
    }
    if title.len() > TITLE_BYTES_MAX {
        return Err(NodeError::Usage(format!(
            "a title has at most {TITLE_BYTES_MAX} bytes, this one {}",
            title.len()
        )));
    }
    Ok(())
}

/// The same of a nickname, which every timeline is told.
pub(super) fn check_nickname(nickname: &str) -> Result<(), NodeError> {
    if nickname.trim().is_empty() || nickname.len() > NICKNAME_BYTES_MAX {
        return Err(NodeError::Usage(format!(
            "a nickname has 1 to {NICKNAME_BYTES_MAX} bytes, this one {}; choose another by `khlong nickname`",
            nickname.len()
        )));
    }
    Ok(())
}
