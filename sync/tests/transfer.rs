//! Subscribe, backfill, live, window: a member and a relay over one link.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::admission::Rights;
use khlong_crdt::class::Class;
use khlong_crdt::envelope::Kind;
use khlong_crdt::id::ArrivalSeq;
use khlong_sync::limits::{ENTRIES_IN_FLIGHT_MAX, PUSH_BYTES_MAX};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Event;
use khlong_sync::wire::code::ErrorCode;
use support::pair::Pair;
use support::{author, chain, change, envelope, timeline};

#[test]
fn what_is_appended_is_acknowledged_and_comes_back() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.member.outbox = vec![change(1, 1, 1), change(1, 1, 2)];
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(pair.member.stored.len(), 2);
    assert_eq!(pair.relay.replica.len(Class::Text), 2);
}

#[test]
fn a_new_member_gets_the_past_by_backfill_and_then_lives() {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    let past: Vec<_> = (1..=5)
        .flat_map(|seq| [change(1, 2, seq), change(2, 2, seq)])
        .collect();
    pair.arrive(&past);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    let announced = &pair.member.announced;
    assert!(
        announced.contains(&(Class::Text, Some(timeline(1)), 5)),
        "{announced:?}"
    );
    assert!(
        announced.contains(&(Class::Text, Some(timeline(2)), 5)),
        "{announced:?}"
    );
    pair.arrive(&[change(1, 2, 6)]);
    pair.arrive(&[
        change(2, 2, 6),
        envelope(Kind::KeyOp, timeline(1), 2, 7, b"key"),
    ]);
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(pair.relay.watched.len(), 2);
}

