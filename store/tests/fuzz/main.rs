//! Any bytes, where a disk keeps rows: what was written, or a typed error. How long, and with
//! which engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../../../crdt/tests/fuzzing/mod.rs"]
mod fuzzing;
mod golden;
mod rows;

use fixture::options;
use fuzzing::{Seeds, fuzz};
use golden::golden;
use khlong_store::identity::Role;
use khlong_store::peek::Peek;
use khlong_store::record;
use khlong_store::side_file::{SIDE_BYTES, SIDE_FILE, SideState};
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;

fuzz!(fuzz_record, 4_000, records(), a_record);

/// Table, length of the key, key, then the record as an engine keeps it.
fn records() -> Vec<Vec<u8>> {
    let rows = golden().rows.iter();
    rows.map(|(table, key, payload)| {
        let length = u8::try_from(key.len()).unwrap();
        let record = record::seal(*table, key, payload.clone());
        [&[table.number(), length][..], key, &record].concat()
    })
    .collect()
}

/// Nothing but what was written, where it was written.
fn a_record(input: &[u8]) -> bool {
    let Some(([table, length], rest)) = input.split_first_chunk() else {
        return false;
    };
    let (Some(table), true) = (
        Table::from_number(*table),
        rest.len() >= usize::from(*length),
    ) else {
        return false;
    };
    let (key, bytes) = rest.split_at(usize::from(*length));
    let Ok(payload) = record::open(table, key, bytes.to_vec()) else {
        return false;
    };
    assert_eq!(record::verify(table, key, bytes).unwrap(), payload);
    assert_eq!(record::seal(table, key, payload), bytes);
    true
}

fuzz!(fuzz_write_set, 4_000, write_sets(), write_set);

fn write_sets() -> Vec<Vec<u8>> {
    let mut all = WriteSet::new();
    let mut few = WriteSet::new();
    for (table, key, payload) in &golden().rows {
        all.put(*table, key.clone(), payload.clone());
        few.delete(*table, key.clone());
    }
    few.put(Table::Quota, vec![1; 33], vec![2; 16]);
    vec![all.encode(), few.encode(), WriteSet::new().encode()]
}

fn write_set(bytes: &[u8]) -> bool {
    let Some(writes) = WriteSet::decode(bytes) else {
        return false;
    };
    assert!(
        writes.len() * 6 <= bytes.len(),
        "a row has six bytes before it"
    );
    assert_eq!(WriteSet::decode(&writes.encode()), Some(writes));
    assert_eq!(WriteSet::decode(&[bytes, &[0]].concat()), None);
    true
}

fuzz!(fuzz_side_file, 30, side_files(), side_file());

/// A folder that was opened and closed once, and what stands in its side file.
fn closed_folder() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), &options(Role::Node)).unwrap());
    let side = std::fs::read(folder.path().join(SIDE_FILE)).unwrap();
    (folder, side)
}

fn side_files() -> Seeds {
    Seeds::and(vec![closed_folder().1], vec![Vec::new()])
}

/// One folder for all inputs of a run: making one costs a hundred times as much as a look.
fn side_file() -> impl Fn(&[u8]) -> bool {
    let (folder, genuine) = closed_folder();
    move |bytes| {
        std::fs::write(folder.path().join(SIDE_FILE), bytes).unwrap();
        let peek = Peek::open(folder.path()).unwrap();
        let found = peek.found();
        match found.side {
            SideState::Acknowledged(committed) => {
                assert_eq!(bytes[..SIDE_BYTES], genuine[..], "nobody else wrote one");
                assert_eq!(committed, found.committed);
            }
            SideState::Missing => assert!(bytes.is_empty()),
            SideState::Unreadable => assert!(!bytes.starts_with(&genuine)),
        }
        // It is a witness: without it, what the disk has counts.
        assert!(found.loss().is_none());
        matches!(found.side, SideState::Acknowledged(_))
    }
}
