//! The hub in virtual time: real sessions, real signatures, an imaginary disk.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId};
use khlong_relay::hub::{ConnectionId, HubFailure, HubInput, Opening, Policy, WriteRate};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::tables::timelines;
use khlong_sync::limits::{ENTRIES_IN_FLIGHT_MAX, PUSH_ENTRIES_MAX};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::virtual_world::World;
use support::{Author, open};

/// A world with one open timeline, whose admin is connected.
fn opened(policy: Policy) -> (World, ConnectionId, Author) {
    let mut world = World::new(policy);
    let admin_conn = world.connect(None);
    let (timeline, admin, intro) = open(1);
    world.prove(admin_conn, &admin);
    let outcomes = world.append(admin_conn, vec![timeline.genesis, intro]);
    assert!(outcomes.iter().all(AppendOutcome::is_kept), "{outcomes:?}");
    (world, admin_conn, admin)
}

fn refusal(outcome: &AppendOutcome) -> Option<ErrorCode> {
    match outcome {
        AppendOutcome::Refused { code, .. } => Some(*code),
        AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => None,
    }
}

fn ids(envelopes: &[VerifiedEnvelope]) -> Vec<EnvelopeId> {
    envelopes.iter().map(VerifiedEnvelope::id).collect()
}

#[test]
fn nothing_leaves_before_the_commit_and_the_receipt_covers_what_is_stored() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let envelope = admin.write("สวัสดี".as_bytes());
    let request = world.offer(conn, vec![envelope.clone()]);
    world.deliver_to_hub().unwrap();
    assert!(
        !world.deliver_to_clients(),
        "something left before the commit"
    );
    assert!(
        timelines::get(world.hub.store(), &envelope.id())
            .unwrap()
            .is_none()
    );

    world.hub.commit(world.now()).unwrap();
    world.deliver_to_clients();
    let (outcomes, proofs) = &world.client(conn).acks[&request];
    assert_eq!(
        *outcomes,
        [AppendOutcome::Stored {
            arrival: ArrivalSeq(1)
        }]
    );
    let stored = timelines::get(world.hub.store(), &envelope.id())
        .unwrap()
        .unwrap();
    let proof = proofs[0].as_ref().unwrap();
    assert_eq!(proof.receipt.relay, world.hub.relay_key());
    proof.verify(&envelope.id()).unwrap();
    assert_eq!(
        proof.receipt.received_at, stored.received_at,
        "expiry counts from the receipt's date"
    );
}

#[test]
fn many_appends_share_one_commit() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let before = world.hub.store().stats().wal_syncs;
    for n in 0..5_u8 {
        let envelope = admin.write(&[n]);
        world.offer(conn, vec![envelope]);
    }
    world.settle();
    assert_eq!(world.client(conn).acks.len(), 6);
    assert_eq!(world.hub.store().stats().wal_syncs, before + 1);
}

/// What one client has for its appends: every proof holds, and all are of one receipt.
fn assert_proven(world: &World, conn: ConnectionId, appends: &[(u64, Vec<EnvelopeId>)]) {
    let mut receipts = BTreeSet::new();
    for (request, ids) in appends {
        let (outcomes, proofs) = &world.client(conn).acks[request];
        assert_eq!(outcomes.len(), ids.len());
        for (id, proof) in ids.iter().zip(proofs) {
            let Some(proof) = proof else { continue };
            proof.verify(id).unwrap();
            let stored = timelines::get(world.hub.store(), id).unwrap().unwrap();
            assert_eq!(proof.receipt.received_at, stored.received_at);
            receipts.insert(proof.receipt.encode());
        }
    }
    assert_eq!(receipts.len(), 1, "one signature");
}

