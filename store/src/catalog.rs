//! Every table, one row each. `KEYSPACE.md` says the same in prose and is
//! compared with this list by a test.
//!
//! To add a table: a new number at the end of [`Table`], a row here, a row in
//! `KEYSPACE.md`, golden keys in `tests/keyspace.rs`. To retire one: change its
//! status and write a migration that empties it. Rows are never removed.

use crate::table::{Compaction, Status, Table, TableRow, Ttl};

/// The static catalog, in the order of the tables' numbers.
pub static CATALOG: &[TableRow] = &[
    leveled(Table::Meta, "meta", "[name]", "by name, see below", 0),
    leveled(
        Table::ClassHead,
        "class_head",
        "[class:1]",
        "arrival 8 ‖ running hash 32",
        0,
    ),
    TableRow {
        table: Table::Envelope,
        name: "envelope",
        key: "[id:32]",
        value: "arrival 8 ‖ received_at 8 ‖ envelope bytes",
        compaction: Compaction::Universal,
        prefix_bytes: 0,
        ttl: Ttl::ExpiryClass,
        status: Status::Live,
    },
    leveled(
        Table::Arrival,
        "arrival",
        "[class:1][arrival:8]",
        "timeline 32 ‖ id 32 ‖ running hash 32",
        0,
    ),
    leveled(
        Table::TimelineArrival,
        "timeline_arrival",
        "[timeline:32][class:1][arrival:8]",
        "id 32 ‖ received_at 8 ‖ cumulative count 8 ‖ cumulative bytes 8",
        33,
    ),
    leveled(
        Table::TimelineHead,
        "timeline_head",
        "[timeline:32][class:1]",
        "arrival 8 ‖ cumulative count 8 ‖ cumulative bytes 8",
        32,
    ),
    leveled(
        Table::AuthorSeq,
        "author_seq",
        "[timeline:32][author:32][seq:8]",
        "id 32, or two ids 64 (a fork)",
        64,
    ),
    leveled(
        Table::AuthorHead,
        "author_head",
        "[timeline:32][author:32]",
        "contiguous height 8 ‖ id at that height 32 ‖ highest seq 8",
        32,
    ),
    leveled(
        Table::Admission,
        "admission",
        "[timeline:32][arrival:8]",
        "id 32",
        32,
    ),
    leveled(
        Table::Outbox,
        "outbox",
        "[timeline:32][n:8]",
        "id 32 ‖ attempts 4 ‖ next attempt 8 ‖ state 1 ‖ refusal code 4 ‖ queued_at 8",
        32,
    ),
    leveled(
        Table::Cursor,
        "cursor",
        "[relay:32][class:1]",
        "log 16 ‖ log_epoch 4 ‖ arrival 8 ‖ hash 8",
        32,
    ),
    leveled(
        Table::Backfill,
        "backfill",
        "[relay:32][timeline:32][class:1]",
        "arrival 8",
        32,
    ),
    leveled(
        Table::Receipt,
        "receipt",
        "[id:32]",
        "promises of relays, see below",
        0,
    ),
    leveled(Table::Secret, "secret", "[name]", "sealed bytes", 0),
    leveled(
        Table::NodeState,
        "node_state",
        "[name]",
        "by name, versioned by its writer",
        0,
    ),
    leveled(
        Table::Quota,
        "quota",
        "[scope:1][id:32]",
        "stored bytes 8 ‖ count 8",
        0,
    ),
    leveled(
        Table::Retention,
        "retention",
        "[timeline:32]",
        "newest dates 6·8 ‖ text: noted 8 ‖ dropped 8 ‖ condemned 8 ‖ bulk: the same 24",
        0,
    ),
    leveled(
        Table::Expiring,
        "expiring",
        "[expiry class:1][received_at:8][arrival:8]",
        "id 32",
        1,
    ),
    leveled(
        Table::Blocked,
        "blocked",
        "[timeline:32][principal:32]",
        "blocked_at 8",
        32,
    ),
    leveled(
        Table::Journal,
        "journal",
        "[seq:8]",
        "hash 32 ‖ header length 4 ‖ command length 4 ‖ header ‖ command ‖ outcome",
        0,
    ),
    leveled(
        Table::Idempotency,
        "idempotency",
        "[caller, scope and key:32]",
        "seq 8 ‖ fingerprint 32",
        0,
    ),
    leveled(
        Table::IdempotencyAge,
        "idempotency_age",
        "[seq:8]",
        "caller, scope and key 32 ‖ time 8",
        0,
    ),
    leveled(
        Table::GatewayOutbox,
        "gateway_outbox",
        "[seq:8][n:4]",
        "domain 1 ‖ message",
        0,
    ),
    leveled(
        Table::LedgerAccount,
        "ledger_account",
        "[account:16]",
        "by the ledger, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::LedgerTransfer,
        "ledger_transfer",
        "[seq:8][chunk:2]",
        "by the ledger, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::LedgerTransferId,
        "ledger_transfer_id",
        "[transfer:16]",
        "by the ledger, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::LedgerBalance,
        "ledger_balance",
        "[account:16][seq:8]",
        "by the ledger, see gateway/DOMAINS.md",
        16,
    ),
    leveled(
        Table::LedgerExpiry,
        "ledger_expiry",
        "[expires_at:8][transfer:16]",
        "empty",
        0,
    ),
    leveled(
        Table::LedgerAsset,
        "ledger_asset",
        "[asset:4]",
        "by the ledger, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::BooksClose,
        "books_close",
        "[day:4]",
        "by the books, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::BooksCloseTotal,
        "books_close_total",
        "[day:4][asset:4][class:2]",
        "by the books, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::BooksReconciliation,
        "books_reconciliation",
        "[report:32]",
        "by the books, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::BooksPayout,
        "books_payout",
        "[batch:16]",
        "by the books, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::BooksPayoutItem,
        "books_payout_item",
        "[transfer:16]",
        "by the books, see gateway/DOMAINS.md",
        0,
    ),
    leveled(
        Table::Snapshot,
        "snapshot",
        "[timeline:32][part:2], [timeline:32][page:37][part:2]",
        "sealed bytes",
        32,
    ),
    leveled(
        Table::GatewayKernel,
        "gateway_kernel",
        "[kind:1][seq:8]",
        "by the kernel, see gateway/DOMAINS.md",
        0,
    ),
];

/// The usual row: leveled compaction, no expiry, in use.
const fn leveled(
    table: Table,
    name: &'static str,
    key: &'static str,
    value: &'static str,
    prefix_bytes: usize,
) -> TableRow {
    TableRow {
        table,
        name,
        key,
        value,
        compaction: Compaction::Leveled,
        prefix_bytes,
        ttl: Ttl::None,
        status: Status::Live,
    }
}

/// Rows stand at the index of their number, so that `Table::row` is a lookup.
const _: () = {
    let mut rows = CATALOG;
    let mut number = 0;
    while let Some((row, rest)) = rows.split_first() {
        assert!(
            row.table as usize == number,
            "the catalog is in the order of the numbers"
        );
        rows = rest;
        number += 1;
    }
    assert!(
        number == Table::GatewayKernel as usize + 1,
        "every table has a row"
    );
};
