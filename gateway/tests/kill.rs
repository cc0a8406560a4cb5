//! Kill −9 on a real folder: every acknowledged transfer is there, none twice, and the books
//! balance.
//!
//! The child is this test binary again. It sends 10,000 transfers in batches and says
//! `ack N` after batch N was released; after a start it first sends its last batch once more.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{JOURNAL, command, decide, domains, opening, options, pay};
use khlong_gateway::domains::ledger::{
    LEDGER_DOMAIN, LedgerCommand, Transfer, account, totals, transfer,
};
use khlong_gateway::kernel::{Kernel, Logic, Outcome, replay, state_hash};
use khlong_store::journal;
use khlong_store::store::{OpenOptions, Store};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

const FOLDER: &str = "KHLONG_TEST_KILL_FOLDER";
const BATCHES: u64 = 400;
const BATCH: u64 = 25;
/// Commands before the first batch.
const SETUP: u64 = 3;
const ACCOUNTS: u128 = 20;

/// Small memtables, so that flushes and log switches are hit as well.
fn sizes() -> OpenOptions {
    let mut options = options();
    options.sizes.write_buffer_bytes = 64 * 1024;
    options
}

fn open(folder: &Path) -> Kernel {
    let store = Store::open(folder, &sizes()).unwrap();
    Kernel::open(store, domains(), Logic::CURRENT, JOURNAL).unwrap()
}

/// Each moves 1 satang along a ring of accounts.
fn batch(number: u64) -> Vec<Transfer> {
    (0..BATCH)
        .map(|n| {
            let id = u128::from(number * BATCH + n + 1);
            pay(id, 1 + id % ACCOUNTS, 1 + (id + 1) % ACCOUNTS, 1)
        })
        .collect()
}

fn setup() -> Vec<LedgerCommand> {
    let [assets, accounts] = opening(ACCOUNTS);
    vec![assets, accounts, LedgerCommand::Sweep]
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
    let mut kernel = open(Path::new(&folder));
    say("opened");
    for (n, body) in setup().iter().enumerate() {
        let key = format!("setup {n}");
        decide(&mut kernel, &command(&key, 1, LEDGER_DOMAIN, body.encode()));
    }
    let first = kernel.head().seq.0.saturating_sub(SETUP + 1);
    for number in first..BATCHES {
        let body = LedgerCommand::CreateTransfers(batch(number)).encode();
        let key = format!("batch {number}");
        let decided = decide(&mut kernel, &command(&key, 2, LEDGER_DOMAIN, body));
        assert_eq!(decided.outcome(), Some(Outcome::Done(vec![0, 0])));
        assert_eq!(decided.seq.0, SETUP + 1 + number);
        say(&format!("ack {}", number + 1));
    }
    say("done");
}

/// Runs a child, kills it after `lines` lines and `spins` turns of a loop; returns the last
/// batch that it acknowledged, and whether it was through.
fn run_and_kill(folder: &Path, lines: u32, spins: u32) -> (Option<u64>, bool) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
    let (mut acked, mut is_done) = (None, false);
    let mut note = |line: &str| {
        if let Some(n) = line.strip_prefix("ack ") {
            acked = Some(n.parse().unwrap());
        }
        is_done |= line == "done";
        line == "opened" || line.starts_with("ack ")
    };
    let mut seen = 0;
    while seen < lines {
        match output.next() {
            Some(line) => seen += u32::from(note(&line.unwrap())),
            None => break,
        }
    }
    (0..spins).for_each(|_| std::hint::spin_loop());
    process.kill().unwrap();
    process.wait().unwrap();
    // What it said before it died counts; a last line without its end was not heard.
    for line in output.map_while(Result::ok) {
        note(&line);
    }
    (acked, is_done)
}

/// Returns how many batches are there.
fn check(folder: &Path, acked: u64) -> u64 {
    let kernel = open(folder);
    let store = kernel.store();
    let stored = journal::verify(store).unwrap().seq.0.saturating_sub(SETUP);
    assert!(stored >= acked, "{acked} acknowledged, {stored} there");
    for number in 0..acked {
        for asked in batch(number) {
            let (found, _, _) = transfer(store, asked.id).unwrap().unwrap();
            assert_eq!(found, asked);
        }
    }
    let after = batch(stored);
    assert!(
        after
            .iter()
            .all(|asked| transfer(store, asked.id).unwrap().is_none())
    );
    for totals in totals(store).unwrap().values() {
        assert!(totals.is_balanced());
        // As many satang as transfers: none is there twice.
        assert_eq!(totals.debits_posted.low, u128::from(stored * BATCH));
    }
    stored
}

#[test]
fn acknowledged_transfers_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(20_261_127);
    let (mut acked, mut kills) = (0, 0);
    loop {
        let (lines, spins) = (1 + random.next_u32() % 24, random.next_u32() % 200_000);
        let (last, is_done) = run_and_kill(folder.path(), lines, spins);
        kills += 1;
        acked = last.unwrap_or(acked).max(acked);
        let stored = check(folder.path(), acked);
        assert!(stored <= acked + 1, "one batch at most was under way");
        acked = stored;
        if is_done {
            break;
        }
    }
    assert_eq!(acked, BATCHES);
    assert!(kills > 10, "the children were killed on their way: {kills}");
    let kernel = open(folder.path());
    assert!(
        account(kernel.store(), 1)
            .unwrap()
            .unwrap()
            .balances
            .debits_posted
            > 0
    );
    let second = tempfile::tempdir().unwrap();
    let mut again = open(second.path());
    assert_eq!(replay(kernel.store(), &mut again).unwrap(), kernel.head());
    assert_eq!(
        state_hash(again.store()).unwrap(),
        state_hash(kernel.store()).unwrap()
    );
}
