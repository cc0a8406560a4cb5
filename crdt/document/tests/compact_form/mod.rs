//! Compact plaintexts written by hand, from DOCUMENT.md section 8 alone, and a group in which
//! a test can seal what it likes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "every test file uses another part of it, and stops at the first surprise"
)]

pub(crate) mod place;

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, MessageId};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::seal::{self, SealRequest};
use khlong_document::text;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::message::Message;
use khlong_document::timeline::write::InviteTerms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

pub(crate) const NOW: UnixMillis = UnixMillis(1_795_500_000_000);

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn signed(value: i64) -> Vec<u8> {
    let value = i128::from(value);
    let folded = if value < 0 { -2 * value - 1 } else { 2 * value };
    varint(u64::try_from(folded).unwrap())
}

/// One message, so many milliseconds behind the one before.
pub(crate) fn message(step: i64, reply_to: Option<[u8; 16]>) -> Vec<u8> {
    let folded = if step < 0 { -2 * step - 1 } else { 2 * step } as u64;
    let mut bytes = varint(2 * folded + u64::from(reply_to.is_some()));
    bytes.extend(reply_to.iter().flatten());
    bytes
}

/// The third form: seq, start_op, dependencies, and what the first message stands behind.
pub(crate) fn change(
    seq: u64,
    start_op: u64,
    dependencies: &[[u8; 32]],
    after: &[u8],
    messages: &[Vec<u8>],
) -> Vec<u8> {
    let mut bytes = varint(1 + dependencies.len() as u64);
    bytes.extend(varint(seq));
    bytes.extend(varint(start_op));
    bytes.extend(dependencies.iter().flatten());
    bytes.extend(after);
    bytes.extend(varint(messages.len() as u64));
    bytes.extend(messages.concat());
    bytes
}

/// The second form.
pub(crate) fn further(after: &[u8], messages: &[Vec<u8>]) -> Vec<u8> {
    let count = varint(messages.len() as u64);
    [&[1], after, &count, &messages.concat()].concat()
}

/// Of lineage zero.
pub(crate) fn section(document: u64, n: u64, changes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = varint(4 * document);
    bytes.extend(varint(n));
    bytes.extend(varint(changes.len() as u64));
    bytes.extend(changes.concat());
    bytes
}

pub(crate) fn texts(bodies: &[&str]) -> Vec<u8> {
    let coded = bodies.iter().map(|body| text::encode(body));
    coded
        .flat_map(|body| [body, vec![text::END]].concat())
        .collect()
}

/// A plaintext with the check over `raw`, the changes that it stands for.
pub(crate) fn plaintext(sections: &[Vec<u8>], tail: &[u8], raw: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![1, 1];
    bytes.extend(signed(NOW.0));
    bytes.push(0); // no auth heads
    bytes.extend(varint(sections.len() as u64));
    bytes.extend(sections.concat());
    bytes.extend(check(raw));
    bytes.extend(tail);
    bytes
}

pub(crate) fn check(raw: &[Vec<u8>]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 changes check v1");
    for raw in raw {
        hasher.update(&Sha256::digest(raw.get(8..).unwrap_or_default()));
    }
    hasher.finalize().as_bytes()[..8].try_into().unwrap()
}

/// A public group, so that a test can seal what it likes: its key lies in the genesis.
pub(crate) struct Group {
    pub(crate) rng: ChaCha12Rng,
    /// Mali, Somchai, Nok.
    pub(crate) members: Vec<Timeline>,
    /// Everything that let them in.
    opening: Vec<VerifiedEnvelope>,
    pub(crate) said: Vec<VerifiedEnvelope>,
    limits: Limits,
}

impl Group {
    pub(crate) fn new(limits: Limits, history: History) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(11);
        let opened = open_timeline(TimelineKind::Public, history, &mut rng);
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
            limits,
        }
    }

    /// Another device with a member's folder, as it was at the beginning.
    pub(crate) fn copy_of(&self, who: usize) -> Timeline {
        let member = &self.members[who];
        let mut copy = Timeline::with_limits(member.id(), member.secrets().clone(), self.limits);
        copy.receive_all(self.opening.iter().cloned());
        copy
    }

    pub(crate) fn write(&mut self, who: usize, drafts: &[Draft]) -> VerifiedEnvelope {
        let written = self.members[who].write(drafts, NOW, &mut self.rng);
        self.said.push(written.unwrap());
        self.said.last().unwrap().clone()
    }

    pub(crate) fn key(&self) -> EpochKey {
        let admission = self.members[0].admission().unwrap();
        EpochKey::from_seed(admission.public_key().unwrap())
    }

    /// What a member seals with its own keys in the place of one of its envelopes.
    pub(crate) fn seal(
        &self,
        who: usize,
        like: &VerifiedEnvelope,
        plaintext: &[u8],
    ) -> VerifiedEnvelope {
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
        let author = &member.secrets().author;
        seal::seal(request, &self.key(), plaintext, author, [1; 32]).unwrap()
    }
}

/// A draft.
pub(crate) fn say_at(body: &str, reply_to: Option<MessageId>, sent_at: i64) -> Draft {
    Draft::Message {
        body: body.to_owned(),
        reply_to,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: UnixMillis(sent_at),
    }
}

