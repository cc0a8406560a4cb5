//! A commit that failed: nothing of it leaves, the peer goes, the disk decides.
//!
//! The world asserts at each failure that no output was released, drops the peer
//! with its connection, and opens another from the disk, as the driver does.

use khlong_node::api::Delivery;
use khlong_store::engine::faults::{Fault, FaultKind};

use crate::conversation::pair;
use crate::net::{Net, is_append, is_push};

fn fails_while_sending(persisted: bool) {
    let mut net = Net::new(61, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "acknowledged");
    let appends = net.post.sent("mali", is_append).len();
    net.people["mali"]
        .node
        .disk
        .inject(Fault::SyncError { persisted });
    let told = net.at("mali").try_send("canal", "of unknown fate");
    assert!(told.is_err(), "no answer that could be believed");
    let mali = &net.people["mali"];
    assert_eq!(mali.node.disk.fired(FaultKind::SyncError), 1);
    assert_eq!(mali.failures.len(), 1, "{:?}", mali.failures);
    assert_eq!(
        net.post.sent("mali", is_append).len(),
        appends,
        "nothing left"
    );

    let on_disk = net.at("mali").bodies("canal");
    let expected: &[&str] = if persisted {
        &["acknowledged", "of unknown fate"]
    } else {
        &["acknowledged"]
    };
    assert_eq!(on_disk, expected, "the disk knows");
    if !persisted {
        // A person looks, and writes it again.
        net.at("mali").send("canal", "of unknown fate");
    }
    assert_eq!(
        net.at("mali").delivery("canal", "of unknown fate"),
        Delivery::Queued
    );
    net.settle();
    net.assert_converged("canal");
    assert_eq!(
        net.at("ton").bodies("canal"),
        ["acknowledged", "of unknown fate"]
    );
    let hub = net.relay.hub.as_ref().unwrap();
    assert_eq!(
        hub.stats().forks_seen,
        0,
        "no place of the chain was used twice"
    );
}

#[test]
fn a_send_whose_commit_failed_and_is_not_on_the_disk() {
    fails_while_sending(false);
}

#[test]
fn a_send_whose_commit_failed_and_is_on_the_disk() {
    fails_while_sending(true);
}

fn fails_while_receiving(persisted: bool) {
    let mut net = Net::new(62, &["mali", "ton"]);
    pair(&mut net);
    let pushes = net.post.sent("ton", is_push).len();
    net.people["ton"]
        .node
        .disk
        .inject(Fault::SyncError { persisted });
    net.at("mali").send("canal", "once");
    net.run_until("ton's commit fails", |net| {
        !net.people["ton"].failures.is_empty()
    });
    assert_eq!(net.people["ton"].node.disk.fired(FaultKind::SyncError), 1);
    assert_eq!(net.post.sent("ton", is_push).len(), pushes + 1);
    assert_eq!(
        net.at("ton").bodies("canal").len(),
        usize::from(persisted),
        "the disk knows"
    );
    assert!(
        net.at("mali").delivery("canal", "once") < Delivery::Delivered,
        "ton has acknowledged nothing"
    );
    net.settle();
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal"), ["once"]);
    assert_eq!(
        net.at("mali").delivery("canal", "once"),
        Delivery::Delivered
    );
}

#[test]
fn a_push_whose_commit_failed_and_is_not_on_the_disk() {
    fails_while_receiving(false);
}

#[test]
fn a_push_whose_commit_failed_and_is_on_the_disk() {
    fails_while_receiving(true);
}

/// Wherever in a conversation a commit fails, what was answered is there, once.
#[test]
fn any_commit_may_fail() {
    let commits = run_with_failure_at(None, false);
    assert!(commits > 10, "{commits}");
    for nth in 0..commits {
        run_with_failure_at(Some(nth), nth % 2 == 0);
    }
}

/// Joining and a conversation; ton's nth commit fails. How many commits ton made.
fn run_with_failure_at(nth: Option<u64>, persisted: bool) -> u64 {
    let mut net = Net::new(63, &["mali", "ton"]);
    net.at("mali").open_timeline("canal");
    let link = net.at("mali").invite("canal", None);
    net.settle();
    let store = |net: &Net| {
        net.people["ton"]
            .peer
            .as_ref()
            .unwrap()
            .store()
            .last_commit()
    };
    let disk = net.people["ton"].node.disk.clone();
    let before = store(&net).seq;
    if let Some(nth) = nth {
        disk.inject_after(nth, Fault::SyncError { persisted });
    }
    // What a person is told to do: look, and do again what is not there.
    if net.at("ton").try_join(&link).is_err() && net.at("ton").timelines().is_empty() {
        net.at("ton").join(&link);
    }
    net.settle();
    net.at("mali").send("canal", "one");
    net.settle();
    let told = net.at("ton").try_send("canal", "two");
    if told.is_err() && !net.at("ton").bodies("canal").contains(&"two".to_owned()) {
        net.at("ton").send("canal", "two");
    }
    net.settle();
    let fired = disk.fired(FaultKind::SyncError);
    assert_eq!(fired, u64::from(nth.is_some()), "at commit {nth:?}");
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal"), ["one", "two"], "{nth:?}");
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"], "{nth:?}");
    store(&net).seq - before
}

/// A request meets the failing disk before any commit: what is half done of it
/// must not be committed, although the person was told that it was refused.
#[test]
fn a_request_under_which_the_disk_failed_changes_nothing() {
    let mut net = Net::new(64, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "acknowledged");
    net.settle();
    let appends = net.post.sent("mali", is_append).len();
    let disk = net.people["mali"].node.disk.clone();
    disk.inject(Fault::ReadError);
    assert!(net.at("mali").try_send("canal", "half done").is_err());
    assert_eq!(disk.fired(FaultKind::ReadError), 1);
    assert_eq!(net.people["mali"].failures.len(), 1, "and the peer went");
    assert_eq!(net.at("mali").bodies("canal"), ["acknowledged"]);
    net.settle();
    assert_eq!(net.post.sent("mali", is_append).len(), appends);
    net.at("mali").send("canal", "after that");
    net.settle();
    assert_eq!(
        net.at("ton").bodies("canal"),
        ["acknowledged", "after that"]
    );
    net.assert_converged("canal");
}
