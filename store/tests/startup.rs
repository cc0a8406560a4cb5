//! What opening a store checks, refuses and repairs.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod fixture;

use std::path::Path;

use fixture::{SIZES, options};
use khlong_crdt::id::LogId;
use khlong_store::batch::Batch;
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::rocks::RocksEngine;
use khlong_store::engine::{Durability, Engine as _, Patience};
use khlong_store::error::{EngineError, StoreError};
use khlong_store::folder::{DATABASE_FOLDER, Folder, LOCK_FILE};
use khlong_store::identity::{LogIdentity, Role};
use khlong_store::key::Encoder;
use khlong_store::migrate::{self, Migration, Progress};
use khlong_store::rows::{Committed, Rows as _};
use khlong_store::side_file::{SIDE_FILE, SideState};
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;

fn write(store: &mut Store, name: &[u8], value: &[u8]) {
    let mut batch = store.batch();
    batch
        .put(Table::NodeState, name.to_vec(), value.to_vec())
        .unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &options(Role::Node))
}

fn refusal(outcome: Result<Store, StoreError>) -> StoreError {
    outcome.err().unwrap()
}

#[test]
fn a_folder_is_made_once_and_keeps_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/home");
    let mut store = open(&path).unwrap();
    assert!(store.opening().is_new);
    assert_eq!(store.opening().side, SideState::Missing);
    assert_eq!(
        store.identity(),
        LogIdentity {
            log: LogId::from_bytes([7; 16]),
            epoch: 1
        }
    );
    write(&mut store, b"k", b"v");
    let committed = store.last_commit();
    drop(store);
    let other = OpenOptions {
        fresh_log_id: LogId::from_bytes([8; 16]),
        ..options(Role::Node)
    };
    let store = Store::open(&path, &other).unwrap();
    assert!(!store.opening().is_new);
    assert_eq!(store.opening().side, SideState::Acknowledged(committed));
    assert_eq!(
        store.identity(),
        LogIdentity {
            log: LogId::from_bytes([7; 16]),
            epoch: 1
        }
    );
    assert_eq!(
        store.get(Table::NodeState, b"k").unwrap().as_deref(),
        Some(b"v".as_slice())
    );
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look_into_a_new_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    drop(open(&path).unwrap());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_folder_in_use_is_refused_with_the_process_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let error = refusal(open(folder.path()));
    assert!(
        matches!(&error, StoreError::Locked { path, pid } if path == folder.path() && *pid == std::process::id()),
        "{error}"
    );
    drop(store);
    open(folder.path()).unwrap();
    assert!(
        folder.path().join(LOCK_FILE).exists(),
        "the file stays, the lock goes"
    );
}

