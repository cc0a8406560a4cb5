//! The last steps of a move: the folder says that it leaves before the database serves, and only
//! that database ends the move.

use std::path::Path;

use khlong_gateway::app::postgres::{Home, MoveId, PostgresJournal, Standing, mark_leaving};
use khlong_store::store::Store;

use crate::books::id as account_id;
use crate::cluster::{Cluster, WITHIN, options as options_of};
use crate::fixture::{JOURNAL, decide, options};
use crate::gate;
use crate::moved::{
    TO_DATABASE, beside, copy, count, database, filled, home_of, place, run, spawn, sweep,
    verified, version,
};
use crate::program::{object, refused, said};
use crate::served::Gateway;
use crate::until::until;

/// The tables as `to-database` makes them, with a trigger for the moment in which they come to serve.
fn when_it_is_to_serve(cluster: &Cluster, database: &str, what: &str) -> MoveId {
    let journal = PostgresJournal::new(options_of(&cluster.text_of(database), WITHIN));
    let mut journal = journal.unwrap().wanting(Standing::Filling);
    let id = MoveId::draw().unwrap();
    journal.create_for(JOURNAL, id).unwrap();
    cluster.sql_in(
        database,
        &format!(
            "CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN {what}; RETURN NEW; END';
             CREATE TRIGGER hold BEFORE UPDATE ON khlong.journal_id
               FOR EACH ROW EXECUTE FUNCTION public.hold()"
        ),
    );
    id
}

const FAIL: &str = "RAISE EXCEPTION ''held''";

fn go_on(cluster: &Cluster, database: &str) {
    cluster.sql_in(database, "DROP TRIGGER hold ON khlong.journal_id");
}

/// Everything is in the database, the folder has said that it leaves, and nobody is served.
pub(crate) fn cut_off(cluster: &Cluster, place: &Path) -> MoveId {
    let id = when_it_is_to_serve(cluster, "postgres", FAIL);
    let (code, words) = refused(place, &TO_DATABASE);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("held"), "{words}");
    assert_eq!(home_of(place), Home::Leaving(id));
    assert_eq!(version(cluster), "-2");
    go_on(cluster, "postgres");
    id
}

#[test]
fn a_folder_leaves_before_the_database_serves_and_waits_for_it() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let id = cut_off(&cluster, path);
    database(&cluster, path, "empty");
    for config in ["gateway.toml", "pg.toml", "empty.toml"] {
        let (code, words) = run(path, config);
        assert_eq!(code, 3, "{words}");
        assert!(words.contains("journal to-database` again"), "{words}");
    }
    let to_empty = ["journal", "to-database", "data", "--config", "empty.toml"];
    let report = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{}</OrgnlMsgId><GrpSts>ACSC</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>",
        account_id(5)
    );
    std::fs::write(path.join("answer.xml"), report).unwrap();
    let account = account_id(2);
    let statement = [
        "statement",
        "data",
        "--account",
        &account,
        "--from",
        "2026-11-27",
        "--to",
        "2026-11-27",
    ];
    for (code, words, arguments) in [
        (
            9,
            "was cut off",
            &["backup", "create", "data", "backup"][..],
        ),
        (3, "this is not that database", &to_empty),
        (3, "journal to-database` again", &["audit", "data"]),
        (3, "journal to-database` again", &statement),
        (
            3,
            "journal to-database` again",
            &["payout", "answer", "data", "answer.xml"],
        ),
        (
            3,
            "journal to-database` again",
            &["audit", "data", "--config", "pg.toml"],
        ),
    ] {
        let (found, told) = refused(path, arguments);
        assert!(found == code && told.contains(words), "{found} {told}");
    }
    let made = cluster.sql_in("empty", "SELECT to_regnamespace('khlong') IS NULL");
    assert_eq!((made.as_str(), home_of(path)), ("t", Home::Leaving(id)));
    said(path, &TO_DATABASE);
    let found = (version(&cluster), home_of(path));
    assert_eq!(found, ("1".to_owned(), Home::Database));
    assert_eq!(count(&cluster), 5);
    let told = said(path, &["audit", "data", "--config", "pg.toml"]);
    assert!(told.starts_with("journal: 5 entries, "), "{told}");
}

/// It was kept as it was before the move, and the database has all of it.
#[test]
fn a_folder_with_its_own_journal_is_not_made_a_copy_by_a_reader() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    copy(&path.join("data"), &path.join("evidence"));
    said(path, &TO_DATABASE);
    decide(&mut beside(&cluster), &sweep("after"));
    let audit = ["audit", "evidence", "--config", "pg.toml"];
    for _ in 0..2 {
        let (code, words) = refused(path, &audit);
        assert_eq!(code, 3, "{words}");
        assert!(words.contains("leave --config out"), "{words}");
        let told = said(path, &audit[..2]);
        assert!(told.starts_with("journal: 5 entries, "), "{told}");
    }
    let told = said(path, &["audit", "data", "--config", "pg.toml"]);
    assert!(told.starts_with("journal: 6 entries, "), "{told}");
}

