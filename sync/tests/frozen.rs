//! Frozen bytes: one encoding of each frame, and one captured session. They open forever.
//!
//! `KHLONG_FREEZE=1 cargo test -p khlong-sync --test frozen` writes them anew; do that
//! only with a new protocol version.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::Kind;
use khlong_crdt::id::{ArrivalSeq, LogId, MediaRootId};
use khlong_crdt::time::UnixMillis;
use khlong_sync::replica::{Arrival, TransferTotals};
use khlong_sync::session::input::Input;
use khlong_sync::wire;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{
    Ack, AckReceipt, Append, AppendAnswer, AppendOutcome, BackfillDone, Behind, CaughtUp,
    Ephemeral, ErrorFrame, Frame, Goodbye, Hello, Lane, Ping, Pong, Prove, Proved, Pull, Push,
    Subscribe, Subscribed, SubscriptionEnded, TimelineSubscription, Totals, Unsubscribe,
};
use khlong_sync::wire::lane::{End, Lanes};
use serde_json::{Value, json};
use support::detached::{change, envelope};
use support::pair::{Pair, speaking};
use support::testdata::{frozen, hex, unhex};
use support::{author, following, timeline};

fn cursor() -> Cursor {
    let log = LogId::from_bytes([0x16; 16]);
    Cursor {
        log,
        log_epoch: 2,
        seq: ArrivalSeq(300),
        hash: [1, 2, 3, 4, 5, 6, 7, 8],
    }
}

