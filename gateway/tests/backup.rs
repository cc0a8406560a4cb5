//! `khlong-gateway backup` on folders of gateways that do not run.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fixture::{JOURNAL, command, decide, domains, opening, options};
use khlong_gateway::domains::ledger::LEDGER_DOMAIN;
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::store::Store;
use program::{object, refused, run, said};
use serde_json::Value;
use tempfile::TempDir;

/// A place with the folder `books` in it.
fn books() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("books"), &options()).unwrap();
    let mut kernel = Kernel::open(store, domains(), Logic::CURRENT, JOURNAL).unwrap();
    for (n, body) in opening(49).iter().enumerate() {
        let command = command(&n.to_string(), 1_000, LEDGER_DOMAIN, body.encode());
        decide(&mut kernel, &command);
    }
    place
}

fn backed_up() -> (TempDir, Value) {
    let place = books();
    let made = object(
        place.path(),
        &["--json", "backup", "create", "books", "backup"],
    );
    (place, made)
}

fn files(folder: &Path, inside: &str, found: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{inside}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name, entry.path());
        }
    }
}

#[test]
fn a_restored_folder_goes_on_and_says_from_where() {
    let (place, made) = backed_up();
    let before = object(place.path(), &["--json", "verify", "books"]);
    assert_eq!(made["entries"], 2);
    for field in ["head", "state", "journal", "entries"] {
        assert_eq!(made[field], before[field], "{field}");
    }
    assert_eq!(before["epochs"], serde_json::json!([]));
    let restored = object(
        place.path(),
        &["--json", "backup", "restore", "backup", "restored"],
    );
    assert_eq!(restored["epoch_entry"], 3);
    let told = said(place.path(), &["restore", "backup", "other"]);
    assert!(
        told.contains("Before the first export of payouts"),
        "{told}"
    );
    let after = object(place.path(), &["--json", "verify", "restored"]);
    assert_eq!(
        (&after["journal"], &after["entries"]),
        (&made["journal"], &3.into())
    );
    assert_eq!(after["head"], restored["epoch_head"]);
    assert_eq!(after["epochs"][0]["entry"], 3);
    // On another machine the journal decides the same again, the restore included.
    let replayed = object(
        place.path(),
        &["--json", "replay", "restored", "--into", "elsewhere"],
    );
    assert_eq!(replayed["replayed_state"], after["state"]);
    let elsewhere = object(place.path(), &["--json", "verify", "elsewhere"]);
    assert_eq!(elsewhere["epochs"], after["epochs"]);
}

#[test]
fn a_flipped_byte_in_any_file_is_named() {
    let (place, _) = backed_up();
    let backup = place.path().join("backup");
    let mut found = BTreeMap::new();
    files(&backup, "", &mut found);
    let mut kinds = BTreeSet::new();
    for (name, path) in &found {
        let bytes = std::fs::read(path).unwrap();
        if bytes.is_empty() {
            continue;
        }
        kinds.insert(name.replace(|letter: char| letter.is_ascii_digit(), ""));
        let mut rotten = bytes.clone();
        rotten[bytes.len() / 2] ^= 1;
        std::fs::write(path, rotten).unwrap();
        let (code, told) = refused(place.path(), &["backup", "verify", "backup"]);
        assert_eq!(code, 9, "{name}: {told}");
        assert!(told.contains(name.as_str()), "{name}: {told}");
        std::fs::write(path, bytes).unwrap();
    }
    assert!(kinds.len() >= 6, "{kinds:?}");
    // In JSON too.
    std::fs::remove_file(backup.join("store/COMMITTED")).unwrap();
    let told = run(place.path(), &["--json", "backup", "verify", "backup"]);
    assert_eq!(told.status.code(), Some(9));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["damages"][0]["path"], "store/COMMITTED");
}

/// Right checksums over a list that says something else than the store.
#[test]
fn a_list_that_was_changed_with_its_checksum_is_found_out_by_the_state() {
    let (place, made) = backed_up();
    let backup = place.path().join("backup");
    let list = backup.join("MANIFEST.json");
    let text = std::fs::read_to_string(&list).unwrap();
    let state = made["state"].as_str().unwrap();
    let other = text.replace(state, &"0".repeat(64));
    assert_ne!(text, other);
    std::fs::write(&list, &other).unwrap();
    let sum = format!(
        "{}  MANIFEST.json\n",
        blake3::hash(other.as_bytes()).to_hex()
    );
    std::fs::write(backup.join("MANIFEST.blake3"), sum).unwrap();
    let (code, told) = refused(place.path(), &["backup", "verify", "backup"]);
    assert_eq!(code, 9, "{told}");
    assert!(told.contains(state), "{told}");
    for restore in [&["backup", "restore"][..], &["restore"]] {
        let (code, _) = refused(place.path(), &[restore, &["backup", "restored"]].concat());
        assert_eq!(code, 9);
    }
    assert!(!place.path().join("restored").exists());
}

#[test]
fn nothing_that_is_there_is_overwritten_or_mixed_with() {
    let (place, _) = backed_up();
    let (code, told) = refused(place.path(), &["backup", "create", "books", "backup"]);
    assert_eq!(code, 3, "{told}");
    let (code, told) = refused(place.path(), &["backup", "create", "books", "books/inside"]);
    assert_eq!(code, 3, "{told}");
    let (code, told) = refused(place.path(), &["backup", "restore", "backup", "books"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("is not empty"), "{told}");
    let other = place.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("letter"), "kept").unwrap();
    let (code, told) = refused(place.path(), &["backup", "restore", "backup", "other"]);
    assert_eq!(code, 3, "{told}");
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
    let (code, told) = refused(place.path(), &["backup", "create", "nowhere", "new"]);
    assert_eq!(code, 3, "{told}");
    object(place.path(), &["--json", "verify", "books"]);
}

