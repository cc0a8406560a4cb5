//! What is stored, and of whom.

use khlong_relay::hub::{Opening, Policy, WriteRate};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;

use super::{opened, refusal};
use crate::support::open;
use crate::support::virtual_world::World;

#[test]
fn only_members_append_and_a_revoked_one_no_longer_does() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let (mut mali, grant) = admin.admit(7);
    let mali_conn = world.connect(None);
    world.prove(mali_conn, &mali);
    let intro = mali.introduce();
    let early = world.append(mali_conn, vec![intro.clone()]);
    assert_eq!(
        refusal(&early[0]),
        Some(ErrorCode::NotAdmitted),
        "before her grant"
    );
    world.append(conn, vec![grant]);
    let hello = mali.write(b"hello");
    assert!(
        world
            .append(mali_conn, vec![intro, hello])
            .iter()
            .all(AppendOutcome::is_kept)
    );
    let revoke = admin.revoke(mali.principal());
    world.append(conn, vec![revoke]);
    let late = mali.write(b"after the removal");
    assert_eq!(
        refusal(&world.append(mali_conn, vec![late])[0]),
        Some(ErrorCode::NotAdmitted)
    );
}

#[test]
fn an_envelope_without_its_body_takes_no_place() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let envelope = admin.write(b"whole");
    let stub = world.append(conn, vec![envelope.pruned()]);
    assert_eq!(refusal(&stub[0]), Some(ErrorCode::InvalidEnvelope));
    assert!(world.append(conn, vec![envelope])[0].is_kept());
}

#[test]
fn two_of_a_fork_are_kept_as_evidence_and_the_third_is_refused() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let prev = admin.head();
    let first = admin.write(b"one story");
    let second = admin.fork(b"another story", prev);
    let third = admin.fork(b"a third story", prev);
    let outcomes = world.append(conn, vec![first, second, third]);
    assert!(
        outcomes[0].is_kept() && outcomes[1].is_kept(),
        "{outcomes:?}"
    );
    assert_eq!(refusal(&outcomes[2]), Some(ErrorCode::ForkEvidenceFull));
    assert_eq!(world.hub.stats().forks_seen, 1);
}

#[test]
fn opening_a_timeline_needs_the_token_where_the_policy_says_so() {
    let policy = Policy {
        opening: Opening::Token(b"khlong-san-saep".to_vec()),
        ..Policy::default()
    };
    for (token, opens) in [
        (None, false),
        (Some(&b"wrong"[..]), false),
        (Some(&b"khlong-san-saep"[..]), true),
    ] {
        let mut world = World::new(policy.clone());
        let conn = world.connect(token);
        let (timeline, admin, _) = open(1);
        world.prove(conn, &admin);
        let outcome = world.append(conn, vec![timeline.genesis])[0];
        let expected = if opens {
            None
        } else {
            Some(ErrorCode::OpeningRefused)
        };
        assert_eq!(refusal(&outcome), expected);
    }
}

#[test]
fn a_full_timeline_takes_no_more_text_but_still_a_removal() {
    let (mut world, conn, mut admin) = opened(Policy {
        timeline_quota_bytes: 3_000,
        ..Policy::default()
    });
    let (mali, grant) = admin.admit(7);
    world.append(conn, vec![grant]);
    let text = admin.write(&[7; 2_500]);
    assert_eq!(
        refusal(&world.append(conn, vec![text])[0]),
        Some(ErrorCode::QuotaExceeded)
    );
    let revoke = admin.revoke(mali.principal());
    assert!(world.append(conn, vec![revoke])[0].is_kept());
}

#[test]
fn whoever_appends_too_fast_is_told_when_to_come_back() {
    let rate = WriteRate {
        envelopes_per_minute: 10,
    };
    let (mut world, conn, mut admin) = opened(Policy {
        write_rate: rate,
        ..Policy::default()
    });
    let batch: Vec<_> = (0..9_u8).map(|n| admin.write(&[n])).collect();
    let request = world.offer(conn, batch.clone());
    world.settle();
    assert!(!world.client(conn).acks.contains_key(&request));
    let (_, code, retry_after_ms) = world.client(conn).refused[0];
    assert_eq!(code, ErrorCode::RateLimited);
    world.pass_ms(u64::from(retry_after_ms.unwrap()));
    assert!(world.append(conn, batch).iter().all(AppendOutcome::is_kept));
}
