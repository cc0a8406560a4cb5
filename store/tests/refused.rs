//! A folder that is refused is left exactly as it was.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod fixture;

use std::ops::ControlFlow;

use fixture::options;
use khlong_store::backup::{BackupError, Staging, refuse_used};
use khlong_store::batch::Batch;
use khlong_store::catalog::CATALOG;
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::{Direction, Durability, Engine};
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::key::KeyRange;
use khlong_store::migrate;
use khlong_store::store::Store;
use khlong_store::table::Table;

type AllRows = Vec<(Table, Vec<u8>, Vec<u8>)>;

fn everything(engine: &dyn Engine) -> AllRows {
    let mut rows = Vec::new();
    for row in CATALOG {
        let mut visit = |key: &[u8], record: &[u8]| {
            rows.push((row.table, key.to_vec(), record.to_vec()));
            ControlFlow::Continue(())
        };
        let all = KeyRange::all();
        engine
            .scan(row.table, &all, Direction::Forward, &mut visit)
            .unwrap();
    }
    rows
}

fn put(engine: &mut dyn Engine, table: Table, key: &[u8], payload: &[u8]) {
    let mut batch = Batch::over(engine);
    batch.put(table, key.to_vec(), payload.to_vec()).unwrap();
    let writes = batch.into_writes();
    engine.commit(&writes, Durability::Synced).unwrap();
}

/// A disk as the release before left it: schema 1, a role, and a row that opening rewrites.
fn of_schema_1() -> (MemoryDisk, AllRows) {
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    migrate::migrate(&mut engine, &[], 1).unwrap();
    put(&mut engine, Table::Meta, b"role", b"node");
    put(&mut engine, Table::Receipt, &[1; 32], &[0]);
    let rows = everything(&engine);
    drop(engine);
    (disk, rows)
}

fn assert_untouched(disk: &MemoryDisk, before: &AllRows) {
    let engine = MemoryEngine::open(disk, 0).unwrap();
    assert_eq!(everything(&engine), *before, "a refused folder was written");
    assert_eq!(migrate::read(&engine).unwrap(), Some(1));
}

#[test]
fn another_role() {
    let (disk, before) = of_schema_1();
    let error = Store::in_memory(&disk, &options(Role::Relay))
        .err()
        .unwrap();
    assert!(matches!(error, StoreError::WrongRole { .. }), "{error}");
    assert_untouched(&disk, &before);
    // The control: its own role opens it, and does migrate.
    drop(Store::in_memory(&disk, &options(Role::Node)).unwrap());
    let engine = MemoryEngine::open(&disk, 0).unwrap();
    assert_eq!(migrate::read(&engine).unwrap(), Some(migrate::SCHEMA));
}

#[test]
fn a_folder_behind_its_side_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &options(Role::Node)).unwrap();
    let mut batch = store.batch();
    let (name, value) = (b"name".to_vec(), b"value".to_vec());
    batch.put(Table::NodeState, name, value).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    drop(store);
    // Somebody put an older copy of the database under the side file.
    let database = folder.path().join(khlong_store::folder::DATABASE_FOLDER);
    std::fs::remove_dir_all(&database).unwrap();
    let open = || khlong_store::engine::rocks::RocksEngine::open(&database, fixture::SIZES);
    let mut engine = open().unwrap();
    migrate::migrate(&mut engine, &[], 1).unwrap();
    put(&mut engine, Table::Meta, b"role", b"node");
    let before = everything(&engine);
    drop(engine);

    let error = Store::open(folder.path(), &options(Role::Node))
        .err()
        .unwrap();
    assert!(
        matches!(error, StoreError::BehindSideFile { .. }),
        "{error}"
    );
    let engine = open().unwrap();
    assert_eq!(everything(&engine), before, "a refused folder was written");
}

/// Somebody's number; nobody needs to have it.
const OTHER: u32 = 12_345;

/// Also by root, who could write there.
#[cfg(unix)]
#[test]
fn a_folder_of_another_user() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("store");
    drop(Store::open(&folder, &options(Role::Relay)).unwrap());
    let listed = || {
        let entries = std::fs::read_dir(&folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = listed();
    if let Err(error) = std::os::unix::fs::chown(&folder, Some(OTHER), None) {
        eprintln!("SKIPPED  a_folder_of_another_user: only root can make one ({error})");
        return;
    }
    let is_foreign = |error: StoreError, path: &std::path::Path| {
        let told = format!("{} belongs to user {OTHER}", path.display());
        assert!(error.to_string().starts_with(&told), "{error}");
        assert!(error.to_string().contains("sudo -u '#12345'"), "{error}");
        assert_eq!(error.exit_code(), 4);
    };
    let opened = Store::open(&folder, &options(Role::Relay));
    is_foreign(opened.err().unwrap(), &folder);
    let Err(BackupError::Store(error)) = Staging::begin(&folder) else {
        panic!("a backup is begun");
    };
    is_foreign(error, &folder);
    let opened = Store::open(&folder.join("a/b"), &options(Role::Relay));
    is_foreign(opened.err().unwrap(), &folder);
    assert_eq!(listed(), before, "a refused folder was written");
    // Of a restore, also the folder in which it would make one.
    let Err(BackupError::Store(error)) = refuse_used(&folder.join("restored")) else {
        panic!("a restore is begun");
    };
    is_foreign(error, &folder);
    refuse_used(&place.path().join("restored")).unwrap();
    // The control.
    std::os::unix::fs::chown(&folder, Some(0), None).unwrap();
    drop(Store::open(&folder, &options(Role::Relay)).unwrap());
}

/// What an inner part wrote before it panicked goes with the outer one, which caught it.
#[test]
fn a_panic_within_a_part_leaves_nothing_of_the_whole() {
    let disk = MemoryDisk::new();
    let engine = MemoryEngine::open(&disk, 0).unwrap();
    let mut batch = Batch::over(&engine);
    let put = |batch: &mut Batch<'_>, key: u8| batch.put(Table::NodeState, vec![key], vec![key]);
    put(&mut batch, 1).unwrap();
    let before = batch.bytes();
    let outcome = batch.atomically(|batch| {
        put(batch, 2).unwrap();
        let inner = std::panic::AssertUnwindSafe(|| {
            batch.atomically(|batch| -> Result<(), StoreError> {
                put(batch, 3)?;
                panic!("within")
            })
        });
        std::panic::catch_unwind(inner).map_err(drop)
    });
    assert!(outcome.is_err());
    assert_eq!(batch.bytes(), before);
    assert_eq!(batch.into_writes().len(), 1);
}
