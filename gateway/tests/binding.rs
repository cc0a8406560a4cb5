//! Views and their journal belong together, by hash, or nothing starts; and of two writers
//! one is refused.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use fixture::elsewhere::Elsewhere;
use fixture::{Bank, JOURNAL, command, decide, domains, kernel, pay, store};
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Command, Kernel, KernelError, Logic, state_hash};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::journal::{
    self, Head, Journal as _, JournalError, JournalId, JournalSeq, LocalJournal,
};
use khlong_store::key::Encoder;
use khlong_store::record;
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;

fn sweep(key: &str) -> Command {
    command(key, 5, LEDGER_DOMAIN, LedgerCommand::Sweep.encode())
}

fn disk_with_books() -> MemoryDisk {
    let mut bank = Bank::new(2);
    bank.send_one(pay(1, 1, 2, 5));
    bank.disk.clone()
}

fn open(disk: &MemoryDisk) -> Result<Kernel, KernelError> {
    Kernel::open(store(disk), domains(), Logic::CURRENT, JOURNAL)
}

/// Table, key, and the payload; none: the row goes.
type Change<'a> = (Table, &'a [u8], Option<Vec<u8>>);

/// Changes a folder behind the store's back: payloads, or deletions.
fn change(disk: &MemoryDisk, rows: &[Change<'_>]) {
    let mut engine = MemoryEngine::open(disk, 0).unwrap();
    let mut writes = WriteSet::new();
    for (table, key, payload) in rows {
        match payload {
            Some(payload) => writes.put(
                *table,
                key.to_vec(),
                record::seal(*table, key, payload.clone()),
            ),
            None => writes.delete(*table, key.to_vec()),
        }
    }
    engine.commit(&writes, Durability::Synced).unwrap();
}

fn payload(disk: &MemoryDisk, table: Table, key: &[u8]) -> Vec<u8> {
    store(disk).get(table, key).unwrap().unwrap()
}

#[test]
fn views_without_a_journal_are_refused_and_nothing_is_written() {
    let disk = disk_with_books();
    change(&disk, &[(Table::Meta, b"journal", None)]);
    for _ in 0..2 {
        let error = open(&disk).err().unwrap();
        assert!(matches!(error, KernelError::NoJournal), "{error}");
        assert_eq!(error.exit_code(), 9);
        assert_eq!(journal::head(&store(&disk)).unwrap(), None);
    }
    // Also where nothing says how far they go.
    change(&disk, &[(Table::Meta, b"applied", None)]);
    assert!(matches!(open(&disk), Err(KernelError::NoJournal)));
}

#[test]
fn views_that_lag_or_lead_are_refused() {
    let disk = disk_with_books();
    let applied = payload(&disk, Table::Meta, b"applied");
    let old = journal::get(&store(&disk), JournalSeq(2)).unwrap().unwrap();
    let mut row = applied.clone();
    row[..8].copy_from_slice(&2_u64.to_be_bytes());
    row[32..].copy_from_slice(&old.hash);
    change(&disk, &[(Table::Meta, b"applied", Some(row))]);
    let error = open(&disk).err().unwrap();
    assert!(matches!(
        error,
        KernelError::Behind {
            applied: 2,
            head: 4
        }
    ));
    assert_eq!(error.exit_code(), 9);
    let mut row = applied;
    row[..8].copy_from_slice(&9_u64.to_be_bytes());
    change(&disk, &[(Table::Meta, b"applied", Some(row))]);
    assert!(matches!(
        open(&disk),
        Err(KernelError::Behind {
            applied: 9,
            head: 4
        })
    ));
}

/// Journals that agree in length and not in what they say: the views of one beside the other.
#[test]
fn the_journal_of_other_books_is_refused() {
    let mine = disk_with_books();
    for (id, amount) in [(JOURNAL, 6), (JournalId::from_bytes([1; 16]), 5)] {
        let other = MemoryDisk::new();
        let mut kernel = Kernel::open(store(&other), domains(), Logic::CURRENT, id).unwrap();
        for stored in LocalJournal.read(&store(&mine), JournalSeq(1)).unwrap() {
            let n = stored.seq.0;
            let body = if n == 4 {
                LedgerCommand::CreateTransfers(vec![pay(1, 1, 2, amount)]).encode()
            } else {
                stored.entry.command.get(1..).unwrap().to_vec()
            };
            decide(
                &mut kernel,
                &command(&n.to_string(), 1_000_000, LEDGER_DOMAIN, body),
            );
        }
        drop(kernel);
        let mut rows = vec![(
            Table::Meta,
            b"journal".to_vec(),
            payload(&other, Table::Meta, b"journal"),
        )];
        for seq in 1..=4 {
            let key = Encoder::new().u64(seq).finish();
            let row = payload(&other, Table::Journal, &key);
            rows.push((Table::Journal, key, row));
        }
        let copy = disk_with_books();
        let rows: Vec<_> = rows
            .iter()
            .map(|(table, key, row)| (*table, key.as_slice(), Some(row.clone())))
            .collect();
        change(&copy, &rows);
        let error = open(&copy).err().unwrap();
        assert!(
            matches!(error, KernelError::OtherJournal { applied: 4 }),
            "{error}"
        );
        assert_eq!(error.exit_code(), 9);
    }
}

#[test]
fn swapped_entries_are_named() {
    let disk = disk_with_books();
    let (two, three) = (2_u64.to_be_bytes(), 3_u64.to_be_bytes());
    let rows = [&two, &three].map(|key| payload(&disk, Table::Journal, key));
    change(
        &disk,
        &[
            (Table::Journal, &two, Some(rows[1].clone())),
            (Table::Journal, &three, Some(rows[0].clone())),
        ],
    );
    assert!(matches!(
        open(&disk),
        Err(KernelError::Journal(JournalError::Broken { seq: 2, .. }))
    ));
}

/// Wherever the power goes in a commit, all of a command is there or nothing.
#[test]
fn a_torn_commit_takes_entry_and_views_together() {
    let mut torn = 0;
    for kept_bytes in (0..1_200).step_by(13) {
        let disk = disk_with_books();
        let mut kernel = open(&disk).unwrap();
        let before = (kernel.head(), state_hash(kernel.store()).unwrap());
        let body = LedgerCommand::CreateTransfers(vec![pay(2, 1, 2, 7)]).encode();
        kernel
            .apply(&command("torn", 1_000_000, LEDGER_DOMAIN, body.clone()))
            .unwrap();
        disk.inject(Fault::TornCommit { kept_bytes });
        let error = kernel.commit().unwrap_err();
        assert!(error.is_fatal());
        assert!(kernel.release().is_empty());
        drop(kernel);
        disk.crash();
        let mut kernel = open(&disk).unwrap();
        torn += disk.fired(FaultKind::TornRecordDropped);
        assert_eq!((kernel.head(), state_hash(kernel.store()).unwrap()), before);
        let again = command("torn", 1_000_000, LEDGER_DOMAIN, body);
        assert_eq!(decide(&mut kernel, &again).seq, JournalSeq(5));
    }
    assert!(torn > 50, "commits were torn: {torn}");
}

fn open_with(journal: &Elsewhere, disk: &MemoryDisk) -> Result<Kernel, KernelError> {
    let (journal, store) = (Box::new(journal.clone()), store(disk));
    Kernel::open_with(journal, store, domains(), Logic::CURRENT, JOURNAL)
}

#[test]
fn of_two_writers_one_is_refused_and_catches_up() {
    let journal = Elsewhere::new();
    let (left, right) = (MemoryDisk::new(), MemoryDisk::new());
    let mut first = open_with(&journal, &left).unwrap();
    let mut second = open_with(&journal, &right).unwrap();
    for n in 0..8 {
        decide(&mut first, &sweep(&format!("first {n}")));
    }
    second.apply(&sweep("second")).unwrap();
    let refused = second.commit().unwrap_err();
    assert!(matches!(
        refused,
        KernelError::Journal(JournalError::Moved {
            expected: 0,
            found: 8
        })
    ));
    assert!(refused.is_fatal());
    assert!(second.release().is_empty());
    drop(second);
    let mut second = open_with(&journal, &right).unwrap();
    assert_eq!(second.head(), first.head());
    assert_eq!(
        state_hash(second.store()).unwrap(),
        state_hash(first.store()).unwrap()
    );
    assert_eq!(decide(&mut second, &sweep("second")).seq, JournalSeq(9));
    // It answers for the other one now, byte for byte.
    assert_eq!(decide(&mut second, &sweep("first 3")).seq, JournalSeq(4));
}

#[test]
fn an_append_whose_answer_is_lost_is_found_again() {
    let (journal, disk) = (Elsewhere::new(), MemoryDisk::new());
    let mut kernel = open_with(&journal, &disk).unwrap();
    kernel.apply(&sweep("a")).unwrap();
    journal.lose_an_answer();
    assert!(kernel.commit().unwrap_err().is_fatal());
    assert!(kernel.release().is_empty());
    drop(kernel);
    let mut kernel = open_with(&journal, &disk).unwrap();
    assert_eq!(kernel.head().seq, JournalSeq(1));
    assert_eq!(decide(&mut kernel, &sweep("a")).seq, JournalSeq(1));
}

/// A disk that fails after the append is no "not done": the entry is in the journal.
#[test]
fn views_that_cannot_be_kept_after_an_append_end_the_kernel() {
    let failed = |persisted| Fault::SyncError { persisted };
    for fault in [Fault::NoSpace, failed(false), failed(true)] {
        let (journal, disk) = (Elsewhere::new(), MemoryDisk::new());
        let mut kernel = open_with(&journal, &disk).unwrap();
        kernel.apply(&sweep("a")).unwrap();
        disk.inject(fault);
        let error = kernel.commit().unwrap_err();
        assert!(matches!(
            error,
            KernelError::Journal(JournalError::NotKept(_))
        ));
        assert!(error.is_fatal());
        assert!(kernel.release().is_empty());
        assert!(matches!(kernel.commit(), Err(KernelError::Broken)));
        drop(kernel);
        let mut kernel = open_with(&journal, &disk).unwrap();
        assert_eq!(kernel.head().seq, JournalSeq(1));
        assert_eq!(decide(&mut kernel, &sweep("a")).seq, JournalSeq(1));
    }
}

/// Folders of the first builds name no journal in the row; the next command adds it.
#[test]
fn views_that_name_no_journal_are_taken_at_its_head_and_bound_by_the_next_command() {
    let disk = disk_with_books();
    let row = payload(&disk, Table::Meta, b"applied");
    let unbound = |seq: u64| [&seq.to_be_bytes(), &row[8..16]].concat();
    change(&disk, &[(Table::Meta, b"applied", Some(unbound(3)))]);
    assert!(matches!(
        open(&disk),
        Err(KernelError::Behind { applied: 3, .. })
    ));
    change(&disk, &[(Table::Meta, b"applied", Some(unbound(4)))]);
    let mut kernel = open(&disk).unwrap();
    let sweep = command(
        "next",
        1_000_000,
        LEDGER_DOMAIN,
        LedgerCommand::Sweep.encode(),
    );
    decide(&mut kernel, &sweep);
    drop(kernel);
    assert_eq!(payload(&disk, Table::Meta, b"applied").len(), row.len());
    open(&disk).unwrap();
}

#[test]
fn views_ahead_of_their_journal_or_of_another_one_are_refused() {
    let (journal, disk) = (Elsewhere::new(), MemoryDisk::new());
    let mut kernel = open_with(&journal, &disk).unwrap();
    decide(&mut kernel, &sweep("a"));
    drop(kernel);
    let emptied = Elsewhere::new();
    emptied.clone().create(JOURNAL).unwrap();
    assert!(matches!(
        open_with(&emptied, &disk),
        Err(KernelError::Behind {
            applied: 1,
            head: 0
        })
    ));
    let other = Elsewhere::new();
    let mut longer = open_with(&other, &MemoryDisk::new()).unwrap();
    for key in ["b", "c"] {
        decide(&mut longer, &sweep(key));
    }
    assert!(matches!(
        open_with(&other, &disk),
        Err(KernelError::OtherJournal { applied: 1 })
    ));
    let renamed = Elsewhere::new();
    renamed
        .clone()
        .create(JournalId::from_bytes([1; 16]))
        .unwrap();
    assert!(matches!(
        open_with(&renamed, &disk),
        Err(KernelError::OtherJournal { applied: 1 })
    ));
    assert_eq!(kernel_reopens(&journal, &disk), JournalSeq(1));
}

fn kernel_reopens(journal: &Elsewhere, disk: &MemoryDisk) -> JournalSeq {
    open_with(journal, disk).unwrap().head().seq
}

#[test]
fn a_fresh_folder_gets_its_journal() {
    let disk = MemoryDisk::new();
    let made = kernel(&disk, Logic::CURRENT).head();
    assert_eq!(made, Head::start(JOURNAL));
    let other = JournalId::from_bytes([3; 16]);
    let again = Kernel::open(store(&disk), domains(), Logic::CURRENT, other).unwrap();
    assert_eq!(again.head(), made);
}
