//! The tables of a node: outbox, cursors, backfill, receipts, named rows.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod fixture;

use ed25519_dalek::SigningKey;
use fixture::options;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, RelayKey, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::cursors;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::outbox::{self, OutboxState};
use khlong_store::tables::receipts::{self, Promise};
use khlong_store::tables::snapshots::{self, PART_BYTES};

fn store() -> Store {
    Store::in_memory(&MemoryDisk::new(), &options(Role::Node)).unwrap()
}

fn write(store: &mut Store, change: impl FnOnce(&mut Batch<'_>) -> Result<(), StoreError>) {
    let mut batch = store.batch();
    change(&mut batch).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

fn timeline(n: u8) -> TimelineId {
    TimelineId::from_bytes([n; 32])
}

fn envelope(n: u8) -> EnvelopeId {
    EnvelopeId::from_bytes([n; 32])
}

#[test]
fn the_outbox_keeps_the_order_of_writing_and_the_refusals() {
    let mut store = store();
    write(&mut store, |batch| {
        for n in 1..=3 {
            let entry = outbox::push(batch, &timeline(1), &envelope(n), UnixMillis(i64::from(n)))?;
            assert_eq!(
                (entry.n, entry.state, entry.attempts, entry.queued_at),
                (
                    u64::from(n),
                    OutboxState::Waiting,
                    0,
                    UnixMillis(i64::from(n))
                )
            );
        }
        outbox::push(batch, &timeline(2), &envelope(9), UnixMillis(9)).map(|_| ())
    });
    let listed = outbox::list(&store).unwrap();
    let ids: Vec<_> = listed.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [1, 2, 3, 9].map(envelope));

    let mut expected = listed;
    for (entry, state) in expected.iter_mut().zip([
        OutboxState::PutOff { code: 13 },
        OutboxState::Refused { code: 12 },
    ]) {
        entry.attempts += 1;
        entry.next_attempt = UnixMillis(77);
        entry.state = state;
    }
    write(&mut store, |batch| {
        expected
            .iter()
            .try_for_each(|entry| outbox::update(batch, entry))
    });
    assert_eq!(outbox::list(&store).unwrap(), expected);
    // KEYSPACE.md: id ‖ attempts ‖ next attempt ‖ state ‖ refusal code ‖ queued_at.
    let row = |id: u8, attempts: u8, next: u8, state: u8, code: u8, queued: u8| {
        let n = |width: usize, n: u8| [vec![0; width - 1], vec![n]].concat();
        let (attempts, next) = (n(4, attempts), n(8, next));
        [
            vec![id; 32],
            attempts,
            next,
            vec![state],
            n(4, code),
            n(8, queued),
        ]
        .concat()
    };
    let mut rows = Vec::new();
    store
        .for_each_row(&mut |table, _, payload| {
            if table == Table::Outbox {
                rows.push(payload.to_vec());
            }
            Ok(())
        })
        .unwrap();
    let golden = [
        row(1, 1, 77, 2, 13, 1),
        row(2, 1, 77, 1, 12, 2),
        row(3, 0, 0, 0, 0, 3),
        row(9, 0, 0, 0, 0, 9),
    ];
    assert_eq!(rows, golden);

    write(&mut store, |batch| {
        assert!(outbox::remove(batch, &timeline(1), 1)?);
        assert!(!outbox::remove(batch, &timeline(1), 1)?, "once");
        Ok(())
    });
    expected.remove(0);
    assert_eq!(outbox::list(&store).unwrap(), expected);
}

#[test]
fn cursors_and_backfills_are_kept_for_each_relay() {
    let mut store = store();
    let (one, two) = (RelayKey::from_bytes([1; 32]), RelayKey::from_bytes([2; 32]));
    let cursor = Cursor {
        log: LogId::from_bytes([9; 16]),
        log_epoch: 3,
        seq: ArrivalSeq(7),
        hash: [4; 8],
    };
    write(&mut store, |batch| {
        cursors::put(batch, &one, Class::Text, &cursor)?;
        cursors::put_backfill(batch, &one, &timeline(1), Class::Text, ArrivalSeq(5))?;
        cursors::put_backfill(batch, &one, &timeline(2), Class::Control, ArrivalSeq(0))?;
        cursors::put_backfill(batch, &two, &timeline(1), Class::Text, ArrivalSeq(6))
    });
    assert_eq!(
        cursors::get(&store, &one, Class::Text).unwrap(),
        Some(cursor)
    );
    assert_eq!(cursors::get(&store, &one, Class::Bulk).unwrap(), None);
    assert_eq!(cursors::get(&store, &two, Class::Text).unwrap(), None);
    let expected = [
        (timeline(1), Class::Text, ArrivalSeq(5)),
        (timeline(2), Class::Control, ArrivalSeq(0)),
    ];
    assert_eq!(cursors::backfills(&store, &one).unwrap(), expected);
    write(&mut store, |batch| {
        cursors::remove_backfill(batch, &one, &timeline(1), Class::Text)?;
        cursors::remove(batch, &one, Class::Text)
    });
    assert_eq!(cursors::backfills(&store, &one).unwrap(), [expected[1]]);
    assert_eq!(cursors::backfills(&store, &two).unwrap().len(), 1);
    assert_eq!(cursors::get(&store, &one, Class::Text).unwrap(), None);
}

#[test]
fn proofs_are_kept_one_for_each_relay_and_verify() {
    let mut store = store();
    let ids = [envelope(9), envelope(1), envelope(2)];
    let prove = |relay: u8, at: i64| {
        let key = SigningKey::from_bytes(&[relay; 32]);
        let receipt =
            StoredReceipt::sign(&key, LogId::from_bytes([1; 16]), 1, UnixMillis(at), &ids);
        receipt.prove(&ids).unwrap().remove(1)
    };
    let (first, second, again) = (prove(1, 10), prove(2, 20), prove(1, 30));
    write(&mut store, |batch| {
        receipts::put(batch, &envelope(1), &first)
    });
    write(&mut store, |batch| {
        receipts::put(batch, &envelope(1), &second)
    });
    let kept = |store: &Store| receipts::get(store, &envelope(1)).unwrap();
    assert_eq!(
        kept(&store),
        [first, second.clone()].map(Promise::Proof),
        "in the order in which they came"
    );
    write(&mut store, |batch| {
        receipts::put(batch, &envelope(1), &again)
    });
    assert_eq!(kept(&store), [again, second].map(Promise::Proof));
    for promise in kept(&store) {
        let Promise::Proof(proof) = promise else {
            panic!("{promise:?}")
        };
        proof.verify(&envelope(1)).unwrap();
        assert!(proof.verify(&envelope(2)).is_err());
    }
    assert!(receipts::get(&store, &envelope(2)).unwrap().is_empty());
    write(&mut store, |batch| {
        (3..9).try_for_each(|relay| receipts::put(batch, &envelope(1), &prove(relay, 1)))
    });
    assert_eq!(kept(&store).len(), receipts::RECEIPTS_PER_ENVELOPE_MAX);
}

#[test]
fn named_rows_are_listed_by_the_start_of_their_name() {
    let mut store = store();
    write(&mut store, |batch| {
        named::put(batch, Named::NodeState, b"relay/b", vec![2])?;
        named::put(batch, Named::NodeState, b"relay/a", vec![1])?;
        named::put(batch, Named::NodeState, b"relays", vec![3])?;
        named::put(batch, Named::Secret, b"relay/a", vec![4])
    });
    let expected = [
        (b"relay/a".to_vec(), vec![1]),
        (b"relay/b".to_vec(), vec![2]),
    ];
    assert_eq!(
        named::list(&store, Named::NodeState, b"relay/").unwrap(),
        expected
    );
    assert_eq!(
        named::get(&store, Named::Secret, b"relay/a").unwrap(),
        Some(vec![4])
    );
    write(&mut store, |batch| {
        named::remove(batch, Named::Secret, b"relay/a")
    });
    assert_eq!(named::get(&store, Named::Secret, b"relay/a").unwrap(), None);
}

/// Writes in as many batches as it takes, and says how many these were.
fn put_snapshot(store: &mut Store, name: &[u8], sealed: &[u8], before: &[u8]) -> usize {
    let mut batch = store.batch();
    batch
        .put(Table::NodeState, b"before".to_vec(), before.to_vec())
        .unwrap();
    let (mut from, mut batches) = (0, 1);
    while let Some(next) = snapshots::put(&mut batch, name, sealed, from).unwrap() {
        assert!(next > from || batches == 1, "it goes on");
        from = next;
        batches += 1;
        let writes = batch.into_writes();
        store.commit(writes, Durability::Buffered).unwrap();
        batch = store.batch();
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Buffered).unwrap();
    batches
}

#[test]
fn snapshots_of_any_length_lie_in_parts() {
    let disk = MemoryDisk::new();
    let mut store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
    let bytes = |n: usize| -> Vec<u8> {
        (0..n)
            .map(|at| u8::try_from(at / 997 % 251).unwrap())
            .collect()
    };
    let id = timeline(1);
    let (first, second) = ([0; 37], [1; 37]);
    let names = [
        snapshots::head_key(&id),
        snapshots::page_key(&id, &first),
        snapshots::page_key(&id, &second),
    ];
    let lengths = [5 * PART_BYTES / 2, 18 * PART_BYTES, 40];
    let batches: Vec<usize> = names
        .iter()
        .zip(lengths)
        .map(|(name, length)| put_snapshot(&mut store, name, &bytes(length), &bytes(PART_BYTES)))
        .collect();
    assert_eq!(batches, [1, 2, 1]);
    // Those of others are not among them.
    put_snapshot(
        &mut store,
        &snapshots::page_key(&timeline(2), &first),
        &bytes(9),
        &[],
    );
    assert_eq!(
        snapshots::head(&store, &id).unwrap(),
        Some(bytes(lengths[0]))
    );
    let both = |length| vec![(first, bytes(length)), (second, bytes(40))];
    assert_eq!(snapshots::pages(&store, &id).unwrap(), both(lengths[1]));
    // What becomes shorter leaves nothing behind.
    for length in [3 * PART_BYTES, 2 * PART_BYTES + 1, PART_BYTES, 1] {
        put_snapshot(&mut store, &names[0], &bytes(length), &[]);
        put_snapshot(&mut store, &names[1], &bytes(length), &[]);
        assert_eq!(snapshots::head(&store, &id).unwrap(), Some(bytes(length)));
        assert_eq!(snapshots::pages(&store, &id).unwrap(), both(length));
    }
    // A damaged part: the head is none, and a page is not what it was.
    for name in &names[..2] {
        put_snapshot(&mut store, name, &bytes(2 * PART_BYTES), &[]);
        assert!(disk.rot(Table::Snapshot, &[&name[..], &[0, 1]].concat(), 9));
    }
    assert_eq!(snapshots::head(&store, &id).unwrap(), None);
    assert_eq!(snapshots::pages(&store, &id).unwrap(), both(PART_BYTES));
    write(&mut store, |batch| snapshots::clear(batch, &id));
    assert_eq!(snapshots::head(&store, &id).unwrap(), None);
    assert_eq!(snapshots::pages(&store, &id).unwrap(), []);
    assert_eq!(snapshots::pages(&store, &timeline(2)).unwrap().len(), 1);
}
