//! Kill −9 on a real folder: whatever was acknowledged is there, and nothing twice.
//!
//! The child is this test binary again. It appends envelopes to a timeline, one
//! commit each, and says `ack N` after the commit returned; like a node after a
//! lost connection it first sends its last envelope once more. The parent kills
//! it at a random point, opens the folder and looks.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{Author, options};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::Kind;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Durability;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::tables::timelines::{self, Appended};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

const FOLDER: &str = "KHLONG_TEST_KILL_FOLDER";
const KILLS: u32 = 60;

/// Small memtables, so that flushes and log switches are hit as well.
fn sizes() -> OpenOptions {
    let mut options = options(Role::Relay);
    options.sizes.write_buffer_bytes = 64 * 1024;
    options
}

fn body(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat(200)
}

#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let say = |text: &str| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{text}").unwrap();
        out.flush().unwrap();
    };
    say("opening");
    let mut store = Store::open(Path::new(&folder), &sizes()).unwrap();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let height = timelines::heights(&store, &timeline)
        .unwrap()
        .first()
        .copied();
    let (mut seq, mut prev) = (1, EnvelopeId::ZERO);
    if let Some(height) = height {
        let last = timelines::get(&store, &height.id)
            .unwrap()
            .unwrap()
            .envelope;
        (seq, prev) = (height.contiguous.0, last.prefix().prev);
    }
    loop {
        let envelope = author.write(timeline, Kind::Change, seq, prev, &body(seq));
        let mut batch = store.batch();
        timelines::append(&mut batch, &envelope, UnixMillis(1)).unwrap();
        let writes = batch.into_writes();
        let before = store.stats().wal_syncs;
        match store.commit(writes.clone(), Durability::Synced) {
            // A duplicate writes nothing: its commit was acknowledged or is durable already.
            Ok(receipt) => assert!(
                writes.is_empty() || receipt.wal_syncs > before,
                "an ack leaves after the sync"
            ),
            Err(StoreError::Engine(EngineError::Busy)) => continue,
            Err(error) => panic!("{error}"),
        }
        say(&format!("ack {seq}"));
        (seq, prev) = (seq + 1, envelope.id());
    }
}

/// Runs a child, kills it after `lines` lines and `spins` turns of a loop;
/// returns the last number that it acknowledged, if any.
fn run_and_kill(folder: &Path, lines: u32, spins: u32) -> Option<u64> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut acked = None;
    let mut note = |line: &str| {
        if let Some(n) = line.strip_prefix("ack ") {
            acked = Some(n.parse().unwrap());
        }
        line == "opening" || line.starts_with("ack ")
    };
    let mut seen = 0;
    while seen < lines {
        let line = output
            .next()
            .expect("the child runs until it is killed")
            .unwrap();
        seen += u32::from(note(&line));
    }
    (0..spins).for_each(|_| std::hint::spin_loop());
    process.kill().unwrap();
    process.wait().unwrap();
    // What it said before it died counts: whoever hears an ack relies on it. A last
    // line without its end was not heard.
    for line in output.map_while(Result::ok) {
        note(&line);
    }
    acked
}

/// Everything up to `acked` is there once, in order, whole; at most one more.
fn check(folder: &Path, acked: u64) -> u64 {
    let store = Store::open(folder, &sizes()).unwrap();
    let timeline = Author::number(2).timeline();
    let entries = timelines::entries(
        &store,
        &timeline,
        Class::Text,
        ArrivalSeq(0),
        ArrivalSeq(u64::MAX),
        usize::MAX,
        usize::MAX,
    )
    .unwrap();
    for (n, entry) in (1..).zip(&entries) {
        assert_eq!(
            entry.arrival,
            ArrivalSeq(n),
            "arrivals have no gap and no double"
        );
        assert_eq!(
            entry.envelope.prefix().seq,
            Seq(n),
            "every envelope once, in order"
        );
        assert_eq!(entry.envelope.body().unwrap(), body(n));
    }
    let stored = entries.len() as u64;
    assert!(stored >= acked, "{acked} acknowledged, {stored} there");
    let log = timelines::arrivals(&store, Class::Text, ArrivalSeq(0), usize::MAX).unwrap();
    assert_eq!(log.len() as u64, stored);
    assert_eq!(
        timelines::head(&store, Class::Text).unwrap().arrival.0,
        stored
    );
    assert_eq!(
        timelines::timeline_head(&store, &timeline, Class::Text)
            .unwrap()
            .envelopes,
        stored
    );
    stored
}

#[test]
fn acknowledged_envelopes_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(20_261_124);
    let mut acked = 0;
    let mut deaths_before_an_ack = 0;
    for _ in 0..KILLS {
        let (lines, spins) = (1 + random.next_u32() % 16, random.next_u32() % 200_000);
        match run_and_kill(folder.path(), lines, spins) {
            Some(n) => acked = n,
            None => deaths_before_an_ack += 1,
        }
        let stored = check(folder.path(), acked);
        assert!(
            stored <= acked + 1 || acked == 0,
            "one commit at most was under way"
        );
        acked = stored.max(acked);
    }
    assert!(
        acked > u64::from(KILLS),
        "the children got somewhere: {acked}"
    );
    // Which of them die while they open is a matter of luck: until one has.
    let mut openings = 0;
    while deaths_before_an_ack == 0 && openings < 20 * KILLS {
        openings += 1;
        match run_and_kill(folder.path(), 1, 0) {
            Some(n) => acked = n,
            None => deaths_before_an_ack += 1,
        }
        acked = check(folder.path(), acked).max(acked);
    }
    assert!(deaths_before_an_ack > 0, "some died while opening");
}

/// The control: a duplicate that is not recognised would be seen by `check`.
#[test]
fn a_duplicate_is_told_its_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &sizes()).unwrap();
    let timeline = Author::number(2).timeline();
    let chain = Author::number(1).chain(timeline, &[b"1", b"2"]);
    let mut batch = store.batch();
    for (envelope, n) in chain.iter().zip(1..) {
        let appended = timelines::append(&mut batch, envelope, UnixMillis(1)).unwrap();
        assert_eq!(
            appended,
            Appended::Stored {
                arrival: ArrivalSeq(n),
                forked: false
            }
        );
        let again = timelines::append(&mut batch, envelope, UnixMillis(2)).unwrap();
        assert_eq!(
            again,
            Appended::Duplicate {
                arrival: ArrivalSeq(n)
            },
            "in the same batch"
        );
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    let mut batch = store.batch();
    let again = timelines::append(&mut batch, &chain[1], UnixMillis(3)).unwrap();
    assert_eq!(
        again,
        Appended::Duplicate {
            arrival: ArrivalSeq(2)
        },
        "and after the commit"
    );
    assert!(batch.is_empty());
}
