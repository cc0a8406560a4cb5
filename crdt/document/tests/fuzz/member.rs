//! A member with all its keys and a program of its own: what it seals opens, verifies, and
//! is wrong inside.

use std::convert::Infallible;
use std::sync::OnceLock;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::admission::{ClearOp, History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EpochId, MessageId, RelayKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::{Role, SealedOp, encode_sealed_ops};
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::seal::{self, SealRequest};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::message::Message;
use khlong_document::timeline::write::InviteTerms;

use crate::fuzzing::{Seeds, fuzz};
use crate::timeline_room::{NOW, SMALL, text};
use crate::{prefix_of, rng};

/// A group of two: Mali, who owns it, and the hostile one.
struct Group {
    timeline: TimelineId,
    mali: TimelineSecrets,
    hostile: TimelineSecrets,
    epoch: (EpochId, EpochKey),
    /// What both have: how the group began, and a message of each.
    common: Vec<VerifiedEnvelope>,
    /// What the hostile one wrote, by its honest program, and at last what only an admin may say.
    honest: Vec<VerifiedEnvelope>,
}

fn group() -> &'static Group {
    static GROUP: OnceLock<Group> = OnceLock::new();
    GROUP.get_or_init(make_group)
}

fn make_group() -> Group {
    let mut rng = rng(3);
    let opened = open_timeline(TimelineKind::Group, History::Full, &mut rng);
    let (timeline, mali) = (opened.timeline, opened.secrets);
    let mint = seal::open_key_op(&opened.envelopes[2]).unwrap();
    let epoch = mali.unwrap(&mint).unwrap().unwrap();
    let mut admin = Timeline::with_limits(timeline, mali.clone(), SMALL);
    let mut common = opened.envelopes;
    admin.receive_all(common.iter().cloned());
    let terms = InviteTerms {
        rights: Rights::MEMBER,
        role: Role::Member,
        expiry: UnixMillis(0),
        quota_class: 0,
        target: None,
    };
    let (invite, payload) = admin.invite(&terms, NOW, &mut rng).unwrap();
    let invite_secret = InviteSecret::from_payload(timeline, &payload, None).unwrap();
    let joined = join(timeline, &invite_secret, &mut rng);
    admin.receive_all(joined.envelopes.iter().cloned());
    common.extend(invite);
    common.extend(joined.envelopes);
    common.push(admin.write(&[text("mali's")], NOW, &mut rng).unwrap());

    let hostile = joined.secrets;
    let mut program = Timeline::with_limits(timeline, hostile.clone(), SMALL);
    program.receive_all(common.iter().cloned());
    common.push(program.write(&[text("one")], NOW, &mut rng).unwrap());
    let mut honest = honest_envelopes(&mut program);
    honest.push(moved(&mut admin));
    Group {
        timeline,
        mali,
        hostile,
        epoch,
        common,
        honest,
    }
}

/// One of each draft, and a receipt.
fn honest_envelopes(program: &mut Timeline) -> Vec<VerifiedEnvelope> {
    let mut rng = rng(4);
    let shown = program.messages(0..usize::MAX);
    let own = shown.iter().find(|message| message.body == "one");
    let (own, first) = (own.unwrap().id, shown[0].id);
    let batches = [
        vec![text("two"), text("three")],
        vec![Draft::Edit {
            target: own,
            body: "edited".to_owned(),
        }],
        vec![
            Draft::React {
                target: first,
                emoji: "👍".to_owned(),
            },
            Draft::Pin {
                target: first,
                pinned: true,
            },
        ],
        vec![
            Draft::Title("A title".to_owned()),
            Draft::Nickname("H".to_owned()),
        ],
        vec![Draft::Unreact {
            target: first,
            emoji: "👍".to_owned(),
        }],
        vec![text("four"), text("five"), text("six")],
        vec![Draft::Delete { target: own }],
        vec![Draft::Leave],
    ];
    let mut written: Vec<_> = batches
        .iter()
        .map(|drafts| program.write(drafts, NOW, &mut rng).unwrap())
        .collect();
    program.read_all();
    written.extend(program.write_receipt(&mut rng).unwrap());
    written
}

/// The timeline goes to a relay, and away from it.
fn moved(admin: &mut Timeline) -> VerifiedEnvelope {
    let key = RelayKey::from_bytes(*admin.principal().as_bytes());
    let relay = RelayAddress::new(key, "relay.example", 4_747).unwrap();
    let drafts = [false, true].map(|is_removed| Draft::Relay {
        relay: relay.clone(),
        is_removed,
    });
    admin.write(&drafts, NOW, &mut rng(6)).unwrap()
}

/// All that was sent.
pub(crate) fn everything() -> Vec<VerifiedEnvelope> {
    let group = group();
    [&group.common[..], &group.honest].concat()
}

/// Mali, before she has read anything.
pub(crate) fn blank_mali() -> Timeline {
    let group = group();
    Timeline::with_limits(group.timeline, group.mali.clone(), SMALL)
}

/// What the honest program sealed, opened.
pub(crate) fn plaintexts(kind: Kind) -> Vec<Vec<u8>> {
    let group = group();
    let envelopes = group.common.iter().chain(&group.honest);
    envelopes
        .filter(|envelope| envelope.kind() == kind)
        .map(|envelope| seal::open(envelope, &group.epoch.1).unwrap())
        .collect()
}

const KINDS: [Kind; 5] = [
    Kind::Change,
    Kind::Receipt,
    Kind::AuthOp,
    Kind::KeyOp,
    Kind::Notice,
];

fuzz!(fuzz_member, 40, sealed_by_member(), member);

