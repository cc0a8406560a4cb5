//! Every limit of the books, with its arithmetic.

use khlong_store::limits::BATCH_ROW_BYTES;

use crate::kernel::COMMAND_WRITES_BYTES_MAX;

/// Records that one command of a close adds up: payments go on between two of them. About 1 MB of
/// records, and a read for each account and each hold among them.
pub const CLOSE_RECORDS_MAX: usize = 8_192;

/// The key of a row of `books_close_total`, and its value.
pub(super) const TOTAL_ROW_BYTES: usize = 10 + 8 + 6 * 24;

/// The row of the day, and the kernel's own.
const OTHER_ROWS_BYTES: usize = 8_192;

const _: () = assert!(
    2 * CLOSE_RECORDS_MAX * (BATCH_ROW_BYTES + TOTAL_ROW_BYTES) + OTHER_ROWS_BYTES
        <= COMMAND_WRITES_BYTES_MAX,
    "each record of a step may move two classes of its own"
);
