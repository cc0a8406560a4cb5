//! `KEYSPACE.md`, the catalog and the bytes on the disk say the same.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod fixture;

use std::collections::BTreeMap;

use fixture::{Author, hex, options};
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, PrincipalKey, RelayKey, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::catalog::CATALOG;
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_store::journal::{self, Entry, JournalId};
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::store::Store;
use khlong_store::table::{Compaction, Status, Table, Ttl};
use khlong_store::tables::blocked::Blocked;
use khlong_store::tables::named::Named;
use khlong_store::tables::quotas::{Scope, Use};
use khlong_store::tables::retention::{ExpiringReceipt, Noted, TimelineRetention};
use khlong_store::tables::{
    admission, blocked, cursors, named, outbox, quotas, receipts, retention, snapshots, timelines,
};

#[test]
fn keyspace_md_is_the_catalog() {
    let document = include_str!("../KEYSPACE.md");
    let rows: Vec<Vec<String>> = document
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| number"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`').to_owned())
                .collect()
        })
        .collect();
    let catalog: Vec<Vec<String>> = CATALOG
        .iter()
        .map(|row| {
            let compaction = match row.compaction {
                Compaction::Leveled => "leveled",
                Compaction::Universal => "universal",
            };
            let ttl = match row.ttl {
                Ttl::None => "none",
                Ttl::ExpiryClass => "expiry class",
            };
            let status = match row.status {
                Status::Live => "live".to_owned(),
                Status::Retired { since_schema } => format!("retired in schema {since_schema}"),
            };
            let (number, prefix) = (row.table.number().to_string(), row.prefix_bytes.to_string());
            [
                &number, row.name, row.key, row.value, compaction, &prefix, ttl, &status,
            ]
            .map(str::to_owned)
            .to_vec()
        })
        .collect();
    assert_eq!(rows, catalog);
}

#[test]
fn names_and_numbers_are_unique() {
    for row in CATALOG {
        assert_eq!(Table::from_number(row.table.number()), Some(row.table));
        assert_eq!(
            CATALOG
                .iter()
                .filter(|other| other.name == row.name)
                .count(),
            1
        );
    }
    assert_eq!(Table::from_number(200), None);
}

fn expiring() -> ExpiringReceipt {
    ExpiringReceipt {
        expiry: Expiry::Month,
        received_at: UnixMillis(0x0506),
        arrival: ArrivalSeq(0x0708),
    }
}

fn blocked_in(timeline: TimelineId) -> Blocked {
    Blocked {
        timeline,
        principal: PrincipalKey::from_bytes([0x33; 32]),
        at: UnixMillis(7),
    }
}

/// The gateway's rows; but for the journal, its own tests freeze what it makes of them.
fn put_gateway_rows(batch: &mut Batch<'_>) {
    let id = JournalId::from_bytes([9; 16]);
    let head = journal::create(batch, id).unwrap();
    let entry = Entry {
        header: b"h".to_vec(),
        command: b"c".to_vec(),
        outcome: b"o".to_vec(),
    };
    journal::append(batch, head.seq, &[entry]).unwrap();
    let (account, transfer) = ([0x55; 16], [0x66; 16]);
    let one = || Encoder::new().u64(1);
    let day = || Encoder::new().u32(20_784);
    for (table, key) in [
        (Table::Idempotency, vec![0x44; 32]),
        (Table::IdempotencyAge, one().finish()),
        (Table::GatewayOutbox, one().u32(2).finish()),
        (Table::LedgerAccount, account.to_vec()),
        (Table::LedgerTransfer, one().fixed(&[0, 3]).finish()),
        (Table::LedgerTransferId, transfer.to_vec()),
        (
            Table::LedgerBalance,
            Encoder::new().fixed(&account).u64(1).finish(),
        ),
        (Table::LedgerExpiry, one().fixed(&transfer).finish()),
        (Table::LedgerAsset, vec![0x77; 4]),
        (Table::BooksClose, day().finish()),
        (
            Table::BooksCloseTotal,
            day().u32(0x77).fixed(&[0, 4]).finish(),
        ),
        (Table::BooksReconciliation, vec![0x88; 32]),
        (Table::BooksPayout, vec![0x99; 16]),
        (Table::BooksPayoutItem, transfer.to_vec()),
        (Table::GatewayKernel, Encoder::new().u8(2).u64(1).finish()),
    ] {
        batch.put(table, key, Vec::new()).unwrap();
    }
}

