//! An ordered, hash-chained log with compare-and-append: what a gateway knows.
//!
//! Everything else in a gateway is a view that replaying the journal rebuilds, so an
//! entry that changed unseen would change the truth. Each hash covers all before it, and
//! [`verify`] names the first entry that is not the one that was appended. The log sees
//! bytes only: what a header, a command and an outcome mean is the kernel's part.
//!
//! Nothing here commits: an append is written to the batch that also holds the view, and
//! one synced commit makes both durable, for every command that was gathered meanwhile.

mod chain;
mod error;
mod log;
mod read;

pub use chain::{Chain, Head, JournalId, JournalSeq};
pub use error::JournalError;
pub use log::{Append, Journal, LocalJournal, READ_BYTES_MAX};
pub use read::{Stored, get, read, verify};

use crate::batch::Batch;
use crate::error::StoreError;
use crate::key::{Decoder, Encoder};
use crate::limits::VALUE_BYTES_MAX;
use crate::rows::Rows;
use crate::table::Table;

/// Entries of one [`append`].
pub const ENTRIES_MAX: usize = 1_024;

/// `hash 32 ‖ header length 4 ‖ command length 4` before the bytes of an entry.
const ROW_HEADER_BYTES: usize = 40;

/// Header, command and outcome of one entry together.
pub const ENTRY_BYTES_MAX: usize = VALUE_BYTES_MAX - ROW_HEADER_BYTES;

/// The row of `meta` with the journal's id and its head.
pub(crate) const META_JOURNAL: &[u8] = b"journal";

/// One entry: what was asked, under which rules, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who asked, when, and by which rules it is decided.
    pub header: Vec<u8>,
    /// What was asked.
    pub command: Vec<u8>,
    /// What was answered.
    pub outcome: Vec<u8>,
}

impl Entry {
    /// Header, command and outcome together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.header.len() + self.command.len() + self.outcome.len()
    }
}

/// Begins the journal in a folder that has none.
///
/// # Errors
/// [`JournalError::Exists`] if there is one.
pub fn create(batch: &mut Batch<'_>, id: JournalId) -> Result<Head, JournalError> {
    if head(batch)?.is_some() {
        return Err(JournalError::Exists);
    }
    let head = Head::start(id);
    put_head(batch, head)?;
    Ok(head)
}

/// The head; `None` in a folder without a journal.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn head(rows: &dyn Rows) -> Result<Option<Head>, StoreError> {
    let Some(bytes) = rows.get(Table::Meta, META_JOURNAL)? else {
        return Ok(None);
    };
    let mut fields = Decoder::new(&bytes);
    let decoded = (|| {
        let head = Head {
            id: JournalId::from_bytes(fields.fixed()?),
            seq: JournalSeq(fields.u64()?),
            hash: fields.fixed()?,
        };
        fields.end()?;
        Some(head)
    })();
    decoded
        // Each has one after it.
        .filter(|head| head.seq.0 < u64::MAX)
        .map(Some)
        .ok_or_else(|| StoreError::corrupt(Table::Meta, META_JOURNAL, "not the head of a journal"))
}

/// Appends `entries` if the head is at `expected`, and returns the new head.
///
/// # Errors
/// [`JournalError::Moved`] if another entry stands at the head: nothing was written.
/// [`JournalError::Missing`], [`JournalError::TooLarge`], or those of the batch.
pub fn append(
    batch: &mut Batch<'_>,
    expected: JournalSeq,
    entries: &[Entry],
) -> Result<Head, JournalError> {
    let found = head(batch)?.ok_or(JournalError::Missing)?;
    // Mutant "compare": whoever comes later appends too.
    if found.seq != expected && cfg!(not(khlong_mutant = "compare")) {
        return Err(JournalError::Moved {
            expected: expected.0,
            found: found.seq.0,
        });
    }
    if entries.len() > ENTRIES_MAX {
        return Err(JournalError::TooLarge {
            what: "entries",
            found: entries.len(),
            max: ENTRIES_MAX,
        });
    }
    if let Some(large) = entries.iter().find(|entry| entry.bytes() > ENTRY_BYTES_MAX) {
        return Err(JournalError::TooLarge {
            what: "bytes in an entry",
            found: large.bytes(),
            max: ENTRY_BYTES_MAX,
        });
    }
    let chain = Chain::of(found.id);
    batch.atomically(|batch| {
        let mut head = found;
        for entry in entries {
            head = chain.extend(head, &entry.header, &entry.command, &entry.outcome);
            batch.put(Table::Journal, key(head.seq), encode(&head.hash, entry))?;
        }
        put_head(batch, head)?;
        Ok(head)
    })
}

fn put_head(batch: &mut Batch<'_>, head: Head) -> Result<(), StoreError> {
    let value = Encoder::new()
        .fixed(head.id.as_bytes())
        .u64(head.seq.0)
        .fixed(&head.hash)
        .finish();
    batch.put(Table::Meta, META_JOURNAL.to_vec(), value)
}

fn key(seq: JournalSeq) -> Vec<u8> {
    Encoder::new().u64(seq.0).finish()
}

fn encode(hash: &[u8; 32], entry: &Entry) -> Vec<u8> {
    let mut value =
        Vec::with_capacity(ROW_HEADER_BYTES + entry.bytes() + crate::record::TRAILER_BYTES);
    value.extend_from_slice(hash);
    value.extend_from_slice(&chain::length(&entry.header));
    value.extend_from_slice(&chain::length(&entry.command));
    value.extend_from_slice(&entry.header);
    value.extend_from_slice(&entry.command);
    value.extend_from_slice(&entry.outcome);
    value
}
