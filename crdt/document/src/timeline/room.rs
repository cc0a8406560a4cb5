//! Room for what waits: bounded in all, and whoever holds most of it gives way. So one
//! member, with all its author keys, cannot keep out what another sends.

use std::collections::BTreeMap;

use khlong_crdt::id::AuthorKey;

/// Who holds how much of a bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Room {
    held: BTreeMap<AuthorKey, usize>,
    total: usize,
    /// Of whom something found no room, and what that author still held then.
    dropped: BTreeMap<AuthorKey, usize>,
}

impl Room {
    pub(crate) fn add(&mut self, author: AuthorKey, memory: usize) {
        *self.held.entry(author).or_default() += memory;
        self.total += memory;
    }

    pub(crate) fn release(&mut self, author: AuthorKey, memory: usize) {
        let held = self.of(&author).saturating_sub(memory);
        if held == 0 {
            self.held.remove(&author);
        } else {
            self.held.insert(author, held);
        }
        self.total = self.total.saturating_sub(memory);
    }

    /// Who has to give way; None while all of it is at most `max`.
    pub(crate) fn gives_way(&self, max: usize) -> Option<AuthorKey> {
        if self.total <= max {
            return None;
        }
        let heaviest = self
            .held
            .iter()
            .max_by_key(|(author, held)| (*held, *author));
        heaviest.map(|(author, _)| *author)
    }

    /// Notes that something of an author was dropped, and released.
    pub(crate) fn note_dropped(&mut self, author: AuthorKey) {
        self.dropped.insert(author, self.of(&author));
    }

    /// Whether so much has been released since that what was dropped would find room: by
    /// its author, or by all. That takes changes that count, so asking again ends.
    pub(crate) fn is_due(&self, max: usize) -> bool {
        let freed = |(author, then): (&AuthorKey, &usize)| 2 * self.of(author) < *then;
        !self.dropped.is_empty() && (2 * self.total <= max || self.dropped.iter().any(freed))
    }

    /// All that was dropped will come again.
    pub(crate) fn forget_dropped(&mut self) {
        self.dropped.clear();
    }

    pub(crate) const fn dropped(&self) -> &BTreeMap<AuthorKey, usize> {
        &self.dropped
    }

    /// Room that is built anew for the same things.
    pub(crate) fn with_dropped(dropped: BTreeMap<AuthorKey, usize>) -> Self {
        Self {
            dropped,
            ..Self::default()
        }
    }

    fn of(&self, author: &AuthorKey) -> usize {
        self.held.get(author).copied().unwrap_or_default()
    }
}
