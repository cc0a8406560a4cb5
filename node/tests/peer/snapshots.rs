//! Snapshots on a disk that fails: whatever is kept of them, and whenever power goes, a start
//! shows what the log holds.

use khlong_node::api::{Request, Response};
use khlong_node::peer::{Peer, SnapshotPace};
use khlong_store::engine::Durability;
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::identity::Role;
use khlong_store::tables::snapshots;

use crate::border::at;
use crate::disk::{NodeDisk, open_store};

/// At each commit.
const EACH: SnapshotPace = SnapshotPace {
    due: 1,
    at_stop: 1,
    ..SnapshotPace::PRODUCTION
};
/// The same, and each row of a snapshot in a commit of its own.
const APART: SnapshotPace = SnapshotPace {
    commit_bytes: 1,
    ..EACH
};

fn open(node: &mut NodeDisk) -> Peer {
    node.open(at(0)).unwrap().with_snapshot_pace(EACH)
}

fn begin(node: &mut NodeDisk) -> Peer {
    let mut peer = open(node);
    let new = Request::TimelineNew {
        title: "canal".to_owned(),
        kind: "group".to_owned(),
        relays: Vec::new(),
    };
    assert!(!is_refused(&peer.request(at(0), new)));
    peer.commit(at(0)).unwrap();
    peer
}

fn send(peer: &mut Peer, body: &str) -> Response {
    let send = Request::Send {
        timeline: "canal".to_owned(),
        body: body.to_owned(),
        reply_to: None,
    };
    peer.request(at(0), send)
}

fn is_refused(response: &Response) -> bool {
    matches!(response, Response::Refused { .. })
}

/// Messages, and hashes of the whole.
fn told(peer: &mut Peer) -> (Vec<String>, Response) {
    let timeline = || "canal".to_owned();
    let log = Request::Log {
        timeline: timeline(),
        from: Some(0),
        limit: Some(usize::MAX),
    };
    let Response::Messages { messages, .. } = peer.request(at(0), log) else {
        panic!("no messages")
    };
    let digest = Request::Digest {
        timeline: timeline(),
    };
    let bodies = messages.into_iter().map(|message| message.body).collect();
    (bodies, peer.request(at(0), digest))
}

/// What a start shows; it is what one shows that finds no snapshot.
fn told_after_a_start(node: &mut NodeDisk) -> Vec<String> {
    let seen = told(&mut open(node));
    let mut store = open_store(&node.disk, Role::Node);
    let mut batch = store.batch();
    for id in khlong_store::tables::timelines::timelines(&batch).unwrap() {
        snapshots::clear(&mut batch, &id).unwrap();
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    drop(store);
    assert_eq!(told(&mut open(node)), seen);
    seen.0
}

#[test]
fn a_fault_of_any_commit_leaves_what_was_acknowledged() {
    let faults = [
        Fault::SyncError { persisted: true },
        Fault::SyncError { persisted: false },
        Fault::TornCommit { kept_bytes: 40 },
        Fault::NoSpace,
        Fault::Stall,
    ];
    let mut kept = 0;
    for fault in faults {
        for nth in 0..8 {
            let mut node = NodeDisk::with_node("mali", nth);
            let mut peer = begin(&mut node);
            node.disk.inject_after(nth, fault);
            let mut acknowledged = Vec::new();
            for n in 0..5 {
                let body = format!("{n}");
                let is_taken = !is_refused(&send(&mut peer, &body));
                if !is_taken || peer.commit(at(0)).is_err() {
                    break;
                }
                acknowledged.push(body);
                if peer.keep_due_snapshots().is_err() {
                    kept += 1;
                    break;
                }
            }
            drop(peer);
            node.disk.crash_torn(30 * nth as usize);
            node.disk.forget_faults();
            let shown = told_after_a_start(&mut node);
            assert!(
                shown.starts_with(&acknowledged),
                "{fault:?} {nth} {shown:?}"
            );
        }
    }
    assert!(kept >= 3, "some of them hit a snapshot");
}

/// A page of the new snapshot is on the disk, and the head is still the old one; or some pages are,
/// and there is no head.
#[test]
fn a_fault_between_two_commits_of_one_snapshot_leaves_what_the_log_holds() {
    let faults = [
        Fault::SyncError { persisted: true },
        Fault::SyncError { persisted: false },
        Fault::TornCommit { kept_bytes: 40 },
        Fault::NoSpace,
        Fault::Stall,
    ];
    let (mut passed_over, mut taken) = (0, 0);
    for fault in faults {
        // Of each snapshot there are the page, the document of state, and the head.
        for nth in 0..4 {
            for (has_older, on_disk) in [
                (false, 0),
                (false, usize::MAX),
                (true, 0),
                (true, usize::MAX),
            ] {
                let mut node = NodeDisk::with_node("mali", nth);
                let mut peer = begin(&mut node).with_snapshot_pace(APART);
                let mut acknowledged = vec!["first".to_owned()];
                send(&mut peer, "first");
                peer.commit(at(0)).unwrap();
                if has_older {
                    peer.keep_due_snapshots().unwrap();
                    acknowledged.push("second".to_owned());
                    send(&mut peer, "second");
                    peer.commit(at(0)).unwrap();
                }
                node.disk.inject_after(nth, fault);
                let kept = peer.keep_due_snapshots();
                drop(peer);
                // All that was written before it is on the disk, or nothing of it.
                node.disk.crash_torn(on_disk);
                node.disk.forget_faults();
                let started = open(&mut node);
                match (started.restored(), kept.is_ok()) {
                    (0, _) => passed_over += 1,
                    (_, true) => taken += 1,
                    // The older one, of which nothing was replaced; or the disk kept it and said no.
                    (_, false) => {}
                }
                drop(started);
                assert_eq!(
                    told_after_a_start(&mut node),
                    acknowledged,
                    "{fault:?} {nth}"
                );
            }
        }
    }
    assert!(passed_over > 0 && taken > 0, "{passed_over} {taken}");
}

/// What failed stays in memory only; it must not be kept behind the log's back.
#[test]
fn memory_that_is_ahead_of_the_disk_is_not_kept() {
    let mut refused = 0;
    for nth in 0..12 {
        let mut node = NodeDisk::with_node("mali", nth);
        let mut peer = begin(&mut node);
        send(&mut peer, "kept");
        peer.commit(at(0)).unwrap();
        let fired = node.disk.fired(FaultKind::ReadError);
        node.disk.inject_after(nth, Fault::ReadError);
        let answer = send(&mut peer, "of which the folder knows nothing");
        let has_fired = node.disk.fired(FaultKind::ReadError) > fired;
        node.disk.forget_faults();
        if !has_fired || !is_refused(&answer) {
            continue;
        }
        refused += 1;
        peer.keep_snapshots().unwrap();
        if nth % 2 == 0 {
            peer.commit(at(0)).unwrap_err();
            peer.keep_snapshots().unwrap();
        }
        drop(peer);
        assert_eq!(told_after_a_start(&mut node), ["kept"]);
    }
    assert!(refused > 0);
}
