//! What no journal moves into, and what does not move.

use std::path::{Path, PathBuf};

use khlong_gateway::app::postgres::Home;
use khlong_store::journal::JournalSeq;
use khlong_store::store::Store;

use crate::cluster::Cluster;
use crate::fixture::{decide, options};
use crate::moved::{
    ENTRIES, TO_DATABASE, beside, copy, count, filled, half_made, home_of, killed_behind, place,
    run, spawn, sweep, version,
};
use crate::program::{refused, said};

fn refuses(cluster: &Cluster, path: &Path, standing: &str, code: i32, words: &str) {
    let before = count(cluster);
    let (found, told) = refused(path, &TO_DATABASE);
    assert_eq!(found, code, "{told}");
    assert!(told.contains(words), "{told}");
    let found = (version(cluster), count(cluster), home_of(path));
    assert_eq!(found, (standing.to_owned(), before, Home::Folder));
}

#[test]
fn a_database_that_has_another_journal_is_refused_and_left_alone() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    // The same id, and other entries under the same numbers.
    let mut others = beside(&cluster);
    for n in 0..3 {
        decide(&mut others, &sweep(&format!("other {n}")));
    }
    let words = "a journal with 3 entries, which no move of the 5";
    refuses(&cluster, path, "1", 9, words);
    cluster.sql("UPDATE khlong.journal_id SET id = decode(repeat('01', 16), 'hex')");
    refuses(&cluster, path, "1", 9, words);
    // Also as a move of another one would have left it.
    cluster.sql("DROP SCHEMA khlong CASCADE");
    half_made(&cluster);
    filled(&path.join("other"), 9_000, 3);
    let other = ["journal", "to-database", "other", "--config", "pg.toml"];
    said(path, &other);
    cluster.sql("UPDATE khlong.journal_id SET version = -2");
    refuses(&cluster, path, "-2", 9, words);
}

/// What a gateway served is not filled, be it a part of the same journal.
#[test]
fn a_database_that_serves_is_started_with_or_left_alone() {
    let cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    copy(&path.join("data"), &path.join("older"));
    filled(&path.join("data"), 3, 2);
    copy(&path.join("data"), &path.join("same"));
    said(path, &TO_DATABASE);
    for folder in ["older", "same"] {
        std::fs::remove_dir_all(path.join("data")).unwrap();
        std::fs::rename(path.join(folder), path.join("data")).unwrap();
        let words = "has this journal already, up to entry 5";
        refuses(&cluster, path, "1", 3, words);
    }
    // A move that was cut off had more than this folder.
    cluster.sql("UPDATE khlong.journal_id SET version = -2");
    std::fs::remove_dir_all(path.join("data")).unwrap();
    filled(&path.join("data"), 0, 1);
    refuses(&cluster, path, "-2", 9, "which no move of the 1");
    cluster.sql("UPDATE khlong.journal_id SET version = 1");
    cluster.sql("DELETE FROM khlong.journal");
    refuses(&cluster, path, "1", 9, "a journal with 0 entries");
}

#[test]
fn an_older_copy_of_a_folder_does_not_end_its_move() {
    let cluster = Cluster::start();
    let place = place(&cluster, 3);
    let path = place.path();
    copy(&path.join("data"), &path.join("older"));
    filled(&path.join("data"), 3, 2);
    said(path, &TO_DATABASE);
    cluster.sql("UPDATE khlong.journal_id SET version = -2");
    std::fs::remove_dir_all(path.join("data")).unwrap();
    std::fs::rename(path.join("older"), path.join("data")).unwrap();
    refuses(&cluster, path, "-2", 3, "it is an older copy");
}

/// What was copied before counts only if it is right.
#[test]
fn a_damaged_part_is_named_and_never_served() {
    let cluster = Cluster::start();
    let place = place(&cluster, ENTRIES);
    let path = place.path();
    half_made(&cluster);
    killed_behind(&cluster, spawn(path, &TO_DATABASE), 0);
    cluster.sql("DROP TRIGGER pause ON khlong.journal");
    cluster.sql("UPDATE khlong.journal SET outcome = outcome || '\\x00' WHERE seq = 7");
    let (code, words) = refused(path, &TO_DATABASE);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("entry 7 of the journal"), "{words}");
    let found = (version(&cluster), home_of(path));
    assert_eq!(found, ("-2".to_owned(), Home::Folder));
    assert_eq!(run(path, "pg.toml").0, 3);
    // It goes on where nothing is damaged.
    cluster.sql("DROP SCHEMA khlong CASCADE");
    said(path, &TO_DATABASE);
    assert_eq!(cluster.journal().verify().unwrap().seq, JournalSeq(ENTRIES));
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
    let made = cluster.sql("SELECT to_regclass('khlong.journal') IS NULL");
    assert_eq!(made, "t");
}
