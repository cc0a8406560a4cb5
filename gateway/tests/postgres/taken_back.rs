//! A journal that is taken back into its folder when its database is lost: it says so, once, and the
//! folder goes on as any other does.

use std::fs;
use std::path::Path;

use khlong_gateway::app::postgres::{
    Home, PostgresJournal, PostgresOptions, mark_copy, mark_returning,
};
use khlong_gateway::domains;
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::store::Store;
use serde_json::{Value, json};

use crate::cluster::{Cluster, PASSWORD};
use crate::fixture::{JOURNAL, decide, options};
use crate::moved::{TO_DATABASE, copy, database, home_of, place, run, sweep, verified};
use crate::moved_end::cut_off;
use crate::program::{object, refused, said};
use crate::served::Gateway;
use crate::server::{TRANSFERS, WRITER, balance, get, pay, set_up, try_post};

pub(crate) const TAKE_BACK: [&str; 6] = [
    "journal",
    "take-back",
    "data",
    "--config",
    "pg.toml",
    "--database-is-lost",
];

/// How long a database of `pg.toml` that does not answer is waited for.
pub(crate) fn waits(place: &Path, seconds: u32) {
    let path = place.join("pg.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = |line: &str| match line.strip_prefix("retry_seconds = ") {
        Some(_) => format!("retry_seconds = {seconds}\n"),
        None => format!("{line}\n"),
    };
    let text: String = text.lines().map(line).collect();
    fs::write(path, text).unwrap();
}

/// What it says, as JSON.
pub(crate) fn taken_back(place: &Path) -> Value {
    object(place, &[&["--json"][..], &TAKE_BACK].concat())
}

/// One satang from account 1 to 2.
fn paid(gateway: &Gateway, id: u64) {
    let body = json!({ "transfers": [pay(id, 1, 2, 1)] });
    let key = format!("pay {id}");
    let reply = try_post(gateway.address, TRANSFERS, WRITER, &key, &body).unwrap();
    assert_eq!(reply.results(), ["ok"]);
}

fn credits(gateway: &Gateway) -> String {
    balance(gateway.address, 2, "credits_posted")
}

/// The name of the move that filled a database.
fn move_of(cluster: &Cluster, database: &str) -> String {
    cluster.sql_in(
        database,
        "SELECT encode(id, 'hex') FROM khlong.journal_move",
    )
}

#[test]
fn a_copy_is_taken_back_says_so_goes_on_and_moves_again() {
    let mut cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    said(path, &["init", "second", "--config", "pg.toml"]);
    let gateway = Gateway::start_with(&path.join("pg.toml"));
    set_up(gateway.address, 2);
    paid(&gateway, 1);
    gateway.kill();
    let before = verified(path, "data");
    assert_eq!(before["entries"], json!(8));
    cluster.kill();
    waits(path, 1);

    let taken = taken_back(path);
    let (entries, epoch) = (json!(9), taken["epoch"].clone());
    assert_eq!(
        (&taken["kind"], &taken["entries"], &taken["epoch_entry"]),
        (&json!("journal_taken_back"), &entries, &entries)
    );
    let heard = taken["database"].as_str().unwrap();
    assert!(heard.starts_with("no answer ("), "{heard}");
    assert_eq!(taken["journal"], before["journal"]);
    assert!(epoch.as_u64().unwrap() > 1_700_000_000, "{epoch}");
    let after = verified(path, "data");
    for field in ["entries", "head", "state"] {
        assert_eq!(after[field], taken[field], "{field}");
    }
    let told = json!([{ "entry": 9, "number": epoch }]);
    assert_eq!(after["epochs"], told);
    // What was published before is in the chain still.
    let noted = format!("8:{}", before["head"].as_str().unwrap());
    said(path, &["verify", "data", "--published", &noted]);

    let gateway = Gateway::start_with(&path.join("gateway.toml"));
    assert_eq!(credits(&gateway), "1");
    paid(&gateway, 1);
    paid(&gateway, 2);
    assert_eq!(credits(&gateway), "2");
    let head = get(gateway.address, "/v1/journal/head").json();
    assert_eq!(head["epoch"], told[0]);
    gateway.kill();
    said(path, &["backup", "create", "data", "backup"]);
    said(path, &["backup", "restore", "backup", "restored"]);
    let (code, words) = refused(path, &TAKE_BACK);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("has its journal itself, up to"), "{words}");

    // The database comes up after all: it is none of this folder's any more.
    cluster.start_again();
    waits(path, 20);
    assert_eq!(run(path, "pg.toml").0, 9);
    assert_eq!(refused(path, &TO_DATABASE).0, 9);
    database(&cluster, path, "fresh");
    said(
        path,
        &["journal", "to-database", "data", "--config", "fresh.toml"],
    );
    assert_ne!(move_of(&cluster, "fresh"), move_of(&cluster, "postgres"));
    // And a second folder, which had less, follows there.
    let second = object(
        path,
        &["--json", "verify", "second", "--config", "fresh.toml"],
    );
    assert_eq!(
        (&second["entries"], &second["database_entries"]),
        (&json!(5), &json!(10))
    );
    let gateway = Gateway::start_with(&path.join("fresh.toml"));
    paid(&gateway, 3);
    assert_eq!(credits(&gateway), "3");
    gateway.kill();
    let moved = object(
        path,
        &["--json", "verify", "data", "--config", "fresh.toml"],
    );
    assert_eq!(moved["epochs"], told);
}

