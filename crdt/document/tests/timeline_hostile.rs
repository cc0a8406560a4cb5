//! What a hostile member can send: every replica refuses the same, in any order,
//! and nothing panics.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod timeline_room;

use automerge::legacy::{ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ScalarValue};
use khlong_crdt::id::{AuthorKey, EpochId};
use khlong_document::timeline::chunk::ChunkError;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::entry::ChangeRefusal;
use khlong_document::timeline::genesis::PAGE_GENESIS;
use khlong_document::timeline::limits::{
    CHANGE_BYTES_MAX, Limits, PAGE_NUMBER_MAX, VALUE_BYTES_MAX,
};
use khlong_document::timeline::pages::PagesEvent;
use khlong_document::timeline::plaintext::{
    ChangePlaintext, DocumentChanges, PlaintextError, ReceiptPlaintext,
};
use proptest::prelude::*;
use timeline_room::raw::*;
use timeline_room::*;

fn refusal(author: AuthorKey, raw: Vec<u8>) -> Option<ChangeRefusal> {
    let mut reader = Replica::new(9);
    let events = reader.pages.merge(&author, &[section(vec![raw])]);
    let refused = events.iter().find_map(|event| match event {
        PagesEvent::Refused { refusal, .. } => Some(*refusal),
        PagesEvent::MessageAdded(_)
        | PagesEvent::MessageChanged(_)
        | PagesEvent::StateChanged
        | PagesEvent::Rebuilt { .. } => None,
    });
    if refused.is_some() {
        assert_eq!(reader.pages.message_count(), 0);
        assert_eq!(reader.pages.page_count(), 0, "nothing was applied");
    }
    refused
}

#[test]
fn the_control_is_accepted() {
    assert_eq!(
        refusal(
            author(0),
            bytes(change(author(0), message(author(0), "fine")))
        ),
        None
    );
}

#[test]
fn a_change_of_another_actor_is_refused() {
    let raw = bytes(change(author(0), message(author(0), "in Mali's name")));
    assert_eq!(refusal(author(1), raw), Some(ChangeRefusal::ForeignActor));
    let genesis = bytes(change(ZERO, message(ZERO, "in nobody's name")));
    assert_eq!(refusal(ZERO, genesis), Some(ChangeRefusal::ForeignActor));
}

fn with(mut op: Op, edit: fn(&mut Op)) -> Op {
    edit(&mut op);
    op
}

fn forbidden(me: AuthorKey) -> Vec<(&'static str, Vec<Op>)> {
    vec![
        ("write to the root", vec![put(ObjectId::Root, "v", 2_u64)]),
        (
            "a list of its own",
            vec![with(put(ObjectId::Root, "x", 0_u64), |op| {
                op.action = OpType::Make(ObjType::List)
            })],
        ),
        (
            "a scalar in a list",
            vec![with(insert(2, None), |op| {
                op.action = OpType::Put(ScalarValue::Int(1))
            })],
        ),
        (
            "a text in a list",
            vec![with(insert(2, None), |op| {
                op.action = OpType::Make(ObjType::Text)
            })],
        ),
        ("a list that is not there", vec![insert(9, None)]),
        (
            "another's map",
            vec![insert(2, None), put(own(6, author(1)), "b", "forged")],
        ),
        (
            "an earlier map",
            vec![
                insert(2, None),
                insert(2, Some(id(6, me))),
                put(own(6, me), "b", "late"),
            ],
        ),
        (
            "a key twice",
            [message(me, "one"), vec![put(own(6, me), "b", "two")]].concat(),
        ),
        (
            "an empty key",
            vec![insert(2, None), put(own(6, me), "", "x")],
        ),
        (
            "a map in a map",
            vec![
                insert(2, None),
                with(put(own(6, me), "x", 0_u64), |op| {
                    op.action = OpType::Make(ObjType::Map)
                }),
            ],
        ),
        (
            "a delete",
            vec![
                insert(2, None),
                with(put(own(6, me), "b", 0_u64), |op| op.action = OpType::Delete),
            ],
        ),
        (
            "an increment",
            vec![
                insert(2, None),
                with(put(own(6, me), "b", 0_u64), |op| {
                    op.action = OpType::Increment(1)
                }),
            ],
        ),
        ("behind itself", vec![insert(2, Some(id(6, me)))]),
        (
            "behind what comes later",
            vec![insert(2, Some(id(7, me))), insert(2, None)],
        ),
        ("behind the list itself", vec![insert(2, Some(id(2, ZERO)))]),
        (
            "behind what nobody made",
            vec![insert(2, Some(id(3, author(4))))],
        ),
        (
            "behind an element of another list",
            vec![insert(3, None), insert(2, Some(id(6, me)))],
        ),
        ("an entry without a key", vec![insert(2, None)]),
        (
            "an empty entry behind a full one",
            [message(me, "one"), vec![insert(2, None)]].concat(),
        ),
        ("no operation", vec![]),
    ]
}

