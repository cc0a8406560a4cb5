//! Bytes to frames: whatever comes, a frame or a typed error, and never more memory than the bytes are worth.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::EnvelopeError;
use khlong_crdt::id::{ArrivalSeq, LogId};
use khlong_crdt::time::{Monotonic, UnixMillis};
use khlong_sync::replica::{Arrival, TransferTotals};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::decoder::Decoder;
use khlong_sync::wire::frame::{
    Ack, Append, AppendAnswer, AppendOutcome, BackfillDone, Behind, CaughtUp, Ephemeral,
    ErrorFrame, Frame, Goodbye, Hello, Ping, Pong, Prove, Proved, Pull, Push, Subscribe,
    Subscribed, SubscriptionEnded, TimelineSubscription, Totals, Unsubscribe,
};
use khlong_sync::wire::{self, WireError};
use proptest::prelude::*;
use support::{author, change, timeline};

fn class() -> impl Strategy<Value = Class> {
    (0..4_u8).prop_map(|n| Class::try_from(n).unwrap())
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (
        any::<[u8; 16]>(),
        any::<u32>(),
        any::<u64>(),
        any::<[u8; 8]>(),
    )
        .prop_map(|(log, log_epoch, seq, hash)| Cursor {
            log: LogId::from_bytes(log),
            log_epoch,
            seq: ArrivalSeq(seq),
            hash,
        })
}

fn code() -> impl Strategy<Value = ErrorCode> {
    any::<u32>().prop_map(ErrorCode::from_number)
}

fn hello() -> impl Strategy<Value = Frame> {
    (
        1..9_u16,
        0..9_u16,
        "[ -~]{0,64}",
        1_000..600_000_u32,
        proptest::option::of((any::<[u8; 16]>(), any::<u32>())),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=64)),
        proptest::option::of(any::<i64>()),
    )
        .prop_map(
            |(low, more, agent, keep_alive_ms, log, token, relay_time)| {
                Frame::Hello(Hello {
                    versions: low..=low + more,
                    agent,
                    keep_alive_ms,
                    log: log.map(|(log, epoch)| (LogId::from_bytes(log), epoch)),
                    token: token.map(Into::into),
                    relay_time: relay_time.map(UnixMillis),
                })
            },
        )
}

fn subscribe() -> impl Strategy<Value = Frame> {
    let positions =
        proptest::collection::btree_map(class(), any::<u64>().prop_map(ArrivalSeq), 0..4);
    let subscribed = (any::<u8>(), positions).prop_map(|(n, backfill)| TimelineSubscription {
        timeline: timeline(n),
        backfill: backfill.into_iter().collect(),
    });
    (
        any::<u64>(),
        proptest::collection::btree_map(class(), cursor(), 0..4),
        proptest::collection::vec(subscribed, 1..20),
        proptest::option::of(any::<[u8; 16]>()),
    )
        .prop_map(|(request, cursors, timelines, wake_up)| {
            let cursors = cursors.into_iter().collect();
            Frame::Subscribe(Subscribe {
                request,
                cursors,
                timelines,
                wake_up,
            })
        })
}

fn outcome() -> impl Strategy<Value = AppendOutcome> {
    prop_oneof![
        (1..u64::MAX).prop_map(|n| AppendOutcome::Stored {
            arrival: ArrivalSeq(n)
        }),
        (1..u64::MAX).prop_map(|n| AppendOutcome::Duplicate {
            arrival: ArrivalSeq(n)
        }),
        (code(), proptest::option::of(any::<u32>())).prop_map(|(code, retry_after_ms)| {
            AppendOutcome::Refused {
                code,
                retry_after_ms,
            }
        }),
    ]
}

fn answer() -> impl Strategy<Value = AppendAnswer> {
    (any::<u64>(), proptest::collection::vec(outcome(), 0..9))
        .prop_map(|(request, outcomes)| AppendAnswer { request, outcomes })
}

fn push(first: u64, count: u64, backfill: bool, at: Cursor) -> Frame {
    let first = first % 1_000_000;
    let entries = (1..=count).map(|n| Arrival {
        arrival: ArrivalSeq(first + n * 3),
        received_at: UnixMillis(n.cast_signed() - 5),
        envelope: change(1, 2, n),
    });
    let cursor = Cursor {
        seq: ArrivalSeq(first + count * 3),
        ..at
    };
    let backfill = backfill.then(|| timeline(1));
    Frame::Push(Push {
        class: Class::Text,
        backfill,
        entries: entries.collect(),
        cursor,
    })
}

