//! What is appended is what is read, by whoever reads it, and nothing in it changes unseen.

use std::sync::Barrier;

use khlong_gateway::app::postgres::PostgresJournal;
use khlong_gateway::kernel::{KernelError, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{
    self, Append, ENTRIES_MAX, ENTRY_BYTES_MAX, Entry, Head, Journal as _, JournalError, JournalId,
    JournalSeq,
};
use khlong_store::store::Store;

use crate::cluster::Cluster;
use crate::fixture::{JOURNAL, command, decide, store};
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};

/// A command that any ledger takes.
pub(crate) fn sweep(key: &str) -> khlong_gateway::kernel::Command {
    command(key, 5, LEDGER_DOMAIN, LedgerCommand::Sweep.encode())
}

/// Entries behind `expected`, as a kernel hands them over, and the head after them.
pub(crate) fn append(
    journal: &mut PostgresJournal,
    views: &mut Store,
    expected: Head,
    entries: &[Entry],
) -> Result<Head, JournalError> {
    let mut batch = views.batch();
    let head = journal::append(&mut batch, expected.seq, entries).unwrap();
    let overlay = batch.into_overlay();
    let append = Append {
        expected,
        batch: &overlay,
    };
    journal.append(views, append).map(|_| head)
}

/// A store whose copy of the journal is empty.
pub(crate) fn copy() -> Store {
    let mut store = store(&MemoryDisk::new());
    let mut batch = store.batch();
    journal::create(&mut batch, JOURNAL).unwrap();
    let writes = batch.into_writes();
    store
        .commit(writes, khlong_store::engine::Durability::Synced)
        .unwrap();
    store
}

#[test]
fn what_one_gateway_appends_another_one_has() {
    let cluster = Cluster::start();
    let (left, right) = (MemoryDisk::new(), MemoryDisk::new());
    let mut first = cluster.open(&left).unwrap();
    for n in 0..7 {
        first.apply(&sweep(&format!("group {n}"))).unwrap();
    }
    first.commit().unwrap();
    first.release();
    decide(&mut first, &sweep("alone"));
    assert_eq!(first.head().seq, JournalSeq(8));
    let mut journal = cluster.journal();
    assert_eq!(journal.tail().unwrap(), Some(first.head()));
    assert_eq!(journal.verify().unwrap(), first.head());
    let mut second = cluster.open(&right).unwrap();
    assert_eq!(second.head(), first.head());
    // Both go on, in turn; nothing that was answered is unknown to the other.
    for n in 0..3 {
        decide(&mut second, &sweep(&format!("second {n}")));
        first.follow().unwrap();
        assert_eq!(first.head(), second.head());
        decide(&mut first, &sweep(&format!("first {n}")));
        second.follow().unwrap();
    }
    let known = decide(&mut second, &sweep("group 3"));
    assert_eq!(known.seq, JournalSeq(4));
    assert_eq!(
        state_hash(first.store()).unwrap(),
        state_hash(second.store()).unwrap()
    );
    assert_eq!(
        cluster.sql("SELECT count(*), max(seq) FROM khlong.journal"),
        "14|14"
    );
}

#[test]
fn a_journal_is_begun_once() {
    let cluster = Cluster::start();
    let mut journal = cluster.journal();
    assert_eq!(journal.tail().unwrap(), None);
    journal.create(JOURNAL).unwrap();
    assert_eq!(journal.tail().unwrap(), Some(Head::start(JOURNAL)));
    let other = khlong_store::journal::JournalId::from_bytes([1; 16]);
    assert!(matches!(journal.create(other), Err(JournalError::Exists)));
    assert_eq!(journal.tail().unwrap(), Some(Head::start(JOURNAL)));
}

#[test]
fn of_two_that_begin_at_once_one_follows_the_other() {
    let cluster = Cluster::start();
    for round in 0..8_u8 {
        cluster.sql("DROP SCHEMA IF EXISTS khlong CASCADE");
        let meet = Barrier::new(2);
        let begun = std::thread::scope(|scope| {
            let begin = |fresh| {
                let mut journal = cluster.journal();
                assert_eq!(journal.tail().unwrap(), None);
                meet.wait();
                journal.begin(JournalId::from_bytes([fresh; 16])).unwrap()
            };
            let both = [2 * round, 2 * round + 1].map(|fresh| scope.spawn(move || begin(fresh)));
            both.map(|one| one.join().unwrap())
        });
        assert_eq!(begun[0], begun[1]);
        assert_eq!(cluster.journal().tail().unwrap(), Some(begun[0]));
    }
}

