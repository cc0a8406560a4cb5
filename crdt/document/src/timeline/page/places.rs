//! Which change holds a place, and which of those that wait give way for want of room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use khlong_crdt::id::AuthorKey;

use super::{Outcome, Page, Readiness, Rules, Standing};
use crate::timeline::entry::{ChangeRefusal, Checked};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::Limits;
use crate::timeline::room::Room;

impl Page {
    /// Of the changes that are new here, those that no lower hash keeps from their place.
    pub(super) fn lowest_of_each_place(
        &self,
        changes: impl IntoIterator<Item = Arc<Checked>>,
        outcomes: &mut Vec<Outcome>,
    ) -> Vec<Arc<Checked>> {
        let mut fresh: Vec<Arc<Checked>> = Vec::new();
        let mut found: BTreeMap<(AuthorKey, u64), usize> = BTreeMap::new();
        for change in changes {
            if self.held.contains_key(&change.hash) {
                continue;
            }
            let place = (change.author, change.seq);
            let rival = found.get(&place).and_then(|index| fresh.get_mut(*index));
            let lowest = match &rival {
                Some(rival) => Some(rival.hash),
                None => self.places.get(&place).copied(),
            };
            if lowest == Some(change.hash) {
                continue;
            }
            if lowest.is_some_and(|lowest| lowest < change.hash) {
                outcomes.push(Outcome::Refused(change, ChangeRefusal::Superseded));
            } else if let Some(rival) = rival {
                let loser = std::mem::replace(rival, change);
                outcomes.push(Outcome::Refused(loser, ChangeRefusal::Superseded));
            } else {
                found.insert(place, fresh.len());
                fresh.push(change);
            }
        }
        fresh
    }

    /// Clears the places of `fresh`. Automerge cannot un-apply, so where a change loses its
    /// place that was applied, or on which a hidden one was, the rest is merged anew, once;
    /// what depended on it waits, and waits for ever.
    pub(super) fn evict(
        &mut self,
        fresh: &[Arc<Checked>],
        rules: &Rules,
        outcomes: &mut Vec<Outcome>,
    ) {
        let losers: Vec<Arc<Checked>> = fresh
            .iter()
            .filter_map(|change| self.places.get(&(change.author, change.seq)))
            .filter_map(|hash| self.held.get(hash))
            .map(|held| Arc::clone(&held.change))
            .collect();
        let is_applied = |loser: &Arc<Checked>| {
            let held = self.held.get(&loser.hash);
            held.is_some_and(|held| held.standing == Standing::Applied)
        };
        if !losers.iter().any(is_applied) && self.hidden.is_empty() {
            for loser in losers {
                self.forget(&loser, &rules.limits);
            }
            return;
        }
        if losers.is_empty() {
            return;
        }
        let authors: BTreeSet<_> = losers.iter().map(|loser| loser.author).collect();
        outcomes.extend(
            authors
                .into_iter()
                .map(|author| Outcome::Rebuilt { author }),
        );
        let losers: BTreeSet<_> = losers.iter().map(|loser| loser.hash).collect();
        let anew = Self::with_dropped(self.kind, self.dropped());
        let old = std::mem::replace(self, anew);
        let ready = old
            .held
            .into_values()
            .map(|held| held.change)
            .filter(|change| !losers.contains(&change.hash))
            .map(|change| self.hold(change, rules))
            .collect();
        self.settle_ready(ready, rules, &mut Vec::new());
    }

    /// Drops what an author has farthest ahead: the least likely to count soon.
    pub(super) fn drop_last_of(
        &mut self,
        author: AuthorKey,
        limits: &Limits,
    ) -> Option<Arc<Checked>> {
        let places = self.places.range((author, 0)..=(author, u64::MAX)).rev();
        let last = places
            .filter_map(|(_, hash)| self.held.get(hash))
            .find(|held| matches!(held.standing, Standing::Waiting | Standing::Unneeded));
        let last = Arc::clone(&last?.change);
        self.forget(&last, limits);
        self.room.note_dropped(author);
        Some(last)
    }

    /// Takes out a change that is not applied.
    fn forget(&mut self, change: &Checked, limits: &Limits) {
        if let Readiness::Wait(need) = self.readiness(change, limits)
            && let Some(waiting) = self.waiting.get_mut(&need)
        {
            waiting.retain(|hash| *hash != change.hash);
            if waiting.is_empty() {
                self.waiting.remove(&need);
            }
        }
        self.places.remove(&(change.author, change.seq));
        if let Some(held) = self.held.remove(&change.hash)
            && held.standing != Standing::Refused
        {
            self.room.release(change.author, change.memory());
        }
    }

    /// Whether something that found no room would find some now.
    pub(crate) fn must_reread(&self, limits: &Limits) -> bool {
        self.room.is_due(limits.page_waiting_memory)
    }

    /// All that was dropped will come again.
    pub(crate) fn forget_dropped(&mut self) {
        self.room.forget_dropped();
    }

    /// See [`Room::dropped`].
    pub(crate) fn dropped(&self) -> BTreeMap<AuthorKey, usize> {
        self.room.dropped().clone()
    }

    /// A page that is read anew; what was dropped of it is so still.
    pub(crate) fn with_dropped(kind: DocumentKind, dropped: BTreeMap<AuthorKey, usize>) -> Self {
        Self {
            room: Room::with_dropped(dropped),
            ..Self::new(kind)
        }
    }

    /// Whether the author's next change would compete for its place with one that waits: it
    /// rests on what lost its own place, and will wait for ever.
    pub(crate) fn is_blocked(&self, author: &AuthorKey) -> bool {
        let next = self.tail(author).seq + 1;
        self.places.contains_key(&(*author, next))
    }
}
