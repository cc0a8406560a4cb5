//! `backup create | verify | restore`: the real binary, real QUIC, real folders.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use khlong_relay::backup::{self, BackupError, Restore};
use khlong_store::backup::{BackupError as FolderError, MANIFEST_FILE};
use khlong_store::engine::rocks::RocksOptions;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use serde_json::Value;
use support::client::Client;
use support::open;
use support::operator::{Home, Running, code, data, said};

/// A client that has opened timeline 1.
async fn writer(relay: &Running) -> (Client, support::Author) {
    let (timeline, admin, intro) = open(1);
    let mut client = connected(relay, &admin).await;
    let opened = client.append(vec![timeline.genesis, intro]).await;
    assert!(opened[0].is_kept(), "{opened:?}");
    (client, admin)
}

async fn connected(relay: &Running, author: &support::Author) -> Client {
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let mut client = Client::connect(&dialer, &relay.address()).await;
    client.prove(author).await;
    client
}

/// A stopped relay that holds something, and a backup of it.
fn backed_up() -> (Home, PathBuf) {
    let home = Home::init();
    let target = home.path("backup");
    data(&home.backup("create", &target));
    (home, target)
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

fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(folder, "", &mut found);
    let read = |(name, path): (String, PathBuf)| (name, std::fs::read(path).unwrap());
    found.into_iter().map(read).collect()
}

#[tokio::test]
async fn what_was_acknowledged_before_a_backup_under_traffic_is_in_the_restored_relay() {
    let home = Home::init();
    let relay = home.run();
    let (mut client, mut author) = writer(&relay).await;
    let mut acknowledged = Vec::new();
    for n in 0..20_u8 {
        let envelope = author.write(&[n; 2_000]);
        assert!(client.append(vec![envelope.clone()]).await[0].is_kept());
        acknowledged.push(envelope.id());
    }
    let mut backups = (0..20).map(|n| home.path(&format!("backup {n}")));
    // One that is made between two appends shows nothing: another try.
    let (target, made) = loop {
        let target = backups.next().expect("the relay does not go on serving");
        let mut create = home.command(&["--json", "backup", "create", "--admin", relay.admin()]);
        create.arg(&target).stderr(Stdio::piped());
        let mut created = tokio::task::spawn_blocking(move || create.output().unwrap());
        let mut meanwhile = 0;
        let created = loop {
            let envelope = author.write(b"meanwhile");
            tokio::select! {
                created = &mut created => break created.unwrap(),
                outcome = client.append(vec![envelope]) => assert!(outcome[0].is_kept()),
            }
            meanwhile += 1;
        };
        let made = data(&created);
        if meanwhile > 0 {
            break (target, made);
        }
        // Its append was broken off in the middle.
        client = connected(&relay, &author).await;
    };
    assert_eq!(made["includes_key"], false);
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o077, 0);
    assert!(!home.path("data/BACKUP").exists(), "nothing stays behind");
    drop((relay, client));

    let elsewhere = home.elsewhere();
    let restored = data(&elsewhere.backup("restore", &target));
    assert_eq!(restored["log"], made["log"]);
    assert_eq!(restored["seq"], made["seq"]);
    assert!(restored["log_epoch"].as_u64() > made["log_epoch"].as_u64());
    assert!(!elsewhere.path("data/RESTORING").exists());
    let checked = elsewhere.command(&["check", "--json"]).output().unwrap();
    assert_eq!(data(&checked)["log_epoch"], restored["log_epoch"]);

    let relay = elsewhere.run();
    let mut reader = connected(&relay, &author).await;
    reader.subscribe(author.timeline, Vec::new()).await;
    assert_eq!(reader.texts(acknowledged.len()).await[..20], acknowledged);
}

