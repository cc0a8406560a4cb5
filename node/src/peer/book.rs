//! What the node remembers besides envelopes and keys: relays, followed
//! timelines, the nickname. One versioned JSON row, small and rarely written.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{RelayKey, TimelineId};
use serde::{Deserialize, Serialize};

use crate::error::NodeError;

/// Name of the row.
pub(crate) const BOOK_ROW: &str = "book";

/// Relays that one node may know.
pub(crate) const RELAYS_MAX: usize = 16;

const VERSION: u32 = 1;

/// The row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Book {
    version: u32,
    pub(crate) nickname: String,
    /// `card_…`; the user's public record.
    pub(crate) card: String,
    /// In the order in which they were added.
    pub(crate) relays: Vec<RelayEntry>,
    /// By `tl_…`.
    pub(crate) timelines: BTreeMap<String, TimelineEntry>,
    #[serde(skip)]
    index: Index,
}

/// What is asked for with every frame, read out of the texts once. As of the
/// last [`Book::reindex`], so of the last save.
#[derive(Clone, Debug, Default)]
struct Index {
    followed: BTreeSet<TimelineId>,
    carriers: BTreeMap<TimelineId, Vec<RelayKey>>,
    /// In the order of [`Book::timelines`].
    carried: BTreeMap<RelayKey, Vec<TimelineId>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RelayEntry {
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) token: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TimelineEntry {
    /// Addresses.
    pub(crate) relays: Vec<String>,
    pub(crate) followed: bool,
    /// The nickname still has to be written, once the timeline can be written in.
    pub(crate) introduce: bool,
    /// The author key may be in use in another copy of this folder: a new one
    /// begins as soon as the timeline lets it in.
    #[serde(default)]
    pub(crate) renew_author: bool,
    /// Messages of others that were here at the last `read`.
    #[serde(default)]
    pub(crate) read_messages: u64,
}

impl Book {
    pub(crate) fn new(nickname: &str, card: String) -> Self {
        Self {
            version: VERSION,
            nickname: nickname.to_owned(),
            card,
            ..Self::default()
        }
    }

    /// # Errors
    /// [`NodeError::Settings`] for bytes that are not a book of a version that we know.
    pub(crate) fn decode(row: &[u8]) -> Result<Self, NodeError> {
        let mut book = serde_json::from_slice(row)
            .ok()
            .filter(|book: &Self| book.version == VERSION)
            .ok_or_else(|| NodeError::Settings {
                name: BOOK_ROW.to_owned(),
            })?;
        book.reindex();
        Ok(book)
    }

    /// Takes note of what changed in [`Book::timelines`]; before it is saved.
    pub(crate) fn reindex(&mut self) {
        let mut index = Index::default();
        for (id, entry) in &self.timelines {
            let Ok(id) = id.parse() else { continue };
            if entry.followed {
                index.followed.insert(id);
            }
            let addresses = entry.relays.iter().filter_map(|text| text.parse().ok());
            let carriers: Vec<RelayKey> = addresses.map(|of: RelayAddress| of.key).collect();
            for relay in carriers.iter().collect::<BTreeSet<_>>() {
                index.carried.entry(*relay).or_default().push(id);
            }
            index.carriers.insert(id, carriers);
        }
        self.index = index;
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    pub(crate) fn relay_addresses(&self) -> impl Iterator<Item = RelayAddress> {
        self.relays
            .iter()
            .filter_map(|entry| entry.address.parse().ok())
    }

    /// Whether this node wants to hear of the timeline.
    pub(crate) fn follows(&self, timeline: TimelineId) -> bool {
        self.index.followed.contains(&timeline)
    }

    /// Relays that carry `timeline`.
    pub(crate) fn carriers_of(&self, timeline: TimelineId) -> Vec<RelayKey> {
        let carriers = self.index.carriers.get(&timeline);
        carriers.cloned().unwrap_or_default()
    }

    /// Timelines that `relay` carries, those that were left included.
    pub(crate) fn carried_by(&self, relay: RelayKey) -> Vec<TimelineId> {
        let carried = self.index.carried.get(&relay);
        carried.cloned().unwrap_or_default()
    }
}
