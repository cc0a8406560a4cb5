//! Joining by a link: beginning, ending an attempt that led nowhere, coming back.

use khlong_crdt::address::{INVITE_RELAYS_MAX, InviteLink};
use khlong_crdt::class::Class;
use khlong_crdt::id::{RelayKey, Seq, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::keys::invite::{InviteError, InviteSecret};
use khlong_document::membership::joining::join;
use khlong_document::timeline::Timeline;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::outbox::OutboxState;
use khlong_store::tables::timelines::{author_ids, get, prune};
use khlong_sync::wire::code::ErrorCode;

use super::malformed;
use crate::api::Response;
use crate::error::{ExitCode, NodeError};
use crate::peer::links::LinkState;
use crate::peer::timelines::secret_row;
use crate::peer::{Peer, PeerOutput};

impl Peer {
    pub(super) fn timeline_join(&mut self, now: Now, link: &str) -> Result<Response, NodeError> {
        let link: InviteLink = link
            .parse()
            .map_err(|error| malformed("the invite link", &error))?;
        let id = link.timeline;
        let invite =
            InviteSecret::from_payload(id, &link.secret, Some(&self.user)).map_err(|error| {
                match error {
                    sealed @ InviteError::Sealed(_) => NodeError::NotForYou(sealed),
                    InviteError::UserKeyNeeded | InviteError::Length { .. } => {
                        malformed("the invite link", &error)
                    }
                }
            })?;
        let relays: Vec<String> = link.relays.iter().map(ToString::to_string).collect();
        let (is_joining, follows) = (self.is_joining(id), self.book.follows(id));
        let is_told = follows && !is_joining && self.take_relays_of(now, id, &link.relays)?;
        match self.timelines.get(&id) {
            None => self.begin_joining(now, id, &invite, relays)?,
            Some(open) if is_joining => {
                let used = open.secrets().invite.as_ref();
                let used = used.map(|invite| invite.principal().public());
                // The same link again: its one use may have gone through by now.
                if used != Some(invite.principal().public()) {
                    self.give_up_joining(id)?;
                    self.begin_joining(now, id, &invite, relays)?;
                }
            }
            // It tells where the timeline is by now, and is not used up.
            Some(_) if is_told => {}
            Some(_) if follows => {
                return Err(NodeError::Usage(
                    "this node is in that timeline already".to_owned(),
                ));
            }
            // Leaving takes no right away: who comes back is the same member.
            Some(open) if open.is_ready() => self.come_back(now, id, relays)?,
            Some(_) => self.begin_joining(now, id, &invite, relays)?,
        }
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }

    fn begin_joining(
        &mut self,
        now: Now,
        id: TimelineId,
        invite: &InviteSecret,
        relays: Vec<String>,
    ) -> Result<(), NodeError> {
        let joined = join(id, invite, &mut self.rng);
        self.follow(now, id, &joined.secrets, relays)?;
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.introduce = true;
        }
        self.save_book()?;
        self.queue_all(now, &joined.envelopes)
    }

    /// Ends an attempt to join that led nowhere: what it wrote is offered to
    /// nobody, and counts for nothing here when another handover of that link does.
    fn give_up_joining(&mut self, id: TimelineId) -> Result<(), NodeError> {
        self.drop_queued(id, |_| true)?;
        let forgotten = self.reoffers.remove_timeline(id);
        self.forget_reoffers(forgotten)?;
        if let Some(author) = self.timelines.get(&id).map(Timeline::author) {
            self.with_batch(|batch| {
                let Some((first, _)) = author_ids(batch, &id, &author, Seq::FIRST)? else {
                    return Ok(());
                };
                match get(batch, &first)? {
                    Some(stored) => prune(batch, &stored).map(|_| ()),
                    None => Ok(()),
                }
            })?;
        }
        for (relay, link) in &mut self.links {
            let Some(live) = link.live() else { continue };
            for class in Class::ALL {
                live.pauses.end(id, class);
            }
            live.proven.remove(&id);
            if live.subscribed.contains(&id) {
                // Asked for under the old key: a new connection asks anew.
                self.held.push(PeerOutput::Disconnect { relay: *relay });
                link.begin_anew();
            }
        }
        Ok(())
    }

    /// Ends an attempt to join that every relay of the timeline answered with a refusal: it is
    /// forgotten, so that nothing of it is tried again behind its user's back.
    ///
    /// As long as a relay is not reached, or still judges, nobody knows whether the link was
    /// used there, and its keys are kept.
    pub(super) fn timeline_join_end(&mut self, timeline: &str) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        match self.refused_to_join(id) {
            Some(code) => {
                self.forget_joining(id)?;
                Ok(Response::NotLetIn {
                    timeline: id.to_string(),
                    code: code.number(),
                })
            }
            None => Ok(Response::Timeline {
                timeline: self.timeline_view(id),
            }),
        }
    }

    /// Why no relay lets this node in, if each of them has said so.
    fn refused_to_join(&self, id: TimelineId) -> Option<ErrorCode> {
        if !self.is_joining(id) {
            return None;
        }
        // The handover: without it nothing else is let in.
        let handover = self.outbox.of(id).find(|it| it.seq <= Seq::FIRST)?;
        let code = match handover.entry.state {
            OutboxState::Refused { code } | OutboxState::PutOff { code } => code,
            OutboxState::Waiting => return None,
        };
        let code = ErrorCode::from_number(code);
        if ExitCode::of_refusal(code) != ExitCode::Untrusted || handover.is_stored() {
            return None;
        }
        let has_refused = |relay: &RelayKey| {
            let live = match self.links.get(relay).map(|link| &link.state) {
                Some(LinkState::Up(live)) => live,
                Some(LinkState::Off | LinkState::Waiting(_) | LinkState::Connecting) | None => {
                    return false;
                }
            };
            let is_judging = !live.ready || live.in_flight.is_some() || live.offer_after.is_some();
            !is_judging && (!handover.is_for(*relay) || live.pauses.holds(id, handover.class))
        };
        let carriers = self.book.carriers_of(id);
        let is_refused =
            handover.is_refused() || (!carriers.is_empty() && carriers.iter().all(has_refused));
        is_refused.then_some(code)
    }

    /// Leaves what nothing has arrived of: nobody there knows this node, and it keeps nothing.
    pub(super) fn forget_joining(&mut self, id: TimelineId) -> Result<Response, NodeError> {
        self.give_up_joining(id)?;
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
            entry.followed = false;
        }
        let timeline = self.timeline_view(id);
        self.book.timelines.remove(&id.to_string());
        self.save_book()?;
        self.timelines.remove(&id);
        self.owing.remove(&id);
        let name = secret_row(id);
        self.with_batch(|batch| named::remove(batch, Named::Secret, name.as_bytes()))?;
        Ok(Response::Timeline { timeline })
    }

    /// Follows again what was left, from its beginning: the class cursors of its
    /// relays have passed what was written meanwhile.
    fn come_back(
        &mut self,
        now: Now,
        id: TimelineId,
        relays: Vec<String>,
    ) -> Result<(), NodeError> {
        let Some(entry) = self.book.timelines.get_mut(&id.to_string()) else {
            return Ok(());
        };
        entry.followed = true;
        // The nickname, said again, takes the goodbye back.
        entry.introduce = true;
        let new = relays.into_iter();
        let new: Vec<String> = new.filter(|relay| !entry.relays.contains(relay)).collect();
        // What a link names beyond the limit is not used at all.
        let free = INVITE_RELAYS_MAX.saturating_sub(entry.relays.len());
        entry.relays.extend(new.into_iter().take(free));
        let relays = entry.relays.clone();
        self.fetch_all(now, id, &relays)?;
        // One that is new lacks all of it; what the others were to be offered again was
        // given up with the timeline.
        for relay in self.book.carriers_of(id) {
            self.offer_again(relay, id)?;
        }
        self.save_book()
    }
}