/// On the gateway's own disk a backup must leave what the gateway keeps free.
#[test]
fn without_room_nothing_is_begun_and_nothing_stays() {
    let place = books();
    let create = [
        "backup",
        "create",
        "books",
        "backup",
        "--reserve",
        "4096TiB",
    ];
    let (code, told) = refused(place.path(), &create);
    assert_eq!(code, 7, "{told}");
    for left in ["backup", "backup.partial", "books/BACKUP"] {
        assert!(!place.path().join(left).exists(), "{left}");
    }
}

#[test]
fn killed_in_the_middle_it_is_not_taken_for_a_whole_one() {
    let place = books();
    let (target, partial) = (
        place.path().join("backup"),
        place.path().join("backup.partial"),
    );
    let count = || std::fs::read_dir(partial.join("store/db")).map_or(0, Iterator::count);
    let mut cut_off = 0;
    // A backup that is faster than we is no kill in the middle: another try.
    for files_before in (1..6).cycle().take(50) {
        if cut_off == 4 {
            break;
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
            .current_dir(place.path())
            .args(["backup", "create", "books", "backup"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while count() < files_before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if target.exists() {
            object(place.path(), &["--json", "backup", "verify", "backup"]);
            std::fs::remove_dir_all(&target).unwrap();
            continue;
        }
        cut_off += 1;
        let (code, told) = refused(place.path(), &["backup", "verify", "backup.partial"]);
        assert_eq!(code, 9, "{told}");
        let (code, _) = refused(
            place.path(),
            &["backup", "restore", "backup.partial", "new"],
        );
        assert_eq!(code, 9);
        assert!(!place.path().join("new").exists());
    }
    assert!(cut_off > 0, "it was never killed in the middle");
    // What the killed ones left is in nobody's way.
    object(
        place.path(),
        &["--json", "backup", "create", "books", "backup"],
    );
    object(place.path(), &["--json", "backup", "verify", "backup"]);
    assert!(!partial.exists() && !place.path().join("books/BACKUP").exists());
}

/// What a killed restore leaves is no gateway's folder, and in no way of the next restore.
#[test]
fn a_restore_that_is_killed_leaves_no_gateway_and_is_made_again() {
    let (place, made) = backed_up();
    let config = "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\nfolder = \"restored\"\nreserve = \"1MiB\"\n";
    std::fs::write(place.path().join("gateway.toml"), config).unwrap();
    let restored = place.path().join("restored");
    let copied = restored.join("RESTORING/db");
    let count = || std::fs::read_dir(&copied).map_or(0, Iterator::count);
    let restore = ["--json", "backup", "restore", "backup", "restored"];
    let mut cut_off = 0;
    // From the first file on to the last, and a while after it: it is opened there, and an epoch begins.
    for (files_before, spins) in (1..8).cycle().zip((0..5).cycle()).take(60) {
        if cut_off == 6 {
            break;
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
            .current_dir(place.path())
            .args(restore)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while count() < files_before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        (0..spins * 1_000_000).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        child.wait().unwrap();
        if restored.join("db").exists() {
            // It was faster than we.
            object(place.path(), &["--json", "verify", "restored"]);
            std::fs::remove_dir_all(&restored).unwrap();
            continue;
        }
        cut_off += 1;
        for arguments in [
            &["verify", "restored"][..],
            &["close", "restored"],
            &["backup", "create", "restored", "another"],
            &["run", "--config", "gateway.toml"],
        ] {
            let done = run(place.path(), arguments);
            let told = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(3), "{arguments:?}: {told}");
            let words = "is not the folder of a gateway";
            assert!(told.contains(words), "{arguments:?}: {told}");
        }
        // Every other time the next one is killed too, on what this one left.
        if cut_off % 2 == 0 {
            let again = object(place.path(), &restore);
            assert_eq!(again["epoch_entry"], 3);
            let verified = object(place.path(), &["--json", "verify", "restored"]);
            assert_eq!(verified["journal"], made["journal"]);
            assert_eq!(verified["head"], again["epoch_head"]);
            assert!(!restored.join("RESTORING").exists());
            std::fs::remove_dir_all(&restored).unwrap();
        }
    }
    assert!(cut_off > 1, "it was killed in the middle {cut_off} times");
}

/// What root leaves in a gateway's folder the gateway cannot open.
#[cfg(unix)]
#[test]
fn root_backs_up_no_folder_of_another_user() {
    let place = books();
    let folder = place.path().join("books");
    let listed = || {
        let mut found = BTreeMap::new();
        files(&folder, "", &mut found);
        found
    };
    let before = listed();
    if let Err(error) = std::os::unix::fs::chown(&folder, Some(12_345), None) {
        eprintln!(
            "SKIPPED  root_backs_up_no_folder_of_another_user: only root can make one ({error})"
        );
        return;
    }
    let (code, told) = refused(place.path(), &["backup", "create", "books", "backup"]);
    assert!(
        code == 4 && told.contains("sudo -u '#12345'"),
        "{code}: {told}"
    );
    assert_eq!(listed(), before);
    assert!(!place.path().join("backup.partial").exists());
    // What only reads goes on.
    said(place.path(), &["verify", "books"]);
}
