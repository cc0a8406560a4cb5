//! `doctor`: each broken set-up is named, alone, and nothing is changed by looking.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use khlong_node::folder::{KEY_FILE, STORE_FOLDER};
use khlong_store::batch::Batch;
use khlong_store::engine::rocks::{RocksEngine, RocksOptions};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::folder::{DATABASE_FOLDER, Folder, LOCK_FILE};
use khlong_store::key::Encoder;
use khlong_store::peek::Peek;
use khlong_store::table::Table;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde_json::Value;

use crate::node::{Node, comes, command_in, text};
use crate::relay::Relay;

const CHECKS: [&str; 10] = [
    "settings", "owner", "lock", "database", "disk", "relays", "udp", "key", "clock", "log",
];
const MARKET: &str = "ตลาดริมคลอง";

/// A node that has written to a relay and read from it.
pub(crate) fn well(relay: &Relay) -> Node {
    let node = relay.node("mali");
    node.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    node.json(&["send", MARKET, "สวัสดี", "--wait", "stored"]);
    node.json(&["sync"]);
    node
}

/// Exit code, and the checks by name.
pub(crate) fn examine(command: &mut Command) -> (i32, BTreeMap<String, Value>) {
    let output = command
        .args(["--json", "doctor"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema_version"], 2);
    assert_eq!(report["kind"], "doctor");
    let code = output.status.code().unwrap();
    assert_eq!(report["exit_code"], code);
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| text(&check["check"])).collect();
    assert_eq!(names, CHECKS);
    (
        code,
        names.into_iter().zip(checks.iter().cloned()).collect(),
    )
}

pub(crate) fn finds_only(command: &mut Command, check: &str, exit_code: i32, words: &[&str]) {
    finds(command, exit_code, &[(check, words)]);
}

/// These checks find something, which holds these words, and no other does; the folder is byte for
/// byte as it was.
pub(crate) fn finds(command: &mut Command, exit_code: i32, expected: &[(&str, &[&str])]) {
    let home = home_of(command);
    let before = seen_if_node(&home);
    let (code, checks) = examine(command);
    assert!(seen_if_node(&home) == before, "{checks:#?}");
    let found: BTreeSet<&str> = checks
        .iter()
        .filter(|(_, found)| found["state"] == "problem")
        .map(|(check, _)| check.as_str())
        .collect();
    let wanted: BTreeSet<&str> = expected.iter().map(|(check, _)| *check).collect();
    assert_eq!(found, wanted, "{checks:#?}");
    assert_eq!(code, exit_code, "{checks:#?}");
    for (check, words) in expected {
        let said = format!("{} {}", checks[*check]["says"], checks[*check]["remedy"]);
        for word in *words {
            assert!(said.contains(word), "no `{word}` in: {said}");
        }
    }
}

fn home_of(command: &Command) -> PathBuf {
    let mut set = command.get_envs();
    let home = set.find(|(name, _)| *name == "KHLONG_HOME").unwrap().1;
    home.unwrap().into()
}

/// Nothing of a folder that holds no node, such as `/usr`.
fn seen_if_node(home: &Path) -> BTreeMap<PathBuf, (u32, SystemTime, Vec<u8>)> {
    if home.join(KEY_FILE).exists() {
        seen(home)
    } else {
        BTreeMap::new()
    }
}

/// Every file and folder with its mode, time and bytes.
fn seen(folder: &Path) -> BTreeMap<PathBuf, (u32, SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.metadata().unwrap();
        let bytes = if metadata.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let mode = metadata.permissions().mode();
        found.insert(path.clone(), (mode, metadata.modified().unwrap(), bytes));
        if metadata.is_dir() {
            found.extend(seen(&path));
        }
    }
    found
}

#[test]
fn a_set_up_that_works_has_no_problem_and_stays_as_it_is() {
    let relay = Relay::start();
    let node = well(&relay);
    let before = seen(&node.home());
    let (code, checks) = examine(&mut node.command());
    assert_eq!(code, 0, "{checks:#?}");
    assert!(
        checks.values().all(|found| found["state"] == "ok"),
        "{checks:#?}"
    );
    let said = node.run(&["doctor"]);
    assert_eq!(said.stdout.lines().count(), CHECKS.len(), "{}", said.stdout);
    assert!(said.stdout.lines().all(|line| line.starts_with("ok ")));
    assert_eq!(seen(&node.home()), before);

    let _daemon = node.daemon();
    let (code, checks) = examine(&mut node.command());
    assert_eq!(code, 0, "{checks:#?}");
}

