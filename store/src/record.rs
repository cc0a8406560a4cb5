//! The checksum that every value carries on both engines.
//!
//! `payload ‖ format:1 ‖ checksum:8`, checksum = first 8 bytes of
//! `derive_key("khlong.network 2026-11 store record v1", table ‖ key length ‖ key ‖ payload ‖ format)`.
//!
//! Why not rely on RocksDB's block checksums: they protect a block on its way
//! from the disk, not a value that was served from the wrong key, damaged in
//! memory before it was written, or kept by the memory engine. The table and
//! the key are in the hash, so a value in the wrong place is as damaged as a
//! flipped bit. Eight bytes, because this guards against accidents, not
//! against an attacker who can write the disk: for those, envelopes are signed.

use crate::error::StoreError;
use crate::table::Table;

/// Format of a record.
const FORMAT: u8 = 1;
/// Bytes that the trailer adds to a payload.
pub const TRAILER_BYTES: usize = 1 + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 8;

/// Appends the trailer to `payload`.
#[must_use]
pub fn seal(table: Table, key: &[u8], mut payload: Vec<u8>) -> Vec<u8> {
    payload.push(FORMAT);
    let checksum = checksum(table, key, &payload);
    payload.extend_from_slice(&checksum);
    payload
}

/// Checks the trailer and cuts it off.
///
/// # Errors
/// [`StoreError::Corrupt`] if the trailer is missing, of an unknown format, or wrong.
pub fn open(table: Table, key: &[u8], mut record: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let payload_bytes = verify(table, key, &record)?.len();
    record.truncate(payload_bytes);
    Ok(record)
}

/// Checks the trailer of a borrowed record and returns its payload.
///
/// # Errors
/// As [`open`].
pub fn verify<'r>(table: Table, key: &[u8], record: &'r [u8]) -> Result<&'r [u8], StoreError> {
    let (formatted, stored) = record
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| StoreError::corrupt(table, key, "the value is shorter than its checksum"))?;
    if checksum(table, key, formatted) != *stored {
        return Err(StoreError::corrupt(
            table,
            key,
            "the checksum does not match",
        ));
    }
    match formatted.split_last() {
        Some((&FORMAT, payload)) => Ok(payload),
        Some(_) | None => Err(StoreError::corrupt(
            table,
            key,
            "the record format is unknown",
        )),
    }
}

fn checksum(table: Table, key: &[u8], formatted: &[u8]) -> [u8; CHECKSUM_BYTES] {
    // Keys are at most KEY_BYTES_MAX = 160 bytes; a longer one would still hash, only its length would saturate.
    let key_bytes = u8::try_from(key.len()).unwrap_or(u8::MAX);
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 store record v1");
    hasher
        .update(&[table.number(), key_bytes])
        .update(key)
        .update(formatted);
    let mut checksum = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut checksum);
    checksum
}
