//! A disk that fails, is full or busy: what is refused, and what is there again.

use std::collections::BTreeMap;

use khlong_crdt::id::ArrivalSeq;
use khlong_relay::hub::{HubFailure, Policy};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::tables::timelines;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;

use super::{opened, refusal};
use crate::support::open;
use crate::support::virtual_world::World;

#[test]
fn a_failed_commit_ends_the_core_without_an_ack_and_everything_acknowledged_is_there_again() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let kept = admin.write(b"acknowledged");
    world.append(conn, vec![kept.clone()]);

    for persisted in [false, true] {
        world.disk.inject(Fault::SyncError { persisted });
        let conn = world.connect(None);
        world.prove(conn, &admin);
        let acks_before = world.client(conn).acks.len();
        let lost = admin.write(b"never acknowledged");
        world.offer(conn, vec![lost.clone()]);
        let failure = world.try_settle().unwrap_err();
        assert!(matches!(failure, HubFailure::Commit(_)), "{failure}");
        assert_eq!(
            world.disk.fired(FaultKind::SyncError),
            1 + u64::from(persisted),
            "the fault never happened"
        );
        assert_eq!(
            world.client(conn).acks.len(),
            acks_before,
            "an ack left although the commit failed"
        );

        world.rebuild();
        assert!(
            timelines::get(world.hub.store(), &kept.id())
                .unwrap()
                .is_some(),
            "an acknowledged envelope is gone"
        );
        let conn = world.connect(None);
        world.prove(conn, &admin);
        let outcome = world.append(conn, vec![lost])[0];
        // The client sends it again, as it must: its fate was unknown.
        assert!(outcome.is_kept(), "{outcome:?}");
    }
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let kept = admin.write(b"before");
    world.append(conn, vec![kept.clone()]);
    world.disk.set_free_bytes(Some(10));
    let refused = admin.write(b"no room");
    let outcomes = world.append(conn, vec![refused.clone(), kept.clone()]);
    assert_eq!(refusal(&outcomes[0]), Some(ErrorCode::DiskFull));
    assert!(matches!(
        outcomes[0],
        AppendOutcome::Refused {
            retry_after_ms: Some(1..),
            ..
        }
    ));
    assert_eq!(
        outcomes[1],
        AppendOutcome::Duplicate {
            arrival: ArrivalSeq(1)
        },
        "what was here is still here"
    );
    assert!(world.hub.stats().disk_full);

    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    assert_eq!(
        world.client(reader).inbox.texts(),
        [kept.id()],
        "reads go on"
    );

    world.disk.set_free_bytes(None);
    let outcomes = world.append(conn, vec![refused.clone()]);
    assert_eq!(
        outcomes,
        [AppendOutcome::Stored {
            arrival: ArrivalSeq(2)
        }]
    );
    assert!(!world.hub.stats().disk_full);
    assert_eq!(
        world.client(reader).inbox.texts(),
        [kept.id(), refused.id()],
        "the reader missed nothing"
    );
}

#[test]
fn what_a_refused_batch_would_have_held_is_not_counted() {
    let mut world = World::new(Policy::default());
    let conn = world.connect(None);
    let (timeline, mut admin, intro) = open(1);
    world.prove(conn, &admin);
    let counted = |world: &World| {
        let stats = world.hub.stats();
        (
            stats.timelines_opened,
            stats.forks_seen,
            stats.envelopes_stored,
        )
    };

    let opening = vec![timeline.genesis, intro];
    world.disk.set_free_bytes(Some(10));
    let refused = world.append(conn, opening.clone());
    assert_eq!(refusal(&refused[0]), Some(ErrorCode::DiskFull));
    assert_eq!(counted(&world), (0, 0, 0));
    world.disk.set_free_bytes(None);
    world.append(conn, opening);
    assert_eq!(counted(&world), (1, 0, 2));

    let prev = admin.head();
    let fork = vec![admin.write(b"one story"), admin.fork(b"another", prev)];
    world.disk.inject(Fault::Stall);
    let refused = world.append(conn, fork.clone());
    assert_eq!(refusal(&refused[1]), Some(ErrorCode::Busy));
    assert_eq!(counted(&world), (1, 0, 2));
    world.append(conn, fork.clone());
    assert_eq!(counted(&world), (1, 1, 4));
    world.append(conn, fork);
    assert_eq!(counted(&world), (1, 1, 4), "nor what was here already");
}

#[test]
fn a_busy_engine_is_a_typed_refusal_and_not_the_end() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    world.disk.inject(Fault::Stall);
    let envelope = admin.write(b"wait");
    assert_eq!(
        refusal(&world.append(conn, vec![envelope.clone()])[0]),
        Some(ErrorCode::Busy)
    );
    assert_eq!(world.disk.fired(FaultKind::Stall), 1);
    assert!(world.append(conn, vec![envelope])[0].is_kept());
}

#[test]
fn a_read_error_of_the_disk_ends_the_core() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let envelope = admin.write(b"unlucky");
    world.offer(conn, vec![envelope]);
    world.disk.inject(Fault::ReadError);
    let failure = world.try_settle().unwrap_err();
    assert!(matches!(failure, HubFailure::Read(_)), "{failure}");
    assert_eq!(world.disk.fired(FaultKind::ReadError), 1);
}
