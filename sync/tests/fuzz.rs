//! Any bytes, at every decoder of this crate, and at both sessions: a frame, or a typed
//! error that ends one connection. How long, and with which engine: `crdt/tests/fuzzing`.
//!
//! The seeds are the frozen frames and the captured sessions: a frame that is added there is
//! tried here.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

#[path = "../../crdt/tests/fuzzing/mod.rs"]
mod fuzzing;
mod support;

use std::collections::BTreeMap;

use fuzzing::{Seeds, fuzz, hex_strings};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::time::Monotonic;
use khlong_sync::limits::{
    ACK_OUTCOMES_MAX, AGENT_BYTES_MAX, APPEND_ENVELOPES_MAX, EPHEMERAL_BYTES_MAX,
    ERROR_MESSAGE_BYTES_MAX, FRAME_BYTES_MAX, FRAME_LENGTH_BYTES, PUSH_ENTRIES_MAX,
    TIMELINES_PER_SUBSCRIPTION_MAX,
};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::decoder::Decoder;
use khlong_sync::wire::frame::{Ephemeral, ErrorFrame, Frame, Hello, Lane};
use khlong_sync::wire::lane::{End, Lanes};
use khlong_sync::wire::{self, WireError};
use support::detached::{change, envelope};
use support::link::Direction;
use support::pair::{EXPORTER, Pair};
use support::timeline;

const CAPTURES: [&[u8]; 2] = [
    include_bytes!("../testdata/session.bin"),
    include_bytes!("../testdata/session-commit.bin"),
];

/// One frame of a capture, with its length before it.
struct Captured<'c> {
    to_server: bool,
    lane: u8,
    framed: &'c [u8],
}

/// `direction ‖ lane ‖ length u32 ‖ frame`, again and again; what is cut short is the last.
fn records(mut capture: &[u8]) -> Vec<Captured<'_>> {
    let mut records = Vec::new();
    while let [direction, lane, rest @ ..] = capture {
        let length = rest.first_chunk().map_or(0, |l| u32::from_be_bytes(*l)) as usize;
        let end = rest.len().min(FRAME_LENGTH_BYTES.saturating_add(length));
        let (framed, after) = rest.split_at(end);
        records.push(Captured {
            to_server: direction & 1 == 0,
            lane: *lane,
            framed,
        });
        capture = after;
    }
    records
}

/// The frozen and the captured ones, the longest that are allowed, and one byte more.
fn frames() -> Seeds {
    let mut frames = hex_strings(include_str!("../testdata/frames.json"));
    let captured = CAPTURES.into_iter().flat_map(records);
    frames.extend(captured.map(|record| record.framed[FRAME_LENGTH_BYTES..].to_vec()));
    let longest = |more: usize| {
        [
            Frame::Hello(Hello {
                versions: 1..=1,
                agent: "a".repeat(AGENT_BYTES_MAX + more),
                keep_alive_ms: 30_000,
                log: None,
                token: None,
                relay_time: None,
            }),
            Frame::Ephemeral(Ephemeral {
                timeline: timeline(1),
                payload: vec![7; EPHEMERAL_BYTES_MAX + more],
            }),
            Frame::Error(ErrorFrame {
                code: ErrorCode::Busy,
                request: None,
                message: "m".repeat(ERROR_MESSAGE_BYTES_MAX + more),
                retry_after_ms: None,
            }),
        ]
        .map(|frame| wire::encode(&frame))
        .to_vec()
    };
    frames.extend(longest(0));
    Seeds::and(frames, longest(1))
}

fuzz!(fuzz_frame, 3_000, frames(), frame);

/// Whether it is read as it is.
fn frame(bytes: &[u8]) -> bool {
    let known = change(1, 1, 1);
    let check = move |_: &[u8]| Ok::<VerifiedEnvelope, _>(known.clone());
    for bytes in [bytes, &with_its_length(bytes)] {
        reads_back(wire::decode(bytes));
        // Without this nearly every frame with envelopes would end at a signature.
        reads_back(wire::decode_with(bytes, &check));
    }
    wire::decode(bytes).is_ok_and(|frame| !matches!(frame, Frame::Unknown(_)))
}

