//! How far one author's chain was received: a height, and runs beyond holes.

use std::collections::BTreeMap;

use super::limits::CHAIN_RUNS_MAX;

/// A run of places without a hole.
#[derive(Clone, Copy, Debug)]
struct Run {
    last: u64,
    /// The highest content in it; 0 = none.
    content: u64,
}

/// There are too many holes to remember one more run.
#[derive(Debug)]
pub(crate) struct RunsFull;

#[derive(Debug, Default)]
pub(crate) struct Chain {
    height: u64,
    content: u64,
    /// By first place; none begins at `height + 1`.
    beyond: BTreeMap<u64, Run>,
}

impl Chain {
    /// Everything up to here was received and opened.
    pub(crate) const fn height(&self) -> u64 {
        self.height
    }

    /// The highest content (kind change) at or below the height; 0 = none.
    pub(crate) const fn content(&self) -> u64 {
        self.content
    }

    pub(crate) fn runs(&self) -> usize {
        self.beyond.len()
    }

    /// Notes a place; `has_room` for one more run, as far as others are concerned.
    pub(crate) fn received(
        &mut self,
        seq: u64,
        is_content: bool,
        has_room: bool,
    ) -> Result<(), RunsFull> {
        let content = if is_content { seq } else { 0 };
        if seq <= self.height {
            self.content = self.content.max(content);
            return Ok(());
        }
        let before = self.beyond.range_mut(..=seq).next_back();
        let mut run = Run { last: seq, content };
        let first = match before {
            Some((_, known)) if known.last >= seq => {
                known.content = known.content.max(content);
                return Ok(());
            }
            Some((first, known)) if known.last + 1 == seq => {
                run.content = known.content.max(content);
                *first
            }
            Some(_) | None => seq,
        };
        let next = seq
            .checked_add(1)
            .and_then(|next| self.beyond.remove(&next));
        if let Some(next) = next {
            run.last = next.last;
            run.content = run.content.max(next.content);
        }
        if first == self.height + 1 {
            self.beyond.remove(&first);
            self.height = run.last;
            self.content = self.content.max(run.content);
            return Ok(());
        }
        let is_one_more = first == seq && next.is_none();
        if is_one_more && (self.beyond.len() >= CHAIN_RUNS_MAX || !has_room) {
            return Err(RunsFull);
        }
        self.beyond.insert(first, run);
        Ok(())
    }
}