fn gateway_golden(one: &str) -> [(&'static str, Vec<String>); 16] {
    [
        ("journal", vec![one.to_owned()]),
        ("idempotency", vec!["44".repeat(32)]),
        ("idempotency_age", vec![one.to_owned()]),
        ("gateway_outbox", vec![format!("{one}00000002")]),
        ("ledger_account", vec!["55".repeat(16)]),
        ("ledger_transfer", vec![format!("{one}0003")]),
        ("ledger_transfer_id", vec!["66".repeat(16)]),
        ("ledger_balance", vec![format!("{}{one}", "55".repeat(16))]),
        ("ledger_expiry", vec![format!("{one}{}", "66".repeat(16))]),
        ("ledger_asset", vec!["77".repeat(4)]),
        ("books_close", vec!["00005130".to_owned()]),
        ("books_close_total", vec!["00005130000000770004".to_owned()]),
        ("books_reconciliation", vec!["88".repeat(32)]),
        ("books_payout", vec!["99".repeat(16)]),
        ("books_payout_item", vec!["66".repeat(16)]),
        ("gateway_kernel", vec![format!("02{one}")]),
    ]
}

fn put_retention(batch: &mut Batch<'_>, timeline: TimelineId, envelope: &VerifiedEnvelope) {
    let mut row = TimelineRetention::default();
    row.raise(Expiry::Week, UnixMillis(5));
    retention::put(batch, &timeline, &row).unwrap();
    retention::note_receipt(batch, &expiring(), &envelope.id()).unwrap();
    retention::put_noted(batch, Noted::default()).unwrap();
}

/// What only nodes keep beside envelopes and secrets.
fn put_views(batch: &mut Batch<'_>, timeline: TimelineId) {
    blocked::put(batch, &blocked_in(timeline)).unwrap();
    let head = snapshots::head_key(&timeline);
    snapshots::put(batch, &head, &[1; 40], 0).unwrap();
    let page = snapshots::page_key(&timeline, &[0x44; 37]);
    snapshots::put(batch, &page, &[2; 40], 0).unwrap();
}

/// One row of every table, written through its typed table, and the keys that must come of it.
#[test]
fn golden_keys() {
    let disk = MemoryDisk::new();
    let mut store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
    let author = Author::number(1);
    let timeline = TimelineId::from_bytes([0x11; 32]);
    let relay = RelayKey::from_bytes([0x22; 32]);
    let envelope = author.write(timeline, Kind::Change, 1, EnvelopeId::ZERO, b"body");
    let mut batch = store.batch();
    timelines::append(&mut batch, &envelope, UnixMillis(5)).unwrap();
    admission::record(&mut batch, &timeline, ArrivalSeq(0x0102), &envelope.id()).unwrap();
    outbox::push(&mut batch, &timeline, &envelope.id(), UnixMillis(6)).unwrap();
    let cursor = Cursor {
        log: LogId::from_bytes([3; 16]),
        log_epoch: 1,
        seq: ArrivalSeq(9),
        hash: [4; 8],
    };
    cursors::put(&mut batch, &relay, Class::Bulk, &cursor).unwrap();
    cursors::put_backfill(&mut batch, &relay, &timeline, Class::Text, ArrivalSeq(0)).unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let receipt = StoredReceipt::sign(
        &key,
        LogId::from_bytes([3; 16]),
        1,
        UnixMillis(5),
        &[envelope.id()],
    );
    let proof = receipt.prove(&[envelope.id()]).unwrap().remove(0);
    receipts::put(&mut batch, &envelope.id(), &proof).unwrap();
    named::put(&mut batch, Named::Secret, b"device", vec![1]).unwrap();
    named::put(&mut batch, Named::NodeState, b"relay/1", vec![1]).unwrap();
    quotas::add(
        &mut batch,
        Scope::Author,
        author.id().as_bytes(),
        Use { bytes: 4, count: 1 },
    )
    .unwrap();
    put_retention(&mut batch, timeline, &envelope);
    put_views(&mut batch, timeline);
    put_gateway_rows(&mut batch);
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();

    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    store
        .for_each_row(&mut |table, key, _| {
            found.entry(table.name()).or_default().push(hex(key));
            Ok(())
        })
        .unwrap();
    let (t, r, a, e) = (
        "11".repeat(32),
        "22".repeat(32),
        hex(author.id().as_bytes()),
        hex(envelope.id().as_bytes()),
    );
    let one = "0000000000000001";
    let mut golden = BTreeMap::from([
        (
            "meta",
            [
                "committed",
                "journal",
                "log",
                "noted",
                "outbox-count",
                "role",
                "schema",
            ]
            .map(|name| hex(name.as_bytes()))
            .to_vec(),
        ),
        ("class_head", vec!["01".to_owned()]),
        ("envelope", vec![e.clone()]),
        ("arrival", vec![format!("01{one}")]),
        ("timeline_arrival", vec![format!("{t}01{one}")]),
        ("timeline_head", vec![format!("{t}01")]),
        ("author_seq", vec![format!("{t}{a}{one}")]),
        ("author_head", vec![format!("{t}{a}")]),
        ("admission", vec![format!("{t}0000000000000102")]),
        ("outbox", vec![format!("{t}{one}")]),
        ("cursor", vec![format!("{r}02")]),
        ("backfill", vec![format!("{r}{t}01")]),
        ("receipt", vec![e]),
        ("secret", vec![hex(b"device")]),
        ("node_state", vec![hex(b"relay/1")]),
        ("quota", vec![format!("02{a}")]),
        ("retention", vec![t.clone()]),
        (
            "expiring",
            vec!["0300000000000005060000000000000708".to_owned()],
        ),
        ("blocked", vec![format!("{t}{}", "33".repeat(32))]),
        (
            "snapshot",
            vec![format!("{t}0000"), format!("{t}{}0000", "44".repeat(37))],
        ),
    ]);
    golden.extend(gateway_golden(one));
    assert_eq!(found, golden);
    assert_eq!(golden.len(), CATALOG.len(), "every table has a golden key");
}

#[test]
fn the_encoder_keeps_the_order_of_numbers() {
    let key = |n: u64| Encoder::new().u8(1).u64(n).finish();
    let numbers = [0, 1, 255, 256, 65_535, 1 << 32, u64::MAX];
    assert!(numbers.map(key).is_sorted());
    assert_eq!(
        hex(&Encoder::new()
            .u8(1)
            .u32(2)
            .i64(-1)
            .fixed(&[7; 2])
            .tail(b"x")
            .finish()),
        "0100000002ffffffffffffffff070778"
    );
}

#[test]
fn the_decoder_refuses_what_is_short_or_long() {
    let bytes = Encoder::new().u8(1).u32(2).u64(3).i64(-4).finish();
    let mut fields = Decoder::new(&bytes);
    assert_eq!(
        (fields.u8(), fields.u32(), fields.u64(), fields.i64()),
        (Some(1), Some(2), Some(3), Some(-4))
    );
    assert_eq!(fields.end(), Some(()));
    assert_eq!(fields.u8(), None);
    assert_eq!(Decoder::new(&bytes).end(), None);
    assert_eq!(Decoder::new(bytes.first_chunk::<3>().unwrap()).u32(), None);
}

#[test]
fn a_prefix_ends_where_the_next_begins() {
    assert_eq!(KeyRange::prefix(&[1, 0xff]).end, Some(vec![2]));
    assert_eq!(KeyRange::prefix(&[0xff, 0xff]).end, None);
    assert!(KeyRange::prefix(&[1, 2]).contains(&[1, 2, 0xff, 0xff]));
    assert!(!KeyRange::prefix(&[1, 2]).contains(&[1, 3]));
}
