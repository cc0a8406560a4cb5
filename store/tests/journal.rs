//! The journal: nothing in it changes unseen, and only who knows its head appends.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::ops::ControlFlow;

use fixture::{hex, options};
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::journal::{
    self, Append, ENTRIES_MAX, ENTRY_BYTES_MAX, Entry, Journal as _, JournalError, JournalId,
    JournalSeq, LocalJournal, READ_BYTES_MAX,
};
use khlong_store::key::Encoder;
use khlong_store::record;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;

fn entry(n: u8) -> Entry {
    Entry {
        header: vec![n; 3],
        command: vec![n; 5],
        outcome: vec![n; usize::from(n)],
    }
}

/// A store with a journal of `count` entries, appended one commit each.
fn filled(disk: &MemoryDisk, count: u8) -> Store {
    let mut store = Store::in_memory(disk, &options(Role::Gateway)).unwrap();
    let mut batch = store.batch();
    journal::create(&mut batch, JournalId::from_bytes([9; 16])).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    for n in 0..count {
        let mut batch = store.batch();
        journal::append(&mut batch, JournalSeq(n.into()), &[entry(n)]).unwrap();
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
    }
    store
}

fn read_from(store: &Store, from: u64) -> Vec<(u64, Entry)> {
    let mut found = Vec::new();
    journal::read::<JournalError>(store, JournalSeq(from), &mut |stored| {
        found.push((stored.seq.0, stored.entry));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

#[test]
fn entries_come_back_in_order_and_from_anywhere() {
    let disk = MemoryDisk::new();
    let store = filled(&disk, 5);
    let all: Vec<_> = (1..).zip((0..5).map(entry)).collect();
    assert_eq!(read_from(&store, 0), all);
    assert_eq!(read_from(&store, 4), all[3..]);
    assert_eq!(read_from(&store, 6), []);
    assert_eq!(
        journal::get(&store, JournalSeq(2)).unwrap().unwrap().entry,
        entry(1)
    );
    assert_eq!(journal::get(&store, JournalSeq(6)).unwrap(), None);
    drop(store);
    let store = Store::in_memory(&disk, &options(Role::Gateway)).unwrap();
    assert_eq!(journal::verify(&store).unwrap().seq, JournalSeq(5));
}

#[test]
fn hashes_are_frozen() {
    let disk = MemoryDisk::new();
    let store = filled(&disk, 3);
    let head = journal::verify(&store).unwrap();
    assert_eq!(
        hex(&head.hash),
        "e092d86eddf50959e11763366e0f15a3a99e149e2524ecd1c282291b60d46262"
    );
}

#[test]
fn an_append_to_another_head_is_refused_and_writes_nothing() {
    let disk = MemoryDisk::new();
    let store = filled(&disk, 2);
    for expected in [0, 1, 3] {
        let mut batch = store.batch();
        let refused = journal::append(&mut batch, JournalSeq(expected), &[entry(7)]);
        assert!(matches!(refused, Err(JournalError::Moved { found: 2, .. })));
        assert!(batch.is_empty());
    }
    // A batch sees its own appends: the second of two deciders on one state loses.
    let mut batch = store.batch();
    journal::append(&mut batch, JournalSeq(2), &[entry(7), entry(8)]).unwrap();
    let refused = journal::append(&mut batch, JournalSeq(2), &[entry(9)]);
    assert!(matches!(refused, Err(JournalError::Moved { found: 4, .. })));
}

/// Two decide on one state; what counts is the head at the commit.
#[test]
fn of_two_batches_on_one_head_the_second_is_refused_at_its_commit() {
    let disk = MemoryDisk::new();
    let mut store = filled(&disk, 2);
    let expected = journal::head(&store).unwrap().unwrap();
    let decided = |store: &Store, n| {
        let mut batch = store.batch();
        journal::append(&mut batch, expected.seq, &[entry(n), entry(n)]).unwrap();
        batch.put(Table::LedgerAsset, vec![n; 4], vec![n]).unwrap();
        batch.into_overlay()
    };
    let (first, second) = (decided(&store, 7), decided(&store, 8));
    let append = |batch| Append { expected, batch };
    let entries = append(&first).entries().unwrap();
    assert_eq!(entries.len(), 2);
    let receipt = LocalJournal.append(&mut store, append(&first)).unwrap();
    assert_eq!(receipt.wal_syncs, store.stats().wal_syncs);
    let head = journal::verify(&store).unwrap();
    assert_eq!((head.seq, head.hash), (JournalSeq(4), entries[1].hash));
    let refused = LocalJournal.append(&mut store, append(&second));
    assert!(matches!(
        refused,
        Err(JournalError::Moved {
            expected: 2,
            found: 4
        })
    ));
    assert_eq!(journal::verify(&store).unwrap(), head);
    assert_eq!(store.get(Table::LedgerAsset, &[8; 4]).unwrap(), None);
    assert_eq!(
        LocalJournal.read(&store, JournalSeq(3)).unwrap(),
        entries,
        "what was appended is what is read"
    );
}

/// The same place, and another entry there.
#[test]
fn a_head_with_another_hash_is_another_head() {
    let (disk, other) = (MemoryDisk::new(), MemoryDisk::new());
    let mut store = filled(&disk, 1);
    let expected = journal::head(&store).unwrap().unwrap();
    let mut batch = store.batch();
    journal::append(&mut batch, expected.seq, &[entry(7)]).unwrap();
    let batch = batch.into_overlay();
    let mut elsewhere = filled(&other, 0);
    let mut fork = elsewhere.batch();
    journal::append(&mut fork, JournalSeq(0), &[entry(9)]).unwrap();
    let writes = fork.into_writes();
    elsewhere.commit(writes, Durability::Synced).unwrap();
    let append = Append {
        expected,
        batch: &batch,
    };
    assert!(matches!(
        LocalJournal.append(&mut elsewhere, append),
        Err(JournalError::Moved { .. })
    ));
    LocalJournal.append(&mut store, append).unwrap();
}

#[test]
fn one_journal_a_folder_and_none_is_said() {
    let disk = MemoryDisk::new();
    let store = Store::in_memory(&disk, &options(Role::Gateway)).unwrap();
    let mut batch = store.batch();
    assert!(matches!(
        journal::append(&mut batch, JournalSeq(0), &[]),
        Err(JournalError::Missing)
    ));
    assert!(matches!(
        journal::verify(&store),
        Err(JournalError::Missing)
    ));
    let id = JournalId::from_bytes([1; 16]);
    journal::create(&mut batch, id).unwrap();
    assert!(matches!(
        journal::create(&mut batch, id),
        Err(JournalError::Exists)
    ));
}

#[test]
fn what_is_too_large_is_refused_before_anything_is_written() {
    let disk = MemoryDisk::new();
    let store = filled(&disk, 0);
    let mut batch = store.batch();
    let mut large = entry(1);
    large.command = vec![0; ENTRY_BYTES_MAX + 1 - large.header.len() - large.outcome.len()];
    let refused = journal::append(&mut batch, JournalSeq(0), &[entry(0), large.clone()]);
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })));
    let refused = journal::append(&mut batch, JournalSeq(0), &vec![entry(0); ENTRIES_MAX + 1]);
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })));
    assert!(batch.is_empty());
    large.command.pop();
    journal::append(&mut batch, JournalSeq(0), &[large]).unwrap();
}

