//! Pages in a snapshot, and back.

use std::collections::BTreeMap;

use khlong_crdt::id::MessageId;
use khlong_crdt::reader::Reader;

use super::{Pages, Slot};
use crate::timeline::entry::Section;
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::OPEN_PAGES_MAX;
use crate::timeline::message::message_id;
use crate::timeline::page::{Page, PageAddress};
use crate::timeline::shelf::Shelved;
use crate::timeline::snapshot::{NoSnapshot, SnapshotError};
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
        for address in std::mem::take(&mut self.changed) {
            if let Some(Slot::Shelved(shelved)) = self.slots.get_mut(&address) {
                shelved.messages = Vec::new();
            }
        }
    }

    pub(crate) const fn unshown(&self) -> &Unshown {
        &self.unshown
    }

    /// The pages that changed.
    ///
    /// # Errors
    /// One of them is not to be restored.
    pub(crate) fn save_changed(&self) -> Result<BTreeMap<PageAddress, Vec<u8>>, NoSnapshot> {
        let mut saved = BTreeMap::new();
        for address in &self.changed {
            let slot = self.slots.get(address).ok_or(NoSnapshot::ForNow)?;
            if !slot.is_begun() {
                continue;
            }
            let bytes = match slot {
                Slot::Open(page) => self.save(*address, &self.pack(address, page))?,
                Slot::Shelved(shelved) => self.save(*address, shelved)?,
            };
            saved.insert(*address, bytes);
        }
        Ok(saved)
    }

    fn save(&self, page: PageAddress, shelved: &Shelved) -> Result<Vec<u8>, NoSnapshot> {
        let (bytes, limit) = (shelved.unpacked_bytes(), self.limits().page_unpacked_bytes);
        if bytes > limit {
            return Err(NoSnapshot::PageTooLong { page, bytes, limit });
        }
        shelved.encode().ok_or(NoSnapshot::ForNow)
    }

    /// A page, packed; with the messages in it, for the next snapshot, if it changed.
    pub(super) fn pack(&self, address: &PageAddress, page: &Page) -> Shelved {
        let mut shelved = Shelved::pack(page);
        if self.changed.contains(address) {
            let messages = page.list(Section::Messages);
            let ids = messages.map(|entry| message_id(&self.timeline, address, entry));
            shelved.messages = ids.collect();
            shelved.messages.sort_unstable();
        }
        shelved
    }

    /// Puts one page back; [`Self::restored`] comes after the last.
    pub(crate) fn restore_page(
        &mut self,
        address: PageAddress,
        reader: &mut Reader<'_>,
    ) -> Result<Vec<(MessageId, PageAddress)>, SnapshotError> {
        let mut shelved = Shelved::decode(reader, self.limits().page_unpacked_bytes)?;
        let ids = std::mem::take(&mut shelved.messages).into_iter();
        self.slots.insert(address, Slot::Shelved(shelved));
        Ok(ids.map(|id| (id, address)).collect())
    }

    /// Counts what was put back. Documents of state, which every view looks into, are unpacked;
    /// pages of messages lie packed until somebody reads or writes there, and find a place.
    pub(crate) fn restored(&mut self, ids: Vec<(MessageId, PageAddress)>, unshown: Unshown) {
        self.index = ids.into_iter().collect();
        self.count_visible();
        self.unshown = unshown;
        let state = self.slots.keys().rev();
        let state = state.filter(|address| address.kind == DocumentKind::State);
        let newest: Vec<_> = state.take(OPEN_PAGES_MAX - 1).copied().collect();
        for address in newest.into_iter().rev() {
            self.open(address);
        }
    }
}
