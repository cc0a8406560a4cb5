//! A journal that moves from its folder into a database and back, killed on the way: at each moment
//! at most one of the two goes on, and no hash changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use khlong_gateway::app::postgres::{Home, home, mark_leaving, unmark};
use khlong_gateway::domains;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalSeq;
use khlong_store::peek::Peek;
use khlong_store::store::Store;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::commands::configure;
use crate::fixture::{JOURNAL, command, decide, options};
use crate::program::{object, refused, said};
use crate::served::Gateway;
use crate::server::{config, set_up};

/// More than three parts of a copy.
const ENTRIES: u64 = 4_000;

pub(crate) const TO_DATABASE: [&str; 5] = ["journal", "to-database", "data", "--config", "pg.toml"];
pub(crate) const TO_FOLDER: [&str; 5] = ["journal", "to-folder", "data", "--config", "pg.toml"];

/// A place with `gateway.toml`, which names no database, `pg.toml`, which does, and the folder
/// `data`, whose journal lies in it.
pub(crate) fn place(cluster: &Cluster, entries: u64) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    configure(cluster, place.path());
    fs::rename(
        place.path().join("gateway.toml"),
        place.path().join("pg.toml"),
    )
    .unwrap();
    let plain =
        config("[log]\nlevel = \"error\"\n").replace("[store]", "[store]\nfolder = \"data\"");
    let text = fs::read_to_string(place.path().join("pg.toml")).unwrap();
    let text = text.replace("[store]", "[store]\nfolder = \"data\"");
    fs::write(place.path().join("pg.toml"), text).unwrap();
    fs::write(place.path().join("gateway.toml"), plain).unwrap();
    filled(&place.path().join("data"), 0, entries);
    place
}

/// A command that any ledger takes, at the time of a gateway that runs.
pub(crate) fn sweep(key: &str) -> khlong_gateway::kernel::Command {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(since.as_millis()).unwrap();
    command(key, now, LEDGER_DOMAIN, LedgerCommand::Sweep.encode())
}

/// A gateway beside the database, with views of its own.
pub(crate) fn beside(cluster: &Cluster) -> Kernel {
    cluster.open(&MemoryDisk::new()).unwrap()
}

/// Commands behind those that are there.
fn filled(folder: &Path, from: u64, entries: u64) {
    let store = Store::open(folder, &options()).unwrap();
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL).unwrap();
    for n in from..from + entries {
        if kernel.apply(&sweep(&n.to_string())).is_err() {
            kernel.commit().unwrap();
            kernel.release();
            kernel.apply(&sweep(&n.to_string())).unwrap();
        }
    }
    kernel.commit().unwrap();
}

pub(crate) fn verified(place: &Path, folder: &str) -> Value {
    object(place, &["--json", "verify", folder])
}

pub(crate) fn run(place: &Path, config: &str) -> (i32, String) {
    refused(place, &["run", "--config", config])
}

pub(crate) fn home_of(place: &Path) -> Home {
    home(&Peek::open(&place.join("data")).unwrap()).unwrap()
}

pub(crate) fn count(cluster: &Cluster) -> u64 {
    let counted = cluster.sql("SELECT count(*) FROM khlong.journal");
    counted.parse().unwrap()
}

fn version(cluster: &Cluster) -> String {
    cluster.sql("SELECT version FROM khlong.journal_id")
}

/// The tables as a copy that was cut off at once has left them, slow in what they take.
fn half_made(cluster: &Cluster, pause: &str) {
    let id: String = JOURNAL
        .as_bytes()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    cluster.sql(&format!(
        "CREATE SCHEMA khlong;
         CREATE TABLE khlong.journal_id (place smallint PRIMARY KEY CHECK (place = 0),
           version integer NOT NULL, id bytea NOT NULL CHECK (octet_length(id) = 16));
         CREATE TABLE khlong.journal (seq bigint PRIMARY KEY CHECK (seq > 0),
           hash bytea NOT NULL CHECK (octet_length(hash) = 32),
           header bytea NOT NULL, command bytea NOT NULL, outcome bytea NOT NULL);
         INSERT INTO khlong.journal_id VALUES (0, -2, '\\x{id}');
         CREATE FUNCTION public.pause() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN PERFORM pg_sleep({pause}); RETURN NULL; END';
         CREATE TRIGGER pause BEFORE INSERT ON khlong.journal EXECUTE FUNCTION public.pause()"
    ));
}

