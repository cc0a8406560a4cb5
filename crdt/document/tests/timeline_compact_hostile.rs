//! Compact plaintexts of a hostile member: sealed with the right key, with the right check
//! over what they stand for. All replicas refuse the same, and nothing else is lost.
#![expect(
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod compact_form;

use compact_form::place::*;
use compact_form::*;
use khlong_crdt::admission::History;
use khlong_crdt::id::AuthorKey;
use khlong_document::timeline::chunk::ChunkError;
use khlong_document::timeline::entry::ChangeRefusal;
use khlong_document::timeline::limits::{Limits, OP_COUNTER_MAX};
use khlong_document::timeline::plaintext::PlaintextError;
use proptest::prelude::*;
use proptest::sample::Index;

#[test]
fn the_control_is_shown() {
    let place = Place::new();
    let good = place.one(1, FIRST_OP, &[place.genesis]);
    assert_eq!(place.outcome(&good), Outcome::Shown(1));
}

#[test]
fn absurd_numbers_are_refused() {
    let place = Place::new();
    let limit = Outcome::Plaintext(PlaintextError::Limit);
    let genesis = [place.genesis];
    let chunk_limit = Outcome::Change(ChangeRefusal::Chunk(ChunkError::Limit));
    for (start_op, outcome) in [
        (5, Outcome::Change(ChangeRefusal::Counter)),
        (1_000, Outcome::Change(ChangeRefusal::Counter)),
        (OP_COUNTER_MAX, chunk_limit),
    ] {
        let bytes = place.one(1, start_op, &genesis);
        assert_eq!(place.outcome(&bytes), outcome, "start_op {start_op}");
    }
    // Automerge itself makes no change that begins with operation 0.
    let zero = change(1, 0, &genesis, HEAD, &[message(0, None)]);
    let outcome = place.broken(&[section(0, 0, &[zero])], &texts(&["x"]));
    assert_eq!(outcome, Outcome::Plaintext(PlaintextError::Malformed));
    for start_op in [OP_COUNTER_MAX + 1, u64::from(u32::MAX), u64::MAX] {
        let beyond = change(1, start_op, &genesis, HEAD, &[message(0, None)]);
        let outcome = place.broken(&[section(0, 0, &[beyond])], &texts(&["x"]));
        assert_eq!(outcome, limit, "start_op {start_op}");
    }
    // A place that its author never fills is waited for, as of a raw change.
    for seq in [2, 1 << 40, u64::MAX] {
        let bytes = place.one(seq, FIRST_OP, &genesis);
        assert_eq!(place.outcome(&bytes), Outcome::Shown(0), "seq {seq}");
    }
    let zero = place.one(0, FIRST_OP, &genesis);
    assert_eq!(place.outcome(&zero), Outcome::Change(ChangeRefusal::Rule));
    // Behind the last place there is none.
    let last = change(u64::MAX, FIRST_OP, &genesis, HEAD, &[message(0, None)]);
    let behind = further(HEAD, &[message(0, None)]);
    let outcome = place.broken(&[section(0, 0, &[last, behind])], &texts(&["x", "y"]));
    assert_eq!(outcome, limit);
}