#[test]
fn operations_outside_the_rule_are_refused() {
    let me = author(0);
    for (name, operations) in forbidden(me) {
        assert_eq!(
            refusal(me, bytes(change(me, operations))),
            Some(ChangeRefusal::Rule),
            "{name}"
        );
    }
    // An overwrite names predecessors, which is a column of its own.
    let overwrite = vec![
        insert(2, None),
        with(put(own(6, me), "b", "x"), |op| {
            op.pred = SortedVec::from(vec![OpId::new(6, &ActorId::from([1_u8; 32]))])
        }),
    ];
    assert_eq!(
        refusal(me, bytes(change(me, overwrite))),
        Some(ChangeRefusal::Chunk(ChunkError::Column))
    );
}

#[test]
fn headers_outside_the_rule_are_refused() {
    let me = author(0);
    let good = || change(me, message(me, "x"));
    assert_eq!(
        refusal(
            me,
            bytes(ExpandedChange {
                message: Some("hi".into()),
                ..good()
            })
        ),
        Some(ChangeRefusal::Rule)
    );
    assert_eq!(
        refusal(
            me,
            bytes(ExpandedChange {
                extra_bytes: vec![1],
                ..good()
            })
        ),
        Some(ChangeRefusal::Rule)
    );
    assert_eq!(
        refusal(
            me,
            bytes(ExpandedChange {
                deps: Vec::new(),
                ..good()
            })
        ),
        Some(ChangeRefusal::Rule)
    );
    let mut jump = change(me, vec![insert(2, None), put(own(1_000, me), "b", "x")]);
    jump.start_op = 1_000.try_into().unwrap();
    assert_eq!(refusal(me, bytes(jump)), Some(ChangeRefusal::Counter));
    let mut end = change(me, vec![insert(2, None)]);
    end.start_op = u64::from(u32::MAX).try_into().unwrap();
    assert_eq!(
        refusal(me, bytes(end)),
        Some(ChangeRefusal::Chunk(ChunkError::Limit))
    );
    let long = change(me, message(me, &"a".repeat(VALUE_BYTES_MAX + 1)));
    assert_eq!(
        refusal(me, bytes(long)),
        Some(ChangeRefusal::Chunk(ChunkError::Limit))
    );
    assert_eq!(
        refusal(me, vec![0; CHANGE_BYTES_MAX + 1]),
        Some(ChangeRefusal::Chunk(ChunkError::TooLong))
    );
}

#[test]
fn a_run_of_2_to_the_60_operations_is_refused_at_once() {
    // The frozen genesis with its action column claiming a run of 2^60 makes.
    let raw = PAGE_GENESIS.to_vec();
    let at = raw
        .windows(4)
        .position(|window| window == [0x7f, 1, 4, 2])
        .unwrap();
    let mut bomb = raw[..at + 2].to_vec();
    bomb.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 2]);
    bomb.extend(&raw[at + 4..]);
    // Column length (4 → 12) and chunk length follow.
    let column = bomb
        .windows(2)
        .position(|window| window == [0x42, 4])
        .unwrap();
    bomb[column + 1] = 12;
    let chunk = bomb.iter().skip(8).position(|byte| *byte == 0x64).unwrap() + 8;
    bomb[chunk] += 8;
    assert_eq!(
        refusal(author(0), bomb),
        Some(ChangeRefusal::Chunk(ChunkError::Limit))
    );
}

