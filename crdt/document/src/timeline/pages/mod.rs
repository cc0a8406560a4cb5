//! All documents of one timeline: which page a message lies in, where new ones
//! go, and what a batch of changes alters. Knows authors, but no key and no
//! envelope: [`super::Timeline`] opens those and feeds this.

mod far;
pub mod reading;
mod saving;
pub mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use automerge::ChangeHash;
use khlong_crdt::id::{AuthorKey, MessageId, Seq, TimelineId};

use self::far::Far;
use super::canonical;
use super::entry::{self, ChangeRefusal, Checked, Section};
use super::genesis::DocumentKind;
use super::limits::{Limits, OPEN_PAGES_MAX, PAGE_NUMBER_MAX, PENDING_MEMORY_MAX};
use super::message::{message_id, target};
use super::page::{Outcome, Page, PageAddress, Rules};
use super::plaintext::DocumentChanges;
use super::shelf::Shelved;
use super::unshown::Unshown;

/// What a batch of changes altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagesEvent {
    /// A message is there that was not.
    MessageAdded(MessageId),
    /// A message was edited, deleted or reacted to.
    MessageChanged(MessageId),
    /// Title, roster or pins.
    StateChanged,
    /// A change does not count.
    Refused {
        /// Who sent it.
        author: AuthorKey,
        /// Why.
        refusal: ChangeRefusal,
    },
    /// An author made two changes for one place; a page was built anew.
    Rebuilt {
        /// Who.
        author: AuthorKey,
    },
}

/// A page, unpacked or as compressed bytes.
#[derive(Debug)]
enum Slot {
    Open(Box<Page>),
    Shelved(Shelved),
}

/// The documents of a timeline.
#[derive(Debug)]
pub struct Pages {
    timeline: TimelineId,
    rules: Arc<Rules>,
    slots: BTreeMap<PageAddress, Slot>,
    /// Open pages, the least recently used first.
    recent: Vec<PageAddress>,
    /// Which pages hold a message; of several the first counts.
    index: BTreeSet<(MessageId, PageAddress)>,
    /// Messages that count in each page.
    visible: BTreeMap<PageAddress, usize>,
    message_count: usize,
    /// Changes for pages whose predecessor holds nothing yet.
    far: Far,
    /// Something that found no room would find some now.
    must_reread: bool,
    unshown: Unshown,
    /// Pages of which the last snapshot knows less.
    changed: BTreeSet<PageAddress>,
}

/// A section that arrives.
pub(crate) struct Incoming<'a> {
    pub(crate) author: AuthorKey,
    /// The place of its envelope in the author's chain, if that is known.
    pub(crate) seq: Option<Seq>,
    pub(crate) section: &'a DocumentChanges,
    /// See [`super::plaintext::ReadChanges::written`]; what this has no place for was sent.
    pub(crate) written: &'a [Option<[u8; 32]>],
}

/// A change, and the place of its envelope in the author's chain if that is known.
type Placed = (Arc<Checked>, Option<Seq>);

/// Changes that are read but not merged.
type Pending = BTreeMap<PageAddress, Vec<Placed>>;

impl Pages {
    /// A timeline without content.
    #[must_use]
    pub fn new(timeline: TimelineId, limits: Limits) -> Self {
        Self {
            timeline,
            rules: Arc::new(Rules {
                limits,
                hidden: BTreeSet::new(),
            }),
            slots: BTreeMap::new(),
            recent: Vec::new(),
            index: BTreeSet::new(),
            visible: BTreeMap::new(),
            message_count: 0,
            far: Far::default(),
            must_reread: false,
            unshown: Unshown::default(),
            changed: BTreeSet::new(),
        }
    }

    /// The first place of an author's chain of which something does not show; None if all does.
    pub(crate) fn first_unshown(&self, author: &AuthorKey) -> Option<u64> {
        self.unshown.first(author)
    }

    /// Notes that an envelope of which nothing can be read shows nothing.
    pub(crate) fn note_unreadable(&mut self, author: AuthorKey, seq: Seq) {
        self.unshown.never(author, seq.get());
    }

    pub(crate) fn limits(&self) -> Limits {
        self.rules.limits
    }

    /// Shows nothing of an author, of whom nothing was merged before: its changes are
    /// kept, and applied where others rest on them.
    pub fn hide(&mut self, author: AuthorKey) {
        Arc::make_mut(&mut self.rules).hidden.insert(author);
    }

    /// Merges the sections of one envelope of `author`.
    pub fn merge(&mut self, author: &AuthorKey, sections: &[DocumentChanges]) -> Vec<PagesEvent> {
        self.merge_all(sections.iter().map(|section| (*author, section)))
    }

    /// Merges many sections, page by page: each page is opened once.
    pub fn merge_all<'a>(
        &mut self,
        sections: impl IntoIterator<Item = (AuthorKey, &'a DocumentChanges)>,
    ) -> Vec<PagesEvent> {
        self.merge_placed(sections.into_iter().map(|(author, section)| Incoming {
            author,
            seq: None,
            section,
            written: &[],
        }))
    }