#[expect(clippy::too_many_lines, reason = "one of each frame, no logic")]
fn one_of_each() -> Vec<(&'static str, Frame)> {
    let (timeline, author, class, cursor) = (timeline(1), author(1), Class::Text, cursor());
    let totals = TransferTotals {
        envelopes: 12,
        bytes: 34_567,
    };
    let entry = Arrival {
        arrival: ArrivalSeq(300),
        received_at: UnixMillis(1_795_000_000_000),
        envelope: change(1, 1, 1),
    };
    let (relay, at) = (support::owners::Relay::new(), UnixMillis(1_795_000_000_000));
    let receipt = relay.receipt(&[change(1, 1, 1).id()], at);
    let further_ids = [1, 3, 4].map(|seq| change(1, 1, seq).id());
    let backfill = vec![
        (Class::Control, ArrivalSeq(0)),
        (Class::Media, ArrivalSeq(9)),
    ];
    vec![
        (
            "hello",
            Frame::Hello(Hello {
                versions: 1..=3,
                agent: "khlong/0.1.0".to_owned(),
                keep_alive_ms: 30_000,
                log: Some((cursor.log, cursor.log_epoch)),
                token: Some(b"token".to_vec().into()),
                relay_time: Some(UnixMillis(1_795_000_000_000)),
            }),
        ),
        (
            "prove",
            Frame::Prove(Prove {
                timeline,
                author,
                signature: [0x51; 64],
            }),
        ),
        ("proved", Frame::Proved(Proved { timeline, author })),
        (
            "subscribe",
            Frame::Subscribe(Subscribe {
                request: 7,
                cursors: vec![(class, cursor)],
                timelines: vec![TimelineSubscription { timeline, backfill }],
                wake_up: Some([0x77; 16]),
            }),
        ),
        (
            "subscribed",
            Frame::Subscribed(Subscribed {
                request: 7,
                class,
                cursor,
                rewound: true,
                refused: vec![(timeline, ErrorCode::NotAdmitted)],
            }),
        ),
        ("unsubscribe", Frame::Unsubscribe(Unsubscribe { timeline })),
        (
            "subscription_ended",
            Frame::SubscriptionEnded(SubscriptionEnded {
                timeline,
                class,
                code: Some(ErrorCode::NotAdmitted),
            }),
        ),
        (
            "totals",
            Frame::Totals(Totals {
                class,
                backfill: Some(timeline),
                totals,
            }),
        ),
        (
            "push",
            Frame::Push(Push {
                class,
                backfill: None,
                entries: vec![entry],
                cursor,
            }),
        ),
        (
            "pull",
            Frame::Pull(Pull {
                class,
                backfill: None,
                cursor: cursor.seq,
            }),
        ),
        ("caught_up", Frame::CaughtUp(CaughtUp { class, cursor })),
        (
            "backfill_done",
            Frame::BackfillDone(BackfillDone { timeline, class }),
        ),
        ("behind", Frame::Behind(Behind { class, cursor })),
        (
            "append",
            Frame::Append(Append {
                request: 8,
                envelopes: vec![change(1, 1, 1)],
            }),
        ),
        (
            "ack",
            Frame::Ack(Ack {
                first: AppendAnswer {
                    request: 8,
                    outcomes: vec![
                        AppendOutcome::Stored {
                            arrival: ArrivalSeq(300),
                        },
                        AppendOutcome::Duplicate {
                            arrival: ArrivalSeq(4),
                        },
                        AppendOutcome::Refused {
                            code: ErrorCode::DiskFull,
                            retry_after_ms: Some(60_000),
                        },
                    ],
                },
                further: Vec::new(),
                receipt: support::whole(receipt),
            }),
        ),
        (
            "ack_further",
            Frame::Ack(Ack {
                first: AppendAnswer {
                    request: 8,
                    outcomes: vec![AppendOutcome::Stored {
                        arrival: ArrivalSeq(300),
                    }],
                },
                further: vec![
                    AppendAnswer {
                        request: 9,
                        outcomes: vec![
                            AppendOutcome::Refused {
                                code: ErrorCode::NotAdmitted,
                                retry_after_ms: None,
                            },
                            AppendOutcome::Stored {
                                arrival: ArrivalSeq(301),
                            },
                        ],
                    },
                    AppendAnswer {
                        request: 11,
                        outcomes: vec![AppendOutcome::Duplicate {
                            arrival: ArrivalSeq(4),
                        }],
                    },
                ],
                receipt: support::whole(relay.receipt(&further_ids, at)),
            }),
        ),
        (
            "ephemeral",
            Frame::Ephemeral(Ephemeral {
                timeline,
                payload: vec![1, 2, 3],
            }),
        ),
        (
            "error",
            Frame::Error(ErrorFrame {
                code: ErrorCode::Busy,
                request: Some(9),
                message: "later".to_owned(),
                retry_after_ms: Some(1_000),
            }),
        ),
        ("ping", Frame::Ping(Ping { nonce: 300 })),
        ("pong", Frame::Pong(Pong { nonce: 300 })),
        (
            "goodbye",
            Frame::Goodbye(Goodbye {
                code: Some(ErrorCode::ShuttingDown),
            }),
        ),
    ]
}

#[test]
fn every_frame_has_its_frozen_encoding() {
    let frames = one_of_each();
    let today: serde_json::Map<String, Value> = frames
        .iter()
        .map(|(name, frame)| ((*name).to_owned(), json!(hex(&wire::encode(frame)))))
        .collect();
    let mut text = serde_json::to_string_pretty(&today).unwrap();
    text.push('\n');
    let frozen: Value = serde_json::from_slice(&frozen("frames.json", text.as_bytes())).unwrap();
    assert_eq!(frozen.as_object().unwrap().len(), frames.len());
    for (name, frame) in frames {
        let bytes = unhex(frozen[name].as_str().unwrap());
        assert_eq!(
            wire::decode(&bytes).unwrap(),
            frame,
            "{name} does not open any more"
        );
        assert_eq!(
            hex(&wire::encode(&frame)),
            hex(&bytes),
            "{name} is written differently"
        );
    }
}

