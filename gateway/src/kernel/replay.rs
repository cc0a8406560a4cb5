//! Rebuilding every view from the journal.

use std::ops::ControlFlow;

use khlong_store::journal::{self, Head, JournalError, JournalSeq};
use khlong_store::rows::Rows;

use super::Kernel;
use super::command::Command;
use super::error::KernelError;
use super::outcome::Outcome;

/// Applies the journal in `source` to an empty kernel whose journal has the same id, each
/// entry under the rules that stand in it, and commits. No side effect leaves.
///
/// # Errors
/// [`KernelError::Diverged`] at the first entry that comes to another outcome than it did,
/// [`KernelError::UnknownEntry`] at one of a newer release.
pub fn replay(source: &dyn Rows, kernel: &mut Kernel) -> Result<Head, KernelError> {
    let from = kernel.applied().seq.next();
    journal::read(source, from, &mut |stored| {
        apply_stored(kernel, stored.seq, &stored.entry, &stored.hash)?;
        Ok::<_, KernelError>(ControlFlow::Continue(()))
    })?;
    kernel.commit()?;
    kernel.release();
    Ok(kernel.head())
}

/// Applies what the journal holds beyond the store's own copy of it: it was appended, and the
/// commit of the views did not come to its end, or another gateway has appended since.
pub(super) fn catch_up(kernel: &mut Kernel) -> Result<(), KernelError> {
    let durable = kernel.durable;
    let copy = kernel.head;
    if durable.id != copy.id {
        return Err(KernelError::OtherJournal {
            applied: copy.seq.0,
        });
    }
    if durable.seq < copy.seq {
        return Err(KernelError::Behind {
            applied: copy.seq.0,
            head: durable.seq.0,
        });
    }
    if durable == copy {
        return Ok(());
    }
    // From the last entry that both have: there may be another one under its number.
    let mut due = copy.seq.max(JournalSeq(1));
    while due <= durable.seq {
        let part = kernel.journal.read(&kernel.store, due)?;
        let first = due;
        for stored in part {
            if stored.seq > durable.seq {
                // Appended by somebody else since the head was read; the next commit will tell.
                break;
            }
            if stored.seq == copy.seq {
                if stored.hash != copy.hash {
                    return Err(KernelError::OtherJournal {
                        applied: copy.seq.0,
                    });
                }
            } else {
                apply_stored(kernel, stored.seq, &stored.entry, &stored.hash)?;
            }
            due = stored.seq.next();
        }
        if due == first {
            return Err(JournalError::Missing.into());
        }
        kernel.commit_views()?;
    }
    if kernel.head == durable {
        Ok(())
    } else {
        Err(KernelError::Diverged { seq: durable.seq.0 })
    }
}

fn apply_stored(
    kernel: &mut Kernel,
    seq: JournalSeq,
    entry: &journal::Entry,
    hash: &[u8; 32],
) -> Result<(), KernelError> {
    let (command, logic) = Command::from_entry(seq, &entry.header, &entry.command)?;
    let recorded =
        Outcome::decode(&entry.outcome).ok_or(KernelError::UnknownEntry { seq: seq.0 })?;
    let applied = match kernel.apply_under(&command, logic, Some(recorded.clone())) {
        Err(KernelError::GroupFull) => {
            if kernel.durable.seq >= seq {
                kernel.commit_views()?;
            } else {
                kernel.commit()?;
            }
            kernel.release();
            kernel.apply_under(&command, logic, Some(recorded))
        }
        other => other,
    };
    applied?;
    let same = kernel
        .waiting
        .last()
        .is_some_and(|output| output.decided.seq == seq && output.decided.outcome == entry.outcome);
    if same && kernel.head().hash == *hash {
        Ok(())
    } else {
        Err(KernelError::Diverged { seq: seq.0 })
    }
}