pub(crate) fn say(body: &str) -> Draft {
    say_at(body, None, NOW.0)
}

/// The raw changes of a page, but the genesis, in the order of their operations.
pub(crate) fn raw_changes(timeline: &Timeline) -> Vec<Vec<u8>> {
    let (_, document) = timeline.documents().unwrap().remove(0);
    let mut changes = document.get_changes(&[]);
    changes.sort_by_key(|change| change.start_op());
    let changes = changes.iter().skip(1);
    changes.map(|change| change.raw_bytes().to_vec()).collect()
}

/// A plaintext that uses every form, in the place of `author`'s `first` change, which answers
/// the first message of a page: behind somebody else's message and behind itself, with a reply,
/// with times that go back, raw, in a lineage of its own and in a document of a later version.
/// Also the changes that it stands for.
pub(crate) fn all_forms(
    first: &[u8],
    author: AuthorKey,
    question: &Message,
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let other = question.author;
    let first = automerge::Change::try_from(first).unwrap();
    let start = first.start_op().get();
    let dependencies: Vec<[u8; 32]> = first.deps().iter().map(|hash| hash.0).collect();
    let reply = *question.id.as_bytes();
    let behind_other = [varint(2 * (start - 6)), other.as_bytes().to_vec()].concat();
    let later = b"of a later version".to_vec();

    let mut raw = Vec::new();
    let one = vec![
        ("ครับ", NOW.0, None),
        ("é ü 📼 ກ", NOW.0 - 70_000, Some(reply)),
    ];
    raw.push(hand_made(
        &author,
        1,
        start,
        &dependencies,
        Some((6, other)),
        &one,
    ));
    let hash = Sha256::digest(&raw[0][8..]).into();
    let two = vec![("", NOW.0 - 70_000, None)];
    raw.push(hand_made(
        &author,
        2,
        start + 7,
        &[hash],
        Some((start + 3, author)),
        &two,
    ));
    raw.push(hand_made(&author, 9, 300, &[[1; 32], [2; 32]], None, &two));
    raw.push(raw[2].clone());
    raw.push(later.clone());

    let first = change(
        1,
        start,
        &dependencies,
        &behind_other,
        &[message(0, None), message(-70_000, Some(reply))],
    );
    let second = further(&varint(2 * 4 - 1), &[message(0, None)]);
    let third = change(9, 300, &[[1; 32], [2; 32]], &[0], &[message(0, None)]);
    let as_it_is = |bytes: &[u8]| [vec![0], varint(bytes.len() as u64)].concat();
    let mut of_epoch = section(0, 0, &[first, second]);
    of_epoch[0] += 1;
    let mut elsewhere = [varint(2), vec![0xe5; 32]].concat();
    elsewhere.extend([varint(700), varint(2), third, as_it_is(&raw[3])].concat());
    let sections = [of_epoch, elsewhere, section(7, 1, &[as_it_is(&later)])];
    let tail = [texts(&["ครับ", "é ü 📼 ກ", "", ""]), raw[3].clone(), later].concat();
    let mut bytes = plaintext(&sections, &tail, &raw);
    let names = bytes.iter().position(|byte| *byte == 0).unwrap();
    bytes.splice(names..=names, [vec![1], vec![0xaa; 16]].concat());
    (bytes, raw)
}

/// The change as Automerge writes it.
pub(crate) fn hand_made(
    author: &AuthorKey,
    seq: u64,
    start_op: u64,
    dependencies: &[[u8; 32]],
    after: Option<(u64, AuthorKey)>,
    messages: &[(&str, i64, Option<[u8; 16]>)],
) -> Vec<u8> {
    use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType, SortedVec};
    use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue};

    let id = |counter, author: &AuthorKey| OpId::new(counter, &ActorId::from(*author.as_bytes()));
    let mut after = after.map(|(counter, author)| id(counter, &author));
    let mut operations = Vec::new();
    for (body, sent_at, reply_to) in messages {
        let made = id(start_op + operations.len() as u64, author);
        let key = after.replace(made.clone());
        operations.push(Op {
            action: OpType::Make(ObjType::Map),
            obj: ObjectId::Id(id(2, &AuthorKey::ZERO)),
            key: Key::Seq(key.map_or(ElementId::Head, ElementId::Id)),
            pred: SortedVec::new(),
            insert: true,
        });
        let reply = reply_to.map(|reply| ("r", ScalarValue::Bytes(reply.to_vec())));
        let fields = [
            ("b", ScalarValue::Str((*body).into())),
            ("t", ScalarValue::Int(*sent_at)),
        ];
        operations.extend(fields.into_iter().chain(reply).map(|(name, value)| Op {
            action: OpType::Put(value),
            obj: ObjectId::Id(made.clone()),
            key: Key::Map(name.into()),
            pred: SortedVec::new(),
            insert: false,
        }));
    }
    let change = Change::from(ExpandedChange {
        operations,
        actor_id: ActorId::from(*author.as_bytes()),
        hash: None,
        seq,
        start_op: start_op.try_into().unwrap(),
        time: 0,
        message: None,
        deps: dependencies.iter().map(|hash| ChangeHash(*hash)).collect(),
        extra_bytes: Vec::new(),
        author: None,
    });
    change.raw_bytes().to_vec()
}
