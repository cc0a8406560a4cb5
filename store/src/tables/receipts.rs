//! Which relay has promised an envelope: what "stored" rests on.
//!
//! A relay signs one receipt for many envelopes (the Merkle root of their ids),
//! and the session verified it against all of them before it got here; kept is
//! the receipt beside each id, one for each relay.

use khlong_crdt::id::{EnvelopeId, LogId, RelayKey};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;

use super::decode;
use crate::batch::Batch;
use crate::error::StoreError;
use crate::key::{Decoder, Encoder};
use crate::rows::Rows;
use crate::table::Table;

/// Relays whose promise is kept for one envelope; a timeline has at most four relays.
pub const RECEIPTS_PER_ENVELOPE_MAX: usize = 4;

/// The promises for one envelope, oldest first.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, id: &EnvelopeId) -> Result<Vec<StoredReceipt>, StoreError> {
    let Some(bytes) = rows.get(Table::Receipt, id.as_bytes())? else {
        return Ok(Vec::new());
    };
    decode(Table::Receipt, id.as_bytes(), &bytes, |fields| {
        let count = usize::from(fields.u8()?);
        (0..count).map(|_| decode_receipt(fields)).collect()
    })
}

/// Keeps a verified receipt beside `id`. A newer one of the same relay takes the
/// place of the older; beyond [`RECEIPTS_PER_ENVELOPE_MAX`] relays it is not kept.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the row.
pub fn put(
    batch: &mut Batch<'_>,
    id: &EnvelopeId,
    receipt: &StoredReceipt,
) -> Result<(), StoreError> {
    let mut receipts = get(batch, id)?;
    if let Some(same) = receipts.iter_mut().find(|kept| kept.relay == receipt.relay) {
        *same = receipt.clone();
    } else if receipts.len() < RECEIPTS_PER_ENVELOPE_MAX {
        receipts.push(receipt.clone());
    } else {
        return Ok(());
    }
    put_all(batch, id, &receipts)
}

/// Forgets what `relay` promised for `id`: its log was lost or replaced.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the row.
pub fn forget(batch: &mut Batch<'_>, id: &EnvelopeId, relay: &RelayKey) -> Result<(), StoreError> {
    let mut receipts = get(batch, id)?;
    receipts.retain(|receipt| receipt.relay != *relay);
    if receipts.is_empty() {
        return batch.delete(Table::Receipt, id.as_bytes().to_vec());
    }
    put_all(batch, id, &receipts)
}

fn put_all(
    batch: &mut Batch<'_>,
    id: &EnvelopeId,
    receipts: &[StoredReceipt],
) -> Result<(), StoreError> {
    let count = u8::try_from(receipts.len()).unwrap_or(u8::MAX);
    let row = receipts
        .iter()
        .fold(Encoder::new().u8(count), encode_receipt);
    batch.put(Table::Receipt, id.as_bytes().to_vec(), row.finish())
}

fn encode_receipt(row: Encoder, receipt: &StoredReceipt) -> Encoder {
    row.fixed(receipt.relay.as_bytes())
        .fixed(receipt.log.as_bytes())
        .u32(receipt.log_epoch)
        .i64(receipt.received_at.0)
        .fixed(&receipt.root)
        .u32(receipt.count)
        .fixed(&receipt.signature)
}

fn decode_receipt(fields: &mut Decoder<'_>) -> Option<StoredReceipt> {
    Some(StoredReceipt {
        relay: RelayKey::from_bytes(fields.fixed()?),
        log: LogId::from_bytes(fields.fixed()?),
        log_epoch: fields.u32()?,
        received_at: UnixMillis(fields.i64()?),
        root: fields.fixed()?,
        count: fields.u32()?,
        signature: fields.fixed()?,
    })
}
