//! Where standbys are waited for, what is visible is not yet what they have: a commit whose wait
//! was cut off is told as done, and found by whoever reads it back.

use std::time::Duration;

use khlong_gateway::app::postgres::{PostgresError, PostgresJournal};
use khlong_gateway::kernel::{Kernel, KernelError};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{JournalError, JournalSeq};

use crate::cluster::{Cluster, open, options};
use crate::fixture::decide;
use crate::journal::sweep;
use crate::settings::set;
use crate::until::until;

/// A standby that never comes.
const STANDBY: &str = "synchronous_standby_names = 'away'";
const NO_STANDBY: &str = "synchronous_standby_names";

/// Waits long enough for a commit whose wait is to be cut off, while it waits.
fn short(cluster: &Cluster) -> PostgresJournal {
    PostgresJournal::new(options(&cluster.text(), Duration::from_secs(4))).unwrap()
}

fn is_unreachable(error: &KernelError) -> bool {
    let KernelError::Journal(JournalError::Elsewhere { source, .. }) = error else {
        return false;
    };
    let error = source.downcast_ref::<PostgresError>();
    matches!(error, Some(PostgresError::Unreachable { .. }))
}

/// Ends the wait of each commit that is waited for, once there is one.
fn cut(cluster: &Cluster, how: &str) {
    let cut = format!(
        "SELECT count({how}(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'"
    );
    until("a commit waits for its standby", || {
        cluster.sql(&cut) != "0"
    });
}

fn running(cluster: &Cluster, disk: &MemoryDisk) -> Kernel {
    let mut kernel = open(short(cluster), disk).unwrap();
    decide(&mut kernel, &sweep("before"));
    set(cluster, STANDBY);
    kernel
}

#[test]
fn an_append_whose_wait_was_cut_off_is_not_acknowledged() {
    let cluster = Cluster::start();
    for how in ["pg_cancel_backend", "pg_terminate_backend"] {
        let disk = MemoryDisk::new();
        let mut kernel = running(&cluster, &disk);
        let seq = kernel.head().seq.next();
        kernel.apply(&sweep(how)).unwrap();
        let refused = std::thread::scope(|scope| {
            scope.spawn(|| cut(&cluster, how));
            kernel.commit().unwrap_err()
        });
        assert!(is_unreachable(&refused), "{how}: {refused}");
        assert!(kernel.release().is_empty());
        drop(kernel);
        // It is there for whoever looks, and nobody else may tell of it either.
        let visible = "SELECT max(seq) FROM khlong.journal";
        assert_eq!(cluster.sql(visible), seq.0.to_string());
        let refused = open(short(&cluster), &MemoryDisk::new()).err().unwrap();
        assert!(is_unreachable(&refused), "{how}: {refused}");
        set(&cluster, NO_STANDBY);
        let mut again = open(short(&cluster), &disk).unwrap();
        assert_eq!(decide(&mut again, &sweep(how)).seq, seq);
    }
}

/// The balance that one gateway has not told, another one does not tell.
#[test]
fn a_follower_waits_for_the_standbys_of_what_it_applies() {
    let cluster = Cluster::start();
    let mut follower = open(short(&cluster), &MemoryDisk::new()).unwrap();
    let mut kernel = running(&cluster, &MemoryDisk::new());
    follower.follow().unwrap_err();
    drop(follower);
    set(&cluster, NO_STANDBY);
    let mut follower = open(short(&cluster), &MemoryDisk::new()).unwrap();
    set(&cluster, STANDBY);
    // What it knows already it goes on telling.
    follower.follow().unwrap();
    kernel.apply(&sweep("cut off")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| cut(&cluster, "pg_terminate_backend"));
        kernel.commit().unwrap_err();
    });
    let refused = follower.follow().unwrap_err();
    assert!(is_unreachable(&refused), "{refused}");
    assert_eq!(follower.head().seq, JournalSeq(1));
}
