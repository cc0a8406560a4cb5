//! What lies in a node's folder: rows of its own, the files of the search index, a backup.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::{Request, Response};
use khlong_node::backup::{self, MANIFEST_FILE};
use khlong_node::folder::KEY_FILE;
use khlong_node::peer::{IndexKey, MasterKey, Peer};
use khlong_node::search::entry::Filter;
use khlong_node::search::index::{Index, IndexError};
use khlong_node::search::query::Query;
use khlong_store::engine::memory::MemoryEngine;
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::key::Encoder;
use khlong_store::record;
use khlong_store::table::Table;
use khlong_store::tables::named::{self, Named};
use khlong_store::write_set::WriteSet;

use crate::disk::NodeDisk;
use crate::fuzzing::{Seeds, fuzz};
use crate::query::{entries, page};

const NOW: Now = Now {
    monotonic: Monotonic(1_000_000),
    wall: UnixMillis(1_795_000_000_000),
};

const RELAY: RelayKey = RelayKey::from_bytes([
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
]);

/// A node with a relay and a timeline in which something was said; the relay has lost its log, and
/// is offered everything again.
fn node() -> NodeDisk {
    let mut disk = NodeDisk::with_node("mali", 1);
    let mut peer = disk.open(NOW).unwrap();
    let key = RELAY.to_string();
    let key = key.strip_prefix(RelayKey::PREFIX).unwrap();
    for request in [
        Request::RelayAdd {
            address: format!("khlong://{key}@relay.example:4747"),
            token: Some("token".to_owned()),
        },
        Request::TimelineNew {
            title: "canal".to_owned(),
            kind: "group".to_owned(),
            relays: Vec::new(),
        },
        Request::Send {
            timeline: "canal".to_owned(),
            body: "hello".to_owned(),
            reply_to: None,
        },
    ] {
        let response = peer.request(NOW, request);
        assert!(
            !matches!(response, Response::Refused { .. }),
            "{response:?}"
        );
    }
    peer.commit(NOW).unwrap();
    let Response::Timelines { timelines } = peer.request(NOW, Request::TimelineLs) else {
        panic!("no list");
    };
    drop(peer);
    let timeline = timelines[0].id.parse().unwrap();
    put_reoffers(&disk, &timeline);
    disk
}

