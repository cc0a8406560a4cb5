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
    sequence: Vec<OpId>,
    /// An insertion fell far from the end, and nobody has asked since.
    stale: bool,
}

/// Elements at the end among which an insertion finds its place by itself. What people write
/// at one time stands there.
const NEAR_END: usize = 256;

impl ListOrder {
    pub(crate) fn insert(&mut self, id: OpId, after: Option<OpId>) {
        let siblings = self.behind.entry(after).or_default();
        let place = siblings.partition_point(|sibling| *sibling < id);
        siblings.insert(place, id);
        if self.stale {
            return;
        }
        match self.place_near_end(id, after) {
            Some(place) => self.sequence.insert(place, id),
            None => self.stale = true,
        }
    }

    /// Where `id` stands in the sequence, if that is near the end.
    ///
    /// Operations rise from each element to what stands behind it, so all that follows a
    /// greater sibling is greater than `id`, and what comes after the siblings is less: the
    /// place is before the first lesser one (Roh et al., JPDC 71, 2011: RGA).
    fn place_near_end(&self, id: OpId, after: Option<OpId>) -> Option<usize> {
        let begin = self.sequence.len().saturating_sub(NEAR_END);
        let end = self.sequence.get(begin..)?;
        let from = match after {
            Some(after) => end.iter().rposition(|element| *element == after)? + 1,
            None if begin == 0 => 0,
            None => return None,
        };
        let greater = end.get(from..)?.iter().take_while(|element| **element > id);
        Some(begin + from + greater.count())
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