#[test]
fn a_wrong_checksum_and_a_document_are_refused() {
    let mut raw = bytes(change(author(0), message(author(0), "x")));
    raw[5] ^= 1;
    assert_eq!(refusal(author(0), raw), Some(ChangeRefusal::Automerge));
    let document = automerge::Automerge::new().save();
    assert_eq!(
        refusal(author(0), document),
        Some(ChangeRefusal::Chunk(ChunkError::NotAChange))
    );
    assert_eq!(
        refusal(author(0), b"garbage".to_vec()),
        Some(ChangeRefusal::Chunk(ChunkError::NotAChange))
    );
    assert_eq!(
        refusal(author(0), Vec::new()),
        Some(ChangeRefusal::Chunk(ChunkError::Malformed))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is accepted also builds in Automerge.
    #[test]
    fn damaged_changes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>(), truncate: bool) {
        let me = author(0);
        let operations = [message(me, "one"), vec![insert(2, Some(id(6, me))), put(own(8, me), "b", "two"), put(own(8, me), "t", 5_i64)]].concat();
        let mut raw = bytes(change(me, operations));
        for (index, value) in flips {
            let place = index.index(raw.len());
            raw[place] ^= value;
        }
        if truncate {
            raw.truncate(cut.index(raw.len()));
        }
        // With a right checksum, so that the inside is reached. Automerge may look
        // at it only because our own reader let it through.
        if refusal(me, raw.clone()) == Some(ChangeRefusal::Automerge)
            && let Ok(parsed) = Change::try_from(&raw[..])
        {
            raw[4..8].copy_from_slice(&parsed.hash().0[..4]);
        }
        let mut reader = Replica::new(9);
        reader.pages.merge(&me, &[section(vec![raw])]);
        for (_, document) in reader.pages.documents().unwrap() {
            document.save();
        }
    }

    #[test]
    fn damaged_plaintexts_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let sections = vec![section(vec![bytes(change(author(0), message(author(0), "x")))])];
        let plaintext = ChangePlaintext { clock: NOW, auth_heads: vec![khlong_crdt::id::EnvelopeId::ZERO], sections };
        let mut raw = plaintext.encode();
        prop_assert_eq!(ChangePlaintext::decode(&raw).unwrap(), plaintext);
        let short = cut.index(raw.len());
        prop_assert_eq!(ChangePlaintext::decode(&raw[..short]), Err(PlaintextError::Malformed));
        for (index, value) in flips {
            let place = index.index(raw.len());
            raw[place] ^= value;
        }
        if let Ok(read) = ChangePlaintext::decode(&raw) {
            prop_assert_eq!(read.encode(), raw, "one form only");
        }
        let receipt = ReceiptPlaintext { delivered: vec![(author(0), 5)], read: vec![(author(1), u64::MAX)] };
        let raw = receipt.encode();
        prop_assert_eq!(ReceiptPlaintext::decode(&raw).unwrap(), receipt);
        prop_assert!(ReceiptPlaintext::decode(&raw[..cut.index(raw.len())]).is_err());
    }
}

#[test]
fn changes_wait_for_what_they_depend_on() {
    let (mut mali, mut somchai) = (Replica::new(0), Replica::new(1));
    let first = mali.write(&[text("one")]);
    somchai.read(&first);
    let second = somchai.write(&[text("two")]);
    mali.read(&second);
    let third = mali.write(&[text("three")]);
    let mut reader = Replica::new(2);
    assert!(reader.read(&third).is_empty());
    assert!(reader.read(&second).is_empty());
    assert_eq!(reader.pages.message_count(), 0, "parked");
    assert_eq!(reader.read(&first).len(), 3, "all three at once");
    assert_eq!(reader.bodies(), ["one", "two", "three"]);
}

#[test]
fn the_budget_refuses_the_same_changes_in_any_order() {
    let me = author(0);
    // A program without the budget writes on in page 0.
    let wide = Limits {
        page_messages: 1_000,
        page_author_bytes: 1 << 20,
        page_author_messages: 1_000,
        page_author_ops: 1 << 20,
        page_author_turn_bytes: 1 << 20,
        page_bytes: 1 << 20,
        ..Limits::PRODUCTION
    };
    let mut greedy = Replica::with(0, wide);
    let letters: Vec<_> = (0..30)
        .map(|n| greedy.write(&[text(&format!("{n} {}", "x".repeat(1_000)))]))
        .collect();
    assert_eq!(greedy.pages.page_count(), 1);
    let (mut forwards, mut backwards) = (Replica::new(1), Replica::new(2));
    let mut refused = Vec::new();
    for letter in &letters {
        refused.extend(
            forwards
                .read(letter)
                .into_iter()
                .filter(|event| matches!(event, PagesEvent::Refused { .. })),
        );
    }
    for letter in letters.iter().rev() {
        backwards.read(letter);
    }
    assert_equal(&forwards, &backwards);
    assert_eq!(
        refused,
        [PagesEvent::Refused {
            author: me,
            refusal: ChangeRefusal::Budget
        }],
        "the first beyond it; the rest waits for that one"
    );
    let count = forwards.pages.message_count();
    assert!(
        (10..16).contains(&count),
        "16 KiB hold {count} messages of 1,100 bytes"
    );
}

