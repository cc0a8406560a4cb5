//! What the documents show.

use std::collections::BTreeMap;
use std::ops::Range;

use automerge::{Automerge, AutomergeError};
use khlong_crdt::id::{AuthorKey, MessageId, PrincipalKey};

use super::{Pages, Slot};
use crate::timeline::canonical;
use crate::timeline::carriers::{Carrier, CarrierFold};
use crate::timeline::entry::{self, Section};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::OPEN_PAGES_MAX;
use crate::timeline::message::{Message, PageView, message_id};
use crate::timeline::page::PageAddress;
use crate::timeline::plaintext::DocumentChanges;
use crate::timeline::state::{State, StateFold};

/// A page as those see it who keep something that follows from its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownPage {
    /// Which page.
    pub address: PageAddress,
    /// Messages that count and stand on it, deleted ones included; at least one.
    pub messages: usize,
    /// Another one as soon as a change of the page counts or no longer does: equal hashes and
    /// equal numbers of messages, the same messages.
    pub hash: [u8; 32],
}

impl Pages {
    /// Ids of the messages in a section of `author`, whether or not they are merged.
    #[must_use]
    pub fn message_ids(&self, author: &AuthorKey, section: &DocumentChanges) -> Vec<MessageId> {
        if DocumentKind::from_byte(section.document) != Some(DocumentKind::Page) {
            return Vec::new();
        }
        let address = PageAddress {
            kind: DocumentKind::Page,
            n: section.n,
            lineage: section.lineage,
        };
        let changes = section
            .changes
            .iter()
            .filter_map(|bytes| entry::check(DocumentKind::Page, author, bytes).ok());
        changes
            .flat_map(|change| {
                let messages = change
                    .entries
                    .iter()
                    .filter(|entry| entry.section == Section::Messages);
                messages
                    .map(|entry| message_id(&self.timeline, &address, entry))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Ids of the messages that are here, each at least once.
    pub(crate) fn held_ids(&self) -> impl Iterator<Item = MessageId> {
        self.index.iter().map(|(id, _)| *id)
    }

    /// Ids whose text starts with `start`, in order, each once: a range of the index.
    pub(crate) fn ids_from<'p>(&'p self, start: &'p str) -> impl Iterator<Item = MessageId> + 'p {
        let range = MessageId::range_from(start).map(|range| {
            let (lowest, highest) = range.into_inner();
            (lowest, PageAddress::FIRST)..=(highest, PageAddress::LAST)
        });
        let mut before = None;
        range
            .into_iter()
            .flat_map(|range| self.index.range(range))
            .map(|(id, _)| *id)
            .filter(move |id| before.replace(*id) != Some(*id))
            .filter(move |id| id.to_string().starts_with(start))
    }

    /// Messages that count, each once.
    #[must_use]
    pub const fn message_count(&self) -> usize {
        self.message_count
    }

    /// Number of the documents that hold at least one change.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.slots
            .values()
            .filter(|slot| slot.applied() > 0)
            .count()
    }

    /// Messages at places `range` of the timeline's order, the oldest page first.
    #[must_use]
    pub fn messages(
        &self,
        range: Range<usize>,
        principal_of: &dyn Fn(&AuthorKey) -> Option<PrincipalKey>,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        for (address, count, within) in self.pages_in(range) {
            self.with_page(&address, |page| {
                let view = PageView::new(self.timeline, address, page, principal_of);
                if let Some(found) = view.messages_at(within.clone(), count) {
                    messages.extend(found.map(|(id, entry)| view.message(id, entry)));
                    return;
                }
                let shown = view
                    .messages()
                    .filter(|(id, _)| self.page_of(id) == Some(address));
                messages.extend(
                    shown
                        .skip(within.start)
                        .take(within.len())
                        .map(|(id, entry)| view.message(id, entry)),
                );
            });
        }
        messages
    }

    /// Messages at places `range`, by author: the text of none is read, and pages that lie
    /// packed and are asked for as a whole stay so.
    pub(crate) fn count_by_author(&self, range: Range<usize>) -> BTreeMap<AuthorKey, usize> {
        let mut counts = BTreeMap::new();
        for (address, count, within) in self.pages_in(range) {
            let whole = within.len() == count;
            if let Some(Slot::Shelved(shelved)) = self.slots.get(&address)
                && whole
                && shelved.authors.values().sum::<usize>() == count
            {
                for (author, messages) in &shelved.authors {
                    *counts.entry(*author).or_default() += messages;
                }
                continue;
            }
            self.with_page(&address, |page| {
                let places = page.places(Section::Messages);
                if let Some(places) = places.filter(|places| places.len() == count) {
                    for place in places.get(within.clone()).unwrap_or_default() {
                        *counts.entry(place.author).or_default() += 1;
                    }
                    return;
                }
                let view = PageView::new(self.timeline, address, page, &|_| None);
                let shown = view
                    .messages()
                    .filter(|(id, _)| self.page_of(id) == Some(address));
                for (_, entry) in shown.skip(within.start).take(within.len()) {
                    *counts.entry(entry.id.author).or_default() += 1;
                }
            });
        }
        counts
    }

    /// Opens the newest of the pages that hold places `range`, while there is room for
    /// another open page.
    pub(crate) fn unpack(&mut self, range: Range<usize>) {
        let wanted: Vec<_> = self.pages_in(range).map(|(address, ..)| address).collect();
        for address in wanted.into_iter().rev() {
            if self.recent.len() >= OPEN_PAGES_MAX {
                return;
            }
            self.open(address);
        }
    }

    /// The pages that hold places `range`: each with how many messages count there, and
    /// which of these.
    fn pages_in(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = (PageAddress, usize, Range<usize>)> {
        let mut start = 0;
        self.visible.iter().filter_map(move |(address, count)| {
            let (first, end) = (start, start + count);
            start = end;
            let is_in = first < range.end && end > range.start;
            let within =
                range.start.saturating_sub(first)..range.end.min(end).saturating_sub(first);
            is_in.then_some((*address, *count, within))
        })
    }

    /// The pages that show messages, in order.
    pub fn shown(&self) -> impl Iterator<Item = ShownPage> + '_ {
        let shown = self.visible.iter().filter(|(_, messages)| **messages > 0);
        shown.filter_map(|(address, messages)| {
            Some(ShownPage {
                address: *address,
                messages: *messages,
                hash: self.slots.get(address)?.hash(),
            })
        })
    }

    /// All messages that one page shows, oldest first.
    #[must_use]
    pub fn messages_on(
        &self,
        address: &PageAddress,
        principal_of: &dyn Fn(&AuthorKey) -> Option<PrincipalKey>,
    ) -> Vec<Message> {
        let read = self.with_page(address, |page| {
            let view = PageView::new(self.timeline, *address, page, principal_of);
            let shown = view
                .messages()
                .filter(|(id, _)| self.page_of(id) == Some(*address));
            shown.map(|(id, entry)| view.message(id, entry)).collect()
        });
        read.unwrap_or_default()
    }

    /// One message.
    #[must_use]
    pub fn message(
        &self,
        id: &MessageId,
        principal_of: &dyn Fn(&AuthorKey) -> Option<PrincipalKey>,
    ) -> Option<Message> {
        let address = self.page_of(id)?;
        self.with_page(&address, |page| {
            let view = PageView::new(self.timeline, address, page, principal_of);
            let found = view.messages().find(|(found, _)| found == id);
            found.map(|(id, entry)| view.message(id, entry))
        })?
    }

    /// Title, roster, pins.
    #[must_use]
    pub fn state(&self, principal_of: &dyn Fn(&AuthorKey) -> Option<PrincipalKey>) -> State {
        let mut fold = StateFold::default();
        for address in self
            .slots
            .keys()
            .filter(|address| address.kind == DocumentKind::State)
        {
            self.with_page(address, |page| fold.add(address.n, page, principal_of));
        }
        fold.finish()
    }

    /// What was said of relays by those who may.
    #[must_use]
    pub fn carriers(&self, is_admin: &dyn Fn(&AuthorKey) -> bool) -> Vec<Carrier> {
        let mut fold = CarrierFold::default();
        let slots = self.slots.keys();
        for address in slots.filter(|address| address.kind == DocumentKind::State) {
            self.with_page(address, |page| fold.add(address.n, page, is_admin));
        }
        fold.finish()
    }

    /// Equal on replicas that hold the same changes.
    #[must_use]
    pub fn state_hash(&self) -> [u8; 32] {
        canonical::state_hash(
            self.slots
                .iter()
                .filter(|(_, slot)| slot.applied() > 0)
                .map(|(address, slot)| (*address, slot.hash())),
        )
    }

    /// The documents that hold something, each as Automerge shows it when built in
    /// canonical order.
    ///
    /// # Errors
    /// Automerge's, which would be a bug: only checked changes are applied.
    pub fn documents(&self) -> Result<Vec<(PageAddress, Automerge)>, AutomergeError> {
        let addresses = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.applied() > 0)
            .map(|(address, _)| *address);
        addresses
            .filter_map(|address| {
                self.with_page(&address, |page| {
                    canonical::document(page).map(|document| (address, document))
                })
            })
            .collect()
    }

    /// Canonical saves of all documents that hold something.
    ///
    /// # Errors
    /// See [`Self::documents`].
    pub fn canonical_saves(&self) -> Result<Vec<(PageAddress, Vec<u8>)>, AutomergeError> {
        Ok(self
            .documents()?
            .into_iter()
            .map(|(address, document)| (address, document.save()))
            .collect())
    }
}
