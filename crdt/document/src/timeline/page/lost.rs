//! Changes that lost their place to a lower hash. They never count, but what rests on them
//! is told apart by their hashes, and must be whatever the order in which all of it came.

use std::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;
use khlong_crdt::id::AuthorKey;

use super::Page;
use crate::timeline::compact::rebuild::{Known, Reference, named_so};
use crate::timeline::entry::Checked;
use crate::timeline::limits::CHANGE_MEMORY_BYTES;

#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    by_hash: BTreeMap<ChangeHash, Known>,
    places: BTreeSet<(AuthorKey, u64, ChangeHash)>,
}

impl Lost {
    fn insert(&mut self, known: Known) -> bool {
        self.places.insert((known.author, known.seq, known.hash));
        self.by_hash.insert(known.hash, known).is_none()
    }

    fn of(&self, author: AuthorKey) -> impl DoubleEndedIterator<Item = ChangeHash> {
        let from = (author, 0, ChangeHash([0; 32]));
        let to = (author, u64::MAX, ChangeHash([0xff; 32]));
        self.places.range(from..=to).map(|(_, _, hash)| *hash)
    }

    fn named(&self, reference: &Reference) -> Vec<Known> {
        let hashes: Vec<ChangeHash> = match reference {
            Reference::Place(author, seq) => {
                let from = (*author, *seq, ChangeHash([0; 32]));
                let to = (*author, *seq, ChangeHash([0xff; 32]));
                let places = self.places.range(from..=to);
                places.map(|(_, _, hash)| *hash).collect()
            }
            Reference::Name(name) => {
                let named = self.by_hash.range(named_so(name));
                named.map(|(hash, _)| *hash).collect()
            }
        };
        let known = hashes.iter().filter_map(|hash| self.by_hash.get(hash));
        known.copied().collect()
    }
}

impl Page {
    /// Notes a change that lost its place. It takes room, as what waits does.
    pub(super) fn lose(&mut self, change: &Checked) {
        if self.lost.insert(Known::of(change)) {
            self.room.add(change.author, CHANGE_MEMORY_BYTES);
        }
    }

    /// The same page was there before, with these.
    pub(super) fn restore_lost(&mut self, lost: &Lost) {
        for known in lost.by_hash.values() {
            if self.lost.insert(*known) {
                self.room.add(known.author, CHANGE_MEMORY_BYTES);
            }
        }
    }

    /// Forgets what is farthest ahead of what an author lost, if there is any.
    pub(super) fn drop_lost_of(&mut self, author: AuthorKey) -> bool {
        let Some(last) = self.lost.of(author).next_back() else {
            return false;
        };
        if let Some(known) = self.lost.by_hash.remove(&last) {
            self.lost.places.remove(&(author, known.seq, last));
        }
        self.room.release(author, CHANGE_MEMORY_BYTES);
        self.room.note_dropped(author);
        true
    }

    /// The changes that a reference may mean, those that hold a place first.
    pub(crate) fn named(&self, reference: &Reference) -> Vec<Known> {
        let held: Vec<Known> = match reference {
            Reference::Place(author, seq) => {
                let hash = self.places.get(&(*author, *seq));
                let held = hash.and_then(|hash| self.held.get(hash));
                held.into_iter()
                    .map(|held| Known::of(&held.change))
                    .collect()
            }
            Reference::Name(name) => {
                let named = self.held.range(named_so(name));
                named.map(|(_, held)| Known::of(&held.change)).collect()
            }
        };
        held.into_iter().chain(self.lost.named(reference)).collect()
    }

    /// Whether a reference may mean this change.
    pub(crate) fn is_known(&self, hash: &ChangeHash) -> bool {
        self.held.contains_key(hash) || self.lost.by_hash.contains_key(hash)
    }

    pub(crate) const fn lost(&self) -> &Lost {
        &self.lost
    }
}