#[test]
fn of_two_changes_for_one_place_the_lower_hash_counts_everywhere() {
    let me = author(0);
    let mut forks = [
        bytes(change(me, message(me, "to Mali: yes"))),
        bytes(change(me, message(me, "to Somchai: no"))),
    ];
    forks.sort_by_key(|raw| Change::try_from(&raw[..]).unwrap().hash());
    let (mut one, mut two) = (Replica::new(1), Replica::new(2));
    for raw in &forks {
        one.pages.merge(&me, &[section(vec![raw.clone()])]);
    }
    // The other sees the losing one first, and answers it.
    two.pages.merge(&me, &[section(vec![forks[1].clone()])]);
    let answer = two.write(&[text("on top of what will lose")]);
    let events = two.pages.merge(&me, &[section(vec![forks[0].clone()])]);
    assert!(
        events.contains(&PagesEvent::Rebuilt { author: me }),
        "{events:?}"
    );
    one.read(&answer);
    assert_equal(&one, &two);
    assert_eq!(one.pages.message_count(), 1);
}

#[test]
fn nobody_is_sent_to_a_page_far_ahead() {
    let mut mali = Replica::new(0);
    let far = DocumentChanges {
        n: PAGE_NUMBER_MAX,
        ..section(vec![bytes(change(
            author(1),
            message(author(1), "come here"),
        ))])
    };
    assert!(
        mali.pages
            .merge(&author(1), std::slice::from_ref(&far))
            .is_empty()
    );
    assert_eq!(mali.pages.message_count(), 0);
    assert_eq!(mali.write(&[text("no")]).1[0].n, 0);
    let beyond = DocumentChanges {
        n: PAGE_NUMBER_MAX + 1,
        ..far
    };
    let events = mali.pages.merge(&author(1), &[beyond]);
    assert_eq!(
        events,
        [PagesEvent::Refused {
            author: author(1),
            refusal: ChangeRefusal::NoSuchPage
        }]
    );
}

#[test]
fn unknown_keys_and_documents_of_later_versions_survive() {
    let me = author(0);
    let operations = [
        message(me, "hello"),
        vec![
            put(own(6, me), "poll", ScalarValue::Bytes(vec![1, 2, 3])),
            put(own(6, me), "f", 0.5_f64),
        ],
    ]
    .concat();
    let mut reader = Replica::new(1);
    let later = DocumentChanges {
        document: 7,
        lineage: EpochId::ZERO,
        n: 0,
        changes: vec![b"a document of the future".to_vec()],
    };
    let events = reader.pages.merge(
        &me,
        &[later.clone(), section(vec![bytes(change(me, operations))])],
    );
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(reader.bodies(), ["hello"]);
    let saves = reader.pages.canonical_saves().unwrap();
    let document = automerge::Automerge::load(&saves[0].1).unwrap();
    let shown = format!("{:?}", document.hydrate(None));
    assert!(shown.contains("poll"), "{shown}");
    // The sealed form keeps what this version does not read.
    let plaintext = ChangePlaintext {
        clock: NOW,
        auth_heads: Vec::new(),
        sections: vec![later],
    };
    assert_eq!(
        ChangePlaintext::decode(&plaintext.encode()).unwrap(),
        plaintext
    );
    let mut newer = plaintext.encode();
    newer[1] = 2;
    assert_eq!(
        ChangePlaintext::decode(&newer),
        Err(PlaintextError::Version)
    );
}

#[test]
fn reactions_longer_than_an_emoji_are_not_shown() {
    let (mut mali, me) = (Replica::new(0), author(1));
    let letter = mali.write(&[text("hi")]);
    let target = mali.newest();
    let mut forger = Replica::new(1);
    forger.read(&letter);
    let good = forger.write(&[Draft::React {
        target,
        emoji: "🙏".into(),
    }]);
    mali.read(&good);
    let head = Change::try_from(&good.1[0].changes[0][..]).unwrap();
    let start = head.max_op() + 1;
    let mut long = change(
        me,
        vec![
            insert(4, None),
            put(
                own(start, me),
                "m",
                ScalarValue::Bytes(target.as_bytes().to_vec()),
            ),
            put(own(start, me), "e", "x".repeat(33)),
        ],
    );
    (long.seq, long.deps, long.start_op) = (2, vec![head.hash()], start.try_into().unwrap());
    mali.pages.merge(&me, &[section(vec![bytes(long)])]);
    assert_eq!(
        mali.message(&target).reactions.keys().collect::<Vec<_>>(),
        ["🙏"]
    );
}
