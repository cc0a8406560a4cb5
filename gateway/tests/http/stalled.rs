//! A local disk that is busy or full, while the journal lies elsewhere and has the entries already.

use khlong_gateway::app::AppError;
use khlong_gateway::app::limits::COMMIT_WITHIN;
use khlong_gateway::domains;
use khlong_gateway::kernel::{Kernel, KernelError, Logic};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalError;
use serde_json::json;

use crate::days::{TODAY, Time, start_on};
use crate::fixture::elsewhere::Elsewhere;
use crate::fixture::{JOURNAL, store};
use crate::metrics::metrics;
use crate::server::{Server, pay, set_up};
use crate::until::until;

fn beside(disk: &MemoryDisk, elsewhere: &Elsewhere, time: &Time) -> Server {
    let (disk, journal) = (disk.clone(), Box::new(elsewhere.clone()));
    start_on(time, move || {
        let (store, all) = (store(&disk), domains::all());
        Kernel::open_with(journal, store, all, Logic::CURRENT, JOURNAL).unwrap()
    })
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
