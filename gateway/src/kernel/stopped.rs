//! What an append that another head refused means for its gateway.

use khlong_store::journal::{Head, JournalError};

use super::Kernel;
use super::error::KernelError;

impl Kernel {
    /// Another head than the commands were decided on: one that goes on from it is another
    /// gateway's; else the database was put back, emptied or exchanged, and no start goes on.
    pub(super) fn what_stopped(&mut self, error: JournalError) -> KernelError {
        let applied = self.durable.seq.0;
        if !self.journal.is_shared() {
            return KernelError::from_journal(error);
        }
        match error {
            JournalError::Missing => return KernelError::Gone { applied },
            JournalError::Moved { .. } => {}
            JournalError::Store(_)
            | JournalError::Exists
            | JournalError::NotKept(_)
            | JournalError::Elsewhere { .. }
            | JournalError::TooLarge { .. }
            | JournalError::Broken { .. } => return KernelError::from_journal(error),
        }
        match self.journal.head(&self.store) {
            Ok(None) => KernelError::Gone { applied },
            Ok(Some(head)) if head.id != self.durable.id => KernelError::OtherJournal { applied },
            Ok(Some(Head { seq, .. })) if seq.0 < applied => KernelError::Behind {
                applied,
                head: seq.0,
            },
            Ok(Some(_)) | Err(_) => KernelError::from_journal(error),
        }
    }
}