#[tokio::test]
async fn a_stranger_gets_no_checkpoint_of_a_running_relay() {
    let home = Home::init();
    let relay = home.run();
    let stranger = Home::init();
    // The stranger's own folder is in use, and it names the other relay's address.
    let _own = stranger.run();
    let mut create = stranger.command(&["backup", "create", "--admin", relay.admin()]);
    let target = stranger.path("backup");
    let refused = create.arg(&target).output().unwrap();
    assert_eq!(code(&refused), 4, "{}", said(&refused));
    assert!(said(&refused).contains("--admin"), "{}", said(&refused));
    assert!(!target.exists() && !stranger.path("backup.partial").exists());
    assert!(!home.path("data/BACKUP").exists());

    let mut create = stranger.command(&["backup", "create", "--admin", "127.0.0.1:9"]);
    let unreachable = create.arg(&target).output().unwrap();
    assert_eq!(code(&unreachable), 3, "{}", said(&unreachable));
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let (home, target) = backed_up();
    let before = bytes(&target);
    let again = home.backup("create", &target);
    assert_eq!(code(&again), 3, "{}", said(&again));
    assert_eq!(bytes(&target), before);

    let own = home.backup("restore", &target);
    assert_eq!(code(&own), 3, "{}", said(&own));
    assert!(said(&own).contains("is not empty"), "{}", said(&own));
    data(&home.command(&["check", "--json"]).output().unwrap());

    let other = Home::init();
    std::fs::remove_dir_all(other.path("data")).unwrap();
    let refused = other.backup("restore", &target);
    assert_eq!(code(&refused), 4, "{}", said(&refused));
    assert!(!other.path("data").exists(), "before anything is made");
    let mut restore = other.command(&["--json", "backup", "restore", "--other-key"]);
    data(&restore.arg(&target).output().unwrap());
    data(&other.command(&["check", "--json"]).output().unwrap());
}

#[test]
fn verify_changes_no_byte_and_every_kind_of_damage_is_named() {
    let (home, target) = backed_up();
    let whole = bytes(&target);
    let verified = data(&home.backup("verify", &target));
    assert_eq!(verified["files"].as_u64(), Some(whole.len() as u64 - 2));
    assert_eq!(bytes(&target), whole);

    // One of each kind: names without their numbers.
    let kind = |name: &String| name.replace(|letter: char| letter.is_ascii_digit(), "");
    let mut seen = BTreeSet::new();
    let kinds: Vec<_> = whole
        .iter()
        .filter(|(name, bytes)| !bytes.is_empty() && seen.insert(kind(name)))
        .collect();
    for wanted in [
        "MANIFEST.json",
        "MANIFEST.blake",
        "COMMITTED",
        "CURRENT",
        ".sst",
    ] {
        assert!(seen.iter().any(|kind| kind.ends_with(wanted)), "{seen:?}");
    }
    for (name, bytes) in kinds {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut rotten = bytes.clone();
            rotten[at] ^= 1;
            std::fs::write(target.join(name), rotten).unwrap();
            let refused = home.backup("verify", &target);
            assert_eq!(code(&refused), 9, "{name} at {at}: {}", said(&refused));
            assert!(said(&refused).contains(name), "{name}: {}", said(&refused));
            let listed: Value = serde_json::from_slice(&refused.stdout).unwrap();
            let mut damages = listed["damages"].as_array().unwrap().iter();
            assert!(damages.any(|damage| damage["path"] == **name), "{listed}");
        }
        let elsewhere = home.elsewhere();
        let restored = elsewhere.backup("restore", &target);
        assert_eq!(code(&restored), 9, "{}", said(&restored));
        assert!(!elsewhere.path("data/db").exists());

        std::fs::remove_file(target.join(name)).unwrap();
        let refused = home.backup("verify", &target);
        assert_eq!(code(&refused), 9);
        assert!(said(&refused).contains(name), "{name}: {}", said(&refused));
        std::fs::write(target.join(name), bytes).unwrap();
    }
    std::fs::write(target.join("store/db/999999.log"), b"x").unwrap();
    let refused = home.backup("verify", &target);
    assert_eq!(code(&refused), 9);
    assert!(said(&refused).contains("999999.log"), "{}", said(&refused));
}

