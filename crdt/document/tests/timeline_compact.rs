//! Changes that are rebuilt and not written out: every order of arrival gives one state, and
//! nothing counts that its writer did not seal.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{MessageId, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::seal::{self, SealRequest};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::event::{Refused, TimelineEvent};
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::plaintext::PlaintextError;
use khlong_document::timeline::write::InviteTerms;
use proptest::prelude::*;
use proptest::sample::Index;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
const SMALL: Limits = Limits {
    page_messages: 12,
    ..Limits::PRODUCTION
};

fn message(body: &str, reply_to: Option<MessageId>, sent_at: i64) -> Draft {
    Draft::Message {
        body: body.to_owned(),
        reply_to,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: UnixMillis(sent_at),
    }
}

fn say(body: &str) -> Draft {
    message(body, None, NOW.0)
}

/// A public group, so that a test can seal what it likes: its key lies in the genesis.
struct Room {
    rng: ChaCha12Rng,
    /// Mali, Somchai, Nok.
    members: Vec<Timeline>,
    /// Everything that let them in.
    opening: Vec<VerifiedEnvelope>,
    said: Vec<VerifiedEnvelope>,
}

impl Room {
    fn new(limits: Limits) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(11);
        let opened = open_timeline(TimelineKind::Public, History::Full, &mut rng);
        let id = opened.timeline;
        let mut admin = Timeline::with_limits(id, opened.secrets, limits);
        admin.receive_all(opened.envelopes.iter().cloned());
        let (mut opening, mut secrets) = (opened.envelopes, Vec::new());
        for _ in 0..2 {
            let terms = InviteTerms {
                rights: Rights::MEMBER,
                role: Role::Member,
                expiry: UnixMillis(0),
                quota_class: 0,
                target: None,
            };
            let (envelopes, payload) = admin.invite(&terms, NOW, &mut rng).unwrap();
            opening.extend(envelopes);
            let invite = InviteSecret::from_payload(id, &payload, None).unwrap();
            let joined = join(id, &invite, &mut rng);
            admin.receive_all(joined.envelopes.iter().cloned());
            opening.extend(joined.envelopes);
            secrets.push(joined.secrets);
        }
        let mut members = vec![admin];
        for secrets in secrets {
            let mut member = Timeline::with_limits(id, secrets, limits);
            member.receive_all(opening.iter().cloned());
            assert!(member.is_ready());
            members.push(member);
        }
        Self {
            rng,
            members,
            opening,
            said: Vec::new(),
        }
    }

    /// Another device with a member's folder, as it was at the beginning.
    fn copy_of(&self, who: usize, limits: Limits) -> Timeline {
        let member = &self.members[who];
        let mut copy = Timeline::with_limits(member.id(), member.secrets().clone(), limits);
        copy.receive_all(self.opening.iter().cloned());
        copy
    }

    fn write(&mut self, who: usize, drafts: &[Draft]) -> VerifiedEnvelope {
        let written = self.members[who].write(drafts, NOW, &mut self.rng);
        self.said.push(written.unwrap());
        self.said.last().unwrap().clone()
    }

    fn key(&self) -> EpochKey {
        let admission = self.members[0].admission().unwrap();
        EpochKey::from_seed(admission.public_key().unwrap())
    }

    /// What a member seals with its own keys as its next envelope.
    fn seal(&self, who: usize, like: &VerifiedEnvelope, plaintext: &[u8]) -> VerifiedEnvelope {
        let member = &self.members[who];
        let request = SealRequest {
            kind: Kind::Change,
            timeline: member.id(),
            seq: like.seq(),
            prev: like.prefix().prev,
            epoch_id: like.prefix().epoch,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        };
        seal::seal(
            request,
            &self.key(),
            plaintext,
            &member.secrets().author,
            [1; 32],
        )
        .unwrap()
    }
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

