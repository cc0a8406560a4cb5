//! The trace: one running hash over everything that happened.
//!
//! Two runs with one seed must give one hash, in two processes. A run that
//! only *ends* alike is not enough: the hash covers the way there.

use khlong_crdt::time::Monotonic;

const TRACE_CONTEXT: &str = "khlong.network 2026-11 simulation trace v1";

/// Folds records into a hash. A record is a time, a kind and numbers or bytes.
#[derive(Clone, Debug)]
pub struct Trace {
    hasher: blake3::Hasher,
    records: u64,
    /// The record that is being put together: one call of the hasher for each.
    record: Vec<u8>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key(TRACE_CONTEXT),
            records: 0,
            record: Vec::new(),
        }
    }
}

impl Trace {
    /// Adds a record whose parts have a fixed length.
    pub fn note(&mut self, at: Monotonic, kind: &'static str, parts: &[u64]) {
        self.begin(at, kind);
        for part in parts {
            self.record.extend_from_slice(&part.to_be_bytes());
        }
        self.hasher.update(&self.record);
    }

    /// Adds a record with bytes of any length.
    pub fn note_bytes(&mut self, at: Monotonic, kind: &'static str, bytes: &[u8]) {
        self.begin(at, kind);
        let length = bytes.len() as u64;
        self.record.extend_from_slice(&length.to_be_bytes());
        self.record.extend_from_slice(bytes);
        self.hasher.update(&self.record);
    }

    /// Records so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// The hash so far, hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    fn begin(&mut self, at: Monotonic, kind: &'static str) {
        self.records += 1;
        self.record.clear();
        self.record.extend_from_slice(&at.0.to_be_bytes());
        self.record
            .extend_from_slice(&(kind.len() as u64).to_be_bytes());
        self.record.extend_from_slice(kind.as_bytes());
    }
}
