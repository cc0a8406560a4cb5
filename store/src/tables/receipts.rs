//! Which relay has promised an envelope: what "stored" rests on.
//!
//! A relay signs one receipt for many envelopes (the Merkle root of their ids).
//! The session verified it against all of them before it got here; kept is, beside
//! each id, the proof that the receipt covers it, one for each relay.

use khlong_crdt::id::{EnvelopeId, RelayKey};
use khlong_crdt::receipt::{StoredProof, StoredReceipt};

use super::decode;
use crate::batch::Batch;
use crate::error::StoreError;
use crate::key::{Decoder, Encoder};
use crate::limits::VALUE_BYTES_MAX;
use crate::rows::Rows;
use crate::table::Table;

/// Relays whose promise is kept for one envelope; a timeline has at most four relays.
pub const RECEIPTS_PER_ENVELOPE_MAX: usize = 4;

/// Count, then length and proof of each relay.
const ROW_BYTES_MAX: usize = 1 + RECEIPTS_PER_ENVELOPE_MAX * (4 + StoredProof::LENGTH_MAX);

const _: () = assert!(RECEIPTS_PER_ENVELOPE_MAX <= u8::MAX as usize);
const _: () = assert!(ROW_BYTES_MAX <= VALUE_BYTES_MAX);

/// What is kept of one relay's promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// Whoever has the envelope can verify it.
    Proof(StoredProof),
    /// From a folder of schema 1: the receipt alone. It was verified when it came,
    /// but without the other ids that it covers it proves nothing to others.
    Receipt(StoredReceipt),
}

impl Promise {
    /// What the relay signed.
    #[must_use]
    pub fn receipt(&self) -> &StoredReceipt {
        match self {
            Self::Proof(proof) => &proof.receipt,
            Self::Receipt(receipt) => receipt,
        }
    }
}

/// The promises for one envelope, oldest first.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, id: &EnvelopeId) -> Result<Vec<Promise>, StoreError> {
    let Some(bytes) = rows.get(Table::Receipt, id.as_bytes())? else {
        return Ok(Vec::new());
    };
    decode(Table::Receipt, id.as_bytes(), &bytes, |fields| {
        let count = usize::from(fields.u8()?);
        (0..count).map(|_| decode_promise(fields)).collect()
    })
}

/// Keeps a verified proof beside `id`. A newer promise of the same relay takes the
/// place of the older; beyond [`RECEIPTS_PER_ENVELOPE_MAX`] relays it is not kept.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the row.
pub fn put(batch: &mut Batch<'_>, id: &EnvelopeId, proof: &StoredProof) -> Result<(), StoreError> {
    let mut promises = get(batch, id)?;
    let relay = proof.receipt.relay;
    let promise = Promise::Proof(proof.clone());
    if let Some(same) = promises
        .iter_mut()
        .find(|kept| kept.receipt().relay == relay)
    {
        *same = promise;
    } else if promises.len() < RECEIPTS_PER_ENVELOPE_MAX {
        promises.push(promise);
    } else {
        return Ok(());
    }
    batch.put(Table::Receipt, id.as_bytes().to_vec(), encode(&promises))
}

/// Forgets what `relay` promised for `id`: its log was lost or replaced.
///
/// # Errors
/// [`StoreError::BatchFull`], or from reading the row.
pub fn forget(batch: &mut Batch<'_>, id: &EnvelopeId, relay: &RelayKey) -> Result<(), StoreError> {
    let mut promises = get(batch, id)?;
    promises.retain(|promise| promise.receipt().relay != *relay);
    if promises.is_empty() {
        return batch.delete(Table::Receipt, id.as_bytes().to_vec());
    }
    batch.put(Table::Receipt, id.as_bytes().to_vec(), encode(&promises))
}

pub(crate) fn encode(promises: &[Promise]) -> Vec<u8> {
    let count = u8::try_from(promises.len()).unwrap_or(u8::MAX);
    let row = promises.iter().fold(Encoder::new().u8(count), |row, kept| {
        let bytes = match kept {
            Promise::Proof(proof) => proof.encode(),
            Promise::Receipt(receipt) => receipt.encode(),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        row.u32(length).tail(&bytes)
    });
    row.finish()
}

fn decode_promise(fields: &mut Decoder<'_>) -> Option<Promise> {
    let length = usize::try_from(fields.u32()?).ok()?;
    let bytes = fields.bytes(length)?;
    if length == StoredReceipt::LENGTH {
        StoredReceipt::decode(bytes).ok().map(Promise::Receipt)
    } else {
        StoredProof::decode(bytes).ok().map(Promise::Proof)
    }
}
