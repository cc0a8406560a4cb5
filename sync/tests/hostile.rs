//! One hostile peer each. What it does ends its own connection, or nothing at all.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use ed25519_dalek::Signer;
use khlong_crdt::admission::Rights;
use khlong_crdt::class::Class;
use khlong_crdt::envelope::Kind;
use khlong_crdt::id::{ArrivalSeq, AuthorKey};
use khlong_crdt::time::Monotonic;
use khlong_sync::limits::{
    APPENDS_IN_FLIGHT_MAX, CONTROL_FRAMES_BURST, ENTRIES_IN_FLIGHT_MAX, EPHEMERAL_FRAMES_BURST,
    FRAME_BYTES_MAX, PARTIAL_FRAME_TIMEOUT_MS, SUBSCRIPTIONS_PER_CONNECTION_MAX,
};
use khlong_sync::replica::{Arrival, Replica, TransferTotals};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::session::proof::proof_bytes;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::decoder::Decoder;
use khlong_sync::wire::frame::{
    Ack, Append, AppendAnswer, AppendOutcome, BackfillDone, CaughtUp, Ephemeral, Frame, Ping,
    Prove, Proved, Pull, Push, Subscribe, Subscribed, TimelineSubscription, Totals,
};
use khlong_sync::wire::{self, WireError};
use support::pair::{EXPORTER, Pair};
use support::{author, change, envelope, key, timeline};

fn ready() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair
}

/// What the server answers to one frame, without its events.
fn ask(pair: &mut Pair, frame: Frame) -> Result<Vec<Frame>, SessionError> {
    let now = pair.at();
    let result = pair
        .server
        .handle(now, Input::Frame(frame), &pair.relay.replica);
    let mut frames = Vec::new();
    while let Some(output) = pair.server.poll_output() {
        if let Output::Send(_, frame) = output {
            frames.push(frame);
        }
    }
    result.map(|()| frames)
}

#[test]
fn an_oversize_length_is_refused_before_anything_is_allocated() {
    for announced in [FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut decoder = Decoder::new();
        let error = decoder
            .push(Monotonic(0), &announced.to_be_bytes())
            .unwrap_err();
        assert!(matches!(error, WireError::Oversize { bytes } if bytes == u64::from(announced)));
        assert_eq!(error.code(), ErrorCode::LimitExceeded);
        // The session passes it on and closes.
        let mut pair = ready();
        pair.give_server(Input::Undecodable(error));
        pair.settle();
        assert_eq!(pair.server_closed, Some(Some(ErrorCode::LimitExceeded)));
        assert!(matches!(
            pair.client_error,
            Some(SessionError::Remote {
                code: ErrorCode::LimitExceeded,
                ..
            })
        ));
    }
}

#[test]
fn an_append_to_another_timeline_than_the_proven_is_refused_and_the_rest_is_kept() {
    let mut pair = ready();
    let envelopes = vec![change(1, 1, 1), change(2, 1, 1), change(1, 1, 2)];
    let frames = {
        let now = pair.at();
        let append = Frame::Append(Append {
            request: 90,
            envelopes,
        });
        pair.server
            .handle(now, Input::Frame(append), &pair.relay.replica)
            .unwrap();
        let event = match pair.server.poll_output() {
            Some(Output::Event(event)) => event,
            other => panic!("{other:?}"),
        };
        let answers = pair.relay.on(event, now.wall);
        let mut frames = Vec::new();
        for answer in answers {
            pair.server
                .handle(now, answer, &pair.relay.replica)
                .unwrap();
        }
        while let Some(output) = pair.server.poll_output() {
            if let Output::Send(_, frame) = output {
                frames.push(frame);
            }
        }
        frames
    };
    let Frame::Ack(ack) = &frames[0] else {
        panic!("{frames:?}")
    };
    let unproven = AppendOutcome::Refused {
        code: ErrorCode::Unproven,
        retry_after_ms: None,
    };
    let outcomes = &ack.first.outcomes;
    assert_eq!(outcomes[1], unproven);
    assert!(outcomes[0].is_kept() && outcomes[2].is_kept());
    let kept = [change(1, 1, 1).id(), change(1, 1, 2).id()];
    let (relay, wall) = (&pair.relay, pair.at().wall);
    assert_eq!(ack.receipt, support::short(&relay.receipt(&kept, wall)));
    assert_eq!(
        pair.relay.replica.len(Class::Text),
        2,
        "the other timeline never reached the hub"
    );
    // Nothing proven at all: answered without asking the hub.
    let append = Append {
        request: 91,
        envelopes: vec![change(2, 1, 1)],
    };
    let frames = ask(&mut pair, Frame::Append(append)).unwrap();
    let refused = Ack {
        first: AppendAnswer {
            request: 91,
            outcomes: vec![unproven],
        },
        further: Vec::new(),
        receipt: None,
    };
    assert_eq!(frames, [Frame::Ack(refused)]);
}