/// A whole conversation: proof, backfill, append, ack, live, ephemeral, goodbye.
fn conversation(version: u16) -> Pair {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    pair.configure(speaking(1..=version), speaking(1..=version));
    pair.arrive(&[
        change(1, 2, 1),
        envelope(Kind::KeyOp, timeline(2), 2, 1, b"key"),
    ]);
    pair.member.outbox = vec![change(1, 1, 1), change(1, 1, 2)];
    pair.member.timelines.push(timeline(3));
    pair.connect();
    pair.settle();
    pair.arrive(&[change(2, 2, 2)]);
    pair.settle();
    if version > 1 {
        // One of which all but nonce, signature and body is implied, and one with refs.
        let last = change(2, 2, 2);
        let third = following(&last, 2, 3, |_| {});
        let fourth = following(&third, 2, 3, |prefix| {
            prefix.refs = vec![MediaRootId::from_bytes([4; 32])];
        });
        pair.arrive(&[third, fourth]);
        pair.settle();
    }
    pair.give_client(Input::Ephemeral {
        timeline: timeline(1),
        payload: b"typing".to_vec(),
    });
    pair.give_client(Input::Unsubscribe {
        timeline: timeline(2),
    });
    pair.pass_ms(31_000);
    pair.give_client(Input::Close { code: None });
    pair.settle();
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
    pair
}

/// Two appends that one commit decides: one ack answers both; one envelope is a duplicate.
fn commit(version: u16) -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.configure(speaking(1..=version), speaking(1..=version));
    pair.arrive(&[change(1, 1, 2)]);
    pair.relay.gathers = true;
    pair.member.outbox = (1..=4).map(|seq| change(1, 1, seq)).collect();
    pair.member.envelopes_per_append = 2;
    pair.connect();
    pair.settle();
    pair.commit();
    pair.settle();
    pair.give_client(Input::Close { code: None });
    pair.settle();
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
    assert!(pair.member.outbox.is_empty());
    pair
}

#[test]
fn the_captured_sessions_are_what_is_said_today() {
    for (name, version, pair) in [
        ("session", 1, conversation(1)),
        ("session-commit", 1, commit(1)),
        ("session-v2", 2, conversation(2)),
        ("session-v2-commit", 2, commit(2)),
    ] {
        let capture = &pair.link.recorded;
        let frozen_capture = frozen(&format!("{name}.bin"), capture);
        let mut expectations = expectations(&frozen_capture);
        if version > 1 {
            // Of the relay's address: its receipts leave it out.
            expectations["relay"] = json!(hex(support::relay().as_bytes()));
        }
        let mut text = serde_json::to_string_pretty(&expectations).unwrap();
        text.push('\n');
        let frozen_text = frozen(&format!("{name}.json"), text.as_bytes());
        assert_eq!(String::from_utf8(frozen_text).unwrap(), text);
        assert!(
            frozen_capture == *capture,
            "{name} is another session than the frozen one"
        );
    }
}

/// What an independent decoder must find: name, lane, direction, and some fields of each frame.
fn expectations(mut capture: &[u8]) -> Value {
    let mut frames = Vec::new();
    let (mut client, mut server) = (Lanes::new(End::Client), Lanes::new(End::Server));
    while let [direction, lane, a, b, c, d, rest @ ..] = capture {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (bytes, after) = rest.split_at(length);
        capture = after;
        let on = LANES.into_iter().find(|on| on.number() == *lane).unwrap();
        let frame = match direction {
            0 => server.decode(on, bytes).unwrap(),
            _ => client.decode(on, bytes).unwrap(),
        };
        if let (1, Frame::Hello(_)) = (direction, &frame) {
            // The server's end learns the terms from what it says.
            let _ = server.encode(&frame);
        }
        assert_eq!(frame.lane(), on);
        frames.push(json!({
            "direction": direction,
            "lane": lane,
            "bytes": length,
            "frame": name(&frame),
            "fields": fields(&frame),
        }));
    }
    assert!(capture.is_empty(), "the capture ends inside a frame");
    json!({ "schema_version": 1, "frames": frames })
}

