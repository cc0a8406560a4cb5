//! The batches that were recorded, and how their holds stand.

use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::export::{ExportRecord, Exported, decode};
use super::item::item;
use crate::domains::behind::behind;
use crate::domains::ledger::{self, TransferState};

/// How a hold of a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayoutHold {
    /// The hold.
    pub transfer: u128,
    /// How many satang.
    pub satang: u128,
    /// What became of it in the ledger.
    pub state: TransferState,
    /// What the books decided: a post or a void; `None` while nothing is.
    pub is_paid: Option<bool>,
}

/// The batches behind id `after`, by their ids, at most `max`. Their order is not that of time: an id is a hash.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn exports(
    rows: &dyn Rows,
    after: Option<u128>,
    max: usize,
) -> Result<Vec<Exported>, StoreError> {
    let after = after.map(u128::to_be_bytes);
    let after = after.as_ref().map(<[u8; 16]>::as_slice);
    behind(rows, Table::BooksPayout, after, max, decode)
}

/// The holds of a batch behind hold `after` as they stand, in its order, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn holds(
    rows: &dyn Rows,
    record: &ExportRecord,
    after: Option<u128>,
    max: usize,
) -> Result<Vec<PayoutHold>, StoreError> {
    let one = |id: &u128| -> Result<PayoutHold, StoreError> {
        let found = ledger::transfer(rows, *id)?;
        let (hold, _, state) = found.ok_or_else(|| {
            let key = id.to_be_bytes();
            StoreError::corrupt(
                Table::LedgerTransferId,
                &key,
                "a hold of a batch is missing",
            )
        })?;
        Ok(PayoutHold {
            transfer: *id,
            satang: hold.amount,
            state,
            is_paid: item(rows, *id)?
                .and_then(|item| item.decided)
                .map(|(is_paid, _)| is_paid),
        })
    };
    let before = after.map_or(0, |after| {
        record.transfers.partition_point(|id| *id <= after)
    });
    let behind = record.transfers.iter().skip(before);
    behind.take(max).map(one).collect()
}
