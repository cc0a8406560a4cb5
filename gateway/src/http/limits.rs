//! Every limit of the HTTP surface, with its arithmetic.

use std::time::Duration;

use crate::domains::books::payout::PAYOUTS_MAX;
use crate::domains::ledger::limits::BATCH_ITEMS_MAX;

/// The body of a request: 5 MiB.
pub const BODY_BYTES_MAX: usize = 5 * 1024 * 1024;

/// What one transfer takes in JSON with every field at its longest, without blanks.
const TRANSFER_JSON_BYTES: usize = 640;

const _: () = assert!(
    BATCH_ITEMS_MAX * TRANSFER_JSON_BYTES <= BODY_BYTES_MAX,
    "the largest batch can be sent"
);

/// The head of a request, its first line included: 64 KiB. A longer one is answered with 431, as one of
/// more than 100 headers is, before it is known whose it is.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What all bodies that are being read hold: 160 MiB.
pub const BODIES_BYTES_MAX: usize = 32 * BODY_BYTES_MAX;

/// And those of one key: 40 MiB.
pub const KEY_BODIES_BYTES_MAX: usize = BODIES_BYTES_MAX / 4;

/// How long a client may take to send a body: 30 seconds.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Of what is said about a body that cannot be read: it may quote the body.
pub const DETAIL_CHARS_MAX: usize = 200;

/// How long a client may be silent where it is its turn: before and within the head of each
/// request, and while it takes nothing of its answer. 10 seconds.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Connections at once. Default 256.
pub const CONNECTIONS_DEFAULT: usize = 256;

/// Requests of one key in a minute. Default 6,000.
pub const REQUESTS_PER_MINUTE_DEFAULT: u32 = 6_000;

/// What one line takes in JSON: its transfer, and cursor, time and four balances.
pub const LINE_JSON_BYTES: usize = TRANSFER_JSON_BYTES + 432;

/// Lines of one page: 100 unless asked for, at most 1,000. So a page has about 1 MiB, and a command of any
/// size is told in as many pages as that takes.
pub const LINES_DEFAULT: usize = 100;
/// See [`LINES_DEFAULT`].
pub const LINES_MAX: usize = 1_000;

const _: () = assert!(
    LINES_MAX * LINE_JSON_BYTES <= 1_100_000,
    "a page has about 1 MiB"
);

/// Batches of payouts of one page, unless fewer are asked for: 20. A row has up to 8,000 holds, so a page reads at most
/// some 2.7 MB.
pub const BATCHES_MAX: usize = 20;

/// Holds of a batch of one page: 100 unless asked for, at most 1,000. Each is three rows, of which one has up to 4 KB, so
/// a page reads at most some 4 MB beside the batch.
pub const HOLDS_DEFAULT: usize = 100;
/// See [`HOLDS_DEFAULT`].
pub const HOLDS_MAX: usize = 1_000;

const _: () = assert!(
    BATCHES_MAX * 16 * PAYOUTS_MAX <= 4 * 1024 * 1024 && HOLDS_MAX <= LINES_MAX,
    "the driver decides nothing while it reads a page"
);

/// Comparisons with a bank's file at once. Each holds at most a body, its lines and as many entries of the
/// ledger: some 40 MB.
pub const COMPARISONS_MAX: usize = 2;

/// Comparisons that the page for people reads to tell which differences are open. It counts none if more are
/// recorded: the driver does nothing else meanwhile.
pub const COMPARISONS_READ_MAX: usize = 10_000;

/// Comparisons with differences that the page for people lists.
pub const COMPARISONS_SHOWN_MAX: usize = 100;

/// Keys that may be configured.
pub const KEYS_MAX: usize = 1_024;

/// A secret shorter than this could be guessed: 32 characters.
pub const SECRET_BYTES_MIN: usize = 32;
/// And a longer one is a mistake.
pub const SECRET_BYTES_MAX: usize = 256;

/// How old the sums of the page for people may be, since they read every account: 5 seconds.
pub const PAGE_AGE_MAX: Duration = Duration::from_secs(5);

/// And at least so many times as long as it took to make them: no reader of the page takes
/// more than a twentieth of the driver's time.
pub const PAGE_REST: u32 = 20;

/// How long a reader of the page waits for them: 10 seconds. Adding up goes on, for whoever asks then.
pub const PAGE_WITHIN: Duration = Duration::from_secs(10);

/// How often the next accounts of the page find no place in the driver's queue before those that were
/// read are given up: with [`PAGE_PAUSE`] between, 10 seconds.
pub const PAGE_TRIES: u32 = 500;

/// Between two of these tries: 20 milliseconds.
pub const PAGE_PAUSE: Duration = Duration::from_millis(20);

/// What a client that is turned away waits before it tries again, in seconds.
pub(super) const RETRY_AFTER_S: u64 = 1;
