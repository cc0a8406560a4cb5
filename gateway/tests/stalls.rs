//! A disk that must wait. Whoever fills a folder, or catches up, waits with it; and what a journal
//! elsewhere has already is kept once, when the disk goes on.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::path::Path;
use std::time::{Duration, Instant};

use fixture::elsewhere::Elsewhere;
use fixture::{JOURNAL, command, decide, domains, opening, options, pay, store};
use khlong_gateway::app::patience::BulkPatience;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, account};
use khlong_gateway::kernel::{Command, Kernel, KernelError, Logic, adopt, replay, state_hash};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::journal::{Head, JournalError, JournalSeq};
use khlong_store::store::Store;

/// More than one commit holds.
const TRANSFERS: u64 = 1_100;

fn ledger(key: &str, body: &LedgerCommand) -> Command {
    command(key, 1_000_000, LEDGER_DOMAIN, body.encode())
}

fn payment(n: u64) -> Command {
    let transfer = pay(n.into(), 1, 2, 1);
    let body = LedgerCommand::CreateTransfers(vec![transfer]);
    ledger(&format!("pay {n}"), &body)
}

fn pay_all(kernel: &mut Kernel, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        if matches!(kernel.apply(&payment(n)), Err(KernelError::GroupFull)) {
            kernel.commit().unwrap();
            kernel.release();
            kernel.apply(&payment(n)).unwrap();
        }
    }
    kernel.commit().unwrap();
    kernel.release();
}

fn open_accounts(kernel: &mut Kernel) {
    for (key, body) in ["assets", "accounts"].iter().zip(opening(2)) {
        decide(kernel, &ledger(key, &body));
    }
}

/// A journal, and what its views were in the middle.
fn books() -> (Kernel, MemoryDisk, Head) {
    let disk = MemoryDisk::new();
    let mut kernel = Kernel::open(store(&disk), domains(), Logic::CURRENT, JOURNAL).unwrap();
    open_accounts(&mut kernel);
    pay_all(&mut kernel, 1..=TRANSFERS);
    let (at, name) = (kernel.head(), Path::new("middle"));
    kernel.store().checkpoint(name).unwrap();
    pay_all(&mut kernel, TRANSFERS + 1..=2 * TRANSFERS);
    (
        kernel,
        MemoryDisk::from_checkpoint(&disk, name).unwrap(),
        at,
    )
}

/// One that must wait before each commit.
fn stalling() -> MemoryDisk {
    let disk = MemoryDisk::new();
    stall_always(&disk);
    disk
}

fn stall_always(disk: &MemoryDisk) {
    disk.inject(Fault::Stall);
    for _ in 0..1_000 {
        disk.inject_after(1, Fault::Stall);
    }
}

fn patient(disk: &MemoryDisk) -> Store {
    let patience = Box::new(BulkPatience::default());
    Store::in_memory_patiently(disk, &options(), patience).unwrap()
}

fn stalls(disk: &MemoryDisk) -> u64 {
    disk.fired(FaultKind::Stall)
}

fn same(left: &Kernel, right: &Kernel) {
    assert_eq!(left.head(), right.head());
    let states = [left, right].map(|kernel| state_hash(kernel.store()).unwrap());
    assert!(states.first() == states.last(), "another state");
}

#[test]
fn a_folder_is_made_although_each_commit_is_put_off() {
    let disk = stalling();
    let kernel = Kernel::open(patient(&disk), domains(), Logic::CURRENT, JOURNAL).unwrap();
    assert_eq!(kernel.head(), Head::start(JOURNAL));
    // Of opening the store, and of beginning the journal.
    let fired = stalls(&disk);
    assert!(fired >= 3, "{fired} stalls");
    // Who has no patience is told of the first one.
    let disk = stalling();
    let refused = Store::in_memory(&disk, &options()).err().unwrap();
    assert!(
        matches!(refused, StoreError::Engine(EngineError::Busy)),
        "{refused}"
    );
    assert_eq!(stalls(&disk), 1);
}

#[test]
fn a_replay_waits_for_its_disk_also_behind_a_snapshot() {
    let (books, middle, at) = books();
    let disk = stalling();
    let mut whole = Kernel::open(patient(&disk), domains(), Logic::CURRENT, JOURNAL).unwrap();
    let before = stalls(&disk);
    replay(books.store(), &mut whole).unwrap();
    let fired = stalls(&disk) - before;
    assert!(fired >= 3, "{fired} stalls in a replay of several commits");
    same(&books, &whole);

    let disk = stalling();
    let mut behind = patient(&disk);
    let before = stalls(&disk);
    adopt(books.store(), &store(&middle), &at, &mut behind).unwrap();
    let fired = stalls(&disk) - before;
    assert!(fired >= 3, "{fired} stalls while a snapshot is taken over");
    let mut behind = Kernel::open(behind, domains(), Logic::CURRENT, JOURNAL).unwrap();
    assert_eq!(behind.head(), at);
    replay(books.store(), &mut behind).unwrap();
    same(&books, &behind);
}

fn open_with(journal: &Elsewhere, store: Store) -> Result<Kernel, KernelError> {
    let journal = Box::new(journal.clone());
    Kernel::open_with(journal, store, domains(), Logic::CURRENT, JOURNAL)
}

fn is_unkept(error: &KernelError) -> bool {
    matches!(error, KernelError::Journal(JournalError::NotKept(_))) && !error.is_fatal()
}

