//! What the search index asks of a node: pages and their marks, messages, who is meant.
//! It only looks; the index is a view that lives beside the peer (`crate::search`).

use std::collections::BTreeMap;

use khlong_crdt::id::{MessageId, TimelineId};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::message::Message;
use khlong_document::timeline::page::PageAddress;

use super::find::ID_LETTERS_MIN;
use super::names::Names;
use super::{IndexKey, Peer};
use crate::api::MessageView;
use crate::error::NodeError;
use crate::search::entry::{Entry, Mark, PageName, folded, sender};

/// Who may be meant by a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Authors {
    /// Members, as [`Entry::author`].
    pub(crate) members: Vec<String>,
    /// Senders of imported messages, the same; it is not known here whether there are any.
    pub(crate) sender: String,
    /// Somebody is blocked: the index may hold nothing of a sender who is known.
    pub(crate) may_be_hidden: bool,
}

impl Peer {
    pub(crate) fn index_key(&self) -> IndexKey {
        self.vault.index_key().clone()
    }

    pub(crate) fn searched_timelines(&self) -> Vec<TimelineId> {
        self.timelines.keys().copied().collect()
    }

    /// Pages that show messages. Who learns whose device an author is sees other authors, and who
    /// blocks a member sees fewer messages, so both are part of the marks.
    pub(crate) fn searched_pages(&self, id: TimelineId) -> BTreeMap<PageName, Mark> {
        let Some(open) = self.timelines.get(&id) else {
            return BTreeMap::new();
        };
        let authors = open.admission().map_or(0, |known| known.authors().count());
        let blocked = self.blocked_mark(id);
        let pages = open.shown_pages().map(|page| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&page.hash);
            hasher.update(&(page.messages as u64).to_be_bytes());
            hasher.update(&(authors as u64).to_be_bytes());
            // None while nobody is blocked: the marks of nearly every index stay what they were.
            if let Some(blocked) = &blocked {
                hasher.update(blocked.as_bytes());
            }
            let mut mark = [0; 16];
            hasher.finalize_xof().fill(&mut mark);
            (PageName::new(id, &page.address), mark)
        });
        pages.collect()
    }

    /// Another one as soon as another member of the timeline is hidden.
    fn blocked_mark(&self, id: TimelineId) -> Option<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        for principal in self.blocks.members_of(id) {
            hasher.update(principal.as_bytes());
        }
        (hasher.count() > 0).then(|| hasher.finalize())
    }

    /// Messages of a page that can be found. What a blocked member wrote, or brought in by an
    /// import, is not among them: it would take the places of what is shown.
    pub(crate) fn searched_entries(&self, page: &PageName) -> Vec<Entry> {
        let Some(open) = self.timelines.get(&page.timeline) else {
            return Vec::new();
        };
        let messages = open.messages_on(&address(page)).into_iter();
        let standing = messages
            .filter(|message| !message.deleted && !self.blocks.hides(page.timeline, message));
        let entries = standing.map(|message| Entry {
            id: message.id,
            author: author_of(&message),
            sent_at: message.sent_at,
            body: message.body,
        });
        entries.collect()
    }

    /// The timeline that a person names.
    pub(crate) fn searched_timeline(&self, name: &str) -> Result<TimelineId, NodeError> {
        self.resolve(name)
    }

    /// Those whose nickname, shown name or key, or its start, it is.
    pub(crate) fn searched_authors(&self, name: &str) -> Authors {
        let wanted = folded(name);
        let is_meant = |key: &str, names: [&str; 2]| {
            names.iter().any(|known| folded(known) == wanted)
                || (name.len() >= ID_LETTERS_MIN && key.starts_with(name))
        };
        let mut members = Vec::new();
        for open in self.timelines.values() {
            let names = Names::of(open);
            for member in open.members() {
                let key = member.principal.to_string();
                let shown = names.get(member.principal);
                let nickname = member.nickname.unwrap_or_default();
                if is_meant(&key, [&nickname, &shown]) {
                    members.push(key);
                }
            }
        }
        Authors {
            members,
            sender: sender(name),
            may_be_hidden: self.blocks.all().next().is_some(),
        }
    }

    /// What the index found on a page, as it stands now, with the title of the timeline.
    pub(crate) fn searched_views(
        &self,
        page: &PageName,
        ids: &[MessageId],
    ) -> (String, Vec<(MessageId, MessageView)>) {
        let Some(open) = self.timelines.get(&page.timeline) else {
            return Default::default();
        };
        let names = Names::of(open);
        let messages = open.messages_on(&address(page)).into_iter();
        let found = messages.filter(|message| !message.deleted && ids.contains(&message.id));
        let views = found.map(|message| (message.id, self.message_view(open, &names, &message)));
        (title(open), views.collect())
    }
}

fn title(open: &Timeline) -> String {
    open.state().title.unwrap_or_default()
}

fn author_of(message: &Message) -> String {
    match (&message.origin, message.principal) {
        (Some(origin), _) => sender(&origin.sender),
        (None, Some(principal)) => principal.to_string(),
        (None, None) => message.author.to_string(),
    }
}

fn address(page: &PageName) -> PageAddress {
    PageAddress {
        kind: khlong_document::timeline::genesis::DocumentKind::Page,
        n: page.n,
        lineage: page.lineage,
    }
}
