//! Which envelope holds a message of mine: what receipts are compared with. Kept for
//! the newest pages only, so that it does not grow with the timeline.

use std::collections::BTreeMap;

use khlong_crdt::id::{AuthorKey, MessageId, Seq};

use super::limits::SOURCE_PAGES_MAX;
use super::page::PageAddress;

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
