//! A start from snapshots shows what one from all envelopes shows, and whatever does not fit is
//! passed over.

use std::ops::ControlFlow;
use std::path::Path;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, LogId, TimelineId};
use khlong_node::api::{MessageView, Request, Response};
use khlong_node::error::NodeError;
use khlong_node::folder::{self, STORE_FOLDER};
use khlong_node::peer::Peer;
use khlong_store::batch::Batch;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::engine::{Direction, Durability};
use khlong_store::error::StoreError;
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::identity::Role;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows as _;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use khlong_store::tables::{snapshots, timelines};

use crate::world::{NOW, TITLE, World, open};

/// More than a node reads again at a start rather than keep a snapshot when it stops.
const MANY: usize = 70;

/// Nok's messages, oldest first, and the node that has them.
fn world() -> (World, Vec<VerifiedEnvelope>) {
    let mut world = World::new();
    let (mut nok, joining) = world.joiner();
    let said = (0..MANY).map(|n| world.says(&mut nok, &format!("{n}")));
    let said: Vec<_> = said.collect();
    world.push(&joining);
    (world, said)
}

/// All that a person can see of the timeline: messages, how many are unread, hashes of the whole.
type Told = (Vec<MessageView>, usize, Response);

fn told(peer: &mut Peer) -> Told {
    let timeline = || TITLE.to_owned();
    let log = Request::Log {
        timeline: timeline(),
        from: Some(0),
        limit: Some(usize::MAX),
    };
    let (messages, unread) = match peer.request(NOW, log) {
        Response::Messages {
            messages, timeline, ..
        } => (messages, timeline.unread),
        other => panic!("{other:?}"),
    };
    let digest = Request::Digest {
        timeline: timeline(),
    };
    (messages, unread, peer.request(NOW, digest))
}

/// What a driver does when it stops.
fn stop(mut peer: Peer) -> Told {
    let seen = told(&mut peer);
    // A look may owe a receipt, which is committed before.
    peer.commit(NOW).unwrap();
    peer.keep_snapshots().unwrap();
    seen
}

fn try_open(home: &Path) -> Result<Peer, NodeError> {
    folder::open(home, None, [6; 32], NOW)
}

