//! Which relays carry a timeline, as far as its admins have said (`DOCUMENT.md`, section 5).
//!
//! An entry adds or takes away one relay; of several about one relay the greatest operation
//! counts. What nobody has spoken of is left to each member: the link by which it came.

use std::collections::BTreeMap;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{AuthorKey, RelayKey};

use super::entry::{OpId, Section};
use super::limits::{CARRIERS_MAX, RELAY_BYTES_MAX};
use super::page::Page;
use super::state::key;

/// What was said last of one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The relay.
    pub relay: RelayAddress,
    /// The timeline has moved away from it.
    pub is_removed: bool,
    /// Who said so.
    pub author: AuthorKey,
}

/// Order of an entry across the pages of the state document.
type At = (u32, OpId);

/// Folds the pages of the state document, in any order.
#[derive(Default)]
pub(crate) struct CarrierFold {
    relays: BTreeMap<RelayKey, (At, RelayAddress, bool)>,
}

impl CarrierFold {
    pub(crate) fn add(&mut self, n: u32, page: &Page, is_admin: &dyn Fn(&AuthorKey) -> bool) {
        for entry in page.list(Section::Titles) {
            let text = entry.text(key::RELAY);
            let Some(text) = text.filter(|text| text.len() <= RELAY_BYTES_MAX) else {
                continue;
            };
            let Ok(relay) = text.parse::<RelayAddress>() else {
                continue;
            };
            let at = (n, entry.id);
            let known = self.relays.get(&relay.key);
            if known.is_none_or(|(before, ..)| *before < at) && is_admin(&entry.id.author) {
                let is_removed = entry.flag(key::UNDONE);
                self.relays.insert(relay.key, (at, relay, is_removed));
            }
        }
    }

    /// In the order in which they were said, the newest [`CARRIERS_MAX`]. Where each was taken
    /// away, by admins who did not know of each other, the last of these words does not count.
    pub(crate) fn finish(self) -> Vec<Carrier> {
        let mut said: Vec<(At, RelayAddress, bool)> = self.relays.into_values().collect();
        said.sort_unstable_by_key(|(at, ..)| *at);
        let old = said.len().saturating_sub(CARRIERS_MAX);
        let newest = said.into_iter().skip(old);
        let mut newest: Vec<Carrier> = newest
            .map(|((_, id), relay, is_removed)| Carrier {
                relay,
                is_removed,
                author: id.author,
            })
            .collect();
        if newest.iter().all(|it| it.is_removed)
            && let Some(last) = newest.last_mut()
        {
            last.is_removed = false;
        }
        newest
    }
}
