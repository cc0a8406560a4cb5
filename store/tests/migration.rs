//! Folders of earlier schemas open, whole, also when a migration was interrupted.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use ed25519_dalek::SigningKey;
use fixture::{SIZES, options};
use khlong_crdt::id::{EnvelopeId, LogId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::rocks::RocksEngine;
use khlong_store::engine::{Durability, Engine};
use khlong_store::error::StoreError;
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::identity::Role;
use khlong_store::key::Encoder;
use khlong_store::migrate::{self, MIGRATIONS, Migration, Progress, SCHEMA};
use khlong_store::rows::{Committed, Rows};
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::receipts::{self, Promise};
use khlong_store::write_set::WriteSet;

fn id(n: u32) -> EnvelopeId {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    EnvelopeId::from_bytes(bytes)
}

fn sign(relay: u8, ids: &[EnvelopeId]) -> StoredReceipt {
    let key = SigningKey::from_bytes(&[relay; 32]);
    StoredReceipt::sign(&key, LogId::from_bytes([1; 16]), 1, UnixMillis(5), ids)
}

/// A row as schema 1 wrote it.
fn old_row(receipts: &[StoredReceipt]) -> Vec<u8> {
    let row = Encoder::new().u8(receipts.len() as u8);
    let row = receipts.iter().fold(row, |row, receipt| {
        row.fixed(receipt.relay.as_bytes())
            .fixed(receipt.log.as_bytes())
            .u32(receipt.log_epoch)
            .i64(receipt.received_at.0)
            .fixed(&receipt.root)
            .u32(receipt.count)
            .fixed(&receipt.signature)
    });
    row.finish()
}

/// A folder of schema 1 with these rows in table `receipt`.
fn write_schema_1(engine: &mut dyn Engine, rows: &[(EnvelopeId, Vec<u8>)]) {
    migrate::migrate(engine, &[], 1).unwrap();
    for rows in rows.chunks(10_000) {
        let mut batch = Batch::over(engine);
        for (id, row) in rows {
            let key = id.as_bytes().to_vec();
            batch.put(Table::Receipt, key, row.clone()).unwrap();
        }
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Synced).unwrap();
    }
}

/// One relay for the envelope alone, another for it and two more.
fn rows() -> Vec<(EnvelopeId, Vec<u8>)> {
    let all = [id(1), id(2), id(3)];
    let row = |n| (id(n), old_row(&[sign(1, &[id(n)]), sign(2, &all)]));
    vec![row(1), row(2), row(3)]
}

fn assert_migrated(store: &Store) {
    for n in 1..=3 {
        let promises = receipts::get(store, &id(n)).unwrap();
        let [Promise::Proof(proof), Promise::Receipt(receipt)] = promises.as_slice() else {
            panic!("{promises:?}")
        };
        proof.verify(&id(n)).unwrap();
        assert_eq!(proof.receipt, sign(1, &[id(n)]));
        receipt.verify(&[id(1), id(2), id(3)]).unwrap();
        assert_eq!(*receipt, sign(2, &[id(1), id(2), id(3)]));
    }
}

#[test]
fn receipts_of_schema_1_become_proofs_where_they_can_and_none_is_lost() {
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    write_schema_1(&mut engine, &rows());
    drop(engine);
    let mut store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
    assert_migrated(&store);

    // The next proof of the same relay takes the place of the receipt alone.
    let all = [id(1), id(2), id(3)];
    let proof = sign(2, &all).prove(&all).unwrap().remove(0);
    let mut batch = store.batch();
    receipts::put(&mut batch, &id(1), &proof).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    let kept = receipts::get(&store, &id(1)).unwrap();
    assert_eq!(kept[1], Promise::Proof(proof));
    drop(store);
    // Once: rows of schema 2 are left alone.
    let store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
    assert_eq!(receipts::get(&store, &id(1)).unwrap(), kept);
}

