//! What a person sees: nicknames instead of keys, delivery states, dates.

use khlong_crdt::id::{AuthorKey, RelayKey, Seq, TimelineId};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::message::Message;
use khlong_store::error::StoreError;
use khlong_store::tables::outbox::OutboxState;
use khlong_store::tables::receipts;
use khlong_store::tables::timelines::author_ids;
use khlong_sync::wire::code::ErrorCode;

use super::Peer;
use super::dropped;
use super::names::{Names, short};
use super::outbox::Waiting;
use crate::api::{Delivery, MessageView, OutboxView, ReactionView, RelayView, TimelineView};

impl Peer {
    pub(super) fn relay_view(&self, relay: RelayKey) -> Option<RelayView> {
        let view = self.links.get(&relay)?.view();
        let reoffering = self.left_to_reoffer(relay);
        let (lacking, refused) = self.lacking(relay);
        Some(RelayView {
            // What it lacks of mine keeps it out of step too.
            caught_up: view.caught_up && reoffering == 0 && lacking == 0,
            reoffering,
            lacking,
            refused,
            reoffer_refused: self
                .reoffers
                .of(relay)
                .find_map(|(_, reoffer)| reoffer.held_up)
                .map(|code| code.to_string()),
            ..view
        })
    }

    pub(super) fn relay_views(&self) -> Vec<RelayView> {
        let relays = self.links.keys();
        relays.filter_map(|relay| self.relay_view(*relay)).collect()
    }

    pub(super) fn timeline_view(&self, id: TimelineId) -> TimelineView {
        let key = id.to_string();
        let entry = self.book.timelines.get(&key);
        let timeline = self.timelines.get(&id);
        let state = timeline.map(Timeline::state);
        let messages = timeline.map_or(0, Timeline::message_count);
        let read = entry
            .map_or(0, |entry| entry.read_messages as usize)
            .min(messages);
        let unread = timeline.map_or(0, |timeline| {
            let mine = Some(timeline.principal());
            let news = timeline.count_by_author(read..messages).into_iter();
            let of_others = news.filter(|(author, _)| {
                let principal = timeline.principal_of(author);
                principal != mine && !principal.is_some_and(|it| self.blocks.contains(id, it))
            });
            of_others.map(|(_, messages)| messages).sum()
        });
        TimelineView {
            id: key,
            title: state.and_then(|state| state.title).unwrap_or_default(),
            kind: timeline
                .and_then(Timeline::kind)
                .map_or_else(|| "joining".to_owned(), |kind| kind.to_string()),
            followed: entry.is_some_and(|entry| entry.followed),
            members: timeline.map_or_else(Vec::new, |timeline| {
                let names = Names::of(timeline);
                let present = timeline.members().into_iter().filter(|member| !member.left);
                present.map(|member| names.get(member.principal)).collect()
            }),
            messages,
            unread,
            queued: self
                .outbox
                .of(id)
                .filter(|waiting| !waiting.is_stored())
                .count() as u64,
            parked: timeline.map_or(0, Timeline::parked_count),
            relays: entry.map_or_else(Vec::new, |entry| entry.relays.clone()),
            muted: entry.is_some_and(|entry| entry.muted),
            blocked: self.blocks.count_in(id),
        }
    }

    pub(super) fn message_view(
        &self,
        timeline: &Timeline,
        names: &Names,
        message: &Message,
    ) -> MessageView {
        let author = match (&message.origin, message.principal) {
            (Some(origin), _) => origin.sender.clone(),
            (None, Some(principal)) => names.get(principal),
            (None, None) => short(&message.author.to_string()),
        };
        MessageView {
            id: message.id.to_string(),
            author,
            author_id: message.principal.map_or_else(
                || message.author.to_string(),
                |principal| principal.to_string(),
            ),
            mine: message.principal == Some(timeline.principal()),
            sent_at: rfc3339(message.sent_at.0),
            body: message.body.clone(),
            edited: message.edits > 0,
            deleted: message.deleted,
            reply_to: message.reply_to.map(|id| id.to_string()),
            reactions: message
                .reactions
                .iter()
                .map(|(emoji, by)| ReactionView {
                    emoji: emoji.clone(),
                    by: by.iter().map(|who| names.get(*who)).collect(),
                })
                .collect(),
            origin: message.origin.as_ref().map(|origin| origin.network.clone()),
            delivery: self.delivery(timeline, message),
            blocked: self.blocks.hides(timeline.id(), message),
        }
    }