/// A part of a journal has a bound in bytes and one in entries, and none is left out between two.
#[test]
fn a_long_journal_is_read_in_parts() {
    let disk = MemoryDisk::new();
    let mut store = filled(&disk, 0);
    let mut large = entry(1);
    large.command = vec![2; ENTRY_BYTES_MAX - large.header.len() - large.outcome.len()];
    let mut head = JournalSeq(0);
    let mut append = |entry: &Entry| {
        let mut batch = store.batch();
        head = journal::append(&mut batch, head, std::slice::from_ref(entry))
            .unwrap()
            .seq;
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
    };
    let in_one_part = READ_BYTES_MAX.div_ceil(ENTRY_BYTES_MAX);
    let (large_ones, small_ones) = (in_one_part + 2, ENTRIES_MAX + 5);
    (0..large_ones).for_each(|_| append(&large));
    (0..small_ones).for_each(|_| append(&entry(0)));
    let mut parts = Vec::new();
    let mut next = JournalSeq(1);
    loop {
        let part = LocalJournal.read(&store, next).unwrap();
        let Some(last) = part.last() else { break };
        assert!(
            part.iter()
                .map(|stored| stored.seq.0)
                .eq(next.0..=last.seq.0)
        );
        let bytes: usize = part.iter().map(|stored| stored.entry.bytes()).sum();
        assert!(bytes < READ_BYTES_MAX + ENTRY_BYTES_MAX, "{bytes}");
        next = last.seq.next();
        parts.push(part.len());
    }
    // Two large ones are left for the second part, which ends by its number of entries.
    assert_eq!(
        parts,
        [in_one_part, ENTRIES_MAX, 2 + small_ones - ENTRIES_MAX]
    );
}

