//! What is known of single changes: for plaintexts that name them instead of writing them out.

use std::collections::BTreeSet;

use super::Pages;
use crate::timeline::compact::rebuild::{Known, Reference};
use crate::timeline::page::PageAddress;

impl Pages {
    /// The changes of a page that a reference may mean, whether they count, wait, were
    /// refused or lost their place.
    pub(crate) fn named(&mut self, page: &PageAddress, reference: &Reference) -> Vec<Known> {
        let mut known = self.far.named(page, reference);
        if self.slots.contains_key(page) {
            let held = self.open(*page).named(reference);
            self.shelve();
            known.extend(held);
        }
        known
    }

    /// What the last merge brought and is still here.
    pub(crate) fn take_arrived(&mut self) -> Vec<(PageAddress, Known)> {
        std::mem::take(&mut self.arrived)
    }

    /// Into these pages this member's device writes nothing: what it wrote there waits, and
    /// holds its next place.
    pub(crate) fn block(&mut self, pages: BTreeSet<PageAddress>) {
        self.blocked = pages;
    }
}
