//! Opening, inviting to and leaving timelines.

use khlong_crdt::address::{INVITE_RELAYS_MAX, InviteLink, RelayAddress};
use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_crdt::time::{Now, UnixMillis};
use khlong_document::keys::user::UserCard;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::write::InviteTerms;
use khlong_store::tables::cursors;
use khlong_store::tables::named::{self, Named};

use super::{malformed, relay_address, unknown_timeline};
use crate::api::Response;
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::book::TimelineEntry;
use crate::peer::find::{check_nickname, check_title};
use crate::peer::timelines::secret_row;

impl Peer {
    pub(super) fn timeline_new(
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
        let relays: Vec<String> = if relays.is_empty() {
            self.book
                .relays
                .iter()
                .map(|entry| entry.address.clone())
                .take(INVITE_RELAYS_MAX)
                .collect()
        } else {
            relays
                .iter()
                .map(|address| relay_address(address).map(|known| known.to_string()))
                .collect::<Result<_, _>>()?
        };
        if relays.len() > INVITE_RELAYS_MAX {
            return Err(NodeError::Usage(format!(
                "a timeline has at most {INVITE_RELAYS_MAX} relays, as many as an invite names"
            )));
        }
        check_title(&title)?;
        check_nickname(&self.book.nickname)?;
        let opened = open_timeline(kind, History::Full, &mut self.rng);
        let id = opened.timeline;
        self.follow(now, id, &opened.secrets, relays)?;
        self.queue_all(now, &opened.envelopes)?;
        let nickname = self.book.nickname.clone();
        self.write(now, id, &[Draft::Title(title), Draft::Nickname(nickname)])?;
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }

    /// Asks these relays for the timeline, from its beginning.
    pub(in crate::peer) fn fetch_all(
        &mut self,
        now: Now,
        id: TimelineId,
        relays: &[String],
    ) -> Result<(), NodeError> {
        for address in relays {
            let address = relay_address(address)?;
            for class in Class::ALL {
                self.with_batch(|batch| {
                    cursors::put_backfill(batch, &address.key, &id, class, ArrivalSeq(0))
                })?;
            }
            self.link_to(now, address);
        }
        Ok(())
    }

    /// Keeps, queues and shows what begins one's part in a timeline.
    pub(super) fn queue_all(
        &mut self,
        now: Now,
        envelopes: &[VerifiedEnvelope],
    ) -> Result<(), NodeError> {
        for envelope in envelopes {
            self.queue(now, envelope)?;
            self.show(envelope);
        }
        Ok(())
    }

    /// Keeps the keys of a timeline, and its place in the book.
    pub(super) fn follow(
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
        self.fetch_all(now, id, &relays)?;
        let entry = TimelineEntry::new(relays);
        self.book.timelines.insert(id.to_string(), entry);
        self.timelines
            .insert(id, Timeline::new(id, secrets.clone()));
        self.save_book()
    }

    pub(super) fn timeline_invite(
        &mut self,
        now: Now,
        timeline: &str,
        to: Option<&str>,
        read_only: bool,
        expires_in_s: u64,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        self.check_followed(id)?;
        let relays = self
            .book
            .timelines
            .get(&id.to_string())
            .map_or(&[][..], |entry| &entry.relays);
        // A link has room for so many, each once; the first was added first.
        let staying = self.staying(id);
        let mut named: Vec<RelayAddress> = Vec::new();
        for address in relays {
            let relay = relay_address(address)?;
            let has_room = named.len() < INVITE_RELAYS_MAX;
            let is_new = named.iter().all(|other| other.key != relay.key);
            if has_room && is_new && staying.contains(&relay.key) {
                named.push(relay);
            }
        }
        let relays = named;
        if relays.is_empty() {
            return Err(NodeError::Usage(
                "an invite names a relay that stays; run `khlong relay add`, or `khlong timeline relay add` for \
                 a timeline that is leaving its relays, first"
                    .to_owned(),
            ));
        }
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
        self.owing.insert(id);
        for envelope in &envelopes {
            self.queue(now, envelope)?;
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

    pub(super) fn timeline_leave(
        &mut self,
        now: Now,
        timeline: &str,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        self.check_followed(id)?;
        if self.is_joining(id) {
            return self.forget_joining(id);
        }
        let reads_only = |open: &Timeline| open.can_acknowledge() && !open.is_ready();
        // Who may not write goes without a goodbye.
        if !self.timelines.get(&id).is_some_and(reads_only) {
            self.write(now, id, &[Draft::Leave])?;
        }
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.followed = false;
        }
        self.save_book()?;
        let relays: Vec<RelayKey> = self.links.keys().copied().collect();
        let mut relays = relays.into_iter();
        relays.try_for_each(|relay| self.end_unwanted_reoffers(relay))?;
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }
}
