//! What waits in a page of a snapshot, and gives way after it.

use khlong_crdt::admission::History;
use khlong_document::timeline::limits::Limits;
use proptest::prelude::*;

use crate::group::{Group, READER, assert_same, text};

/// One page, in which some six changes may wait.
const TIGHT: Limits = Limits {
    page_waiting_memory: 6 * 1024,
    ..Limits::PRODUCTION
};

/// Envelopes that the two others wrote, each on the one before: places in what was sent.
fn written(group: &mut Group, counts: [usize; 2]) -> [Vec<usize>; 2] {
    let mut places = [Vec::new(), Vec::new()];
    for (who, count) in counts.into_iter().enumerate() {
        for n in 0..count {
            group.write(who, text(format!("{who} says {n}"), None));
            places[who].push(group.sent.len() - 1);
        }
    }
    places
}

/// The first of one member is missing and its others wait, in the snapshot; then those of another fill the room.
#[test]
fn what_waited_in_a_snapshot_and_gave_way_since_is_read_again() {
    let mut group = Group::with_limits(History::Full, TIGHT);
    let [mine, yours] = written(&mut group, [6, 6]);
    for place in &mine[1..] {
        group.deliver(*place);
    }
    assert!(group.keep());
    for place in yours[1..].iter().chain(&mine[..1]).chain(&yours[..1]) {
        group.deliver(*place);
    }
    let mut everything = group.read_all();
    assert_eq!(everything.message_count(), 12);
    let mut restored = group.restart_in_parts(1);
    assert_eq!(restored.message_count(), 12);
    assert_same(&mut restored, &mut everything);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_order_of_what_waits_loses_anything(
        counts in [2..9_usize, 2..9_usize],
        order in Just((0..16_usize).collect::<Vec<_>>()).prop_shuffle(),
        kept_after in 0..12_usize,
        part in 1..6_usize,
    ) {
        let mut group = Group::with_limits(History::Full, TIGHT);
        let [mine, yours] = written(&mut group, counts);
        // The first of both come late, so that the others wait.
        let late = [mine[0], yours[0]];
        let others: Vec<_> = [&mine[1..], &yours[1..]].concat();
        let others = order.iter().filter_map(|n| others.get(*n));
        for (n, place) in others.chain(&late).enumerate() {
            if n <= kept_after {
                group.keep();
            }
            group.deliver(*place);
        }
        let mut restored = group.restart_in_parts(part);
        assert_eq!(restored.message_count(), counts[0] + counts[1]);
        assert_same(&mut restored, &mut group.read_all());
        group.members[READER] = group.restart_in_parts(part);
        group.keep();
        assert_same(&mut group.restart_in_parts(part), &mut group.read_all());
    }
}