#[test]
fn a_list_of_a_newer_version_is_not_guessed_at() {
    let (home, target) = backed_up();
    let newer = b"{\"schema_version\": 2, \"shape\": \"another\"}";
    std::fs::write(target.join("MANIFEST.json"), newer).unwrap();
    let sum = format!("{}  MANIFEST.json\n", blake3::hash(newer));
    std::fs::write(target.join("MANIFEST.blake3"), sum).unwrap();
    let refused = home.backup("verify", &target);
    assert_eq!(code(&refused), 8, "{}", said(&refused));
}

#[test]
fn killed_in_the_middle_it_leaves_nothing_that_looks_complete() {
    let home = Home::init();
    let target = home.path("backup");
    let partial = home.path("backup.partial");
    // It may be renamed at any moment.
    let count = || std::fs::read_dir(partial.join("store/db")).map_or(0, Iterator::count);
    let mut cut_off = 0;
    // A backup that is faster than we is no kill in the middle: another try.
    for files_before in (1..6).cycle().take(50) {
        if cut_off == 5 {
            break;
        }
        let mut create = home.command(&["backup", "create"]);
        let mut child = create.arg(&target).spawn().unwrap();
        while count() < files_before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if target.exists() {
            // It was faster than we.
            data(&home.backup("verify", &target));
            std::fs::remove_dir_all(&target).unwrap();
            continue;
        }
        cut_off += 1;
        let refused = home.backup("verify", &partial);
        assert_eq!(code(&refused), 9, "{}", said(&refused));
    }
    assert!(cut_off > 0, "it was never killed in the middle");
    // What the killed ones left is in nobody's way.
    data(&home.backup("create", &target));
    data(&home.backup("verify", &target));
    assert!(!partial.exists() && !home.path("data/BACKUP").exists());
}

#[test]
fn without_room_nothing_is_begun_and_nothing_stays() {
    let home = Home::init();
    let target = home.path("backup");
    let mut create = home.command(&["backup", "create"]);
    // On the relay's own disk a backup must leave what the relay keeps in reserve.
    create.env("KHLONG_STORE__RESERVE", "1000000TiB");
    let refused = create.arg(&target).output().unwrap();
    assert_eq!(code(&refused), 7, "{}", said(&refused));
    assert!(!target.exists() && !home.path("backup.partial").exists());
    assert!(!home.path("data/BACKUP").exists());
}

#[test]
fn a_backup_in_the_store_itself_is_refused_and_what_lies_there_stays() {
    let home = Home::init();
    data(&home.backup("create", &home.path("first")));
    let store = home.path("data");
    let own = store.join("BACKUP/of-the-operator");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "kept").unwrap();
    let refused = home.backup("create", &store.join("BACKUP/monday"));
    assert_eq!(code(&refused), 3);
    assert!(said(&refused).contains("elsewhere"), "{}", said(&refused));
    data(&home.backup("create", &home.path("second")));
    assert_eq!(std::fs::read_to_string(own).unwrap(), "kept");
}

#[test]
fn a_clock_before_the_backup_begins_no_epoch() {
    let (home, target) = backed_up();
    let restored = home.path("restored");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(target.join(MANIFEST_FILE)).unwrap()).unwrap();
    let what = Restore {
        backup: &target,
        folder: &restored,
        relay: manifest["relay"].as_str().unwrap().parse().unwrap(),
        other_key: false,
        sizes: RocksOptions::default(),
        epoch: 5,
    };
    let error = backup::restore(&what).unwrap_err();
    assert!(
        matches!(error, BackupError::Folder(FolderError::ClockBehind { .. })),
        "{error}"
    );
    assert!(!restored.join("RESTORING").exists());
}

