//! Clients that ask at the same time share a commit: what comes while the disk has one waits for the next one, all
//! together.

use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use serde_json::json;

use crate::days::{TODAY, Time, start};
use crate::metrics::metrics;
use crate::server::{Server, pay, set_up};
use crate::until::until;

/// As many as there are connections to be sure of, and fewer than one turn of the driver takes.
const CLIENTS: u64 = 64;

/// A sample without labels, which is a whole number.
fn sample(server: &Server, name: &str) -> u64 {
    let text = metrics(server);
    let name = format!("khlong_gateway_{name} ");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&name)).unwrap();
    value.strip_suffix(".0").unwrap_or(value).parse().unwrap()
}

/// Commits so far, and entries in them.
fn commits(server: &Server) -> [u64; 2] {
    ["commit_entries_count", "commit_entries_sum"].map(|name| sample(server, name))
}

fn pays(server: &Server, id: u64) {
    let reply = server.send(&id.to_string(), json!([pay(id, 1, 2, 1)]));
    assert_eq!(reply.results(), ["ok"]);
}

fn wait_for_queue(server: &Server) {
    until("all of them are in the queue", || {
        sample(server, "queue_inputs") == CLIENTS
    });
}

#[test]
fn who_waits_for_the_driver_shares_one_commit() {
    let server = start(&MemoryDisk::new(), &Time::at(TODAY.start().0));
    set_up(server.address, 2);
    let [before, entries] = commits(&server);
    let held = server.hold_driver();
    std::thread::scope(|scope| {
        for id in 1..=CLIENTS {
            let server = &server;
            scope.spawn(move || pays(server, id));
        }
        wait_for_queue(&server);
        held.let_go();
    });
    assert_eq!(
        commits(&server),
        [before + 1, entries + CLIENTS],
        "one commit for all of them"
    );
    assert_eq!(server.balance(2, "credits_posted"), CLIENTS.to_string());
    server.stop().unwrap();
}

#[test]
fn who_comes_while_the_disk_has_a_commit_shares_the_next_one() {
    let disk = MemoryDisk::new();
    // The clock stands still: the commit is not given up.
    let server = start(&disk, &Time::at(TODAY.start().0));
    set_up(server.address, 2);
    let [before, entries] = commits(&server);
    // More than there are tries in the test's time.
    for _ in 0..10_000 {
        disk.inject(Fault::Stall);
    }
    std::thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || pays(server, 1_000));
        until("the disk has the first one", || {
            disk.fired(FaultKind::Stall) > 0
        });
        for id in 1..=CLIENTS {
            scope.spawn(move || pays(server, id));
        }
        wait_for_queue(server);
        assert_eq!(commits(server), [before, entries], "nobody is answered");
        disk.forget_faults();
    });
    assert_eq!(
        commits(&server),
        [before + 2, entries + 1 + CLIENTS],
        "one commit for the first, one for all the others"
    );
    let paid = (1 + CLIENTS).to_string();
    assert_eq!(server.balance(2, "credits_posted"), paid);
    server.stop().unwrap();
}
