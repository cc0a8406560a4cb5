//! Pages in a snapshot, and back.

use std::collections::BTreeMap;

use khlong_crdt::id::MessageId;
use khlong_crdt::reader::Reader;

use super::{Pages, Slot};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::OPEN_PAGES_MAX;
use crate::timeline::page::PageAddress;
use crate::timeline::shelf::Shelved;
use crate::timeline::snapshot::{SnapshotError, put_count};
use crate::timeline::unshown::Unshown;

impl Pages {
    /// Whether snapshots of all pages say all there is. Changes that wait within a page
    /// are in them; those for pages out of reach are not, nor what found no room.
    pub(crate) fn can_be_saved(&self) -> bool {
        let is_whole = self.far.is_empty() && self.unshown.is_whole();
        is_whole && !self.must_reread && self.rules.hidden.is_empty()
    }

    /// Pages that hold something.
    pub(crate) fn begun(&self) -> impl Iterator<Item = PageAddress> {
        let begun = self.slots.iter().filter(|(_, slot)| slot.is_begun());
        begun.map(|(address, _)| *address)
    }

    /// All that changed is in a snapshot.
    pub(crate) fn note_saved(&mut self) {
        self.changed.clear();
    }

    /// There is no snapshot to add to.
    pub(crate) fn note_all_changed(&mut self) {
        self.changed = self.begun().collect();
    }

    pub(crate) const fn unshown(&self) -> &Unshown {
        &self.unshown
    }

    /// The pages that changed: [`Shelved::encode`], then `count 4 ‖ message 16*`. None if one
    /// of them is not to be restored.
    pub(crate) fn save_changed(&self) -> Option<BTreeMap<PageAddress, Vec<u8>>> {
        let mut saved = BTreeMap::new();
        let mut ids: BTreeMap<PageAddress, Vec<MessageId>> = BTreeMap::new();
        for (id, address) in &self.index {
            if self.changed.contains(address) {
                ids.entry(*address).or_default().push(*id);
            }
        }
        for address in &self.changed {
            let slot = self.slots.get(address)?;
            if !slot.is_begun() {
                continue;
            }
            let mut bytes = match slot {
                Slot::Open(page) => Shelved::pack(page).encode()?,
                Slot::Shelved(shelved) => shelved.encode()?,
            };
            let ids = ids.remove(address).unwrap_or_default();
            put_count(&mut bytes, ids.len());
            bytes.extend(ids.iter().flat_map(|id| *id.as_bytes()));
            saved.insert(*address, bytes);
        }
        Some(saved)
    }

    /// Puts one page back; [`Self::restored`] comes after the last.
    pub(crate) fn restore_page(
        &mut self,
        address: PageAddress,
        reader: &mut Reader<'_>,
    ) -> Result<Vec<(MessageId, PageAddress)>, SnapshotError> {
        let shelved = Shelved::decode(reader)?;
        self.slots.insert(address, Slot::Shelved(shelved));
        let mut ids = Vec::new();
        for _ in 0..reader.u32()? {
            ids.push((MessageId::from_bytes(reader.array()?), address));
        }
        Ok(ids)
    }

    /// Counts what was put back. Documents of state, which every view looks into, are unpacked;
    /// pages of messages lie packed until somebody reads or writes there.
    pub(crate) fn restored(&mut self, ids: Vec<(MessageId, PageAddress)>, unshown: Unshown) {
        self.index = ids.into_iter().collect();
        self.count_visible();
        self.unshown = unshown;
        let state = self.slots.keys().rev();
        let state = state.filter(|address| address.kind == DocumentKind::State);
        let newest: Vec<_> = state.take(OPEN_PAGES_MAX).copied().collect();
        for address in newest.into_iter().rev() {
            self.open(address);
        }
    }
}
