//! A kernel that stops: whoever waits is told so, and the process ends with its reason.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};

use khlong_crdt::id::LogId;
use khlong_gateway::app::{AppError, DriverClock};
use khlong_gateway::domains::ledger::{Ledger, account};
use khlong_gateway::kernel::{Kernel, KernelError, Logic};
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::JournalId;
use khlong_store::store::{OpenOptions, Store};
use serde_json::json;

use crate::client::try_call;
use crate::server::{Server, pay, set_up, wall};

fn open(disk: &MemoryDisk) -> Kernel {
    let options = OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes([7; 16]),
        accept_loss: false,
        sizes: RocksOptions {
            write_buffer_bytes: 1024 * 1024,
            block_cache_bytes: 1024 * 1024,
            reserve_bytes: 1024 * 1024,
        },
    };
    let store = Store::in_memory(disk, &options).unwrap();
    let journal = JournalId::from_bytes([9; 16]);
    Kernel::open(
        store,
        vec![Box::new(Ledger::without_owners())],
        Logic::CURRENT,
        journal,
    )
    .unwrap()
}

const NOW: i64 = 1_800_000_000_000;

/// A clock that stands still.
fn still() -> DriverClock {
    wall(|| NOW)
}

fn start(disk: &MemoryDisk) -> Server {
    start_at(disk, still())
}

fn start_at(disk: &MemoryDisk, clock: DriverClock) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk.clone();
    let open = Box::new(move || Ok(open(&disk)));
    let server = Server::on(folder.path(), open, clock);
    // Not `/readyz`: a disk may be full from the start.
    while try_call(server.address, "GET", "/startupz", &[], b"")
        .unwrap()
        .status
        != 200
    {
        std::thread::yield_now();
    }
    server
}

#[test]
fn a_failed_commit_answers_nobody_and_ends_the_process() {
    for persisted in [false, true] {
        let disk = MemoryDisk::new();
        let server = start(&disk);
        set_up(server.address, 2);
        disk.inject(Fault::SyncError { persisted });
        let refused = server.send("k", json!([pay(1, 1, 2, 5)]));
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (503, "stopped")
        );
        match server.ended() {
            Err(error @ AppError::Kernel(KernelError::Store(_))) => {
                assert_ne!(error.exit_code(), 0);
            }
            other => panic!("{other:?}"),
        }
        // Whether it was decided is told by the same request again.
        disk.crash();
        let server = start(&disk);
        assert_eq!(server.send("k", json!([pay(1, 1, 2, 5)])).results(), ["ok"]);
        assert_eq!(server.balance(2, "credits_posted"), "5");
        server.stop().unwrap();
    }
}

#[test]
fn a_stalled_commit_is_tried_again() {
    let disk = MemoryDisk::new();
    let server = start(&disk);
    set_up(server.address, 2);
    disk.inject(Fault::Stall);
    assert_eq!(server.send("k", json!([pay(1, 1, 2, 5)])).results(), ["ok"]);
    server.stop().unwrap();
    let kernel = open(&disk);
    let found = account(kernel.store(), 2).unwrap().unwrap();
    assert_eq!(found.balances.credits_posted, 5);
}

#[test]
fn a_full_disk_refuses_what_is_new_and_answers_what_was_decided() {
    let disk = MemoryDisk::new();
    let server = start(&disk);
    set_up(server.address, 2);
    let paid = server.send("k", json!([pay(1, 1, 2, 5)]));
    assert_eq!(paid.results(), ["ok"]);
    server.stop().unwrap();
    disk.set_free_bytes(Some(32 * 1024 * 1024));
    let server = start(&disk);
    let refused = server.send("new", json!([pay(2, 1, 2, 5)]));
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (503, "disk-full")
    );
    // It may be the retry of one that was decided elsewhere: nothing else is claimed.
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("an earlier one"), "{detail}");
    let again = server.send("k", json!([pay(1, 1, 2, 5)]));
    assert_eq!((again.status, &again.body), (200, &paid.body));
    let reused = server.send("k", json!([pay(1, 1, 2, 6)]));
    assert_eq!(reused.problem(), "idempotency-key-reused");
    assert_eq!(server.get("/v1/journal/head").status, 200);
    assert_eq!(server.get("/readyz").status, 503);
    // There is room again: it is seen although nobody asks for anything.
    disk.set_free_bytes(None);
    server.wait();
    let sent = server.send("new", json!([pay(2, 1, 2, 5)]));
    assert_eq!(sent.results(), ["ok"]);
    server.stop().unwrap();
}

