//! Looking at a folder without changing it, and beginning another log epoch.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;

use fixture::options;
use khlong_store::engine::Durability;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::identity::Role;
use khlong_store::migrate::SCHEMA;
use khlong_store::peek::Peek;
use khlong_store::rows::Rows as _;
use khlong_store::side_file::SideState;
use khlong_store::store::Store;
use khlong_store::table::Table;

fn write(store: &mut Store, name: &[u8]) {
    let mut batch = store.batch();
    batch
        .put(Table::NodeState, name.to_vec(), b"value".to_vec())
        .unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

/// Every file with its bytes.
fn files(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_look_shows_what_is_committed_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &options(Role::Relay)).unwrap();
    write(&mut store, b"one");
    let (identity, committed) = (store.identity(), store.last_commit());
    drop(store);
    let before = files(folder.path());
    let peek = Peek::open(folder.path()).unwrap();
    let found = peek.found().clone();
    assert_eq!(found.role.as_deref(), Some("relay"));
    assert_eq!(found.schema, Some(SCHEMA));
    assert_eq!(found.identity, Some(identity));
    assert_eq!(found.committed, committed);
    assert_eq!(found.side, SideState::Acknowledged(committed));
    let row = peek.get(Table::NodeState, b"one").unwrap();
    assert_eq!(row.as_deref(), Some(b"value".as_slice()));
    drop(peek);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_look_needs_no_lock_and_sees_a_checkpoint_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("live"), &options(Role::Relay)).unwrap();
    write(&mut store, b"one");
    let committed = store.last_commit();
    let copy = folder.path().join("copy");
    store.checkpoint(&copy).unwrap();
    write(&mut store, b"two");
    assert_eq!(Peek::open(&copy).unwrap().found().committed, committed);
    let live = Peek::open(&folder.path().join("live")).unwrap();
    assert_eq!(live.found().committed, store.last_commit());
}

#[test]
fn a_folder_without_a_database_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Peek::open(folder.path()),
        Err(StoreError::Engine(_))
    ));
    assert!(files(folder.path()).is_empty());
}

/// A look may come while whoever writes there removes files; with the lock it is damage.
#[test]
fn a_file_that_is_gone_is_damage_only_under_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), &options(Role::Relay)).unwrap());
    let current = folder.path().join(DATABASE_FOLDER).join("CURRENT");
    std::fs::write(current, "MANIFEST-999999\n").unwrap();
    assert!(matches!(
        Peek::open(folder.path()),
        Err(StoreError::Engine(EngineError::Io { .. }))
    ));
    assert!(matches!(
        Store::open(folder.path(), &options(Role::Relay)),
        Err(StoreError::Engine(EngineError::Corrupt { .. }))
    ));
}

#[test]
fn an_epoch_that_is_begun_outlives_the_process_and_never_falls() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &options(Role::Relay)).unwrap();
    let log = store.identity().log;
    assert_eq!(store.begin_epoch(1).unwrap().epoch, 2, "above the one now");
    assert_eq!(store.begin_epoch(700).unwrap().epoch, 700);
    assert_eq!(store.begin_epoch(3).unwrap().epoch, 701);
    write(&mut store, b"after");
    drop(store);
    let store = Store::open(folder.path(), &options(Role::Relay)).unwrap();
    assert_eq!((store.identity().log, store.identity().epoch), (log, 701));
}

#[test]
fn a_row_that_rotted_is_found_by_reading_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &options(Role::Relay)).unwrap();
    for number in 0..2_000_u32 {
        write(&mut store, &number.to_be_bytes());
    }
    // A checkpoint has its rows in tables, not in the log.
    let copy = folder.path().join("copy");
    store.checkpoint(&copy).unwrap();
    drop(store);
    let rows = Peek::open(&copy).unwrap().read_all().unwrap();
    assert!(rows > 2_000, "{rows}");
    let is_table = |path: &&std::path::PathBuf| path.extension().is_some_and(|end| end == "sst");
    let found = files(&copy);
    let table = found
        .keys()
        .filter(is_table)
        .max_by_key(|path| found[*path].len());
    let table = table.expect("a table file").clone();
    let mut bytes = found[&table].clone();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x40;
    std::fs::write(&table, bytes).unwrap();
    let error = Peek::open(&copy).unwrap().read_all().unwrap_err();
    assert_eq!(error.exit_code(), 9, "{error}");
}
