//! Requests of a person, each answered from memory and staged for the commit.

use khlong_crdt::address::{InviteLink, RelayAddress};
use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, MessageId, Seq, TimelineId};
use khlong_crdt::time::{Now, UnixMillis};
use khlong_document::keys::invite::InviteSecret;
use khlong_document::keys::user::UserCard;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::message::{Origin, imported_id};
use khlong_document::timeline::write::InviteTerms;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::{cursors, outbox};

use super::Peer;
use super::book::{RELAYS_MAX, RelayEntry, TimelineEntry};
use super::links::{Link, LinkState};
use super::outbox::{Place, Waiting};
use super::timelines::secret_row;
use super::views::Names;
use crate::api::{
    Delivery, Event, IMPORT_BATCH_MESSAGES_MAX, ImportedLine, LOG_MESSAGES_DEFAULT, MessageView,
    Request, Response,
};
use crate::error::NodeError;

const LOG_MESSAGES_MAX: usize = 10_000;

impl Peer {
    /// Answers a request. What it wrote is durable after [`Peer::commit`]; an
    /// answer must not be shown before that.
    pub fn request(&mut self, now: Now, request: Request) -> Response {
        let response = self
            .answer(now, request)
            .unwrap_or_else(|error| Response::Refused {
                exit_code: error.exit_code() as u8,
                message: message_of(&error),
            });
        match self.owe_receipts(now).and_then(|()| self.offer_outbox(now)) {
            Ok(()) => response,
            Err(error) => Response::Refused {
                exit_code: error.exit_code() as u8,
                message: message_of(&error),
            },
        }
    }

    fn answer(&mut self, now: Now, request: Request) -> Result<Response, NodeError> {
        match request {
            Request::Id => Ok(self.identity()),
            Request::RelayAdd { address, token } => self.relay_add(now, &address, token),
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
            Request::TimelineLs => Ok(Response::Timelines {
                timelines: self.timeline_views(),
            }),
            Request::TimelineRename { timeline, title } => {
                let id = self.resolve(&timeline)?;
                self.write(now, id, &[Draft::Title(title)])?;
                Ok(Response::Timeline {
                    timeline: self.timeline_view(id),
                })
            }
            Request::TimelineLeave { timeline } => self.timeline_leave(now, &timeline),
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
            Request::Status => Ok(Response::Status {
                queued: self.outbox.len(),
                relays: self.links.values().map(Link::view).collect(),
                timelines: self.timeline_views(),
            }),
            Request::OutboxLs => Ok(Response::Outbox {
                entries: self.outbox_views(),
            }),
            Request::OutboxRetry => self.outbox_retry(),
            Request::OutboxDrop { timeline } => self.outbox_drop(&timeline),
            Request::Import { timeline, messages } => self.import(now, &timeline, messages),
            Request::Digest { timeline } => self.digest(&timeline),
        }
    }

    fn send(
        &mut self,
        now: Now,
        timeline: &str,
        body: String,
        reply_to: Option<&str>,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let reply_to = reply_to
            .map(|target| self.resolve_message(id, target))
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

    fn react(
        &mut self,
        now: Now,
        timeline: &str,
        message: &str,
        emoji: String,
        remove: bool,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let target = self.resolve_message(id, message)?;
        let draft = if remove {
            Draft::Unreact { target, emoji }
        } else {
            Draft::React { target, emoji }
        };
        self.write_one(now, id, Some(target), draft)
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

    fn relay_add(
        &mut self,
        now: Now,
        address: &str,
        token: Option<String>,
    ) -> Result<Response, NodeError> {
        let parsed = relay_address(address)?;
        self.book.relays.retain(|entry| {
            entry
                .address
                .parse::<RelayAddress>()
                .is_ok_and(|known| known.key != parsed.key)
        });
        if self.book.relays.len() >= RELAYS_MAX {
            return Err(NodeError::Usage(format!(
                "a node knows at most {RELAYS_MAX} relays"
            )));
        }
        self.book.relays.push(RelayEntry {
            address: parsed.to_string(),
            token,
        });
        self.save_book()?;
        self.link_to(now, parsed);
        Ok(self.relay_list())
    }

    fn relay_list(&self) -> Response {
        Response::Relays {
            relays: self.links.values().map(Link::view).collect(),
        }
    }

    /// Makes sure that a relay is tried.
    pub(super) fn link_to(&mut self, now: Now, address: RelayAddress) {
        let token = self
            .book
            .relays
            .iter()
            .find(|entry| {
                entry
                    .address
                    .parse::<RelayAddress>()
                    .is_ok_and(|known| known.key == address.key)
            })
            .and_then(|entry| entry.token.clone())
            .map(String::into_bytes);
        let state = if self.online {
            LinkState::Waiting(now.monotonic)
        } else {
            LinkState::Off
        };
        match self.links.entry(address.key) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(Link::new(address, token, state));
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                known.get_mut().address = address;
                known.get_mut().token = token;
            }
        }
    }