#[test]
fn a_folder_catches_up_with_a_long_journal_although_each_commit_is_put_off() {
    let journal = Elsewhere::new();
    let mut first = open_with(&journal, store(&MemoryDisk::new())).unwrap();
    open_accounts(&mut first);
    pay_all(&mut first, 1..=40);
    let disk = stalling();
    let opened = patient(&disk);
    let before = stalls(&disk);
    let second = open_with(&journal, opened).unwrap();
    // It is read in parts of three.
    let fired = stalls(&disk) - before;
    assert!(fired >= 14, "{fired} stalls");
    same(&first, &second);
    // Who has no patience is told.
    let disk = MemoryDisk::new();
    let opened = store(&disk);
    disk.inject_after(3, Fault::Stall);
    let refused = open_with(&journal, opened).err().unwrap();
    assert!(is_unkept(&refused), "{refused}");
}

#[test]
fn a_disk_that_does_not_go_on_is_told_in_the_end() {
    const WITHIN: Duration = Duration::from_millis(60);
    let disk = MemoryDisk::new();
    for _ in 0..1_000 {
        disk.inject(Fault::Stall);
    }
    let began = Instant::now();
    let patience = Box::new(BulkPatience::within(WITHIN));
    let refused = Store::in_memory_patiently(&disk, &options(), patience);
    let refused = refused.err().unwrap();
    assert!(
        matches!(refused, StoreError::Engine(EngineError::Busy)),
        "{refused}"
    );
    assert!(began.elapsed() >= WITHIN);
    let fired = stalls(&disk);
    assert!((2..100).contains(&fired), "{fired} tries");
}

#[test]
fn one_that_serves_is_told_at_once() {
    let disk = MemoryDisk::new();
    let mut kernel = Kernel::open(patient(&disk), domains(), Logic::CURRENT, JOURNAL).unwrap();
    disk.inject(Fault::Stall);
    open_accounts(&mut kernel);
    assert_eq!(stalls(&disk), 1, "it was waited for");
    kernel.end_patience();
    disk.inject(Fault::Stall);
    kernel.apply(&payment(1)).unwrap();
    let refused = kernel.commit().unwrap_err();
    assert!(matches!(
        refused,
        KernelError::Store(StoreError::Engine(EngineError::Busy))
    ));
    kernel.commit().unwrap();
    assert_eq!(kernel.release().len(), 1);
}

/// `credits_posted` of account 2.
fn paid(kernel: &Kernel) -> u128 {
    let found = account(kernel.store(), 2).unwrap().unwrap();
    found.balances.credits_posted
}

#[test]
fn what_the_journal_has_is_kept_once_when_the_disk_goes_on() {
    for is_full in [false, true] {
        let (journal, disk) = (Elsewhere::new(), MemoryDisk::new());
        let mut kernel = open_with(&journal, store(&disk)).unwrap();
        open_accounts(&mut kernel);
        kernel.apply(&payment(1)).unwrap();
        for tries in 1..=3 {
            if is_full {
                disk.set_free_bytes(Some(0));
            } else {
                disk.inject(Fault::Stall);
            }
            let refused = kernel.commit().unwrap_err();
            assert!(is_unkept(&refused), "{refused}");
            assert_eq!(refused.exit_code(), if is_full { 7 } else { 1 });
            let kind = if is_full {
                FaultKind::DiskFull
            } else {
                FaultKind::Stall
            };
            assert_eq!(disk.fired(kind), tries);
            // Nobody is answered, and nothing is decided behind it.
            assert!(kernel.release().is_empty());
            let refused = kernel.apply(&payment(2)).unwrap_err();
            assert!(matches!(refused, KernelError::GroupFull), "{refused}");
            // The journal has it, once: another gateway knows it already.
            let other = open_with(&journal, store(&MemoryDisk::new())).unwrap();
            assert_eq!((other.head().seq, paid(&other)), (JournalSeq(3), 1));
        }
        disk.set_free_bytes(None);
        kernel.commit().unwrap();
        assert_eq!(kernel.release().len(), 1);
        assert_eq!(paid(&kernel), 1);
        // It goes on, and comes to what a gateway comes to that saw nothing of it.
        assert_eq!(decide(&mut kernel, &payment(2)).seq, JournalSeq(4));
        let other = open_with(&journal, store(&MemoryDisk::new())).unwrap();
        same(&kernel, &other);
        drop(kernel);
        let again = open_with(&journal, store(&disk)).unwrap();
        same(&again, &other);
    }
}

#[test]
fn one_that_follows_goes_on_where_its_disk_put_it_off() {
    // Nine entries come in parts of three.
    for part in 0..3 {
        for commits in [false, true] {
            let (journal, disk) = (Elsewhere::new(), MemoryDisk::new());
            let mut first = open_with(&journal, store(&MemoryDisk::new())).unwrap();
            let mut second = open_with(&journal, store(&disk)).unwrap();
            open_accounts(&mut first);
            pay_all(&mut first, 1..=7);
            disk.inject_after(part, Fault::Stall);
            let refused = second.follow().unwrap_err();
            assert!(is_unkept(&refused), "{refused}");
            assert_eq!(stalls(&disk), 1);
            // What others were answered is not answered again, and nothing is decided on half of it.
            assert!(second.release().is_empty());
            let refused = second.apply(&payment(8)).unwrap_err();
            assert!(matches!(refused, KernelError::GroupFull), "{refused}");
            if commits {
                second.commit().unwrap();
                assert!(second.release().is_empty());
                // Kept is what was read; on less than all there is nothing is decided either.
                if part < 2 {
                    let refused = second.apply(&payment(8)).unwrap_err();
                    let is_behind = matches!(refused, KernelError::NotFollowed);
                    assert!(is_behind && !refused.is_fatal(), "{refused}");
                }
            }
            second.follow().unwrap();
            same(&first, &second);
            assert_eq!(paid(&second), 7);
            assert_eq!(decide(&mut second, &payment(8)).seq, JournalSeq(10));
            first.follow().unwrap();
            same(&first, &second);
        }
    }
}
