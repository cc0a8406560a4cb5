//! Which envelope holds a message of mine: what receipts are compared with. Kept for
//! the newest pages only, so that it does not grow with the timeline.

use std::collections::BTreeMap;

use khlong_crdt::id::{AuthorKey, MessageId, Seq};
use khlong_crdt::reader::{Reader, Truncated};

use super::limits::SOURCE_PAGES_MAX;
use super::page::PageAddress;
use super::snapshot::put_count;

#[derive(Debug, Default)]
pub(crate) struct Sources {
    pages: BTreeMap<PageAddress, BTreeMap<MessageId, (AuthorKey, Seq)>>,
}

impl Sources {
    /// Notes the messages of one envelope. Returns the page that is forgotten for it:
    /// always the oldest, so that the order of receiving does not matter.
    pub(crate) fn note(
        &mut self,
        page: PageAddress,
        messages: Vec<MessageId>,
        source: (AuthorKey, Seq),
    ) -> Option<PageAddress> {
        if messages.is_empty() {
            return None;
        }
        let known = self.pages.entry(page).or_default();
        for message in messages {
            let kept = known.entry(message).or_insert(source);
            *kept = (*kept).min(source);
        }
        if self.pages.len() <= SOURCE_PAGES_MAX {
            return None;
        }
        self.pages.pop_first().map(|(oldest, _)| oldest)
    }

    /// For a snapshot: `count 4 ‖ (message 16 ‖ author 32 ‖ seq 8)*` of one page.
    pub(crate) fn encode(&self, page: &PageAddress, out: &mut Vec<u8>) {
        let messages = self.pages.get(page);
        put_count(out, messages.map_or(0, BTreeMap::len));
        for (message, (author, seq)) in messages.into_iter().flatten() {
            out.extend_from_slice(message.as_bytes());
            out.extend_from_slice(author.as_bytes());
            out.extend(seq.0.to_be_bytes());
        }
    }

    pub(crate) fn decode(
        &mut self,
        page: PageAddress,
        reader: &mut Reader<'_>,
    ) -> Result<(), Truncated> {
        for _ in 0..reader.u32()? {
            let message = MessageId::from_bytes(reader.array()?);
            let author = AuthorKey::from_bytes(reader.array()?);
            let source = (author, Seq(reader.u64()?));
            self.note(page, vec![message], source);
        }
        Ok(())
    }

    /// The first message that an envelope holds.
    pub(crate) fn message_in(&self, source: (AuthorKey, Seq)) -> Option<MessageId> {
        let mut newest_first = self.pages.values().rev();
        newest_first.find_map(|messages| {
            let mut held = messages.iter().filter(|(_, of)| **of == source);
            held.next().map(|(message, _)| *message)
        })
    }

    pub(crate) fn of(&self, message: &MessageId) -> Option<(AuthorKey, Seq)> {
        self.pages
            .values()
            .rev()
            .find_map(|messages| messages.get(message))
            .copied()
    }
}