/// The same with the length of the body that is right, so that its fields are looked at.
fn with_its_length(bytes: &[u8]) -> Vec<u8> {
    let varint = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| **byte >= 0x80).count() + 1
    };
    let key = varint(0);
    let body = bytes.get(key + varint(key)..).unwrap_or_default();
    let mut fixed = bytes[..key.min(bytes.len())].to_vec();
    let mut length = body.len();
    while length >= 0x80 {
        fixed.push(0x80 | u8::try_from(length & 0x7f).unwrap());
        length >>= 7;
    }
    fixed.push(u8::try_from(length).unwrap());
    [&fixed, body].concat()
}

/// What whoever handles a frame relies on.
fn keeps_limits(frame: &Frame) -> bool {
    match frame {
        Frame::Hello(body) => body.agent.len() <= AGENT_BYTES_MAX,
        Frame::Subscribe(body) => body.timelines.len() <= TIMELINES_PER_SUBSCRIPTION_MAX,
        Frame::Push(body) => body.entries.len() <= PUSH_ENTRIES_MAX,
        Frame::Append(body) => body.envelopes.len() <= APPEND_ENVELOPES_MAX,
        Frame::Ack(body) => {
            let further = body.further.iter().map(|answer| answer.outcomes.len());
            body.first.outcomes.len() + further.sum::<usize>() <= ACK_OUTCOMES_MAX
        }
        Frame::Ephemeral(body) => body.payload.len() <= EPHEMERAL_BYTES_MAX,
        Frame::Error(body) => body.message.len() <= ERROR_MESSAGE_BYTES_MAX,
        _ => true,
    }
}

fn reads_back(read: Result<Frame, WireError>) {
    match read {
        Ok(Frame::Unknown(number)) => assert!(number > 0),
        Ok(frame) => {
            assert!(keeps_limits(&frame), "{frame:?}");
            let bytes = wire::encode(&frame);
            // Protobuf has many forms of one message; ours comes back as it is.
            let again = wire::decode(&bytes).unwrap();
            assert_eq!(wire::encode(&again), bytes);
            assert_eq!(again, frame);
        }
        Err(error) => assert!(!matches!(
            error,
            WireError::Slow { .. } | WireError::Truncated { .. }
        )),
    }
}

fuzz!(fuzz_lanes, 300, v2_captures(), lanes);

/// Sessions of version 2, whose frames rest on what their lane carried before.
fn v2_captures() -> Vec<Vec<u8>> {
    [
        include_bytes!("../testdata/session-v2.bin").to_vec(),
        include_bytes!("../testdata/session-v2-commit.bin").to_vec(),
    ]
    .into()
}

fn lane_of(number: u8) -> Option<Lane> {
    match number {
        0 => Some(Lane::Control),
        5 => Some(Lane::Ephemeral),
        class => Class::ALL
            .get(usize::from(class) - 1)
            .map(|class| Lane::Class(*class)),
    }
}

/// Both ends read what was captured up to the first error. What they read, written again on
/// the lanes of another connection, comes back as it is.
fn lanes(capture: &[u8]) -> bool {
    let (mut server, mut client) = (Lanes::new(End::Server), Lanes::new(End::Client));
    let (mut other_server, mut other_client) = (Lanes::new(End::Server), Lanes::new(End::Client));
    for record in records(capture) {
        let Some(lane) = lane_of(record.lane) else {
            return false;
        };
        let bytes = record.framed.get(FRAME_LENGTH_BYTES..).unwrap_or_default();
        let reader = if record.to_server {
            &mut server
        } else {
            &mut client
        };
        let Ok(frame) = reader.decode(lane, bytes) else {
            return false;
        };
        assert!(keeps_limits(&frame), "{frame:?}");
        if matches!(frame, Frame::Unknown(_)) || frame.lane() != lane {
            return false;
        }
        let (from, to) = if record.to_server {
            (&mut other_client, &mut other_server)
        } else {
            // The server's end learns the terms from what it says.
            let _ = server.encode(&frame);
            (&mut other_server, &mut other_client)
        };
        assert_eq!(to.decode(lane, &from.encode(&frame)).unwrap(), frame);
    }
    true
}

