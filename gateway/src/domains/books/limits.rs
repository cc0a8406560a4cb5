//! Every limit of the books, with its arithmetic.

use khlong_store::limits::BATCH_ROW_BYTES;

use crate::kernel::{Logic, WRITES_BYTES_MAX, WRITES_ROWS_MAX};

/// Records that one command of a close adds up: payments go on between two of them. About 1 MB of
/// records, and a read for each account and each hold among them.
///
/// It says how many commands a close has and what each answers, so it is a part of the rules of a replay:
/// another number needs a new [`Logic`], and goes into [`close_records`].
pub const CLOSE_RECORDS_MAX: usize = 8_192;

/// Records that a command of a close adds up under these rules.
#[must_use]
pub const fn close_records(logic: Logic) -> usize {
    match logic {
        Logic::V1 | Logic::V2 | Logic::V3 | Logic::V4 => CLOSE_RECORDS_MAX,
    }
}

/// The key of a row of `books_close_total`, and its value.
pub(super) const TOTAL_ROW_BYTES: usize = 10 + 8 + 6 * 24;

/// The row of the day.
const DAY_ROW_BYTES: usize = 1_024;

const _: () = assert!(
    2 * CLOSE_RECORDS_MAX * (BATCH_ROW_BYTES + TOTAL_ROW_BYTES) + DAY_ROW_BYTES <= WRITES_BYTES_MAX
        && 2 * CLOSE_RECORDS_MAX < WRITES_ROWS_MAX,
    "each record of a step may move two classes of its own"
);