/// An entry there would be in no other journal, and the database could not take the folder.
#[test]
fn nothing_is_appended_to_a_folder_that_leaves() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let before = verified(path, "data");
    cut_off(&cluster, path);
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    store.begin_epoch(2).unwrap();
    drop(store);
    let moved = object(path, &[&["--json"][..], &TO_DATABASE].concat());
    assert_eq!(moved["head"], before["head"]);
    assert_eq!((count(&cluster), home_of(path)), (5, Home::Database));
    Gateway::start_with(&path.join("pg.toml")).kill();
    assert_eq!(verified(path, "data")["head"], before["head"]);
}

/// All of it was read back in the database before.
#[test]
fn what_a_folder_lost_while_it_left_is_in_the_database() {
    let cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    copy(&path.join("data"), &path.join("older"));
    filled(&path.join("data"), 3, 2);
    let whole = verified(path, "data");
    let id = cut_off(&cluster, path);
    std::fs::remove_dir_all(path.join("data")).unwrap();
    std::fs::rename(path.join("older"), path.join("data")).unwrap();
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    mark_leaving(&mut store, id).unwrap();
    drop(store);
    said(path, &TO_DATABASE);
    Gateway::start_with(&path.join("pg.toml")).kill();
    assert_eq!(count(&cluster), 5);
    assert_eq!(verified(path, "data")["state"], whole["state"]);
}

/// Kill −9 of the program while the database changes over.
#[test]
fn a_move_that_is_killed_when_the_database_serves_is_ended_by_a_start_or_by_itself() {
    for ends_by_start in [true, false] {
        let cluster = Cluster::start();
        let place = place(&cluster, 5);
        let path = place.path();
        gate::make(&cluster, "postgres");
        let waits = gate::waits_while("SELECT 1");
        let id = when_it_is_to_serve(&cluster, "postgres", &waits);
        let mut child = spawn(path, &TO_DATABASE);
        gate::wait_for_one(&cluster);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(home_of(path), Home::Leaving(id));
        gate::open(&cluster, 1);
        until("the database serves", || version(&cluster) == "1");
        // Others go on there.
        decide(&mut beside(&cluster), &sweep("after"));
        let (code, words) = run(path, "gateway.toml");
        assert_eq!(code, 3, "{words}");
        if ends_by_start {
            Gateway::start_with(&path.join("pg.toml")).kill();
        } else {
            said(path, &TO_DATABASE);
        }
        assert_eq!((home_of(path), count(&cluster)), (Home::Database, 6));
    }
}

/// Both have all of it; which one it leaves for is in the folder.
#[test]
fn of_two_databases_that_were_filled_one_serves() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    database(&cluster, path, "first");
    when_it_is_to_serve(&cluster, "first", FAIL);
    // As a call that was killed while it read back: the folder has said nothing yet.
    copy(&path.join("data"), &path.join("before"));
    let to_first = ["journal", "to-database", "data", "--config", "first.toml"];
    assert_eq!(refused(path, &to_first).0, 1);
    std::fs::remove_dir_all(path.join("data")).unwrap();
    std::fs::rename(path.join("before"), path.join("data")).unwrap();
    go_on(&cluster, "first");
    cut_off(&cluster, path);
    let first = || cluster.sql_in("first", "SELECT version FROM khlong.journal_id");
    let (code, words) = refused(path, &to_first);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("this is not that database"), "{words}");
    assert_eq!(first(), "-2");
    said(path, &TO_DATABASE);
    let (code, words) = refused(path, &to_first);
    assert_eq!(code, 3, "{words}");
    let found = (version(&cluster), first());
    assert_eq!(found, ("1".to_owned(), "-2".to_owned()));
}

/// A gateway that waited for the database appends at once.
#[test]
fn a_database_that_serves_already_and_went_on_is_no_failure() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let id = cut_off(&cluster, path);
    let mut journal = cluster.journal().wanting(Standing::Filling);
    let head = journal.verify().unwrap();
    assert!(journal.serve(&head, MoveId::from_bytes([1; 16])).is_err());
    assert_eq!(version(&cluster), "-2");
    journal.serve(&head, id).unwrap();
    decide(&mut beside(&cluster), &sweep("after"));
    journal.serve(&head, id).unwrap();
}
