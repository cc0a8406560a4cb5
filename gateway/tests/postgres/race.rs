//! Two gateways on one database, both at once: one wins each place, and nothing is there twice.

use std::sync::Barrier;

use khlong_gateway::kernel::{Kernel, KernelError, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalError;

use crate::cluster::Cluster;
use crate::fixture::{Bank, decide};
use crate::journal::sweep;

const COMMANDS: u32 = 500;

/// What one of them met.
struct Raced {
    kernel: Kernel,
    /// Places that it was told, in the order of its commands.
    told: Vec<u64>,
    lost: u32,
}

fn race(cluster: &Cluster, name: &str, meet: &Barrier) -> Raced {
    let disk = MemoryDisk::new();
    let mut kernel = cluster.open(&disk).unwrap();
    meet.wait();
    let (mut told, mut lost) = (Vec::new(), 0);
    for n in 0..COMMANDS {
        let command = sweep(&format!("{name} {n}"));
        loop {
            kernel.apply(&command).unwrap();
            match kernel.commit() {
                Ok(_) => break,
                Err(KernelError::Journal(JournalError::Moved { .. })) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(kernel.release().is_empty(), "nothing of it is answered");
            lost += 1;
            // Discard, read, decide again: what a gateway does that is started anew.
            drop(kernel);
            kernel = cluster.open(&disk).unwrap();
        }
        told.extend(kernel.release().iter().map(|output| output.decided.seq.0));
        // As a driver that serves: not older than now.
        kernel.follow().unwrap();
    }
    Raced { kernel, told, lost }
}

#[test]
fn of_two_gateways_one_wins_each_seq() {
    let cluster = Cluster::start();
    cluster.open(&MemoryDisk::new()).unwrap();
    let meet = Barrier::new(2);
    let [mut left, mut right] = std::thread::scope(|scope| {
        let (cluster, meet) = (&cluster, &meet);
        let racing = ["left", "right"].map(|name| scope.spawn(move || race(cluster, name, meet)));
        racing.map(|it| it.join().unwrap())
    });
    for raced in [&mut left, &mut right] {
        raced.kernel.follow().unwrap();
        assert!(raced.told.is_sorted());
    }
    let mut seqs: Vec<u64> = left.told.iter().chain(&right.told).copied().collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=u64::from(2 * COMMANDS)).collect::<Vec<_>>());
    assert!(
        left.lost + right.lost > 0,
        "they met: {} {}",
        left.lost,
        right.lost
    );
    assert_eq!(left.kernel.head(), right.kernel.head());
    assert_eq!(
        state_hash(left.kernel.store()).unwrap(),
        state_hash(right.kernel.store()).unwrap()
    );
    assert_eq!(cluster.journal().verify().unwrap(), left.kernel.head());
    assert_eq!(
        cluster.sql("SELECT count(*), min(seq), max(seq) FROM khlong.journal"),
        "1000|1|1000"
    );
}

/// What was decided on a state that is no longer the last is in no journal and in no view.
#[test]
fn a_deposed_gateway_loses_what_it_had_decided() {
    let cluster = Cluster::start();
    decide(
        &mut cluster.open(&MemoryDisk::new()).unwrap(),
        &sweep("first"),
    );
    let mut leader = cluster.open(&MemoryDisk::new()).unwrap();
    // It finds out when it appends, or when it looks.
    for commits in [true, false] {
        let disk = MemoryDisk::new();
        let mut deposed = cluster.open(&disk).unwrap();
        let before = state_hash(deposed.store()).unwrap();
        for n in 0..3 {
            let command = sweep(&format!("deposed {commits} {n}"));
            deposed.apply(&command).unwrap();
        }
        let led = decide(&mut leader, &sweep(&format!("leader {commits}")));
        if commits {
            // The other one's entry is where the first of these would be.
            let refused = deposed.commit().unwrap_err();
            let KernelError::Journal(JournalError::Moved { .. }) = refused else {
                panic!("{refused}");
            };
            assert!(refused.is_fatal());
            // A second try appends nothing either.
            assert!(matches!(deposed.commit(), Err(KernelError::Broken)));
        }
        // Nor may it follow and keep them: they stand on an older state.
        assert!(matches!(deposed.follow(), Err(KernelError::Broken)));
        let refused = deposed.apply(&sweep("once more"));
        assert!(matches!(refused, Err(KernelError::Broken)));
        assert!(deposed.release().is_empty(), "nobody is answered");
        assert_eq!(state_hash(deposed.store()).unwrap(), before);
        drop(deposed);
        assert_eq!(cluster.journal().verify().unwrap(), leader.head());
        assert_eq!(leader.head().seq, led.seq);
        let deposed = cluster.open(&disk).unwrap();
        assert_eq!(deposed.head(), leader.head());
        assert_eq!(
            state_hash(deposed.store()).unwrap(),
            state_hash(leader.store()).unwrap()
        );
    }
    // The local journal has nobody to follow.
    let mut alone = Bank::new(2);
    let head = alone.kernel.head();
    alone.kernel.follow().unwrap();
    assert_eq!(alone.kernel.head(), head);
}
