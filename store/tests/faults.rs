//! What the memory engine does when its disk fails, and that each fault fired.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod fixture;

use std::sync::{Arc, Mutex};

use fixture::options;
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::{Durability, Patience};
use khlong_store::error::{EngineError, StoreError};
use khlong_store::identity::Role;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;

fn open(disk: &MemoryDisk) -> Store {
    Store::in_memory(disk, &options(Role::Relay)).unwrap()
}

fn write(store: &mut Store, name: &[u8], durability: Durability) -> Result<(), StoreError> {
    let mut batch = store.batch();
    batch.put(Table::NodeState, name.to_vec(), vec![1; 100])?;
    batch.put(Table::Secret, name.to_vec(), vec![2; 100])?;
    let writes = batch.into_writes();
    store.commit(writes, durability).map(|_| ())
}

/// Whether both rows are there; fails if only one is: a commit is atomic.
fn has(store: &Store, name: &[u8]) -> bool {
    let both =
        [Table::NodeState, Table::Secret].map(|table| store.get(table, name).unwrap().is_some());
    assert_eq!(both.first(), both.last(), "half a commit");
    both.into_iter().all(|found| found)
}

/// Acknowledges ten commits, cuts the power, and asks whether they are all there.
fn acknowledged_survive(durability: Durability) -> bool {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    for n in 0..10 {
        write(&mut store, &[n], durability).unwrap();
    }
    disk.crash();
    drop(store);
    let store = open(&disk);
    (0..10).all(|n| has(&store, &[n]))
}

#[test]
fn what_was_synced_survives_and_only_that() {
    assert!(acknowledged_survive(Durability::Synced));
    assert!(
        !acknowledged_survive(Durability::Buffered),
        "the check fails when sync is switched off"
    );
}

#[test]
fn a_crash_loses_a_suffix_only() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"synced", Durability::Synced).unwrap();
    write(&mut store, b"first", Durability::Buffered).unwrap();
    write(&mut store, b"second", Durability::Buffered).unwrap();
    disk.crash_torn(500);
    assert_eq!(disk.fired(FaultKind::LostSuffix), 1);
    drop(store);
    let store = open(&disk);
    assert!(has(&store, b"synced"));
    assert!(
        has(&store, b"first") || !has(&store, b"second"),
        "a later commit never outlives an earlier one"
    );
    assert!(!has(&store, b"second"));
    assert_eq!(disk.fired(FaultKind::TornRecordDropped), 1);
}

/// A process that ends takes nothing along; who opens the disk after it keeps what it read,
/// and tells the side file so.
#[test]
fn what_was_read_at_an_opening_survives_the_next_loss_of_power() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"buffered", Durability::Buffered).unwrap();
    drop(store);
    let store = open(&disk);
    assert!(has(&store, b"buffered"));
    disk.crash();
    drop(store);
    assert!(has(&open(&disk), b"buffered"));
    assert_eq!(disk.fired(FaultKind::LostSuffix), 0);
}

/// The disk folds a long log into its base: never without the commit that made it long.
#[test]
fn what_was_acknowledged_survives_whenever_the_log_is_folded() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    let mut log_bytes = 0;
    for n in 0..1_000_u64 {
        let name: &[u8] = if n % 2 == 0 { b"even" } else { b"odd" };
        let mut batch = store.batch();
        batch
            .put(Table::NodeState, name.to_vec(), n.to_be_bytes().repeat(20))
            .unwrap();
        let writes = batch.into_writes();
        log_bytes += writes.encode().len();
        store.commit(writes, Durability::Synced).unwrap();
        disk.crash();
        drop(store);
        store = open(&disk);
        let found = store.get(Table::NodeState, name).unwrap().unwrap();
        assert_eq!(found, n.to_be_bytes().repeat(20), "after commit {n}");
    }
    assert!(log_bytes > 128 * 1024, "long enough to be folded");
    assert!(
        disk.live_bytes() < 4_096,
        "what was replaced does not count: {}",
        disk.live_bytes()
    );
}

#[test]
fn an_empty_synced_commit_syncs_what_was_buffered() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"buffered", Durability::Buffered).unwrap();
    let nothing = store.batch().into_writes();
    store.commit(nothing, Durability::Synced).unwrap();
    disk.crash();
    drop(store);
    assert!(has(&open(&disk), b"buffered"));
}