#[test]
fn a_clock_that_is_not_believed_ends_the_process() {
    for wrong in [NOW + 16 * 60_000, NOW - 16 * 60_000, -1] {
        let disk = MemoryDisk::new();
        let time = Arc::new(AtomicI64::new(NOW));
        let read = Arc::clone(&time);
        let clock = wall(move || read.load(Ordering::SeqCst));
        let server = start_at(&disk, Arc::clone(&clock));
        set_up(server.address, 2);
        let paid = server.send("k", json!([pay(1, 1, 2, 5)]));
        assert_eq!(paid.results(), ["ok"]);
        time.store(wrong, Ordering::SeqCst);
        // What is told leaves open whether it was decided.
        let refused = server.send("k", json!([pay(1, 1, 2, 5)]));
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (503, "stopped")
        );
        match server.ended() {
            Err(error @ AppError::Kernel(KernelError::Clock { .. })) => {
                assert_eq!(error.exit_code(), 3);
            }
            other => panic!("{other:?}"),
        }
        time.store(NOW, Ordering::SeqCst);
        let server = start_at(&disk, clock);
        let again = server.send("k", json!([pay(1, 1, 2, 5)]));
        assert_eq!((again.status, &again.body), (200, &paid.body));
        server.stop().unwrap();
    }
}

#[test]
fn a_stop_does_not_wait_until_the_journal_is_read() {
    let disk = MemoryDisk::new();
    let folder = tempfile::tempdir().unwrap();
    let (go, may_go) = mpsc::sync_channel::<()>(1);
    let slow = Box::new(move || {
        may_go.recv().unwrap();
        Ok(open(&disk))
    });
    let server = Server::on(folder.path(), slow, still());
    server.stop().unwrap();
    go.send(()).unwrap();
}

#[test]
fn a_read_that_panics_hurts_nobody_else() {
    let disk = MemoryDisk::new();
    let server = start(&disk);
    let answer = server.handle.begin_read(|_| panic!("on purpose"));
    let answer: tokio::sync::oneshot::Receiver<()> = answer.unwrap();
    assert!(answer.blocking_recv().is_err());
    set_up(server.address, 2);
    server.stop().unwrap();
}

#[test]
fn who_comes_while_the_journal_is_read_is_told_to_wait() {
    let disk = MemoryDisk::new();
    let folder = tempfile::tempdir().unwrap();
    let (go, may_go) = mpsc::sync_channel::<()>(1);
    let opened = disk.clone();
    let server = Server::on(
        folder.path(),
        Box::new(move || {
            may_go.recv().unwrap();
            Ok(open(&opened))
        }),
        still(),
    );
    let status = |path| {
        try_call(server.address, "GET", path, &[], b"")
            .unwrap()
            .status
    };
    assert_eq!(
        ["/livez", "/startupz", "/readyz"].map(status),
        [200, 503, 503]
    );
    for refused in [
        server.get("/v1/journal/head"),
        server.send("k", json!([pay(1, 1, 2, 5)])),
    ] {
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (503, "starting")
        );
        assert_eq!(refused.headers["retry-after"], "1");
    }
    go.send(()).unwrap();
    server.wait();
    assert_eq!(["/livez", "/startupz", "/readyz"].map(status), [200; 3]);
    set_up(server.address, 2);
    // What was refused was not decided: its key is free for another request.
    let sent = server.send("k", json!([pay(1, 1, 2, 6)]));
    assert_eq!(sent.results(), ["ok"]);
    server.stop().unwrap();
}

#[test]
fn a_folder_that_is_not_to_be_opened_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = || Err(AppError::Kernel(KernelError::NoJournal));
    let server = Server::on(folder.path(), Box::new(damaged), still());
    let error = server.ended().unwrap_err();
    assert_eq!(error.exit_code(), 9);
}