fuzz!(fuzz_stream, 2_000, streams(), stream);

/// The sizes of the pieces in which it comes, then a stream of frames.
fn streams() -> Seeds {
    let streams = CAPTURES.into_iter().flat_map(|capture| {
        [true, false].map(|to_server| {
            let records = records(capture).into_iter();
            let records = records.filter(|record| record.to_server == to_server);
            let framed: Vec<u8> = records.flat_map(|record| record.framed.to_vec()).collect();
            [&[3, 1, 0, 200][..], &framed].concat()
        })
    });
    let mut streams: Vec<Vec<u8>> = streams.collect();
    let begun = |length: usize| {
        let announced = u32::try_from(length).unwrap().to_be_bytes();
        [&[3, 1, 0, 200, 0, 0, 0, 1, 7][..], &announced, b"begun"].concat()
    };
    streams.push(begun(FRAME_BYTES_MAX));
    Seeds::and(streams, vec![begun(FRAME_BYTES_MAX + 1)])
}

/// However a stream is cut into pieces, the same frames come out of it.
fn stream(input: &[u8]) -> bool {
    let Some((sizes, bytes)) = input.split_first_chunk::<4>() else {
        return false;
    };
    let (expected, is_good) = cut(bytes);
    let mut whole = Decoder::new();
    let mut at_once = Vec::new();
    let pushed = whole.push(Monotonic(0), bytes);
    let outcome = pushed.and_then(|()| take_out(&mut whole, &mut at_once));
    assert_eq!((&at_once, outcome.is_ok()), (&expected, is_good));

    let mut split = Decoder::new();
    let (mut found, mut given) = (Vec::new(), 0);
    let mut rest = bytes;
    let mut pieces = sizes.iter().cycle();
    let again = loop {
        let size = usize::from(*pieces.next().unwrap());
        // Sizes that are all zero would never end.
        let size = if sizes == &[0; 4] { 1 } else { size };
        let (piece, after) = rest.split_at(rest.len().min(size));
        (rest, given) = (after, given + piece.len());
        let step = split
            .push(Monotonic(0), piece)
            .and_then(|()| take_out(&mut split, &mut found));
        assert!(split.pending() <= given, "it keeps what came, and no more");
        if step.is_err() || rest.is_empty() {
            break step;
        }
    };
    assert_eq!((&found, again.is_ok()), (&expected, is_good));
    if is_good {
        let taken: usize = found.iter().map(|f| f.len() + FRAME_LENGTH_BYTES).sum();
        assert_eq!(split.pending(), bytes.len() - taken);
        assert_eq!(split.finish().is_ok(), taken == bytes.len());
    }
    is_good && !found.is_empty()
}

/// By hand: the frames that are whole, and whether no length is over the limit. What follows
/// an announced length that is, is not looked at.
fn cut(mut stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return (frames, false);
        }
        let Some((frame, after)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push(frame.to_vec());
        stream = after;
    }
    (frames, true)
}

fn take_out(decoder: &mut Decoder, frames: &mut Vec<Vec<u8>>) -> Result<(), WireError> {
    while let Some(frame) = decoder.next_frame(Monotonic(0))? {
        frames.push(frame.to_vec());
    }
    Ok(())
}

fn captures() -> Vec<Vec<u8>> {
    CAPTURES.map(<[u8]>::to_vec).to_vec()
}

/// Both ends as they were when the first session was captured.
fn as_captured() -> Pair {
    let mut pair = Pair::new(&[timeline(1), timeline(2)]);
    pair.arrive(&[
        change(1, 2, 1),
        envelope(Kind::KeyOp, timeline(2), 2, 1, b"key"),
    ]);
    pair.member.outbox = vec![change(1, 1, 1), change(1, 1, 2)];
    pair
}

