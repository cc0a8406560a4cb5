//! Where the journal went on from a backup.
//!
//! What was acknowledged behind a backup is lost with the folder, and a restored gateway decides
//! other entries under the same numbers. The first of them says so, in the chain, for ever:
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

/// An epoch of the journal that a restore began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Its first entry, which says so.
    pub seq: JournalSeq,
    /// Its number: seconds since 1970, when it was restored.
    pub number: u32,
}

/// The epochs that restores began, the latest first, at most [`EPOCHS_MAX`].
///
/// # Errors
/// From the disk, or a damaged row.
pub fn epochs(rows: &dyn Rows) -> Result<Vec<Epoch>, StoreError> {
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
            Ok(if found.len() < EPOCHS_MAX {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        },
    )?;
    Ok(found)
}

impl Kernel {
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
