//! Headers that a lane implies: what comes out is byte for byte what went in, whatever the order.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;

use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::{EnvelopeError, Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, EpochId, LogId, MediaRootId, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_sync::limits::{KEEP_ALIVE_MS_DEFAULT, SHADOW_SLOTS, SHADOW_SLOTS_UNPROVEN};
use khlong_sync::replica::Arrival;
use khlong_sync::wire::WireError;
use khlong_sync::wire::frame::{
    Append, CaughtUp, Frame, Hello, Lane, Proved, Push, Subscribe, TimelineSubscription,
};
use khlong_sync::wire::lane::{End, Lanes};
use khlong_sync::wire::shadow::{ShadowError, ShadowReader, ShadowWriter};
use khlong_sync::wire::{self, verify};
use proptest::prelude::*;
use support::link::Direction;
use support::pair::Pair;
use support::{author, change, detached, envelope, following, key, timeline};

/// One envelope as a test wants it.
#[derive(Clone, Debug)]
struct Wanted {
    lane: u8,
    timeline: u8,
    author: u8,
    /// Goes on where the author's chain is; else somewhere else.
    follows: bool,
    kind: Kind,
    expiry: Expiry,
    epoch: u8,
    refs: usize,
    has_nonce: bool,
    pruned: bool,
    body: Vec<u8>,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let place = (0..3_u8, 0..4_u8, 1..16_u8, prop::bool::weighted(0.8));
    let header = (
        prop::sample::select(&Kind::ALL[..]),
        prop::sample::select(&Expiry::ALL[..]),
        1..3_u8,
        prop_oneof![4 => Just(0_usize), 1 => 1..=8_usize],
    );
    let rest = (
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::collection::vec(any::<u8>(), 1..40),
    );
    (place, header, rest).prop_map(|(place, header, rest)| Wanted {
        lane: place.0,
        timeline: place.1,
        author: place.2,
        follows: place.3,
        kind: header.0,
        expiry: header.1,
        epoch: header.2,
        refs: header.3,
        has_nonce: rest.0,
        pruned: rest.1,
        body: rest.2,
    })
}

/// Chains of authors as they grow.
#[derive(Default)]
struct Chains(BTreeMap<(u8, u8), VerifiedEnvelope>);

impl Chains {
    fn seal(&mut self, wanted: &Wanted) -> VerifiedEnvelope {
        let last = self.0.get(&(wanted.timeline, wanted.author));
        let (seq, prev) = match last {
            Some(last) if wanted.follows => (Seq(last.seq().get() + 1), last.id()),
            Some(_) => (Seq(1_000), EnvelopeId::from_bytes([7; 32])),
            None => (Seq(1), EnvelopeId::ZERO),
        };
        let root = |n: usize| MediaRootId::from_bytes([u8::try_from(n).unwrap(); 32]);
        let prefix = Prefix {
            kind: wanted.kind,
            timeline: timeline(wanted.timeline),
            author: author(wanted.author),
            seq,
            prev,
            epoch: EpochId::from_bytes([wanted.epoch; 32]),
            expiry: wanted.expiry,
            refs: (0..wanted.refs).map(root).collect(),
        };
        let nonce = [if wanted.has_nonce { 3 } else { 0 }; 24];
        let sealed =
            VerifiedEnvelope::sign(prefix, nonce, &wanted.body, &key(wanted.author)).unwrap();
        self.0
            .insert((wanted.timeline, wanted.author), sealed.clone());
        if wanted.pruned {
            sealed.pruned()
        } else {
            sealed
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_comes_out_is_what_went_in(all in prop::collection::vec(wanted(), 1..120)) {
        let mut lanes: BTreeMap<u8, (ShadowWriter, ShadowReader)> = BTreeMap::new();
        let mut chains = Chains::default();
        for wanted in &all {
            let sealed = chains.seal(wanted);
            let (writer, reader) = lanes.entry(wanted.lane).or_default();
            let packed = writer.pack(&sealed);
            prop_assert!(packed.len() <= 1 + sealed.bytes().len());
            let opened = reader.unpack(&packed, verify).unwrap();
            prop_assert_eq!(opened.bytes(), sealed.bytes());
            prop_assert_eq!(opened.id(), sealed.id());
        }
    }

    #[test]
    fn hostile_bytes_give_an_error_and_move_nothing(
        all in prop::collection::vec(wanted(), 2..12),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        keep in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut writer, mut reader) = (ShadowWriter::new(), ShadowReader::new());
        let mut chains = Chains::default();
        for wanted in &all {
            let sealed = chains.seal(wanted);
            let packed = writer.pack(&sealed);
            let mut flipped = packed.clone();
            let at = at.index(flipped.len());
            flipped[at] ^= 1 << bit;
            // A slot to keep it in may be another one; all else is no envelope.
            let is_slot = at == 0 || (at == 2 && packed[0] & 0x20 != 0 && packed[1] & 1 != 0);
            if !is_slot {
                prop_assert!(reader.unpack(&flipped, verify).is_err());
            }
            let cut = keep.index(packed.len());
            if packed[0] & 0x20 != 0 || cut != 1 + sealed.pruned().bytes().len() {
                prop_assert!(reader.unpack(&packed[..cut], verify).is_err());
            }
            prop_assert!(reader.unpack(&garbage, verify).is_err());
            let opened = reader.unpack(&packed, verify).unwrap();
            prop_assert_eq!(opened.bytes(), sealed.bytes());
        }
    }
}

#[test]
fn a_lone_message_of_a_known_author_costs_its_nonce_signature_body_and_two_bytes() {
    let mut writer = ShadowWriter::new();
    let mut chains = Chains::default();
    let mut next = |author| {
        let wanted = Wanted {
            lane: 0,
            timeline: 1,
            author,
            follows: true,
            kind: Kind::Change,
            expiry: Expiry::Keep,
            epoch: 1,
            refs: 0,
            has_nonce: true,
            pruned: false,
            body: b"sawasdee".to_vec(),
        };
        writer.pack(&chains.seal(&wanted)).len()
    };
    let body = b"sawasdee".len();
    assert_eq!(next(1), 1 + 200 + 64 + body, "whole");
    assert_eq!(next(1), 2 + 24 + 64 + body);
    // Slot, author and seq 1 beside it.
    assert_eq!(next(2), 2 + 1 + 32 + 8 + 24 + 64 + body);
    assert_eq!(next(1), 2 + 24 + 64 + body);
    assert_eq!(next(2), 2 + 24 + 64 + body);
}

#[test]
fn more_authors_than_slots_push_out_the_one_that_was_silent_longest() {
    let (mut writer, mut reader) = (ShadowWriter::new(), ShadowReader::new());
    let slots = u8::try_from(SHADOW_SLOTS).unwrap();
    let mut send = |n: u8, seq| {
        let sealed = change(n, 1, seq);
        let packed = writer.pack(&sealed);
        assert_eq!(
            reader.unpack(&packed, verify).unwrap().bytes(),
            sealed.bytes()
        );
        packed[0]
    };
    for n in 0..slots {
        assert_eq!(send(n, 1), n, "whole, in the next slot");
    }
    assert_eq!(send(0, 2), 0x20, "a shadow of its own");
    assert_eq!(send(100, 1), 1, "whole, where timeline 1 was");
    assert_eq!(send(1, 2), 2, "whole again");
    assert_eq!(send(100, 2), 0x21);
}

#[test]
fn packed_bytes_that_mean_nothing_are_named() {
    let sealed = change(1, 1, 1);
    let shadow = |flags: u8, rest: &[u8]| [&[0x20, flags][..], rest].concat();
    let unpacked = |bytes: &[u8]| {
        let mut reader = ShadowReader::new();
        let whole = [&[0][..], sealed.bytes()].concat();
        reader.unpack(&whole, verify).unwrap();
        reader.unpack(bytes, verify).unwrap_err()
    };
    let whole_in = |slot: u8| [&[slot][..], sealed.bytes()].concat();
    assert_eq!(unpacked(&[]), ShadowError::Truncated);
    assert_eq!(unpacked(&[0x40]), ShadowError::Form(0x40));
    assert_eq!(unpacked(&[0xff; 99]), ShadowError::Form(0xff));
    assert_eq!(unpacked(&[0x21, 0]), ShadowError::EmptySlot(1));
    assert_eq!(unpacked(&whole_in(2)), ShadowError::SlotBeyond(2));
    assert_eq!(unpacked(&shadow(0x80, &[])), ShadowError::Flags(0x80));
    assert_eq!(unpacked(&shadow(0x01, &[7])), ShadowError::SlotBeyond(7));
    assert_eq!(
        unpacked(&shadow(0x01, &[200])),
        ShadowError::SlotBeyond(200)
    );
    assert_eq!(
        unpacked(&shadow(0, &[3; 88])),
        ShadowError::Truncated,
        "no body"
    );
    let refs = ShadowError::Envelope(EnvelopeError::TooManyRefs(9));
    assert_eq!(unpacked(&shadow(0x20, &[9; 999])), refs);
    let kind = ShadowError::Envelope(EnvelopeError::Kind(9));
    assert_eq!(unpacked(&shadow(0x10, &[9; 999])), kind);
    // Rebuilt well, and not what was signed.
    let forged = unpacked(&shadow(0, &[3; 99]));
    assert!(
        matches!(forged, ShadowError::Envelope(EnvelopeError::Signature(_))),
        "{forged:?}"
    );
    // The end of a chain.
    let mut reader = ShadowReader::new();
    let last = detached::envelope(Kind::Change, timeline(1), 1, u64::MAX, b"the last");
    let last = [&[0][..], last.bytes()].concat();
    reader.unpack(&last, verify).unwrap();
    let beyond = reader.unpack(&shadow(0, &[3; 99]), verify).unwrap_err();
    assert_eq!(beyond, ShadowError::EndOfChain);
}

fn log() -> LogId {
    LogId::from_bytes([0x16; 16])
}

/// Two ends, after a Hello of this version.
fn ends(version: u16) -> (Lanes, Lanes) {
    let (mut client, mut server) = (Lanes::new(End::Client), Lanes::new(End::Server));
    let hello = Frame::Hello(Hello {
        versions: version..=version,
        agent: "test".to_owned(),
        keep_alive_ms: KEEP_ALIVE_MS_DEFAULT,
        log: Some((log(), 2)),
        token: None,
        relay_time: None,
    });
    let bytes = server.encode(&hello);
    assert_eq!(
        bytes,
        wire::encode(&hello),
        "Hello is the same in all versions"
    );
    assert_eq!(client.decode(Lane::Control, &bytes).unwrap(), hello);
    (client, server)
}

fn cursor(seq: u64) -> Cursor {
    Cursor {
        log: log(),
        log_epoch: 2,
        seq: ArrivalSeq(seq),
        hash: [5; 8],
    }
}

fn push(seqs: &[(u64, i64)], cursor: Cursor) -> Frame {
    let entries = seqs.iter().zip(1..).map(|((arrival, at), seq)| Arrival {
        arrival: ArrivalSeq(*arrival),
        received_at: UnixMillis(*at),
        envelope: change(1, 1, seq),
    });
    Frame::Push(Push {
        class: Class::Text,
        backfill: None,
        entries: entries.collect(),
        cursor,
    })
}

const TEXT: Lane = Lane::Class(Class::Text);

#[test]
fn arrivals_dates_and_cursors_survive_being_left_out() {
    let elsewhere = Cursor {
        log: LogId::from_bytes([0x17; 16]),
        ..cursor(90)
    };
    let frames = [
        push(&[(9, 1_000)], cursor(9)),
        push(&[(10, 1_000), (11, 1_000), (14, 900)], cursor(14)),
        push(
            &[(15, i64::MIN), (u64::MAX - 1, i64::MIN)],
            cursor(u64::MAX),
        ),
        push(&[(20, -5)], elsewhere),
        Frame::CaughtUp(CaughtUp {
            class: Class::Text,
            cursor: cursor(30),
        }),
    ];
    let (mut client, mut server) = ends(2);
    for frame in frames {
        let bytes = server.encode(&frame);
        assert!(bytes.len() < wire::encode(&frame).len());
        assert_eq!(client.decode(TEXT, &bytes).unwrap(), frame);
    }
    // A client's cursors too.
    let subscribe = Frame::Subscribe(Subscribe {
        request: 1,
        cursors: vec![(Class::Text, cursor(4)), (Class::Bulk, elsewhere)],
        timelines: vec![TimelineSubscription {
            timeline: timeline(1),
            backfill: Vec::new(),
        }],
        wake_up: None,
    });
    let bytes = client.encode(&subscribe);
    assert_eq!(server.decode(Lane::Control, &bytes).unwrap(), subscribe);
}

#[test]
fn lanes_and_directions_have_slots_of_their_own() {
    let (mut client, mut server) = ends(2);
    let append = |kind, seq| {
        Frame::Append(Append {
            request: seq,
            envelopes: vec![envelope(kind, timeline(1), 1, seq, b"body")],
        })
    };
    let bulk = Lane::Class(Class::Bulk);
    let text = [1, 2, 3].map(|seq| client.encode(&append(Kind::Change, seq)));
    let in_bulk = [4, 5].map(|seq| client.encode(&append(Kind::Fragment, seq)));
    // The lanes arrive in any order.
    for (bytes, seq) in in_bulk.iter().zip([4, 5]) {
        let frame = server.decode(bulk, bytes).unwrap();
        assert_eq!(frame, append(Kind::Fragment, seq));
    }
    for (bytes, seq) in text.iter().zip([1, 2, 3]) {
        assert_eq!(
            server.decode(TEXT, bytes).unwrap(),
            append(Kind::Change, seq)
        );
    }
    // A frame out of its order is no frame, and never another envelope.
    let (mut client, mut server) = ends(2);
    let first = client.encode(&append(Kind::Change, 1));
    let second = client.encode(&append(Kind::Change, 2));
    let early = server.decode(TEXT, &second).unwrap_err();
    let source = ShadowError::EmptySlot(0);
    assert!(matches!(early, WireError::Shadow { index: 0, source: s } if s == source));
    server.decode(TEXT, &first).unwrap();
    server.decode(TEXT, &second).unwrap();
}

#[test]
fn a_stranger_has_one_slot_in_each_lane() {
    let all = || (1..=3_u8).map(|seed| change(1, seed, 1));
    let append = Frame::Append(Append {
        request: 1,
        envelopes: all().collect(),
    });
    let proved = Frame::Proved(Proved {
        timeline: timeline(1),
        author: author(1),
    });
    // A writer that keeps to it: the second author is a shadow of the first, in its slot.
    let (mut client, mut server) = ends(2);
    let bytes = client.encode(&append);
    assert_eq!(server.decode(TEXT, &bytes).unwrap(), append);
    // One that does not: the relay keeps nothing more of it.
    let (mut hasty, mut server) = ends(2);
    hasty.heard(&proved);
    let bytes = hasty.encode(&append);
    let refused = server.decode(TEXT, &bytes).unwrap_err();
    let source = ShadowError::SlotUnproven(1);
    assert!(
        matches!(refused, WireError::Shadow { index: 1, source: s } if s == source),
        "{refused:?}"
    );
    // Once the relay has said that something is proven, all slots are there, on all lanes.
    let (mut client, mut server) = ends(2);
    let said = server.encode(&proved);
    assert_eq!(client.decode(Lane::Control, &said).unwrap(), proved);
    let bytes = client.encode(&append);
    assert_eq!(server.decode(TEXT, &bytes).unwrap(), append);
    // What a client hears is the relay's own, which it knows by its key.
    let entries = all().zip(1..).map(|(envelope, seq)| Arrival {
        arrival: ArrivalSeq(seq),
        received_at: UnixMillis(1),
        envelope,
    });
    let push = Frame::Push(Push {
        class: Class::Text,
        backfill: None,
        entries: entries.collect(),
        cursor: cursor(3),
    });
    let (mut client, mut server) = ends(2);
    let bytes = server.encode(&push);
    assert_eq!(client.decode(TEXT, &bytes).unwrap(), push);
}

#[test]
fn the_slots_of_a_reader_are_as_many_as_it_is_allowed() {
    let mut reader = ShadowReader::new();
    reader.allow(SHADOW_SLOTS_UNPROVEN);
    let whole_in = |slot: u8, seed| [&[slot][..], change(1, seed, 1).bytes()].concat();
    assert_eq!(reader.used(), 0);
    for seed in 1..=20 {
        reader.unpack(&whole_in(0, seed), verify).unwrap();
        let more = reader.unpack(&whole_in(1, seed), verify).unwrap_err();
        assert_eq!(more, ShadowError::SlotUnproven(1));
        assert_eq!(reader.used(), SHADOW_SLOTS_UNPROVEN);
    }
    reader.allow(SHADOW_SLOTS);
    reader.unpack(&whole_in(1, 1), verify).unwrap();
    assert_eq!(reader.used(), 2);
}

#[test]
fn a_frame_may_be_dropped_before_it_is_encoded_and_not_after() {
    let first = change(1, 1, 1);
    let second = following(&first, 1, 3, |_| {});
    let third = following(&second, 1, 4, |_| {});
    let append = |envelope: &VerifiedEnvelope| {
        Frame::Append(Append {
            request: envelope.seq().get(),
            envelopes: vec![envelope.clone()],
        })
    };
    let (mut client, mut server) = ends(2);
    let bytes = client.encode(&append(&first));
    server.decode(TEXT, &bytes).unwrap();
    // The second was dropped: what the slots have in step is the first.
    let bytes = client.encode(&append(&third));
    assert_eq!(server.decode(TEXT, &bytes).unwrap(), append(&third));

    let (mut client, mut server) = ends(2);
    let bytes = client.encode(&append(&first));
    server.decode(TEXT, &bytes).unwrap();
    // Encoded, and lost on its way: the third would have been a shadow of it.
    let _ = client.encode(&append(&second));
    let bytes = client.encode(&append(&third));
    let refused = server.decode(TEXT, &bytes).unwrap_err();
    assert!(matches!(
        refused,
        WireError::Envelope {
            source: EnvelopeError::Signature(_),
            ..
        }
    ));
}

#[test]
fn a_refused_envelope_is_in_the_slots_like_any_other() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    let carried = pair.link.carried;
    // Nothing is proven in timeline 2: the relay refuses the first envelope of each.
    let refused = change(2, 1, 1);
    let more = following(&refused, 1, 3, |_| {});
    for (request, refused, kept) in [(90, refused, change(1, 1, 1)), (91, more, change(1, 1, 2))] {
        let append = Frame::Append(Append {
            request,
            envelopes: vec![refused, kept],
        });
        let now = pair.now;
        pair.link
            .send(now, Direction::ToServer, append.lane(), &append);
    }
    assert!(
        pair.link.carried - carried < 4 * 264,
        "nothing was left out"
    );
    pair.settle();
    let mut kept = [change(1, 1, 1).id(), change(1, 1, 2).id()];
    kept.sort_unstable();
    assert_eq!(pair.relay.replica.ids(), kept);
}

#[test]
fn version_1_is_said_and_heard_as_ever() {
    let (mut client, mut server) = ends(1);
    let frames = [push(&[(9, 1_000)], cursor(9)), push(&[(10, 1)], cursor(12))];
    for frame in &frames {
        let bytes = server.encode(frame);
        assert_eq!(bytes, wire::encode(frame));
        assert_eq!(&client.decode(TEXT, &bytes).unwrap(), frame);
    }
    // What is of version 2 has no place there.
    let (mut newer, mut newer_server) = ends(2);
    let lean = newer_server.encode(&frames[0]);
    assert!(client.decode(TEXT, &lean).is_err());
    let append = Frame::Append(Append {
        request: 1,
        envelopes: vec![change(1, 1, 1)],
    });
    let lean = newer.encode(&append);
    let refused = server.decode(TEXT, &lean).unwrap_err();
    assert!(matches!(refused, WireError::Invalid { field: "shadowed" }));
    assert_eq!(newer_server.decode(TEXT, &lean).unwrap(), append);
}

#[test]
fn arrivals_that_would_lie_before_the_log_are_refused() {
    let (mut client, mut server) = ends(2);
    let bytes = server.encode(&push(&[(4, 0)], cursor(5)));
    let honest = client.decode(TEXT, &bytes).unwrap();
    assert_eq!(honest, push(&[(4, 0)], cursor(5)));
    // The first is the class of the cursor.
    let mut ones = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| *pair == [0x08, 0x01]);
    let (at, _) = ones.nth(1).unwrap();
    let mut forged = bytes;
    forged[at + 1] = 5;
    let refused = client.decode(TEXT, &forged).unwrap_err();
    assert!(
        matches!(refused, WireError::Invalid { field: "gap" }),
        "{refused:?}"
    );
}
