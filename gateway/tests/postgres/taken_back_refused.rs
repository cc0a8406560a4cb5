//! What is not taken back: a database that has the journal, or may have it, is not lost.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use khlong_gateway::app::postgres::{Home, mark_copy};
use khlong_store::store::Store;
use serde_json::json;

use crate::cluster::Cluster;
use crate::fixture::{damage_journal, decide, options};
use crate::moved::{TO_DATABASE, beside, copy, filled, home_of, place, sweep, verified};
use crate::moved_end::cut_off;
use crate::program::{object, refused, said};
use crate::served::Gateway;
use crate::server::config;
use crate::taken_back::{TAKE_BACK, taken_back, up_to, waits};
use crate::until::until;

/// And the folder stays what it was.
fn refuses(place: &Path, expected: i32, words: &str) {
    let before = (verified(place, "data"), home_of(place));
    let (code, told) = refused(place, &TAKE_BACK);
    assert_eq!(code, expected, "{told}");
    assert!(told.contains(words), "{told}");
    assert_eq!((verified(place, "data"), home_of(place)), before);
}

#[test]
fn a_database_that_has_the_journal_is_not_lost() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    let has_it = "the database has this journal, up to entry 5, with all that data has, up to 5";
    // Filled, and nobody is served yet; then it serves.
    let id = cut_off(&cluster, path);
    assert_eq!(home_of(path), Home::Leaving(id));
    refuses(path, 3, has_it);
    said(path, &TO_DATABASE);
    refuses(path, 3, has_it);
    // Put back to an older backup, and gone on with: gateways may be served from it.
    let differs = "does not have all that data has";
    cluster.sql("CREATE TABLE public.kept AS SELECT * FROM khlong.journal WHERE seq > 3");
    cluster.sql("DELETE FROM khlong.journal WHERE seq > 3");
    refuses(path, 9, differs);
    cluster.sql("INSERT INTO khlong.journal SELECT * FROM public.kept");
    cluster.sql("UPDATE khlong.journal SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 5");
    refuses(path, 9, differs);
    // Damaged so that it says nothing.
    cluster.sql("UPDATE khlong.journal_id SET version = 99");
    refuses(path, 8, "does not say whether it has the journal");
    cluster.sql("DROP SCHEMA khlong CASCADE");
    let taken = taken_back(path);
    assert_eq!(
        (&taken["entries"], &taken["database"]),
        (&json!(6), &json!("no journal"))
    );
}

/// It may have the journal, and say so tomorrow.
#[test]
fn a_server_that_speaks_is_not_lost() {
    let cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    said(path, &TO_DATABASE);
    waits(path, 5);
    let speaks = "does not say whether it has the journal: it may not be lost";
    let password = path.join("pg.password");
    let right = fs::read_to_string(&password).unwrap();
    fs::write(&password, "another-word-altogether\n").unwrap();
    refuses(path, 4, speaks);
    fs::write(&password, right).unwrap();
    // A standby, as it looks from here.
    let read_only = "ALTER DATABASE postgres SET default_transaction_read_only";
    cluster.sql(&format!("{read_only} = on"));
    refuses(path, 1, speaks);
    cluster.sql(&format!("BEGIN READ WRITE; {read_only} = off; COMMIT"));
    // One that lets a gateway in, and has not got to an answer.
    let held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let lock =
                "BEGIN; LOCK TABLE khlong.journal IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)";
            // It is ended below.
            cluster.try_sql(lock).unwrap_err()
        });
        until("the table is held", || cluster.sql(held) == "1");
        refuses(path, 1, speaks);
        let end =
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        cluster.sql(end);
    });
}

/// A listener on a port of its own that answers whoever comes first with these bytes, and is gone.
fn gone_after(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer);
    });
    port
}

/// What a restart looks like: a word, and then nobody listens for as long as it is tried.
#[test]
fn a_server_that_spoke_once_is_not_lost_although_nobody_listens_then() {
    const ENDS: &[u8] =
        b"E\0\0\0\x40SFATAL\0VFATAL\0C57P03\0Mthe database system is shutting down\0\0";
    // A pooler that lets in, and waits for its server.
    const LETS_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const GREETS: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    filled(&path.join("data"), 0, 3);
    mark_copy(&mut Store::open(&path.join("data"), &options()).unwrap()).unwrap();
    let listens = |answer: &'static [u8]| {
        let port = gone_after(answer);
        let text = format!(
            "[journal]\npostgres = \"host=127.0.0.1 port={port} user=khlong dbname=postgres\"\nretry_seconds = 3\n"
        );
        fs::write(path.join("pg.toml"), config(&text)).unwrap();
    };
    for answer in [ENDS, LETS_IN, GREETS] {
        listens(answer);
        refuses(path, 1, "does not say whether it has the journal");
    }
    listens(b"");
    let taken = taken_back(path);
    let heard = taken["database"].as_str().unwrap();
    assert!(heard.starts_with("no answer ("), "{heard}");
}