/// Place of the kind in `KINDS` and of the envelope in its chain, then what is sealed. Genuine is
/// what the honest program says next; the rest builds on that, or is not for a member to say.
fn sealed_by_member() -> Seeds {
    let group = group();
    let role = encode_sealed_ops(&[SealedOp::Role {
        principal: group.hostile.principal.public(),
        role: Role::Owner,
    }]);
    let key_ops = group.common.iter().filter(|e| e.kind() == Kind::KeyOp);
    let key_ops = key_ops.map(|envelope| envelope.body().unwrap().to_vec());
    let by_kind = [
        plaintexts(Kind::Change),
        plaintexts(Kind::Receipt),
        vec![role.unwrap()],
        key_ops.collect(),
        vec![b"you were removed".to_vec()],
    ];
    let kinds = u8::try_from(KINDS.len()).unwrap();
    let numbered = (0..).zip(by_kind);
    let mut seeds: Vec<Vec<u8>> = numbered
        .flat_map(|(place, inputs)| inputs.into_iter().map(move |input| (place, input)))
        .map(|(place, input): (u8, _)| [&[place][..], &input].concat())
        .collect();
    // A change at each place of the chain.
    let change = seeds[1].clone();
    seeds.extend((1..4).map(|turn| [&[turn * kinds][..], &change[1..]].concat()));
    let next = seal::open(&group.honest[0], &group.epoch.1).unwrap();
    Seeds::and(vec![[&[0][..], &next].concat()], seeds)
}

/// Whether it does something.
fn member(input: &[u8]) -> bool {
    let group = group();
    let Some(envelope) = sealed(group, input) else {
        return false;
    };
    let before = read(group, &group.common);
    let mut mali = read(group, &group.common);
    receive(
        &mut mali,
        &[&group.common[..], std::slice::from_ref(&envelope)].concat(),
    );
    assert_eq!(
        of_mali(&mali),
        of_mali(&before),
        "only she writes as herself"
    );
    assert_eq!(
        mali.admission(),
        before.admission(),
        "a member admits nobody"
    );

    // Another member has it first, and everything else after it.
    let reversed: Vec<_> = [&group.common[..], &[envelope]].concat();
    let reversed: Vec<_> = reversed.into_iter().rev().collect();
    let other = read(group, &reversed);
    assert_eq!(mali.state_hash(), other.state_hash());
    assert_eq!(shown(&mali), shown(&other));
    assert_eq!(mali.state(), other.state());
    for (_, document) in mali.documents().unwrap() {
        document.save();
    }
    let is_taken = shown(&mali) != shown(&before) && mali.state_hash() != before.state_hash();
    let count = mali.message_count();
    mali.write(&[text("and on")], NOW, &mut rng(5)).unwrap();
    assert_eq!(mali.message_count(), count + 1, "she writes on");
    is_taken
}

/// The next envelope of the hostile member.
fn sealed(group: &Group, input: &[u8]) -> Option<VerifiedEnvelope> {
    let (place, plaintext) = input.split_first()?;
    let kind = KINDS[usize::from(*place) % KINDS.len()];
    let author = &group.hostile.author;
    let last = group.common.iter().rfind(|e| e.author() == author.public());
    let is_sealed = !matches!(kind, Kind::KeyOp | Kind::Notice);
    let last = last.unwrap();
    // Where it belongs, behind a hole, at the end of all numbers, and at a place that is taken.
    let next = last.seq().0 + 1;
    let places = [next, next + 5, u64::MAX, last.seq().0];
    let seq = Seq(places[usize::from(*place) / KINDS.len() % places.len()]);
    let request = SealRequest {
        kind,
        timeline: group.timeline,
        seq,
        prev: last.id(),
        epoch_id: if is_sealed {
            group.epoch.0
        } else {
            EpochId::ZERO
        },
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    let (key, control) = (&group.epoch.1, group.epoch.1.control());
    match kind {
        Kind::Change | Kind::Fragment | Kind::Receipt => {
            seal::seal(request, key, plaintext, author, [1; 32]).ok()
        }
        Kind::AuthOp => {
            let own = ClearOp::Author {
                principal: group.hostile.principal.public(),
                author: author.public(),
                signature: group
                    .hostile
                    .principal
                    .certify_author(group.timeline, author.public()),
            };
            let sealed = Some((&control, plaintext));
            seal::seal_auth_op(request, &[own], sealed, author, [1; 32]).ok()
        }
        Kind::KeyOp | Kind::Notice => {
            let prefix = prefix_of(request, author);
            VerifiedEnvelope::sign(prefix, [0; 24], plaintext, author.signing_key()).ok()
        }
    }
}

fn read(group: &Group, envelopes: &[VerifiedEnvelope]) -> Timeline {
    let mut timeline = Timeline::with_limits(group.timeline, group.mali.clone(), SMALL);
    receive(&mut timeline, envelopes);
    timeline
}

/// One after the other, and read again whenever that is asked for.
pub(crate) fn receive(timeline: &mut Timeline, envelopes: &[VerifiedEnvelope]) {
    for (place, envelope) in envelopes.iter().enumerate() {
        timeline.receive(envelope);
        if timeline.must_reread() {
            let so_far = &envelopes[..=place];
            timeline
                .reread(|open| Ok::<_, Infallible>(open.receive_all(so_far.iter().cloned())))
                .unwrap();
        }
    }
}

fn shown(timeline: &Timeline) -> Vec<Message> {
    timeline.messages(0..usize::MAX)
}

/// Her messages, without what others may do to them.
fn of_mali(timeline: &Timeline) -> Vec<(MessageId, String, bool)> {
    shown(timeline)
        .into_iter()
        .filter(|message| message.principal == Some(timeline.principal()))
        .map(|message| (message.id, message.body, message.deleted))
        .collect()
}