#[test]
fn a_folder_never_changes_hands() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let error = refusal(Store::open(folder.path(), &options(Role::Relay)));
    assert!(
        matches!(&error, StoreError::WrongRole { found, wanted: "relay" } if found == "node"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn a_table_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let database = folder.path().join(DATABASE_FOLDER);
    let names = rocksdb::DB::list_cf(&rocksdb::Options::default(), &database).unwrap();
    let mut db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &database, names).unwrap();
    db.create_cf("hologram", &rocksdb::Options::default())
        .unwrap();
    drop(db);
    let error = refusal(open(folder.path()));
    assert!(
        matches!(&error, StoreError::Engine(EngineError::UnknownTable { name }) if name == "hologram"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 8);
}

#[test]
fn a_newer_schema_is_refused() {
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    assert_eq!(
        migrate::migrate(&mut engine, &[], migrate::SCHEMA + 1).unwrap(),
        None
    );
    drop(engine);
    let error = refusal(Store::in_memory(&disk, &options(Role::Node)));
    assert!(
        matches!(
            error,
            StoreError::SchemaTooNew {
                found: 3,
                supported: 2
            }
        ),
        "{error}"
    );
    assert_eq!(error.exit_code(), 8);
}

/// Appends its number to a row, so that a migration that ran twice would show.
fn note(batch: &mut Batch<'_>, step: u8) -> Result<Progress, StoreError> {
    let mut trace = batch.get(Table::NodeState, b"trace")?.unwrap_or_default();
    trace.push(step);
    batch.put(Table::NodeState, b"trace".to_vec(), trace)?;
    Ok(Progress::Done)
}

#[test]
fn migrations_run_in_order_and_once() {
    let steps = [
        Migration {
            to: 3,
            description: "third",
            run: |batch, _| note(batch, 3),
        },
        Migration {
            to: 2,
            description: "second",
            run: |batch, _| note(batch, 2),
        },
    ];
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    assert_eq!(migrate::migrate(&mut engine, &[], 1).unwrap(), None);
    assert_eq!(migrate::migrate(&mut engine, &steps, 3).unwrap(), Some(1));
    assert_eq!(migrate::migrate(&mut engine, &steps, 3).unwrap(), Some(3));
    assert_eq!(migrate::read(&engine).unwrap(), Some(3));
    assert_eq!(
        Committed(&engine).get(Table::NodeState, b"trace").unwrap(),
        Some(vec![2, 3])
    );
    let error = migrate::migrate(&mut engine, &steps, 5).unwrap_err();
    assert!(
        matches!(error, StoreError::MigrationMissing { from: 3, to: 5 }),
        "{error}"
    );
}

#[test]
fn a_migration_that_fails_leaves_the_schema_before_it() {
    let steps = [Migration {
        to: 2,
        description: "breaks off in the middle",
        run: |batch, _| {
            note(batch, 2)?;
            Err(StoreError::corrupt(
                Table::NodeState,
                b"trace",
                "made to fail",
            ))
        },
    }];
    let disk = MemoryDisk::new();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    migrate::migrate(&mut engine, &[], 1).unwrap();
    migrate::migrate(&mut engine, &steps, 2).unwrap_err();
    assert_eq!(migrate::read(&engine).unwrap(), Some(1));
    assert_eq!(
        Committed(&engine).get(Table::NodeState, b"trace").unwrap(),
        None
    );
}

/// The database of a while ago under the side file of today.
fn roll_back(folder: &Path) -> Store {
    let mut store = open(folder).unwrap();
    write(&mut store, b"old", b"1");
    let copy = folder.join("copy");
    store.checkpoint(&copy).unwrap();
    write(&mut store, b"acknowledged", b"1");
    drop(store);
    std::fs::remove_dir_all(folder.join(DATABASE_FOLDER)).unwrap();
    std::fs::rename(copy.join(DATABASE_FOLDER), folder.join(DATABASE_FOLDER)).unwrap();
    let error = refusal(open(folder));
    assert!(
        matches!(
            error,
            StoreError::BehindSideFile {
                found: 1,
                acknowledged: 2
            }
        ),
        "{error}"
    );
    assert_eq!(error.exit_code(), 9);
    let error = refusal(open(folder));
    assert!(
        matches!(error, StoreError::BehindSideFile { .. }),
        "refusing changes nothing: {error}"
    );
    Store::open(
        folder,
        &OpenOptions {
            accept_loss: true,
            ..options(Role::Node)
        },
    )
    .unwrap()
}

#[test]
fn a_start_up_below_the_side_file_refuses_unless_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let store = roll_back(folder.path());
    assert!(store.opening().lost);
    assert_eq!(
        store.identity(),
        LogIdentity {
            log: LogId::from_bytes([7; 16]),
            epoch: 2
        },
        "a new log epoch"
    );
    assert!(store.get(Table::NodeState, b"old").unwrap().is_some());
    assert!(
        store
            .get(Table::NodeState, b"acknowledged")
            .unwrap()
            .is_none()
    );
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.identity().epoch, 2, "accepted once, for good");
    assert!(!store.opening().lost);
}

#[test]
fn accepting_loss_where_nothing_is_lost_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let store = Store::open(
        folder.path(),
        &OpenOptions {
            accept_loss: true,
            ..options(Role::Node)
        },
    )
    .unwrap();
    assert_eq!(store.identity().epoch, 1);
}

#[test]
fn another_history_of_the_same_length_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = roll_back(folder.path());
    write(&mut store, b"other", b"1");
    drop(store);
    let mut store = open(folder.path()).unwrap();
    let copy = folder.path().join("copy2");
    store.checkpoint(&copy).unwrap();
    write(&mut store, b"a", b"1");
    let side = std::fs::read(folder.path().join(SIDE_FILE)).unwrap();
    drop(store);
    std::fs::remove_dir_all(folder.path().join(DATABASE_FOLDER)).unwrap();
    std::fs::rename(
        copy.join(DATABASE_FOLDER),
        folder.path().join(DATABASE_FOLDER),
    )
    .unwrap();
    std::fs::remove_file(folder.path().join(SIDE_FILE)).unwrap();
    let mut store = open(folder.path()).unwrap();
    write(&mut store, b"b", b"1");
    drop(store);
    std::fs::write(folder.path().join(SIDE_FILE), side).unwrap();
    let error = refusal(open(folder.path()));
    assert!(matches!(error, StoreError::Diverged { seq: 3 }), "{error}");
    assert_eq!(error.exit_code(), 9);
}

