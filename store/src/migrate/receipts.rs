//! To schema 2: a stored receipt beside an envelope becomes the proof that it covers it.
//!
//! Schema 1 kept a receipt without the place of the envelope under it. Where the
//! envelope was alone the proof follows; of others the ids beside it were not
//! kept together, so the receipt stays as it is: this node verified it when it came.

use std::ops::ControlFlow;

use khlong_crdt::id::{EnvelopeId, LogId, RelayKey};
use khlong_crdt::receipt::{StoredProof, StoredReceipt};
use khlong_crdt::time::UnixMillis;

use super::Progress;
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Decoder, KeyRange};
use crate::limits::{BATCH_BYTES_MAX, BATCH_ROW_BYTES};
use crate::record;
use crate::table::Table;
use crate::tables::decode;
use crate::tables::receipts::{Promise, RECEIPTS_PER_ENVELOPE_MAX, encode};

/// Rows of one piece. Default 4,096: at most 3 MiB, a few milliseconds.
const ROWS_PER_PIECE: usize = 4_096;
/// Count, then length and proof without siblings of each relay.
const ROW_BYTES_MAX: usize = 1 + RECEIPTS_PER_ENVELOPE_MAX * (4 + StoredProof::LENGTH_MIN);

const _: () =
    assert!(ROWS_PER_PIECE * (32 + ROW_BYTES_MAX + BATCH_ROW_BYTES) <= BATCH_BYTES_MAX / 2);

/// Key and record.
type Record = (Vec<u8>, Vec<u8>);

pub(super) fn place(batch: &mut Batch<'_>, from: &[u8]) -> Result<Progress, StoreError> {
    let (records, next) = records(batch, from)?;
    for (key, record) in records {
        match record::open(Table::Receipt, &key, record)
            .and_then(|payload| decode(Table::Receipt, &key, &payload, |row| promises(&key, row)))
        {
            Ok(promises) => batch.put(Table::Receipt, key, encode(&promises))?,
            // Damaged before: it stays for whoever looks at it, and holds nobody up.
            Err(error) => tracing::error!(%error, "a receipt cannot be migrated"),
        }
    }
    Ok(next.map_or(Progress::Done, Progress::From))
}

/// The records of one piece, unchecked, and the key after them.
fn records(batch: &Batch<'_>, from: &[u8]) -> Result<(Vec<Record>, Option<Vec<u8>>), StoreError> {
    let range = KeyRange {
        start: from.to_vec(),
        end: None,
    };
    let (mut records, mut next) = (Vec::new(), None);
    batch.engine.scan(
        Table::Receipt,
        &range,
        Direction::Forward,
        &mut |key, record| {
            if records.len() == ROWS_PER_PIECE {
                next = Some(key.to_vec());
                return ControlFlow::Break(());
            }
            records.push((key.to_vec(), record.to_vec()));
            ControlFlow::Continue(())
        },
    )?;
    Ok((records, next))
}

/// A row of schema 1: count 1 ‖ (relay 32 ‖ log 16 ‖ log_epoch 4 ‖ received_at 8 ‖
/// root 32 ‖ count 4 ‖ signature 64)*.
fn promises(key: &[u8], row: &mut Decoder<'_>) -> Option<Vec<Promise>> {
    let id = EnvelopeId::from_bytes(key.try_into().ok()?);
    let count = usize::from(row.u8()?);
    let receipts = (0..count).map(|_| {
        Some(StoredReceipt {
            relay: RelayKey::from_bytes(row.fixed()?),
            log: LogId::from_bytes(row.fixed()?),
            log_epoch: row.u32()?,
            received_at: UnixMillis(row.i64()?),
            root: row.fixed()?,
            count: row.u32()?,
            signature: row.fixed()?,
        })
    });
    let receipts = receipts.collect::<Option<Vec<_>>>()?;
    let placed = receipts.into_iter().map(|receipt| {
        let alone = receipt
            .prove(&[id])
            .ok()
            .and_then(|mut proofs| proofs.pop());
        alone.map_or(Promise::Receipt(receipt), Promise::Proof)
    });
    Some(placed.collect())
}