/// The rows by hand (`store/KEYSPACE.md`): only a relay that is there makes a node write them.
fn put_reoffers(disk: &NodeDisk, timeline: &TimelineId) {
    let mut store = crate::disk::open_store(&disk.disk, khlong_store::identity::Role::Node);
    let log = [b"reoffer/", &RELAY.as_bytes()[..]].concat();
    let cursor = [&log[..], timeline.as_bytes()].concat();
    let mut batch = store.batch();
    let row = Encoder::new().u8(1).fixed(&[4; 16]).u32(2).finish();
    named::put(&mut batch, Named::NodeState, &log, row).unwrap();
    named::put(&mut batch, Named::NodeState, &cursor, reoffer(0, 0, 3)).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

/// `version 1 ‖ ends 4·8 ‖ stage 1 ‖ rounds 1 ‖ flags 1 ‖ number 8 ‖ author 32`.
fn reoffer(stage: u8, rounds: u8, number: u64) -> Vec<u8> {
    let row = Encoder::new().u8(1).u64(3).u64(1).u64(0).u64(0);
    let row = row.u8(stage).u8(rounds).u8(0).u64(number);
    row.fixed(&[u8::MAX; 32]).finish()
}

/// What the relay is still to be offered, as people are told.
fn reoffering(peer: &mut Peer) -> u64 {
    let Response::Relays { relays } = peer.request(NOW, Request::RelayLs) else {
        panic!("no list");
    };
    relays[0].reoffering
}

/// The same where of a timeline nothing is known but that something was owed.
fn reoffering_anew() -> u64 {
    static ANEW: OnceLock<u64> = OnceLock::new();
    *ANEW.get_or_init(|| {
        let mut disk = node();
        let cursor = |(_, key, _): &Row| is_cursor(key);
        let (table, key, _) = own_rows(&disk).into_iter().find(cursor).unwrap();
        put_row(&disk, table, &key, vec![u8::MAX]);
        reoffering(&mut disk.open(NOW).unwrap())
    })
}

fn is_cursor(key: &[u8]) -> bool {
    key.starts_with(b"reoffer/") && key.len() == 8 + 32 + 32
}

type Row = (Table, Vec<u8>, Vec<u8>);

/// Rows of the two tables that only a node reads.
fn own_rows(disk: &NodeDisk) -> Vec<Row> {
    let store = crate::disk::open_store(&disk.disk, khlong_store::identity::Role::Node);
    let mut rows = Vec::new();
    store
        .for_each_row(&mut |table, key, payload| {
            if matches!(table, Table::NodeState | Table::Secret) {
                rows.push((table, key.to_vec(), payload.to_vec()));
            }
            Ok(())
        })
        .unwrap();
    rows
}

fuzz!(fuzz_node_row, 60, node_rows(), node_row);

/// Which row, then what stands there. A cursor in each of its stages, and in one that is none, of
/// another version, and of no class.
fn node_rows() -> Seeds {
    let (mut genuine, mut others) = (Vec::new(), Vec::new());
    for (place, (_, key, payload)) in (0_u8..).zip(own_rows(&node())) {
        let at_place = |payload: &[u8]| [&[place][..], payload].concat();
        if is_cursor(&key) {
            let stages = [reoffer(1, 0, 1), reoffer(2, 1, 0), reoffer(2, 2, 1)];
            genuine.extend(stages.map(|row| at_place(&row)));
            let mut newer = payload.clone();
            newer[0] = 2;
            let none = [reoffer(3, 0, 0), reoffer(2, u8::MAX, 0), newer];
            others.extend(none.map(|row| at_place(&row)));
        }
        genuine.push(at_place(&payload));
    }
    Seeds::and(genuine, others)
}

fn put_row(disk: &NodeDisk, table: Table, key: &[u8], payload: Vec<u8>) {
    let mut engine = MemoryEngine::open(&disk.disk, 0).unwrap();
    let mut writes = WriteSet::new();
    let sealed = record::seal(table, key, payload);
    writes.put(table, key.to_vec(), sealed);
    engine.commit(&writes, Durability::Synced).unwrap();
}

/// A node opens on it, or says what is wrong; if it opens, it answers.
fn node_row(input: &[u8]) -> bool {
    let Some((place, payload)) = input.split_first() else {
        return false;
    };
    let mut disk = node();
    let rows = own_rows(&disk);
    let (table, key, genuine) = &rows[usize::from(*place) % rows.len()];
    put_row(&disk, *table, key, payload.to_vec());
    let opened = disk.open(NOW);
    // Nothing is signed by the device yet, so its key is not asked for.
    if *table == Table::Secret && key != b"device" && payload != genuine {
        assert!(opened.is_err(), "a secret that does not open");
    }
    let Ok(mut peer) = opened else {
        return false;
    };
    // One that cannot be read begins its timeline anew, and nothing is refused for it.
    let is_taken = !is_cursor(key) || reoffering(&mut peer) != reoffering_anew();
    peer.go_online(NOW, true);
    for request in [Request::Id, Request::RelayLs, Request::TimelineLs] {
        let response = peer.request(NOW, request);
        assert!(
            !matches!(response, Response::Refused { .. }),
            "{response:?}"
        );
    }
    peer.commit(NOW).unwrap();
    while peer.poll_output().is_some() {}
    is_taken
}

fuzz!(fuzz_search_file, 40, search_file());

fn index_key() -> IndexKey {
    IndexKey::of(&MasterKey::from_bytes([7; 32]))
}

fn make_index(folder: &Path) {
    let mut index = Index::open(folder, &index_key()).unwrap();
    index.put(page(), [1; 16], &entries()).unwrap();
    index.commit().unwrap();
    index.rest().unwrap();
}

/// Its files in the order of their names.
fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A file that does not open makes the index one to be built anew, and nothing worse.
fn search_file() -> (Vec<Vec<u8>>, impl Fn(&[u8]) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    make_index(folder.path());
    let genuine = files_of(folder.path());
    // Which file, then what stands in it.
    let seed = |(place, (_, bytes)): (u8, &(PathBuf, Vec<u8>))| [&[place][..], bytes].concat();
    let seeds = (0..).zip(&genuine).map(seed).collect();
    let query = Query::parse("canal").unwrap();
    let property = move |input: &[u8]| {
        let Some((place, bytes)) = input.split_first() else {
            return false;
        };
        for (path, _) in files_of(folder.path()) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &genuine {
            fs::write(path, bytes).unwrap();
        }
        let (path, whole) = &genuine[usize::from(*place) % genuine.len()];
        fs::write(path, bytes).unwrap();
        let found = Index::open(folder.path(), &index_key())
            .and_then(|index| index.find(&query, &Filter::default(), 10));
        let is_taken = found.is_ok();
        match found {
            Ok(found) => assert_eq!(found.total, 1),
            Err(error) => {
                assert!(matches!(error, IndexError::Broken(_)), "{error}");
                assert_ne!(bytes, whole, "it is as it was");
            }
        }
        is_taken
    };
    (seeds, property)
}

fuzz!(fuzz_backup, 30, manifests(), restored);

fn make_backup(folder: &Path) -> PathBuf {
    let (home, target) = (folder.join("home"), folder.join("backup"));
    fs::create_dir(&home).unwrap();
    fs::write(home.join(KEY_FILE), b"a key").unwrap();
    backup::begin(&target).unwrap();
    let store = backup::store_of(&target);
    fs::create_dir(&store).unwrap();
    fs::write(store.join("CURRENT"), b"MANIFEST-000001\n").unwrap();
    backup::finish(&home, &target, &mut |_, _| {}).unwrap();
    target
}

fn manifests() -> Seeds {
    let folder = tempfile::tempdir().unwrap();
    let target = make_backup(folder.path());
    let genuine = fs::read_to_string(target.join(MANIFEST_FILE)).unwrap();
    // Every file longer, with another hash, elsewhere.
    let longer = genuine.replace("\"bytes\": ", "\"bytes\": 1");
    let other = genuine.replace("\"hash\": \"", "\"hash\": \"0");
    let outside = genuine.replace("\"store/", "\"../");
    assert!(
        [&longer, &other, &outside]
            .iter()
            .all(|text| **text != genuine)
    );
    let others = [longer, other, outside].map(String::into_bytes);
    Seeds::and(vec![genuine.into_bytes()], others.to_vec())
}

/// A list from elsewhere makes nobody write outside the new folder, and what is restored is
/// what the list says.
fn restored(manifest: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let target = make_backup(folder.path());
    fs::write(target.join(MANIFEST_FILE), manifest).unwrap();
    let place = folder.path().join("place");
    fs::create_dir(&place).unwrap();
    let home = place.join("new");
    let outcome = backup::restore(&target, &home, &mut |_, _| {});
    let beside = fs::read_dir(&place).unwrap().count();
    if outcome.is_ok() {
        assert_eq!(fs::read(home.join(KEY_FILE)).unwrap(), b"a key");
        let list: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        for (path, entry) in list["files"].as_object().unwrap() {
            let file = fs::read(home.join(path)).unwrap();
            assert_eq!(entry["bytes"], file.len());
            assert_eq!(entry["hash"], blake3::hash(&file).to_hex().as_str());
        }
        assert_eq!(beside, 1);
    } else {
        assert_eq!(beside, 0, "a failed restore leaves nothing");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    outcome.is_ok()
}
