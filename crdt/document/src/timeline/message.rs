//! Messages as a person sees them: the entry, and what later entries say about it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use khlong_crdt::id::{AuthorKey, MediaRootId, MessageId, PrincipalKey, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::entry::{Entry, OpId, Section};
use super::limits::{ATTACHMENTS_MAX, EMOJI_BYTES_MAX};
use super::page::{Page, PageAddress};

const MESSAGE_CONTEXT: &str = "khlong.network 2026-11 message id v1";
const IMPORT_CONTEXT: &str = "khlong.network 2026-11 import id v1";

/// Keys of the maps in a page; short, because every message carries them.
pub(crate) mod key {
    use std::borrow::Cow;

    pub(crate) const BODY: &str = "b";
    pub(crate) const SENT_AT: &str = "t";
    pub(crate) const REPLY_TO: &str = "r";
    pub(crate) const ATTACHMENTS: &str = "a";
    pub(crate) const ORIGIN_NETWORK: &str = "on";
    pub(crate) const ORIGIN_SENDER: &str = "os";
    pub(crate) const IMPORT_KEY: &str = "i";
    pub(crate) const TARGET: &str = "m";
    pub(crate) const EMOJI: &str = "e";
    pub(crate) const UNDONE: &str = "x";

    const ALL: [&str; 10] = [
        BODY,
        SENT_AT,
        REPLY_TO,
        ATTACHMENTS,
        ORIGIN_NETWORK,
        ORIGIN_SENDER,
        IMPORT_KEY,
        TARGET,
        EMOJI,
        UNDONE,
    ];

    /// The same; it takes no memory of its own where it is one of these.
    pub(crate) fn known(key: &str) -> Cow<'static, str> {
        let known = ALL.into_iter().find(|known| *known == key);
        known.map_or_else(|| Cow::Owned(key.to_owned()), Cow::Borrowed)
    }
}

/// Where an imported message came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// For example `irc` or `line`.
    pub network: String,
    /// Who wrote it there; the importer only vouches for having imported it.
    pub sender: String,
}

/// A message. Text is as it was written, control characters included: whoever
/// prints it to a terminal escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The page that holds it.
    pub page: PageAddress,
    /// The device that wrote it.
    pub author: AuthorKey,
    /// The member behind the device, once known.
    pub principal: Option<PrincipalKey>,
    /// What the writer's clock said; never used for order.
    pub sent_at: UnixMillis,
    /// The text after the last edit; empty when deleted.
    pub body: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// Roots of media.
    pub attachments: Vec<MediaRootId>,
    /// Set on imported messages.
    pub origin: Option<Origin>,
    /// How often it was edited.
    pub edits: usize,
    /// When it was last edited, by the writer's clock.
    pub edited_at: Option<UnixMillis>,
    /// Emoji → members, both sorted.
    pub reactions: BTreeMap<String, BTreeSet<PrincipalKey>>,
    /// Whether its author deleted it.
    pub deleted: bool,
}

/// Id of the message that `entry` is.
pub(crate) fn message_id(timeline: &TimelineId, address: &PageAddress, entry: &Entry) -> MessageId {
    if let Some(import_key) = entry.array::<16>(key::IMPORT_KEY) {
        return imported_id(timeline, &import_key);
    }
    let mut hasher = blake3::Hasher::new_derive_key(MESSAGE_CONTEXT);
    hasher
        .update(timeline.as_bytes())
        .update(address.lineage.as_bytes())
        .update(&address.n.to_be_bytes());
    hasher
        .update(entry.id.author.as_bytes())
        .update(&entry.id.counter.to_be_bytes());
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    MessageId::from_bytes(id)
}

/// Id of an imported message: the same on every device that imports it.
#[must_use]
pub fn imported_id(timeline: &TimelineId, import_key: &[u8; 16]) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key(IMPORT_CONTEXT);
    hasher.update(timeline.as_bytes()).update(import_key);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    MessageId::from_bytes(id)
}

/// The message that an edit, a reaction or a delete means.
pub(crate) fn target(entry: &Entry) -> Option<MessageId> {
    entry.array(key::TARGET).map(MessageId::from_bytes)
}

/// What the entries of a page say about its messages.
pub(crate) struct PageView<'a> {
    timeline: TimelineId,
    address: PageAddress,
    page: &'a Page,
    principal_of: &'a dyn Fn(&AuthorKey) -> Option<PrincipalKey>,
    edits: BTreeMap<MessageId, Vec<&'a Entry>>,
    deletes: BTreeMap<MessageId, Vec<&'a Entry>>,
    reactions: BTreeMap<MessageId, Vec<&'a Entry>>,
}

