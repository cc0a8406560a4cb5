//! Envelopes whose changes cannot be rebuilt yet: something that they rest on is not here.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, EnvelopeId, Seq};

use super::compact::rebuild::{Known, Reference, Wanted};
use super::limits::{CHANGE_MEMORY_BYTES, UNRESOLVED_MEMORY_MAX};
use super::page::PageAddress;
use super::room::Room;

/// An author's envelopes in the order of their places.
type Name = (AuthorKey, Seq, EnvelopeId);

#[derive(Debug)]
struct Waiting {
    envelope: VerifiedEnvelope,
    /// Any of these may free it.
    wanted: Vec<Wanted>,
    /// The pages that it writes into.
    pages: Vec<PageAddress>,
}

impl Waiting {
    fn memory(&self) -> usize {
        CHANGE_MEMORY_BYTES * (1 + self.wanted.len() + self.pages.len())
            + self.envelope.bytes().len()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Unresolved {
    waiting: BTreeMap<Name, Waiting>,
    by_wanted: BTreeMap<Wanted, BTreeSet<Name>>,
    /// What they rest on may be here now. The first places of chains first.
    freed: BTreeSet<(Seq, Name)>,
    room: Room,
}

impl Unresolved {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes an envelope, each one once. Returns what has to give way for it.
    pub(crate) fn park(
        &mut self,
        envelope: VerifiedEnvelope,
        wanted: Vec<Wanted>,
        pages: Vec<PageAddress>,
    ) -> Vec<EnvelopeId> {
        let author = envelope.author();
        let name = (author, envelope.seq(), envelope.id());
        if self.waiting.contains_key(&name) {
            return Vec::new();
        }
        for wanted in &wanted {
            self.by_wanted.entry(*wanted).or_default().insert(name);
        }
        let waiting = Waiting {
            envelope,
            wanted,
            pages,
        };
        self.room.add(author, waiting.memory());
        self.waiting.insert(name, waiting);
        let mut dropped = Vec::new();
        while let Some(author) = self.room.gives_way(UNRESOLVED_MEMORY_MAX)
            && let Some((_, _, envelope)) = self.drop_last_of(author)
        {
            dropped.push(envelope);
        }
        dropped
    }

    /// A change is here: those that wait for it are tried again.
    pub(crate) fn note(&mut self, page: PageAddress, known: &Known) {
        if self.by_wanted.is_empty() {
            return;
        }
        let names = known
            .hash
            .0
            .first_chunk()
            .map(|name| Reference::Name(*name));
        let place = Reference::Place(known.author, known.seq);
        for reference in names.into_iter().chain([place]) {
            let waiting = self.by_wanted.get(&(page, reference));
            let waiting = waiting.into_iter().flatten();
            self.freed.extend(waiting.map(|name| (name.1, *name)));
        }
    }

    /// One that may be rebuilt now.
    pub(crate) fn take_freed(&mut self) -> Option<VerifiedEnvelope> {
        let (_, name) = self.freed.pop_first()?;
        self.remove(&name).map(|waiting| waiting.envelope)
    }

    /// Pages into which an author has written what cannot be rebuilt yet.
    pub(crate) fn pages_of(&self, author: AuthorKey) -> BTreeSet<PageAddress> {
        let waiting = self.waiting.range((author, Seq(0), EnvelopeId::ZERO)..);
        let own = waiting.take_while(|((of, _, _), _)| *of == author);
        own.flat_map(|(_, waiting)| waiting.pages.iter().copied())
            .collect()
    }

    /// Whether something of an author found no room.
    pub(crate) fn has_dropped(&self, author: &AuthorKey) -> bool {
        self.room.dropped().contains_key(author)
    }

    /// Whether something that found no room would find some now.
    pub(crate) fn must_reread(&self) -> bool {
        self.room.is_due(UNRESOLVED_MEMORY_MAX)
    }

    /// All that was dropped will come again.
    pub(crate) fn forget_dropped(&mut self) {
        self.room.forget_dropped();
    }

    fn drop_last_of(&mut self, author: AuthorKey) -> Option<Name> {
        let end = (author, Seq(u64::MAX), EnvelopeId::from_bytes([0xff; 32]));
        let (name, _) = self.waiting.range(..=end).next_back()?;
        let name = *name;
        if name.0 != author {
            return None;
        }
        self.remove(&name);
        self.room.note_dropped(author);
        Some(name)
    }

    fn remove(&mut self, name: &Name) -> Option<Waiting> {
        let waiting = self.waiting.remove(name)?;
        self.freed.remove(&(name.1, *name));
        for wanted in &waiting.wanted {
            if let Some(names) = self.by_wanted.get_mut(wanted) {
                names.remove(name);
                if names.is_empty() {
                    self.by_wanted.remove(wanted);
                }
            }
        }
        self.room.release(name.0, waiting.memory());
        Some(waiting)
    }
}