#[tokio::test]
async fn rows_that_rotted_on_the_relays_disk_are_not_backed_up_as_if_they_were_whole() {
    let home = Home::init();
    let relay = home.run();
    let (mut client, mut author) = writer(&relay).await;
    for n in 0..50_u8 {
        let envelope = author.write(&[n; 2_000]);
        assert!(client.append(vec![envelope]).await[0].is_kept());
    }
    drop(relay);
    // Opens the store, which puts what the log holds into tables.
    data(&home.backup("create", &home.path("whole")));
    let mut found = BTreeMap::new();
    files(&home.path("data"), "", &mut found);
    let tables = found
        .values()
        .filter(|path| path.extension().is_some_and(|end| end == "sst"));
    let envelopes = tables
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(envelopes).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x01;
    std::fs::write(envelopes, bytes).unwrap();
    let target = home.path("rotten");
    let refused = home.backup("create", &target);
    assert_eq!(code(&refused), 9, "{}", said(&refused));
    assert!(!target.exists());
}

/// Every file and folder in it, with itself.
fn modes(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mode = |path: &Path| path.symlink_metadata().unwrap().permissions().mode() & 0o777;
    let mut found = BTreeMap::from([(folder.to_owned(), mode(folder))]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(modes(&path));
        } else {
            found.insert(path.clone(), mode(&path));
        }
    }
    found
}

#[test]
fn a_backup_and_what_is_made_of_it_are_their_owners_alone_whatever_the_umask_says() {
    let home = Home::init();
    let target = home.path("backup");
    let open_to_all = |arguments: &[&str], folder: &Path| {
        let command = home.command(arguments);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "umask 000; exec \"$@\"", "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        data(&shell.arg(folder).stdin(Stdio::null()).output().unwrap());
    };
    open_to_all(&["--json", "backup", "create"], &target);
    let store = home.path("data");
    std::fs::remove_dir_all(&store).unwrap();
    open_to_all(&["--json", "backup", "restore"], &target);
    let of_backup = modes(&target);
    assert!(of_backup.len() > 5, "{of_backup:?}");
    for (path, mode) in of_backup {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
    }
    // RocksDB leaves the modes of its own files to the umask: nobody gets past the folder.
    assert_eq!(modes(&store)[&store], 0o700);
}

#[test]
fn a_backup_is_not_written_where_somebody_else_waits_for_it() {
    let home = Home::init();
    let target = home.path("backup");
    let partial = home.path("backup.partial");
    let elsewhere = home.path("elsewhere");
    std::fs::create_dir_all(elsewhere.join("store")).unwrap();
    std::fs::write(elsewhere.join("store/precious"), "kept").unwrap();
    let is_refused = || {
        let refused = home.backup("create", &target);
        assert_eq!(code(&refused), 4, "{}", said(&refused));
        assert!(
            said(&refused).contains("not this user's alone"),
            "{}",
            said(&refused)
        );
        assert!(!target.exists());
    };
    std::os::unix::fs::symlink(&elsewhere, &partial).unwrap();
    is_refused();
    let kept = std::fs::read_to_string(elsewhere.join("store/precious")).unwrap();
    assert_eq!(kept, "kept");
    let count = std::fs::read_dir(&elsewhere).unwrap().count();
    assert_eq!(count, 1, "nothing was written through the link");

    std::fs::remove_file(&partial).unwrap();
    std::fs::create_dir(&partial).unwrap();
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o755)).unwrap();
    is_refused();
    // What a killed attempt of one's own left is taken over.
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o700)).unwrap();
    data(&home.backup("create", &target));
    assert!(!partial.exists());

    // Nor is a link in a backup followed: it is named as damage.
    let manifest = target.join("store/COMMITTED");
    std::fs::rename(&manifest, home.path("moved")).unwrap();
    std::os::unix::fs::symlink(home.path("moved"), &manifest).unwrap();
    let refused = home.backup("verify", &target);
    assert_eq!(code(&refused), 9, "{}", said(&refused));
    assert!(
        said(&refused).contains("it is no file"),
        "{}",
        said(&refused)
    );
}