fn spawn(place: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(place)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_journal_moves_into_a_database_and_back_without_a_change() {
    let cluster = Cluster::start();
    let place = place(&cluster, ENTRIES);
    let path = place.path();
    let before = verified(path, "data");
    let moved = object(path, &[&["--json"][..], &TO_DATABASE].concat());
    assert_eq!(moved["kind"], json!("moved_journal"));
    assert_eq!(moved["copied"], json!(ENTRIES));
    for field in ["journal", "entries", "head", "state"] {
        assert_eq!(moved[field], before[field], "{field}");
    }
    assert_eq!(
        (version(&cluster).as_str(), count(&cluster)),
        ("1", ENTRIES)
    );
    // Who has only the database comes to the same state.
    said(path, &["init", "second", "--config", "pg.toml"]);
    let second = object(path, &["--json", "verify", "second", "--config", "pg.toml"]);
    for field in ["journal", "entries", "head", "state"] {
        assert_eq!(second[field], before[field], "{field}");
    }
    assert_eq!(second["database_head"], before["head"]);

    // The folder is not gone on with alone, and not moved twice.
    let (code, words) = run(path, "gateway.toml");
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("lies in a database"), "{words}");
    let (code, words) = refused(path, &TO_DATABASE);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("lies in a database already"), "{words}");

    let gateway = Gateway::start_with(&path.join("pg.toml"));
    set_up(gateway.address, 2);
    gateway.kill();
    // `data` has what it decided, `second` has not.
    let moved = object(
        path,
        &[
            "--json",
            "journal",
            "to-folder",
            "second",
            "--config",
            "pg.toml",
        ],
    );
    assert_eq!(moved["entries"], json!(ENTRIES + 2));
    assert_eq!(moved["copied"], json!(2));
    assert_eq!(version(&cluster), "-1");
    let after = verified(path, "second");
    for field in ["journal", "entries", "head", "state"] {
        assert_eq!(moved[field], after[field], "{field}");
    }
    // Another folder beside that database has lost it, and no gateway is served there.
    for arguments in [&TO_FOLDER[..], &["run", "--config", "pg.toml"]] {
        let (code, words) = refused(path, arguments);
        assert_eq!(code, 3, "{words}");
        assert!(words.contains("moved out of this database"), "{words}");
    }
    let (code, words) = refused(path, &["init", "third", "--config", "pg.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(!path.join("third").exists());
    let (code, words) = run(path, "gateway.toml");
    assert_eq!(code, 3, "{words}");

    // The one that has it goes on, without a word of a loss, and moves it there once more.
    let text = fs::read_to_string(path.join("gateway.toml")).unwrap();
    fs::write(
        path.join("gateway.toml"),
        text.replace("\"data\"", "\"second\""),
    )
    .unwrap();
    let gateway = Gateway::start(path);
    gateway.kill();
    assert_eq!(verified(path, "second")["epochs"], json!([]));
    filled(&path.join("second"), 9_000, 3);
    let again = [
        "--json",
        "journal",
        "to-database",
        "second",
        "--config",
        "pg.toml",
    ];
    assert_eq!(object(path, &again)["copied"], json!(3));
    assert_eq!(version(&cluster), "1");
    // The first folder follows again: its copy is a part of what is there.
    let gateway = Gateway::start_with(&path.join("pg.toml"));
    gateway.kill();
    assert_eq!(
        cluster.journal().verify().unwrap().seq,
        JournalSeq(ENTRIES + 5)
    );
}

/// Kill −9 of the program that copies, at several places.
#[test]
fn a_copy_that_is_killed_serves_nobody_and_goes_on() {
    let cluster = Cluster::start();
    let place = place(&cluster, ENTRIES);
    let path = place.path();
    let before = verified(path, "data");
    half_made(&cluster, "0.4");
    let mut seen = 0;
    for _ in 0..2 {
        let mut child = spawn(path, &TO_DATABASE);
        let until = Instant::now() + Duration::from_secs(60);
        while count(&cluster) <= seen {
            assert!(Instant::now() < until, "nothing is copied");
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        seen = count(&cluster);
        assert!(seen > 0 && seen < ENTRIES, "{seen}");
        for arguments in [
            &["run", "--config", "pg.toml"][..],
            &["init", "other", "--config", "pg.toml"],
            &["verify", "data", "--config", "pg.toml"],
        ] {
            let (code, words) = refused(path, arguments);
            assert_eq!(code, 3, "{words}");
            assert!(words.contains("being copied into"), "{words}");
        }
        // Nobody was served there, so the folder has its journal still.
        assert_eq!(home_of(path), Home::Folder);
    }
    // It even goes on meanwhile.
    filled(&path.join("data"), ENTRIES, 5);
    cluster.sql("DROP TRIGGER pause ON khlong.journal");
    let moved = object(path, &[&["--json"][..], &TO_DATABASE].concat());
    let copied = moved["copied"].as_u64().unwrap();
    assert!(copied <= ENTRIES + 5 - seen && copied > 0, "{copied}");
    assert_eq!(moved["journal"], before["journal"]);
    let head = cluster.journal().verify().unwrap();
    assert_eq!(head.seq, JournalSeq(ENTRIES + 5));
    assert_eq!(home_of(path), Home::Database);
    let compared = object(path, &["--json", "verify", "data", "--config", "pg.toml"]);
    assert_eq!(compared["database_head"], compared["head"]);
}

/// Kill −9 of the server.
#[test]
fn a_copy_outlives_its_server() {
    let mut cluster = Cluster::start();
    let place = place(&cluster, ENTRIES);
    half_made(&cluster, "0.4");
    let mut child = spawn(place.path(), &TO_DATABASE);
    let until = Instant::now() + Duration::from_secs(60);
    while count(&cluster) == 0 {
        assert!(Instant::now() < until, "nothing is copied");
        std::thread::sleep(Duration::from_millis(10));
    }
    cluster.kill();
    cluster.start_again();
    assert!(child.wait().unwrap().success());
    assert_eq!(cluster.journal().verify().unwrap().seq, JournalSeq(ENTRIES));
    assert_eq!(version(&cluster), "1");
}

/// The two moments in which only the database says whether the move is done.
#[test]
fn a_move_that_is_killed_at_its_last_steps_is_ended_by_the_same_command() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let leave = || {
        let mut store = Store::open(&path.join("data"), &options()).unwrap();
        unmark(&mut store).unwrap();
        mark_leaving(&mut store).unwrap();
    };
    said(path, &TO_DATABASE);
    leave();
    // All of it is in the database, which is not served yet.
    cluster.sql("UPDATE khlong.journal_id SET version = -2");
    cluster.sql("CREATE DATABASE empty");
    let text = fs::read_to_string(path.join("pg.toml")).unwrap();
    let text = text.replace("dbname=postgres", "dbname=empty");
    fs::write(path.join("empty.toml"), text).unwrap();
    for config in ["gateway.toml", "pg.toml", "empty.toml"] {
        let (code, words) = run(path, config);
        assert_eq!(code, 3, "{words}");
        assert!(words.contains("journal to-database` again"), "{words}");
    }
    for (code, words, arguments) in [
        (
            9,
            "was cut off",
            &["backup", "create", "data", "backup"][..],
        ),
        (3, "being copied into", &TO_FOLDER),
        // It might be served in the other one.
        (
            3,
            "name that one",
            &["journal", "to-database", "data", "--config", "empty.toml"],
        ),
    ] {
        let (found, told) = refused(path, arguments);
        assert!(found == code && told.contains(words), "{found} {told}");
    }
    assert_eq!(home_of(path), Home::Leaving);
    said(path, &TO_DATABASE);
    assert_eq!(
        (version(&cluster).as_str(), home_of(path)),
        ("1", Home::Database)
    );
    // It was served already, and others went on.
    leave();
    decide(&mut beside(&cluster), &sweep("after"));
    said(path, &TO_DATABASE);
    assert_eq!((home_of(path), count(&cluster)), (Home::Database, 6));
}

fn count_or_none(cluster: &Cluster) -> Option<String> {
    let found = cluster.sql("SELECT to_regclass('khlong.journal')");
    Some(found).filter(|found| !found.is_empty())
}

/// An empty database, or the beginning of this very journal.
#[test]
fn what_is_not_the_beginning_of_the_journal_is_refused_and_left_alone() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    // The same id, and other entries under the same numbers.
    let mut others = beside(&cluster);
    for n in 0..3 {
        decide(&mut others, &sweep(&format!("other {n}")));
    }
    let refuse = |code: i32, words: &str| {
        let (found, told) = refused(path, &TO_DATABASE);
        assert_eq!(found, code, "{told}");
        assert!(told.contains(words), "{told}");
        assert_eq!(
            (version(&cluster).as_str(), home_of(path)),
            ("1", Home::Folder)
        );
    };
    refuse(9, "3 entries that are not the first of the 5");
    // Longer than the folder's, which may be an old copy.
    cluster.sql("TRUNCATE khlong.journal, khlong.journal_id; DROP SCHEMA khlong CASCADE");
    said(path, &TO_DATABASE);
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    unmark(&mut store).unwrap();
    drop(store);
    let mut further = beside(&cluster);
    decide(&mut further, &sweep("further"));
    refuse(9, "6 entries that are not the first of the 5");
    cluster.sql("UPDATE khlong.journal_id SET id = decode(repeat('01', 16), 'hex')");
    refuse(9, "another journal");
    // Of this journal, put back to an older backup: what the folder has is brought.
    cluster.sql("UPDATE khlong.journal_id SET id = decode(repeat('09', 16), 'hex')");
    cluster.sql("DELETE FROM khlong.journal WHERE seq > 2");
    assert_eq!(
        object(path, &[&["--json"][..], &TO_DATABASE].concat())["copied"],
        json!(3)
    );
    assert_eq!(cluster.journal().verify().unwrap().seq, JournalSeq(5));
}