#[test]
fn a_folder_that_is_leaving_for_a_lost_database_is_taken_back() {
    let mut cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    cut_off(&cluster, path);
    cluster.kill();
    waits(path, 1);
    for config in ["gateway.toml", "pg.toml"] {
        assert_ne!(run(path, config).0, 0, "{config}");
    }
    let told = said(path, &TAKE_BACK);
    assert!(told.contains("\nentries: 6\n"), "{told}");
    assert!(
        told.contains("The journal goes on behind entry 5."),
        "{told}"
    );
    assert_eq!(home_of(path), Home::Folder);
    Gateway::start_with(&path.join("gateway.toml")).kill();
    said(path, &["backup", "create", "data", "backup"]);
    cluster.start_again();
    waits(path, 20);
    database(&cluster, path, "fresh");
    said(
        path,
        &["journal", "to-database", "data", "--config", "fresh.toml"],
    );
    let of_fresh = "SELECT count(*) FROM khlong.journal";
    assert_eq!(cluster.sql_in("fresh", of_fresh), "6");
}

/// The steps of a call that is cut off behind each of them.
pub(crate) fn up_to(place: &Path, step: u32) {
    let mut store = Store::open(&place.join("data"), &options()).unwrap();
    mark_returning(&mut store, 7).unwrap();
    if step > 0 {
        assert_eq!(store.begin_epoch(7).unwrap().epoch, 7);
    }
    if step > 1 {
        let kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL);
        kernel.unwrap().begin_epoch(7).unwrap();
    }
}

#[test]
fn cut_off_behind_any_step_nothing_runs_and_the_same_command_ends_it() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    cluster.sql("DROP SCHEMA khlong CASCADE");
    fs::rename(path.join("data"), path.join("before")).unwrap();
    for step in 0..3 {
        copy(&path.join("before"), &path.join("data"));
        up_to(path, step);
        assert_eq!(home_of(path), Home::Returning(7));
        for (expected, arguments) in [
            (3, &["run", "--config", "gateway.toml"][..]),
            (3, &["run", "--config", "pg.toml"]),
            (3, &["close", "data"]),
            (3, &TO_DATABASE),
            (9, &["backup", "create", "data", "backup"]),
        ] {
            let (code, words) = refused(path, arguments);
            assert_eq!(code, expected, "{step} {arguments:?}: {words}");
            let remedy = "`khlong-gateway journal take-back`";
            assert!(words.contains(remedy), "{step} {arguments:?}: {words}");
        }
        let taken = taken_back(path);
        assert_eq!(
            (&taken["entries"], &taken["epoch"]),
            (&json!(6), &json!(7)),
            "{step}"
        );
        assert_eq!(home_of(path), Home::Folder);
        // Once, wherever it was cut off.
        let after = verified(path, "data");
        assert_eq!(after["epochs"], json!([{ "entry": 6, "number": 7 }]));
        Gateway::start_with(&path.join("gateway.toml")).kill();
        assert_eq!(verified(path, "data")["head"], taken["head"]);
        fs::remove_dir_all(path.join("data")).unwrap();
    }
}