#[test]
fn a_folder_without_a_node_and_a_node_without_a_relay() {
    let bare = Node::bare();
    finds_only(&mut bare.command(), "owner", 3, &["khlong init"]);
    assert!(!bare.home().exists());
    let alone = Node::new("mali");
    let wanted = ["no relay is known", "khlong relay add"];
    finds_only(&mut alone.command(), "relays", 3, &wanted);
}

#[test]
fn a_relay_that_does_not_run_and_a_host_that_is_none() {
    let mut relay = Relay::start();
    let node = well(&relay);
    relay.kill();
    finds_only(&mut node.command(), "relays", 1, &["no relay runs"]);

    let lost = Node::new("ton");
    let (key, _) = relay.address.split_once('@').unwrap();
    lost.json(&["relay", "add", &format!("{key}@relay.invalid:4747")]);
    finds_only(&mut lost.command(), "relays", 1, &["relay.invalid"]);
}

#[test]
fn an_address_that_pins_another_key() {
    let (relay, other) = (Relay::start(), Relay::start());
    let (_, place) = relay.address.split_once('@').unwrap();
    let (key, _) = other.address.split_once('@').unwrap();
    let node = Node::new("mali");
    node.json(&["relay", "add", &format!("{key}@{place}")]);
    let wanted = ["changed hands", "khlong-relay check"];
    finds_only(&mut node.command(), "key", 4, &wanted);
}

#[test]
fn a_network_that_drops_udp_is_told_from_a_relay_that_does_not_run() {
    // Whatever comes is taken and nothing is said.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let relay = Relay::start();
    let (key, _) = relay.address.split_once('@').unwrap();
    let node = Node::new("mali");
    node.json(&["relay", "add", &format!("{key}@127.0.0.1:{port}")]);
    let wanted = ["firewall", "that machine is off", &port.to_string()];
    finds_only(&mut node.command(), "udp", 1, &wanted);
}

#[test]
fn a_folder_that_a_process_holds_which_answers_nothing() {
    let relay = Relay::start();
    let node = well(&relay);
    let held = Folder::lock(&node.home().join(STORE_FOLDER)).unwrap();
    let pid = std::process::id().to_string();
    let mut command = node.command();
    command.env("KHLONG_DAEMON_TIMEOUT", "300ms");
    finds_only(&mut command, "lock", 3, &[&pid, "end the process"]);
    // A command that ends, or a daemon that is just starting, is waited for.
    let looks = Looks::at(&node.home().join(STORE_FOLDER).join(LOCK_FILE));
    let ends = std::thread::spawn(move || {
        looks.wait_for(3);
        drop(held);
    });
    assert_eq!(examine(&mut node.command()).0, 0);
    ends.join().unwrap();
}

/// Who opens a file, as the system tells it.
struct Looks(fs::File);

impl Looks {
    fn at(file: &Path) -> Self {
        let looks = inotify::init(CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&looks, file, WatchFlags::OPEN).unwrap();
        Self(looks.into())
    }

    /// Until it was opened so often since, or more often: of those that nobody read, the system keeps one.
    fn wait_for(mut self, times: usize) {
        // Of a file each event is as long as one without a name.
        let mut events = vec![0; 16 * times];
        self.0.read_exact(&mut events).unwrap();
    }
}

#[test]
fn a_daemon_that_is_busy_is_well() {
    let relay = Relay::start();
    let node = well(&relay);
    let _daemon = node.daemon();
    let (is_done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                node.json(&["send", MARKET, "busy", "--wait", "none"]);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        let well = || {
            for _ in 0..8 {
                let before = sent.load(Ordering::Relaxed);
                let (code, checks) = examine(&mut node.command());
                let says = text(&checks["lock"]["says"]);
                assert!(says.ends_with("has the folder open and answers"), "{says}");
                assert_eq!(code, 0, "{checks:#?}");
                comes("it writes meanwhile", || {
                    sent.load(Ordering::Relaxed) > before
                });
            }
        };
        let found = std::panic::catch_unwind(AssertUnwindSafe(well));
        is_done.store(true, Ordering::Relaxed);
        found.unwrap();
    });
}