    fn timeline_new(
        &mut self,
        now: Now,
        title: String,
        kind: &str,
        relays: Vec<String>,
    ) -> Result<Response, NodeError> {
        let kind = TimelineKind::ALL
            .into_iter()
            .find(|known| known.name() == kind && *known != TimelineKind::Own)
            .ok_or_else(|| {
                NodeError::Usage(format!(
                    "`{kind}` is no kind: direct, group, channel or public"
                ))
            })?;
        let relays = if relays.is_empty() {
            self.book
                .relays
                .iter()
                .map(|entry| entry.address.clone())
                .collect()
        } else {
            relays
                .iter()
                .map(|address| relay_address(address).map(|known| known.to_string()))
                .collect::<Result<_, _>>()?
        };
        let opened = open_timeline(kind, History::Full, &mut self.rng);
        let id = opened.timeline;
        self.follow(now, id, &opened.secrets, relays)?;
        for envelope in &opened.envelopes {
            self.queue(now, envelope)?;
            let events = self
                .timelines
                .get_mut(&id)
                .map(|timeline| timeline.receive(envelope, now.wall));
            self.report(id, events.unwrap_or_default());
        }
        let nickname = self.book.nickname.clone();
        self.write(now, id, &[Draft::Title(title), Draft::Nickname(nickname)])?;
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }

    fn timeline_join(&mut self, now: Now, link: &str) -> Result<Response, NodeError> {
        let link: InviteLink = link
            .parse()
            .map_err(|error| malformed("the invite link", &error))?;
        let id = link.timeline;
        if self.timelines.contains_key(&id) {
            return Err(NodeError::Usage(
                "this node is in that timeline already".to_owned(),
            ));
        }
        let invite = InviteSecret::from_payload(id, &link.secret, Some(&self.user))
            .map_err(|error| malformed("the invite link", &error))?;
        let joined = join(id, &invite, &mut self.rng);
        let relays = link.relays.iter().map(ToString::to_string).collect();
        self.follow(now, id, &joined.secrets, relays)?;
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.introduce = true;
        }
        self.save_book()?;
        for envelope in &joined.envelopes {
            self.queue(now, envelope)?;
            let events = self
                .timelines
                .get_mut(&id)
                .map(|timeline| timeline.receive(envelope, now.wall));
            self.report(id, events.unwrap_or_default());
        }
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }

    /// Keeps the keys of a timeline, and its place in the book.
    fn follow(
        &mut self,
        now: Now,
        id: TimelineId,
        secrets: &TimelineSecrets,
        relays: Vec<String>,
    ) -> Result<(), NodeError> {
        let name = secret_row(id);
        let nonce = self.random();
        let sealed = self.vault.seal(&name, &secrets.to_bytes(), nonce);
        self.with_batch(|batch| named::put(batch, Named::Secret, name.as_bytes(), sealed))?;
        for address in &relays {
            let address = relay_address(address)?;
            for class in Class::ALL {
                self.with_batch(|batch| {
                    cursors::put_backfill(batch, &address.key, &id, class, ArrivalSeq(0))
                })?;
            }
            self.link_to(now, address);
        }
        let entry = TimelineEntry {
            relays,
            followed: true,
            introduce: false,
            read_messages: 0,
        };
        self.book.timelines.insert(id.to_string(), entry);
        self.timelines
            .insert(id, Timeline::new(id, secrets.clone()));
        self.save_book()
    }

    fn timeline_invite(
        &mut self,
        now: Now,
        timeline: &str,
        to: Option<&str>,
        read_only: bool,
        expires_in_s: u64,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let card: Option<UserCard> = to
            .map(|card| {
                card.parse()
                    .map_err(|error| malformed("the contact card", &error))
            })
            .transpose()?;
        let (rights, role) = if read_only {
            (Rights::READ, Role::Reader)
        } else {
            (Rights::READ.union(Rights::APPEND), Role::Member)
        };
        let expires = i64::try_from(expires_in_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        let expiry = if expires_in_s == 0 {
            UnixMillis(0)
        } else {
            UnixMillis(now.wall.0.saturating_add(expires))
        };
        let open = self
            .timelines
            .get_mut(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        let terms = InviteTerms {
            rights,
            role,
            expiry,
            quota_class: 0,
            target: card.as_ref(),
        };
        let (envelopes, payload) = open
            .invite(&terms, now.wall, &mut self.rng)
            .map_err(NodeError::Write)?;
        for envelope in &envelopes {
            self.queue(now, envelope)?;
        }
        let relays = self
            .book
            .timelines
            .get(&id.to_string())
            .map_or(&[][..], |entry| &entry.relays);
        let relays = relays
            .iter()
            .map(|address| relay_address(address))
            .collect::<Result<Vec<_>, _>>()?;
        if relays.is_empty() {
            return Err(NodeError::Usage(
                "an invite names a relay; run `khlong relay add` first".to_owned(),
            ));
        }
        let link = InviteLink {
            relays,
            timeline: id,
            secret: payload,
        }
        .to_string();
        Ok(Response::Invite {
            timeline: id.to_string(),
            link,
        })
    }

    fn timeline_leave(&mut self, now: Now, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        self.write(now, id, &[Draft::Leave])?;
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.followed = false;
        }
        self.save_book()?;
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }

    fn nickname(&mut self, now: Now, nickname: String) -> Result<Response, NodeError> {
        self.book.nickname.clone_from(&nickname);
        self.save_book()?;
        let ids: Vec<TimelineId> = self.timelines.keys().copied().collect();
        for id in ids {
            if self.timelines.get(&id).is_some_and(Timeline::is_ready) {
                self.write(now, id, &[Draft::Nickname(nickname.clone())])?;
            }
        }
        Ok(self.identity())
    }

    fn read(&mut self, now: Now, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let open = self
            .timelines
            .get_mut(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        open.read_all();
        let receipt = open
            .write_receipt(now.wall, &mut self.rng)
            .map_err(NodeError::Write)?;
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

    fn log(
        &self,
        timeline: &str,
        from: Option<usize>,
        limit: Option<usize>,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let open = self
            .timelines
            .get(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        let limit = limit.unwrap_or(LOG_MESSAGES_DEFAULT).min(LOG_MESSAGES_MAX);
        let count = open.message_count();
        let from = from
            .unwrap_or_else(|| count.saturating_sub(limit))
            .min(count);
        let to = from.saturating_add(limit).min(count);
        let messages = open.messages(from..to);
        let names = Names::of(open);
        let messages: Vec<MessageView> = messages
            .iter()
            .map(|message| self.message_view(open, &names, message))
            .collect();
        Ok(Response::Messages {
            timeline: self.timeline_view(id),
            from,
            messages,
        })
    }

    fn message(&self, timeline: &str, message: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let open = self
            .timelines
            .get(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        let target = self.resolve_message(id, message)?;
        let messages = open
            .message(&target)
            .map(|found| self.message_view(open, &Names::of(open), &found))
            .into_iter()
            .collect();
        Ok(Response::Messages {
            timeline: self.timeline_view(id),
            from: 0,
            messages,
        })
    }

    fn outbox_retry(&mut self) -> Result<Response, NodeError> {
        for entry in self.outbox.forgive() {
            self.with_batch(|batch| outbox::update(batch, &entry))?;
        }
        for link in self.links.values_mut() {
            if let Some(live) = link.live() {
                live.offer_after = None;
                live.pauses.end_all();
            }
        }
        Ok(Response::Outbox {
            entries: self.outbox_views(),
        })
    }

    fn outbox_drop(&mut self, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let places: Vec<Place> = self.outbox.of(id).map(Waiting::place).collect();
        for place in places {
            self.outbox.remove(place);
            self.with_batch(|batch| outbox::remove(batch, &id, place.n).map(|_| ()))?;
        }
        Ok(Response::Outbox {
            entries: self.outbox_views(),
        })
    }

    fn import(
        &mut self,
        now: Now,
        timeline: &str,
        lines: Vec<ImportedLine>,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        if lines.len() > IMPORT_BATCH_MESSAGES_MAX {
            return Err(NodeError::Usage(format!(
                "at most {IMPORT_BATCH_MESSAGES_MAX} messages a request"
            )));
        }
        let open = self
            .timelines
            .get(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        let offered = lines.len() as u64;
        let mut drafts = Vec::new();
        for line in lines {
            let key = import_key(&line.import_key)?;
            if open.message(&imported_id(&id, &key)).is_none() {
                drafts.push(Draft::Message {
                    body: line.body,
                    reply_to: None,
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
        if !drafts.is_empty() {
            self.write(now, id, &drafts)?;
        }
        Ok(Response::Imported {
            timeline: id.to_string(),
            imported,
            known: offered - imported,
        })
    }

    fn digest(&self, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        let open = self
            .timelines
            .get(&id)
            .ok_or_else(|| unknown_timeline(timeline))?;
        let mut hasher = blake3::Hasher::new();
        let saves = open.canonical_saves().map_err(|error| {
            NodeError::Usage(format!(
                "a page of this timeline cannot be rebuilt: {error}"
            ))
        })?;
        for (page, save) in saves {
            hasher.update(&[page.kind as u8]);
            hasher.update(page.lineage.as_bytes());
            hasher.update(&page.n.to_be_bytes());
            hasher.update(&(save.len() as u64).to_be_bytes());
            hasher.update(&save);
        }
        Ok(Response::Digest {
            timeline: id.to_string(),
            state_hash: data_encoding::HEXLOWER.encode(&open.state_hash()),
            canonical_hash: hasher.finalize().to_hex().to_string(),
            messages: open.message_count(),
        })
    }

    fn write_one(
        &mut self,
        now: Now,
        id: TimelineId,
        message: Option<MessageId>,
        draft: Draft,
    ) -> Result<Response, NodeError> {
        let is_new = message.is_none();
        let seq = self.write(now, id, &[draft])?;
        let newest = self.timelines.get(&id).and_then(|open| {
            let count = open.message_count();
            open.messages(count.saturating_sub(1)..count)
                .last()
                .map(|message| message.id)
        });
        let concerned = if is_new { newest } else { message };
        if let Some(message) = concerned {
            let (timeline, message) = (id.to_string(), message.to_string());
            self.emit(if is_new {
                Event::Message { timeline, message }
            } else {
                Event::Changed { timeline, message }
            });
        }
        Ok(self.written(id, concerned, Some(seq)))
    }

    fn written(&self, id: TimelineId, message: Option<MessageId>, seq: Option<Seq>) -> Response {
        let author = self
            .timelines
            .get(&id)
            .map(|open| open.author().to_string())
            .unwrap_or_default();
        Response::Written {
            timeline: id.to_string(),
            message: message.map(|message| message.to_string()),
            envelope: seq.map(|seq| format!("{author}:{}", seq.0)),
            delivery: seq.map_or(Delivery::Stored, |seq| self.queue_state(id, seq)),
        }
    }
}

/// An error with everything behind it, in one line.
fn message_of(error: &NodeError) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

pub(super) fn relay_address(text: &str) -> Result<RelayAddress, NodeError> {
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

fn import_key(text: &str) -> Result<[u8; 16], NodeError> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| NodeError::Usage("an import key is 16 bytes, hexadecimal".to_owned()))
}