    /// The same, and notes which places of chains show nothing yet.
    pub(crate) fn merge_placed<'a>(
        &mut self,
        sections: impl IntoIterator<Item = Incoming<'a>>,
    ) -> Vec<PagesEvent> {
        let mut events = Vec::new();
        let mut pending = Pending::new();
        let mut memory = 0;
        for Incoming {
            author,
            seq,
            section,
            written,
        } in sections
        {
            // Documents of later versions stay in their envelopes.
            let Some(kind) = DocumentKind::from_byte(section.document) else {
                continue;
            };
            if section.n > PAGE_NUMBER_MAX {
                self.note_never(author, seq);
                events.push(PagesEvent::Refused {
                    author,
                    refusal: ChangeRefusal::NoSuchPage,
                });
                continue;
            }
            let address = PageAddress {
                kind,
                n: section.n,
                lineage: section.lineage,
            };
            let written = written.iter().copied().chain(iter::repeat(None));
            for (bytes, written) in section.changes.iter().zip(written) {
                let checked = match written {
                    Some(hash) => entry::check_known(kind, &author, bytes, hash),
                    None => entry::check(kind, &author, bytes),
                };
                match checked {
                    Ok(change) => {
                        memory += change.memory();
                        pending.entry(address).or_default().push((change, seq));
                    }
                    Err(refusal) => {
                        self.note_never(author, seq);
                        events.push(PagesEvent::Refused { author, refusal });
                    }
                }
                if memory >= PENDING_MEMORY_MAX {
                    self.merge_pending(std::mem::take(&mut pending), &mut events);
                    memory = 0;
                }
            }
        }
        self.merge_pending(pending, &mut events);
        events.sort_by_key(|event| matches!(event, PagesEvent::MessageChanged(_)));
        events.dedup();
        events
    }

    fn note_never(&mut self, author: AuthorKey, seq: Option<Seq>) {
        if let Some(seq) = seq {
            self.unshown.never(author, seq.get());
        }
    }

    fn merge_pending(&mut self, mut pending: Pending, events: &mut Vec<PagesEvent>) {
        // In order of addresses, so that a page is there before the one behind it.
        while let Some((address, changes)) = pending.pop_first() {
            if !self.is_reachable(&address) {
                self.put_far(address, changes, events);
                continue;
            }
            self.merge_page(address, changes, events);
            let next = PageAddress {
                n: address.n + 1,
                ..address
            };
            if self.is_reachable(&next) {
                let waiting = self.far.take(&next);
                if !waiting.is_empty() {
                    let waiting = waiting.into_iter().map(|change| (change, None));
                    pending.entry(next).or_default().extend(waiting);
                }
            }
        }
        self.must_reread |= self.far.must_reread();
    }

    /// Whether all sections are to be merged again: some changes found no room, and since
    /// then room was made. After [`Self::forget_dropped`], until this says no.
    #[must_use]
    pub const fn must_reread(&self) -> bool {
        self.must_reread
    }

    /// Before all sections are merged again: whatever was dropped is among them.
    pub fn forget_dropped(&mut self) {
        self.must_reread = false;
        self.far.forget_dropped();
        for slot in self.slots.values_mut() {
            match slot {
                Slot::Open(page) => page.forget_dropped(),
                Slot::Shelved(shelved) => shelved.dropped.clear(),
            }
        }
    }

    /// A page begins only behind one that holds something, so that a hostile
    /// writer cannot send everybody to page four billion.
    fn is_reachable(&self, address: &PageAddress) -> bool {
        address.n == 0
            || self
                .slots
                .get(&PageAddress {
                    n: address.n - 1,
                    ..*address
                })
                .is_some_and(Slot::is_begun)
    }

    fn put_far(
        &mut self,
        address: PageAddress,
        changes: Vec<Placed>,
        events: &mut Vec<PagesEvent>,
    ) {
        for (change, seq) in &changes {
            if let Some(seq) = seq {
                self.unshown.wait(change.author, seq.get(), change.hash);
            }
        }
        let dropped = changes
            .into_iter()
            .flat_map(|(change, _)| self.far.put(address, change));
        events.extend(dropped.map(|change| PagesEvent::Refused {
            author: change.author,
            refusal: ChangeRefusal::Full,
        }));
    }

    fn merge_page(
        &mut self,
        address: PageAddress,
        changes: Vec<Placed>,
        events: &mut Vec<PagesEvent>,
    ) {
        self.changed.insert(address);
        let rules = Arc::clone(&self.rules);
        let placed: Vec<_> = changes
            .iter()
            .filter_map(|(change, seq)| Some((change.author, (*seq)?, change.hash)))
            .collect();
        let page = self.open(address);
        let outcomes = page.merge(changes.into_iter().map(|(change, _)| change), &rules);
        let shows = |author: &AuthorKey, hash: &ChangeHash| {
            page.is_applied(hash) && !rules.hidden.contains(author)
        };
        let unshown: Vec<_> = placed
            .into_iter()
            .filter(|(author, _, hash)| !shows(author, hash))
            .collect();
        let must_reread = page.must_reread(&rules.limits);
        self.must_reread |= must_reread;
        for (author, seq, hash) in unshown {
            self.unshown.wait(author, seq.get(), hash);
        }
        let mut rebuilt = false;
        for outcome in outcomes {
            match outcome {
                Outcome::Applied(change) if rules.hidden.contains(&change.author) => {}
                Outcome::Applied(change) => {
                    self.unshown.shown(change.hash);
                    self.note(address, &change, events);
                }
                Outcome::Refused(change, refusal) => events.push(PagesEvent::Refused {
                    author: change.author,
                    refusal,
                }),
                Outcome::Rebuilt { author } => {
                    rebuilt = true;
                    events.push(PagesEvent::Rebuilt { author });
                }
            }
        }
        if rebuilt {
            self.reindex(address);
        }
        self.shelve();
    }

    /// Records what an applied change says.
    fn note(&mut self, address: PageAddress, change: &Checked, events: &mut Vec<PagesEvent>) {
        for entry in &change.entries {
            match entry.section {
                Section::Messages => {
                    let id = message_id(&self.timeline, &address, entry);
                    if self.add_to_index(id, address) {
                        events.push(PagesEvent::MessageAdded(id));
                    }
                }
                Section::Edits | Section::Reactions | Section::Deletes => {
                    events.extend(target(entry).map(PagesEvent::MessageChanged))
                }
                Section::Titles | Section::Roster | Section::Pins => {
                    events.push(PagesEvent::StateChanged)
                }
            }
        }
    }

    /// True if no page held the message.
    fn add_to_index(&mut self, id: MessageId, address: PageAddress) -> bool {
        let owner = self.page_of(&id);
        if !self.index.insert((id, address)) || owner.is_some_and(|owner| owner < address) {
            return false;
        }
        *self.visible.entry(address).or_default() += 1;
        match owner {
            Some(owner) => {
                if let Some(count) = self.visible.get_mut(&owner) {
                    *count -= 1;
                }
            }
            None => self.message_count += 1,
        }
        owner.is_none()
    }

    /// After a rebuild messages may be gone.
    fn reindex(&mut self, address: PageAddress) {
        let timeline = self.timeline;
        let ids: Vec<_> = self
            .open(address)
            .list(Section::Messages)
            .map(|entry| message_id(&timeline, &address, entry))
            .collect();
        self.index.retain(|(_, page)| *page != address);
        self.index.extend(ids.into_iter().map(|id| (id, address)));
        self.count_visible();
    }

    /// Counts the messages of the index anew.
    fn count_visible(&mut self) {
        self.visible.clear();
        self.message_count = 0;
        let mut before = None;
        for (id, page) in &self.index {
            if before != Some(id) {
                *self.visible.entry(*page).or_default() += 1;
                self.message_count += 1;
            }
            before = Some(id);
        }
    }

    fn page_of(&self, id: &MessageId) -> Option<PageAddress> {
        self.index
            .range((*id, PageAddress::FIRST)..)
            .next()
            .filter(|(found, _)| found == id)
            .map(|(_, address)| *address)
    }

    /// The page, unpacked; a new one if there is none.
    fn open(&mut self, address: PageAddress) -> &mut Page {
        self.recent.retain(|recent| *recent != address);
        self.recent.push(address);
        let slot = self
            .slots
            .entry(address)
            .or_insert_with(|| Slot::Open(Box::new(Page::new(address.kind))));
        if let Slot::Shelved(shelved) = slot {
            let page = shelved.unpack(address.kind, &self.rules);
            // A snapshot may be of a program that counted otherwise: the envelopes decide.
            self.must_reread |= page.applied_count() != shelved.applied;
            *slot = Slot::Open(Box::new(page));
        }
        match slot {
            Slot::Open(page) => page,
            Slot::Shelved(_) => unreachable!("unpacked above"),
        }
    }

    /// Packs the pages that were not used lately.
    fn shelve(&mut self) {
        while self.recent.len() > OPEN_PAGES_MAX {
            let address = self.recent.remove(0);
            if let Some(Slot::Open(page)) = self.slots.get(&address) {
                let shelved = self.pack(&address, page);
                self.slots.insert(address, Slot::Shelved(shelved));
            }
        }
    }

    fn with_page<R>(&self, address: &PageAddress, read: impl FnOnce(&Page) -> R) -> Option<R> {
        match self.slots.get(address)? {
            Slot::Open(page) => Some(read(page)),
            Slot::Shelved(shelved) => Some(read(&shelved.unpack(address.kind, &self.rules))),
        }
    }
}

impl Slot {
    fn applied(&self) -> usize {
        match self {
            Self::Open(page) => page.applied_count(),
            Self::Shelved(shelved) => shelved.applied,
        }
    }

    fn is_begun(&self) -> bool {
        match self {
            Self::Open(page) => page.is_begun(),
            Self::Shelved(shelved) => shelved.is_begun,
        }
    }

    fn hash(&self) -> [u8; 32] {
        match self {
            Self::Open(page) => canonical::page_hash(page),
            Self::Shelved(shelved) => shelved.hash,
        }
    }
}