/// What was copied before counts only if it is right.
#[test]
fn a_damaged_part_is_named_and_never_served() {
    let cluster = Cluster::start();
    let place = place(&cluster, ENTRIES);
    let path = place.path();
    half_made(&cluster, "0.4");
    let mut child = spawn(path, &TO_DATABASE);
    while count(&cluster) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    cluster.sql("DROP TRIGGER pause ON khlong.journal");
    cluster.sql("UPDATE khlong.journal SET outcome = outcome || '\\x00' WHERE seq = 7");
    let (code, words) = refused(path, &TO_DATABASE);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("entry 7 of the journal"), "{words}");
    assert_eq!(
        (version(&cluster).as_str(), home_of(path)),
        ("-2", Home::Folder)
    );
    // An entry of the folder itself is found before anything is copied.
    assert_eq!(refused(path, &["run", "--config", "pg.toml"]).0, 3);
}

/// A damaged entry of the folder is found before anything is made elsewhere.
#[test]
fn a_damaged_folder_is_not_moved() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path: PathBuf = place.path().join("data");
    let mut store = Store::open(&path, &options()).unwrap();
    let table = khlong_store::table::Table::Journal;
    let key = 3_u64.to_be_bytes();
    let row = khlong_store::rows::Rows::get(&store, table, &key).unwrap();
    let mut row = row.unwrap();
    *row.last_mut().unwrap() ^= 1;
    let mut batch = store.batch();
    batch.put(table, key.to_vec(), row).unwrap();
    let writes = batch.into_writes();
    store
        .commit(writes, khlong_store::engine::Durability::Synced)
        .unwrap();
    drop(store);
    let (code, words) = refused(place.path(), &TO_DATABASE);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("entry 3 of the journal"), "{words}");
    assert_eq!(count_or_none(&cluster), None);
}
