//! Frames of the wrong side, at the wrong moment, or beyond the window.

use khlong_crdt::class::Class;
use khlong_crdt::id::ArrivalSeq;
use khlong_sync::limits::ENTRIES_IN_FLIGHT_MAX;
use khlong_sync::replica::{Arrival, Replica, TransferTotals};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::wire::frame::{
    Ack, Append, AppendAnswer, BackfillDone, CaughtUp, Frame, Proved, Push, Subscribed, Totals,
};

use super::{ask, ready, subscribe};
use crate::support::pair::Pair;
use crate::support::{author, change, timeline};

#[test]
fn frames_of_the_wrong_side_or_moment_end_the_connection() {
    let cursor = Pair::new(&[]).relay.replica.head(Class::Text).unwrap();
    let class = Class::Text;
    let of_servers = [
        Frame::Proved(Proved {
            timeline: timeline(1),
            author: author(1),
        }),
        Frame::CaughtUp(CaughtUp { class, cursor }),
        Frame::BackfillDone(BackfillDone {
            timeline: timeline(1),
            class,
        }),
        Frame::Ack(Ack {
            first: AppendAnswer {
                request: 1,
                outcomes: Vec::new(),
            },
            further: Vec::new(),
            receipt: None,
        }),
        Frame::Totals(Totals {
            class,
            backfill: None,
            totals: TransferTotals::default(),
        }),
    ];
    for frame in of_servers {
        let mut pair = ready();
        assert!(matches!(
            ask(&mut pair, frame),
            Err(SessionError::Protocol { .. })
        ));
    }
    for frame in [
        subscribe(1, &[1], 0),
        Frame::Append(Append {
            request: 1,
            envelopes: vec![change(1, 1, 1)],
        }),
    ] {
        let mut pair = ready();
        pair.give_client(Input::Frame(frame));
        assert!(matches!(
            pair.client_error,
            Some(SessionError::Protocol { .. })
        ));
        // Before hello there is no place for it either.
        let mut pair = Pair::new(&[timeline(1)]);
        pair.connect();
        let early = ask(&mut pair, subscribe(1, &[1], 0));
        assert!(matches!(early, Err(SessionError::Protocol { .. })));
    }
}

#[test]
fn pushes_that_nobody_asked_for_end_the_connection() {
    let mut honest = ready();
    honest.arrive(&[change(1, 2, 1), change(2, 2, 1), change(1, 2, 2)]);
    let entry = |n: u64| -> Arrival {
        let (tl, after) = (timeline(if n == 2 { 2 } else { 1 }), ArrivalSeq(n - 1));
        honest
            .relay
            .replica
            .entries(tl, Class::Text, after, ArrivalSeq(n), 1, 1)
            .unwrap()
            .remove(0)
    };
    let cursor = |n| {
        honest
            .relay
            .replica
            .cursor_at(Class::Text, ArrivalSeq(n))
            .unwrap()
            .unwrap()
    };
    let push = |backfill, entries: Vec<Arrival>, at| {
        Frame::Push(Push {
            class: Class::Text,
            backfill,
            entries,
            cursor: cursor(at),
        })
    };
    let cases = [
        ("a strange timeline", vec![push(None, vec![entry(2)], 2)]),
        (
            "the same again",
            vec![push(None, vec![entry(1)], 1), push(None, vec![entry(1)], 1)],
        ),
        (
            "an earlier one",
            vec![push(None, vec![entry(3)], 3), push(None, vec![entry(1)], 3)],
        ),
        (
            "a backfill of a merged one",
            vec![push(Some(timeline(1)), vec![entry(1)], 1)],
        ),
        (
            "a cursor that goes back",
            vec![
                push(None, vec![entry(3)], 3),
                Frame::CaughtUp(CaughtUp {
                    class: Class::Text,
                    cursor: cursor(1),
                }),
            ],
        ),
        (
            "an answer to no subscribe",
            vec![Frame::Subscribed(Subscribed {
                request: 77,
                class: Class::Text,
                cursor: cursor(1),
                rewound: false,
                refused: Vec::new(),
            })],
        ),
    ];
    for (name, frames) in cases {
        let mut pair = ready();
        for frame in frames {
            assert!(pair.client_error.is_none(), "{name} came too early");
            pair.give_client(Input::Frame(frame));
        }
        assert!(
            matches!(
                pair.client_error,
                Some(SessionError::UnexpectedPush { .. } | SessionError::UnexpectedAck { .. })
            ),
            "{name}: {:?}",
            pair.client_error
        );
    }
}

#[test]
fn a_relay_that_ignores_the_window_is_left() {
    let mut pair = ready();
    pair.member.hold = true;
    let mut sent = 0;
    while pair.client_error.is_none() {
        sent += 1;
        assert!(sent <= ENTRIES_IN_FLIGHT_MAX + 1, "the window has no end");
        let wall = pair.at().wall;
        let entry = pair
            .relay
            .replica
            .append(&change(1, 2, sent as u64), wall)
            .unwrap();
        let cursor = pair.relay.replica.head(Class::Text).unwrap();
        let entries = vec![entry];
        let push = Push {
            class: Class::Text,
            backfill: None,
            entries,
            cursor,
        };
        pair.give_client(Input::Frame(Frame::Push(push)));
    }
    assert!(matches!(
        pair.client_error,
        Some(SessionError::UnexpectedPush { .. })
    ));
    assert_eq!(sent, ENTRIES_IN_FLIGHT_MAX + 1);
}