/// Puts `record` at an entry behind the store's back and says what `verify` finds.
fn verified_with(count: u8, seq: u64, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> u64 {
    let disk = MemoryDisk::new();
    drop(filled(&disk, count));
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let key = Encoder::new().u64(seq).finish();
    let before = engine
        .get(Table::Journal, &key)
        .unwrap()
        .unwrap_or_default();
    let mut writes = WriteSet::new();
    match change(before) {
        Some(record) => writes.put(Table::Journal, key, record),
        None => writes.delete(Table::Journal, key),
    }
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let store = Store::in_memory(&disk, &options(Role::Gateway)).unwrap();
    match journal::verify(&store) {
        Err(JournalError::Broken { seq, .. }) => seq,
        other => panic!("a changed journal verifies: {other:?}"),
    }
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    let disk = MemoryDisk::new();
    drop(filled(&disk, 4));
    let engine = MemoryEngine::open(&disk, 0).unwrap();
    for seq in 1..=4 {
        let key = Encoder::new().u64(seq).finish();
        let row = engine.get(Table::Journal, &key).unwrap().unwrap();
        for place in 0..row.len() {
            let named = verified_with(4, seq, |mut row| {
                row[place] ^= 1;
                Some(row)
            });
            assert_eq!(named, seq, "byte {place} of entry {seq}");
        }
    }
}

/// Who writes the disk can make the checksum fit; the chain is what notices then, unless it is
/// computed anew from there on as well: its key lies in the same folder.
#[test]
fn a_change_with_a_fitting_checksum_is_found_and_named() {
    let key = Encoder::new().u64(2).finish();
    let payload_bytes = 40 + entry(1).bytes();
    for place in 0..payload_bytes {
        let named = verified_with(4, 2, |mut row| {
            row.truncate(payload_bytes);
            row[place] ^= 1;
            Some(record::seal(Table::Journal, &key, row))
        });
        assert_eq!(named, 2, "byte {place}");
    }
}

#[test]
fn a_missing_or_an_additional_entry_is_found_and_named() {
    assert_eq!(verified_with(4, 2, |_| None), 2);
    assert_eq!(verified_with(4, 4, |_| None), 4);
    let key = Encoder::new().u64(5).finish();
    let named = verified_with(4, 5, |_| {
        Some(record::seal(Table::Journal, &key, vec![0; 48]))
    });
    assert_eq!(named, 5);
}

#[test]
fn a_head_that_was_set_back_is_found() {
    let disk = MemoryDisk::new();
    drop(filled(&disk, 4));
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let row = engine.get(Table::Meta, b"journal").unwrap().unwrap();
    let mut payload = row[..row.len() - record::TRAILER_BYTES].to_vec();
    payload[23] = 3;
    let mut writes = WriteSet::new();
    let record = record::seal(Table::Meta, b"journal", payload);
    writes.put(Table::Meta, b"journal".to_vec(), record);
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let store = Store::in_memory(&disk, &options(Role::Gateway)).unwrap();
    assert!(matches!(
        journal::verify(&store),
        Err(JournalError::Broken { seq: 4, .. })
    ));
}

#[test]
fn a_failing_reader_keeps_its_own_error() {
    let disk = MemoryDisk::new();
    let store = filled(&disk, 2);
    let refused = journal::read::<JournalError>(&store, JournalSeq(1), &mut |_| {
        Err(StoreError::corrupt(Table::Meta, b"x", "said by the reader").into())
    });
    assert!(matches!(
        refused,
        Err(JournalError::Store(StoreError::Corrupt { .. }))
    ));
}
