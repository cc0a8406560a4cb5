//! `doctor` where more than one thing is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::RelayKey;
use khlong_node::folder::{KEY_FILE, STORE_FOLDER};
use khlong_store::folder::DATABASE_FOLDER;

use crate::doctor::{finds, finds_only, well};
use crate::node::Node;
use crate::relay::Relay;

/// Each is told, and the exit code is that of the first: it may be the cause of the others.
#[test]
fn several_things_that_are_wrong_at_once() {
    let (mut relay, other) = (Relay::start(), Relay::start());
    let node = well(&relay);
    // A relay that does not run, and one that has another key.
    relay.kill();
    let (_, port) = other.address.rsplit_once(':').unwrap();
    let nobody = SigningKey::from_bytes(&[6; 32]).verifying_key();
    let nobody = RelayKey::from_bytes(nobody.to_bytes());
    let moved = RelayAddress::new(nobody, "127.0.0.1", port.parse().unwrap()).unwrap();
    let moved = moved.to_string();
    let stranger = Node::new("ton");
    stranger.json(&["relay", "add", &relay.address]);
    stranger.json(&["relay", "add", &moved]);
    let dead = ("relays", &["no relay runs", relay.address.as_str()][..]);
    let foreign = ("key", &["changed hands", moved.as_str()][..]);
    finds(&mut stranger.command(), 1, &[dead, foreign]);

    // Keys that others may read, and a relay that does not run.
    let keys = node.home().join(KEY_FILE);
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let open = ("owner", &["0644", "chmod"][..]);
    finds(&mut node.command(), 4, &[open, dead]);

    // The same, a variable that nobody reads, and a database that is damaged, of which the relays
    // cannot be read; files from the future tell of the clock all the same.
    let database = node.home().join(STORE_FOLDER).join(DATABASE_FOLDER);
    fs::write(database.join("CURRENT"), "MANIFEST").unwrap();
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    fs::File::open(&keys)
        .unwrap()
        .set_modified(tomorrow)
        .unwrap();
    let mut command = node.command();
    command.env("KHLONG_PASPHRASE_FILE", "/secret");
    command.env("KHLONG_HOUSE", "/home");
    command.env("KHLONG_PASSPHRASE_FILE", node.beside("nowhere"));
    let meant = "did you mean KHLONG_PASSPHRASE_FILE";
    let slips = [
        "KHLONG_PASPHRASE_FILE",
        meant,
        "unset KHLONG_HOUSE",
        "nowhere",
    ];
    let slip = ("settings", &slips[..]);
    let damaged = ("database", &["khlong restore"][..]);
    let clock = ("clock", &["was written", KEY_FILE][..]);
    finds(&mut command, 3, &[slip, open, damaged, clock]);

    let said = node.run(&["doctor"]);
    assert_eq!(said.code, 4, "{}", said.stdout);
    let told = said
        .stdout
        .lines()
        .filter(|line| line.starts_with("problem "));
    assert_eq!(told.count(), 3, "{}", said.stdout);
}

/// Also where it is one check that finds all of it: each relay is named, and a remedy once.
#[test]
fn several_relays_that_do_not_run_and_several_that_were_set_back() {
    let (mut first, mut second) = (Relay::start(), Relay::start());
    let node = well(&first);
    node.json(&["relay", "add", &second.address]);
    first.kill();
    second.kill();
    let both = [first.address.as_str(), second.address.as_str()];
    finds_only(&mut node.command(), "relays", 1, &both);
    let said = node.run(&["doctor"]);
    let remedy = "ask its operator";
    assert_eq!(said.stdout.matches(remedy).count(), 1, "{}", said.stdout);

    // Both of these run, and hold less than they held.
    let (mut first, mut second) = (Relay::start(), Relay::start());
    let node = well(&first);
    node.json(&["relay", "add", &second.address]);
    let title = "at the other one";
    let new = ["timeline", "new", title, "--relay", &second.address];
    node.json(&[&new[..], &["--wait", "stored"]].concat());
    node.json(&["sync"]);
    for relay in [&mut first, &mut second] {
        let backup = relay.backup();
        relay.restore(&backup);
    }
    let both = [first.address.as_str(), second.address.as_str()];
    finds_only(&mut node.command(), "log", 1, &both);
}
