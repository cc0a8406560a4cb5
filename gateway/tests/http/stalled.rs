//! A local disk that is busy or full, while the journal lies elsewhere and has the entries already.

use std::time::Duration;

use khlong_gateway::app::AppError;
use khlong_gateway::app::limits::COMMIT_WITHIN;
use khlong_gateway::domains;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Command, Kernel, KernelError, Logic};
use khlong_store::engine::Durability;
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, JournalError, JournalSeq};
use serde_json::json;

use crate::days::{TODAY, Time, start_on};
use crate::fixture::elsewhere::Elsewhere;
use crate::fixture::{self, JOURNAL, command, decide, opening, store};
use crate::metrics::metrics;
use crate::server::{Server, TRANSFERS, WRITER, pay, set_up, try_post, wait_for, wall};
use crate::until::until;

fn open(disk: &MemoryDisk, elsewhere: &Elsewhere) -> Kernel {
    let (journal, all) = (Box::new(elsewhere.clone()), domains::all());
    Kernel::open_with(journal, store(disk), all, Logic::CURRENT, JOURNAL).unwrap()
}

fn beside(disk: &MemoryDisk, elsewhere: &Elsewhere, time: &Time) -> Server {
    let (disk, elsewhere) = (disk.clone(), elsewhere.clone());
    start_on(time, move || open(&disk, &elsewhere))
}

fn asked(key: &str, body: &LedgerCommand) -> Command {
    command(key, TODAY.start().0, LEDGER_DOMAIN, body.encode())
}

fn payment(id: u128) -> LedgerCommand {
    LedgerCommand::CreateTransfers(vec![fixture::pay(id, 1, 2, 1)])
}

#[test]
fn a_stall_ends_nothing_for_who_appends_and_for_who_follows() {
    let (elsewhere, time) = (Elsewhere::new(), Time::at(TODAY.start().0));
    let disks = [MemoryDisk::new(), MemoryDisk::new()];
    let [works, waits] = disks.each_ref().map(|disk| beside(disk, &elsewhere, &time));
    set_up(works.address, 2);
    for _ in 0..2 {
        disks[0].inject(Fault::Stall);
    }
    let paid = json!([pay(1, 1, 2, 5)]);
    let answer = works.send("k", paid.clone());
    assert_eq!(answer.results(), ["ok"]);
    assert_eq!(disks[0].fired(FaultKind::Stall), 2);
    assert_eq!(works.balance(2, "credits_posted"), "5");
    until("the tries are counted", || {
        metrics(&works).contains("khlong_gateway_commit_retries_total 2\n")
    });
    // The other one tells nothing older, and waits for its own disk.
    disks[1].inject(Fault::Stall);
    assert_eq!(waits.balance(2, "credits_posted"), "5");
    assert_eq!(disks[1].fired(FaultKind::Stall), 1);
    assert_eq!(waits.send("k", paid).body, answer.body);
    assert_eq!(waits.send("m", json!([pay(2, 1, 2, 1)])).results(), ["ok"]);
    assert_eq!(works.balance(2, "credits_posted"), "6");
    works.stop().unwrap();
    waits.stop().unwrap();
}

#[test]
fn a_disk_that_stays_full_ends_the_gateway_and_nobody_was_answered() {
    let (elsewhere, time) = (Elsewhere::new(), Time::at(TODAY.start().0));
    let disk = MemoryDisk::new();
    let server = beside(&disk, &elsewhere, &time);
    set_up(server.address, 2);
    // The driver does not look at the disk before its clock goes on.
    disk.set_free_bytes(Some(0));
    let paid = json!([pay(1, 1, 2, 5)]);
    let told = std::thread::scope(|scope| {
        let client = scope.spawn(|| server.send("k", paid.clone()));
        until("the disk was tried twice", || {
            disk.fired(FaultKind::DiskFull) >= 2
        });
        assert!(!client.is_finished(), "whoever waits goes on waiting");
        time.pass(i64::try_from(COMMIT_WITHIN.as_millis()).unwrap());
        client.join().unwrap()
    });
    assert_eq!((told.status, told.problem().as_str()), (503, "stopped"));
    match server.ended() {
        Err(AppError::Kernel(error @ KernelError::Journal(JournalError::NotKept(_)))) => {
            assert_eq!(error.exit_code(), 7);
        }
        other => panic!("{other:?}"),
    }
    // The journal had it: the next start applies it, and the retry is answered from it.
    disk.set_free_bytes(None);
    let server = beside(&disk, &elsewhere, &time);
    assert_eq!(server.balance(2, "credits_posted"), "5");
    assert_eq!(server.send("k", paid).results(), ["ok"]);
    assert_eq!(server.balance(2, "credits_posted"), "5");
    server.stop().unwrap();
}

