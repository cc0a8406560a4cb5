//! What an append that another head refused means for its gateway.

use khlong_store::journal::{Head, JournalError, JournalSeq};

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
            | JournalError::Unreadable { .. }
            | JournalError::Broken { .. } => return KernelError::from_journal(error),
        }
        match self.journal.head(&self.store) {
            Ok(None) => KernelError::Gone { applied },
            Ok(Some(head)) if head.id != self.durable.id => KernelError::OtherJournal { applied },
            Ok(Some(Head { seq, .. })) if seq.0 < applied => KernelError::Behind {
                applied,
                head: seq.0,
            },
            Ok(Some(_)) if self.is_other_history() => KernelError::OtherJournal { applied },
            Ok(Some(_)) | Err(_) => KernelError::from_journal(error),
        }
    }

    /// As many entries or more, and another one where this gateway stands. One that cannot be read
    /// is told by the next start.
    fn is_other_history(&mut self) -> bool {
        let at = self.durable;
        if at.seq == JournalSeq(0) {
            return false;
        }
        let part = self.journal.read(&self.store, at.seq);
        part.is_ok_and(|part| part.first().is_some_and(|it| it.hash != at.hash))
    }
}