/// It has forgotten the database, and the same command would be refused for ever.
#[test]
fn a_folder_that_was_cut_off_gives_way_to_a_database_that_is_there_again() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    // Others go on there.
    decide(&mut beside(&cluster), &sweep("more"));
    fs::rename(path.join("data"), path.join("before")).unwrap();
    let again = |step: u32| {
        copy(&path.join("before"), &path.join("data"));
        up_to(path, step);
        assert_eq!(home_of(path), Home::Returning(7));
    };
    for step in 0..3 {
        again(step);
        refuses(
            path,
            3,
            "is there again, up to entry 6, with all that data had",
        );
        fs::remove_dir_all(path.join("data")).unwrap();
    }
    said(path, &["init", "anew", "--config", "pg.toml"]);
    assert_eq!(verified(path, "anew")["entries"], json!(6));
    // The move had not come to its end.
    cluster.sql("UPDATE khlong.journal_id SET version = -2");
    again(2);
    refuses(path, 3, "no gateway was ever served from it");
    // It was put back.
    cluster.sql("UPDATE khlong.journal_id SET version = 1");
    cluster.sql("DELETE FROM khlong.journal WHERE seq > 3");
    refuses(path, 9, "does not have all that data has, up to 5");
    cluster.sql("DROP SCHEMA khlong CASCADE");
    let taken = taken_back(path);
    assert_eq!((&taken["entries"], &taken["epoch"]), (&json!(6), &json!(7)));
}

/// Two commits that were acknowledged, as a disk does that goes back to what it was.
fn lose(place: &Path) {
    let (data, older) = (place.join("data"), place.join("older"));
    copy(&data, &older);
    filled(&data, 3, 2);
    // Which commits were acknowledged.
    fs::copy(data.join("COMMITTED"), older.join("COMMITTED")).unwrap();
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&older, &data).unwrap();
}

/// The flag is what the store's own words ask for.
#[test]
fn a_folder_that_lost_commits_as_well_is_taken_back_once_that_is_accepted() {
    let cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    said(path, &TO_DATABASE);
    lose(path);
    cluster.sql("DROP SCHEMA khlong CASCADE");
    let (code, told) = refused(path, &TAKE_BACK);
    assert_eq!(code, 9, "{told}");
    assert!(told.contains("--accept-loss"), "{told}");
    let accepted = [&["--json"][..], &TAKE_BACK, &["--accept-loss"]].concat();
    let taken = object(path, &accepted);
    let after = verified(path, "data");
    let told = json!([{ "entry": 4, "number": taken["epoch"] }]);
    assert_eq!((&after["entries"], &after["epochs"]), (&json!(4), &told));
    assert_eq!(home_of(path), Home::Folder);
    Gateway::start_with(&path.join("gateway.toml")).kill();
    assert_eq!(verified(path, "data")["epochs"], told);
}

#[test]
fn what_is_no_folder_of_a_lost_database_is_refused() {
    let mut cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    refuses(path, 3, "data has its journal itself, up to entry 3");
    said(path, &TO_DATABASE);
    filled(&path.join("empty"), 0, 0);
    mark_copy(&mut Store::open(&path.join("empty"), &options()).unwrap()).unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (
            &[
                "journal",
                "take-back",
                "empty",
                "--config",
                "pg.toml",
                "--database-is-lost",
            ],
            3,
            "empty has no entry",
        ),
        // It is a decision.
        (&TAKE_BACK[..5], 2, "--database-is-lost"),
        (&TAKE_BACK[..3], 2, "--config"),
        (
            &[
                "journal",
                "take-back",
                "nowhere",
                "--config",
                "pg.toml",
                "--database-is-lost",
            ],
            3,
            "is not the folder of a gateway",
        ),
        (
            &[
                "journal",
                "take-back",
                "data",
                "--config",
                "gateway.toml",
                "--database-is-lost",
            ],
            3,
            "names no database",
        ),
    ];
    for (arguments, expected, words) in cases {
        let (code, told) = refused(path, arguments);
        assert_eq!(code, expected, "{told}");
        assert!(told.contains(words), "{told}");
    }
    let store = Store::open(&path.join("data"), &options()).unwrap();
    let (code, told) = refused(path, &TAKE_BACK);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("is in use by process"), "{told}");
    drop(store);
    cluster.kill();
    waits(path, 1);
    // A damaged folder is found before anything is written.
    copy(&path.join("data"), &path.join("sound"));
    damage_journal(&path.join("data"));
    let (code, told) = refused(path, &TAKE_BACK);
    assert_eq!(code, 9, "{told}");
    assert!(told.contains("entry 2 of the journal"), "{told}");
    assert_eq!(home_of(path), Home::Database);
    fs::remove_dir_all(path.join("data")).unwrap();
    fs::rename(path.join("sound"), path.join("data")).unwrap();
    assert_eq!(taken_back(path)["entries"], json!(4));
}