fn name(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "hello",
        Frame::Prove(_) => "prove",
        Frame::Proved(_) => "proved",
        Frame::Subscribe(_) => "subscribe",
        Frame::Subscribed(_) => "subscribed",
        Frame::Unsubscribe(_) => "unsubscribe",
        Frame::SubscriptionEnded(_) => "subscription_ended",
        Frame::Totals(_) => "totals",
        Frame::Push(_) => "push",
        Frame::Pull(_) => "pull",
        Frame::CaughtUp(_) => "caught_up",
        Frame::BackfillDone(_) => "backfill_done",
        Frame::Behind(_) => "behind",
        Frame::Append(_) => "append",
        Frame::Ack(_) => "ack",
        Frame::Ephemeral(_) => "ephemeral",
        Frame::Error(_) => "error",
        Frame::Ping(_) => "ping",
        Frame::Pong(_) => "pong",
        Frame::Goodbye(_) => "goodbye",
        Frame::Unknown(_) => "unknown",
    }
}

fn fields(frame: &Frame) -> Value {
    match frame {
        Frame::Hello(body) => json!({
            "version_min": body.versions.start(),
            "version_max": body.versions.end(),
            "keep_alive_ms": body.keep_alive_ms,
        }),
        Frame::Prove(body) => json!({
            "timeline": hex(body.timeline.as_bytes()),
            "author": hex(body.author.as_bytes()),
        }),
        Frame::Subscribe(body) => json!({
            "request": body.request,
            "timelines": body.timelines.len(),
        }),
        Frame::Subscribed(body) => json!({
            "request": body.request,
            "class": body.class as u8,
            "seq": body.cursor.seq.0,
            "refused": body.refused.len(),
        }),
        Frame::Push(body) => json!({
            "class": body.class as u8,
            "backfill": body.backfill.map(|timeline| hex(timeline.as_bytes())),
            "seq": body.cursor.seq.0,
            "envelope_ids": ids(body.entries.iter().map(|entry| entry.envelope.id())),
        }),
        Frame::Append(body) => json!({
            "request": body.request,
            "envelope_ids": ids(body.envelopes.iter().map(|envelope| envelope.id())),
        }),
        Frame::Ack(body) => {
            let mut fields = json!({
                "request": body.first.request,
                "outcomes": body.first.outcomes.len(),
                "root": body.receipt.as_ref().and_then(root),
            });
            let further = body.further.iter();
            let further: Vec<Value> = further
                .map(|answer| json!({ "request": answer.request, "outcomes": answer.outcomes.len() }))
                .collect();
            if !further.is_empty() {
                fields["further"] = Value::Array(further);
            }
            fields
        }
        Frame::CaughtUp(body) => json!({ "class": body.class as u8, "seq": body.cursor.seq.0 }),
        Frame::Ephemeral(body) => json!({ "payload": hex(&body.payload) }),
        Frame::Proved(_)
        | Frame::Unsubscribe(_)
        | Frame::SubscriptionEnded(_)
        | Frame::Totals(_)
        | Frame::Pull(_)
        | Frame::BackfillDone(_)
        | Frame::Behind(_)
        | Frame::Error(_)
        | Frame::Ping(_)
        | Frame::Pong(_)
        | Frame::Goodbye(_)
        | Frame::Unknown(_) => json!({}),
    }
}

/// A short receipt leaves it out.
fn root(receipt: &AckReceipt) -> Option<String> {
    match receipt {
        AckReceipt::Whole(receipt) => Some(hex(&receipt.root)),
        AckReceipt::Short { .. } => None,
    }
}

fn ids(ids: impl Iterator<Item = khlong_crdt::id::EnvelopeId>) -> Vec<String> {
    ids.map(|id| hex(id.as_bytes())).collect()
}

const LANES: [Lane; 6] = [
    Lane::Control,
    Lane::Class(Class::Control),
    Lane::Class(Class::Text),
    Lane::Class(Class::Bulk),
    Lane::Class(Class::Media),
    Lane::Ephemeral,
];

#[test]
fn lanes_are_numbered_as_in_the_capture() {
    assert_eq!(LANES.map(Lane::number), [0, 1, 2, 3, 4, 5]);
}