#[test]
fn what_stands_on_another_head_is_refused_and_writes_nothing() {
    let cluster = Cluster::start();
    let (mut journal, mut views) = (cluster.journal(), copy());
    journal.create(JOURNAL).unwrap();
    let entry = |n: u8| Entry {
        header: vec![n; 3],
        command: vec![],
        outcome: vec![n],
    };
    let start = Head::start(JOURNAL);
    let one = append(&mut journal, &mut views, start, &[entry(1)]).unwrap();
    let two = append(&mut journal, &mut views, one, &[entry(2), entry(3)]).unwrap();
    // The same seq with another history, a seq that was passed, and one that is ahead.
    let mut others = copy();
    let refused = append(&mut journal, &mut others, start, &[entry(7)]);
    assert!(matches!(
        refused,
        Err(JournalError::Moved {
            expected: 0,
            found: 3
        })
    ));
    assert_eq!(journal::head(&others).unwrap(), Some(start));
    let forged = Head {
        hash: [5; 32],
        ..two
    };
    let refused = append(&mut journal, &mut views, forged, &[entry(4)]);
    assert!(
        matches!(refused, Err(JournalError::Moved { .. })),
        "{refused:?}"
    );
    assert_eq!(journal.verify().unwrap(), two);
    // The same entries again are those that are there.
    let mut again = copy();
    append(&mut journal, &mut again, start, &[entry(1)]).unwrap();
    assert_eq!(cluster.sql("SELECT count(*) FROM khlong.journal"), "3");
}

/// Parts have a bound in entries and in bytes, and none is left out between them.
#[test]
fn a_long_journal_is_read_in_parts() {
    let cluster = Cluster::start();
    let (mut journal, mut views) = (cluster.journal(), copy());
    journal.create(JOURNAL).unwrap();
    let large = Entry {
        header: vec![1; 10],
        command: vec![2; ENTRY_BYTES_MAX - 20],
        outcome: vec![3; 10],
    };
    let small = Entry {
        header: vec![],
        command: vec![4],
        outcome: vec![],
    };
    let mut head = Head::start(JOURNAL);
    for _ in 0..4 {
        let group = vec![large.clone(); 3];
        head = append(&mut journal, &mut views, head, &group).unwrap();
    }
    let group = vec![small; ENTRIES_MAX];
    for _ in 0..2 {
        head = append(&mut journal, &mut views, head, &group).unwrap();
    }
    let first = journal.entries(JournalSeq(0)).unwrap();
    assert_eq!(first.len(), 9, "16 MiB are 8 of them and a bit");
    assert_eq!(first[8].entry, large);
    let later = journal.entries(JournalSeq(13)).unwrap();
    assert_eq!(later.len(), ENTRIES_MAX);
    assert!(journal.entries(head.seq.next()).unwrap().is_empty());
    assert_eq!(journal.verify().unwrap(), head);
}

/// One bit of any column of any entry is named, by a check and by a gateway that starts.
#[test]
fn a_flipped_byte_in_the_database_is_named() {
    let cluster = Cluster::start();
    let disk = MemoryDisk::new();
    let mut kernel = cluster.open(&disk).unwrap();
    for n in 0..6 {
        decide(&mut kernel, &sweep(&n.to_string()));
    }
    drop(kernel);
    for (seq, column, byte) in [
        (1, "hash", 31),
        (3, "header", 20),
        (4, "command", 0),
        (6, "outcome", 0),
    ] {
        let flip = format!(
            "UPDATE khlong.journal SET {column} = set_byte({column}, {byte}, \
             get_byte({column}, {byte}) # 16) WHERE seq = {seq}"
        );
        cluster.sql(&flip);
        match cluster.journal().verify() {
            Err(JournalError::Broken { seq: named, .. }) => assert_eq!(named, seq, "{column}"),
            other => panic!("{column}: {other:?}"),
        }
        match cluster.open(&MemoryDisk::new()).err() {
            Some(KernelError::Journal(error @ JournalError::Broken { seq: named, .. })) => {
                assert_eq!((named, error.exit_code()), (seq, 9), "{column}");
            }
            other => panic!("{column}: {other:?}"),
        }
        cluster.sql(&flip);
    }
    // The hash at the head, against a copy that goes so far.
    let flip =
        "UPDATE khlong.journal SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE seq = 6";
    cluster.sql(flip);
    let refused = cluster.open(&disk).err().unwrap();
    assert_eq!(refused.exit_code(), 9, "{refused}");
    cluster.sql(flip);
    cluster.open(&disk).unwrap();
    cluster.sql("DELETE FROM khlong.journal WHERE seq = 2");
    assert!(matches!(
        cluster.journal().verify(),
        Err(JournalError::Broken { seq: 2, .. })
    ));
}
