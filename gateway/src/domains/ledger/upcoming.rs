//! The holds that expire next, in memory.
//!
//! A hold that was settled leaves a place in its table that a scan steps over until the engine has
//! compacted it. So the table is read forwards, some holds at once, and not asked before each command.

use std::collections::BTreeSet;

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;

use super::limits::{EXPIRIES_MAX, UPCOMING_KEPT_MAX, UPCOMING_READ};
use super::tables;

/// When, and which pending transfer.
type Expiry = (UnixMillis, u128);

/// Stands for the rows of table `ledger_expiry`, and can be read again from them.
#[derive(Debug)]
pub(super) struct Upcoming {
    /// All that come before `unread`.
    next: BTreeSet<Expiry>,
    /// Where the table is to be read on; `None`: `next` has all of it.
    unread: Option<Expiry>,
}

impl Default for Upcoming {
    fn default() -> Self {
        Self {
            next: BTreeSet::new(),
            unread: Some((UnixMillis(0), 0)),
        }
    }
}

impl Upcoming {
    /// Notes that the row was written, or deleted.
    pub(super) fn set(&mut self, (at, id): Expiry, waits: bool) {
        let expiry = tables::expiry_order(at, id);
        if !waits {
            self.next.remove(&expiry);
        } else if self.unread.is_none_or(|unread| expiry < unread) {
            self.next.insert(expiry);
            if self.next.len() > UPCOMING_KEPT_MAX {
                self.forget_the_last();
            }
        }
    }

    fn forget_the_last(&mut self) {
        let Some(first) = self.next.iter().nth(UPCOMING_READ).copied() else {
            return;
        };
        self.next.split_off(&first);
        self.unread = Some(first);
    }

    /// Reads on if fewer are known than one sweep takes. To be called once all rows are written that
    /// were noted: then what follows needs no scan.
    pub(super) fn read_on(&mut self, rows: &dyn Rows) -> Result<(), StoreError> {
        let Some(unread) = self.unread.filter(|_| self.next.len() <= EXPIRIES_MAX) else {
            return Ok(());
        };
        let mut found = tables::expiring(rows, unread, UPCOMING_READ + 1)?;
        self.unread = found.split_off(found.len().min(UPCOMING_READ)).pop();
        self.next.extend(found);
        Ok(())
    }

    /// When the first one expires.
    pub(super) fn first(&self, rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        match (self.next.first(), self.unread) {
            (Some((at, _)), _) => Ok(Some(*at)),
            (None, None) => Ok(None),
            (None, Some(unread)) => {
                let first = tables::expiring(rows, unread, 1)?;
                Ok(first.first().map(|(at, _)| *at))
            }
        }
    }

    /// The first ones that expire at `until` or before, at most `max`.
    pub(super) fn due(
        &self,
        rows: &dyn Rows,
        until: UnixMillis,
        max: usize,
    ) -> Result<Vec<Expiry>, StoreError> {
        let is_due = |(at, _): &Expiry| *at <= until;
        let known = self.next.iter().copied().take_while(is_due).take(max);
        let mut due: Vec<Expiry> = known.collect();
        let all_known_are_due = due.len() == self.next.len();
        if let Some(unread) = self
            .unread
            .filter(|unread| all_known_are_due && is_due(unread))
        {
            let more = tables::expiring(rows, unread, max.saturating_sub(due.len()))?;
            due.extend(more.into_iter().take_while(is_due));
        }
        Ok(due)
    }
}
