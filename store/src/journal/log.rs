//! Where entries become durable: the one border between a kernel and its journal.
//!
//! A kernel decides in an open batch, which holds its entries (table `journal`) and the views
//! that follow from them; then the journal appends, and the batch is committed. Here both
//! lie in one store, so both are one commit with one sync ([`LocalJournal`]). A journal
//! elsewhere appends first; the store's own table is then a copy, which answers retries and is
//! caught up from [`Journal::read`] when the commit behind an append did not come to its end.

use std::ops::ControlFlow;

use super::{
    ENTRIES_MAX, Head, JournalError, JournalId, JournalSeq, Stored, head, read, read::appended,
};
use crate::batch::Overlay;
use crate::engine::{CommitReceipt, Durability};
use crate::store::Store;

/// Bytes of entries after which [`Journal::read`] ends.
pub const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is appended: the entries of `batch`, which were decided on `expected`.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// The head on which they stand.
    pub expected: Head,
    /// Entries, and the views that follow from them.
    pub batch: &'a Overlay,
}

impl Append<'_> {
    /// The entries, in order.
    ///
    /// # Errors
    /// [`JournalError::Broken`] if they do not follow `expected` without a gap.
    pub fn entries(&self) -> Result<Vec<Stored>, JournalError> {
        appended(self.batch, self.expected.seq)
    }

    /// Commits the batch after its entries were appended elsewhere. No sync: what is lost of
    /// it is applied again.
    ///
    /// # Errors
    /// [`JournalError::NotKept`], whatever the store met: the entries are in the journal.
    pub fn keep(&self, store: &mut Store) -> Result<CommitReceipt, JournalError> {
        store
            .commit(self.batch.writes(), Durability::Buffered)
            .map_err(JournalError::NotKept)
    }
}

/// An ordered, hash-chained log with compare-and-append.
pub trait Journal: Send {
    /// The last entry that is durable; `None` if no journal was begun. `store` holds the
    /// kernel's views.
    ///
    /// # Errors
    /// From where it lies.
    fn head(&mut self, store: &Store) -> Result<Option<Head>, JournalError>;

    /// Begins a journal where there is none.
    ///
    /// # Errors
    /// [`JournalError::Exists`], or from where it lies.
    fn create(&mut self, id: JournalId) -> Result<(), JournalError>;

    /// Entries from `from` on, in order and without a gap: at least one if there is one, at
    /// most [`ENTRIES_MAX`], and none after [`READ_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`JournalError::Broken`] names the first that is damaged or missing.
    fn read(&mut self, store: &Store, from: JournalSeq) -> Result<Vec<Stored>, JournalError>;

    /// Makes the entries durable if the head is still the one that is expected, and commits
    /// the batch.
    ///
    /// # Errors
    /// [`JournalError::Moved`] if another entry stands at the head: nothing was written.
    /// [`JournalError::Store`] that is retryable: nothing either. After any other error it is
    /// not known what was written: open everything again. A journal elsewhere ends with
    /// [`Append::keep`], so that a store that is full or busy then does not look like the second.
    fn append(
        &mut self,
        store: &mut Store,
        append: Append<'_>,
    ) -> Result<CommitReceipt, JournalError>;

    /// Whether others append to it too.
    fn is_shared(&self) -> bool {
        false
    }
}

/// The journal in the kernel's own store.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalJournal;

impl Journal for LocalJournal {
    fn head(&mut self, store: &Store) -> Result<Option<Head>, JournalError> {
        Ok(head(store)?)
    }

    /// Nothing to do: the kernel begins the one in its store.
    fn create(&mut self, _: JournalId) -> Result<(), JournalError> {
        Ok(())
    }

    fn read(&mut self, store: &Store, from: JournalSeq) -> Result<Vec<Stored>, JournalError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        read::<JournalError>(store, from, &mut |stored| {
            bytes += stored.entry.bytes();
            found.push(stored);
            Ok(if found.len() >= ENTRIES_MAX || bytes >= READ_BYTES_MAX {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(found)
    }

    /// The store is borrowed alone, so nothing comes between the comparison and the commit.
    fn append(
        &mut self,
        store: &mut Store,
        append: Append<'_>,
    ) -> Result<CommitReceipt, JournalError> {
        let found = head(store)?.ok_or(JournalError::Missing)?;
        // Mutant "compare": whoever comes later appends too.
        if found != append.expected && cfg!(not(khlong_mutant = "compare")) {
            return Err(JournalError::Moved {
                expected: append.expected.seq.0,
                found: found.seq.0,
            });
        }
        // A copy: a store that is busy or full takes the same again later.
        Ok(store.commit(append.batch.writes(), Durability::Synced)?)
    }
}
