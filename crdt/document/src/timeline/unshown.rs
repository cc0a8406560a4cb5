//! Which envelopes were opened and show nothing: their changes wait for others, or do not
//! count. A receipt tells of the places below the first of them only.

use std::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;
use khlong_crdt::id::AuthorKey;
use khlong_crdt::reader::{Reader, Truncated};

use super::limits::UNSHOWN_CHANGES_MAX;
use super::receipts::{heights, put_heights};
use super::snapshot::put_count;

/// A place of a chain.
type Place = (AuthorKey, u64);

#[derive(Debug, Default)]
pub(crate) struct Unshown {
    /// Changes of an envelope that do not count yet.
    waiting: BTreeSet<(Place, ChangeHash)>,
    /// The same by change, which may lie in several envelopes.
    by_change: BTreeSet<(ChangeHash, Place)>,
    /// How many wait of each author.
    counts: BTreeMap<AuthorKey, usize>,
    /// The first place of an author of which something will never count, or was not noted for want of room.
    ends: BTreeMap<AuthorKey, u64>,
    /// Something was not noted for want of room.
    is_short: bool,
}

impl Unshown {
    /// Notes that a change in the envelope at a place does not count yet.
    pub(crate) fn wait(&mut self, author: AuthorKey, seq: u64, change: ChangeHash) {
        if self.ends.get(&author).is_some_and(|end| *end <= seq) {
            return; // it makes no difference any more
        }
        if self.counts.get(&author).copied().unwrap_or(0) >= UNSHOWN_CHANGES_MAX {
            self.is_short = true;
            return self.never(author, seq);
        }
        if self.waiting.insert(((author, seq), change)) {
            self.by_change.insert((change, (author, seq)));
            *self.counts.entry(author).or_default() += 1;
        }
    }

    /// Notes that something of the envelope at a place will never count.
    pub(crate) fn never(&mut self, author: AuthorKey, seq: u64) {
        let end = self.ends.entry(author).or_insert(seq);
        *end = seq.min(*end);
        let from = ((author, *end), ChangeHash([0; 32]));
        let to = ((author, u64::MAX), ChangeHash([0xff; 32]));
        let moot: Vec<_> = self.waiting.range(from..=to).copied().collect();
        for (place, change) in moot {
            self.remove(place, change);
        }
    }

    /// Notes that a change counts now.
    pub(crate) fn shown(&mut self, change: ChangeHash) {
        let none = AuthorKey::from_bytes([0; 32]);
        let all = AuthorKey::from_bytes([0xff; 32]);
        let range = (change, (none, 0))..=(change, (all, u64::MAX));
        let places: Vec<_> = self.by_change.range(range).copied().collect();
        for (_, place) in places {
            self.remove(place, change);
        }
    }

    /// The first place of a chain that was opened and does not show; None if all of it does.
    pub(crate) fn first(&self, author: &AuthorKey) -> Option<u64> {
        let from = ((*author, 0), ChangeHash([0; 32]));
        let waiting = self.waiting.range(from..).next();
        let waiting = waiting.filter(|((of, _), _)| of == author);
        let waiting = waiting.map(|((_, seq), _)| *seq);
        let end = self.ends.get(author).copied();
        waiting.into_iter().chain(end).min()
    }

    /// Whether everything was noted.
    pub(crate) const fn is_whole(&self) -> bool {
        !self.is_short
    }

    /// For a snapshot: the ends, then `count 4 ‖ (author 32 ‖ seq 8 ‖ change 32)*`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_heights(out, &self.ends);
        put_count(out, self.waiting.len());
        for ((author, seq), change) in &self.waiting {
            out.extend_from_slice(author.as_bytes());
            out.extend(seq.to_be_bytes());
            out.extend_from_slice(&change.0);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        let mut unshown = Self {
            ends: heights(reader)?,
            ..Self::default()
        };
        for _ in 0..reader.u32()? {
            let author = AuthorKey::from_bytes(reader.array()?);
            let seq = reader.u64()?;
            unshown.wait(author, seq, ChangeHash(reader.array()?));
        }
        Ok(unshown)
    }

    fn remove(&mut self, place: Place, change: ChangeHash) {
        if !self.waiting.remove(&(place, change)) {
            return;
        }
        self.by_change.remove(&(change, place));
        if let Some(count) = self.counts.get_mut(&place.0) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&place.0);
            }
        }
    }
}
