//! What is to be indexed next, decided from what the index knows and what the node shows.

use std::collections::BTreeMap;

use khlong_crdt::id::MessageId;

use super::entry::{Mark, PageName};

/// A page that the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its number in the index; never used for another page.
    pub(super) number: u64,
    pub(super) mark: Mark,
}

/// What the index is to do to be where the node is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// The newest pages first: who is interrupted has what is looked for most.
    pub(super) read: Vec<(PageName, Mark)>,
    /// Pages that are gone, by number.
    pub(super) forget: Vec<PageName>,
}

/// Compares page by page: an edit of an old message, or one that comes late, changes the mark of
/// its page alone.
pub(super) fn due(known: &BTreeMap<PageName, Known>, shown: &BTreeMap<PageName, Mark>) -> Due {
    let is_known = |(page, mark): &(&PageName, &Mark)| {
        known.get(page).is_some_and(|known| known.mark == **mark)
    };
    let changed = shown.iter().filter(|page| !is_known(page));
    let mut read: Vec<(PageName, Mark)> = changed.map(|(page, mark)| (*page, *mark)).collect();
    read.sort_by_key(|(page, _)| std::cmp::Reverse(page.n));
    let gone = known.keys().filter(|page| !shown.contains_key(page));
    Due {
        read,
        forget: gone.copied().collect(),
    }
}

/// Another one as soon as a message is to be found by something else.
pub(super) type Fingerprint = u64;

/// What is to change in the index, so that of a page it holds `shown` instead of `indexed`.
/// An edited message is removed and added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) remove: Vec<MessageId>,
    pub(super) add: Vec<MessageId>,
}

/// Only what differs is written, so a new message costs what it takes, not its page.
pub(super) fn changes(
    indexed: &BTreeMap<MessageId, Fingerprint>,
    shown: &BTreeMap<MessageId, Fingerprint>,
) -> Changes {
    let stale = indexed
        .iter()
        .filter(|(id, fingerprint)| shown.get(id) != Some(fingerprint));
    let fresh = shown
        .iter()
        .filter(|(id, fingerprint)| indexed.get(id) != Some(fingerprint));
    Changes {
        remove: stale.map(|(id, _)| *id).collect(),
        add: fresh.map(|(id, _)| *id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use khlong_crdt::id::{EpochId, TimelineId};

    use super::*;

    fn page(timeline: u8, n: u32) -> PageName {
        PageName {
            timeline: TimelineId::from_bytes([timeline; 32]),
            n,
            lineage: EpochId::ZERO,
        }
    }

    fn message(byte: u8) -> MessageId {
        MessageId::from_bytes([byte; 16])
    }

    #[test]
    fn only_changed_pages_are_read_and_the_newest_first() {
        let known = |mark| Known {
            number: 1,
            mark: [mark; 16],
        };
        let known = BTreeMap::from([
            (page(1, 0), known(1)),
            (page(1, 1), known(2)),
            (page(2, 0), known(3)),
        ]);
        let shown = BTreeMap::from([
            (page(1, 0), [9; 16]),
            (page(1, 1), [2; 16]),
            (page(1, 2), [4; 16]),
        ]);
        let due = due(&known, &shown);
        assert_eq!(due.read, [(page(1, 2), [4; 16]), (page(1, 0), [9; 16])]);
        assert_eq!(due.forget, [page(2, 0)], "a timeline that was given up");
        assert_eq!(super::due(&known, &BTreeMap::new()).forget.len(), 3);
    }

    #[test]
    fn only_what_differs_on_a_page_is_written() {
        let indexed = BTreeMap::from([(message(1), 1), (message(2), 2), (message(3), 3)]);
        let shown = BTreeMap::from([(message(1), 1), (message(2), 20), (message(4), 4)]);
        let changes = changes(&indexed, &shown);
        assert_eq!(
            changes.remove,
            [message(2), message(3)],
            "edited and deleted"
        );
        assert_eq!(changes.add, [message(2), message(4)], "edited and new");
    }
}