#[test]
fn a_member_that_was_away_gets_what_it_missed_by_cursor_in_the_order_of_arrival() {
    let mut pair = Pair::new(&[timeline(1), timeline(2), timeline(3)]);
    pair.arrive(&[change(1, 2, 1), change(2, 2, 1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    let before = pair.member.received.len();
    // Arrives while nobody listens: three timelines interleaved, one of them strange to the member.
    let missed: Vec<_> = (2..200)
        .map(|n| change([1, 2, 1, 3][n % 4], 2, n as u64))
        .collect();
    pair.give_server(Input::Disconnected);
    for part in missed.chunks(7) {
        pair.arrive(part);
    }
    pair.reconnect();
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(
        pair.member.announced.last(),
        Some(&(Class::Text, None, missed.len() as u64))
    );
    let order: Vec<_> = missed.iter().map(|envelope| envelope.id()).collect();
    assert_eq!(
        pair.member.received[before..],
        order,
        "not in the order of arrival"
    );
    assert!(pair.member.rewound.is_empty());
}

#[test]
fn scan_to_live_has_no_gap_while_others_write() {
    for jitter_ms in [0, 15, 400] {
        let mut pair = Pair::new(&[timeline(1), timeline(2)]);
        pair.link.jitter_ms = jitter_ms;
        let mut seq = 0;
        let mut arrive = |pair: &mut Pair| {
            seq += 1;
            let n = if seq % 3 == 0 { 2 } else { 1 };
            pair.arrive(&[change(n, 2, seq)]);
        };
        (0..20).for_each(|_| arrive(&mut pair));
        pair.connect();
        for _ in 0..60 {
            pair.pass_ms(7);
            arrive(&mut pair);
        }
        pair.settle();
        pair.assert_in_sync();
    }
}

#[test]
fn arrivals_that_were_decided_but_not_told_yet_keep_their_order() {
    // The relay's batch already shows an arrival when a subscribe or a pull is handled before it is told.
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    pair.connect();
    pair.settle();
    let wall = pair.at().wall;
    let first = pair.relay.replica.append(&change(1, 2, 1), wall).unwrap();
    let second = pair.relay.replica.append(&change(2, 2, 1), wall).unwrap();
    // A third timeline enters the running streams now.
    pair.relay
        .replica
        .grant(timeline(3), author(1), Rights::MEMBER);
    let third = pair.relay.replica.append(&change(3, 2, 1), wall).unwrap();
    for class in Class::ALL {
        pair.member
            .backfill
            .insert((timeline(3), class), ArrivalSeq(0));
    }
    let prove = pair.member.prove(timeline(3), &support::pair::EXPORTER);
    pair.give_client(prove);
    let subscribe = pair.member.subscribe_more(&[timeline(3)]);
    pair.give_client(subscribe);
    pair.settle();
    pair.give_server(support::owners::advanced(vec![first, second, third]));
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn a_slow_member_is_told_once_and_goes_on_when_it_pulls() {
    let mut pair = Pair::new(&[timeline(1)]);
    let total = ENTRIES_IN_FLIGHT_MAX + 500;
    pair.connect();
    pair.settle();
    pair.member.hold = true;
    for seq in 1..=total {
        pair.arrive(&[change(1, 2, seq as u64)]);
    }
    pair.settle();
    assert_eq!(
        pair.member.received.len(),
        ENTRIES_IN_FLIGHT_MAX,
        "the window bounds what is in flight"
    );
    assert_eq!(pair.member.behind, 1, "told once, not at each arrival");
    pair.member.hold = false;
    for pulled in std::mem::take(&mut pair.member.held) {
        pair.give_client(pulled);
    }
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(pair.member.received.len(), total);
}

#[test]
fn large_backfills_fill_the_window_and_take_turns() {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    let body = vec![1; 200 * 1024];
    let bodies = vec![body; 9];
    let [one, two] = [1, 2].map(|n| chain(timeline(n), 2, &bodies));
    for (one, two) in one.into_iter().zip(two) {
        pair.arrive(&[one, two]);
    }
    const { assert!(PUSH_BYTES_MAX < 2 * 200 * 1024) };
    pair.member.hold = true;
    pair.connect();
    pair.settle();
    assert!(
        (10..14).contains(&pair.member.received.len()),
        "about 2 MiB in flight"
    );
    assert_eq!(pair.member.behind, 1);
    let of_first = pair.member.held.iter().filter(
        |input| matches!(input, Input::Pulled { backfill: Some(t), .. } if *t == timeline(1)),
    );
    assert!(of_first.count() >= 2, "both timelines progress");
    pair.member.hold = false;
    for pulled in std::mem::take(&mut pair.member.held) {
        pair.give_client(pulled);
    }
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn a_rolled_back_log_begins_anew_and_says_so() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.arrive(&[change(1, 2, 1), change(1, 2, 2), change(1, 2, 3)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    // Same length, other content: only the running hash can tell.
    pair.relay.replica.roll_back(Class::Text, 1);
    pair.arrive(&[change(1, 3, 1), change(1, 3, 2)]);
    pair.reconnect();
    pair.settle();
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
    assert_eq!(
        pair.member.rewound.iter().collect::<Vec<_>>(),
        [&Class::Text]
    );
    assert_eq!(pair.member.duplicates, 1, "the class begins anew");
    assert_eq!(pair.member.received.len(), 5);
    assert_eq!(pair.member.cursors[&Class::Text].seq, ArrivalSeq(3));
    // Another epoch of the same log is another log.
    pair.relay.replica.log_epoch += 1;
    pair.reconnect();
    pair.settle();
    assert_eq!(pair.member.rewound.len(), 4);
    assert_eq!(pair.member.cursors[&Class::Bulk].log_epoch, 2);
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
}

#[test]
fn a_refused_timeline_is_named_and_does_not_hold_up_the_others() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.member.timelines.push(timeline(9));
    pair.relay
        .replica
        .grant(timeline(8), author(1), Rights::APPEND);
    pair.member.timelines.push(timeline(8));
    for n in [8, 9] {
        for class in Class::ALL {
            pair.member
                .backfill
                .insert((timeline(n), class), ArrivalSeq(0));
        }
    }
    pair.arrive(&[change(1, 2, 1), change(8, 2, 1)]);
    pair.connect();
    pair.settle();
    assert_eq!(pair.member.received, [change(1, 2, 1).id()]);
    assert!(
        !pair.relay.watched.contains(&timeline(8)) && !pair.relay.watched.contains(&timeline(9))
    );
    assert!(
        pair.member
            .backfill
            .contains_key(&(timeline(8), Class::Text)),
        "still to be merged"
    );
}

#[test]
fn a_merged_timeline_without_position_or_cursor_is_refused_not_skipped() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.member.backfill.clear();
    pair.arrive(&[change(1, 2, 1)]);
    pair.connect();
    pair.settle();
    // The refusal comes with positions, so that the next subscribe can merge it.
    assert_eq!(pair.member.backfill.len(), 4);
    assert!(pair.member.received.is_empty() && pair.relay.watched.is_empty());
    assert!(
        pair.member
            .backfill
            .values()
            .all(|after| *after == ArrivalSeq(0))
    );
    pair.reconnect();
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn a_revoked_reader_stops_getting_entries_and_is_told_in_the_stream() {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    pair.connect();
    pair.settle();
    pair.arrive(&[change(1, 2, 1)]);
    pair.relay
        .replica
        .grant(timeline(1), author(1), Rights::NONE);
    pair.arrive(&[change(1, 2, 2), change(2, 2, 1)]);
    pair.settle();
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
    assert_eq!(
        pair.member.received,
        [change(1, 2, 1).id(), change(2, 2, 1).id()]
    );
    assert!(!pair.relay.watched.contains(&timeline(1)));
    // Out of all four streams, each at its place.
    assert_eq!(
        pair.member.backfill[&(timeline(1), Class::Text)],
        ArrivalSeq(1)
    );
    assert_eq!(pair.member.backfill.len(), 4);
}

#[test]
fn unsubscribed_timelines_come_back_by_backfill_without_loss() {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    pair.connect();
    pair.settle();
    pair.arrive(&[change(1, 2, 1)]);
    pair.give_client(Input::Unsubscribe {
        timeline: timeline(1),
    });
    pair.settle();
    pair.arrive(&[change(1, 2, 2), change(2, 2, 1)]);
    pair.settle();
    assert!(!pair.member.received.contains(&change(1, 2, 2).id()));
    let subscribe = pair.member.subscribe_more(&[timeline(1)]);
    pair.give_client(subscribe);
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn appends_wait_for_their_proof_and_for_a_place_in_flight() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    for seq in 1..=20 {
        let request = pair.member.request();
        pair.member.outbox.push(change(1, 1, seq));
        pair.give_client(Input::Append {
            request,
            envelopes: vec![change(1, 1, seq)],
        });
    }
    // A timeline that nobody proves is refused before it is sent.
    let request = pair.member.request();
    pair.give_client(Input::Append {
        request,
        envelopes: vec![change(7, 1, 1)],
    });
    let refused = std::mem::take(&mut pair.member.refused);
    assert!(
        matches!(
            refused[..],
            [Event::Refused {
                code: ErrorCode::Unproven,
                ..
            }]
        ),
        "{refused:?}"
    );
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(pair.member.stored.len(), 20);
}

#[test]
fn an_append_that_was_lost_with_its_ack_is_a_duplicate_the_next_time() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.member.outbox = vec![change(1, 1, 1)];
    pair.connect();
    while pair.relay.replica.len(Class::Text) == 0 {
        pair.pass_ms(1);
    }
    assert_eq!(pair.member.stored.len(), 0, "the ack is still under way");
    pair.reconnect();
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(pair.relay.replica.len(Class::Text), 1);
}

#[test]
fn ephemeral_is_passed_on_and_may_be_lost() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.link.lose_every = Some(3);
    for n in 0..9 {
        pair.give_client(Input::Ephemeral {
            timeline: timeline(1),
            payload: vec![n],
        });
        pair.give_server(Input::RelayEphemeral {
            timeline: timeline(1),
            payload: vec![n],
        });
        pair.give_server(Input::RelayEphemeral {
            timeline: timeline(2),
            payload: vec![n],
        });
    }
    pair.settle();
    assert_eq!(pair.link.datagrams_lost, 6, "the fault fired");
    assert_eq!(pair.relay.ephemeral.len() + pair.member.ephemeral.len(), 12);
    pair.assert_in_sync();
}

#[test]
fn a_merged_timeline_that_is_refused_for_a_while_misses_nothing() {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    pair.arrive(&[change(1, 2, 1), change(2, 2, 1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair.relay
        .replica
        .grant(timeline(1), author(1), Rights::NONE);
    pair.reconnect();
    pair.settle();
    // The class cursor goes on while the other timeline is left out.
    pair.arrive(&[change(1, 2, 2), change(2, 2, 2)]);
    pair.settle();
    assert!(!pair.member.received.contains(&change(1, 2, 2).id()));
    assert_eq!(pair.member.cursors[&Class::Text].seq, ArrivalSeq(4));
    assert_eq!(
        pair.member.backfill[&(timeline(1), Class::Text)],
        ArrivalSeq(2)
    );
    pair.relay
        .replica
        .grant(timeline(1), author(1), Rights::MEMBER);
    pair.reconnect();
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn a_class_that_begins_anew_has_no_backfill_positions() {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    let past: Vec<_> = (1..=40).map(|seq| change(1, 2, seq)).collect();
    pair.arrive(&past);
    pair.connect();
    pair.settle();
    // Half a backfill: the second timeline has a position of the old log.
    pair.member
        .backfill
        .insert((timeline(2), Class::Text), ArrivalSeq(17));
    pair.relay.replica.log_epoch += 1;
    pair.arrive(&[change(2, 2, 1)]);
    pair.reconnect();
    pair.settle();
    assert!(
        pair.member.backfill.is_empty(),
        "{:?}",
        pair.member.backfill
    );
    assert!(pair.member.received.contains(&change(2, 2, 1).id()));
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
}
