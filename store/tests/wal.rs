//! Damage in a recycled write-ahead log: noticed, or harmless; never silent.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fixture::options;
use khlong_store::engine::Durability;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::identity::Role;
use khlong_store::rows::Rows as _;
use khlong_store::side_file::SIDE_FILE;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;

const ROW_BYTES: usize = 4_000;

fn recycling(accept_loss: bool) -> OpenOptions {
    let mut options = options(Role::Relay);
    options.sizes.write_buffer_bytes = 64 * 1024;
    options.accept_loss = accept_loss;
    options
}

fn name(n: u32) -> Vec<u8> {
    format!("row/{n:08}").into_bytes()
}

/// Does not repeat and does not compress, so that it can be found in a log file.
fn value(n: u32) -> Vec<u8> {
    let mut value = vec![0; ROW_BYTES];
    blake3::Hasher::new()
        .update(&n.to_be_bytes())
        .finalize_xof()
        .fill(&mut value);
    value
}

fn append(store: &mut Store, n: u32) {
    loop {
        let mut batch = store.batch();
        batch.put(Table::Secret, name(n), value(n)).unwrap();
        let writes = batch.into_writes();
        match store.commit(writes, Durability::Synced) {
            Ok(_) => return,
            Err(StoreError::Engine(EngineError::Busy)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A folder as a power cut leaves it: copied while it is open, after many log
/// switches, with recycled logs. Every row up to `rows` was acknowledged.
struct Wreck {
    folder: tempfile::TempDir,
    rows: u32,
}

impl Wreck {
    fn make() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut store = Store::open(home.path(), &recycling(false)).unwrap();
        assert_eq!(store.stats().recycled_logs_max, 3, "the option in effect");
        let mut rows = 0;
        // The third log is the first that can reuse a file; go on until many have, and
        // until the newest holds some rows and still has old bytes behind them.
        loop {
            rows += 1;
            append(&mut store, rows);
            let enough =
                reused_logs(home.path()) >= 6 && rows_in_newest_log(home.path(), rows).len() == 8;
            if enough && newest_log(home.path()).1.len() > ROW_BYTES * 10 {
                break;
            }
            assert!(
                rows < 4_000,
                "logs are recycled: {}",
                reused_logs(home.path())
            );
        }
        // Its threads may still write a table, and drop the log that is in it: a power cut
        // meets all files at one moment.
        let folder = loop {
            let before = files(home.path());
            let folder = tempfile::tempdir().unwrap();
            let copied = try_copy(home.path(), folder.path());
            if copied.is_ok() && before.is_ok() && before.ok() == files(home.path()).ok() {
                break folder;
            }
        };
        Self { folder, rows }
    }

    /// A fresh copy of the wreck, with one byte of its newest log flipped.
    fn with_flip(&self, at: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let (log, mut bytes) = newest_log(folder.path());
        bytes[at] ^= 0x40;
        std::fs::write(log, bytes).unwrap();
        folder
    }

    /// Where the rows of the newest log lie in it: number of the row, offset.
    fn rows_in_log(&self) -> Vec<(u32, usize)> {
        rows_in_newest_log(self.folder.path(), self.rows)
    }
}

fn reused_logs(folder: &Path) -> usize {
    let diary = std::fs::read_to_string(folder.join(DATABASE_FOLDER).join("LOG")).unwrap();
    diary
        .lines()
        .filter(|line| line.contains("reusing log"))
        .count()
}

fn newest_log(folder: &Path) -> (PathBuf, Vec<u8>) {
    let logs = std::fs::read_dir(folder.join(DATABASE_FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let newest = logs
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max()
        .unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    (newest, bytes)
}

fn rows_in_newest_log(folder: &Path, rows: u32) -> Vec<(u32, usize)> {
    let (_, bytes) = newest_log(folder);
    let first = rows.saturating_sub(40).max(1);
    (first..=rows)
        .filter_map(|n| find(&bytes, &value(n)[..32]).map(|at| (n, at)))
        .collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

fn copy(from: &Path, to: &Path) {
    try_copy(from, to).unwrap();
}

fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Length and time of every file.
fn files(folder: &Path) -> io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = path.metadata()?;
        if metadata.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.insert(path, (metadata.len(), metadata.modified()?));
        }
    }
    Ok(found)
}

/// How many rows there are, in order from the first; fails on a wrong one or a hole.
fn rows_present(store: &Store, rows: u32) -> u32 {
    let found: Vec<bool> = (1..=rows)
        .map(|n| match store.get(Table::Secret, &name(n)).unwrap() {
            Some(found) => found == value(n),
            None => false,
        })
        .collect();
    let present = found.iter().take_while(|found| **found).count();
    assert!(
        found[present..].iter().all(|found| !found),
        "no hole: what is missing is a suffix"
    );
    u32::try_from(present).unwrap()
}

#[test]
fn damage_in_a_recycled_log_is_never_silent() {
    let wreck = Wreck::make();

    let whole = tempfile::tempdir().unwrap();
    copy(wreck.folder.path(), whole.path());
    let store = Store::open(whole.path(), &recycling(false)).unwrap();
    assert_eq!(
        rows_present(&store, wreck.rows),
        wreck.rows,
        "after a power cut everything acknowledged is there"
    );
    drop(store);

    let (_, log) = newest_log(wreck.folder.path());
    let in_log = wreck.rows_in_log();
    let &(last, last_at) = in_log.last().unwrap();
    assert_eq!(last, wreck.rows);

    // Behind the last record lie the bytes of an older log: damage there means nothing.
    let stale = last_at + 2 * ROW_BYTES;
    assert!(
        log[stale..].iter().any(|byte| *byte != 0),
        "the file was recycled: old bytes lie behind the end"
    );
    for at in [stale, (stale + log.len()) / 2, log.len() - 1] {
        let folder = wreck.with_flip(at);
        let store = Store::open(folder.path(), &recycling(false)).unwrap();
        assert_eq!(
            rows_present(&store, wreck.rows),
            wreck.rows,
            "a flip at {at} of {}",
            log.len()
        );
    }

    // In a record: first, one in the middle, the last acknowledged.
    let mut seen_by_the_side_file = 0;
    for &(damaged, at) in &[in_log[0], in_log[in_log.len() / 2], (last, last_at)] {
        let folder = wreck.with_flip(at + 100);
        let error = Store::open(folder.path(), &recycling(false))
            .err()
            .expect("acknowledged rows are gone");
        assert!(
            matches!(
                error,
                StoreError::BehindSideFile { .. } | StoreError::Engine(EngineError::Corrupt { .. })
            ),
            "{error}"
        );
        assert_eq!(error.exit_code(), 9);
        if let StoreError::BehindSideFile {
            found,
            acknowledged,
        } = error
        {
            seen_by_the_side_file += 1;
            assert!(found < acknowledged);
            let store = Store::open(folder.path(), &recycling(true)).unwrap();
            assert_eq!((store.identity().epoch, store.opening().lost), (2, true));
            assert_eq!(
                rows_present(&store, wreck.rows),
                damaged - 1,
                "everything before the damage"
            );
        }
    }
    assert!(
        seen_by_the_side_file > 0,
        "RocksDB refused each damage itself: what --accept-loss keeps was not looked at"
    );
}

/// The control: without the side file RocksDB opens the damaged log and says nothing.
#[test]
fn without_the_side_file_the_loss_would_be_silent() {
    let wreck = Wreck::make();
    let in_log = wreck.rows_in_log();
    let (damaged, at) = in_log[in_log.len() / 2];
    let folder = wreck.with_flip(at + 100);
    std::fs::remove_file(folder.path().join(SIDE_FILE)).unwrap();
    let store = Store::open(folder.path(), &recycling(false)).unwrap();
    assert_eq!(rows_present(&store, wreck.rows), damaged - 1);
    assert!(damaged - 1 < wreck.rows);
}
