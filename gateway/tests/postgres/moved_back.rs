//! The way back of a journal, out of its database into a folder, and what a folder does without.

use std::time::Duration;

use khlong_gateway::app::postgres::Home;
use khlong_store::store::Store;
use serde_json::json;

use crate::cluster::Cluster;
use crate::fixture::{decide, options};
use crate::moved::{TO_DATABASE, TO_FOLDER, beside, count, home_of, place, run, sweep, verified};
use crate::program::{object, refused, said};
use crate::served::Gateway;
use crate::server::set_up;

/// A gateway that appends while the journal is taken from it: what it acknowledged is there.
#[test]
fn nothing_that_was_acknowledged_is_left_in_the_database() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    let folder = path.to_owned();
    let mut served = beside(&cluster);
    let mover = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        object(&folder, &[&["--json"][..], &TO_FOLDER].concat())
    });
    let (mut acknowledged, mut n) = (served.head(), 0_u64);
    let stopped = loop {
        n += 1;
        served.apply(&sweep(&format!("served {n}"))).unwrap();
        match served.commit() {
            Ok(_) => {
                served.release();
                acknowledged = served.head();
            }
            Err(error) => break error,
        }
    };
    let moved = mover.join().unwrap();
    assert_eq!(stopped.exit_code(), 3, "{stopped}");
    assert_eq!(moved["entries"], json!(acknowledged.seq.0));
    let hash: String = acknowledged
        .hash
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    assert_eq!(moved["head"], json!(hash));
    assert_eq!(count(&cluster), acknowledged.seq.0);
    assert_eq!(verified(path, "data")["state"], moved["state"]);
}

/// Killed between the database's giving away and the folder's taking.
#[test]
fn a_move_back_that_is_cut_off_goes_on_in_the_same_folder_only() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    said(path, &["init", "second", "--config", "pg.toml"]);
    let store = Store::open(&path.join("data"), &options()).unwrap();
    let log = store.identity().log;
    let copy = khlong_store::journal::head(&store).unwrap().unwrap();
    drop(store);
    assert_eq!(cluster.journal().move_away(&copy, log).unwrap(), Some(log));
    // Who comes second hears whose it is, and changes nothing.
    let other = khlong_crdt::id::LogId::from_bytes([3; 16]);
    assert_eq!(
        cluster.journal().move_away(&copy, other).unwrap(),
        Some(log)
    );
    let second = ["journal", "to-folder", "second", "--config", "pg.toml"];
    let (code, words) = refused(path, &second);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("another folder"), "{words}");
    said(path, &TO_FOLDER);
    assert_eq!(home_of(path), Home::Folder);
    let (code, words) = refused(path, &TO_FOLDER);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("lies in that folder already"), "{words}");
}

/// Only who says so goes on without the database, and the journal says it for ever.
#[test]
fn a_copy_goes_on_alone_only_when_it_is_told_to_and_says_so() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    let (code, words) = refused(path, &["journal", "to-folder", "data"]);
    assert_eq!(code, 2, "{words}");
    assert_eq!(run(path, "gateway.toml").0, 3);
    let moved = object(
        path,
        &[
            "--json",
            "journal",
            "to-folder",
            "data",
            "--abandon-database",
        ],
    );
    assert_eq!(
        (&moved["entries"], &moved["copied"]),
        (&json!(6), &json!(0))
    );
    let after = verified(path, "data");
    assert_eq!(after["epochs"][0]["entry"], json!(6));
    assert_eq!(after["head"], moved["head"]);
    let gateway = Gateway::start(path);
    set_up(gateway.address, 2);
    gateway.kill();
    assert_eq!(verified(path, "data")["entries"], json!(8));
    // Both histories do not meet again.
    let mut there = beside(&cluster);
    decide(&mut there, &sweep("there"));
    let (code, words) = refused(path, &TO_DATABASE);
    assert_eq!(code, 9, "{words}");
}

/// What the folder's log lost while the journal lay elsewhere is no loss of the journal.
#[test]
fn a_loss_of_the_copy_is_none_of_the_journal() {
    let cluster = Cluster::start();
    let place = place(&cluster, 5);
    let path = place.path();
    said(path, &TO_DATABASE);
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    store.begin_epoch(2).unwrap();
    drop(store);
    said(path, &TO_FOLDER);
    Gateway::start(path).kill();
    assert_eq!(verified(path, "data")["epochs"], json!([]));
    // One after that is.
    let mut store = Store::open(&path.join("data"), &options()).unwrap();
    store.begin_epoch(3).unwrap();
    drop(store);
    Gateway::start(path).kill();
    let epochs = &verified(path, "data")["epochs"];
    assert_eq!(epochs, &json!([{ "entry": 6, "number": 3 }]));
}
