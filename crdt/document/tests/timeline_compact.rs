//! Changes that are rebuilt and not written out: whoever opens the envelope has them, every
//! order of arrival gives one state, and what a hostile member seals is refused by all alike.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod compact_form;

use compact_form::*;
use khlong_crdt::admission::History;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::EpochId;
use khlong_crdt::time::UnixMillis;
use khlong_document::seal::open;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::event::{Refused, TimelineEvent};
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::plaintext::{ChangePlaintext, DocumentChanges};
use proptest::prelude::*;
use proptest::sample::Index;

const SMALL: Limits = Limits {
    page_messages: 12,
    ..Limits::PRODUCTION
};

fn group() -> Group {
    Group::new(SMALL, History::Full)
}

fn bodies(timeline: &Timeline) -> Vec<String> {
    let messages = timeline.messages(0..usize::MAX);
    messages.into_iter().map(|message| message.body).collect()
}

fn assert_same(left: &Timeline, right: &Timeline) {
    assert_eq!(left.state_hash(), right.state_hash());
    assert_eq!(
        left.canonical_saves().unwrap(),
        right.canonical_saves().unwrap()
    );
    assert_eq!(left.messages(0..usize::MAX), right.messages(0..usize::MAX));
}

fn codec_of(group: &Group, envelope: &VerifiedEnvelope) -> Vec<u8> {
    open(envelope, &group.key()).unwrap()[..2].to_vec()
}

#[test]
fn what_is_said_arrives_as_it_was_said() {
    let mut group = group();
    let texts = ["สวัสดีค่ะ 😀", "", "é ü 📼 ກ \u{0} ok", "x", "ครับผม"];
    let drafts: Vec<_> = (0..)
        .zip(texts)
        .map(|(n, body)| say_at(body, None, NOW.0 - 7 * n * n))
        .collect();
    group.write(0, &drafts);
    let first = group.members[0].messages(0..1)[0].id;
    group.members[1].receive_all(group.said.clone());
    let early = i64::from(i32::MIN);
    group.write(1, &[say_at("ตอบ", Some(first), early), say("และ")]);
    group.members[0].receive_all(group.said.clone());
    let thumb = Draft::React {
        target: first,
        emoji: "👍".into(),
    };
    group.write(0, &[thumb, say("จบ")]);
    let mut reader = group.copy_of(2);
    for envelope in &group.said {
        assert_eq!(codec_of(&group, envelope), [1, 1]);
        let events = reader.receive(envelope);
        let added = |event: &TimelineEvent| matches!(event, TimelineEvent::MessageAdded(_));
        assert!(events.iter().any(added), "{events:?}");
    }
    assert_same(&reader, &group.members[0]);
    let all = reader.messages(0..usize::MAX);
    let said: Vec<_> = all.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(said, [&texts[..], &["ตอบ", "และ", "จบ"]].concat());
    assert_eq!(all[2].sent_at.0, NOW.0 - 28);
    assert_eq!((all[5].reply_to, all[5].sent_at.0), (Some(first), early));
    assert_eq!(all[0].reactions.len(), 1);
}

#[test]
fn short_messages_take_few_bytes() {
    let mut group = Group::new(Limits::PRODUCTION, History::Full);
    group.write(0, &[say("เริ่ม")]);
    // Body, nonce and signature: of the rest a connection says little.
    let sealed = |group: &mut Group, drafts: &[Draft]| {
        let envelope = group.write(0, drafts);
        24 + 64 + envelope.body().unwrap().len()
    };
    let thai =
        "วันเสาร์นี้จะมีงานวัดที่ท่าน้ำ ใครอยากไปด้วยกันบอกได้เลยนะ จะได้นัดเวลากันให้เรียบร้อยก่อน เพราะคนน่าจะเยอะ";
    let english = "There is a temple fair at the pier this Saturday, tell me if you want to come along so we can plan it";
    for body in [thai, english] {
        assert!((95..=110).contains(&body.chars().count()));
        let alone = sealed(&mut group, &[say(body)]);
        assert!(alone <= 272, "{alone} bytes: {body}");
        let ten: Vec<_> = (0..10).map(|n| say(&format!("{body} {n}"))).collect();
        let ten = sealed(&mut group, &ten);
        assert!(ten <= 500, "{ten} bytes for ten that are alike: {body}");
    }
    // An envelope of which the text is nothing: what a message takes beside its text.
    let least = sealed(&mut group, &[say("")]);
    assert!(least <= 208, "{least} bytes");
}