fn small() -> impl Strategy<Value = Frame> {
    let refused = proptest::collection::vec((any::<u8>().prop_map(timeline), code()), 0..9);
    let payload = proptest::collection::vec(any::<u8>(), 0..=1_024);
    prop_oneof![
        any::<[u8; 32]>().prop_map(|b| {
            let signature = [b, b].concat().try_into().unwrap();
            Frame::Prove(Prove {
                timeline: timeline(1),
                author: author(1),
                signature,
            })
        }),
        any::<u8>().prop_map(|n| Frame::Proved(Proved {
            timeline: timeline(n),
            author: author(n)
        })),
        (any::<u64>(), class(), cursor(), any::<bool>(), refused).prop_map(
            |(request, class, cursor, rewound, refused)| Frame::Subscribed(Subscribed {
                request,
                class,
                cursor,
                rewound,
                refused,
            })
        ),
        any::<u8>().prop_map(|n| Frame::Unsubscribe(Unsubscribe {
            timeline: timeline(n)
        })),
        (any::<u8>(), class(), proptest::option::of(code())).prop_map(|(n, class, code)| {
            Frame::SubscriptionEnded(SubscriptionEnded {
                timeline: timeline(n),
                class,
                code,
            })
        }),
        (
            class(),
            proptest::option::of(any::<u8>()),
            any::<u64>(),
            any::<u64>()
        )
            .prop_map(|(class, n, envelopes, bytes)| Frame::Totals(Totals {
                class,
                backfill: n.map(timeline),
                totals: TransferTotals { envelopes, bytes },
            })),
        (class(), proptest::option::of(any::<u8>()), any::<u64>()).prop_map(|(class, n, at)| {
            Frame::Pull(Pull {
                class,
                backfill: n.map(timeline),
                cursor: ArrivalSeq(at),
            })
        }),
        (class(), cursor()).prop_map(|(class, cursor)| Frame::CaughtUp(CaughtUp { class, cursor })),
        (class(), cursor()).prop_map(|(class, cursor)| Frame::Behind(Behind { class, cursor })),
        class().prop_map(|class| Frame::BackfillDone(BackfillDone {
            timeline: timeline(3),
            class
        })),
        (any::<u8>(), payload).prop_map(|(n, payload)| Frame::Ephemeral(Ephemeral {
            timeline: timeline(n),
            payload
        })),
        (
            code(),
            proptest::option::of(any::<u64>()),
            ".{0,60}",
            proptest::option::of(any::<u32>())
        )
            .prop_map(|(code, request, message, retry_after_ms)| {
                Frame::Error(ErrorFrame {
                    code,
                    request,
                    message,
                    retry_after_ms,
                })
            }),
        any::<u64>().prop_map(|nonce| Frame::Ping(Ping { nonce })),
        any::<u64>().prop_map(|nonce| Frame::Pong(Pong { nonce })),
        proptest::option::of(code()).prop_map(|code| Frame::Goodbye(Goodbye { code })),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        1 => hello(),
        1 => subscribe(),
        6 => small(),
        1 => (any::<u64>(), 1..4_u64).prop_map(|(request, n)| Frame::Append(Append {
            request,
            envelopes: (1..=n).map(|seq| change(1, 1, seq)).collect(),
        })),
        1 => (answer(), proptest::collection::vec(answer(), 0..8), 0..3_u8).prop_map(
            |(first, further, signed)| {
                let ids = [change(1, 1, 1).id()];
                let receipt = support::owners::Relay::new().receipt(&ids, UnixMillis(-3));
                let receipt = match signed {
                    0 => None,
                    1 => support::whole(receipt),
                    _ => support::short(&receipt),
                };
                Frame::Ack(Ack { first, further, receipt })
            }
        ),
        1 => (any::<u64>(), 1..4_u64, any::<bool>(), cursor())
            .prop_map(|(first, count, backfill, at)| push(first, count, backfill, at)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn frames_come_back_as_they_were(frame in frame()) {
        let bytes = wire::encode(&frame);
        prop_assert_eq!(&wire::decode(&bytes).unwrap(), &frame);
        let framed = wire::encode_framed(&frame);
        prop_assert_eq!(framed.len(), bytes.len() + 4);
        prop_assert_eq!(&framed[4..], &bytes[..]);
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames(
        frames in proptest::collection::vec(small(), 1..6),
        cuts in proptest::collection::vec(1..40_usize, 1..20),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(wire::encode_framed).collect();
        let mut decoder = Decoder::new();
        let mut decoded = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            decoder.push(Monotonic(1), part).unwrap();
            while let Some(bytes) = decoder.next_frame(Monotonic(1)).unwrap() {
                decoded.push(wire::decode(bytes).unwrap());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoded, frames);
        decoder.finish().unwrap();
    }

    #[test]
    fn a_truncated_stream_is_never_whole(frame in small(), keep in any::<prop::sample::Index>()) {
        let stream = wire::encode_framed(&frame);
        let keep = keep.index(stream.len());
        let mut decoder = Decoder::new();
        decoder.push(Monotonic(1), &stream[..keep]).unwrap();
        prop_assert!(decoder.next_frame(Monotonic(1)).unwrap().is_none());
        prop_assert_eq!(decoder.finish().is_err(), keep > 0);
        prop_assert_eq!(decoder.next_deadline().is_some(), keep > 0);
        // The bytes of a frame without their end: an error, or a shorter frame that is legal by itself.
        if let Ok(other) = wire::decode(stream.get(4..keep).unwrap_or_default()) {
            wire::decode(&wire::encode(&other)).unwrap();
        }
    }

    #[test]
    fn flipped_bits_give_an_error_or_another_legal_frame(
        frame in frame(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
    ) {
        let mut bytes = wire::encode(&frame);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        match wire::decode(&bytes) {
            // What decodes was checked: it can be said again.
            Ok(Frame::Unknown(number)) => prop_assert!(number > 20),
            Ok(other) => drop(wire::decode(&wire::encode(&other)).unwrap()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(frame) = wire::decode(&bytes) {
            prop_assert!(!matches!(frame, Frame::Append(_) | Frame::Push(_)), "no envelope verifies by luck");
        }
        let mut decoder = Decoder::new();
        if decoder.push(Monotonic(0), &bytes).is_ok() {
            while let Ok(Some(_)) = decoder.next_frame(Monotonic(0)) {}
        }
        prop_assert!(decoder.pending() <= bytes.len());
    }
}

#[test]
fn a_flipped_envelope_never_passes() {
    let frame = Frame::Append(Append {
        request: 1,
        envelopes: vec![change(1, 1, 1)],
    });
    let bytes = wire::encode(&frame);
    let envelope = change(1, 1, 1).bytes().len();
    for at in bytes.len() - envelope..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        assert!(
            matches!(
                wire::decode(&bytes),
                Err(WireError::Envelope { index: 0, .. })
            ),
            "byte {at}"
        );
    }
}

#[test]
fn limits_of_fields_are_enforced() {
    let field = |frame: &Frame| wire::decode(&wire::encode(frame)).unwrap_err();
    let payload = vec![0; 1_025];
    let ephemeral = Frame::Ephemeral(Ephemeral {
        timeline: timeline(1),
        payload,
    });
    assert!(matches!(
        field(&ephemeral),
        WireError::TooLong { field: "payload" }
    ));
    let hello = Hello {
        versions: 1..=1,
        agent: "a".repeat(65),
        keep_alive_ms: 30_000,
        log: None,
        token: None,
        relay_time: None,
    };
    let long = |hello: Hello| field(&Frame::Hello(hello));
    assert!(matches!(
        long(hello.clone()),
        WireError::TooLong { field: "agent" }
    ));
    let hello = Hello {
        agent: String::new(),
        ..hello
    };
    let fast = Hello {
        keep_alive_ms: 999,
        ..hello.clone()
    };
    assert!(matches!(
        long(fast),
        WireError::Invalid {
            field: "keep_alive_ms"
        }
    ));
    let bell = Hello {
        agent: "\u{7}".to_owned(),
        ..hello.clone()
    };
    assert!(matches!(long(bell), WireError::Invalid { field: "agent" }));
    let token = Hello {
        token: Some(vec![0; 65].into()),
        ..hello.clone()
    };
    assert!(matches!(long(token), WireError::TooLong { field: "token" }));
    #[expect(clippy::reversed_empty_ranges, reason = "what a peer must not say")]
    let nothing = Hello {
        versions: 2..=1,
        ..hello
    };
    assert!(matches!(
        long(nothing),
        WireError::Invalid {
            field: "version_min"
        }
    ));
    let request = 1;
    let empty = Frame::Append(Append {
        request,
        envelopes: Vec::new(),
    });
    assert!(matches!(
        field(&empty),
        WireError::Missing { field: "envelopes" }
    ));
    let message = "m".repeat(257);
    let (code, request, retry_after_ms) = (ErrorCode::Busy, None, None);
    let error = Frame::Error(ErrorFrame {
        code,
        request,
        message,
        retry_after_ms,
    });
    assert!(matches!(
        field(&error),
        WireError::TooLong { field: "message" }
    ));
}

#[test]
fn an_ack_answers_no_more_than_may_be_in_flight() {
    let refusal = |frame: &Frame| wire::decode(&wire::encode(frame)).unwrap_err();
    let answer = |count| AppendAnswer {
        request: 1,
        outcomes: vec![
            AppendOutcome::Stored {
                arrival: ArrivalSeq(1)
            };
            count
        ],
    };
    let ack = |first, further| {
        let receipt = None;
        Frame::Ack(Ack {
            first,
            further,
            receipt,
        })
    };
    for long in [ack(answer(257), vec![]), ack(answer(1), vec![answer(257)])] {
        assert!(matches!(
            refusal(&long),
            WireError::TooMany { field: "outcomes" }
        ));
    }
    assert!(matches!(
        refusal(&ack(answer(1), vec![answer(1); 8])),
        WireError::TooMany { field: "further" }
    ));
    let full = ack(answer(256), vec![answer(256); 7]);
    assert_eq!(wire::decode(&wire::encode(&full)).unwrap(), full);
}

/// What a relay sends of an envelope whose body has expired.
#[test]
fn an_entry_without_its_body_is_an_entry() {
    let at = Cursor {
        log: LogId::ZERO,
        log_epoch: 1,
        seq: ArrivalSeq(0),
        hash: [0; 8],
    };
    let Frame::Push(mut body) = push(10, 2, false, at) else {
        panic!("a push")
    };
    for entry in &mut body.entries {
        entry.envelope = entry.envelope.pruned();
    }
    let frame = Frame::Push(body);
    assert_eq!(wire::decode(&wire::encode(&frame)).unwrap(), frame);
}

#[test]
fn a_push_that_contradicts_itself_is_refused() {
    let at = Cursor {
        log: LogId::ZERO,
        log_epoch: 1,
        seq: ArrivalSeq(0),
        hash: [0; 8],
    };
    let Frame::Push(good) = push(10, 2, false, at) else {
        return;
    };
    let refused = |push: Push| wire::decode(&wire::encode(&Frame::Push(push))).unwrap_err();
    let mut wrong = good.clone();
    wrong.entries.reverse();
    assert!(matches!(
        refused(wrong),
        WireError::Invalid { field: "arrival" }
    ));
    let wrong = Push {
        class: Class::Bulk,
        ..good.clone()
    };
    assert!(matches!(
        refused(wrong),
        WireError::Invalid { field: "class" }
    ));
    let wrong = Push {
        backfill: Some(timeline(2)),
        ..good.clone()
    };
    assert!(matches!(
        refused(wrong),
        WireError::Invalid { field: "backfill" }
    ));
    let wrong = Push {
        cursor: at,
        ..good.clone()
    };
    assert!(matches!(
        refused(wrong),
        WireError::Invalid { field: "cursor" }
    ));
    let wrong = Push {
        entries: Vec::new(),
        ..good
    };
    assert!(matches!(
        refused(wrong),
        WireError::Missing { field: "entries" }
    ));
}

#[test]
fn error_codes_are_numbered_for_good() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_number(code.number()), *code);
        assert!(!code.to_string().is_empty());
    }
    let numbers: Vec<u32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
    assert_eq!(numbers, (1..=23).collect::<Vec<u32>>());
    assert_eq!(ErrorCode::from_number(4_000), ErrorCode::Unknown(4_000));
    assert!(!ErrorCode::Unknown(4_000).is_retryable());
}

#[test]
fn envelopes_are_what_the_given_check_makes_of_their_bytes() {
    let envelope = change(1, 1, 1);
    let bytes = wire::encode(&Frame::Append(Append {
        request: 1,
        envelopes: vec![envelope.clone(), envelope.clone()],
    }));
    let known = envelope.clone();
    let compare = move |bytes: &[u8]| match bytes == known.bytes() {
        true => Ok(known.clone()),
        false => Err(EnvelopeError::Length),
    };
    assert!(wire::decode_with(&bytes, &compare).is_ok());
    let refuse = |_: &[u8]| Err(EnvelopeError::Length);
    let refused = wire::decode_with(&bytes, &refuse);
    assert!(matches!(
        refused,
        Err(WireError::Envelope {
            index: 0,
            source: EnvelopeError::Length
        })
    ));
}
