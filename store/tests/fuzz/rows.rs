//! Rows with right checksums and anything inside: what a faulty program of ours, or of
//! another version, would have left. Without a right checksum no row gets beyond its record.

use std::ops::ControlFlow;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_store::engine::memory::MemoryEngine;
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::identity::Role;
use khlong_store::journal::{self, JournalError, JournalSeq};
use khlong_store::limits::KEY_BYTES_MAX;
use khlong_store::record;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::named::Named;
use khlong_store::tables::quotas::{Scope, Use};
use khlong_store::tables::{
    admission, blocked, cursors, named, outbox, quotas, receipts, retention, snapshots, timelines,
};
use khlong_store::write_set::WriteSet;
use khlong_sync::replica::Replica as _;

use crate::fixture::options;
use crate::fuzzing::{Seeds, fuzz};
use crate::golden::{NOW, author, golden, relay, timeline};

/// Rows that one input may replace.
const ROWS_MAX: usize = 4;

struct Row {
    table: Table,
    key: Vec<u8>,
    payload: Vec<u8>,
}

/// Table, length of the key, length of the payload, key, payload; again and again.
fn encode(row: &Row) -> Vec<u8> {
    let key = u8::try_from(row.key.len()).unwrap();
    let payload = u16::try_from(row.payload.len()).unwrap();
    [
        &[row.table.number(), key][..],
        &payload.to_be_bytes(),
        &row.key,
        &row.payload,
    ]
    .concat()
}

/// The lengths are capped by what is there, so that nearly every input has rows.
fn decode(mut input: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(([table, key, high, low], rest)) = input.split_first_chunk() {
        let Some(table) = Table::from_number(*table).filter(|_| rows.len() < ROWS_MAX) else {
            break;
        };
        let (key, rest) = rest.split_at(rest.len().min(usize::from(*key)));
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (payload, rest) = rest.split_at(rest.len().min(length));
        let key = key[..key.len().min(KEY_BYTES_MAX)].to_vec();
        let payload = payload.to_vec();
        rows.push(Row {
            table,
            key,
            payload,
        });
        input = rest;
    }
    rows
}

fuzz!(fuzz_row, 400, rows(), row);

fn rows() -> Seeds {
    let row = |table: Table, key: &[u8], payload: Vec<u8>| {
        let key = key.to_vec();
        encode(&Row {
            table,
            key,
            payload,
        })
    };
    let (mut genuine, mut seeds) = (Vec::new(), Vec::new());
    for (table, key, payload) in &golden().rows {
        genuine.push(row(*table, key, payload.clone()));
        // Numbers as high as there are, none at all, and a key that is cut short.
        seeds.push(row(*table, key, vec![u8::MAX; payload.len()]));
        seeds.push(row(*table, key, vec![0; payload.len()]));
        seeds.push(row(*table, &key[..key.len() - 1], payload.clone()));
    }
    // From here on the migrations run.
    seeds.push(encode(&Row {
        table: Table::Meta,
        key: b"schema".to_vec(),
        payload: 1_u32.to_be_bytes().to_vec(),
    }));
    Seeds::and(genuine, seeds)
}

/// Whether it is read, by every reader of its table.
fn row(input: &[u8]) -> bool {
    let golden = golden();
    let disk = golden.copy();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let mut writes = WriteSet::new();
    for Row {
        table,
        key,
        payload,
    } in decode(input)
    {
        let sealed = record::seal(table, &key, payload);
        writes.put(table, key, sealed);
    }
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let mut options = options(Role::Node);
    // Refused or taken, and either way nothing is read beyond what is there.
    options.accept_loss = input.len().is_multiple_of(2);
    let Ok(mut store) = Store::in_memory(&disk, &options) else {
        return false;
    };
    let is_taken = read_everything(&store);
    let is_elsewhere = |table: Table| table != Table::Meta && table != Table::Journal;
    if writes.iter().all(|(table, ..)| is_elsewhere(table)) {
        journal::verify(&store).unwrap();
    }
    write_on(&mut store);
    read_everything(&store);
    is_taken
}

/// Whether all of them could be read.
struct Readers(bool);

impl Readers {
    /// Takes one answer; what it says does not matter here.
    fn note<T, E>(&mut self, answer: Result<T, E>) -> Option<T> {
        self.0 &= answer.is_ok();
        answer.ok()
    }
}

