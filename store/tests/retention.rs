//! Bodies that go and come back, and what retention notes, on both engines.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::collections::BTreeSet;

use fixture::{Author, options};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::retention;
use khlong_store::tables::retention::{ExpiringReceipt, Noted, TimelineRetention};
use khlong_store::tables::timelines::{self, Appended};
use khlong_sync::replica::Replica as _;

const NONE: ArrivalSeq = ArrivalSeq(0);

fn commit(store: &mut Store, decide: impl FnOnce(&mut khlong_store::batch::Batch<'_>)) {
    let mut batch = store.batch();
    decide(&mut batch);
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

fn append(store: &mut Store, envelopes: &[VerifiedEnvelope]) {
    commit(store, |batch| {
        for envelope in envelopes {
            timelines::append(batch, envelope, UnixMillis(1_000)).unwrap();
        }
    });
}

fn prune(store: &mut Store, id: &EnvelopeId) -> u64 {
    let mut bytes = 0;
    commit(store, |batch| {
        let stored = timelines::get(batch, id).unwrap().unwrap();
        bytes = timelines::prune(batch, &stored).unwrap();
    });
    bytes
}

/// Every row of every table but the envelopes and the commit.
fn other_rows(store: &Store) -> BTreeSet<(Table, Vec<u8>, Vec<u8>)> {
    let mut rows = BTreeSet::new();
    store
        .for_each_row(&mut |table, key, payload| {
            if table != Table::Envelope && key != b"committed" {
                rows.insert((table, key.to_vec(), payload.to_vec()));
            }
            Ok(())
        })
        .unwrap();
    rows
}

fn pruning_drops_the_body_and_nothing_else(mut store: Store) {
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let chain = author.chain(timeline, &[b"one", b"two"]);
    append(&mut store, &chain);
    let before = other_rows(&store);
    assert_eq!(prune(&mut store, &chain[0].id()), 3);
    assert_eq!(prune(&mut store, &chain[0].id()), 0, "once");

    assert_eq!(other_rows(&store), before);
    let stored = timelines::get(&store, &chain[0].id()).unwrap().unwrap();
    assert_eq!(
        (stored.arrival, stored.received_at),
        (ArrivalSeq(1), UnixMillis(1_000))
    );
    assert_eq!(stored.envelope, chain[0].pruned());
    let whole = timelines::get(&store, &chain[1].id()).unwrap().unwrap();
    assert_eq!(whole.envelope, chain[1]);
    let entries = store
        .entries(timeline, Class::Text, NONE, ArrivalSeq(9), 9, usize::MAX)
        .unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        VerifiedEnvelope::verify(entry.envelope.bytes()).unwrap();
    }
}

fn a_body_that_comes_later_is_taken(mut store: Store) {
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let chain = author.chain(timeline, &[b"one", b"two"]);
    // A relay that has dropped the body sends what it has.
    append(&mut store, &[chain[0].pruned(), chain[1].clone()]);
    let before = other_rows(&store);
    let appended = |store: &mut Store, envelope: &VerifiedEnvelope| {
        let mut appended = None;
        commit(store, |batch| {
            appended = Some(timelines::append(batch, envelope, UnixMillis(7_777)).unwrap());
        });
        appended.unwrap()
    };
    let arrival = ArrivalSeq(1);
    let duplicate = Appended::Duplicate { arrival };
    assert_eq!(appended(&mut store, &chain[0].pruned()), duplicate);
    assert_eq!(
        appended(&mut store, &chain[0]),
        Appended::Restored { arrival }
    );
    assert_eq!(appended(&mut store, &chain[0]), duplicate);
    assert_eq!(
        appended(&mut store, &chain[0].pruned()),
        duplicate,
        "a body never goes because somebody else has none"
    );

    let stored = timelines::get(&store, &chain[0].id()).unwrap().unwrap();
    assert_eq!(stored.envelope, chain[0]);
    assert_eq!(
        (stored.arrival, stored.received_at),
        (arrival, UnixMillis(1_000))
    );
    assert_eq!(other_rows(&store), before, "no cursor and no count moved");
}

fn notes_come_back(mut store: Store) {
    let ids: Vec<TimelineId> = (1..4).map(|n| TimelineId::from_bytes([n; 32])).collect();
    let mut row = TimelineRetention::default();
    row.raise(Expiry::Week, UnixMillis(50));
    row.raise(Expiry::Week, UnixMillis(40));
    row.raise(Expiry::Keep, UnixMillis(-3));
    row.text.noted = 5;
    row.bulk.dropped = ArrivalSeq(6);
    let noted = Noted {
        text: ArrivalSeq(8),
        bulk: ArrivalSeq(9),
    };
    commit(&mut store, |batch| {
        assert_eq!(retention::noted(batch).unwrap(), Noted::default());
        retention::put_noted(batch, noted).unwrap();
        for id in &ids {
            retention::put(batch, id, &row).unwrap();
        }
    });
    assert_eq!(retention::noted(&store).unwrap(), noted);
    assert_eq!(retention::get(&store, &ids[0]).unwrap(), row);
    let newest: Vec<_> = row.newest().collect();
    assert_eq!(
        newest,
        [
            (Expiry::Keep, UnixMillis(-3)),
            (Expiry::Week, UnixMillis(50))
        ]
    );
    let beyond = |after, max| -> Vec<TimelineId> {
        let found = retention::beyond(&store, after, max).unwrap();
        found.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(beyond(None, 9), ids);
    assert_eq!(beyond(Some(&ids[0]), 1), [ids[1]]);
    assert!(beyond(Some(&ids[2]), 9).is_empty());
}

fn receipts_are_found_by_class_and_date(mut store: Store) {
    let receipt = |expiry, at, arrival| ExpiringReceipt {
        expiry,
        received_at: UnixMillis(at),
        arrival: ArrivalSeq(arrival),
    };
    let all = [
        receipt(Expiry::Day, 10, 2),
        receipt(Expiry::Day, 20, 1),
        receipt(Expiry::Day, 20, 3),
        receipt(Expiry::Week, 5, 4),
    ];
    commit(&mut store, |batch| {
        for receipt in &all {
            let id = EnvelopeId::from_bytes([receipt.arrival.0 as u8; 32]);
            retention::note_receipt(batch, receipt, &id).unwrap();
        }
    });
    let until = |store: &Store, expiry, at, max| -> Vec<ExpiringReceipt> {
        let found = retention::receipts_until(store, expiry, UnixMillis(at), max).unwrap();
        for (receipt, id) in &found {
            assert_eq!(
                u64::from(id.as_ref().unwrap().as_bytes()[0]),
                receipt.arrival.0
            );
        }
        found.into_iter().map(|(receipt, _)| receipt).collect()
    };
    assert_eq!(until(&store, Expiry::Day, 19, 9), all[..1]);
    assert_eq!(until(&store, Expiry::Day, 20, 9), all[..3]);
    assert_eq!(until(&store, Expiry::Day, 20, 2), all[..2]);
    assert!(until(&store, Expiry::Day, -1, 9).is_empty());
    assert_eq!(until(&store, Expiry::Week, i64::MAX, 9), all[3..]);
    assert!(until(&store, Expiry::Keep, i64::MAX, 9).is_empty());
    commit(&mut store, |batch| {
        retention::forget_receipt(batch, &all[0]).unwrap();
    });
    assert_eq!(until(&store, Expiry::Day, 20, 9), all[1..3]);
}

macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $( #[test] fn $name() {
                super::$name(super::Store::in_memory(&super::MemoryDisk::new(), &super::options(super::Role::Node)).unwrap());
            } )*
        }
        mod rocks {
            $( #[test] fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(super::Store::open(folder.path(), &super::options(super::Role::Node)).unwrap());
            } )*
        }
    };
}

