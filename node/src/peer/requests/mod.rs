//! Requests of a person, each answered from memory and staged for the commit.

mod carriers;
mod history;
mod joining;
mod messages;
mod network;
mod quiet;
mod timelines;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::TimelineId;
use khlong_crdt::time::Now;
use khlong_document::keys::user::UserCard;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;

use super::Peer;
use super::find::{check_body, check_nickname, check_title};
use crate::api::{Request, Response};
use crate::error::NodeError;

impl Peer {
    /// Answers a request. What it wrote is durable after [`Peer::commit`]; an
    /// answer must not be shown before that. When the folder fails meanwhile, the
    /// commit fails.
    pub fn request(&mut self, now: Now, request: Request) -> Response {
        // A start knows of what was said of relays only here.
        if let Err(error) = self.follow_moves(now) {
            let response = refused(&error);
            self.failed = Some(error);
            return response;
        }
        let before = self.overlay.bytes();
        let answered = self.answer(now, request);
        let is_half_done = answered.is_err() && self.overlay.bytes() != before;
        let owed = self.owe_receipts(now);
        let moved = owed.and_then(|()| self.follow_moves(now));
        let offered = moved.and_then(|()| self.offer_outbox(now));
        match (answered, offered) {
            (Ok(response), Ok(())) => response,
            (_, Err(error)) | (Err(error), Ok(())) => {
                let response = refused(&error);
                // What is half done must not be committed, and memory is ahead of the disk.
                if is_half_done || matches!(error, NodeError::Store(_)) {
                    self.failed = Some(error);
                }
                response
            }
        }
    }

    fn answer(&mut self, now: Now, request: Request) -> Result<Response, NodeError> {
        match request {
            Request::Id => Ok(self.identity()),
            Request::RelayAdd { address, token } => self.relay_add(now, &address, token),
            Request::RelayRm { relay, force } => self.relay_remove(&relay, force),
            Request::RelayLs => Ok(self.relay_list()),
            Request::TimelineNew {
                title,
                kind,
                relays,
            } => self.timeline_new(now, title, &kind, relays),
            Request::TimelineInvite {
                timeline,
                to,
                read_only,
                expires_in_s,
            } => self.timeline_invite(now, &timeline, to.as_deref(), read_only, expires_in_s),
            Request::TimelineJoin { link } => self.timeline_join(now, &link),
            Request::TimelineJoinEnd { timeline } => self.timeline_join_end(&timeline),
            Request::TimelineLs => Ok(Response::Timelines {
                timelines: self.timeline_views(),
            }),
            Request::TimelineRename { timeline, title } => {
                let id = self.resolve(&timeline)?;
                check_title(&title)?;
                self.write(now, id, &[Draft::Title(title)])?;
                Ok(Response::Timeline {
                    timeline: self.timeline_view(id),
                })
            }
            Request::TimelineLeave { timeline } => self.timeline_leave(now, &timeline),
            Request::TimelineRelayAdd { timeline, relay } => {
                self.carrier_add(now, &timeline, &relay)
            }
            Request::TimelineRelayRm {
                timeline,
                relay,
                force,
            } => self.carrier_remove(now, &timeline, &relay, force),
            Request::TimelineRelayLs { timeline } => self.carriers(&timeline),
            Request::TimelineMute { timeline, muted } => self.timeline_mute(&timeline, muted),
            Request::Block { author, timeline } => self.block(now, &author, timeline.as_deref()),
            Request::Unblock { author, timeline } => self.unblock(&author, timeline.as_deref()),
            Request::BlockedLs => Ok(self.blocked_list()),
            Request::Nickname { nickname } => self.nickname(now, nickname),
            Request::Send {
                timeline,
                body,
                reply_to,
            } => self.send(now, &timeline, body, reply_to.as_deref()),
            Request::Edit {
                timeline,
                message,
                body,
            } => {
                let (id, target) = self.own_message(&timeline, &message)?;
                check_body(&body)?;
                self.resolve_standing(id, &message)?;
                self.write_one(now, id, Some(target), Draft::Edit { target, body })
            }
            Request::Delete { timeline, message } => {
                let (id, target) = self.own_message(&timeline, &message)?;
                self.write_one(now, id, Some(target), Draft::Delete { target })
            }
            Request::React {
                timeline,
                message,
                emoji,
                remove,
            } => self.react(now, &timeline, &message, emoji, remove),
            Request::Read { timeline } => self.read(now, &timeline),
            Request::Log {
                timeline,
                from,
                limit,
            } => self.log(&timeline, from, limit),
            Request::Message { timeline, message } => self.message(&timeline, &message),
            Request::Probe => {
                self.probe(now)?;
                Ok(self.relay_list())
            }
            Request::Status => Ok(Response::Status {
                queued: self.outbox.unstored(),
                relays: self.relay_views(),
                timelines: self.timeline_views(),
            }),
            Request::OutboxLs => Ok(Response::Outbox {
                entries: self.outbox_views(),
            }),
            Request::OutboxRetry => self.outbox_retry(),
            Request::OutboxDrop { timeline } => self.outbox_drop(&timeline),
            Request::Import {
                timeline,
                messages,
                dry_run,
            } => self.import(now, &timeline, messages, dry_run),
            Request::Digest { timeline } => self.digest(&timeline),
        }
    }

    fn identity(&self) -> Response {
        let card: Option<UserCard> = self.book.card.parse().ok();
        Response::Id {
            user: card
                .as_ref()
                .map(|card| card.id().to_string())
                .unwrap_or_default(),
            device: card
                .map(|card| card.genesis().device().to_string())
                .unwrap_or_default(),
            card: self.book.card.clone(),
            nickname: self.book.nickname.clone(),
        }
    }

    fn nickname(&mut self, now: Now, nickname: String) -> Result<Response, NodeError> {
        check_nickname(&nickname)?;
        self.book.nickname.clone_from(&nickname);
        self.save_book()?;
        let ids: Vec<TimelineId> = self.timelines.keys().copied().collect();
        for id in ids {
            let is_written = self.timelines.get(&id).is_some_and(Timeline::is_ready);
            if is_written && self.book.follows(id) {
                self.write(now, id, &[Draft::Nickname(nickname.clone())])?;
            }
        }
        Ok(self.identity())
    }

    /// A timeline that is here, by what a person calls it.
    fn find_timeline(&self, name: &str) -> Result<(TimelineId, &Timeline), NodeError> {
        let id = self.resolve(name)?;
        let open = self.timelines.get(&id);
        Ok((id, open.ok_or_else(|| unknown_timeline(name))?))
    }
}

fn refused(error: &NodeError) -> Response {
    Response::Refused {
        message: error.full_message(),
        exit_code: error.exit_code() as u8,
    }
}

fn relay_address(text: &str) -> Result<RelayAddress, NodeError> {
    text.parse()
        .map_err(|error| malformed("the relay address", &error))
}

pub(super) fn unknown_timeline(name: &str) -> NodeError {
    NodeError::NotFound(format!(
        "no timeline is called `{name}`; see `khlong timeline ls`"
    ))
}

fn malformed(what: &'static str, reason: &dyn std::fmt::Display) -> NodeError {
    NodeError::Malformed {
        what,
        reason: reason.to_string(),
    }
}