#[test]
fn an_author_that_is_not_proven_ends_the_connection() {
    let (timeline, author) = (timeline(1), author(2));
    let signature = |seed: u8, bytes: &[u8]| key(seed).sign(bytes).to_bytes();
    let other_timeline = support::timeline(2);
    let claims = [
        // Signed by another key.
        signature(3, &proof_bytes(&EXPORTER, &timeline, &author)),
        // Of another connection: replayed.
        signature(2, &proof_bytes(&[1; 32], &timeline, &author)),
        // For another timeline.
        signature(2, &proof_bytes(&EXPORTER, &other_timeline, &author)),
        [0; 64],
    ];
    for signature in claims {
        let mut pair = ready();
        let error = ask(
            &mut pair,
            Frame::Prove(Prove {
                timeline,
                author,
                signature,
            }),
        );
        assert!(
            matches!(error, Err(SessionError::BadProof { .. })),
            "{error:?}"
        );
        assert!(pair.server.is_closed());
    }
    // A weak key accepts anybody's signature in some libraries.
    let weak = AuthorKey::ZERO;
    let mut pair = ready();
    let prove = Prove {
        timeline,
        author: weak,
        signature: [0; 64],
    };
    assert!(matches!(
        ask(&mut pair, Frame::Prove(prove)),
        Err(SessionError::BadProof { .. })
    ));
}