/// What the earlier attempt at this got wrong: here an envelope is opened whatever is absent.
#[test]
fn an_envelope_is_opened_whatever_is_absent() {
    let mut group = group();
    let question = group.write(0, &[say("ไปไหม")]);
    group.members[1].receive(&question);
    let answer = group.write(1, &[say("ไป")]);
    let further = group.write(1, &[say("แน่นอน")]);
    let mut reader = group.copy_of(2);
    reader.receive_all([further.clone(), answer.clone(), answer]);
    assert_eq!(reader.parked_count(), 0, "no envelope waits");
    assert_eq!(bodies(&reader).len(), 0, "their changes do, as any others");
    reader.receive(&question);
    assert_eq!(bodies(&reader), ["ไปไหม", "ไป", "แน่นอน"]);
    assert_same(&reader, &group.members[1]);

    // A page that is not here yet does not matter either.
    let many: Vec<_> = (0..12).map(|n| say(&n.to_string())).collect();
    group.write(1, &many);
    let on_the_next = group.write(1, &[say("หน้าใหม่")]);
    let mut reader = group.copy_of(2);
    reader.receive(&on_the_next);
    assert_eq!(reader.parked_count(), 0);
    reader.receive_all(group.said.clone());
    assert_same(&reader, &group.members[1]);
    assert_eq!(reader.page_count(), 2);
}

#[test]
fn both_codecs_give_one_state() {
    let mut group = group();
    group.write(1, &[say("หนึ่ง")]);
    let first = group.said[0].clone();
    group.members[0].receive(&first);
    let compact = group.write(0, &[say("สอง"), say("สาม")]);
    let change = raw_changes(&group.members[0]).pop().unwrap();
    let raw = ChangePlaintext {
        clock: NOW,
        auth_heads: Vec::new(),
        sections: vec![DocumentChanges {
            document: 0,
            lineage: EpochId::ZERO,
            n: 0,
            changes: vec![change],
        }],
    };
    let raw = group.seal(0, &compact, &raw.encode());
    assert_eq!(codec_of(&group, &raw), [1, 0]);
    assert!(compact.body().unwrap().len() < raw.body().unwrap().len());
    let (mut one, mut two) = (group.copy_of(2), group.copy_of(2));
    one.receive_all([first.clone(), compact]);
    two.receive_all([first, raw]);
    assert_same(&one, &two);
    assert_eq!(one.message_count(), 3);
}

#[test]
fn a_writer_takes_what_its_readers_can_rebuild() {
    let mut group = group();
    // The step from this clock to that time is longer than the compact form can say.
    let envelope = group.members[0]
        .write(&[say("นานมาแล้ว")], UnixMillis(i64::MIN), &mut group.rng)
        .unwrap();
    assert_eq!(codec_of(&group, &envelope), [1, 0]);
    let mut reader = group.copy_of(1);
    reader.receive(&envelope);
    assert_same(&reader, &group.members[0]);
    assert_eq!(bodies(&reader), ["นานมาแล้ว"]);
}

#[test]
fn another_check_is_refused_and_its_author_goes_on() {
    let mut group = group();
    let honest = group.write(0, &[say("หนึ่ง")]);
    let plaintext = open(&honest, &group.key()).unwrap();
    let raw = raw_changes(&group.members[0]);
    let at = plaintext
        .windows(8)
        .position(|bytes| bytes == check(&raw))
        .unwrap();
    for bit in 0..64 {
        let mut changed = plaintext.clone();
        changed[at + bit / 8] ^= 1 << (bit % 8);
        let mut reader = group.copy_of(2);
        let events = reader.receive(&group.seal(0, &honest, &changed));
        let refused = |event: &TimelineEvent| {
            let TimelineEvent::Refused { reason, .. } = event else {
                return false;
            };
            *reason
                == Refused::Plaintext(khlong_document::timeline::plaintext::PlaintextError::Check)
        };
        assert!(events.iter().any(refused), "{events:?}");
        assert_eq!(reader.message_count(), 0);
        // Another change at the same place is what its author may still say.
        reader.receive(&honest);
        assert_eq!(bodies(&reader), ["หนึ่ง"]);
    }
}

