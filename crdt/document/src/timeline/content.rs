//! What lies in an envelope whose author counts: keys, changes, receipts.

use khlong_crdt::admission::{Admission, History};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, EpochId, PrincipalKey, Seq};

use super::Timeline;
use super::event::{Refused, TimelineEvent};
use super::genesis::DocumentKind;
use super::limits::{OPENED_BYTES_MAX, OPENED_SECTIONS_MAX};
use super::page::PageAddress;
use super::parked::Need;
use super::plaintext::{self, DocumentChanges, ReadChanges, ReceiptPlaintext};
use super::receipts::Whose;
use super::receive::Step;
use crate::keys::epoch::EpochKey;
use crate::membership::key_op::KeyOp;
use crate::seal;

/// Opened, not merged yet.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) sections: Vec<(AuthorKey, Seq, ReadChanges)>,
    bytes: usize,
}

impl Opened {
    fn push(&mut self, author: AuthorKey, seq: Seq, section: ReadChanges) {
        let changes = &section.of.changes;
        self.bytes += changes.iter().map(Vec::len).sum::<usize>();
        self.sections.push((author, seq, section));
    }

    pub(super) const fn is_full(&self) -> bool {
        self.sections.len() >= OPENED_SECTIONS_MAX || self.bytes >= OPENED_BYTES_MAX
    }
}

impl Timeline {
    pub(super) fn absorb_key_op(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let author = envelope.prefix().author;
        if !self.may_append(&author) {
            return Ok(Step::Wait(Need::Append(author)));
        }
        let op = seal::open_key_op(envelope).map_err(Refused::Open)?;
        let epoch_id = op.epoch_id();
        let mut learnt = Vec::new();
        let is_known = self.epochs.has_manifest(&epoch_id);
        match &op {
            KeyOp::Mint { manifest, .. } => {
                if Some(manifest.minter) != self.principal_of(&author) {
                    return Err(Refused::ForeignMinter);
                }
                learnt.extend(self.epochs.add_manifest(manifest)?);
                if let Some(public) = self.admission.as_ref().and_then(Admission::public_key) {
                    learnt.extend(self.epochs.learn(epoch_id, EpochKey::from_seed(public))?);
                }
            }
            KeyOp::Grant { .. } if !is_known => {
                return Ok(Step::Wait(Need::Manifest(epoch_id)));
            }
            KeyOp::Grant { .. } => {}
        }
        if let Some((id, key)) = self.secrets.unwrap(&op).map_err(Refused::Wrap)? {
            learnt.extend(self.epochs.learn(id, key)?);
        }
        // A manifest alone unblocks the grants that wait for it.
        let is_new = !is_known || !learnt.is_empty();
        events.extend(learnt.into_iter().map(TimelineEvent::EpochLearnt));
        Ok(if is_new { Step::Unblocked } else { Step::Done })
    }

    pub(super) fn absorb_change(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let author = envelope.author();
        if !self.may_append(&author) {
            return Ok(Step::Wait(Need::Append(author)));
        }
        self.open_change(envelope, events)
    }

    pub(super) fn open_change(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let prefix = envelope.prefix();
        let (author, seq) = (prefix.author, prefix.seq);
        let Some(key) = self.epochs.key(&prefix.epoch) else {
            return Ok(Step::Wait(Need::Key(prefix.epoch)));
        };
        let plaintext = seal::open(envelope, key).map_err(Refused::Open)?;
        let sections =
            plaintext::sections(&plaintext, &author, &prefix.epoch).map_err(Refused::Plaintext)?;
        for section in sections {
            if self.is_mine(&author) {
                self.note_source(author, seq, &section.of, events);
            }
            // In a timeline with full history all pages are of lineage zero, in
            // others a page belongs to an epoch; nobody writes into both.
            if (section.of.lineage == EpochId::ZERO) == (self.history() == Some(History::Full)) {
                self.opened.push(author, seq, section);
            } else {
                self.pages.note_unreadable(author, seq);
            }
        }
        Ok(Step::Done)
    }

    fn note_source(
        &mut self,
        author: AuthorKey,
        seq: Seq,
        section: &DocumentChanges,
        events: &mut Vec<TimelineEvent>,
    ) {
        let page = PageAddress {
            kind: DocumentKind::Page,
            n: section.n,
            lineage: section.lineage,
        };
        let messages = self.pages.message_ids(&author, section);
        if let Some(page) = self.sources.note(page, messages, (author, seq)) {
            let event = TimelineEvent::DeliveryForgotten { page };
            if !events.contains(&event) {
                events.push(event);
            }
        }
    }

    pub(super) fn absorb_receipt(
        &mut self,
        envelope: &VerifiedEnvelope,
        events: &mut Vec<TimelineEvent>,
    ) -> Result<Step, Refused> {
        let prefix = envelope.prefix();
        let Some(principal) = self.principal_of(&prefix.author) else {
            return Ok(Step::Wait(Need::Author(prefix.author)));
        };
        let Some(key) = self.epochs.key(&prefix.epoch) else {
            return Ok(Step::Wait(Need::Key(prefix.epoch)));
        };
        let plaintext = seal::open(envelope, key).map_err(Refused::Open)?;
        let receipt = ReceiptPlaintext::decode(&plaintext).map_err(Refused::Plaintext)?;
        let mine: Vec<AuthorKey> = receipt
            .delivered
            .iter()
            .chain(&receipt.read)
            .map(|(author, _)| *author)
            .filter(|author| self.is_mine(author))
            .collect();
        let before: Vec<_> = mine
            .into_iter()
            .map(|author| (author, self.receipts.heights_of(&principal, &author)))
            .collect();
        self.report(principal, &receipt, events);
        if principal != self.principal {
            for (author, heights) in before {
                self.tell_raised(principal, author, heights, events);
            }
        }
        Ok(Step::Done)
    }

    fn report(
        &mut self,
        principal: PrincipalKey,
        receipt: &ReceiptPlaintext,
        events: &mut Vec<TimelineEvent>,
    ) {
        let (admission, me, device) = (&self.admission, self.principal, self.author);
        let whose = |author: &AuthorKey| {
            let owner = admission
                .as_ref()
                .and_then(|known| known.principal_of(author));
            match owner {
                _ if *author == device => Whose::Mine,
                Some(owner) if owner == me => Whose::Mine,
                Some(_) => Whose::Others,
                None => Whose::Unknown,
            }
        };
        let is_me = principal == me;
        if self
            .receipts
            .report(principal, is_me, receipt, whose)
            .is_err()
        {
            events.push(TimelineEvent::HeightsFull { principal });
        }
    }

    /// What a receipt of `principal` says of a chain of mine beyond the (delivered, read) `before`.
    fn tell_raised(
        &self,
        principal: PrincipalKey,
        author: AuthorKey,
        before: (u64, u64),
        events: &mut Vec<TimelineEvent>,
    ) {
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
            (delivered > before.0, delivered_event),
            (read > before.1, read_event),
        ] {
            if raised && !events.contains(&event) {
                events.push(event);
            }
        }
    }
}