#[test]
fn what_is_said_arrives_as_it_was_said() {
    let mut room = Room::new(SMALL);
    let texts = ["สวัสดีค่ะ 😀", "", "é ກ \u{0} ok", "x", "ครับผม"];
    let drafts: Vec<_> = (0..)
        .zip(texts)
        .map(|(n, body)| message(body, None, NOW.0 - 7 * n * n))
        .collect();
    room.write(0, &drafts);
    let first = room.members[0].messages(0..1)[0].id;
    room.members[1].receive_all(room.said.clone());
    room.write(
        1,
        &[message("ตอบ", Some(first), i64::from(i32::MIN)), say("และ")],
    );
    room.members[0].receive_all(room.said.clone());
    room.write(
        0,
        &[
            Draft::React {
                target: first,
                emoji: "👍".into(),
            },
            say("จบ"),
        ],
    );
    let mut reader = room.copy_of(2, SMALL);
    for envelope in &room.said {
        let events = reader.receive(envelope);
        assert!(
            events
                .iter()
                .any(|event| matches!(event, TimelineEvent::MessageAdded(_))),
            "{events:?}"
        );
    }
    assert_same(&reader, &room.members[0]);
    let all = reader.messages(0..usize::MAX);
    let said: Vec<_> = all.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(said, [&texts[..], &["ตอบ", "และ", "จบ"]].concat());
    assert_eq!(all[2].sent_at.0, NOW.0 - 28);
    assert_eq!(
        (all[5].reply_to, all[5].sent_at.0),
        (Some(first), i64::from(i32::MIN))
    );
    assert_eq!(all[0].reactions.len(), 1);
}

#[test]
fn a_short_message_takes_few_bytes() {
    let mut room = Room::new(Limits::PRODUCTION);
    room.write(0, &[say("เริ่ม")]);
    let sealed = |room: &mut Room, drafts: &[Draft]| {
        let envelope = room.write(0, drafts);
        24 + 64 + envelope.body().unwrap().len()
    };
    let thai =
        "พรุ่งนี้ตอนเย็นเรานัดกันที่ตลาดริมคลองนะคะ อย่าลืมเอาร่มมาด้วย เพราะวันนี้ฝนตกหนักมาก รถติดทั้งเมืองเลยค่ะ";
    let english = "Let's meet at the market by the canal tomorrow evening, and please don't forget to bring an umbrella!";
    for body in [thai, english] {
        assert!((95..=110).contains(&body.chars().count()));
        let alone = sealed(&mut room, &[say(body)]);
        assert!(alone <= 250, "{alone} bytes: {body}");
    }
    // An envelope of which the text is nothing: what a message takes beside its text.
    let least = sealed(&mut room, &[say("")]);
    assert!(least <= 144, "{least} bytes");
}

#[test]
fn what_rests_on_something_absent_waits_for_it() {
    let mut room = Room::new(SMALL);
    let question = room.write(0, &[say("ไปไหม")]);
    room.members[1].receive(&question);
    let answer = room.write(1, &[say("ไป")]);
    let further = room.write(1, &[say("แน่นอน")]);
    let mut reader = room.copy_of(2, SMALL);
    reader.receive_all([further, answer.clone(), answer]);
    assert_eq!((reader.parked_count(), bodies(&reader).len()), (2, 0));
    reader.receive(&question);
    assert_eq!(reader.parked_count(), 0);
    assert_eq!(bodies(&reader), ["ไปไหม", "ไป", "แน่นอน"]);
    assert_same(&reader, &room.members[1]);
}

#[test]
fn an_own_change_that_waits_keeps_its_place() {
    let mut room = Room::new(SMALL);
    let question = room.write(0, &[say("ไปไหม")]);
    room.members[1].receive(&question);
    room.write(1, &[say("ไป")]);
    // Somchai's folder read again, without what he answered.
    let mut again = room.copy_of(1, SMALL);
    again.receive(&room.said[1]);
    assert_eq!(again.parked_count(), 1);
    let next = again.write(&[say("ใครอยู่บ้าง")], NOW, &mut room.rng).unwrap();
    again.receive_all([question, next.clone()]);
    room.members[0].receive_all([room.said[1].clone(), next]);
    assert_same(&again, &room.members[0]);
    assert_eq!(
        again.message_count(),
        3,
        "none of them took the other's place"
    );
}