/// Every reader of every table. Returns whether none met a row that it refuses.
fn read_everything(store: &Store) -> bool {
    let mut all = Readers(true);
    let (timeline, author) = (timeline(), author().id());
    let far = ArrivalSeq(u64::MAX);
    for class in Class::ALL {
        all.note(timelines::head(store, class));
        all.note(timelines::timeline_head(store, &timeline, class));
        for after in [ArrivalSeq(0), ArrivalSeq(2), far] {
            all.note(timelines::cursor_at(store, store.identity(), class, after));
            all.note(timelines::arrivals(store, class, after, 10));
            all.note(timelines::index(store, &timeline, class, after, far, 10));
            all.note(timelines::entries(
                store, &timeline, class, after, far, 10, 1_000,
            ));
            all.note(timelines::next_arrival(store, &timeline, class, after));
            all.note(timelines::totals(store, &timeline, class, after));
            // As a session asks.
            all.note(store.entries(timeline, class, after, far, 10, 1_000));
            all.note(store.totals(timeline, class, after));
        }
        all.note(store.head(class));
        all.note(cursors::get(store, &relay(), class));
    }
    all.note(timelines::heights(store, &timeline));
    all.note(timelines::timelines(store));
    for seq in 1..6 {
        all.note(timelines::author_ids(store, &timeline, &author, Seq(seq)));
    }
    for envelope in &golden().envelopes {
        if let Some(Some(stored)) = all.note(timelines::get(store, &envelope.id())) {
            assert_eq!(
                stored.envelope.id(),
                envelope.id(),
                "the one that was asked for"
            );
        }
        all.note(receipts::get(store, &envelope.id()));
    }
    all.note(admission::load(store, &timeline));
    all.note(store.admission(&timeline));
    all.note(outbox::list(store));
    all.note(cursors::backfills(store, &relay()));
    all.note(named::list(store, Named::Secret, b""));
    all.note(named::list(store, Named::NodeState, b""));
    all.note(quotas::get(store, Scope::Author, author.as_bytes()));
    all.note(quotas::of_everybody(store));
    all.note(retention::noted(store));
    all.note(retention::get(store, &timeline));
    all.note(retention::beyond(store, None, 10));
    all.note(retention::receipts_until(
        store,
        Expiry::Month,
        UnixMillis(i64::MAX),
        10,
    ));
    all.note(blocked::list(store));
    all.note(snapshots::head(store, &timeline));
    all.note(snapshots::pages(store, &timeline));
    read_journal(store, &mut all);
    all.0
}

/// The chain names the first entry that is not the one that was appended.
fn read_journal(store: &Store, all: &mut Readers) {
    all.note(journal::head(store));
    for seq in 0..5 {
        all.note(journal::get(store, JournalSeq(seq)));
    }
    let mut seen = 0_u64;
    let read = journal::read::<JournalError>(store, JournalSeq(1), &mut |stored| {
        seen += 1;
        assert_eq!(stored.seq.0, seen, "in order");
        Ok(ControlFlow::Continue(()))
    });
    all.note(read);
    if all.note(journal::verify(store)).is_some() {
        let rows = golden().rows.iter();
        let mut rows = rows.filter(|(table, ..)| *table == Table::Journal);
        assert!(rows.all(|(table, key, payload)| {
            store.get(*table, key).unwrap().as_ref() == Some(payload)
        }));
    }
}

/// Every writer that builds on rows.
fn write_on(store: &mut Store) {
    let (timeline, author) = (timeline(), author());
    let prev = golden().envelopes[5].id();
    let next: Vec<VerifiedEnvelope> = [4, 6]
        .map(|seq| author.write(timeline, Kind::Change, seq, prev, b"more"))
        .to_vec();
    let mut batch = store.batch();
    for envelope in next.iter().chain(&golden().envelopes) {
        let _ = timelines::append(&mut batch, envelope, NOW);
        let _ = outbox::push(&mut batch, &timeline, &envelope.id(), NOW);
        let _ = receipts::forget(&mut batch, &envelope.id(), &relay());
        if let Ok(Some(stored)) = timelines::get(&batch, &envelope.id()) {
            timelines::prune(&mut batch, &stored).unwrap();
        }
    }
    let more = Use { bytes: 4, count: 1 };
    let _ = quotas::add(&mut batch, Scope::Author, author.id().as_bytes(), more);
    let _ = quotas::store_in(&mut batch, &timeline, more);
    let _ = quotas::drop_from(&mut batch, &timeline, more);
    let entry = journal::Entry {
        header: b"header".to_vec(),
        command: b"command".to_vec(),
        outcome: b"outcome".to_vec(),
    };
    if let Ok(Some(head)) = journal::head(&batch) {
        let _ = journal::append(&mut batch, head.seq, &[entry]);
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}