#[test]
fn a_real_folder_of_schema_1_opens() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = RocksEngine::open(&folder.path().join(DATABASE_FOLDER), SIZES).unwrap();
    write_schema_1(&mut engine, &rows());
    drop(engine);
    for _ in 0..2 {
        let store = Store::open(folder.path(), &options(Role::Node)).unwrap();
        assert!(!store.opening().is_new);
        assert_migrated(&store);
    }
}

#[test]
fn a_damaged_receipt_holds_nobody_up_and_stays() {
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let mut rows = rows();
    rows.push((id(0), old_row(&[sign(1, &[id(0)])])[..50].to_vec()));
    write_schema_1(&mut engine, &rows);
    let mut rotten = WriteSet::new();
    rotten.put(Table::Receipt, id(9).as_bytes().to_vec(), vec![1, 2, 3]);
    engine.commit(&rotten, Durability::Synced).unwrap();
    drop(engine);
    let store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
    assert_migrated(&store);
    for damaged in [0, 9] {
        let error = receipts::get(&store, &id(damaged)).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

/// More rows than one piece has: the sync fails after each number of commits.
#[test]
fn an_interrupted_migration_goes_on_where_it_stopped() {
    const ROWS: u32 = 9_000;
    let receipt = sign(1, &[id(0)]);
    let old = old_row(std::slice::from_ref(&receipt));
    let rows: Vec<_> = (0..ROWS).map(|n| (id(n), old.clone())).collect();
    for commits_before in 0..3 {
        let disk = MemoryDisk::new();
        let mut engine = MemoryEngine::open(&disk, 0).unwrap();
        write_schema_1(&mut engine, &rows);
        disk.inject_after(
            u64::from(commits_before),
            Fault::SyncError { persisted: false },
        );
        migrate::migrate(&mut engine, MIGRATIONS, SCHEMA).unwrap_err();
        assert_eq!(disk.fired(FaultKind::SyncError), 1);
        drop(engine);

        let mut engine = MemoryEngine::open(&disk, 0).unwrap();
        let goes_on = || Committed(&engine).get(Table::Meta, b"migrating").unwrap();
        if commits_before > 0 {
            let next = id(commits_before * 4_096).as_bytes().to_vec();
            assert_eq!(goes_on(), Some(next));
            let error = migrate::migrate(&mut engine, &[], 1).unwrap_err();
            assert!(matches!(
                error,
                StoreError::SchemaTooNew {
                    found: 2,
                    supported: 1
                }
            ));
        } else {
            assert_eq!(goes_on(), None);
        }
        drop(engine);

        let store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
        assert_eq!(store.get(Table::Meta, b"migrating").unwrap(), None);
        for n in 0..ROWS {
            let kept = receipts::get(&store, &id(n)).unwrap();
            assert_eq!(kept.len(), 1);
            assert_eq!(kept[0].receipt(), &receipt);
            assert_eq!(matches!(kept[0], Promise::Proof(_)), n == 0);
        }
    }
}

/// A piece that rewrites one row and goes on, so that the pieces can be counted.
#[test]
fn every_piece_sees_the_rows_after_the_one_before() {
    fn piece(batch: &mut Batch<'_>, from: &[u8]) -> Result<Progress, StoreError> {
        let mut seen = batch.get(Table::NodeState, b"seen")?.unwrap_or_default();
        seen.push(from.first().copied().unwrap_or_default());
        batch.put(Table::NodeState, b"seen".to_vec(), seen.clone())?;
        let count = u8::try_from(seen.len()).unwrap_or(u8::MAX);
        Ok(if count < 4 {
            Progress::From(vec![count])
        } else {
            Progress::Done
        })
    }
    let step = |to| Migration {
        to,
        description: "in four pieces",
        run: piece,
    };
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    migrate::migrate(&mut engine, &[], 1).unwrap();
    let before = engine.stats().commits;
    migrate::migrate(&mut engine, &[step(2)], 2).unwrap();
    assert_eq!(engine.stats().commits, before + 4);
    let seen = Committed(&engine).get(Table::NodeState, b"seen").unwrap();
    assert_eq!(seen, Some(vec![0, 1, 2, 3]));
    assert_eq!(migrate::read(&engine).unwrap(), Some(2));
}