#[test]
fn one_commit_is_one_ack_with_one_signature_for_each_connection() {
    let (mut world, mali, mut market) = opened(Policy::default());
    let ton = world.connect(None);
    let (timeline, mut canal, intro) = open(2);
    world.prove(ton, &canal);
    world.append(ton, vec![timeline.genesis, intro]);
    let before = [mali, ton].map(|conn| world.client(conn).ack_frames.len());
    let acks_before = world.hub.stats().acks;

    // Several inputs, some milliseconds apart, then one commit.
    let (mut of_mali, mut of_ton) = (Vec::new(), Vec::new());
    let first = market.write(b"first");
    // Of somebody whose grant has not come.
    let refused = market.admit(9).0.introduce();
    for envelopes in [
        vec![first.clone()],
        vec![
            market.write(b"second"),
            refused,
            first,
            market.write(b"third"),
        ],
        vec![market.write(b"fourth")],
    ] {
        of_mali.push((world.offer(mali, envelopes.clone()), ids(&envelopes)));
        world.deliver_to_hub().unwrap();
        world.pass_ms(3);
        let envelopes = vec![canal.write(b"elsewhere")];
        of_ton.push((world.offer(ton, envelopes.clone()), ids(&envelopes)));
        world.deliver_to_hub().unwrap();
        world.pass_ms(3);
    }
    world.hub.commit(world.now()).unwrap();
    world.deliver_to_clients();

    let last = |conn, seen: usize| {
        let frames = &world.client(conn).ack_frames;
        assert_eq!(frames.len(), seen + 1, "one ack");
        frames.last().unwrap()
    };
    let (to_mali, to_ton) = (last(mali, before[0]), last(ton, before[1]));
    assert_eq!((to_mali.further.len(), to_ton.further.len()), (2, 2));
    let counts = [(mali, to_mali), (ton, to_ton)].map(|(conn, ack)| {
        let (_, proofs) = &world.client(conn).acks[&ack.first.request];
        proofs.iter().flatten().next().unwrap().receipt.count
    });
    assert_eq!(counts, [5, 3], "kept, once for each time it was sent");
    assert_eq!(world.hub.stats().acks, acks_before + 2);
    assert_proven(&world, mali, &of_mali);
    assert_proven(&world, ton, &of_ton);
    let (outcomes, proofs) = &world.client(mali).acks[&of_mali[1].0];
    assert_eq!(refusal(&outcomes[1]), Some(ErrorCode::NotAdmitted));
    assert!(proofs[1].is_none());
    assert!(matches!(outcomes[2], AppendOutcome::Duplicate { .. }));
}

#[test]
fn an_envelope_sent_twice_is_a_duplicate_at_the_same_place() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let envelope = admin.write(b"once");
    world.append(conn, vec![envelope.clone()]);
    let again = world.append(conn, vec![envelope.clone()]);
    assert_eq!(
        again,
        [AppendOutcome::Duplicate {
            arrival: ArrivalSeq(1)
        }]
    );
    // Twice in one batch, before its commit.
    let other = admin.write(b"twice at once");
    let both = world.append(conn, vec![other.clone(), other]);
    let arrival = ArrivalSeq(2);
    assert_eq!(
        both,
        [
            AppendOutcome::Stored { arrival },
            AppendOutcome::Duplicate { arrival }
        ]
    );
}

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
fn subscribing_among_appends_leaves_no_gap_and_brings_nothing_twice() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let mut written = Vec::new();
    for n in 0..40_u8 {
        let envelope = admin.write(&[n]);
        written.push(envelope.id());
        world.offer(conn, vec![envelope]);
        if n % 5 == 3 {
            // A subscription that comes between a decision and its commit.
            world.deliver_to_hub().unwrap();
            let reader = world.connect(None);
            world.prove(reader, &admin);
            world.subscribe(reader, admin.timeline, &BTreeMap::new());
        }
    }
    world.settle();
    assert_eq!(world.clients.len(), 9);
    for (id, reader) in &world.clients {
        if *id != conn {
            assert_eq!(reader.inbox.texts(), written);
            assert!(!reader.inbox.order_broken);
        }
    }
}

#[test]
fn a_cursor_brings_exactly_what_was_missed() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    let before = admin.write(b"seen");
    world.append(conn, vec![before.clone()]);
    let left = world.disconnect(reader);
    assert_eq!(left.inbox.texts(), [before.id()]);

    let missed = [admin.write(b"missed one"), admin.write(b"missed two")];
    world.append(conn, missed.to_vec());
    let back = world.connect(None);
    world.prove(back, &admin);
    world.subscribe(back, admin.timeline, &left.cursors);
    assert_eq!(world.client(back).inbox.texts(), ids(&missed));
}

