//! What does not open, forks, or comes in any order.

use khlong_crdt::admission::{History, TimelineKind};
use khlong_crdt::id::EpochId;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::event::{Refused, TimelineEvent};
use proptest::prelude::*;

use super::{Group, SMALL, sealed_by, text};

#[test]
fn envelopes_that_do_not_open_or_fork_are_told_and_harm_nothing() {
    let mut group = Group::full();
    let somchai = group.add();
    group.write(somchai, &[text("one")]);
    group.sync();
    let last = group.sent.last().unwrap().clone();
    let epoch_id = last.prefix().epoch;
    let wrong_key = EpochKey::from_seed([9; 32]);
    let next = group.members[somchai].next_seq();

    let garbage = sealed_by(&group, somchai, next, b"garbage", &wrong_key, epoch_id);
    let events = group.members[0].receive(&garbage);
    assert!(
        matches!(&events[..], [TimelineEvent::Refused { envelope, reason: Refused::Open(_) }] if *envelope == garbage.id()),
        "{events:?}"
    );

    let fork = sealed_by(
        &group,
        somchai,
        last.prefix().seq,
        b"garbage",
        &wrong_key,
        epoch_id,
    );
    let events = group.members[0].receive(&fork);
    assert!(
        matches!(&events[..], [TimelineEvent::Refused { envelope, reason: Refused::Open(_) }] if *envelope == fork.id()),
        "{events:?}"
    );
    assert_eq!(
        group.members[0].receive(&fork),
        events,
        "once more it alters nothing, and is refused again"
    );
    assert!(
        group.members[0].receive(&last).is_empty(),
        "a duplicate says nothing"
    );

    let unknown_epoch = sealed_by(
        &group,
        somchai,
        next.next(),
        b"later",
        &wrong_key,
        EpochId::from_bytes([3; 32]),
    );
    assert!(group.members[0].receive(&unknown_epoch).is_empty());
    assert_eq!(group.members[0].parked_count(), 1);

    let other = Group::open(TimelineKind::Group, History::Full, SMALL);
    let mut foreign = Timeline::new(
        khlong_crdt::id::TimelineId::from_bytes([1; 32]),
        other.members[0].secrets().clone(),
    );
    let events = foreign.receive(&other.sent[0]);
    assert!(
        matches!(
            &events[..],
            [TimelineEvent::Refused {
                reason: Refused::OtherTimeline,
                ..
            }]
        ),
        "{events:?}"
    );
    assert_eq!(group.members[0].message_count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_converge_whatever_the_order(script in prop::collection::vec((0..3_usize, 0..5_u8), 10..40), seed: u64, batch in 1..50_usize) {
        let mut group = Group::full();
        group.add();
        group.add();
        for (n, (who, what)) in script.iter().enumerate() {
            let newest = group.members[*who].messages(0..usize::MAX).last().map(|message| message.id);
            match (what, newest) {
                (0, _) => drop(group.sync()),
                (1, Some(target)) => drop(group.write(*who, &[Draft::React { target, emoji: "🌶️".into() }])),
                (2, _) => drop(group.receipt(*who)),
                _ => drop(group.write(*who, &[text(&format!("{n}")), text("…")])),
            }
        }
        group.sync();
        group.assert_converged();
        // Newcomers from the store: shuffled, in batches.
        let mut shuffled = group.sent.clone();
        let length = shuffled.len();
        let mut state = seed;
        for place in 0..length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(place, (state >> 33) as usize % length);
        }
        for who in 0..3 {
            let mut again = Timeline::with_limits(group.members[who].id(), group.members[who].secrets().clone(), SMALL);
            for part in shuffled.chunks(batch) {
                again.receive_all(part.iter().cloned());
            }
            prop_assert_eq!(again.state_hash(), group.members[who].state_hash());
            prop_assert_eq!(again.messages(0..usize::MAX), group.members[who].messages(0..usize::MAX));
            prop_assert_eq!(again.head(), group.members[who].head());
            prop_assert_eq!(again.pending_receipt(), group.members[who].pending_receipt());
        }
    }
}
