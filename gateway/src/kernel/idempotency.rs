//! Which command an idempotency key stands for.
//!
//! The outcome itself is read from the journal, so a retry gets the very bytes that the
//! first try got, also after a restart.

use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::journal::{self, JournalSeq};
use khlong_store::key::{Decoder, Encoder};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::Applied;
use super::command::{Command, Decided, named};
use super::error::KernelError;

const KEY_CONTEXT: &str = "khlong.network 2026-11 gateway idempotency key v1";
const FINGERPRINT_CONTEXT: &str = "khlong.network 2026-11 gateway command fingerprint v1";

/// What was decided under this key, if it stands for a command.
///
/// # Errors
/// [`KernelError::KeyReused`] if it stands for another one.
pub(super) fn find(rows: &dyn Rows, command: &Command) -> Result<Option<Decided>, KernelError> {
    let key = place(command);
    let Some(row) = rows.get(Table::Idempotency, &key)? else {
        return Ok(None);
    };
    // Mutant: a retry is decided once more.
    if cfg!(khlong_mutant = "idempotency") {
        return Ok(None);
    }
    let mut fields = Decoder::new(&row);
    let (Some(seq), Some(fingerprint)) = (fields.u64(), fields.fixed::<32>()) else {
        return Err(
            StoreError::corrupt(Table::Idempotency, &key, "not a place in the journal").into(),
        );
    };
    if fingerprint != fingerprint_of(command) {
        return Err(KernelError::KeyReused { seq });
    }
    let stored = journal::get(rows, JournalSeq(seq))?
        .ok_or_else(|| StoreError::corrupt(Table::Idempotency, &key, "behind the journal"))?;
    Ok(Some(Decided {
        seq: stored.seq,
        outcome: stored.entry.outcome,
    }))
}

/// From now on the key stands for this command.
pub(super) fn note(
    batch: &mut Batch<'_>,
    applied: Applied,
    command: &Command,
) -> Result<(), StoreError> {
    let key = place(command);
    let row = Encoder::new()
        .u64(applied.seq.0)
        .fixed(&fingerprint_of(command))
        .finish();
    let age = Encoder::new().fixed(&key).i64(applied.time.0).finish();
    batch.put(Table::Idempotency, key.to_vec(), row)?;
    batch.put(
        Table::IdempotencyAge,
        Encoder::new().u64(applied.seq.0).finish(),
        age,
    )
}

/// One key for caller, scope and key: their lengths are in it, so that no two pairs meet.
fn place(command: &Command) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
    for name in [&command.caller, &command.scope, &command.key] {
        hasher.update(&named(name));
    }
    *hasher.finalize().as_bytes()
}

fn fingerprint_of(command: &Command) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(FINGERPRINT_CONTEXT);
    hasher.update(&[command.domain]).update(&command.body);
    *hasher.finalize().as_bytes()
}
