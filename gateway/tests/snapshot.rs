//! `khlong-gateway replay --from-snapshot`: a replay that begins behind a backup comes to the same,
//! and trusts no backup against the journal.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use fixture::{JOURNAL, THB, command, decide, domains, options, pay};
use khlong_gateway::domains::ledger::{Account, Asset, LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::engine::Durability;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;
use program::{object, refused, run, said};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Transfers in the journal when a backup is made, and at the end.
const STEPS: [u64; 3] = [40, 1_100, 1_300];

fn open(path: &Path) -> Kernel {
    let store = Store::open(path, &options()).unwrap();
    Kernel::open(store, domains(), Logic::CURRENT, JOURNAL).unwrap()
}

fn transfers(folder: &Path, numbers: std::ops::Range<u64>) {
    let mut kernel = open(folder);
    for n in numbers {
        let body = LedgerCommand::CreateTransfers(vec![pay(u128::from(n) + 1, 1, 2, 1)]);
        let command = command(&format!("pay {n}"), 1_000, LEDGER_DOMAIN, body.encode());
        if kernel.apply(&command).is_err() {
            kernel.commit().unwrap();
            kernel.release();
            kernel.apply(&command).unwrap();
        }
    }
    kernel.commit().unwrap();
}

/// The folder `books`, and backups of it in `backups`: of its beginning, its middle and its end.
fn backed_up() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let books = place.path().join("books");
    fs::create_dir(place.path().join("backups")).unwrap();
    let mut kernel = open(&books);
    let baht = Asset {
        ledger: THB,
        scale: 2,
        symbol: *b"THB\0\0\0\0\0",
    };
    let account = |id| Account {
        id,
        ledger: THB,
        code: 1,
        ..Account::default()
    };
    for (key, body) in [
        ("asset", LedgerCommand::CreateAssets(vec![baht])),
        (
            "accounts",
            LedgerCommand::CreateAccounts([1, 2].map(account).to_vec()),
        ),
    ] {
        decide(
            &mut kernel,
            &command(key, 1_000, LEDGER_DOMAIN, body.encode()),
        );
    }
    drop(kernel);
    let mut from = 0;
    for (step, name) in STEPS.iter().zip(["a", "b", "c"]) {
        transfers(&books, from..*step);
        from = *step;
        said(
            place.path(),
            &["backup", "create", "books", &format!("backups/{name}")],
        );
    }
    transfers(&books, from..from + 50);
    place
}

fn replay(place: &TempDir, from: &str, into: &str) -> Value {
    let arguments = [
        "--json",
        "replay",
        "books",
        "--into",
        into,
        "--from-snapshot",
        from,
    ];
    object(place.path(), &arguments)
}

