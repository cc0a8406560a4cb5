//! `khlong-gateway` with a configuration that names a database.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use khlong_store::folder::LOCK_FILE;
use khlong_store::identity::Role;
use khlong_store::journal::JournalSeq;
use khlong_store::store::{OpenOptions, Store};
use serde_json::json;

use crate::cluster::{Cluster, PASSWORD};
use crate::fixture::{decide, options};
use crate::journal::sweep;
use crate::program::{files, object, refused, run, said, write_secret};
use crate::served::Gateway;
use crate::server::config;

/// A configuration of a gateway whose journal is in the cluster.
pub(crate) fn configure(cluster: &Cluster, folder: &Path) {
    write_secret(&folder.join("pg.password"), &format!("{PASSWORD}\n"));
    let more = format!(
        "[log]\nlevel = \"error\"\n[journal]\npostgres = \"{}\"\npassword_file = \"pg.password\"\nretry_seconds = 60\n",
        cluster.text()
    );
    fs::write(folder.join("gateway.toml"), config(&more)).unwrap();
}

pub(crate) fn init(folder: &Path) -> String {
    said(folder, &["init", "data", "--config", "gateway.toml"])
}

#[test]
fn a_journal_is_begun_followed_checked_and_printed() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    let id = init(place);
    assert_eq!(
        id.trim_end(),
        cluster.sql("SELECT encode(id, 'hex') FROM khlong.journal_id")
    );
    // A second folder joins the journal that is there, with what is in it.
    let mut elsewhere = crate::cluster::open(
        cluster.journal(),
        &khlong_store::engine::memory::MemoryDisk::new(),
    )
    .unwrap();
    for n in 0..5 {
        decide(&mut elsewhere, &sweep(&n.to_string()));
    }
    let joined = object(
        place,
        &["--json", "init", "second", "--config", "gateway.toml"],
    );
    assert_eq!(
        (&joined["id"], &joined["entries"]),
        (&json!(id.trim_end()), &json!(5))
    );
    let head = elsewhere.head();
    assert_eq!(head.seq, JournalSeq(5));
    let config = ["--config", "gateway.toml"];
    let verified = object(
        place,
        &[&["verify", "--json", "second"][..], &config].concat(),
    );
    assert_eq!(verified["entries"], json!(5));
    assert_eq!(verified["database_entries"], json!(5));
    assert_eq!(verified["database_head"], verified["head"]);
    // The first one has nothing yet, and is a part of it.
    let verified = object(
        place,
        &[&["verify", "--json", "data"][..], &config].concat(),
    );
    assert_eq!(
        (&verified["entries"], &verified["database_entries"]),
        (&json!(0), &json!(5))
    );
    let lines = said(place, &[&["export", "second"][..], &config].concat());
    assert_eq!(lines.lines().count(), 5);
    said(
        place,
        &[&["replay", "second", "--into", "again"][..], &config].concat(),
    );

    // What was made from a copy is one.
    let text = fs::read_to_string(place.join("gateway.toml")).unwrap();
    fs::write(
        place.join("gateway.toml"),
        self::config("").replace("[store]", "[store]\nfolder = \"again\""),
    )
    .unwrap();
    let (code, words) = refused(place, &["run", "--config", "gateway.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("journal.postgres"), "{words}");
    fs::write(place.join("gateway.toml"), text).unwrap();

    cluster.sql("UPDATE khlong.journal SET command = command || '\\x00' WHERE seq = 3");
    let (code, words) = refused(place, &[&["verify", "second"][..], &config].concat());
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("entry 3 of the journal"), "{words}");
    cluster.sql("UPDATE khlong.journal SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 5");
    for arguments in [
        &["export", "second"][..],
        &["replay", "second", "--into", "no"],
    ] {
        let (code, words) = refused(place, &[arguments, &config].concat());
        assert_eq!(code, 9, "{words}");
    }
    assert!(!place.join("no").exists());
}

