//! What is not taken back: a database that has the journal, or may have it, is not lost.

use std::fs;
use std::path::Path;

use khlong_gateway::app::postgres::Home;
use khlong_store::engine::Durability;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;
use serde_json::json;

use crate::cluster::Cluster;
use crate::fixture::options;
use crate::moved::{TO_DATABASE, copy, home_of, place, verified};
use crate::moved_end::cut_off;
use crate::program::{refused, said};
use crate::taken_back::{TAKE_BACK, taken_back, waits};
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
    waits(path, 1);
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

#[test]
fn what_is_no_folder_of_a_lost_database_is_refused() {
    let mut cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    refuses(path, 3, "data has its journal itself, up to entry 3");
    said(path, &TO_DATABASE);
    let cases: [(&[&str], i32, &str); 4] = [
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
    damage(path);
    let (code, told) = refused(path, &TAKE_BACK);
    assert_eq!(code, 9, "{told}");
    assert!(told.contains("entry 2 of the journal"), "{told}");
    assert_eq!(home_of(path), Home::Database);
    fs::remove_dir_all(path.join("data")).unwrap();
    fs::rename(path.join("sound"), path.join("data")).unwrap();
    assert_eq!(taken_back(path)["entries"], json!(4));
}

fn damage(place: &Path) {
    let mut store = Store::open(&place.join("data"), &options()).unwrap();
    let key = 2_u64.to_be_bytes();
    let mut row = store.get(Table::Journal, &key).unwrap().unwrap();
    *row.last_mut().unwrap() ^= 1;
    let mut batch = store.batch();
    batch.put(Table::Journal, key.to_vec(), row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}