/// A file of the backup that its list names.
fn a_file(place: &TempDir, backup: &str) -> PathBuf {
    let folder = place.path().join("backups").join(backup).join("store/db");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort_by_key(|path| fs::metadata(path).unwrap().len());
    files.pop().unwrap()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_replay_from_the_newest_backup_comes_to_the_same_state() {
    let place = backed_up();
    let whole = object(
        place.path(),
        &["--json", "replay", "books", "--into", "whole"],
    );
    let told = replay(&place, "backups", "rebuilt");
    assert_eq!(told["snapshot_entry"], json!(STEPS[2] + 2));
    assert_eq!(told["from_snapshot"], json!("backups/c"));
    assert_eq!(told["passed_over"], json!([]));
    for field in ["journal", "entries", "head", "state", "replayed_state"] {
        assert_eq!(told[field], whole[field], "{field}");
    }
    // One that is named itself, and the plain words.
    let words = said(
        place.path(),
        &[
            "replay",
            "books",
            "--into",
            "from-b",
            "--from-snapshot",
            "backups/b",
        ],
    );
    let from = format!("snapshot_entry: {}", STEPS[1] + 2);
    assert!(words.lines().any(|line| line == from), "{words}");
    // What was made is a gateway's folder like the other, and goes on like it.
    let names = ["whole", "rebuilt", "from-b"];
    for name in names {
        transfers(&place.path().join(name), 5_000..5_003);
    }
    let verified = names.map(|name| object(place.path(), &["--json", "verify", name]));
    assert_eq!(verified[0]["epochs"], json!([]));
    assert!(verified.iter().all(|it| *it == verified[0]), "{verified:?}");
}

#[test]
fn a_damaged_backup_is_refused_or_passed_over() {
    let place = backed_up();
    flip(&a_file(&place, "c"));
    let told = replay(&place, "backups", "rebuilt");
    assert_eq!(told["snapshot_entry"], json!(STEPS[1] + 2));
    assert_eq!(told["passed_over"][0]["path"], json!("backups/c"));
    assert_eq!(told["state"], told["replayed_state"]);
    let refuse = |from: &str, words: &str| {
        let arguments = ["replay", "books", "--into", "no", "--from-snapshot", from];
        let (code, said) = refused(place.path(), &arguments);
        assert_eq!(code, 9, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!place.path().join("no").exists());
        assert!(!place.path().join("no.unfinished").exists());
    };
    refuse("backups/c", "is damaged");
    flip(&place.path().join("backups/b/MANIFEST.json"));
    fs::remove_file(a_file(&place, "a")).unwrap();
    refuse("backups/b", "is damaged");
    refuse("backups/a", "is damaged");
    refuse("backups", "passed over backups/a");
    fs::create_dir(place.path().join("nothing")).unwrap();
    refuse("nothing", "there is no backup in it");
}

/// Another journal's, one that goes further, and one of another history.
#[test]
fn a_backup_that_is_not_of_this_journal_is_not_begun_from() {
    let place = backed_up();
    let path = place.path();
    said(path, &["backup", "restore", "backups/b", "fork"]);
    said(path, &["backup", "create", "fork", "forked"]);
    said(path, &["init", "other"]);
    said(path, &["backup", "create", "other", "others"]);
    said(path, &["backup", "restore", "backups/a", "older"]);
    for (folder, from) in [
        ("books", "forked"),
        ("books", "others"),
        ("older", "backups/c"),
    ] {
        let arguments = ["replay", folder, "--into", "no", "--from-snapshot", from];
        let (code, words) = refused(path, &arguments);
        assert_eq!(code, 9, "{words}");
        assert!(words.contains("is not in this journal"), "{words}");
        assert!(!path.join("no").exists());
    }
    // Of the same folder of backups the newest one that is.
    let told = object(
        path,
        &[
            "--json",
            "replay",
            "older",
            "--into",
            "again",
            "--from-snapshot",
            "backups",
        ],
    );
    assert_eq!(told["snapshot_entry"], json!(STEPS[0] + 2));
    assert_eq!(told["passed_over"].as_array().unwrap().len(), 2);
}

/// A backup that is whole and says something else than the journal: money from nowhere.
#[test]
fn a_backup_whose_views_are_wrong_is_found_out() {
    let place = backed_up();
    let path = place.path();
    // What account 2 has, one bit more, before it was backed up.
    said(path, &["replay", "books", "--into", "wrong"]);
    let mut store = Store::open(&path.join("wrong"), &options()).unwrap();
    let head = STEPS[2] + 52;
    let key = [&2_u128.to_be_bytes()[..], &head.to_be_bytes()].concat();
    let mut row = store.get(Table::LedgerBalance, &key).unwrap().unwrap();
    row[71] ^= 0x10;
    let mut batch = store.batch();
    batch.put(Table::LedgerBalance, key, row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    drop(store);
    said(path, &["backup", "create", "wrong", "lies"]);
    let arguments = [
        "--json",
        "replay",
        "books",
        "--into",
        "to",
        "--from-snapshot",
        "lies",
    ];
    let done = run(path, &arguments);
    assert_eq!(done.status.code(), Some(9));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_ne!(told["state"], told["replayed_state"]);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(words.contains("without --from-snapshot"), "{words}");
    // Nothing to start a gateway on.
    assert!(!path.join("to").exists() && !path.join("to.unfinished").exists());
    // Nor where the folder has no views with which to compare.
    let mut store = Store::open(&path.join("books"), &options()).unwrap();
    let applied = b"applied".to_vec();
    let row = store.get(Table::Meta, &applied).unwrap().unwrap();
    let write = |store: &mut Store, row: Vec<u8>| {
        let mut batch = store.batch();
        batch.put(Table::Meta, applied.clone(), row).unwrap();
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
    };
    write(&mut store, row[..row.len() - 1].to_vec());
    drop(store);
    let done = run(path, &arguments);
    assert_eq!(done.status.code(), Some(9));
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(
        words.contains("cannot be read, so nothing tells"),
        "{words}"
    );
    assert!(!path.join("to").exists());
    let mut store = Store::open(&path.join("books"), &options()).unwrap();
    write(&mut store, row);
    drop(store);
    // The journal alone says which of both it is.
    said(path, &["replay", "books", "--into", "right"]);
}

#[test]
fn nothing_is_made_in_a_backup() {
    let place = backed_up();
    // One that is named, and one beside the one that is taken.
    for from in ["backups/a", "backups"] {
        let into = "backups/a/no";
        let arguments = ["replay", "books", "--into", into, "--from-snapshot", from];
        let (code, words) = refused(place.path(), &arguments);
        assert_eq!(code, 3, "{words}");
        said(place.path(), &["backup", "verify", "backups/a"]);
    }
}

/// The newest might be among those that are not looked at.
#[test]
fn a_folder_with_too_many_names_is_refused() {
    let place = backed_up();
    let many = place.path().join("many");
    fs::create_dir(&many).unwrap();
    for name in 0..=4_096 {
        fs::write(many.join(name.to_string()), "").unwrap();
    }
    let arguments = ["replay", "books", "--into", "no", "--from-snapshot", "many"];
    let (code, words) = refused(place.path(), &arguments);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("more than 4096 names"), "{words}");
}
