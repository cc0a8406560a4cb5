//! Rows that hold the highest number there is: no log gets there, so such a row is damaged.
//! It is told like any other damage, and what does not rest on it goes on.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod fixture;

use fixture::{Author, options};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::journal::{self, JournalId};
use khlong_store::key::Encoder;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::{outbox, timelines};

const NOW: UnixMillis = UnixMillis(5);

fn timeline() -> TimelineId {
    TimelineId::from_bytes([7; 32])
}

fn envelope(seq: u64) -> VerifiedEnvelope {
    let prev = if seq == 1 {
        EnvelopeId::ZERO
    } else {
        EnvelopeId::from_bytes([6; 32])
    };
    Author::number(1).write(timeline(), Kind::Change, seq, prev, b"body")
}

/// A store with one envelope, in which `row` then stands.
fn with_row(table: Table, key: Vec<u8>, row: Vec<u8>) -> Store {
    let mut store = Store::in_memory(&MemoryDisk::new(), &options(Role::Node)).unwrap();
    let mut batch = store.batch();
    timelines::append(&mut batch, &envelope(1), NOW).unwrap();
    batch.put(table, key, row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    store
}

fn damaged<T: std::fmt::Debug>(result: Result<T, StoreError>) -> &'static str {
    match result {
        Err(StoreError::Corrupt { table, .. }) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn appending_behind_it_is_refused_and_names_the_row() {
    let class = Class::Text as u8;
    let of_timeline = || Encoder::new().fixed(timeline().as_bytes());
    let author = Author::number(1).id();
    let highest = || Encoder::new().u64(u64::MAX);
    let rows = [
        (
            Table::ClassHead,
            vec![class],
            highest().fixed(&[0; 32]).finish(),
        ),
        // Beyond the head of its class, and with counts that have no room for one more.
        (
            Table::TimelineHead,
            of_timeline().u8(class).finish(),
            highest().u64(1).u64(1).finish(),
        ),
        (
            Table::TimelineHead,
            of_timeline().u8(class).finish(),
            Encoder::new().u64(1).u64(u64::MAX).u64(1).finish(),
        ),
        (
            Table::TimelineHead,
            of_timeline().u8(class).finish(),
            Encoder::new().u64(1).u64(1).u64(u64::MAX).finish(),
        ),
        (
            Table::AuthorHead,
            of_timeline().fixed(author.as_bytes()).finish(),
            highest().fixed(&[0; 32]).u64(u64::MAX).finish(),
        ),
    ];
    for (table, key, row) in rows {
        let store = with_row(table, key, row);
        let mut batch = store.batch();
        let appended = timelines::append(&mut batch, &envelope(2), NOW);
        assert_eq!(damaged(appended), table.name());
        assert!(batch.is_empty(), "nothing of it is left");
        let elsewhere = Author::number(2).write(
            timeline(),
            Kind::KeyOp,
            1,
            EnvelopeId::ZERO,
            b"another class and author",
        );
        timelines::append(&mut batch, &elsewhere, NOW).unwrap();
    }
}

#[test]
fn there_is_nothing_to_read_beyond_it() {
    let store = with_row(Table::Secret, b"any".to_vec(), Vec::new());
    let (timeline, class, far) = (timeline(), Class::Text, ArrivalSeq(u64::MAX));
    let arrivals = timelines::arrivals(&store, class, far, 10).unwrap();
    assert_eq!(arrivals.len(), 0);
    let index = timelines::index(&store, &timeline, class, far, far, 10).unwrap();
    assert_eq!(index.len(), 0);
    let next = timelines::next_arrival(&store, &timeline, class, far).unwrap();
    assert_eq!(next, None);
    // And behind a number that is there, the one after it.
    let next = timelines::next_arrival(&store, &timeline, class, ArrivalSeq(0)).unwrap();
    assert_eq!(next, Some(ArrivalSeq(1)));
    let next = timelines::next_arrival(&store, &timeline, class, ArrivalSeq(1)).unwrap();
    assert_eq!(next, None);
}

#[test]
fn a_queue_or_a_journal_that_is_full_of_numbers_takes_no_more() {
    let entry = Encoder::new().fixed(timeline().as_bytes()).u64(u64::MAX);
    let store = with_row(Table::Outbox, entry.finish(), Vec::new());
    let mut batch = store.batch();
    let pushed = outbox::push(&mut batch, &timeline(), &envelope(1).id(), NOW);
    assert_eq!(damaged(pushed), "outbox");

    let head = Encoder::new()
        .fixed(JournalId::from_bytes([9; 16]).as_bytes())
        .u64(u64::MAX)
        .fixed(&[0; 32]);
    let store = with_row(Table::Meta, b"journal".to_vec(), head.finish());
    assert_eq!(damaged(journal::head(&store)), "meta");
}

#[test]
fn a_folder_whose_commits_have_no_next_number_does_not_open() {
    let disk = MemoryDisk::new();
    drop(Store::in_memory(&disk, &options(Role::Node)).unwrap());
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let last = Encoder::new().u64(u64::MAX).fixed(&[0; 32]).finish();
    let mut batch = Batch::over(&engine);
    batch.put(Table::Meta, b"committed".to_vec(), last).unwrap();
    let writes = batch.into_writes();
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let opened = Store::in_memory(&disk, &options(Role::Node));
    assert_eq!(damaged(opened.map(drop)), "meta");
}