/// And when the second one was.
fn as_captured_second() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.arrive(&[change(1, 1, 2)]);
    pair.member.outbox = (1..=4).map(|seq| change(1, 1, seq)).collect();
    pair.member.envelopes_per_append = 2;
    pair
}

/// Gives one end what the other one said in a capture, then lets time pass until it gives up.
/// Returns whether it took everything.
fn replay(pair: &mut Pair, capture: &[u8], direction: Direction) -> bool {
    let connected = Input::Connected { exporter: EXPORTER };
    give(pair, direction, connected);
    let mut lanes: BTreeMap<u8, Decoder> = BTreeMap::new();
    let is_to_server = direction == Direction::ToServer;
    let session = |pair: &Pair| match direction {
        Direction::ToServer => (pair.server.is_closed(), pair.server.next_deadline()),
        Direction::ToClient => (pair.client.is_closed(), pair.client.next_deadline()),
    };
    let mut is_taken = true;
    for record in records(capture) {
        if record.to_server != is_to_server {
            continue;
        }
        let decoder = lanes.entry(record.lane).or_default();
        let mut inputs = Vec::new();
        match decoder.push(pair.now, record.framed) {
            Ok(()) => loop {
                match decoder.next_frame(pair.now) {
                    Ok(Some(bytes)) => inputs.push(match wire::decode(bytes) {
                        Ok(frame) => Input::Frame(frame),
                        Err(error) => Input::Undecodable(error),
                    }),
                    Ok(None) => break,
                    Err(error) => {
                        inputs.push(Input::Undecodable(error));
                        break;
                    }
                }
            },
            Err(error) => inputs.push(Input::Undecodable(error)),
        }
        for input in inputs {
            is_taken &= matches!(input, Input::Frame(_)) && !session(pair).0;
            give(pair, direction, input);
        }
        pair.now = pair.now.after_ms(40);
    }
    for _ in 0..1_000 {
        let (is_closed, deadline) = session(pair);
        if is_closed {
            return is_taken;
        }
        pair.now = deadline.unwrap().max(pair.now);
        give(pair, direction, Input::Timeout);
    }
    panic!("a silent peer keeps its connection");
}

fn give(pair: &mut Pair, direction: Direction, input: Input) {
    match direction {
        Direction::ToServer => pair.give_server(input),
        Direction::ToClient => pair.give_client(input),
    }
}

fuzz!(fuzz_server, 150, captures(), server);

/// A hostile client ends its own connection; the next one gets all there is.
fn server(capture: &[u8]) -> bool {
    let mut pair = as_captured();
    let is_taken = replay(&mut pair, capture, Direction::ToServer);
    assert!(
        !matches!(pair.server_error, Some(SessionError::Replica { .. })),
        "the peer is at fault, not the store"
    );
    pair.server_error = None;
    pair.server_closed = None;
    pair.reconnect();
    pair.settle();
    pair.assert_in_sync();
    is_taken
}

fuzz!(fuzz_client, 150, captures(), client);

/// A hostile relay ends the connection; what it did not prove stays to be sent. Taken is a session
/// in which the client finds the answers to what it asked.
fn client(capture: &[u8]) -> bool {
    let mut first = as_captured();
    // Of which the relay knows nothing.
    first.member.timelines.push(timeline(3));
    [first, as_captured_second()]
        .map(|pair| is_heard_out(pair, capture))
        .contains(&true)
}

fn is_heard_out(mut pair: Pair, capture: &[u8]) -> bool {
    let outbox = pair.member.outbox.clone();
    let is_taken = replay(&mut pair, capture, Direction::ToClient);
    for envelope in outbox {
        let id = envelope.id();
        let is_waiting = pair.member.outbox.iter().any(|waiting| waiting.id() == id);
        assert_ne!(
            is_waiting,
            pair.member.stored.contains(&id),
            "until a receipt names it, it waits"
        );
    }
    is_taken
}
