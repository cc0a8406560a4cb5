//! Where the journal went on without entries that were acknowledged.
//!
//! What was acknowledged behind a backup is lost with the folder, and a restored gateway decides
//! other entries under the same numbers; so does one whose disk lost its last entries. The first of them says so, in the chain, for ever:
//! whoever holds a hash of the lost ones sees at which entry, and why, the journal is another one.

use std::ops::ControlFlow;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::Kernel;
use super::command::{Command, KERNEL_CALLER};
use super::context::{ApplyError, Context};
use super::error::KernelError;
use super::housekeeping::{Housekeeping, KERNEL_DOMAIN};

/// Rows of the table `gateway_kernel` that name epochs: this byte, then the seq.
const EPOCH: u8 = 2;

/// Epochs that are told; more restores than that keep only the latest ones in sight.
pub const EPOCHS_MAX: usize = 1_000;

/// An epoch of the journal that a restore began, or a loss that a person accepted: of entries, or of its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Its first entry, which says so.
    pub seq: JournalSeq,
    /// Its number, that of the folder's log: seconds since 1970, when it was restored or taken back; one
    /// more for each loss of entries.
    pub number: u32,
}

/// The epochs that were begun, the latest first, at most [`EPOCHS_MAX`].
///
/// # Errors
/// From the disk, or a damaged row.
pub fn epochs(rows: &dyn Rows) -> Result<Vec<Epoch>, StoreError> {
    latest(rows, EPOCHS_MAX)
}

/// The latest of them.
///
/// # Errors
/// As [`epochs`].
pub fn latest_epoch(rows: &dyn Rows) -> Result<Option<Epoch>, StoreError> {
    Ok(latest(rows, 1)?.pop())
}

fn latest(rows: &dyn Rows, max: usize) -> Result<Vec<Epoch>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        Table::GatewayKernel,
        &KeyRange::prefix(&[EPOCH]),
        Direction::Reverse,
        &mut |key, row| {
            let mut place = Decoder::new(key);
            let (Some(EPOCH), Some(seq), Some(number)) =
                (place.u8(), place.u64(), Decoder::new(row).u32())
            else {
                return Err(StoreError::corrupt(
                    Table::GatewayKernel,
                    key,
                    "not an epoch",
                ));
            };
            found.push(Epoch {
                seq: JournalSeq(seq),
                number,
            });
            Ok(if found.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        },
    )?;
    Ok(found)
}

impl Kernel {
    /// Begins the epoch of its folder's log in the journal, unless that was done: the folder was
    /// restored, or a person accepted that its last commits are gone. A journal elsewhere lost
    /// nothing with the folder.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn declare_epoch(&mut self) -> Result<(), KernelError> {
        let number = self.store.identity().epoch;
        let told = latest_epoch(&self.store)?.is_some_and(|epoch| epoch.number == number);
        if number <= 1 || told || self.shares_journal() {
            return Ok(());
        }
        self.begin_epoch(number)
    }

    /// Begins an epoch in a folder that was restored, as an entry of the kernel's own at the
    /// time of the last one, and commits: nothing is asked of a clock.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn begin_epoch(&mut self, number: u32) -> Result<(), KernelError> {
        let command = Command {
            caller: KERNEL_CALLER.to_vec(),
            scope: b"restored".to_vec(),
            key: Encoder::new().u64(self.head().seq.next().0).finish(),
            admitted_at: self.applied().time,
            domain: KERNEL_DOMAIN,
            body: Housekeeping::Restored { epoch: number }.encode(),
        };
        let logic = self.logic;
        self.apply_under(&command, logic, None)?;
        self.commit()?;
        self.release();
        Ok(())
    }
}

/// Answers the last entry of the epoch before.
pub(super) fn begin(context: &mut Context<'_, '_>, epoch: u32) -> Result<Vec<u8>, ApplyError> {
    let seq = context.seq();
    let key = Encoder::new().u8(EPOCH).u64(seq.0).finish();
    let row = Encoder::new().u32(epoch).finish();
    context.put(Table::GatewayKernel, key, row)?;
    Ok(Encoder::new().u64(seq.0.saturating_sub(1)).finish())
}