impl<'a> PageView<'a> {
    pub(crate) fn new(
        timeline: TimelineId,
        address: PageAddress,
        page: &'a Page,
        principal_of: &'a dyn Fn(&AuthorKey) -> Option<PrincipalKey>,
    ) -> Self {
        let by_target = |section| {
            let mut found: BTreeMap<MessageId, Vec<&Entry>> = BTreeMap::new();
            for entry in page.list(section) {
                if let Some(id) = target(entry) {
                    found.entry(id).or_default().push(entry);
                }
            }
            found
        };
        Self {
            timeline,
            address,
            page,
            principal_of,
            edits: by_target(Section::Edits),
            deletes: by_target(Section::Deletes),
            reactions: by_target(Section::Reactions),
        }
    }

    /// Messages in list order; of equal ids the first.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (MessageId, &'a Entry)> {
        let mut seen = BTreeSet::new();
        let (timeline, address) = (self.timeline, self.address);
        self.page
            .list(Section::Messages)
            .map(move |entry| (message_id(&timeline, &address, entry), entry))
            .filter(move |(id, _)| seen.insert(*id))
    }

    /// Messages at these places of the page, if each of its entries is one of the `count`
    /// messages that count here: then nobody has to look at those before.
    pub(crate) fn messages_at(
        &self,
        within: Range<usize>,
        count: usize,
    ) -> Option<impl Iterator<Item = (MessageId, &'a Entry)>> {
        let places = self.page.places(Section::Messages)?;
        let wanted = places.get(within).filter(|_| places.len() == count)?;
        let (timeline, address, page) = (self.timeline, self.address, self.page);
        let entries = wanted.iter().filter_map(|place| page.entry(place));
        Some(entries.map(move |entry| (message_id(&timeline, &address, entry), entry)))
    }

    pub(crate) fn message(&self, id: MessageId, entry: &Entry) -> Message {
        let author = entry.id.author;
        let principal = (self.principal_of)(&author);
        let by_its_author = |other: &&&Entry| {
            other.id.author == author
                || (principal.is_some() && (self.principal_of)(&other.id.author) == principal)
        };
        let entries =
            |of: &BTreeMap<MessageId, Vec<&'a Entry>>| of.get(&id).cloned().unwrap_or_default();
        let deleted = entries(&self.deletes)
            .iter()
            .any(|entry| by_its_author(&entry));
        let edits: Vec<&Entry> = entries(&self.edits)
            .into_iter()
            .filter(|edit| by_its_author(&edit) && edit.text(key::BODY).is_some())
            .collect();
        // The order of operations, not of clocks: causally later is greater.
        let last_edit = edits.iter().max_by_key(|edit| edit.id).filter(|_| !deleted);
        let body = last_edit
            .copied()
            .unwrap_or(entry)
            .text(key::BODY)
            .unwrap_or_default();
        let origin = entry.text(key::ORIGIN_NETWORK).map(|network| Origin {
            network: network.to_owned(),
            sender: entry
                .text(key::ORIGIN_SENDER)
                .unwrap_or_default()
                .to_owned(),
        });
        let attachments = entry.bytes(key::ATTACHMENTS).unwrap_or_default();
        Message {
            id,
            page: self.address,
            author,
            principal,
            sent_at: UnixMillis(entry.number(key::SENT_AT).unwrap_or(0)),
            body: if deleted {
                String::new()
            } else {
                body.to_owned()
            },
            reply_to: entry.array(key::REPLY_TO).map(MessageId::from_bytes),
            attachments: attachments
                .as_chunks::<32>()
                .0
                .iter()
                .take(ATTACHMENTS_MAX)
                .map(|root| MediaRootId::from_bytes(*root))
                .collect(),
            origin,
            edits: edits.len(),
            edited_at: last_edit.map(|edit| UnixMillis(edit.number(key::SENT_AT).unwrap_or(0))),
            reactions: self.reactions(&entries(&self.reactions)),
            deleted,
        }
    }

    /// The greatest operation of each (member, emoji) says whether it stands.
    fn reactions(&self, entries: &[&Entry]) -> BTreeMap<String, BTreeSet<PrincipalKey>> {
        let mut last: BTreeMap<(&str, PrincipalKey), (OpId, bool)> = BTreeMap::new();
        for entry in entries {
            let Some(emoji) = entry
                .text(key::EMOJI)
                .filter(|emoji| !emoji.is_empty() && emoji.len() <= EMOJI_BYTES_MAX)
            else {
                continue;
            };
            let Some(principal) = (self.principal_of)(&entry.id.author) else {
                continue;
            };
            let says = (entry.id, !entry.flag(key::UNDONE));
            let known = last.entry((emoji, principal)).or_insert(says);
            *known = says.max(*known);
        }
        let mut reactions: BTreeMap<String, BTreeSet<PrincipalKey>> = BTreeMap::new();
        for ((emoji, principal), (_, stands)) in last {
            if stands {
                reactions
                    .entry(emoji.to_owned())
                    .or_default()
                    .insert(principal);
            }
        }
        reactions
    }
}
