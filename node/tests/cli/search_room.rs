//! A search index without room: messages go on, what was indexed is found, and a search says so.

use std::path::Path;
use std::process::Command;

use khlong_crdt::id::{EpochId, MessageId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_node::peer::{IndexKey, MasterKey};
use khlong_node::search::entry::{Entry, Filter, PageName};
use khlong_node::search::index::{Index, IndexError};
use khlong_node::search::query::Query;

use crate::node::{Node, text};

const LIMIT: u64 = 256 * 1024;

/// Messages with words of their own, which no index makes short.
fn page(n: u32) -> (PageName, Vec<Entry>) {
    let name = PageName {
        timeline: TimelineId::from_bytes([1; 32]),
        n,
        lineage: EpochId::ZERO,
    };
    let entry = |number: u32| {
        let hash = blake3::hash(&(n * 1_000 + number).to_be_bytes());
        let words: Vec<String> = hash.to_hex().as_bytes().chunks(8).map(word).collect();
        Entry {
            id: MessageId::from_bytes(hash.as_bytes()[..16].try_into().unwrap()),
            body: format!("boat n{n} {}", words.join(" ")),
            author: "prn_x".to_owned(),
            sent_at: UnixMillis(i64::from(n * 1_000 + number)),
        }
    };
    (name, (0..200).map(entry).collect())
}

fn word(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap();
    let length = |file: std::io::Result<std::fs::DirEntry>| match file.unwrap().metadata() {
        Ok(metadata) => metadata.len(),
        // The index's own threads remove what they have merged, also while this looks.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => panic!("{error}"),
    };
    files.map(length).sum()
}

#[test]
fn an_index_at_its_limit_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let key = IndexKey::of(&MasterKey::from_bytes([7; 32]));
    let open = || Index::open_within(folder.path(), &key, LIMIT).unwrap();
    let query = Query::parse("boat").unwrap();
    let mut kept = 0;
    let refused = (0..1_000).find_map(|n| {
        let mut index = open();
        let (name, entries) = page(n);
        let put = index
            .put(name, [1; 16], &entries)
            .and_then(|_| index.commit())
            .and_then(|()| index.rest());
        if put.is_ok() {
            kept = entries.len() * (n as usize + 1);
        }
        assert!(bytes_in(folder.path()) <= LIMIT + 1024, "seals included");
        put.err()
    });
    assert!(
        matches!(refused, Some(IndexError::TooLarge { limit: LIMIT })),
        "{refused:?}"
    );
    assert!(kept >= 200, "{kept}");
    // Merges find no room from half of it on; messages do.
    let taken = bytes_in(folder.path());
    assert!(taken > LIMIT / 4 * 3, "{taken}");
    let found = open().find(&query, &Filter::default(), 10).unwrap();
    assert!(found.total >= kept, "{} of {kept}", found.total);
    // What a kill left half written goes.
    let half = folder.path().join("segment.new");
    std::fs::write(&half, "cut off").unwrap();
    let roomy = Index::open(folder.path(), &key).unwrap();
    assert!(!half.exists());
    assert_eq!(
        roomy.find(&query, &Filter::default(), 1).unwrap().total,
        found.total
    );
}

/// Set to 1: leave this out where nothing can be mounted.
const SKIP: &str = "KHLONG_SKIP_MOUNT";
/// Set by the test for itself: this is the run inside a user namespace.
const INSIDE: &str = "KHLONG_TEST_INSIDE_NAMESPACE";

#[test]
fn messages_go_on_where_the_disk_of_the_index_is_full() {
    let test = "search_room::messages_go_on_where_the_disk_of_the_index_is_full";
    if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
        eprintln!("SKIPPED  {test}: {SKIP}=1");
        return;
    }
    let node = Node::new("mali");
    let timeline = node.open_timeline("canal");
    let send = |body: &str| {
        text(&node.json(&["send", &timeline, body, "--wait", "none"])["id"]);
    };
    send("boat at noon");
    let folder = node.home().join("search");
    std::fs::create_dir(&folder).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=96k", "tmpfs"])
        .arg(&folder)
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
    let found = std::panic::catch_unwind(|| {
        assert_eq!(node.run(&["search", "boat"]).code, 0);
        // Somebody else takes what is free.
        let fill = |name: &str| {
            let _ = std::fs::write(folder.join(name), vec![0; 256 * 1024]);
        };
        fill("filler");
        send("boat at nine");
        let said = node.run(&["search", "boat"]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(said.stdout.contains("boat at noon"), "{}", said.stdout);
        assert!(!said.stdout.contains("boat at nine"), "{}", said.stdout);
        let told = "not everything was looked through: the disk has no room";
        assert!(said.stderr.contains(told), "{}", said.stderr);
        // With a daemon, whose index is behind all the time.
        let _daemon = node.daemon();
        fill("another");
        send("boat at ten");
        assert_eq!(
            node.run(&["search", "boat"]).stderr.matches(told).count(),
            1
        );
        let bodies = node.bodies(&timeline);
        assert_eq!(bodies, ["boat at noon", "boat at nine", "boat at ten"]);
        for name in ["filler", "another"] {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        let said = node.run(&["search", "boat"]);
        assert!(said.stdout.contains("boat at ten") && said.stderr.is_empty());
    });
    let _ = Command::new("umount").arg("-l").arg(&folder).status();
    found.unwrap();
}
