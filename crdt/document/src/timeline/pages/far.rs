//! Changes for pages whose predecessor holds nothing yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::ChangeHash;
use khlong_crdt::id::AuthorKey;

use crate::timeline::entry::Checked;
use crate::timeline::limits::FAR_MEMORY_MAX;
use crate::timeline::page::PageAddress;
use crate::timeline::room::Room;

#[derive(Debug, Default)]
pub(super) struct Far {
    waiting: BTreeMap<PageAddress, BTreeMap<ChangeHash, Arc<Checked>>>,
    /// The same by author, the farthest last.
    of: BTreeSet<(AuthorKey, PageAddress, u64, ChangeHash)>,
    room: Room,
}

impl Far {
    /// Takes a change, each one once. Returns what has to give way for it.
    pub(super) fn put(&mut self, address: PageAddress, change: Arc<Checked>) -> Vec<Arc<Checked>> {
        let name = (change.author, address, change.seq, change.hash);
        if !self.of.insert(name) {
            return Vec::new();
        }
        self.room.add(change.author, change.memory());
        self.waiting
            .entry(address)
            .or_default()
            .insert(change.hash, change);
        let mut dropped = Vec::new();
        while let Some(author) = self.room.gives_way(FAR_MEMORY_MAX)
            && let Some(change) = self.drop_last_of(author)
        {
            dropped.push(change);
        }
        dropped
    }

    /// What waited for this page.
    pub(super) fn take(&mut self, address: &PageAddress) -> Vec<Arc<Checked>> {
        let changes = self.waiting.remove(address).unwrap_or_default();
        for change in changes.values() {
            self.of
                .remove(&(change.author, *address, change.seq, change.hash));
            self.room.release(change.author, change.memory());
        }
        changes.into_values().collect()
    }

    /// Whether nothing waits, and nothing was dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.room.dropped().is_empty()
    }

    /// Whether something that found no room would find some now.
    pub(super) fn must_reread(&self) -> bool {
        self.room.is_due(FAR_MEMORY_MAX)
    }

    /// All that was dropped will come again.
    pub(super) fn forget_dropped(&mut self) {
        self.room.forget_dropped();
    }

    fn drop_last_of(&mut self, author: AuthorKey) -> Option<Arc<Checked>> {
        let end = (author, PageAddress::LAST, u64::MAX, ChangeHash([0xff; 32]));
        let last = *self.of.range(..=end).next_back()?;
        if last.0 != author {
            return None;
        }
        self.of.remove(&last);
        let (_, address, _, hash) = last;
        let waiting = self.waiting.get_mut(&address)?;
        let change = waiting.remove(&hash)?;
        if waiting.is_empty() {
            self.waiting.remove(&address);
        }
        self.room.release(author, change.memory());
        self.room.note_dropped(author);
        Some(change)
    }
}
