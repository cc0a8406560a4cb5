//! What the driver waits for by its own clock: a look at the disk, at old keys, and the tries of a
//! commit that writes nothing. A test moves that clock, so nothing here waits for hours.

use std::time::{Duration, Instant};

use khlong_gateway::app::limits::{COMMIT_WITHIN, DISK_LOOK_EVERY, EVICT_EVERY};
use khlong_gateway::app::{AppError, Options};
use khlong_gateway::domains;
use khlong_gateway::kernel::KernelError;
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::{EngineError, StoreError};
use serde_json::json;

use crate::client::Reply;
use crate::days::{TODAY, Time, kernel, start};
use crate::due::pass;
use crate::server::{Server, often, pay, set_up};
use crate::until::until;

fn noon() -> Time {
    Time::at(TODAY.start().0 + 12 * 3_600_000)
}

pub(crate) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap()
}

/// Is it taken?
fn problem(reply: &Reply) -> Option<String> {
    (reply.status != 200).then(|| reply.problem())
}

#[test]
fn the_disk_is_looked_at_by_the_drivers_clock() {
    let (disk, time) = (MemoryDisk::new(), noon());
    let server = start(&disk, &time);
    set_up(server.address, 2);
    let send = |id: u64| problem(&server.send(&id.to_string(), json!([pay(id, 1, 2, 1)])));
    // Below the headroom of the driver, above the reserve of the store.
    disk.set_free_bytes(Some(32 * 1024 * 1024));
    time.pass(millis(DISK_LOOK_EVERY) - 1);
    assert_eq!(send(1), None, "it has not looked again");
    time.pass(1);
    assert_eq!(send(2).as_deref(), Some("disk-full"));
    disk.set_free_bytes(None);
    time.pass(millis(DISK_LOOK_EVERY) - 1);
    assert_eq!(send(2).as_deref(), Some("disk-full"), "nor has it now");
    time.pass(1);
    assert_eq!(send(2), None);
    server.stop().unwrap();
}

#[test]
fn old_keys_are_looked_for_every_hour_of_the_drivers_clock() {
    const MINUTE: Duration = Duration::from_secs(60);
    let (disk, time) = (MemoryDisk::new(), noon());
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        keep_keys: 2 * EVICT_EVERY,
        ..often(folder.path())
    };
    let open = Box::new(move || Ok(kernel(&disk, domains::all())));
    let server = Server::with_clock(options, open, time.clock());
    server.wait();
    set_up(server.address, 2);
    let other = |amount| problem(&server.send("k", json!([pay(amount, 1, 2, amount)])));
    assert_eq!(other(1), None);
    // It looks when an hour has passed since it looked last: at 70 minutes, where this clock stops
    // on its way, and at 130.
    pass(&server, &time, 119 * MINUTE);
    assert_eq!(other(2).as_deref(), Some("idempotency-key-reused"));
    pass(&server, &time, 10 * MINUTE);
    assert_eq!(
        other(3).as_deref(),
        Some("idempotency-key-reused"),
        "its time is over, and nobody has looked"
    );
    pass(&server, &time, 2 * MINUTE);
    assert_eq!(other(4), None);
    server.stop().unwrap();
}

#[test]
fn a_commit_that_writes_nothing_is_given_up_by_the_drivers_clock() {
    let (disk, time) = (MemoryDisk::new(), noon());
    let server = start(&disk, &time);
    set_up(server.address, 2);
    let began = Instant::now();
    // More tries than there are in the test's time.
    for _ in 0..1_000 {
        disk.inject(Fault::Stall);
    }
    let told = std::thread::scope(|scope| {
        let client = scope.spawn(|| server.send("k", json!([pay(1, 1, 2, 5)])));
        until("the commit was tried twice", || {
            disk.fired(FaultKind::Stall) >= 2
        });
        assert!(!client.is_finished(), "whoever waits goes on waiting");
        time.pass(millis(COMMIT_WITHIN));
        client.join().unwrap()
    });
    assert_eq!((told.status, told.problem().as_str()), (503, "stopped"));
    match server.ended() {
        Err(AppError::Kernel(KernelError::Store(StoreError::Engine(EngineError::Busy)))) => {}
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < COMMIT_WITHIN, "by another clock");
    // Nothing was written.
    disk.forget_faults();
    let server = start(&disk, &time);
    assert_eq!(server.balance(2, "credits_posted"), "0");
    server.stop().unwrap();
}
