//! A hold of a batch: in which one it is, and what the books decided. Others own no such hold: the file
//! that pays it may be at the bank, so the ledger settles it as was decided here, or not at all.

use khlong_store::error::StoreError;
use khlong_store::key::{Decoder, Encoder};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::fate::settling;
use crate::domains::ledger::{Transfer, TransferFlags};

/// Bytes of the longest row.
pub(super) const ITEM_BYTES_MAX: usize = 16 + 1 + 16;

/// The row of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// Its batch.
    pub(super) batch: u128,
    /// Whether it was paid, and the id of the post or void; `None` while the books have not decided.
    pub(super) decided: Option<(bool, u128)>,
}

impl Item {
    /// That of a hold of the batch which `transfer` is to settle.
    pub(super) fn decided(batch: u128, transfer: &Transfer) -> Self {
        let is_paid = transfer.flags.has(TransferFlags::POST_PENDING_TRANSFER);
        Self {
            batch,
            decided: Some((is_paid, transfer.id)),
        }
    }

    /// `batch 16`, and once it is decided `1 for a post, 0 for a void 1 ‖ id 16`.
    pub(super) fn encode(self) -> Vec<u8> {
        let start = Encoder::new().fixed(&self.batch.to_be_bytes());
        match self.decided {
            None => start.finish(),
            Some((is_paid, id)) => start
                .u8(u8::from(is_paid))
                .fixed(&id.to_be_bytes())
                .finish(),
        }
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(row);
        let batch = u128::from_be_bytes(fields.fixed()?);
        let decided = if row.len() == 16 {
            None
        } else {
            let is_paid = match fields.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            Some((is_paid, u128::from_be_bytes(fields.fixed()?)))
        };
        fields.end()?;
        Some(Self { batch, decided })
    }
}

/// The row of a hold; `None` if it is in no batch.
pub(super) fn item(rows: &dyn Rows, transfer: u128) -> Result<Option<Item>, StoreError> {
    let key = transfer.to_be_bytes();
    let Some(row) = rows.get(Table::BooksPayoutItem, &key)? else {
        return Ok(None);
    };
    Item::decode(&row).map(Some).ok_or_else(|| {
        StoreError::corrupt(
            Table::BooksPayoutItem,
            &key,
            "the row does not have the layout of its table",
        )
    })
}

/// The batch in which a hold is.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn batch_of(rows: &dyn Rows, transfer: u128) -> Result<Option<u128>, StoreError> {
    Ok(item(rows, transfer)?.map(|item| item.batch))
}

/// Whether the ledger may carry out this post or void: its hold is in no batch, or the books decided just this,
/// for the whole hold and under this id.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn may_settle(rows: &dyn Rows, asked: &Transfer) -> Result<bool, StoreError> {
    Ok(match item(rows, asked.pending_id)? {
        None => true,
        Some(Item { decided: None, .. }) => false,
        Some(Item {
            decided: Some((is_paid, id)),
            ..
        }) => *asked == settling(asked.pending_id, is_paid, id),
    })
}
