//! From what was applied to what is durable, and behind what others have appended.
//!
//! A journal that lies elsewhere has the entries before the store has what follows from them. A store
//! that is full or busy then does not take the entries back: they wait as they are, nothing is
//! decided behind them, nobody is answered, and the next call tries the store alone.

use khlong_store::batch::Overlay;
use khlong_store::engine::CommitReceipt;
use khlong_store::journal::{Append, JournalError};

use super::error::KernelError;
use super::{Kernel, replay};

impl Kernel {
    /// Makes everything that was applied durable, with one sync.
    ///
    /// # Errors
    /// What the store met, and nothing is released. If [`KernelError::is_fatal`], drop the
    /// kernel and open the folder again; else commit again: nothing was written, or, after
    /// [`JournalError::NotKept`], the journal has it and the store takes it later.
    pub fn commit(&mut self) -> Result<Option<CommitReceipt>, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        // Mutant: answers leave before what they stand on is durable.
        if cfg!(khlong_mutant = "release") {
            self.released.append(&mut self.waiting);
        }
        let receipt = if self.overlay.is_empty() {
            None
        } else {
            Some(self.append()?)
        };
        self.released.append(&mut self.waiting);
        Ok(receipt)
    }

    fn append(&mut self) -> Result<CommitReceipt, KernelError> {
        let append = Append {
            expected: self.durable,
            batch: &self.overlay,
        };
        let appended = if self.is_unkept {
            append.keep(&mut self.store)
        } else {
            self.journal.append(&mut self.store, append)
        };
        if !self.is_unkept && matches!(appended, Ok(_) | Err(JournalError::NotKept(_))) {
            self.durable = self.head;
        }
        match appended {
            Ok(receipt) => {
                self.overlay = Overlay::default();
                self.is_unkept = false;
                Ok(receipt)
            }
            Err(error) => {
                self.is_unkept |= matches!(error, JournalError::NotKept(_));
                let error = self.what_stopped(error);
                self.broken |= error.is_fatal();
                Err(error)
            }
        }
    }

    /// Asks the journal where it stands, and applies what others have appended since: what is
    /// answered from the views afterwards is not older than this call. Only between a commit and
    /// the next command, for what was applied and not committed stands on an older state.
    ///
    /// # Errors
    /// [`JournalError::NotKept`] that is not fatal: the store was full or busy, follow again. Else
    /// those of [`super::replay`], and of the journal; the kernel is to be dropped then.
    pub fn follow(&mut self) -> Result<(), KernelError> {
        let is_decided = !self.overlay.is_empty() && !self.is_unkept;
        self.broken |= is_decided || !self.waiting.is_empty();
        if self.broken {
            return Err(KernelError::Broken);
        }
        if cfg!(khlong_mutant = "follow") {
            return Ok(());
        }
        let followed = self.catch_up();
        if let Err(error) = &followed {
            self.broken |= error.is_fatal() || !self.is_unkept;
        }
        followed
    }

    pub(super) fn catch_up(&mut self) -> Result<(), KernelError> {
        if self.is_unkept {
            self.commit_views()?;
        }
        let found = self.journal.head(&self.store)?;
        self.durable = found.ok_or(KernelError::Gone {
            applied: self.head.seq.0,
        })?;
        replay::catch_up(self)
    }

    /// Keeps views whose entries are in the journal already. What is lost of them is applied
    /// again, so that no sync is needed; what the store does not take waits for the next call.
    pub(super) fn commit_views(&mut self) -> Result<(), KernelError> {
        // Others were answered.
        self.waiting.clear();
        self.is_unkept = true;
        let append = Append {
            expected: self.durable,
            batch: &self.overlay,
        };
        append.keep(&mut self.store)?;
        self.overlay = Overlay::default();
        self.is_unkept = false;
        Ok(())
    }
}
