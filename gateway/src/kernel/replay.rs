//! Rebuilding every view from the journal.

use std::ops::ControlFlow;

use khlong_store::journal::{self, Head, JournalSeq};
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
            kernel.commit()?;
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
