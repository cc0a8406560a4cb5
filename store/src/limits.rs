//! Every limit of the store, with its arithmetic.

/// A key is a few ids and a number: four ids of 32 bytes would fit.
pub const KEY_BYTES_MAX: usize = 160;

/// The largest row: a fragment's envelope (1 MiB of body and its header) with room to spare.
pub const VALUE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What one batch may hold. A batch lives in memory until its commit, and a
/// commit is one record of the write-ahead log.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Fixed cost that is charged to a batch for each row, beside key and value.
pub const BATCH_ROW_BYTES: usize = 32;

/// Timelines whose head is kept in memory (about 100 bytes each).
pub const TIMELINE_HEADS_CACHED_MAX: usize = 65_536;

/// Timelines whose admission is kept in memory, replayed from disk when missing.
pub const ADMISSIONS_CACHED_MAX: usize = 4_096;

/// Timelines whose admission an open batch keeps with what it has recorded itself; more
/// are replayed.
pub const ADMISSIONS_OPEN_MAX: usize = 256;

/// What waits in a node's outbox, over all timelines.
pub const OUTBOX_ENTRIES_MAX: u64 = 1_000_000;

/// Rows that an engine copies at a time while it scans.
pub const SCAN_CHUNK_ROWS: usize = 64;

const _: () = assert!(
    BATCH_BYTES_MAX >= 4 * (KEY_BYTES_MAX + VALUE_BYTES_MAX + BATCH_ROW_BYTES),
    "a batch holds the largest append"
);

/// `arrival ‖ received_at` before the bytes of an envelope.
const ENVELOPE_ROW_BYTES: usize = 16;

const _: () = assert!(
    khlong_crdt::limits::ENVELOPE_BYTES_MAX + ENVELOPE_ROW_BYTES <= VALUE_BYTES_MAX,
    "the largest envelope is a row"
);
