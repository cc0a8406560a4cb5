//! What the node remembers besides envelopes and keys: relays, followed
//! timelines, the nickname. One versioned JSON row, small and rarely written.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{RelayKey, TimelineId};
use serde::{Deserialize, Serialize};

use super::no_room::NoRoom;
use crate::error::NodeError;

/// Name of the row.
pub(crate) const BOOK_ROW: &str = "book";

/// Relays that one node may know.
pub(crate) const RELAYS_MAX: usize = 16;

/// Full relays that were left and are remembered, of one timeline: as many as it may name.
const UNTOLD_MAX: usize = khlong_document::timeline::limits::CARRIERS_MAX;

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
    /// Stays in sync, and draws no attention to itself.
    #[serde(default)]
    pub(crate) muted: bool,
    /// Keys of relays that this node does not use here, whatever the timeline says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) apart: BTreeSet<String>,
    /// By relay: up to which arrival of each class it was given what others wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) given: BTreeMap<String, Arrivals>,
    /// Relays that this node takes away from the timeline, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parting: BTreeMap<String, Parting>,
    /// By relay: the code with which it refused for good something that it was offered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) refusing: BTreeMap<String, u32>,
    /// Addresses of relays that were left and had no room for the word of it, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) untold: BTreeMap<String, String>,
}

/// An arrival of each class, by its number.
pub(crate) type Arrivals = [u64; 4];

/// A relay that is taken away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parting {
    /// What another relay must have before this one may go.
    pub(crate) ends: Arrivals,
    /// The envelope by which everybody is told, once it is written: `env_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removal: Option<String>,
    /// The relay that goes has signed for that, in the log of now.
    #[serde(default)]
    pub(crate) has_heard: bool,
    /// It has no room for that, or for what that rests on.
    #[serde(default)]
    pub(crate) is_full: bool,
    /// It had none just now; until it is full, or has room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) no_room: Option<NoRoom>,
    /// It was read to its end since, and `ends` are of then.
    pub(crate) is_last: bool,
}

impl TimelineEntry {
    pub(crate) fn new(relays: Vec<String>) -> Self {
        Self {
            relays,
            followed: true,
            introduce: false,
            renew_author: false,
            read_messages: 0,
            muted: false,
            apart: BTreeSet::new(),
            given: BTreeMap::new(),
            parting: BTreeMap::new(),
            refusing: BTreeMap::new(),
            untold: BTreeMap::new(),
        }
    }

    /// A relay that carries it is at another address.
    pub(crate) fn set_address(&mut self, address: &RelayAddress) {
        for relay in &mut self.relays {
            if is_address_of(relay, address.key) {
                *relay = address.to_string();
            }
        }
    }

    /// Takes a relay out, with what was noted of it.
    pub(crate) fn remove_relay(&mut self, key: RelayKey) {
        let name = key.to_string();
        let parting = self.parting.remove(&name);
        if parting.is_some_and(|it| it.is_full)
            && self.untold.len() < UNTOLD_MAX
            && let Some(address) = self.relays.iter().find(|it| is_address_of(it, key))
        {
            self.untold.insert(name.clone(), address.clone());
        }
        self.relays.retain(|relay| !is_address_of(relay, key));
        self.given.remove(&name);
        self.refusing.remove(&name);
    }
}

impl RelayEntry {
    fn is_of(&self, key: RelayKey) -> bool {
        is_address_of(&self.address, key)
    }
}

fn is_address_of(text: &str, key: RelayKey) -> bool {
    text.parse()
        .is_ok_and(|known: RelayAddress| known.key == key)
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
            // A relay may be named at several addresses.
            let mut carriers: Vec<RelayKey> = Vec::new();
            for key in addresses.map(|of: RelayAddress| of.key) {
                if !carriers.contains(&key) {
                    carriers.push(key);
                }
            }
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

    /// The relay as it was added here, if it was.
    pub(crate) fn relay(&self, key: RelayKey) -> Option<&RelayEntry> {
        self.relays.iter().find(|entry| entry.is_of(key))
    }

    /// Notes a relay that a person added: a relay is its key, so the same key at another
    /// address has moved, and is found there from now on by every timeline that it carries.
    /// Without a token it keeps the one that it had.
    ///
    /// # Errors
    /// [`NodeError::Usage`] for one more than [`RELAYS_MAX`].
    pub(crate) fn add_relay(
        &mut self,
        address: &RelayAddress,
        token: Option<String>,
    ) -> Result<(), NodeError> {
        let text = address.to_string();
        let is_full = self.relays.len() >= RELAYS_MAX;
        let known = self.relays.iter_mut();
        match known.into_iter().find(|entry| entry.is_of(address.key)) {
            Some(known) => {
                known.address.clone_from(&text);
                known.token = token.or_else(|| known.token.take());
            }
            None if is_full => {
                return Err(NodeError::Usage(format!(
                    "a node knows at most {RELAYS_MAX} relays; `khlong relay rm` forgets one"
                )));
            }
            None => self.relays.push(RelayEntry {
                address: text.clone(),
                token,
            }),
        }
        for entry in self.timelines.values_mut() {
            entry.apart.remove(&address.key.to_string());
            entry.set_address(address);
        }
        Ok(())
    }

    /// Lets a relay carry every followed timeline that has none, and says which these are.
    pub(crate) fn adopt(&mut self, address: &RelayAddress) -> Vec<TimelineId> {
        let text = address.to_string();
        let mut adopted = Vec::new();
        for (id, entry) in &mut self.timelines {
            if let Ok(id) = id.parse()
                && entry.followed
                && entry.relays.is_empty()
            {
                entry.relays.push(text.clone());
                adopted.push(id);
            }
        }
        adopted
    }

    /// Forgets a relay, also in the timelines that it carries.
    pub(crate) fn remove_relay(&mut self, key: RelayKey) {
        self.relays.retain(|entry| !entry.is_of(key));
        for entry in self.timelines.values_mut() {
            let carried = entry.relays.len();
            entry.remove_relay(key);
            // A timeline may have it for others: to them nothing changes.
            if entry.relays.len() < carried {
                entry.apart.insert(key.to_string());
            }
        }
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
