//! A journal that moves from its folder into a database, killed on the way: nobody is served from
//! half of it, and no hash changes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_gateway::app::postgres::{Home, MoveId, Standing, home};
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
use crate::fixture::{JOURNAL, command, options};
use crate::gate;
use crate::program::{object, refused, said};
use crate::served::Gateway;
use crate::server::{config, set_up};
use crate::until::until;

/// More than three parts of a copy.
pub(crate) const ENTRIES: u64 = 4_000;

pub(crate) const TO_DATABASE: [&str; 5] = ["journal", "to-database", "data", "--config", "pg.toml"];

/// A place with `gateway.toml`, which names no database, `pg.toml`, which does, and the folder
/// `data`, whose journal lies in it.
pub(crate) fn place(cluster: &Cluster, entries: u64) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    configure(cluster, path);
    let text = fs::read_to_string(path.join("gateway.toml")).unwrap();
    let text = text.replace("[store]", "[store]\nfolder = \"data\"");
    fs::write(path.join("pg.toml"), text).unwrap();
    let plain = config("[log]\nlevel = \"error\"\n");
    let plain = plain.replace("[store]", "[store]\nfolder = \"data\"");
    fs::write(path.join("gateway.toml"), plain).unwrap();
    filled(&path.join("data"), 0, entries);
    place
}

/// Another database, which `NAME.toml` names.
pub(crate) fn database(cluster: &Cluster, place: &Path, name: &str) {
    cluster.sql(&format!("CREATE DATABASE {name}"));
    let text = fs::read_to_string(place.join("pg.toml")).unwrap();
    let text = text.replace("dbname=postgres", &format!("dbname={name}"));
    fs::write(place.join(format!("{name}.toml")), text).unwrap();
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
pub(crate) fn filled(folder: &Path, from: u64, entries: u64) {
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

/// The folder as a copy of the disk has it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
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

pub(crate) fn version(cluster: &Cluster) -> String {
    cluster.sql("SELECT version FROM khlong.journal_id")
}

/// The tables as a copy that was cut off at once has left them. They take one part, and each further
/// one when the gate is opened for all that is there.
pub(crate) fn half_made(cluster: &Cluster) {
    let mut journal = cluster.journal().wanting(Standing::Filling);
    let id = MoveId::from_bytes([4; 16]);
    journal.create_for(JOURNAL, id).unwrap();
    gate::make(cluster, "postgres");
    let waits = gate::waits_while("SELECT count(*) FROM khlong.journal");
    cluster.sql(&format!(
        "CREATE FUNCTION public.pause() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN {waits}; RETURN NULL; END';
         CREATE TRIGGER pause BEFORE INSERT ON khlong.journal EXECUTE FUNCTION public.pause()"
    ));
}

/// Kill −9 of a program that copies, once there is more than `seen`. Returns how much there is.
pub(crate) fn killed_behind(cluster: &Cluster, mut child: Child, seen: u64) -> u64 {
    until("something is copied", || count(cluster) > seen);
    child.kill().unwrap();
    child.wait().unwrap();
    gate::end_sessions(cluster);
    count(cluster)
}

pub(crate) fn spawn(place: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(place)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_journal_moves_into_a_database_without_a_change() {
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
    let found = (version(&cluster), count(&cluster));
    assert_eq!(found, ("1".to_owned(), ENTRIES));
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
    let head = cluster.journal().verify().unwrap();
    assert_eq!(head.seq, JournalSeq(ENTRIES + 2));
}

/// Kill −9 of the program that copies, at several places.
#[test]
fn a_copy_that_is_killed_serves_nobody_and_goes_on() {
    let cluster = Cluster::start();
    let place = place(&cluster, ENTRIES);
    let path = place.path();
    let before = verified(path, "data");
    half_made(&cluster);
    let mut seen = 0;
    for _ in 0..2 {
        gate::open(&cluster, seen);
        seen = killed_behind(&cluster, spawn(path, &TO_DATABASE), seen);
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
    half_made(&cluster);
    let mut child = spawn(place.path(), &TO_DATABASE);
    until("something is copied", || count(&cluster) > 0);
    cluster.kill();
    cluster.start_again();
    gate::open(&cluster, ENTRIES);
    assert!(child.wait().unwrap().success());
    assert_eq!(cluster.journal().verify().unwrap().seq, JournalSeq(ENTRIES));
    assert_eq!(version(&cluster), "1");
}

/// What the folder lost before is said by nobody later.
#[test]
fn a_loss_of_the_folder_is_told_in_the_journal_before_it_moves() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    store.begin_epoch(2).unwrap();
    drop(store);
    said(path, &TO_DATABASE);
    let told = object(path, &["--json", "verify", "data", "--config", "pg.toml"]);
    assert_eq!(told["epochs"], json!([{ "entry": 6, "number": 2 }]));
    assert_eq!(count(&cluster), 6);
}