#[test]
fn there_is_one_spelling() {
    let place = Place::new();
    let genesis = [place.genesis];
    let malformed = Outcome::Plaintext(PlaintextError::Malformed);
    let good = place.one(1, FIRST_OP, &genesis);
    let one = |after: &[u8]| {
        let change = change(1, FIRST_OP, &genesis, after, &[message(0, None)]);
        vec![section(0, 0, &[change])]
    };
    let x = texts(&["x"]);
    let own = [vec![2], place.author.as_bytes().to_vec()].concat();
    let epoch = *place.honest.prefix().epoch.as_bytes();
    let lineage = |l: u64, bytes: &[u8]| [varint(l), bytes.to_vec(), vec![0, 0]].concat();
    let of_state = section(
        1,
        0,
        &[change(1, FIRST_OP, &genesis, HEAD, &[message(0, None)])],
    );
    let empty = change(1, FIRST_OP, &genesis, HEAD, &[]);
    for (name, sections, tail) in [
        ("its own author", one(&own), x.as_slice()),
        (
            "behind what is before all",
            one(&varint(2 * (FIRST_OP + 1) - 1)),
            &x,
        ),
        (
            "a lineage that is the epoch's",
            vec![lineage(2, &epoch)],
            b"",
        ),
        ("a lineage that is zero", vec![lineage(2, &[0; 32])], b""),
        ("a lineage of no kind", vec![lineage(3, b"")], b""),
        (
            "behind nothing",
            vec![section(0, 0, &[further(HEAD, &[message(0, None)])])],
            &x,
        ),
        ("messages of the state", vec![of_state], &x),
        ("no message", vec![section(0, 0, &[empty])], b""),
        ("a text without end", one(HEAD), b"x"),
        ("no text", one(HEAD), b""),
        ("a text in no coding", one(HEAD), b"\xf0\xfc"),
        ("half a character", one(HEAD), b"\xfe\xf6"),
        ("Thai by its number", one(HEAD), b"\xfd\x0e\x01\xfc"),
        ("half of a pair", one(HEAD), b"\xfd\xd8\x00\xfc"),
    ] {
        assert_eq!(place.broken(&sections, tail), malformed, "{name}");
    }
    // Behind a raw change the next one is written out.
    let raw = raw_changes(&place.group.members[0]).remove(0);
    let as_it_is = [vec![0], varint(raw.len() as u64)].concat();
    let changes = [
        change(1, FIRST_OP, &genesis, HEAD, &[message(0, None)]),
        as_it_is,
        further(HEAD, &[message(0, None)]),
    ];
    let tail = [x.clone(), raw, x.clone()].concat();
    assert_eq!(place.broken(&[section(0, 0, &changes)], &tail), malformed);
    // Bytes behind the end, a plaintext cut short, numbers longer than needed.
    assert_eq!(place.outcome(&[good.clone(), vec![0]].concat()), malformed);
    for cut in 2..good.len() {
        assert_eq!(place.outcome(&good[..cut]), malformed, "{cut}");
    }
    let clock = signed(NOW.0).len();
    let longer = |at: usize| {
        let mut longer = good.clone();
        longer[at] |= 0x80;
        longer.insert(at + 1, 0);
        longer
    };
    for at in [
        2 + clock - 1,
        2 + clock,
        3 + clock,
        4 + clock,
        5 + clock,
        6 + clock,
    ] {
        assert_eq!(place.outcome(&longer(at)), malformed, "{at}");
    }
    for codec in [2, 255] {
        let mut newer = good.clone();
        newer[1] = codec;
        assert_eq!(
            place.outcome(&newer),
            Outcome::Plaintext(PlaintextError::Version)
        );
    }
}

/// An element that is not there, or is somebody else's, is judged as in a raw change.
#[test]
fn what_a_message_stands_behind_is_judged() {
    let place = Place::new();
    let genesis = [place.genesis];
    let stranger = AuthorKey::from_bytes([9; 32]);
    for (after, element) in [
        (
            [varint(2 * 3), stranger.as_bytes().to_vec()].concat(),
            (FIRST_OP - 3, stranger),
        ),
        (varint(2 * 2 - 1), (FIRST_OP - 2, place.author)),
        ([varint(2 * 4), vec![0; 32]].concat(), (2, AuthorKey::ZERO)),
    ] {
        let said = [("x", NOW.0, None)];
        let raw = hand_made(&place.author, 1, FIRST_OP, &genesis, Some(element), &said);
        let change = change(1, FIRST_OP, &genesis, &after, &[message(0, None)]);
        let bytes = plaintext(&[section(0, 0, &[change])], &texts(&["x"]), &[raw]);
        assert_eq!(place.outcome(&bytes), Outcome::Change(ChangeRefusal::Rule));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_plaintexts_never_panic(
        flips in prop::collection::vec((any::<Index>(), any::<u8>()), 1..5),
        insert in any::<Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut group = Group::new(Limits::PRODUCTION, History::Full);
        let question = group.write(1, &[say("มาไหม")]);
        group.members[0].receive(&question);
        let honest = group.write(0, &[say("มา")]);
        let first = raw_changes(&group.members[0]).remove(1);
        let question_shown = &group.members[0].messages(0..1)[0];
        let (mut plaintext, _) = all_forms(&first, honest.author(), question_shown);
        let mut reader = group.copy_of(1);
        reader.receive_all([question.clone(), group.seal(0, &honest, &plaintext)]);
        prop_assert_eq!(reader.parked_count(), 0);
        let at = insert.index(plaintext.len());
        plaintext.splice(at..at, bytes);
        for (index, value) in flips {
            let at = index.index(plaintext.len() - 2) + 2;
            plaintext[at] ^= value;
        }
        let mut reader = group.copy_of(1);
        reader.receive_all([question, group.seal(0, &honest, &plaintext)]);
        prop_assert_eq!(reader.parked_count(), 0);
    }
}