/// Alters a folder that nobody has open.
fn alter(home: &Path, write: impl FnOnce(&mut Batch<'_>)) {
    let options = OpenOptions {
        role: Role::Node,
        fresh_log_id: LogId::from_bytes([1; 16]),
        accept_loss: false,
        sizes: RocksOptions::default(),
    };
    let mut store = Store::open(&home.join(STORE_FOLDER), &options).unwrap();
    let mut batch = store.batch();
    write(&mut batch);
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

fn put(batch: &mut Batch<'_>, name: &[u8], sealed: &[u8]) {
    assert_eq!(snapshots::put(batch, name, sealed, 0).unwrap(), None);
}

/// Takes the oldest messages out of the folder: who reads them all notices.
fn lose_the_oldest(batch: &mut Batch<'_>, timeline: TimelineId) {
    let (none, all) = (ArrivalSeq(0), ArrivalSeq(u64::MAX));
    let oldest = timelines::entries(batch, &timeline, Class::Text, none, all, 40, usize::MAX);
    for entry in oldest.unwrap() {
        let id = entry.envelope.id();
        batch
            .delete(Table::Envelope, id.as_bytes().to_vec())
            .unwrap();
    }
}

#[test]
fn a_start_reads_what_came_since_the_last_snapshot() {
    let (mut world, said) = world();
    let (early, late) = said.split_at(MANY - 3);
    for envelope in early {
        world.push(envelope);
    }
    world.settle();
    world.send("one of my own");
    world.mali.request(
        NOW,
        Request::Read {
            timeline: TITLE.to_owned(),
        },
    );
    world.settle();
    let home = world.home;
    assert_eq!(stop(world.mali).0.len(), early.len() + 1);
    // The rest comes in another life, and too little of it for another snapshot.
    let relay = world.relay;
    let mut world = World {
        mali: open(home.path()),
        home,
        relay,
        ..world
    };
    world.go_online();
    for envelope in late {
        world.push(envelope);
    }
    world.settle();
    let seen = stop(world.mali);
    assert_eq!(seen.0.len(), MANY + 1);
    alter(world.home.path(), |batch| {
        lose_the_oldest(batch, world.timeline)
    });
    let mut again = open(world.home.path());
    assert_eq!(told(&mut again), seen, "without the oldest envelopes");
    drop(again);
    alter(world.home.path(), |batch| {
        snapshots::remove_head(batch, &world.timeline).unwrap();
    });
    let refused = try_open(world.home.path()).err().unwrap();
    assert!(
        matches!(refused, NodeError::Store(StoreError::Corrupt { .. })),
        "{refused}"
    );
}

#[test]
fn whatever_does_not_fit_is_passed_over() {
    let (mut world, said) = world();
    for envelope in &said {
        world.push(envelope);
    }
    world.settle();
    let (home, id) = (world.home, world.timeline);
    let seen = stop(world.mali);
    assert_eq!(seen.0.len(), MANY);
    let shows_all = |what: &str| {
        let mut again = open(home.path());
        assert_eq!(told(&mut again), seen, "{what}");
        // And keeps one that fits again.
        again.commit(NOW).unwrap();
        again.keep_snapshots().unwrap();
        drop(again);
        alter(home.path(), |batch| {
            let head = snapshots::head(batch, &id).unwrap();
            assert!(head.is_some(), "{what}");
        });
    };
    alter(home.path(), |batch| {
        let pages = snapshots::pages(batch, &id).unwrap();
        assert_eq!(pages.len(), 2, "a page of messages and one of state");
        let [(first, row), (second, other)] = <[_; 2]>::try_from(pages).unwrap();
        put(batch, &snapshots::page_key(&id, &first), &other);
        put(batch, &snapshots::page_key(&id, &second), &row);
    });
    shows_all("pages that were exchanged");
    alter(home.path(), |batch| {
        let (first, mut row) = snapshots::pages(batch, &id).unwrap().swap_remove(0);
        *row.last_mut().unwrap() ^= 1;
        put(batch, &snapshots::page_key(&id, &first), &row);
    });
    shows_all("a page with another byte");
    alter(home.path(), |batch| {
        put(batch, &snapshots::head_key(&id), &[1; 200]);
    });
    shows_all("a head that is none");
    alter(home.path(), |batch| {
        let head = snapshots::head(batch, &id).unwrap().unwrap();
        snapshots::clear(batch, &id).unwrap();
        put(batch, &snapshots::head_key(&id), &head);
    });
    shows_all("a head without pages");
}

/// What was made from a log that is not here says nothing.
#[test]
fn a_snapshot_of_another_log_is_passed_over() {
    let (mut world, said) = world();
    for envelope in &said {
        world.push(envelope);
    }
    world.settle();
    let (home, id) = (world.home, world.timeline);
    let seen = stop(world.mali);
    let options = OpenOptions {
        role: Role::Node,
        fresh_log_id: LogId::from_bytes([1; 16]),
        accept_loss: false,
        sizes: RocksOptions::default(),
    };
    let mut store = Store::open(&home.path().join(STORE_FOLDER), &options).unwrap();
    store.begin_epoch(9).unwrap();
    drop(store);
    alter(home.path(), |batch| lose_the_oldest(batch, id));
    assert_eq!(seen.0.len(), MANY);
    assert!(try_open(home.path()).is_err(), "it reads the envelopes");
}

/// A relay had dropped the body of the first message; later somebody has it.
#[test]
fn a_body_that_comes_after_a_snapshot_is_in_the_next_start() {
    let (mut world, said) = world();
    let (first, rest) = said.split_first().unwrap();
    world.push(&first.pruned());
    for envelope in rest {
        world.push(envelope);
    }
    world.settle();
    assert_eq!(world.bodies().len(), 0, "all of it rests on the first");
    world.mali.commit(NOW).unwrap();
    world.mali.keep_snapshots().unwrap();
    let has_head = |world: &World| {
        let head = snapshots::head(&world.mali.store().batch(), &world.timeline);
        head.unwrap().is_some()
    };
    assert!(has_head(&world));
    world.push(first);
    world.settle();
    assert!(!has_head(&world), "it went with the commit of the body");
    assert_eq!(told(&mut world.mali).0.len(), MANY);
    world.mali.commit(NOW).unwrap();
    world.mali.keep_due_snapshots().unwrap();
    assert!(!has_head(&world), "one body is no reason for another");
    world.mali.keep_snapshots().unwrap();
    assert!(has_head(&world), "a stop is");
    world.assert_as_after_a_restart();
}

/// A row that only snapshots read is damaged: the node starts and goes on.
#[test]
fn a_damaged_row_of_the_log_costs_no_more_than_the_snapshot() {
    let (mut world, said) = world();
    for envelope in &said {
        world.push(envelope);
    }
    world.settle();
    let home = world.home;
    let seen = stop(world.mali);
    alter(home.path(), |batch| {
        let mut last = Vec::new();
        let (table, all) = (Table::Arrival, KeyRange::prefix(&[Class::Text as u8]));
        let scanned = batch.scan(table, &all, Direction::Reverse, &mut |key, _| {
            last = key.to_vec();
            Ok(ControlFlow::Break(()))
        });
        scanned.unwrap();
        batch.put(table, last, vec![1; 3]).unwrap();
    });
    let mut again = open(home.path());
    assert_eq!(told(&mut again), seen);
    again.commit(NOW).unwrap();
    again.keep_snapshots().unwrap();
    drop(again);
    assert_eq!(told(&mut open(home.path())), seen);
}

/// The same of the engine's own file that holds the snapshots.
#[test]
fn a_damaged_file_of_snapshots_is_passed_over() {
    let (mut world, said) = world();
    for envelope in &said {
        world.push(envelope);
    }
    world.settle();
    let home = world.home;
    let seen = stop(world.mali);
    // Opening moves what lies in the engine's log into files.
    drop(open(home.path()));
    let mut spoilt = 0;
    for file in std::fs::read_dir(home.path().join(STORE_FOLDER).join(DATABASE_FOLDER)).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let names = |bytes: &[u8], name: &[u8]| bytes.windows(name.len()).any(|at| at == name);
        let is_table = path.extension().is_some_and(|end| end == "sst");
        if is_table && names(&bytes, b"snapshot") {
            *bytes.get_mut(200).unwrap() ^= 1; // in the first block of rows
            std::fs::write(&path, bytes).unwrap();
            spoilt += 1;
        }
    }
    assert_eq!(spoilt, 1);
    let mut again = open(home.path());
    assert_eq!(told(&mut again), seen);
    again.commit(NOW).unwrap();
    again.keep_snapshots().unwrap();
}