    fn delivery(&self, timeline: &Timeline, message: &Message) -> Delivery {
        if message.principal != Some(timeline.principal()) {
            return Delivery::Received;
        }
        match timeline.delivery(&message.id) {
            Some(progress) if !progress.read_by.is_empty() => Delivery::Read,
            Some(progress) if !progress.delivered_to.is_empty() => Delivery::Delivered,
            Some(progress) => self.queue_state(timeline.id(), progress.author, progress.seq),
            // Received of oneself: another device wrote it, and a relay passed it on.
            None => Delivery::Stored,
        }
    }

    /// Queued, refused, stored or dropped: what the outbox and the relays' receipts say
    /// of an envelope of one's own.
    pub(super) fn queue_state(
        &self,
        timeline: TimelineId,
        author: AuthorKey,
        seq: Seq,
    ) -> Delivery {
        match self.outbox.at_seq(timeline, author, seq) {
            Some(waiting) if waiting.is_stored() => Delivery::Stored,
            Some(waiting) if waiting.is_refused() => Delivery::Refused,
            Some(_) => Delivery::Queued,
            // A row that cannot be read proves nothing.
            None => self
                .settled_state(timeline, author, seq)
                .unwrap_or(Delivery::Queued),
        }
    }

    /// Of an envelope that is not in the outbox any more, or never was.
    fn settled_state(
        &self,
        timeline: TimelineId,
        author: AuthorKey,
        seq: Seq,
    ) -> Result<Delivery, StoreError> {
        let Some((id, _)) = author_ids(&self.store, &timeline, &author, seq)? else {
            return Ok(Delivery::Queued);
        };
        let promises = receipts::get(&self.store, &id)?;
        let mut stands = promises
            .iter()
            .map(|promise| self.promise_stands(promise.receipt(), timeline, (author, seq), &id));
        let is_promised = stands.try_fold(false, |any, stands| stands.map(|it| any || it))?;
        Ok(if !is_promised && dropped::contains(&self.store, &id)? {
            Delivery::Dropped
        } else if !is_promised && !promises.is_empty() {
            // Lost with the relay's log; it is offered again.
            Delivery::Queued
        } else {
            // Promised; or a relay brought it here: another device wrote it, or this one in a
            // life that a backup knows nothing of.
            Delivery::Stored
        })
    }

    pub(super) fn outbox_views(&self) -> Vec<OutboxView> {
        let unstored = self.outbox.all().filter(|waiting| !waiting.is_stored());
        unstored.map(outbox_view).collect()
    }
}

fn outbox_view(waiting: &Waiting) -> OutboxView {
    let entry = &waiting.entry;
    let name = |code| ErrorCode::from_number(code).to_string();
    let (refused, put_off, code) = match entry.state {
        OutboxState::Waiting => (None, None, None),
        OutboxState::Refused { code } => (Some(name(code)), None, Some(code)),
        OutboxState::PutOff { code } => (None, Some(name(code)), Some(code)),
    };
    OutboxView {
        timeline: entry.timeline.to_string(),
        envelope: entry.id.to_string(),
        seq: waiting.seq.0,
        bytes: waiting.bytes,
        queued_at: rfc3339(entry.queued_at.0),
        attempts: entry.attempts,
        refused,
        put_off,
        code,
        next_attempt: (entry.next_attempt.0 > 0).then(|| rfc3339(entry.next_attempt.0)),
    }
}

pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}