/// Two of one number could not be told apart: an epoch of the journal may lie ahead of the clock.
#[test]
fn the_number_of_its_epoch_lies_above_all_that_were() {
    const LATE: u32 = 4_000_000_000;
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    store.begin_epoch(LATE).unwrap();
    drop(store);
    said(path, &TO_DATABASE);
    // Another folder, whose own log is in its first epoch.
    said(path, &["init", "second", "--config", "pg.toml"]);
    fs::remove_dir_all(path.join("data")).unwrap();
    fs::rename(path.join("second"), path.join("data")).unwrap();
    cluster.sql("DROP SCHEMA khlong CASCADE");
    let taken = taken_back(path);
    assert_eq!(taken["epoch"], json!(LATE + 1));
    let epochs = json!([{ "entry": 7, "number": LATE + 1 }, { "entry": 6, "number": LATE }]);
    assert_eq!(verified(path, "data")["epochs"], epochs);
    Gateway::start_with(&path.join("gateway.toml")).kill();
    assert_eq!(verified(path, "data")["epochs"], epochs);
}

/// Its seconds are the epoch's number, and a wrong one would let the wrong time in.
#[test]
fn a_clock_that_cannot_be_right_is_for_a_person_to_accept() {
    let cluster = Cluster::start();
    let place = place(&cluster, 1);
    let path = place.path();
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    mark_copy(&mut store).unwrap();
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL).unwrap();
    let mut late = sweep("late");
    late.admitted_at.0 += 7_200_000;
    kernel.accept_time(late.admitted_at).unwrap();
    decide(&mut kernel, &late);
    drop(kernel);
    let (code, words) = refused(path, &TAKE_BACK);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("with --accept-time"), "{words}");
    assert_eq!(home_of(path), Home::Database);
    let accepted = [&TAKE_BACK[..], &["--accept-time"]].concat();
    assert!(said(path, &accepted).contains("entries: 3\n"));
    assert_eq!(home_of(path), Home::Folder);
}

/// The program asks a database that has nothing: tables, schema and database may be gone.
#[test]
fn a_database_without_the_journal_has_lost_it() {
    let cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    said(path, &TO_DATABASE);
    fs::rename(path.join("data"), path.join("before")).unwrap();
    let text = fs::read_to_string(path.join("pg.toml")).unwrap();
    let nowhere = text.replace("dbname=postgres", "dbname=nowhere");
    fs::write(path.join("nowhere.toml"), nowhere).unwrap();
    database(&cluster, path, "empty");
    database(&cluster, path, "other");
    let other = "UPDATE khlong.journal_id SET id = decode(repeat('01', 16), 'hex')";
    begin_in(&cluster, "other");
    cluster.sql_in("other", other);
    for (config, heard) in [
        ("nowhere.toml", "no journal"),
        ("empty.toml", "no journal"),
        ("other.toml", "another journal"),
    ] {
        copy(&path.join("before"), &path.join("data"));
        let mut arguments = [&["--json"][..], &TAKE_BACK].concat();
        arguments[5] = config;
        let taken = object(path, &arguments);
        assert_eq!(
            (&taken["database"], &taken["entries"]),
            (&json!(heard), &json!(4)),
            "{config}"
        );
        assert_eq!(home_of(path), Home::Folder);
        fs::remove_dir_all(path.join("data")).unwrap();
    }
}

fn begin_in(cluster: &Cluster, database: &str) {
    let within = std::time::Duration::from_secs(20);
    let text = cluster.text_of(database);
    let options = PostgresOptions::parse(&text, Some(PASSWORD), None, within);
    let mut journal = PostgresJournal::new(options.unwrap()).unwrap();
    journal.begin(JOURNAL).unwrap();
}
