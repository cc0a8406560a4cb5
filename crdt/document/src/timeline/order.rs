//! The order of a list: Automerge's, for lists that are only ever inserted into.
//!
//! An element stands behind the one it was inserted after; of several behind the
//! same one the greater operation comes first, with all that follows it. The
//! property tests compare this with what Automerge itself shows.

use std::collections::BTreeMap;

use super::entry::OpId;

/// The elements of one list.
#[derive(Debug, Default)]
pub(crate) struct ListOrder {
    behind: BTreeMap<Option<OpId>, Vec<OpId>>,
    /// None when an insertion fell into the middle and nobody has asked since.
    sequence: Vec<OpId>,
    stale: bool,
}

impl ListOrder {
    pub(crate) fn insert(&mut self, id: OpId, after: Option<OpId>) {
        let siblings = self.behind.entry(after).or_default();
        let appended = siblings.is_empty() && self.sequence.last().copied() == after;
        let place = siblings.partition_point(|sibling| *sibling < id);
        siblings.insert(place, id);
        if appended && !self.stale {
            self.sequence.push(id);
        } else {
            self.stale = true;
        }
    }

    /// Brings [`Self::sequence`] up to date; once after every batch.
    pub(crate) fn settle(&mut self) {
        if !self.stale {
            return;
        }
        self.stale = false;
        self.sequence.clear();
        // A stack, not recursion: a list is as deep as it is long.
        let mut stack: Vec<OpId> = self.behind.get(&None).cloned().unwrap_or_default();
        while let Some(id) = stack.pop() {
            self.sequence.push(id);
            if let Some(followers) = self.behind.get(&Some(id)) {
                stack.extend(followers);
            }
        }
    }

    /// The list, first to last; settled.
    pub(crate) fn sequence(&self) -> &[OpId] {
        &self.sequence
    }
}
