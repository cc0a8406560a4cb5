//! What a table is: the type of one row of the catalog.
//!
//! A table is a number that never changes, and a row of [`crate::catalog`] that
//! says how its keys and values look. The number also goes into checksums, so a
//! value that is read from the wrong table is noticed.

/// Names a table. The numbers are for ever: a retired table keeps its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Schema version, role, log identity, last commit.
    Meta = 0,
    /// Head of each class log.
    ClassHead = 1,
    /// Envelope bytes by id.
    Envelope = 2,
    /// The class logs: envelopes by arrival.
    Arrival = 3,
    /// The same by timeline.
    TimelineArrival = 4,
    /// Head and totals of each timeline and class.
    TimelineHead = 5,
    /// Author chains, with fork evidence.
    AuthorSeq = 6,
    /// Heights of author chains.
    AuthorHead = 7,
    /// Accepted auth-ops, in the order in which they were accepted.
    Admission = 8,
    /// What a node has still to send.
    Outbox = 9,
    /// How far a node has read each class log of each relay.
    Cursor = 10,
    /// How far a node has backfilled a timeline that is not merged yet.
    Backfill = 11,
    /// Which relay promised which envelope.
    Receipt = 12,
    /// Secrets, sealed by the node's master key.
    Secret = 13,
    /// Small rows of a node: relays, nicknames, read heights.
    NodeState = 14,
    /// What a timeline or device has stored.
    Quota = 15,
    /// What retention knows of each timeline.
    Retention = 16,
    /// Receipts that hold their body, by expiry class and date.
    Expiring = 17,
    /// Members whose messages a node hides from its user.
    Blocked = 18,
    /// The gateway's journal: every command and its outcome, hash-chained.
    Journal = 19,
    /// Which command an idempotency key stands for.
    Idempotency = 20,
    /// The same by age, for eviction.
    IdempotencyAge = 21,
    /// Side effects of the gateway that wait for the outside world.
    GatewayOutbox = 22,
    /// Accounts of the ledger: what does not change with a transfer.
    LedgerAccount = 23,
    /// Transfers, many of one command in a row.
    LedgerTransfer = 24,
    /// Where a transfer's id stands, and what became of it.
    LedgerTransferId = 25,
    /// An account's balances after each command, and which transfers moved it.
    LedgerBalance = 26,
    /// Pending transfers by the time at which they expire.
    LedgerExpiry = 27,
    /// What the ledger counts: an asset and its scale.
    LedgerAsset = 28,
    /// The daily closes of the books.
    BooksClose = 29,
    /// What each class of accounts moved on a day.
    BooksCloseTotal = 30,
    /// Comparisons with bank files that were recorded.
    BooksReconciliation = 31,
    /// Batches of payouts whose file may leave.
    BooksPayout = 32,
    /// In which batch a payout is.
    BooksPayoutItem = 33,
    /// What timelines had become, sealed, so that a node starts sooner.
    Snapshot = 34,
}

/// How an engine merges the files of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compaction {
    /// Levels: few files to read. For tables that are looked up.
    Leveled,
    /// Universal: few rewrites. For tables of large rows that are written once.
    Universal,
}

/// Whether a table's rows come and go by time. No engine drops rows by its own
/// clock: expiry is decided by a core, which is given the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// Rows stay until a core deletes them for another reason.
    None,
    /// A core replaces or deletes the row when its expiry class says so.
    ExpiryClass,
}

/// Whether a table is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Read and written.
    Live,
    /// No longer written; the row stays so that its number and name are never used again.
    Retired {
        /// The schema that retired it.
        since_schema: u32,
    },
}

/// One row of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRow {
    /// Which table.
    pub table: Table,
    /// Name of the column family.
    pub name: &'static str,
    /// Layout of the key, fields in order with their length in bytes.
    pub key: &'static str,
    /// Layout of the value, before the checksum.
    pub value: &'static str,
    /// How its files are merged.
    pub compaction: Compaction,
    /// Length of the key prefix by which it is scanned, for the prefix filter; 0 = none.
    pub prefix_bytes: usize,
    /// Whether rows go by time.
    pub ttl: Ttl,
    /// Whether it is in use.
    pub status: Status,
}

impl Table {
    /// The table's number, as it stands in checksums and logs.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The table with that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        crate::catalog::CATALOG
            .iter()
            .map(|row| row.table)
            .find(|table| table.number() == number)
    }

    /// Its row in the catalog.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "the catalog asserts at compile time that row n is table n, and that all are there"
    )]
    pub fn row(self) -> &'static TableRow {
        &crate::catalog::CATALOG[self as usize]
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }
}
