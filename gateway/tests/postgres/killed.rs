//! The server is killed at random points of 1,000 transfers: all that was acknowledged is
//! there, nothing twice, and the books balance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use khlong_gateway::app::postgres::PostgresJournal;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, totals, transfer};
use khlong_gateway::kernel::{Kernel, Outcome, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::cluster::{Cluster, WITHIN, open, options, signal};
use crate::fixture::{command, decide, opening, pay};
use crate::until::until;

const TRANSFERS: u64 = 1_000;
const KILLS: u64 = 8;
const ACCOUNTS: u128 = 20;

fn set_up(kernel: &mut Kernel) {
    for (key, body) in ["assets", "accounts"].iter().zip(opening(ACCOUNTS)) {
        decide(kernel, &command(key, 1, LEDGER_DOMAIN, body.encode()));
    }
}

/// Along a ring of accounts.
fn one(number: u64) -> khlong_gateway::kernel::Command {
    let id = u128::from(number);
    let paid = pay(id, 1 + id % ACCOUNTS, 1 + (id + 1) % ACCOUNTS, 1);
    let body = LedgerCommand::CreateTransfers(vec![paid]).encode();
    command(&format!("transfer {number}"), 2, LEDGER_DOMAIN, body)
}

/// How far two threads are.
#[derive(Default)]
struct Pace {
    acked: AtomicU64,
    /// So many may be begun: no kill comes when all is over, however slow the one that kills is.
    may: AtomicU64,
}

/// Nobody waits for what does not come any more.
struct Ends<'a>(&'a AtomicU64);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::SeqCst);
    }
}

/// Kills a session or the whole server each time so many are acknowledged, a little later.
fn kill(cluster: &mut Cluster, pace: &Pace, seed: u64) {
    const EACH: u64 = TRANSFERS / KILLS;
    let _ends = Ends(&pace.may);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for n in 0..KILLS {
        // One more, over a session that is there then.
        let acked = pace.acked.load(Ordering::SeqCst);
        pace.may.store(acked + 1, Ordering::SeqCst);
        until("one more transfer is acknowledged", || {
            pace.acked.load(Ordering::SeqCst) > acked
        });
        let [session] = cluster.sessions();
        pace.may.store((n + 1) * EACH, Ordering::SeqCst);
        let at = n * EACH + u64::from(random.next_u32()) % (EACH / 2);
        until(&format!("{at} transfers are acknowledged"), || {
            pace.acked.load(Ordering::SeqCst) >= at
        });
        (0..random.next_u32() % 100_000).for_each(|_| std::hint::spin_loop());
        if random.next_u32() % 3 == 0 {
            cluster.kill();
            cluster.start_again();
        } else {
            // All sessions end with it, and the server recovers.
            signal("-KILL", session);
            cluster.wait();
        }
    }
}

#[test]
fn acknowledged_transfers_survive_the_kill_of_the_server() {
    let mut cluster = Cluster::start();
    let disk = MemoryDisk::new();
    let mut kernel = cluster.open(&disk).unwrap();
    set_up(&mut kernel);
    let pace = Pace::default();
    let mut seqs = Vec::new();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill(&mut cluster, &pace, 20_261_127));
        let ends = Ends(&pace.acked);
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut next = 1;
        while next <= TRANSFERS {
            until("it may go on", || pace.may.load(Ordering::SeqCst) >= next);
            let group = (1 + u64::from(random.next_u32() % 8)).min(TRANSFERS + 1 - next);
            for n in next..next + group {
                kernel.apply(&one(n)).unwrap();
            }
            kernel.commit().unwrap();
            for output in kernel.release() {
                assert_eq!(output.decided.outcome(), Some(Outcome::Done(vec![0, 0])));
                seqs.push(output.decided.seq.0);
            }
            next += group;
            pace.acked.store(next - 1, Ordering::SeqCst);
        }
        drop(ends);
        killer.join().unwrap();
    });
    assert_eq!(seqs, (3..3 + TRANSFERS).collect::<Vec<_>>());
    let log = std::fs::read_to_string(cluster.folder().join("log")).unwrap();
    let recoveries =
        log.matches("redo done at").count() + log.matches("redo is not required").count();
    assert!(
        recoveries >= 5,
        "the server was killed on its way: {recoveries}"
    );
    assert_eq!(cluster.journal().verify().unwrap(), kernel.head());
    // Somebody who has only the database comes to the same books.
    let other = cluster.open(&MemoryDisk::new()).unwrap();
    assert_eq!(
        state_hash(other.store()).unwrap(),
        state_hash(kernel.store()).unwrap()
    );
    for id in 1..=TRANSFERS {
        assert!(
            transfer(other.store(), id.into()).unwrap().is_some(),
            "{id}"
        );
    }
    for totals in totals(other.store()).unwrap().values() {
        assert!(totals.is_balanced());
        assert_eq!(totals.debits_posted.low, u128::from(TRANSFERS));
    }
}

#[test]
fn a_server_that_stays_away_ends_the_kernel_and_loses_nothing() {
    let mut cluster = Cluster::start();
    let disk = MemoryDisk::new();
    let text = cluster.text();
    let soon = Duration::from_secs(2);
    let journal = |within| PostgresJournal::new(options(&text, within)).unwrap();
    let mut kernel = open(journal(soon), &disk).unwrap();
    set_up(&mut kernel);
    decide(&mut kernel, &one(1));
    // A session outlives its server for a moment, and would still take the append.
    let sessions = cluster.backends();
    cluster.kill();
    sessions.into_iter().for_each(|pid| signal("-KILL", pid));
    kernel.apply(&one(2)).unwrap();
    let gone = kernel.commit().unwrap_err();
    assert!(gone.is_fatal() && kernel.release().is_empty(), "{gone}");
    drop(kernel);
    assert!(open(journal(soon), &disk).is_err());
    cluster.start_again();
    let mut kernel = open(journal(WITHIN), &disk).unwrap();
    assert_eq!(decide(&mut kernel, &one(1)).seq.0, 3);
    assert_eq!(decide(&mut kernel, &one(2)).seq.0, 4);
}