#[test]
fn a_folder_of_another_version() {
    let relay = Relay::start();
    let node = well(&relay);
    let write = |schema: u32| {
        let database = node.home().join(STORE_FOLDER).join(DATABASE_FOLDER);
        let mut engine = RocksEngine::open(&database, RocksOptions::default()).unwrap();
        let mut batch = Batch::over(&engine);
        let row = Encoder::new().u32(schema).finish();
        batch.put(Table::Meta, b"schema".to_vec(), row).unwrap();
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Synced).unwrap();
    };
    let schema = || {
        let peek = Peek::open(&node.home().join(STORE_FOLDER)).unwrap();
        peek.found().schema
    };
    write(1);
    let wanted = ["schema 1", "older version", "migrates"];
    finds_only(&mut node.command(), "database", 8, &wanted);
    assert_eq!(schema(), Some(1), "only a look: it is not migrated");
    write(99);
    let wanted = ["schema 99", "install the newer version"];
    finds_only(&mut node.command(), "database", 8, &wanted);
    assert_eq!(schema(), Some(99));
}

#[test]
fn a_database_that_is_damaged() {
    let relay = Relay::start();
    let node = well(&relay);
    let database = node.home().join(STORE_FOLDER).join(DATABASE_FOLDER);
    let current = database.join("CURRENT");
    for content in ["MANIFEST-999999\n", "MANIFEST", "", "\u{0}\u{1}\n"] {
        fs::write(&current, content).unwrap();
        // It takes no lock: a file that is gone may be the work of whoever writes there.
        let code = if content.ends_with("999999\n") { 1 } else { 9 };
        finds_only(&mut node.command(), "database", code, &["khlong restore"]);
        let said = node.run(&["status"]);
        assert_eq!(said.code, 9, "{content:?}: {}", said.stderr);
    }
    fs::remove_file(&current).unwrap();
    finds_only(&mut node.command(), "database", 9, &["khlong restore"]);
}

#[test]
fn keys_that_others_may_read_and_a_folder_of_somebody_else() {
    let relay = Relay::start();
    let node = well(&relay);
    let keys = node.home().join(KEY_FILE);
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    finds_only(&mut node.command(), "owner", 4, &["0644", "chmod"]);
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();

    match std::os::unix::fs::chown(node.home(), Some(12_345), None) {
        Ok(()) => finds_only(&mut node.command(), "owner", 4, &["12345", "chown"]),
        // Whoever is not root knows folders of root's.
        Err(_) => {
            let mut command = command_in(Path::new("/usr"), None);
            finds_only(&mut command, "owner", 4, &["belongs to user 0", "chown"]);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_relay_that_was_set_back() {
    let mut relay = Relay::start();
    let node = well(&relay);
    let backup = relay.backup();
    relay.restore(&backup);
    finds_only(&mut node.command(), "log", 1, &["khlong sync"]);
    node.json(&["sync"]);
    assert_eq!(examine(&mut node.command()).0, 0, "it heals");

    // Somebody copies an old folder over it: the same epoch, and fewer than were acknowledged.
    relay.kill();
    let kept = node.beside("kept");
    copy(&relay.data(), &kept);
    relay.restart();
    node.json(&["send", MARKET, "later", "--wait", "stored"]);
    node.json(&["sync"]);
    relay.kill();
    fs::remove_dir_all(relay.data()).unwrap();
    copy(&kept, &relay.data());
    relay.restart();
    finds_only(&mut node.command(), "log", 1, &["khlong sync"]);
}

/// Set to 1: leave this out where nothing can be mounted.
const SKIP: &str = "KHLONG_SKIP_MOUNT";
/// Set by the test for itself: this is the run inside a user namespace.
const INSIDE: &str = "KHLONG_TEST_INSIDE_NAMESPACE";

#[test]
fn a_disk_without_room() {
    let test = "doctor::a_disk_without_room";
    if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
        eprintln!("SKIPPED  {test}: {SKIP}=1");
        return;
    }
    let relay = Relay::start();
    let node = well(&relay);
    let disk = node.beside("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=128m", "tmpfs"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os(INSIDE).is_none(),
            "root of a user namespace may not mount either; {SKIP}=1 leaves this out"
        );
        let again = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(
            again.is_ok_and(|status| status.success()),
            "{SKIP}=1 leaves this out"
        );
        return;
    }
    let home = disk.join("home");
    copy(&node.home(), &home);
    let found = std::panic::catch_unwind(|| {
        finds_only(
            &mut command_in(&home, None),
            "disk",
            7,
            &["free some space"],
        );
    });
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    found.unwrap();
}