#[test]
fn a_proven_author_without_rights_reads_nothing() {
    let mut pair = ready();
    pair.relay
        .replica
        .grant(timeline(2), author(5), Rights::MEMBER);
    let wall = pair.at().wall;
    pair.relay.replica.append(&change(2, 5, 1), wall).unwrap();
    let (timeline, author) = (timeline(2), author(6));
    let signature = key(6)
        .sign(&proof_bytes(&EXPORTER, &timeline, &author))
        .to_bytes();
    ask(
        &mut pair,
        Frame::Prove(Prove {
            timeline,
            author,
            signature,
        }),
    )
    .unwrap();
    let frames = ask(&mut pair, subscribe(70, &[2], 0)).unwrap();
    for frame in frames {
        match frame {
            Frame::Subscribed(body) => {
                assert_eq!(body.refused, [(timeline, ErrorCode::NotAdmitted)]);
            }
            Frame::CaughtUp(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!pair.server.watches(&timeline));
}

fn subscribe(request: u64, timelines: &[u8], after: u64) -> Frame {
    let backfill = Class::ALL.map(|class| (class, ArrivalSeq(after))).to_vec();
    let timelines = timelines.iter().map(|n| TimelineSubscription {
        timeline: timeline(*n),
        backfill: backfill.clone(),
    });
    let (cursors, wake_up) = (Vec::new(), None);
    Frame::Subscribe(Subscribe {
        request,
        cursors,
        timelines: timelines.collect(),
        wake_up,
    })
}

#[test]
fn a_million_subscribes_end_at_the_rate_and_leave_nothing_behind() {
    let mut pair = ready();
    let mut answered = 0_u32;
    let mut error = None;
    for n in 0..1_000_000_u64 {
        match ask(&mut pair, subscribe(n, &[2, 3, 4], 0)) {
            Ok(frames) => {
                answered += 1;
                assert!(frames.len() <= 8, "each answer is bounded");
            }
            Err(e) => {
                error = Some(e);
                break;
            }
        }
    }
    assert!(
        matches!(error, Some(SessionError::RateLimited)),
        "{error:?}"
    );
    assert!(answered <= CONTROL_FRAMES_BURST);
    assert!(pair.server.is_closed() && !pair.server.watches(&timeline(2)));
}

#[test]
fn more_timelines_than_a_connection_may_have_are_refused_by_name() {
    let mut pair = ready();
    let ids: Vec<_> = (0..SUBSCRIPTIONS_PER_CONNECTION_MAX as u32)
        .map(|n| {
            let mut bytes = [8; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            khlong_crdt::id::TimelineId::from_bytes(bytes)
        })
        .collect();
    let backfill = Class::ALL.map(|class| (class, ArrivalSeq(0))).to_vec();
    let sub = |timeline: &_| TimelineSubscription {
        timeline: *timeline,
        backfill: backfill.clone(),
    };
    let timelines: Vec<_> = ids.iter().map(sub).collect();
    for timeline in &ids {
        pair.relay.replica.grant(*timeline, author(1), Rights::READ);
    }
    let proofs: Vec<_> = ids
        .iter()
        .map(|id| pair.member.prove(*id, &EXPORTER))
        .collect();
    for proof in proofs {
        let Input::Prove {
            timeline,
            author,
            signature,
        } = proof
        else {
            panic!("{proof:?}")
        };
        ask(
            &mut pair,
            Frame::Prove(Prove {
                timeline,
                author,
                signature,
            }),
        )
        .unwrap();
    }
    let (request, cursors, wake_up) = (1, Vec::new(), None);
    let all = Frame::Subscribe(Subscribe {
        request,
        cursors,
        timelines,
        wake_up,
    });
    assert!(wire::encode(&all).len() <= FRAME_BYTES_MAX);
    let frames = ask(&mut pair, all).unwrap();
    // One is subscribed already, so the last one is over the limit.
    for frame in &frames[..1] {
        let Frame::Subscribed(body) = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(body.refused.len(), 1);
        assert_eq!(body.refused[0].1, ErrorCode::LimitExceeded);
    }
}

#[test]
fn one_frame_with_too_many_timelines_is_not_decoded() {
    let timelines = (0..=SUBSCRIPTIONS_PER_CONNECTION_MAX)
        .map(|_| TimelineSubscription {
            timeline: timeline(1),
            backfill: Vec::new(),
        })
        .collect();
    let (request, cursors, wake_up) = (1, Vec::new(), None);
    let frame = Frame::Subscribe(Subscribe {
        request,
        cursors,
        timelines,
        wake_up,
    });
    assert!(matches!(
        wire::decode(&wire::encode(&frame)),
        Err(WireError::TooMany { .. })
    ));
    // 2 MiB of empty list entries: a million structs, if anybody decoded them.
    let mut bytes = vec![0x22, 0xfc, 0xff, 0x7f];
    bytes.extend([0x1a, 0x00].repeat((FRAME_BYTES_MAX - 4) / 2));
    assert!(matches!(
        wire::decode(&bytes),
        Err(WireError::TooMany { field: "body" })
    ));
    // The same one level deeper, in the one place where a list stands in a list.
    let mut bytes = vec![0x7a, 0xfc, 0xff, 0x7f, 0x22, 0xf8, 0xff, 0x7f];
    bytes.extend([0x12, 0x00].repeat((FRAME_BYTES_MAX - 8) / 2));
    assert!(matches!(
        wire::decode(&bytes),
        Err(WireError::TooMany { field: "body" })
    ));
}

#[test]
fn a_slow_loris_is_cut_off() {
    let bytes = wire::encode_framed(&Frame::Append(Append {
        request: 1,
        envelopes: vec![envelope(Kind::Change, timeline(1), 1, 1, &[0; 4_000])],
    }));
    let mut decoder = Decoder::new();
    assert_eq!(
        decoder.next_deadline(),
        None,
        "between frames nobody is slow"
    );
    let mut cut_at = None;
    for (second, byte) in bytes.iter().enumerate() {
        let now = Monotonic(second as u64 * 1_000_000);
        if decoder.check_deadline(now).is_err() {
            cut_at = Some(second as u64);
            break;
        }
        decoder.push(now, &[*byte]).unwrap();
        assert!(decoder.next_frame(now).unwrap().is_none());
    }
    let cut_at = cut_at.expect("a byte a second is too slow");
    assert!(
        (PARTIAL_FRAME_TIMEOUT_MS / 1_000..40).contains(&cut_at),
        "after {cut_at} s"
    );
    // A slow but honest link, at 4 KiB/s, gets a large frame through.
    let large = wire::encode_framed(&Frame::Append(Append {
        request: 1,
        envelopes: vec![envelope(Kind::Change, timeline(1), 1, 1, &[0; 250_000])],
    }));
    let mut decoder = Decoder::new();
    let mut whole = false;
    for (second, part) in large.chunks(4_096).enumerate() {
        let now = Monotonic(second as u64 * 1_000_000);
        decoder.check_deadline(now).unwrap();
        decoder.push(now, part).unwrap();
        whole = decoder.next_frame(now).unwrap().is_some();
    }
    assert!(
        whole && large.len() / 4_096 > 60,
        "it took longer than the flat timeout"
    );
    assert_eq!(decoder.next_deadline(), None);
}

#[test]
fn garbage_ends_the_connection_with_a_typed_error() {
    for garbage in [&b"GET / HTTP/1.1"[..], &[0xff; 64], &[], &[0x0a, 0xff]] {
        let error = wire::decode(garbage).unwrap_err();
        let mut pair = ready();
        pair.give_server(Input::Undecodable(error));
        assert!(matches!(pair.server_error, Some(SessionError::Wire(_))));
        assert!(pair.server.is_closed());
    }
}

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
fn a_ping_flood_ends_at_the_rate() {
    let mut pair = ready();
    let flood = (0..=u64::from(CONTROL_FRAMES_BURST))
        .map(|nonce| ask(&mut pair, Frame::Ping(Ping { nonce })))
        .find_map(Result::err);
    assert!(matches!(flood, Some(SessionError::RateLimited)));
    // Pulls that free nothing are counted as well.
    let mut pair = ready();
    let pull = Pull {
        class: Class::Text,
        backfill: None,
        cursor: ArrivalSeq(u64::MAX),
    };
    let flood = (0..=CONTROL_FRAMES_BURST).find_map(|_| ask(&mut pair, Frame::Pull(pull)).err());
    assert!(matches!(flood, Some(SessionError::RateLimited)));
}

#[test]
fn an_ephemeral_flood_is_dropped_and_counted() {
    let mut pair = ready();
    for n in 0..1_000_u32 {
        let payload = n.to_be_bytes().to_vec();
        pair.give_server(Input::Frame(Frame::Ephemeral(Ephemeral {
            timeline: timeline(1),
            payload,
        })));
    }
    assert_eq!(pair.relay.ephemeral.len(), EPHEMERAL_FRAMES_BURST as usize);
    assert_eq!(
        pair.server.ephemeral_dropped(),
        1_000 - u64::from(EPHEMERAL_FRAMES_BURST)
    );
    // And of a timeline that is not proven, all of it.
    pair.pass_ms(60_000);
    let strange = Ephemeral {
        timeline: timeline(2),
        payload: vec![1],
    };
    pair.give_server(Input::Frame(Frame::Ephemeral(strange)));
    assert_eq!(pair.relay.ephemeral.len(), EPHEMERAL_FRAMES_BURST as usize);
    assert!(pair.server.is_ready(), "{:?}", pair.server_error);
}

#[test]
fn more_appends_in_flight_than_allowed_are_refused_for_later() {
    let mut pair = ready();
    for request in 0..APPENDS_IN_FLIGHT_MAX as u64 {
        let envelopes = vec![change(1, 1, request + 1)];
        assert!(
            ask(&mut pair, Frame::Append(Append { request, envelopes }))
                .unwrap()
                .is_empty()
        );
    }
    let append = Append {
        request: 99,
        envelopes: vec![change(1, 1, 50)],
    };
    let frames = ask(&mut pair, Frame::Append(append)).unwrap();
    let Frame::Error(error) = &frames[0] else {
        panic!("{frames:?}")
    };
    assert_eq!(
        (error.code, error.request),
        (ErrorCode::TooManyInFlight, Some(99))
    );
    assert!(error.code.is_retryable() && error.retry_after_ms.is_some());
    // The number of one that is in flight cannot be used again.
    let again = Append {
        request: 0,
        envelopes: vec![change(1, 1, 60)],
    };
    assert!(matches!(
        ask(&mut pair, Frame::Append(again)),
        Err(SessionError::Protocol { .. })
    ));
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
