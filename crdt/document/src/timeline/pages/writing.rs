//! Which page a draft goes to, and the changes that drafts become.

use std::collections::BTreeMap;

use khlong_crdt::id::{AuthorKey, EpochId, MessageId};
use khlong_crdt::time::UnixMillis;

use super::Pages;
use crate::timeline::compose;
use crate::timeline::draft::{Draft, DraftError, NewEntry, Place};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::{
    DRAFT_BYTES_MAX, DRAFTS_PER_ENVELOPE_MAX, PAGE_NUMBER_MAX, SECTIONS_MAX,
};
use crate::timeline::page::PageAddress;
use crate::timeline::plaintext::DocumentChanges;

/// Why drafts were not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// See [`DraftError`].
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The message is not here.
    #[error("there is no message {0} here; sync first, or look the id up with `read --json`")]
    UnknownMessage(MessageId),
    /// Nothing to write, or more than one envelope holds.
    #[error(
        "an envelope holds 1 to {DRAFTS_PER_ENVELOPE_MAX} drafts with {DRAFT_BYTES_MAX} bytes of text; split them"
    )]
    Batch,
    /// Edits and reactions have used up what this author may put into that page, or what
    /// this author wrote there rests on a change that lost its place.
    #[error("your budget in the page of that message is spent; write a new message instead")]
    PageBudget,
    /// The timeline has as many pages as it may have.
    #[error("the timeline is full; open a new one")]
    TimelineFull,
}

impl Pages {
    /// Makes the changes for `drafts` as `author`'s next ones. Merge them to see
    /// them: nothing is altered here but that pages may be unpacked.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn compose(
        &mut self,
        author: &AuthorKey,
        lineage: EpochId,
        drafts: &[Draft],
        now: UnixMillis,
    ) -> Result<Vec<DocumentChanges>, ComposeError> {
        let text: usize = drafts.iter().map(Draft::text_bytes).sum();
        if drafts.is_empty() || drafts.len() > DRAFTS_PER_ENVELOPE_MAX || text > DRAFT_BYTES_MAX {
            return Err(ComposeError::Batch);
        }
        let mut plan: BTreeMap<PageAddress, Vec<NewEntry>> = BTreeMap::new();
        for draft in drafts {
            let (place, entry) = draft.entry(now)?;
            let address = match place {
                Place::Newest => self.newest(DocumentKind::Page, author, lineage, &plan)?,
                Place::State => self.newest(DocumentKind::State, author, lineage, &plan)?,
                Place::PageOf(id) => self.page_of(&id).ok_or(ComposeError::UnknownMessage(id))?,
            };
            plan.entry(address).or_default().push(entry);
        }
        if plan.len() > SECTIONS_MAX {
            return Err(ComposeError::Batch);
        }
        let mut sections = Vec::new();
        for (address, entries) in plan {
            let limits = self.rules.limits;
            let page = self.open(address);
            let change = compose::change(page, author, &entries);
            let tail = page.tail(author);
            let operations: usize = entries.iter().map(NewEntry::operations).sum();
            let is_blocked = page.is_blocked(author);
            if is_blocked
                || self.blocked.contains(&address)
                || tail.bytes + change.len() > limits.page_author_bytes
                || tail.operations + operations > limits.page_author_ops
            {
                return Err(ComposeError::PageBudget);
            }
            sections.push(DocumentChanges {
                document: address.kind as u8,
                lineage: address.lineage,
                n: address.n,
                changes: vec![change],
            });
        }
        self.shelve();
        Ok(sections)
    }

    /// The page for the next entry: the newest, or one more once that is full.
    fn newest(
        &mut self,
        kind: DocumentKind,
        author: &AuthorKey,
        lineage: EpochId,
        plan: &BTreeMap<PageAddress, Vec<NewEntry>>,
    ) -> Result<PageAddress, ComposeError> {
        let of_lineage =
            |address: &&PageAddress| address.kind == kind && address.lineage == lineage;
        let held = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.applied() > 0)
            .map(|(address, _)| address)
            .rfind(of_lineage);
        let planned = plan.keys().rfind(of_lineage);
        let mut address = *held.max(planned).unwrap_or(&PageAddress {
            kind,
            n: 0,
            lineage,
        });
        while self.is_full_for(author, &address, plan) {
            address.n += 1;
            if address.n > PAGE_NUMBER_MAX {
                return Err(ComposeError::TimelineFull);
            }
        }
        Ok(address)
    }

    /// Whether an author puts new entries elsewhere. Of the pages behind the newest one that
    /// is so only where what the author wrote rests on a change that lost its place.
    fn is_full_for(
        &mut self,
        author: &AuthorKey,
        address: &PageAddress,
        plan: &BTreeMap<PageAddress, Vec<NewEntry>>,
    ) -> bool {
        let limits = self.rules.limits;
        let entries = plan.get(address).map_or(&[][..], Vec::as_slice);
        let planned_bytes: usize = entries.iter().map(NewEntry::bytes).sum();
        let planned_ops: usize = entries.iter().map(NewEntry::operations).sum();
        // A new page is not opened for the asking: only what is merged makes one.
        let (messages, bytes, tail, is_blocked) = match self.slots.contains_key(address) {
            true => {
                let page = self.open(*address);
                let tail = page.tail(author);
                (page.messages(), page.bytes(), tail, page.is_blocked(author))
            }
            false => Default::default(),
        };
        is_blocked
            || self.blocked.contains(address)
            || messages + entries.len() >= limits.page_messages
            || bytes + planned_bytes >= limits.page_bytes
            || tail.bytes + planned_bytes >= limits.page_author_turn_bytes
            || tail.messages + entries.len() >= limits.page_author_messages
            || tail.operations + planned_ops >= limits.page_author_ops / 2
    }
}
