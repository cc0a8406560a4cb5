//! What one commit writes: the last value of every key that a batch touched.

use std::collections::BTreeMap;

use crate::key::{Decoder, Encoder};
use crate::table::Table;

/// Puts and deletes, each key once, in the order of table and key. Values are
/// records (payload and checksum), exactly as an engine keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    rows: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
}

impl WriteSet {
    /// Nothing to write.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `record`.
    pub fn put(&mut self, table: Table, key: Vec<u8>, record: Vec<u8>) {
        self.rows.insert((table, key), Some(record));
    }

    /// Deletes `key`.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.rows.insert((table, key), None);
    }

    /// Every write: table, key, and the record or `None` for a delete.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.rows
            .iter()
            .map(|((table, key), record)| (*table, key.as_slice(), record.as_deref()))
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// `count:4 ‖ (table:1 ‖ op:1 ‖ key length:4 ‖ key ‖ [record length:4 ‖ record])*`:
    /// what the memory engine logs and what the hash of a commit covers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new().u32(length(self.rows.len()));
        for ((table, key), record) in &self.rows {
            encoder = encoder
                .u8(table.number())
                .u8(u8::from(record.is_some()))
                .u32(length(key.len()))
                .tail(key);
            if let Some(record) = record {
                encoder = encoder.u32(length(record.len())).tail(record);
            }
        }
        encoder.finish()
    }

    /// Reads what [`Self::encode`] wrote; `None` if the bytes are not that.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Decoder::new(bytes);
        let mut writes = Self::new();
        for _ in 0..rest.u32()? {
            let table = Table::from_number(rest.u8()?)?;
            let is_put = rest.u8()? == 1;
            let key = sized(&mut rest)?;
            if is_put {
                writes.put(table, key, sized(&mut rest)?);
            } else {
                writes.delete(table, key);
            }
        }
        rest.end()?;
        Some(writes)
    }
}

fn sized(rest: &mut Decoder<'_>) -> Option<Vec<u8>> {
    let bytes = usize::try_from(rest.u32()?).ok()?;
    rest.bytes(bytes).map(<[u8]>::to_vec)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
