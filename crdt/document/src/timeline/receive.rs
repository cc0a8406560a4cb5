//! Receiving: what may count is opened (`content`), what waits is parked, and what
//! was opened is merged in batches.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::admission::{Admission, AdmissionError, Merged};
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, PrincipalKey, Seq};

use super::Timeline;
use super::event::{Refused, TimelineEvent};
use super::limits::AUTH_HEADS_MAX;
use super::pages::{Incoming, PagesEvent};
use super::parked::Need;
use crate::keys::inbox::is_usable_public_key;

/// What became of one envelope.
pub(super) enum Step {
    /// It counts, or is not for us.
    Done,
    /// It counts, and parked ones may now.
    Unblocked,
    /// Something that it needs is not here yet.
    Wait(Need),
}

impl Timeline {
    /// Takes one verified envelope. Any order. A duplicate alters nothing, and is best
    /// left out: what was refused is refused again.
    pub fn receive(&mut self, envelope: &VerifiedEnvelope) -> Vec<TimelineEvent> {
        self.receive_all([envelope.clone()])
    }

    /// Takes many envelopes, merging page by page: for start-up and catching up.
    pub fn receive_all(
        &mut self,
        envelopes: impl IntoIterator<Item = VerifiedEnvelope>,
    ) -> Vec<TimelineEvent> {
        let mut events = Vec::new();
        let mut unblocked = false;
        let superseded = self.superseded.len();
        for envelope in envelopes {
            unblocked |= self.absorb(envelope, &mut events);
        }
        // What is by a newly superseded author waits no more either.
        if unblocked || self.superseded.len() > superseded {
            unblocked |= self.retry_parked(&mut events);
        }
        if unblocked {
            self.is_incomplete |= self.parked.may_count(|need| self.is_met(need));
        }
        self.merge_opened(&mut events);
        events
    }

    /// Tries what waits until nothing more counts; true if something did.
    fn retry_parked(&mut self, events: &mut Vec<TimelineEvent>) -> bool {
        let mut has_unblocked = false;
        loop {
            let (mut unblocked, superseded) = (false, self.superseded.len());
            for envelope in self.parked.take() {
                unblocked |= self.absorb(envelope, events);
            }
            has_unblocked |= unblocked;
            if !unblocked && self.superseded.len() == superseded {
                return has_unblocked;
            }
        }
    }

    /// Opens one envelope or parks it; true if parked ones should be tried again.
    fn absorb(&mut self, envelope: VerifiedEnvelope, events: &mut Vec<TimelineEvent>) -> bool {
        let prefix = envelope.prefix();
        let (author, seq, kind) = (prefix.author, prefix.seq, prefix.kind);
        if prefix.timeline == self.timeline && author == self.author && seq > self.head.0 {
            self.head = (seq, envelope.id());
        }
        let step = self.step(&envelope, events);
        if self.opened.is_full() {
            self.merge_opened(events);
        }
        match step {
            Ok(Step::Wait(need)) => {
                let id = envelope.id();
                if self.parked.park(envelope, need).is_err() {
                    events.push(TimelineEvent::ParkedFull { envelope: id });
                }
                return false;
            }
            Ok(Step::Done | Step::Unblocked) => {}
            Err(ref reason) => events.push(TimelineEvent::Refused {
                envelope: envelope.id(),
                reason: reason.clone(),
            }),
        }
        // Of strangers nothing is remembered, or they could fill the memory.
        let is_content = kind == Kind::Change;
        if is_content && step.is_err() && self.principal_of(&author).is_some() {
            self.pages.note_unreadable(author, seq);
        }
        if self.principal_of(&author).is_some()
            && self
                .receipts
                .received(author, seq.get(), is_content)
                .is_err()
        {
            let event = TimelineEvent::ChainRunsFull { author };
            if !events.contains(&event) {
                events.push(event);
            }
        }
        matches!(step, Ok(Step::Unblocked))
    }

    fn step(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let prefix = envelope.prefix();
        if prefix.timeline != self.timeline {
            return Err(Refused::OtherTimeline);
        }
        if self.superseded.contains(&prefix.author) {
            return self.absorb_superseded(envelope, events);
        }
        if prefix.kind == Kind::AuthOp && envelope.body().is_some() {
            return self.absorb_auth_op(envelope, events);
        }
        if self.is_stale {
            // All of it is read again.
            return Ok(Step::Done);
        }
        if prefix.kind == Kind::AuthOp {
            // Without its body, as that of a join that was given up: it introduces nobody.
            return Ok(Step::Done);
        }
        if self.principal_of(&prefix.author).is_none() {
            return Ok(Step::Wait(Need::Author(prefix.author)));
        }
        if envelope.body().is_none() {
            // Pruned: a fragment covers it, or its page has expired.
            return Ok(Step::Done);
        }
        match prefix.kind {
            Kind::KeyOp => self.absorb_key_op(envelope, events),
            Kind::Change => self.absorb_change(envelope, events),
            Kind::Receipt => self.absorb_receipt(envelope, events),
            // Fragments and notices are specified, and produced by later versions.
            Kind::AuthOp | Kind::Fragment | Kind::Notice => Ok(Step::Done),
        }
    }

