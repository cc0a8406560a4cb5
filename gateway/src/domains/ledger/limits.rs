//! Every limit of the ledger, with its arithmetic.

use khlong_store::limits::BATCH_ROW_BYTES;

use crate::kernel::{BODY_BYTES_MAX, OUTCOME_BYTES_MAX, WRITES_BYTES_MAX, WRITES_ROWS_MAX};

/// Assets, accounts or transfers of one command. Indices are 2 bytes.
pub const BATCH_ITEMS_MAX: usize = 8_190;

/// Pending transfers that one command lets expire; where more are due, the kernel sweeps first.
pub const EXPIRIES_MAX: usize = 2_048;

/// Waits that are read from their table at once: some more than one command lets expire.
pub const UPCOMING_READ: usize = 4 * EXPIRIES_MAX;

/// Waits that are kept in memory, those that end first (32 bytes each, in a tree).
pub const UPCOMING_KEPT_MAX: usize = 2 * UPCOMING_READ;

/// Records in one row of table `ledger_transfer`: few rows to write, and few bytes to read for one.
pub const CHUNK_RECORDS: usize = 32;

/// Accounts kept in memory between commands (about 250 bytes each).
pub const ACCOUNTS_CACHED_MAX: usize = 262_144;

/// Accounts whose balances are added up at once, so that nobody holds the ids of all: 16 KiB of them, and a few
/// milliseconds.
pub const ACCOUNTS_AT_ONCE_MAX: usize = 1_024;

/// Lines of one page of a query.
pub const PAGE_LINES_MAX: usize = 8_190;

/// A transfer, as it is asked for and as it is kept.
pub(super) const TRANSFER_BYTES: usize = 120;
/// An account, as it is asked for.
pub(super) const ACCOUNT_BYTES: usize = 52;
/// An asset, as it is asked for.
pub(super) const ASSET_BYTES: usize = 13;
/// `version 1 ‖ kind 1 ‖ count 2` before the items of a command.
pub(super) const COMMAND_HEADER_BYTES: usize = 4;
/// `index 2 ‖ code 1` of a failed item.
pub(super) const FAILURE_BYTES: usize = 3;
/// `time 8 ‖ four balances 64 ‖ closed 1` before the indices of a balance row.
pub(super) const BALANCE_BYTES: usize = 73;

const _: () = assert!(
    COMMAND_HEADER_BYTES + BATCH_ITEMS_MAX * TRANSFER_BYTES <= BODY_BYTES_MAX,
    "the largest batch is one command"
);
const _: () = assert!(
    3 + BATCH_ITEMS_MAX * FAILURE_BYTES <= OUTCOME_BYTES_MAX,
    "a batch in which all fails has an outcome"
);
const _: () = assert!(
    BATCH_ITEMS_MAX + EXPIRIES_MAX <= u16::MAX as usize,
    "an index names each record of a command"
);

/// Records of the largest command.
const RECORDS_MAX: usize = BATCH_ITEMS_MAX + EXPIRIES_MAX;
/// Their rows.
const CHUNK_ROWS_BYTES: usize =
    RECORDS_MAX * TRANSFER_BYTES + (RECORDS_MAX / CHUNK_RECORDS + 1) * (BATCH_ROW_BYTES + 10 + 8);
/// Each has an id and may settle another one.
const ID_ROWS_BYTES: usize = 2 * RECORDS_MAX * (BATCH_ROW_BYTES + 16 + 11);
/// Each moves two accounts.
const BALANCE_ROWS_BYTES: usize = 2 * RECORDS_MAX * (BATCH_ROW_BYTES + 24 + BALANCE_BYTES + 2);
/// Each begins or ends one wait.
const EXPIRY_ROWS_BYTES: usize = RECORDS_MAX * (BATCH_ROW_BYTES + 24);

const _: () = assert!(
    CHUNK_ROWS_BYTES + ID_ROWS_BYTES + BALANCE_ROWS_BYTES + EXPIRY_ROWS_BYTES <= WRITES_BYTES_MAX,
    "the largest command is taken"
);
const _: () = assert!(
    RECORDS_MAX / CHUNK_RECORDS + 1 + 5 * RECORDS_MAX <= WRITES_ROWS_MAX,
    "and its rows: records, two ids, two balances and one wait each"
);
