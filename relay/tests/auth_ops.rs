//! Keys and permissions are read at every start and never go: what each costs, and how
//! many a timeline may have.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_relay::hub::{AUTH_OPS_PER_MEMBER_MAX, ConnectionId, Policy};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::virtual_world::World;
use support::{Author, open};

fn opened() -> (World, ConnectionId, Author) {
    let mut world = World::new(Policy::default());
    let conn = world.connect(None);
    let (timeline, admin, intro) = open(1);
    world.prove(conn, &admin);
    store(&mut world, conn, vec![timeline.genesis, intro]);
    (world, conn, admin)
}

fn store(world: &mut World, conn: ConnectionId, envelopes: Vec<VerifiedEnvelope>) {
    for envelopes in envelopes.chunks(256) {
        let outcomes = world.append(conn, envelopes.to_vec());
        assert!(outcomes.iter().all(AppendOutcome::is_kept), "{outcomes:?}");
    }
}

fn code(outcome: AppendOutcome) -> Option<ErrorCode> {
    match outcome {
        AppendOutcome::Refused { code, .. } => Some(code),
        AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => None,
    }
}

/// Reads of the disk that an append of these takes.
fn reads(world: &mut World, conn: ConnectionId, envelopes: Vec<VerifiedEnvelope>) -> u64 {
    let before = world.disk.reads();
    store(world, conn, envelopes);
    world.disk.reads() - before
}

#[test]
fn an_auth_op_does_not_read_those_before_it() {
    let (mut world, conn, mut admin) = opened();
    // One alone, on a short log.
    let alone = vec![admin.admit(1_000).1];
    let (mut other_world, other, mut other_admin) = opened();
    let change = vec![other_admin.write(b"a change")];
    let of_a_change = reads(&mut other_world, other, change);
    let of_one = reads(&mut world, conn, alone);
    assert!(of_one <= 2 * of_a_change, "{of_one} for {of_a_change}");

    let grants = (0..200).map(|n| admin.admit(n).1).collect();
    store(&mut world, conn, grants);
    // Neither the next of a commit nor the first after a commit replays the 200.
    let more: Vec<_> = (200..264).map(|n| admin.admit(n).1).collect();
    let of_64 = reads(&mut world, conn, more);
    assert!(of_64 <= 64 * of_one, "{of_64} reads, one took {of_one}");
    let change = vec![admin.write(b"a change")];
    assert!(reads(&mut world, conn, change) <= 2 * of_a_change);

    // The control: a relay that starts reads the log, once.
    world.rebuild();
    let conn = world.connect(None);
    world.prove(conn, &admin);
    let change = vec![admin.write(b"another")];
    let of_a_start = reads(&mut world, conn, change);
    assert!((264..600).contains(&of_a_start), "{of_a_start}");
}

#[test]
fn what_was_decided_in_one_commit_and_what_is_replayed_judge_alike() {
    let (mut world, conn, mut admin) = opened();
    let (mut member, grant) = admin.admit(7);
    let intro = member.introduce();
    let revoke = admin.revoke(member.principal());
    world.prove(conn, &member);
    let late = member.write(b"too late");
    let outcomes = world.append(conn, vec![grant, intro, revoke, late.clone()]);
    assert!(outcomes[..3].iter().all(AppendOutcome::is_kept));
    assert_eq!(code(outcomes[3]), Some(ErrorCode::NotAdmitted));
    let kept = world.hub.store().admission(&admin.timeline).unwrap();
    let loaded = khlong_store::tables::admission::load(world.hub.store(), &admin.timeline).unwrap();
    assert_eq!(kept.as_deref(), loaded.as_ref());
    assert_eq!(loaded.unwrap().length(), 5);
}

#[test]
fn a_member_cannot_fill_the_log_with_what_says_nothing() {
    let (mut world, conn, mut admin) = opened();
    let (mut member, grant) = admin.admit(7);
    let intro = member.introduce();
    world.prove(conn, &member);
    store(&mut world, conn, vec![grant, intro]);
    let inbox = member.inbox(5);
    let first = member.auth_op(std::slice::from_ref(&inbox));
    store(&mut world, conn, vec![first]);
    let again = member.auth_op(&[inbox]);
    let outcome = world.append(conn, vec![again])[0];
    assert_eq!(code(outcome), Some(ErrorCode::InvalidEnvelope));
}

#[test]
fn a_member_writes_so_many_auth_ops_and_an_admin_removes_it_all_the_same() {
    let (mut world, conn, mut admin) = opened();
    let (mut member, grant) = admin.admit(7);
    let intro = member.introduce();
    world.prove(conn, &member);
    store(&mut world, conn, vec![grant, intro]);
    // Each may say something to members.
    let inbox = member.inbox(5);
    let flood: Vec<_> = (0..AUTH_OPS_PER_MEMBER_MAX + 10)
        .map(|_| member.auth_op_with(std::slice::from_ref(&inbox), b"sealed"))
        .collect();
    let outcomes = world.append(conn, flood);
    let (kept, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(AppendOutcome::is_kept);
    assert_eq!(
        kept.len(),
        AUTH_OPS_PER_MEMBER_MAX - 1,
        "and its introduction"
    );
    assert!(
        refused
            .iter()
            .all(|outcome| code(*outcome) == Some(ErrorCode::LimitExceeded))
    );
    // It still writes, and its admin still decides.
    let change = member.write(b"a change");
    let (revoke, grant) = (admin.revoke(member.principal()), admin.admit(8).1);
    store(&mut world, conn, vec![change, revoke, grant]);
}