#[test]
fn a_slow_subscriber_gets_behind_and_then_catches_up() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let slow = world.connect(None);
    world.prove(slow, &admin);
    world.subscribe(slow, admin.timeline, &BTreeMap::new());
    world.clients.get_mut(&slow).unwrap().pulls = false;
    let mut written = Vec::new();
    for _ in 0..12 {
        let batch: Vec<_> = (0..200_u8).map(|n| admin.write(&[n])).collect();
        written.extend(ids(&batch));
        world.append(conn, batch);
    }
    let client = world.client(slow);
    assert_eq!(client.inbox.behind, 1, "told once");
    let pushed = client.inbox.texts().len();
    let window = ENTRIES_IN_FLIGHT_MAX + PUSH_ENTRIES_MAX;
    assert!(pushed < window, "{pushed} entries without a pull");
    assert_eq!(client.closed, None);

    while world.client(slow).inbox.texts().len() < written.len() {
        assert!(
            !world.client(slow).unpulled.is_empty(),
            "pulling brought nothing"
        );
        world.pull(slow);
    }
    assert_eq!(world.client(slow).inbox.texts(), written);
}

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

#[test]
fn what_is_said_in_passing_reaches_watchers_and_is_stored_nowhere() {
    let (mut world, conn, admin) = opened(Policy::default());
    let watcher = world.connect(None);
    world.prove(watcher, &admin);
    world.subscribe(watcher, admin.timeline, &BTreeMap::new());
    let commits = world.hub.store().stats().commits;
    world.say(conn, admin.timeline, b"typing");
    assert_eq!(world.client(watcher).ephemerals, [b"typing".to_vec()]);
    assert!(
        world.client(conn).ephemerals.is_empty(),
        "it came back to its sender"
    );
    assert_eq!(world.hub.store().stats().commits, commits);
}

#[test]
fn shutting_down_acknowledges_what_was_decided_and_says_goodbye() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let last = admin.write(b"just in time");
    let request = world.offer(conn, vec![last]);
    world.deliver_to_hub().unwrap();
    world.hub.handle(world.now(), HubInput::ShutDown).unwrap();
    world.deliver_to_clients();
    let client = world.client(conn);
    assert!(client.acks[&request].0[0].is_kept());
    assert_eq!(client.closed, Some(Some(ErrorCode::ShuttingDown)));
    assert_eq!(world.hub.stats().connections, 0);
    assert_eq!(world.hub.next_deadline(), None);
}

#[test]
fn a_silent_connection_is_closed_in_its_time_and_leaves_nothing_behind() {
    let (mut world, conn, admin) = opened(Policy::default());
    world.subscribe(conn, admin.timeline, &BTreeMap::new());
    assert_eq!(world.hub.stats().timelines_watched, 1);
    for _ in 0..10 {
        let Some(deadline) = world.hub.next_deadline() else {
            break;
        };
        world.micros = world.micros.max(deadline.0);
        world.hub.handle(world.now(), HubInput::Timeout).unwrap();
    }
    let stats = world.hub.stats();
    assert_eq!((stats.connections, stats.timelines_watched), (0, 0));
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

#[test]
fn classes_have_their_own_order() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let text = admin.write(b"text");
    let (_, grant) = admin.admit(9);
    world.append(conn, vec![text, grant]);
    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    let per_class = |class| {
        world
            .client(reader)
            .inbox
            .ids
            .keys()
            .filter(|(c, _)| *c == class)
            .count()
    };
    assert_eq!((per_class(Class::Control), per_class(Class::Text)), (3, 1));
}

#[test]
fn bytes_that_are_no_frame_end_their_connection_with_a_word_and_no_other() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let broken = world.connect(None);
    let error = khlong_sync::wire::decode(&[0xff; 9]).unwrap_err();
    let undecodable = HubInput::Undecodable {
        connection: broken,
        error,
    };
    world.hub.handle(world.now(), undecodable).unwrap();
    world.settle();
    assert_eq!(
        world.client(broken).closed,
        Some(Some(ErrorCode::Malformed))
    );
    assert_eq!(world.hub.stats().frames_undecodable, 1);
    let envelope = admin.write(b"meanwhile");
    assert!(world.append(conn, vec![envelope])[0].is_kept());
}