#[test]
fn a_copy_is_not_taken_for_a_journal_and_no_database_for_another() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    init(place);
    let with = fs::read_to_string(place.join("gateway.toml")).unwrap();
    // Without its section the folder would go on alone.
    fs::write(place.join("gateway.toml"), config("")).unwrap();
    let (code, words) = refused(place, &["run", "--config", "gateway.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("journal.postgres"), "{words}");
    let (code, words) = refused(place, &["verify", "data", "--config", "gateway.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("names no database"), "{words}");
    // Secrets of nobody: the database itself was left out.
    let more = "[journal]\npassword_file = \"pg.password\"\n";
    fs::write(place.join("gateway.toml"), config(more)).unwrap();
    let (code, words) = refused(place, &["run", "--config", "gateway.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("journal.postgres"), "{words}");
    // A database without a journal begins none by itself.
    cluster.sql("CREATE DATABASE empty");
    let empty = with.replace("dbname=postgres", "dbname=empty");
    fs::write(place.join("gateway.toml"), empty).unwrap();
    let (code, words) = refused(place, &["run", "--config", "gateway.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("has no journal"), "{words}");
}

/// It has seen that nothing is there, and waits for its configuration, as it may for its database.
#[test]
fn an_init_leaves_alone_what_somebody_else_has_put_there_meanwhile() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    let text = fs::read(place.join("gateway.toml")).unwrap();
    let slow = place.join("slow.toml");
    let made = Command::new("mkfifo").arg(&slow).status().unwrap();
    assert!(made.success());
    let of_relay = OpenOptions {
        role: Role::Relay,
        ..options()
    };
    for (name, is_relay) in [("gateway", false), ("relay", true)] {
        let folder = place.join(name);
        let ((code, words), before) = std::thread::scope(|scope| {
            let init = scope.spawn(|| refused(place, &["init", name, "--config", "slow.toml"]));
            // Opened as soon as it reads.
            let mut config = fs::File::options().write(true).open(&slow).unwrap();
            if is_relay {
                drop(Store::open(&folder, &of_relay).unwrap());
            } else {
                said(place, &["init", name]);
            }
            let before = files(&folder);
            config.write_all(&text).unwrap();
            drop(config);
            (init.join().unwrap(), before)
        });
        assert_eq!(code, 3, "{words}");
        assert!(words.contains("empty folder"), "{words}");
        let (names, after) = (before.keys(), files(&folder));
        assert!(names.eq(after.keys()), "{name}: {:?}", after.keys());
        // The lock's file has the number of the one that looked.
        let mut rest = after.iter().filter(|(path, _)| !path.ends_with(LOCK_FILE));
        let changed = rest.find(|(path, content)| before.get(*path) != Some(*content));
        assert!(changed.is_none(), "{name}: {changed:?}");
    }
    said(place, &["verify", "gateway"]);
    // The database has its journal, which waits for a folder that is empty.
    init(place);
}

/// The name of another database in the configuration is a slip, and costs a folder nothing.
#[test]
fn a_folder_that_is_refused_stays_what_it_was() {
    let cluster = Cluster::start();
    let disk = khlong_store::engine::memory::MemoryDisk::new();
    let mut others = cluster.open(&disk).unwrap();
    for n in 0..5 {
        decide(&mut others, &sweep(&n.to_string()));
    }
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    said(place, &["init", "data"]);
    fs::write(place.join("gateway.toml"), config("")).unwrap();
    let gateway = Gateway::start(place);
    crate::server::set_up(gateway.address, 2);
    gateway.kill();
    configure(&cluster, place);
    let with_database = fs::read_to_string(place.join("gateway.toml")).unwrap();
    let (code, words) = refused(place, &["run", "--config", "gateway.toml"]);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("another journal"), "{words}");
    fs::write(place.join("gateway.toml"), config("")).unwrap();
    Gateway::start(place).kill();
    // Nor is a database without a journal a place for one to begin.
    cluster.sql("CREATE DATABASE empty");
    let text = fs::read_to_string(place.join("gateway.toml")).unwrap();
    let empty = with_database.replace("dbname=postgres", "dbname=empty");
    fs::write(place.join("gateway.toml"), empty).unwrap();
    for arguments in [
        &["run", "--config", "gateway.toml"][..],
        &["verify", "data", "--config", "gateway.toml"],
    ] {
        let (code, words) = refused(place, arguments);
        assert_eq!(code, 9, "{words}");
        assert!(words.contains("name the database that has it"), "{words}");
    }
    // Where nothing is lost either, both say how one is begun.
    said(place, &["init", "fresh"]);
    let (code, words) = refused(place, &["verify", "fresh", "--config", "gateway.toml"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("begins one"), "{words}");
    fs::write(place.join("gateway.toml"), text).unwrap();
    Gateway::start(place).kill();
    // Of a database that was put back as well: the folder is a copy already, and stays one.
    configure(&cluster, place);
    said(place, &["init", "copy", "--config", "gateway.toml"]);
    cluster.sql("DELETE FROM khlong.journal WHERE seq > 2");
    let text = fs::read_to_string(place.join("gateway.toml")).unwrap();
    let text = text.replace("[store]", "[store]\nfolder = \"copy\"");
    fs::write(place.join("gateway.toml"), text).unwrap();
    let (code, words) = refused(place, &["run", "--config", "gateway.toml"]);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("the views go to entry 5"), "{words}");
}

#[test]
fn an_init_that_the_database_refuses_leaves_nothing() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    cluster.sql(&format!("CREATE ROLE poor LOGIN PASSWORD '{PASSWORD}'"));
    let text = fs::read_to_string(place.join("gateway.toml")).unwrap();
    let text = text.replace("user=khlong", "user=poor");
    fs::write(place.join("gateway.toml"), text).unwrap();
    let (code, words) = refused(place, &["init", "data", "--config", "gateway.toml"]);
    assert_eq!(code, 4, "{words}");
    assert!(!place.join("data").exists());
    cluster.sql("GRANT CREATE ON DATABASE postgres TO poor");
    init(place);
}

#[test]
fn the_password_is_in_no_message() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    let wrong = "another-word-than-that-of-the-user";
    fs::write(place.join("pg.password"), wrong).unwrap();
    let done = run(place, &["init", "data", "--config", "gateway.toml"]);
    let words = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(4), "{words}");
    assert!(
        words.contains("refuses") && !words.contains(wrong),
        "{words}"
    );
    assert!(!place.join("data").exists(), "nothing is made");
    let text = fs::read_to_string(place.join("gateway.toml")).unwrap();
    for (old, new) in [
        ("user=khlong", &format!("user=khlong password={wrong}")[..]),
        ("user=khlong", &format!("user=khlong {wrong}")),
        (
            "password_file",
            &format!("password = \"{wrong}\"\npassword_file"),
        ),
        (
            "retry_seconds = 60",
            &format!("retry_seconds = \"{wrong}\""),
        ),
        ("password_file = ", &format!("password = {wrong} # ")),
    ] {
        fs::write(place.join("gateway.toml"), text.replace(old, new)).unwrap();
        let (code, words) = refused(place, &["init", "data", "--config", "gateway.toml"]);
        assert_eq!(code, 3, "{words}");
        assert!(!words.contains(wrong), "{words}");
    }
    // A file of the keys in the environment, digits as they are.
    fs::write(
        place.join("gateway.toml"),
        text.replace("password_file", "# "),
    )
    .unwrap();
    cluster.sql("ALTER ROLE khlong PASSWORD '0123456789'");
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(place)
        .args(["init", "data", "--config", "gateway.toml"])
        .env("KHLONG_JOURNAL__PASSWORD", "0123456789")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}