    fn absorb_auth_op(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let author = envelope.author();
        let is_genesis = author.as_bytes() == self.timeline.as_bytes();
        let Some(admission) = &mut self.admission else {
            if !is_genesis {
                return Ok(Step::Wait(Need::AuthOp));
            }
            self.admission = Some(Admission::open(envelope).map_err(Refused::Admission)?);
            note_auth_head(&mut self.auth_heads, envelope);
            events.push(TimelineEvent::Opened);
            return Ok(Step::Unblocked);
        };
        let known = principals_with_author(admission);
        let weak_before = weak_inbox_of(admission, &author);
        let merged = match admission.merge(envelope) {
            Ok(merged) => merged,
            // The grant, the handover or the author may be on its way.
            Err(AdmissionError::Refused(_)) => return Ok(Step::Wait(Need::AuthOp)),
            Err(
                error @ (AdmissionError::AlreadyHandedOver(_) | AdmissionError::TooManyAuthors(_)),
            ) => {
                self.supersede(author, events);
                return Err(Refused::Admission(error));
            }
            Err(error) => return Err(Refused::Admission(error)),
        };
        let principal = admission.principal_of(&author);
        let weak = weak_inbox_of(admission, &author).filter(|_| weak_before.is_none());
        note_auth_head(&mut self.auth_heads, envelope);
        match merged {
            Merged::Known => return Ok(Step::Done),
            Merged::New => {}
            Merged::Reassigns(_) => {
                // What the author did as another's may have decided who gives way.
                self.is_stale = true;
                self.superseded.clear();
            }
            Merged::Supersedes(other) => {
                self.is_stale = true;
                self.supersede(other, events);
            }
        }
        if let Some(principal) = principal.filter(|principal| !known.contains(principal)) {
            events.push(TimelineEvent::MemberJoined(principal));
        }
        events.extend(weak.map(TimelineEvent::WeakInbox));
        Ok(Step::Unblocked)
    }

    /// Nothing of a superseded author counts, but what others wrote may rest on its
    /// changes: these stay in the documents, hidden. It never waits among the parked.
    fn absorb_superseded(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let prefix = envelope.prefix();
        if prefix.kind != Kind::Change || envelope.body().is_none() || self.is_stale {
            return Err(Refused::Superseded);
        }
        if self.epochs.key(&prefix.epoch).is_none() {
            self.parked.drop(Need::Key(prefix.epoch));
            return Err(Refused::Superseded);
        }
        self.open_change(envelope, events)
    }

    /// Merges what was opened, page by page.
    fn merge_opened(&mut self, events: &mut Vec<TimelineEvent>) {
        let opened = std::mem::take(&mut self.opened).sections;
        if opened.is_empty() {
            return;
        }
        let placed = opened.iter().map(|(author, seq, read)| Incoming {
            author: *author,
            seq: Some(*seq),
            section: &read.of,
            written: &read.written,
        });
        let merged = self.pages.merge_placed(placed);
        events.extend(merged.into_iter().filter_map(|event| match event {
            PagesEvent::MessageAdded(id) => Some(TimelineEvent::MessageAdded(id)),
            PagesEvent::MessageChanged(id) => Some(TimelineEvent::MessageChanged(id)),
            PagesEvent::StateChanged => Some(TimelineEvent::StateChanged),
            PagesEvent::Refused { author, refusal } => {
                Some(TimelineEvent::ChangeRefused { author, refusal })
            }
            // Said by the change that lost its place; the store has seen the fork.
            PagesEvent::Rebuilt { .. } => None,
        }));
    }
}

/// Notes the newest auth-op of an author among those that are cited.
pub(super) fn note_auth_head(
    auth_heads: &mut BTreeMap<AuthorKey, (Seq, EnvelopeId)>,
    envelope: &VerifiedEnvelope,
) {
    let place = (envelope.seq(), envelope.id());
    let head = auth_heads.entry(envelope.author()).or_insert(place);
    // Of a fork the lower one, so that order does not matter.
    if place.0 > head.0 || (place.0 == head.0 && place.1 < head.1) {
        *head = place;
    }
    if auth_heads.len() > AUTH_HEADS_MAX {
        auth_heads.pop_last();
    }
}

/// The principal of an author, if its inbox key cannot be used.
fn weak_inbox_of(admission: &Admission, author: &AuthorKey) -> Option<PrincipalKey> {
    let principal = admission.principal_of(author)?;
    let inbox = admission.inbox_of(&principal)?;
    (!is_usable_public_key(inbox.as_bytes())).then_some(principal)
}

fn principals_with_author(admission: &Admission) -> BTreeSet<PrincipalKey> {
    admission
        .authors()
        .map(|(_, principal)| principal)
        .collect()
}