#[test]
fn a_side_file_that_does_not_check_has_no_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    write(&mut store, b"k", b"v");
    let committed = store.last_commit();
    drop(store);
    let path = folder.path().join(SIDE_FILE);
    let good = std::fs::read(&path).unwrap();
    for damaged in [
        good.iter().map(|byte| byte ^ 1).collect(),
        vec![0; good.len()],
        good.iter().copied().take(20).collect(),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let store = open(folder.path()).unwrap();
        assert_eq!(store.opening().side, SideState::Unreadable);
        assert_eq!(store.last_commit(), committed);
    }
    let store = open(folder.path()).unwrap();
    assert_eq!(
        store.opening().side,
        SideState::Acknowledged(committed),
        "written anew"
    );
}

#[test]
fn the_side_file_works_on_a_memory_disk_too() {
    let disk = MemoryDisk::new();
    let mut store = Store::in_memory(&disk, &options(Role::Relay)).unwrap();
    write(&mut store, b"k", b"v");
    let committed = store.last_commit();
    drop(store);
    let store = Store::in_memory(&disk, &options(Role::Relay)).unwrap();
    assert_eq!(store.opening().side, SideState::Acknowledged(committed));
}

#[test]
fn a_checkpoint_opens_as_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder.path().join("home")).unwrap();
    write(&mut store, b"k", b"v");
    let backup = folder.path().join("backup");
    store.checkpoint(&backup).unwrap();
    assert!(
        matches!(store.checkpoint(&backup), Err(StoreError::Folder { .. })),
        "never over something"
    );
    write(&mut store, b"later", b"v");
    let restored = open(&backup).unwrap();
    assert_eq!(restored.identity(), store.identity());
    assert!(restored.get(Table::NodeState, b"k").unwrap().is_some());
    assert!(restored.get(Table::NodeState, b"later").unwrap().is_none());
}

#[test]
fn rocksdb_refuses_below_its_reserve_and_goes_on_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let free = fs4::available_space(folder.path()).unwrap();
    let mut sizes = SIZES;
    sizes.reserve_bytes = free.saturating_mul(2);
    let mut engine = RocksEngine::open(&folder.path().join("db"), sizes).unwrap();
    let mut writes = khlong_store::write_set::WriteSet::new();
    writes.put(Table::Meta, b"k".to_vec(), Encoder::new().u8(1).finish());
    let error = engine.commit(&writes, Durability::Synced).unwrap_err();
    assert!(matches!(error, EngineError::DiskFull { .. }), "{error}");
    assert_eq!(engine.get(Table::Meta, b"k").unwrap(), None);
    assert!(!engine.stats().poisoned);
    drop(engine);
    let mut engine = RocksEngine::open(&folder.path().join("db"), SIZES).unwrap();
    engine.commit(&writes, Durability::Synced).unwrap();
    assert!(engine.stats().disk_bytes > 0);
}

/// Few files are opened one after another, many side by side.
#[test]
fn a_folder_of_many_files_is_opened_by_many_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let threads = || {
        drop(RocksEngine::open(path, SIZES).unwrap());
        let settings = std::fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap().path());
        let newest = settings
            .filter(|file| {
                file.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("OPTIONS-")
            })
            .max();
        let text = std::fs::read_to_string(newest.unwrap()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("max_file_opening_threads="));
        line.unwrap().to_owned()
    };
    assert_eq!(threads(), "1");
    for n in 0..256 {
        std::fs::write(path.join(format!("{:06}.sst", 900_000 + n)), b"").unwrap();
    }
    assert_eq!(threads(), "16");
}

struct Impatient;

impl Patience for Impatient {
    fn wait(&mut self, _: u32) -> bool {
        false
    }
}

#[test]
fn who_has_locked_a_folder_keeps_it_behind_its_store() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let folder = Folder::lock(&path).unwrap();
    let locked = || matches!(open(&path), Err(StoreError::Locked { .. }));
    let mut store =
        Store::open_locked(folder.clone(), &options(Role::Node), Box::new(Impatient)).unwrap();
    assert!(store.opening().is_new);
    write(&mut store, b"k", b"v");
    assert!(locked());
    drop(store);
    assert!(locked());
    drop(folder);
    let store = open(&path).unwrap();
    assert!(store.get(Table::NodeState, b"k").unwrap().is_some());
}