#[test]
fn every_form_is_read() {
    let mut group = group();
    group.write(1, &[say("มากี่โมงคะ")]);
    let question = group.said[0].clone();
    group.members[0].receive(&question);
    let envelope = group.write(0, &[say("x")]);
    let author = envelope.author();
    let raw = raw_changes(&group.members[0]).pop().unwrap();
    let honest = automerge::Change::try_from(&raw[..]).unwrap();
    let (start, dependency) = (honest.start_op().get(), honest.deps()[0].0);
    let last = question.author();

    let one = hand_made(
        &author,
        1,
        start,
        &[dependency],
        Some((6, last)),
        &[("ก", NOW.0 + 5, None)],
    );
    let hash = automerge::Change::try_from(&one[..]).unwrap().hash().0;
    let two = hand_made(
        &author,
        2,
        start + 3,
        &[hash],
        Some((start, author)),
        &[("ข", NOW.0 + 3, None)],
    );
    let behind = [varint(2 * (start - 6)), last.as_bytes().to_vec()].concat();
    let changes = [
        change(1, start, &[dependency], &behind, &[message(5, None)]),
        further(&varint(2 * 3 - 1), &[message(-2, None)]),
    ];
    let bytes = plaintext(&[section(0, 0, &changes)], &texts(&["ก", "ข"]), &[one, two]);
    let mut reader = group.copy_of(2);
    reader.receive_all([question, group.seal(0, &envelope, &bytes)]);
    assert_eq!(bodies(&reader), ["มากี่โมงคะ", "ก", "ข"]);
    let times: Vec<_> = reader
        .messages(1..3)
        .iter()
        .map(|message| message.sent_at.0)
        .collect();
    assert_eq!(times, [NOW.0 + 5, NOW.0 + 3]);
}

#[derive(Clone, Debug)]
enum Step {
    Say(u8),
    Reply(Index),
    React(Index),
    Read(Vec<Index>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_u8).prop_map(Step::Say),
        1 => any::<Index>().prop_map(Step::Reply),
        1 => any::<Index>().prop_map(Step::React),
        4 => prop::collection::vec(any::<Index>(), 1..8).prop_map(Step::Read),
    ]
}

/// What four devices say: those of three members, and a copy of the third one's folder,
/// which forks its chain.
fn play(script: &[(Index, Step)]) -> (Group, Vec<Timeline>) {
    let mut group = group();
    let mut devices: Vec<Timeline> = [0, 1, 2, 2].map(|who| group.copy_of(who)).into();
    for (n, (who, step)) in script.iter().enumerate() {
        let device = &mut devices[who.index(4)];
        let messages = device.messages(0..usize::MAX);
        let pick = |index: &Index| messages.get(index.index(messages.len().max(1)));
        let drafts: Vec<Draft> = match step {
            Step::Say(count) => (0..*count)
                .map(|part| say(&format!("{n}.{part} สวัสดี")))
                .collect(),
            Step::Reply(index) => pick(index)
                .map(|to| say_at(&format!("ตอบ {n}"), Some(to.id), NOW.0 + 5))
                .into_iter()
                .collect(),
            Step::React(index) => pick(index)
                .map(|to| Draft::React {
                    target: to.id,
                    emoji: "👍".into(),
                })
                .into_iter()
                .collect(),
            Step::Read(indices) => {
                for index in indices.iter().filter(|_| !group.said.is_empty()) {
                    device.receive(&group.said[index.index(group.said.len())]);
                }
                Vec::new()
            }
        };
        if !drafts.is_empty()
            && let Ok(envelope) = device.write(&drafts, NOW, &mut group.rng)
        {
            group.said.push(envelope);
        }
    }
    (group, devices)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_one_state(
        script in prop::collection::vec((any::<Index>(), step()), 8..40),
        order in prop::collection::vec(any::<Index>(), 64),
        batch in 1..9_usize,
    ) {
        let (group, mut devices) = play(&script);
        let mut in_order = group.copy_of(0);
        in_order.receive_all(group.said.iter().cloned());

        let mut shuffled = group.said.clone();
        for (place, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(place, other);
        }
        shuffled.extend(group.said.iter().step_by(3).cloned());
        let mut one_by_one = group.copy_of(1);
        for envelope in shuffled.iter().rev() {
            one_by_one.receive(envelope);
        }
        prop_assert_eq!(one_by_one.state_hash(), in_order.state_hash());
        prop_assert_eq!(one_by_one.messages(0..usize::MAX), in_order.messages(0..usize::MAX));
        let mut batched = group.copy_of(2);
        for envelopes in shuffled.chunks(batch) {
            batched.receive_all(envelopes.iter().cloned());
        }
        assert_same(&batched, &in_order);
        prop_assert_eq!(in_order.parked_count(), 0);
        // A start: all from the store, also what the device held already.
        for device in &mut devices {
            device.receive_all(group.said.iter().cloned());
            let again = device.reread(|timeline| Ok::<_, ()>(timeline.receive_all(shuffled.iter().cloned())));
            prop_assert!(again.is_ok());
            prop_assert_eq!(device.state_hash(), in_order.state_hash());
            prop_assert_eq!(device.messages(0..usize::MAX), in_order.messages(0..usize::MAX));
        }
    }
}
