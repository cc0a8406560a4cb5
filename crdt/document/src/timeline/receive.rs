//! Receiving: opens what can be opened, parks what waits, merges in batches.

use khlong_crdt::admission::{Admission, AdmissionError};
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EpochId, Seq};
use khlong_crdt::time::UnixMillis;

use super::Timeline;
use super::event::{Refused, TimelineEvent};
use super::limits::{PARKED_BYTES_MAX, PARKED_ENVELOPES_MAX};
use super::pages::PagesEvent;
use super::plaintext::{ChangePlaintext, ReceiptPlaintext};
use crate::keys::epoch::EpochKey;
use crate::membership::key_op::KeyOp;
use crate::seal;

/// Sections gathered before a merge: big batches, bounded memory.
const OPENED_SECTIONS_MAX: usize = 4_096;

/// What became of one envelope.
enum Step {
    /// It counts, or is not for us.
    Done,
    /// It counts, and parked ones may now.
    Unblocked,
    /// Something that it needs is not here yet.
    Wait,
}

impl Timeline {
    /// Takes one verified envelope. Any order; duplicates say nothing.
    pub fn receive(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Vec<TimelineEvent> {
        self.receive_all([(envelope.clone(), received_at)])
    }

    /// Takes many envelopes, merging page by page: for start-up and catching up.
    pub fn receive_all(
        &mut self,
        envelopes: impl IntoIterator<Item = (VerifiedEnvelope, UnixMillis)>,
    ) -> Vec<TimelineEvent> {
        let mut events = Vec::new();
        let mut unblocked = false;
        for (envelope, received_at) in envelopes {
            if self.is_new(&envelope, &mut events) {
                unblocked |= self.absorb(envelope, received_at, &mut events);
            }
            if self.opened.len() >= OPENED_SECTIONS_MAX {
                self.merge_opened(&mut events);
            }
        }
        while std::mem::take(&mut unblocked) {
            self.parked_bytes = 0;
            for (envelope, received_at) in std::mem::take(&mut self.parked) {
                unblocked |= self.absorb(envelope, received_at, &mut events);
            }
        }
        self.merge_opened(&mut events);
        events
    }

    /// False for duplicates and strangers. Notes forks and my own head.
    fn is_new(&mut self, envelope: &VerifiedEnvelope, events: &mut Vec<TimelineEvent>) -> bool {
        let prefix = envelope.prefix();
        let (author, seq, id) = (prefix.author, prefix.seq, envelope.id());
        if prefix.timeline != self.timeline {
            events.push(TimelineEvent::Refused {
                envelope: id,
                reason: Refused::OtherTimeline,
            });
            return false;
        }
        match self.seen.get(&(author, seq)) {
            Some(known) if *known == id => return false,
            Some(_) if self.forks.contains_key(&(author, seq)) => return false,
            Some(_) => {
                self.forks.insert((author, seq), id);
                events.push(TimelineEvent::ForkSeen { author, seq });
            }
            None => {
                self.seen.insert((author, seq), id);
            }
        }
        if author == self.author && seq > self.head.0 {
            self.head = (seq, id);
        }
        true
    }

    /// Opens one envelope or parks it; true if parked ones should be tried again.
    fn absorb(
        &mut self,
        envelope: VerifiedEnvelope,
        received_at: UnixMillis,
        events: &mut Vec<TimelineEvent>,
    ) -> bool {
        let (author, seq, kind) = (
            envelope.prefix().author,
            envelope.prefix().seq,
            envelope.prefix().kind,
        );
        let step = if envelope.body().is_none() {
            // Pruned: a fragment covers it, or its page has expired.
            Ok(Step::Done)
        } else {
            match kind {
                Kind::AuthOp => self.absorb_auth_op(&envelope, received_at, events),
                Kind::KeyOp => self.absorb_key_op(&envelope, events),
                Kind::Change => self.absorb_change(&envelope),
                Kind::Receipt => self.absorb_receipt(&envelope, events),
                // Fragments and notices are specified, and produced by later versions.
                Kind::Fragment | Kind::Notice => Ok(Step::Done),
            }
        };
        match step {
            Ok(Step::Wait) => {
                self.park(envelope, received_at, events);
                return false;
            }
            Ok(Step::Done | Step::Unblocked) => {}
            Err(ref reason) => events.push(TimelineEvent::Refused {
                envelope: envelope.id(),
                reason: reason.clone(),
            }),
        }
        self.receipts
            .received(author, seq.get(), kind == Kind::Change);
        matches!(step, Ok(Step::Unblocked))
    }

    fn park(
        &mut self,
        envelope: VerifiedEnvelope,
        received_at: UnixMillis,
        events: &mut Vec<TimelineEvent>,
    ) {
        let bytes = envelope.bytes().len();
        if self.parked.len() == PARKED_ENVELOPES_MAX || self.parked_bytes + bytes > PARKED_BYTES_MAX
        {
            // Forgotten altogether, so that it may come again.
            let place = (envelope.prefix().author, envelope.prefix().seq);
            if self.seen.get(&place) == Some(&envelope.id()) {
                self.seen.remove(&place);
            } else {
                self.forks.remove(&place);
            }
            events.push(TimelineEvent::ParkedFull {
                envelope: envelope.id(),
            });
            return;
        }
        self.parked_bytes += bytes;
        self.parked.push_back((envelope, received_at));
    }

    fn absorb_auth_op(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let prefix = envelope.prefix();
        let is_genesis = prefix.author.as_bytes() == prefix.timeline.as_bytes();
        let Some(admission) = &mut self.admission else {
            if !is_genesis {
                return Ok(Step::Wait);
            }
            self.admission = Some(Admission::open(envelope).map_err(Refused::Admission)?);
            self.note_auth_head(envelope);
            events.push(TimelineEvent::Opened);
            return Ok(Step::Unblocked);
        };
        let known: std::collections::BTreeSet<_> = admission
            .authors()
            .map(|(_, principal)| principal)
            .collect();
        match admission.apply(envelope, received_at) {
            Ok(()) => {}
            // The grant, the handover or the author may be on its way.
            Err(AdmissionError::Refused(_)) => return Ok(Step::Wait),
            Err(error) => return Err(Refused::Admission(error)),
        }
        let author = prefix.author;
        if let Some(principal) = admission
            .principal_of(&author)
            .filter(|principal| !known.contains(principal))
        {
            events.push(TimelineEvent::MemberJoined(principal));
        }
        self.note_auth_head(envelope);
        Ok(Step::Unblocked)
    }

    fn note_auth_head(&mut self, envelope: &VerifiedEnvelope) {
        let prefix = envelope.prefix();
        let head = self
            .auth_heads
            .entry(prefix.author)
            .or_insert((Seq(0), envelope.id()));
        if prefix.seq > head.0 {
            *head = (prefix.seq, envelope.id());
        }
    }

    fn absorb_key_op(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let author = envelope.prefix().author;
        if !self.may_append(&author) {
            return Ok(Step::Wait);
        }
        let op = seal::open_key_op(envelope).map_err(Refused::Open)?;
        let epoch_id = op.epoch_id();
        let mut learnt = Vec::new();
        match &op {
            KeyOp::Mint { manifest, .. } => {
                if Some(manifest.minter) != self.principal_of(&author) {
                    return Err(Refused::ForeignMinter);
                }
                learnt.extend(self.epochs.add_manifest(manifest));
                if let Some(public) = self.admission.as_ref().and_then(Admission::public_key) {
                    learnt.extend(
                        self.epochs
                            .learn(epoch_id, EpochKey::from_seed(public))
                            .map_err(Refused::Manifest)?,
                    );
                }
            }
            KeyOp::Grant { .. } if !self.epochs.has_manifest(&epoch_id) => return Ok(Step::Wait),
            KeyOp::Grant { .. } => {}
        }
        if let Some((id, key)) = self.secrets.unwrap(&op).map_err(Refused::Wrap)? {
            learnt.extend(self.epochs.learn(id, key).map_err(Refused::Manifest)?);
        }
        events.extend(learnt.into_iter().map(TimelineEvent::EpochLearnt));
        // A manifest alone unblocks the grants that wait for it.
        Ok(Step::Unblocked)
    }

    /// The plaintext; None if its author or its key is not known yet.
    fn open_sealed(
        &self,
        envelope: &VerifiedEnvelope,
        needs_append: bool,
    ) -> Result<Option<Vec<u8>>, Refused> {
        let prefix = envelope.prefix();
        let is_known = if needs_append {
            self.may_append(&prefix.author)
        } else {
            self.principal_of(&prefix.author).is_some()
        };
        match self.epochs.key(&prefix.epoch).filter(|_| is_known) {
            Some(key) => seal::open(envelope, key).map(Some).map_err(Refused::Open),
            None => Ok(None),
        }
    }

    fn absorb_change(&mut self, envelope: &VerifiedEnvelope) -> Result<Step, Refused> {
        let Some(plaintext) = self.open_sealed(envelope, true)? else {
            return Ok(Step::Wait);
        };
        let change = ChangePlaintext::decode(&plaintext).map_err(Refused::Plaintext)?;
        let (author, seq) = (envelope.prefix().author, envelope.prefix().seq);
        let is_mine = self.is_mine(&author);
        for section in change.sections {
            // In a timeline with full history all pages are of lineage zero, in
            // others a page belongs to an epoch; nobody writes into both.
            if is_mine {
                for id in self.pages.message_ids(&author, &section) {
                    self.sources.entry(id).or_insert((author, seq));
                }
            }
            if (section.lineage == EpochId::ZERO)
                == (self.history() == Some(khlong_crdt::admission::History::Full))
            {
                self.opened.push((author, section));
            }
        }
        Ok(Step::Done)
    }

    fn absorb_receipt(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let Some(plaintext) = self.open_sealed(envelope, false)? else {
            return Ok(Step::Wait);
        };
        let receipt = ReceiptPlaintext::decode(&plaintext).map_err(Refused::Plaintext)?;
        let Some(principal) = self.principal_of(&envelope.prefix().author) else {
            return Ok(Step::Wait);
        };
        let mine: Vec<AuthorKey> = receipt
            .delivered
            .iter()
            .chain(&receipt.read)
            .map(|(author, _)| *author)
            .filter(|author| self.is_mine(author))
            .collect();
        let before: Vec<_> = mine
            .iter()
            .map(|author| (*author, self.receipts.heights_of(&principal, author)))
            .collect();
        self.receipts.report(principal, &receipt);
        if principal == self.principal {
            return Ok(Step::Done);
        }
        for (author, (delivered_before, read_before)) in before {
            let (delivered, read) = self.receipts.heights_of(&principal, &author);
            let delivered_event = TimelineEvent::Delivered {
                principal,
                author,
                seq: Seq(delivered),
            };
            let read_event = TimelineEvent::Read {
                principal,
                author,
                seq: Seq(read),
            };
            for (raised, event) in [
                (delivered > delivered_before, delivered_event),
                (read > read_before, read_event),
            ] {
                if raised && !events.contains(&event) {
                    events.push(event);
                }
            }
        }
        Ok(Step::Done)
    }

    /// Merges what was opened, page by page.
    fn merge_opened(&mut self, events: &mut Vec<TimelineEvent>) {
        let opened = std::mem::take(&mut self.opened);
        if opened.is_empty() {
            return;
        }
        let merged = self
            .pages
            .merge_all(opened.iter().map(|(author, section)| (*author, section)));
        events.extend(merged.into_iter().filter_map(|event| match event {
            PagesEvent::MessageAdded(id) => Some(TimelineEvent::MessageAdded(id)),
            PagesEvent::MessageChanged(id) => Some(TimelineEvent::MessageChanged(id)),
            PagesEvent::StateChanged => Some(TimelineEvent::StateChanged),
            PagesEvent::Refused { author, refusal } => {
                Some(TimelineEvent::ChangeRefused { author, refusal })
            }
            // Said by `ForkSeen`, or by the change that lost its place.
            PagesEvent::Rebuilt { .. } => None,
        }));
    }
}