#[test]
fn a_nonce_of_another_change_does_not_count() {
    let mut room = Room::new(SMALL);
    let honest = room.write(0, &[say("หนึ่ง")]);
    let key = room.key();
    let plaintext = seal::open(&honest, &key).unwrap();
    assert_eq!(plaintext.get(..2), Some(&[1, 1][..]), "version and codec");
    let mut reader = room.copy_of(2, SMALL);
    let events = reader.receive(&room.seal(0, &honest, &plaintext));
    assert!(
        events.iter().any(|event| matches!(
            event,
            TimelineEvent::Refused {
                reason: Refused::Plaintext(PlaintextError::Nonce),
                ..
            }
        )),
        "{events:?}"
    );
    assert_eq!(reader.message_count(), 0);
    reader.receive(&honest);
    assert_eq!(reader.message_count(), 1);
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
fn play(script: &[(Index, Step)]) -> (Room, Vec<Timeline>) {
    let mut room = Room::new(SMALL);
    let mut devices: Vec<Timeline> = [0, 1, 2, 2].map(|who| room.copy_of(who, SMALL)).into();
    for (n, (who, step)) in script.iter().enumerate() {
        let device = &mut devices[who.index(4)];
        let messages = device.messages(0..usize::MAX);
        let pick = |index: &Index| messages.get(index.index(messages.len().max(1)));
        let drafts: Vec<Draft> = match step {
            Step::Say(count) => (0..*count)
                .map(|part| say(&format!("{n}.{part} สวัสดี")))
                .collect(),
            Step::Reply(index) => pick(index)
                .map(|to| message(&format!("ตอบ {n}"), Some(to.id), NOW.0 + 5))
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
                for index in indices.iter().filter(|_| !room.said.is_empty()) {
                    device.receive(&room.said[index.index(room.said.len())]);
                }
                Vec::new()
            }
        };
        if !drafts.is_empty()
            && let Ok(envelope) = device.write(&drafts, NOW, &mut room.rng)
        {
            room.said.push(envelope);
        }
    }
    (room, devices)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_one_state(
        script in prop::collection::vec((any::<Index>(), step()), 8..40),
        order in prop::collection::vec(any::<Index>(), 64),
        batch in 1..9_usize,
    ) {
        let (room, mut devices) = play(&script);
        let mut in_order = room.copy_of(0, SMALL);
        in_order.receive_all(room.said.iter().cloned());

        let mut shuffled = room.said.clone();
        for (place, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(place, other);
        }
        shuffled.extend(room.said.iter().step_by(3).cloned());
        let mut one_by_one = room.copy_of(1, SMALL);
        for envelope in shuffled.iter().rev() {
            one_by_one.receive(envelope);
        }
        prop_assert_eq!(one_by_one.state_hash(), in_order.state_hash());
        prop_assert_eq!(one_by_one.messages(0..usize::MAX), in_order.messages(0..usize::MAX));
        let mut batched = room.copy_of(2, SMALL);
        for envelopes in shuffled.chunks(batch) {
            batched.receive_all(envelopes.iter().cloned());
        }
        assert_same(&batched, &in_order);
        // A start: all from the store, also what the device held already.
        for device in &mut devices {
            device.receive_all(room.said.iter().cloned());
            let mut started = room.copy_of(0, SMALL);
            started.receive_all(shuffled.iter().cloned());
            assert_same(device, &started);
            let again = device.reread(|timeline| Ok::<_, ()>(timeline.receive_all(shuffled.iter().cloned())));
            prop_assert!(again.is_ok());
            assert_same(device, &started);
        }
    }

    #[test]
    fn damaged_plaintexts_never_count_and_never_panic(
        flips in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in any::<Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut room = Room::new(SMALL);
        room.write(0, &[say("หนึ่ง"), say("two")]);
        let first = room.members[0].messages(0..1)[0].id;
        let honest = room.write(0, &[message("สาม", Some(first), 5)]);
        let mut plaintext = seal::open(&honest, &room.key()).unwrap();
        for (index, value) in &flips {
            let at = 2 + index.index(plaintext.len() - 2);
            plaintext[at] ^= value;
        }
        if is_cut {
            plaintext.truncate(cut.index(plaintext.len()));
        }
        let mut reader = room.copy_of(2, SMALL);
        reader.receive(&room.said[0]);
        reader.receive(&room.seal(0, &honest, &plaintext));
        prop_assert_eq!(bodies(&reader), ["หนึ่ง", "two"]);
        reader.receive(&honest);
        assert_same(&reader, &room.members[0]);
        prop_assert!(honest.seq() > Seq(1));
    }
}