/// An fsync is never retried: after a failed commit every later one is refused.
#[test]
fn a_failed_commit_poisons_the_engine() {
    for (fault, kind, is_there) in [
        (
            Fault::SyncError { persisted: false },
            FaultKind::SyncError,
            false,
        ),
        (
            Fault::SyncError { persisted: true },
            FaultKind::SyncError,
            true,
        ),
        (
            Fault::TornCommit { kept_bytes: 60 },
            FaultKind::TornCommit,
            false,
        ),
        (
            Fault::TornCommit {
                kept_bytes: usize::MAX,
            },
            FaultKind::TornCommit,
            false,
        ),
        (Fault::NoSpace, FaultKind::NoSpace, false),
    ] {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        write(&mut store, b"before", Durability::Synced).unwrap();
        disk.inject(fault);
        let error = write(&mut store, b"failed", Durability::Synced).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Engine(EngineError::Io {
                    operation: "commit",
                    ..
                })
            ),
            "{fault:?}: {error}"
        );
        assert_eq!(disk.fired(kind), 1, "{fault:?}");
        for _ in 0..3 {
            let error = write(&mut store, b"after", Durability::Synced).unwrap_err();
            assert!(
                matches!(error, StoreError::Engine(EngineError::Poisoned)),
                "{fault:?}: {error}"
            );
            assert!(!error.is_retryable());
        }
        assert!(store.stats().poisoned);
        drop(store);
        let mut store = open(&disk);
        assert!(has(&store, b"before"), "{fault:?}");
        assert_eq!(
            has(&store, b"failed"),
            is_there,
            "{fault:?}: all of it or nothing"
        );
        assert!(!has(&store, b"after"), "{fault:?}");
        write(&mut store, b"again", Durability::Synced).unwrap();
        assert!(has(&store, b"again"));
    }
}

#[test]
fn a_stall_is_busy_and_passes() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    disk.inject_after(1, Fault::Stall);
    write(&mut store, b"first", Durability::Synced).unwrap();
    let error = write(&mut store, b"second", Durability::Synced).unwrap_err();
    assert!(
        matches!(error, StoreError::Engine(EngineError::Busy)),
        "{error}"
    );
    assert!(error.is_retryable());
    assert_eq!(disk.fired(FaultKind::Stall), 1);
    assert!(!has(&store, b"second"), "nothing was written");
    write(&mut store, b"second", Durability::Synced).unwrap();
    assert!(has(&store, b"second"));
}

/// Goes on so often, and notes each time.
struct Times {
    left: u32,
    noted: Arc<Mutex<Vec<u32>>>,
}

impl Patience for Times {
    fn wait(&mut self, tries: u32) -> bool {
        self.noted.lock().unwrap().push(tries);
        self.left -= 1;
        self.left > 0
    }
}

#[test]
fn who_is_patient_waits_for_a_busy_engine_and_for_nothing_else() {
    let (disk, noted) = (MemoryDisk::new(), Arc::default());
    let patience = |left| {
        let noted = Arc::clone(&noted);
        Box::new(Times { left, noted })
    };
    let seen = || std::mem::take(&mut *noted.lock().unwrap());
    let stall = |times| (0..times).for_each(|_| disk.inject(Fault::Stall));
    // Also while it is opened, which writes to a folder that is new.
    stall(2);
    let options = options(Role::Relay);
    let mut store = Store::in_memory_patiently(&disk, &options, patience(100)).unwrap();
    assert_eq!(seen(), [1, 2]);
    stall(3);
    write(&mut store, b"first", Durability::Synced).unwrap();
    stall(1);
    write(&mut store, b"second", Durability::Buffered).unwrap();
    assert_eq!(seen(), [1, 2, 3, 1], "each commit begins anew");
    assert_eq!(disk.fired(FaultKind::Stall), 6);
    disk.set_free_bytes(Some(0));
    let full = write(&mut store, b"full", Durability::Synced).unwrap_err();
    assert!(matches!(
        full,
        StoreError::Engine(EngineError::DiskFull { .. })
    ));
    disk.set_free_bytes(None);
    store.end_patience();
    stall(1);
    assert!(write(&mut store, b"third", Durability::Synced).is_err());
    disk.inject(Fault::NoSpace);
    assert!(write(&mut store, b"third", Durability::Synced).is_err());
    assert!(seen().is_empty());
    drop(store);
    // It comes to an end.
    stall(10);
    let mut store = Store::in_memory_patiently(&disk, &options, patience(3)).unwrap();
    assert!(has(&store, b"first") && has(&store, b"second") && !has(&store, b"full"));
    let busy = write(&mut store, b"fourth", Durability::Synced).unwrap_err();
    assert!(matches!(busy, StoreError::Engine(EngineError::Busy)));
    assert_eq!(seen(), [1, 2, 3]);
    disk.forget_faults();
    write(&mut store, b"fourth", Durability::Synced).unwrap();
}

