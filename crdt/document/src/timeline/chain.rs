//! How far one author's chain was received: a height, and runs beyond holes.

use std::collections::BTreeMap;

use khlong_crdt::reader::{Reader, Truncated};

use super::limits::CHAIN_RUNS_MAX;
use super::snapshot::put_count;

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

    /// `height 8 ‖ content 8 ‖ count 4 ‖ (first 8 ‖ last 8 ‖ content 8)*`, of a snapshot.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.height.to_be_bytes());
        out.extend(self.content.to_be_bytes());
        put_count(out, self.beyond.len());
        for (first, run) in &self.beyond {
            out.extend(first.to_be_bytes());
            out.extend(run.last.to_be_bytes());
            out.extend(run.content.to_be_bytes());
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        let (height, content) = (reader.u64()?, reader.u64()?);
        let mut beyond = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let first = reader.u64()?;
            let (last, content) = (reader.u64()?, reader.u64()?);
            beyond.insert(first, Run { last, content });
        }
        Ok(Self {
            height,
            content,
            beyond,
        })
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
