//! A folder beside a database that is ahead of it, behind it, or another one's.

use khlong_gateway::app::postgres::PostgresJournal;
use khlong_gateway::kernel::{Kernel, KernelError, Logic, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{JournalId, JournalSeq};

use crate::cluster::{Cluster, WITHIN, open, options};
use crate::fixture::{decide, domains, store};
use crate::journal::sweep;

fn journal_of(cluster: &Cluster, database: &str) -> PostgresJournal {
    let text = cluster.text_of(database);
    PostgresJournal::new(options(&text, WITHIN)).unwrap()
}

/// A folder of its own with `count` commands in `database`.
fn filled(cluster: &Cluster, database: &str, name: &str, count: u32) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut kernel = open(journal_of(cluster, database), &disk).unwrap();
    for n in 0..count {
        decide(&mut kernel, &sweep(&format!("{name} {n}")));
    }
    disk
}

#[test]
fn an_older_folder_catches_up_and_a_newer_one_is_refused() {
    let cluster = Cluster::start();
    let behind = filled(&cluster, "postgres", "first", 3);
    let ahead = MemoryDisk::new();
    let mut kernel = cluster.open(&ahead).unwrap();
    for n in 0..40 {
        decide(&mut kernel, &sweep(&format!("second {n}")));
    }
    let (head, state) = (kernel.head(), state_hash(kernel.store()).unwrap());
    drop(kernel);
    let kernel = cluster.open(&behind).unwrap();
    assert_eq!(
        (kernel.head(), state_hash(kernel.store()).unwrap()),
        (head, state)
    );
    drop(kernel);
    // A database that was put back to an older backup.
    cluster.sql("DELETE FROM khlong.journal WHERE seq > 41");
    for disk in [&ahead, &behind] {
        let refused = cluster.open(disk).err().unwrap();
        assert!(
            matches!(
                refused,
                KernelError::Behind {
                    applied: 43,
                    head: 41
                }
            ),
            "{refused}"
        );
        assert_eq!(refused.exit_code(), 9);
    }
    // One that goes on from there has another history under the same numbers.
    let third = filled(&cluster, "postgres", "third", 2);
    assert_eq!(cluster.open(&third).unwrap().head().seq, JournalSeq(43));
    let refused = cluster.open(&ahead).err().unwrap();
    assert!(
        matches!(refused, KernelError::OtherJournal { applied: 43 }),
        "{refused}"
    );
    cluster.open(&third).unwrap();
}

#[test]
fn the_database_of_other_books_is_refused() {
    let cluster = Cluster::start();
    cluster.sql("CREATE DATABASE same_id");
    cluster.sql("CREATE DATABASE other_id");
    let mine = filled(&cluster, "postgres", "mine", 3);
    filled(&cluster, "same_id", "others", 5);
    let fresh = JournalId::from_bytes([1; 16]);
    let journal = Box::new(journal_of(&cluster, "other_id"));
    let disk = MemoryDisk::new();
    Kernel::open_with(journal, store(&disk), domains(), Logic::CURRENT, fresh).unwrap();
    for database in ["same_id", "other_id"] {
        let refused = open(journal_of(&cluster, database), &mine).err().unwrap();
        assert!(
            matches!(refused, KernelError::OtherJournal { applied: 3 }),
            "{database}: {refused}"
        );
        assert_eq!(refused.exit_code(), 9);
    }
    assert_eq!(cluster.open(&mine).unwrap().head().seq, JournalSeq(3));
}

/// An empty database in the place of the journal's: nothing of the views would be so.
#[test]
fn views_are_not_gone_on_with_beside_a_database_without_their_journal() {
    let cluster = Cluster::start();
    let disk = filled(&cluster, "postgres", "first", 5);
    let before = state_hash(&store(&disk)).unwrap();
    let (applied, head) = (5, 0);
    for (change, expected) in [
        // Tables with this journal's name, and no entry in them.
        (
            "DELETE FROM khlong.journal",
            KernelError::Behind { applied, head },
        ),
        ("DROP SCHEMA khlong CASCADE", KernelError::Gone { applied }),
    ] {
        cluster.sql(change);
        let refused = cluster.open(&disk).err().unwrap();
        assert_eq!(refused.to_string(), expected.to_string(), "{change}");
        assert_eq!(refused.exit_code(), 9);
    }
    // Nothing was begun there, and nothing written here.
    let schema = cluster.sql("SELECT to_regnamespace('khlong') IS NULL");
    assert_eq!(schema, "t");
    assert_eq!(state_hash(&store(&disk)).unwrap(), before);
}

const OTHER_HISTORY: &str = "another history";

/// Also where it only appends.
#[test]
fn a_gateway_that_runs_stops_when_its_journal_is_put_back_emptied_or_exchanged() {
    let cluster = Cluster::start();
    let (applied, behind) = (5, |head| KernelError::Behind { applied: 5, head });
    for (change, expected) in [
        ("DELETE FROM khlong.journal WHERE seq > 2", behind(2)),
        ("DELETE FROM khlong.journal", behind(0)),
        ("DROP SCHEMA khlong CASCADE", KernelError::Gone { applied }),
        (
            "UPDATE khlong.journal_id SET id = decode(repeat('01', 16), 'hex')",
            KernelError::OtherJournal { applied },
        ),
        (OTHER_HISTORY, KernelError::OtherJournal { applied }),
    ] {
        cluster.sql("DROP SCHEMA IF EXISTS khlong CASCADE");
        let disk = filled(&cluster, "postgres", "first", 5);
        let mut appends = cluster.open(&disk).unwrap();
        let mut reads = cluster.open(&MemoryDisk::new()).unwrap();
        if change == OTHER_HISTORY {
            // The same name, and more entries than were there.
            cluster.sql("DROP SCHEMA khlong CASCADE");
            filled(&cluster, "postgres", "other", 7);
        } else {
            cluster.sql(change);
        }
        appends.apply(&sweep("after")).unwrap();
        let stopped = appends.commit().unwrap_err();
        assert!(appends.release().is_empty());
        for stopped in [stopped, reads.follow().unwrap_err()] {
            assert_eq!(stopped.to_string(), expected.to_string(), "{change}");
            assert!(stopped.is_fatal() && stopped.exit_code() == 9, "{stopped}");
        }
    }
}

#[test]
fn a_follower_stops_when_its_journal_is_put_back() {
    let cluster = Cluster::start();
    let disk = filled(&cluster, "postgres", "first", 5);
    let mut kernel = cluster.open(&disk).unwrap();
    kernel.follow().unwrap();
    cluster.sql("DELETE FROM khlong.journal WHERE seq > 2");
    assert!(matches!(
        kernel.follow(),
        Err(KernelError::Behind {
            applied: 5,
            head: 2
        })
    ));
    assert!(matches!(kernel.follow(), Err(KernelError::Broken)));
    assert!(matches!(kernel.commit(), Err(KernelError::Broken)));
}