/// The clock says how often the disk has put it off, which is longer than [`COMMIT_WITHIN`] in all.
#[test]
fn one_that_follows_a_long_way_has_the_time_for_each_commit_of_it() {
    const STALL: Duration = Duration::from_secs(40);
    const { assert!(2 * STALL.as_secs() > COMMIT_WITHIN.as_secs()) };
    let (elsewhere, disk) = (Elsewhere::new(), MemoryDisk::new());
    let kernel = open(&disk, &elsewhere);
    let mut other = open(&MemoryDisk::new(), &elsewhere);
    for (n, body) in opening(2)
        .into_iter()
        .chain((1..=7).map(payment))
        .enumerate()
    {
        decide(&mut other, &asked(&n.to_string(), &body));
    }
    // Nine entries come in parts of three.
    disk.inject(Fault::Stall);
    disk.inject_after(1, Fault::Stall);
    disk.inject_after(1, Fault::Stall);
    let clock = {
        let disk = disk.clone();
        let stall = i64::try_from(STALL.as_millis()).unwrap();
        wall(move || {
            let stalls = i64::try_from(disk.fired(FaultKind::Stall)).unwrap();
            TODAY.start().0 + stalls * stall
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on(folder.path(), Box::new(move || Ok(kernel)), clock);
    // Not `/readyz`, which leads to the one that appended.
    wait_for(server.address, "/startupz");
    assert_eq!(server.balance(2, "credits_posted"), "7");
    assert_eq!(disk.fired(FaultKind::Stall), 3);
    server.stop().unwrap();
}

/// No disk is to blame, and a second try would only say that the first one failed.
#[test]
fn an_entry_that_cannot_be_applied_is_what_ends_one_that_follows() {
    let (elsewhere, disk) = (Elsewhere::new(), MemoryDisk::new());
    let kernel = open(&disk, &elsewhere);
    // Two commands under one key, which no gateway appends.
    let mut forged = store(&MemoryDisk::new());
    let mut batch = forged.batch();
    journal::create(&mut batch, JOURNAL).unwrap();
    for (before, body) in opening(2).iter().enumerate() {
        let mut alone = open(&MemoryDisk::new(), &Elsewhere::new());
        decide(&mut alone, &asked("one key", body));
        let stored = journal::get(alone.store(), JournalSeq(1)).unwrap();
        let before = JournalSeq(u64::try_from(before).unwrap());
        journal::append(&mut batch, before, &[stored.unwrap().entry]).unwrap();
    }
    let writes = batch.into_writes();
    forged.commit(writes, Durability::Synced).unwrap();
    elsewhere.append_all(&forged);
    let folder = tempfile::tempdir().unwrap();
    let clock = wall(|| TODAY.start().0);
    let server = Server::on(folder.path(), Box::new(move || Ok(kernel)), clock);
    // Whoever asks has it follow at once; it may end before it answers.
    let _ = try_post(
        server.address,
        TRANSFERS,
        WRITER,
        "any",
        &json!({ "transfers": [pay(1, 1, 2, 1)] }),
    );
    match server.ended() {
        Err(AppError::Kernel(KernelError::KeyReused { seq: 1 })) => {}
        other => panic!("{other:?}"),
    }
}
