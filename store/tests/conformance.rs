//! One suite, run on both engines: whatever passes here may be relied on.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use fixture::SIZES;
use khlong_store::batch::Batch;
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::rocks::RocksEngine;
use khlong_store::engine::{Direction, Durability, Engine};
use khlong_store::key::KeyRange;
use khlong_store::rows::{Committed, Rows};
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;
use proptest::prelude::*;

/// An engine that can be closed and opened again, and its checkpoints opened.
enum Home {
    Memory {
        disk: MemoryDisk,
        checkpoint: PathBuf,
    },
    Rocks {
        folder: tempfile::TempDir,
    },
}

impl Home {
    fn memory() -> Self {
        Self::Memory {
            disk: MemoryDisk::new(),
            checkpoint: PathBuf::from("copy"),
        }
    }

    fn rocks() -> Self {
        Self::Rocks {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn open(&self) -> Box<dyn Engine> {
        match self {
            Self::Memory { disk, .. } => Box::new(MemoryEngine::open(disk, 0).unwrap()),
            Self::Rocks { folder } => {
                Box::new(RocksEngine::open(&folder.path().join("db"), SIZES).unwrap())
            }
        }
    }

    fn checkpoint(&self) -> PathBuf {
        match self {
            Self::Memory { checkpoint, .. } => checkpoint.clone(),
            Self::Rocks { folder } => folder.path().join("copy"),
        }
    }

    fn open_checkpoint(&self) -> Box<dyn Engine> {
        match self {
            Self::Memory { disk, checkpoint } => {
                Box::new(MemoryEngine::open(&disk.from_checkpoint(checkpoint).unwrap(), 0).unwrap())
            }
            Self::Rocks { .. } => Box::new(RocksEngine::open(&self.checkpoint(), SIZES).unwrap()),
        }
    }
}

type Row<'r> = (Table, &'r [u8], Option<&'r [u8]>);

fn writes(rows: &[Row<'_>]) -> WriteSet {
    let mut writes = WriteSet::new();
    for (table, key, record) in rows {
        match record {
            Some(record) => writes.put(*table, key.to_vec(), record.to_vec()),
            None => writes.delete(*table, key.to_vec()),
        }
    }
    writes
}

fn keys(
    engine: &dyn Engine,
    table: Table,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    engine
        .scan(table, range, direction, &mut |key, _| {
            found.push(key.to_vec());
            if found.len() == limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    found
}

fn puts_gets_and_deletes(home: &Home) {
    let mut engine = home.open();
    let first = writes(&[
        (Table::Quota, b"a", Some(b"1")),
        (Table::Quota, b"b", Some(b"")),
        (Table::Meta, b"a", Some(b"m")),
    ]);
    let receipt = engine.commit(&first, Durability::Synced).unwrap();
    assert_eq!(receipt.commits, 1);
    assert_eq!(
        engine.get(Table::Quota, b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(
        engine.get(Table::Quota, b"b").unwrap().as_deref(),
        Some(b"".as_slice()),
        "an empty record is a record"
    );
    assert_eq!(
        engine.get(Table::Meta, b"a").unwrap().as_deref(),
        Some(b"m".as_slice()),
        "tables are apart"
    );
    assert_eq!(engine.get(Table::Quota, b"c").unwrap(), None);
    let second = writes(&[
        (Table::Quota, b"a", None),
        (Table::Quota, b"missing", None),
        (Table::Quota, b"b", Some(b"2")),
    ]);
    engine.commit(&second, Durability::Synced).unwrap();
    assert_eq!(engine.get(Table::Quota, b"a").unwrap(), None);
    assert_eq!(
        engine.get(Table::Quota, b"b").unwrap().as_deref(),
        Some(b"2".as_slice())
    );
}

fn scans_in_order_both_ways(home: &Home) {
    let mut engine = home.open();
    let mut rows = WriteSet::new();
    for n in 0..300_u32 {
        rows.put(Table::Arrival, n.to_be_bytes().to_vec(), vec![1]);
    }
    rows.put(Table::Backfill, vec![0, 0, 0, 5, 0], vec![2]);
    rows.put(Table::ClassHead, vec![u8::MAX; 4], vec![2]);
    engine.commit(&rows, Durability::Synced).unwrap();

    let number = |n: u32| n.to_be_bytes().to_vec();
    let all: Vec<_> = (0..300).map(number).collect();
    let engine = engine.as_ref();
    assert_eq!(
        keys(
            engine,
            Table::Arrival,
            &KeyRange::all(),
            Direction::Forward,
            usize::MAX
        ),
        all
    );
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(
        keys(
            engine,
            Table::Arrival,
            &KeyRange::all(),
            Direction::Reverse,
            usize::MAX
        ),
        reversed
    );
    let range = KeyRange::between(number(100), number(103));
    assert_eq!(
        keys(
            engine,
            Table::Arrival,
            &range,
            Direction::Forward,
            usize::MAX
        ),
        all[100..103]
    );
    assert_eq!(
        keys(engine, Table::Arrival, &range, Direction::Reverse, 1),
        all[102..103],
        "the visitor may stop"
    );
    let empty = KeyRange::between(number(103), number(100));
    assert!(keys(engine, Table::Arrival, &empty, Direction::Forward, 1).is_empty());
    assert!(
        keys(
            engine,
            Table::Arrival,
            &KeyRange::prefix(&[0xff]),
            Direction::Reverse,
            1
        )
        .is_empty()
    );
    assert_eq!(
        keys(
            engine,
            Table::ClassHead,
            &KeyRange::prefix(&[0xff]),
            Direction::Reverse,
            9
        ),
        [vec![0xff; 4]]
    );
}

/// Tables with a prefix filter answer scans inside, across and above prefixes.
fn scans_with_prefix_filters(home: &Home) {
    let mut engine = home.open();
    let key = |timeline: u8, n: u64| [vec![timeline; 32], n.to_be_bytes().to_vec()].concat();
    for timeline in 1..=3 {
        let mut rows = WriteSet::new();
        for n in 1..=40 {
            rows.put(Table::Outbox, key(timeline, n), vec![timeline; 4_000]);
        }
        engine.commit(&rows, Durability::Synced).unwrap();
    }
    let engine = engine.as_ref();
    let of = |timeline: u8| (1..=40).map(|n| key(timeline, n)).collect::<Vec<_>>();
    let one = KeyRange::prefix(&[2; 32]);
    assert_eq!(
        keys(engine, Table::Outbox, &one, Direction::Forward, usize::MAX),
        of(2)
    );
    assert_eq!(
        keys(engine, Table::Outbox, &one, Direction::Reverse, 1),
        [key(2, 40)]
    );
    let across = KeyRange::between(key(1, 40), key(3, 2));
    let expected = [vec![key(1, 40)], of(2), vec![key(3, 1)]].concat();
    assert_eq!(
        keys(
            engine,
            Table::Outbox,
            &across,
            Direction::Forward,
            usize::MAX
        ),
        expected
    );
    assert_eq!(
        keys(
            engine,
            Table::Outbox,
            &KeyRange::prefix(&[2; 3]),
            Direction::Forward,
            usize::MAX
        ),
        of(2)
    );
    assert_eq!(
        keys(
            engine,
            Table::Outbox,
            &KeyRange::all(),
            Direction::Forward,
            usize::MAX
        )
        .len(),
        120
    );
}

fn survives_being_closed(home: &Home) {
    let mut engine = home.open();
    engine
        .commit(
            &writes(&[(Table::Meta, b"synced", Some(b"1"))]),
            Durability::Synced,
        )
        .unwrap();
    engine
        .commit(
            &writes(&[(Table::Meta, b"buffered", Some(b"1"))]),
            Durability::Buffered,
        )
        .unwrap();
    drop(engine);
    let engine = home.open();
    assert!(engine.get(Table::Meta, b"synced").unwrap().is_some());
    assert!(
        engine.get(Table::Meta, b"buffered").unwrap().is_some(),
        "a buffered commit survives the process"
    );
}

fn a_synced_commit_raises_the_counter(home: &Home) {
    let mut engine = home.open();
    for n in 1..=20_u8 {
        let before = engine.stats().wal_syncs;
        let receipt = engine
            .commit(
                &writes(&[(Table::Meta, &[n], Some(b"x"))]),
                Durability::Synced,
            )
            .unwrap();
        assert!(
            receipt.wal_syncs > before,
            "the log was synced before the commit returned"
        );
    }
    let before = engine.stats().wal_syncs;
    let receipt = engine
        .commit(
            &writes(&[(Table::Meta, b"b", Some(b"x"))]),
            Durability::Buffered,
        )
        .unwrap();
    assert_eq!(
        receipt.wal_syncs, before,
        "a buffered commit syncs nothing, so the counter proves something"
    );
    assert_eq!(engine.stats().commits, 21);
    assert!(!engine.stats().poisoned);
}

fn a_checkpoint_is_a_copy(home: &Home) {
    let mut engine = home.open();
    engine
        .commit(
            &writes(&[(Table::Meta, b"before", Some(b"1"))]),
            Durability::Synced,
        )
        .unwrap();
    engine.checkpoint(&home.checkpoint()).unwrap();
    engine.checkpoint(&home.checkpoint()).unwrap_err();
    engine
        .commit(
            &writes(&[(Table::Meta, b"after", Some(b"1"))]),
            Durability::Synced,
        )
        .unwrap();
    let copy = home.open_checkpoint();
    assert!(copy.get(Table::Meta, b"before").unwrap().is_some());
    assert_eq!(copy.get(Table::Meta, b"after").unwrap(), None);
}

fn a_visitor_may_read(home: &Home) {
    let mut engine = home.open();
    engine
        .commit(
            &writes(&[(Table::Meta, b"k", Some(b"v"))]),
            Durability::Synced,
        )
        .unwrap();
    let mut seen = None;
    engine
        .scan(
            Table::Meta,
            &KeyRange::all(),
            Direction::Forward,
            &mut |key, _| {
                seen = engine.get(Table::Meta, key).unwrap();
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert_eq!(seen.as_deref(), Some(b"v".as_slice()));
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Commit,
    Scan(u8, u8, bool, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u8>(), any::<u8>()).prop_map(|(key, value)| Step::Put(key % 32, value)),
        2 => any::<u8>().prop_map(|key| Step::Delete(key % 32)),
        1 => Just(Step::Commit),
        3 => (0..32_u8, 0..33_u8, any::<bool>(), 1..40_usize).prop_map(|(a, b, reverse, limit)| Step::Scan(a, b, reverse, limit)),
    ];
    proptest::collection::vec(step, 1..60)
}

/// The overlay and the engine together answer as one ordered map does.
fn a_batch_is_an_ordered_map(engine: &mut dyn Engine, steps: Vec<Step>) {
    let old: Vec<_> = (0..=u8::MAX)
        .map(|key| (Table::NodeState, vec![key], None::<Vec<u8>>))
        .collect();
    let mut clear = WriteSet::new();
    old.into_iter()
        .for_each(|(table, key, _)| clear.delete(table, key));
    engine.commit(&clear, Durability::Buffered).unwrap();
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut steps = steps.into_iter().peekable();
    while steps.peek().is_some() {
        let mut batch = Batch::over(engine);
        for step in steps.by_ref() {
            match step {
                Step::Put(key, value) => {
                    batch.put(Table::NodeState, vec![key], vec![value]).unwrap();
                    model.insert(vec![key], vec![value]);
                }
                Step::Delete(key) => {
                    batch.delete(Table::NodeState, vec![key]).unwrap();
                    model.remove([key].as_slice());
                }
                Step::Commit => break,
                Step::Scan(a, b, reverse, limit) => {
                    check_scan(&batch, &model, (a, b), reverse, limit)
                }
            }
        }
        check_scan(&batch, &model, (0, 40), false, usize::MAX);
        for key in 0..32 {
            assert_eq!(
                batch.get(Table::NodeState, &[key]).unwrap().as_ref(),
                model.get([key].as_slice())
            );
        }
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Buffered).unwrap();
    }
    for (key, value) in &model {
        assert_eq!(
            Committed(engine)
                .get(Table::NodeState, key)
                .unwrap()
                .as_ref(),
            Some(value)
        );
    }
}

fn check_scan(
    batch: &Batch<'_>,
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
    (a, b): (u8, u8),
    reverse: bool,
    limit: usize,
) {
    let range = KeyRange::between(vec![a], vec![b]);
    let direction = if reverse {
        Direction::Reverse
    } else {
        Direction::Forward
    };
    let mut found = Vec::new();
    batch
        .scan(Table::NodeState, &range, direction, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(if found.len() == limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    let mut expected: Vec<_> = model
        .iter()
        .filter(|(key, _)| range.contains(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if reverse {
        expected.reverse();
    }
    expected.truncate(limit);
    assert_eq!(found, expected);
}

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod memory { $( #[test] fn $name() { super::$name(&super::Home::memory()); } )* }
        mod rocks { $( #[test] fn $name() { super::$name(&super::Home::rocks()); } )* }
    };
}

conformance!(
    puts_gets_and_deletes,
    scans_in_order_both_ways,
    scans_with_prefix_filters,
    survives_being_closed,
    a_synced_commit_raises_the_counter,
    a_checkpoint_is_a_copy,
    a_visitor_may_read,
);

#[test]
fn batches_are_ordered_maps_on_both_engines() {
    let (memory, rocks) = (Home::memory(), Home::rocks());
    let engines = std::cell::RefCell::new([memory.open(), rocks.open()]);
    proptest!(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }, |(steps in steps())| {
        for engine in engines.borrow_mut().iter_mut() {
            a_batch_is_an_ordered_map(engine.as_mut(), steps.clone());
        }
    });
}