#[test]
fn a_full_disk_is_refused_before_the_commit_and_recovers() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"before", Durability::Synced).unwrap();
    disk.set_free_bytes(Some(fixture::SIZES.reserve_bytes));
    let error = write(&mut store, b"refused", Durability::Synced).unwrap_err();
    assert!(
        matches!(error, StoreError::Engine(EngineError::DiskFull { .. })),
        "{error}"
    );
    assert_eq!((error.exit_code(), error.is_retryable()), (7, true));
    assert_eq!(disk.fired(FaultKind::DiskFull), 1);
    assert!(has(&store, b"before"), "reads go on");
    assert!(!has(&store, b"refused"));
    disk.set_free_bytes(Some(fixture::SIZES.reserve_bytes * 2));
    write(&mut store, b"after", Durability::Synced).unwrap();
    assert!(has(&store, b"after"), "without a restart");
}

#[test]
fn a_failed_read_is_an_error_and_no_poison() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"row", Durability::Synced).unwrap();
    disk.inject(Fault::ReadError);
    let error = store.get(Table::NodeState, b"row").unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Engine(EngineError::Io {
                operation: "get",
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(disk.fired(FaultKind::ReadError), 1);
    assert!(has(&store, b"row"));
}

/// Every bit of a record: a rotten one is named, its neighbours stay readable.
#[test]
fn rot_is_a_typed_error_that_names_the_row() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"good", Durability::Synced).unwrap();
    write(&mut store, b"rotten", Durability::Synced).unwrap();
    let bits = (100 + khlong_store::record::TRAILER_BYTES) * 8;
    for bit in 0..bits {
        assert!(disk.rot(Table::NodeState, b"rotten", bit));
        let error = store.get(Table::NodeState, b"rotten").unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { table: "node_state", key, .. } if *key.expose() == fixture::hex(b"rotten")),
            "bit {bit}: {error}"
        );
        // Keys hold ids of timelines and authors: whoever asks is told, a log is not.
        let name = fixture::hex(b"rotten");
        assert!(error.place().is_some_and(|place| place.contains(&name)));
        assert!(!format!("{error} {error:?}").contains(&name), "{error:?}");
        assert_eq!(error.exit_code(), 9);
        assert!(disk.rot(Table::NodeState, b"rotten", bit), "flip it back");
    }
    assert!(
        !disk.rot(Table::NodeState, b"rotten", bits),
        "there is no bit beyond the record"
    );
    assert_eq!(disk.fired(FaultKind::BitRot), bits as u64);
    assert!(has(&store, b"good"));
    assert!(has(&store, b"rotten"));
}

/// A rotten row survives a restart as an error, not as a loss of the others.
#[test]
fn rot_outlives_a_restart() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    write(&mut store, b"good", Durability::Synced).unwrap();
    write(&mut store, b"rotten", Durability::Synced).unwrap();
    disk.rot(Table::Secret, b"rotten", 3);
    drop(store);
    let store = open(&disk);
    assert!(has(&store, b"good"));
    let mut seen = 0;
    let error = store.for_each_row(&mut |_, _, _| {
        seen += 1;
        Ok(())
    });
    assert!(matches!(
        error,
        Err(StoreError::Corrupt {
            table: "secret",
            ..
        })
    ));
    assert!(seen > 0);
    assert!(disk.fired(FaultKind::BitRot) > 0);
}
