//! Frozen bytes of version 2: frames in one order, since each stands on what its lane carried before.
//!
//! The sessions are in `frozen.rs`. `KHLONG_FREEZE=1` writes them anew, as there.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::{Expiry, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EpochId, LogId, MediaRootId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use khlong_sync::replica::Arrival;
use khlong_sync::wire::frame::{
    Ack, Append, AppendAnswer, AppendOutcome, CaughtUp, Frame, Hello, Lane, Proved, Push,
};
use khlong_sync::wire::lane::{End, Lanes};
use serde_json::{Value, json};
use support::detached::change;
use support::link::Direction;
use support::testdata::{frozen, hex};
use support::{author, following, relay, timeline};

fn cursor() -> Cursor {
    Cursor {
        log: LogId::from_bytes([0x16; 16]),
        log_epoch: 2,
        seq: ArrivalSeq(300),
        hash: [1, 2, 3, 4, 5, 6, 7, 8],
    }
}

const AT: UnixMillis = UnixMillis(1_795_000_000_000);

/// Of the second envelope.
fn receipt() -> StoredReceipt {
    let second = following(&change(1, 1, 1), 1, 3, |_| {});
    support::owners::Relay::new().receipt(&[second.id()], AT)
}

/// Frames of version 2 in one order: each stands on what its lane carried before.
fn shadowed() -> Vec<(&'static str, Direction, Frame)> {
    let (class, at) = (Class::Text, AT);
    let first = change(1, 1, 1);
    let second = following(&first, 1, 3, |_| {});
    let rich = following(&second, 1, 0, |prefix| {
        prefix.epoch = EpochId::from_bytes([8; 32]);
        prefix.expiry = Expiry::Week;
        prefix.refs = vec![MediaRootId::from_bytes([4; 32])];
    });
    let of_another = change(1, 2, 5);
    let entry = |arrival, ms, envelope: &VerifiedEnvelope| Arrival {
        arrival: ArrivalSeq(arrival),
        received_at: UnixMillis(at.0 + ms),
        envelope: envelope.clone(),
    };
    let append = |request, envelopes| Frame::Append(Append { request, envelopes });
    let push = |seq, entries| {
        Frame::Push(Push {
            class,
            backfill: None,
            entries,
            cursor: Cursor {
                seq: ArrivalSeq(seq),
                ..cursor()
            },
        })
    };
    let hello = |versions, log| {
        Frame::Hello(Hello {
            versions,
            agent: "khlong/0.1.0".to_owned(),
            keep_alive_ms: 30_000,
            log,
            token: None,
            relay_time: None,
        })
    };
    let log = Some((cursor().log, cursor().log_epoch));
    let receipt = receipt();
    let (up, down) = (Direction::ToServer, Direction::ToClient);
    vec![
        ("hello of the client", up, hello(1..=2, None)),
        ("hello of the server", down, hello(2..=2, log)),
        ("a whole envelope", up, append(1, vec![first.clone()])),
        ("a shadow", up, append(2, vec![second.clone()])),
        (
            "another author; another epoch, expiry, refs and no nonce",
            up,
            append(3, vec![of_another.clone(), rich]),
        ),
        (
            "a pruned envelope",
            down,
            push(300, vec![entry(300, 0, &first.pruned())]),
        ),
        (
            "a gap and a date",
            down,
            push(
                305,
                vec![entry(301, 0, &second), entry(304, 25, &of_another)],
            ),
        ),
        (
            "a cursor of the log",
            down,
            Frame::CaughtUp(CaughtUp {
                class,
                cursor: cursor(),
            }),
        ),
        (
            "a short receipt",
            down,
            Frame::Ack(Ack {
                first: AppendAnswer {
                    request: 2,
                    outcomes: vec![AppendOutcome::Stored {
                        arrival: ArrivalSeq(301),
                    }],
                },
                further: Vec::new(),
                receipt: support::short(&receipt),
            }),
        ),
    ]
}

fn said(cursor: &Cursor, class: Class) -> Value {
    json!({
        "class": class as u8,
        "log": hex(cursor.log.as_bytes()),
        "log_epoch": cursor.log_epoch,
        "seq": cursor.seq.0,
        "hash": hex(&cursor.hash),
    })
}

/// A frame with all that its encoding leaves out, for readers in other languages.
fn told(frame: &Frame, receipt: &StoredReceipt) -> Value {
    match frame {
        Frame::Hello(hello) => json!({
            "frame": "hello",
            "versions": [hello.versions.start(), hello.versions.end()],
        }),
        Frame::Append(append) => json!({
            "frame": "append",
            "request": append.request,
            "envelopes": append.envelopes.iter().map(|it| hex(it.bytes())).collect::<Vec<_>>(),
        }),
        Frame::Push(push) => {
            let entry = |entry: &Arrival| {
                json!({
                    "arrival": entry.arrival.0,
                    "received_at": entry.received_at.0,
                    "envelope": hex(entry.envelope.bytes()),
                })
            };
            json!({
                "frame": "push",
                "cursor": said(&push.cursor, push.class),
                "entries": push.entries.iter().map(entry).collect::<Vec<_>>(),
            })
        }
        Frame::CaughtUp(body) => json!({
            "frame": "caught_up",
            "cursor": said(&body.cursor, body.class),
        }),
        Frame::Ack(ack) => json!({
            "frame": "ack",
            "request": ack.first.request,
            "received_at": receipt.received_at.0,
            "receipt": hex(&receipt.encode()),
        }),
        other => panic!("{other:?} is not frozen"),
    }
}

#[test]
fn what_frames_of_version_2_leave_out_is_frozen_too() {
    let receipt = receipt();
    let frames = shadowed();
    let frames = frames.iter().map(|(_, _, frame)| told(frame, &receipt));
    let today = json!({
        "schema_version": 1,
        "relay": hex(relay().as_bytes()),
        "frames": frames.collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&today).unwrap();
    text.push('\n');
    let frozen = frozen("frames-v2-told.json", text.as_bytes());
    assert_eq!(String::from_utf8(frozen).unwrap(), text);
}

#[test]
fn every_frame_of_version_2_has_its_frozen_encoding() {
    let frames = shadowed();
    let (mut client, mut server) = (Lanes::new(End::Client), Lanes::new(End::Server));
    // Something is proven: the client may use all slots.
    let proved = Frame::Proved(Proved {
        timeline: timeline(1),
        author: author(1),
    });
    let bytes = server.encode(&proved);
    client.decode(Lane::Control, &bytes).unwrap();
    let today: Vec<Value> = frames
        .iter()
        .map(|(name, direction, frame)| {
            let bytes = match direction {
                Direction::ToServer => client.encode(frame),
                Direction::ToClient => server.encode(frame),
            };
            let lane = frame.lane();
            let heard = match direction {
                Direction::ToServer => server.decode(lane, &bytes),
                Direction::ToClient => client.decode(lane, &bytes),
            };
            assert_eq!(&heard.unwrap(), frame, "{name} does not open");
            json!({
                "name": name,
                "direction": *direction as u8,
                "lane": lane.number(),
                "frame": hex(&bytes),
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&today).unwrap();
    text.push('\n');
    let frozen = frozen("frames-v2.json", text.as_bytes());
    assert_eq!(String::from_utf8(frozen).unwrap(), text);
}