on_both_engines!(
    pruning_drops_the_body_and_nothing_else,
    a_body_that_comes_later_is_taken,
    notes_come_back,
    receipts_are_found_by_class_and_date,
);

#[test]
fn a_damaged_row_is_shown_in_its_place_and_ends_no_walk() {
    let disk = MemoryDisk::new();
    let mut store = Store::in_memory(&disk, &options(Role::Relay)).unwrap();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let chain = author.chain(timeline, &[b"1", b"2", b"3"]);
    append(&mut store, &chain);
    let ids: Vec<TimelineId> = (1..4).map(|n| TimelineId::from_bytes([n; 32])).collect();
    commit(&mut store, |batch| {
        for id in &ids {
            retention::put(batch, id, &TimelineRetention::default()).unwrap();
        }
    });
    let second = 2_u64.to_be_bytes();
    assert!(disk.rot(Table::Arrival, &[&[1], second.as_slice()].concat(), 7));
    let index_key = [timeline.as_bytes().as_slice(), &[1], &second].concat();
    assert!(disk.rot(Table::TimelineArrival, &index_key, 7));
    assert!(disk.rot(Table::Retention, ids[1].as_bytes(), 7));

    let log = timelines::arrivals(&store, Class::Text, NONE, 9).unwrap();
    let places: Vec<_> = log.iter().map(|(_, place)| place.as_ref().ok()).collect();
    assert_eq!(
        places,
        [
            Some(&(timeline, chain[0].id())),
            None,
            Some(&(timeline, chain[2].id()))
        ]
    );
    let up_to = ArrivalSeq(3);
    let index = timelines::index(&store, &timeline, Class::Text, NONE, up_to, 9).unwrap();
    let found: Vec<_> = index.iter().map(|(n, id)| (n.0, id.is_ok())).collect();
    assert_eq!(found, [(1, true), (2, false), (3, true)]);
    let batch = store.batch();
    let rows = retention::beyond(&batch, None, 9).unwrap();
    let found: Vec<_> = rows.iter().map(|(id, row)| (*id, row.is_ok())).collect();
    assert_eq!(found, [(ids[0], true), (ids[1], false), (ids[2], true)]);
    assert!(store.get(Table::Retention, ids[1].as_bytes()).is_err());
}

#[test]
fn a_timeline_is_complete_when_all_that_it_has_was_noted() {
    let mut store = Store::in_memory(&MemoryDisk::new(), &options(Role::Relay)).unwrap();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let change = author.write_for(
        Expiry::Day,
        timeline,
        Kind::Change,
        1,
        EnvelopeId::ZERO,
        b"1",
    );
    let fragment = author.write_for(Expiry::Day, timeline, Kind::Fragment, 2, change.id(), b"2");
    append(&mut store, &[change, fragment]);
    let (text, bulk) = retention::heads(&store, &timeline).unwrap();
    let mut row = TimelineRetention::default();
    row.text.noted = 1;
    assert!(!row.is_complete(&text, &bulk));
    row.bulk.noted = 1;
    assert!(row.is_complete(&text, &bulk));
    row.raise(Expiry::Day, UnixMillis(1_000));
    row.condemn(&text, &bulk);
    assert_eq!(row.newest().count(), 0);
    assert_eq!(
        (row.text.condemned, row.bulk.condemned),
        (ArrivalSeq(1), ArrivalSeq(1))
    );
}
