//! `Timeline`: the fold over sealed envelopes, with real keys.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EpochId, Seq};
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
use khlong_document::timeline::write::{InviteTerms, WriteError};
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
const SMALL: Limits = Limits {
    page_messages: 4,
    ..Limits::PRODUCTION
};

/// A timeline, its members, and everything that was ever sent.
struct Group {
    rng: ChaCha12Rng,
    members: Vec<Timeline>,
    sent: Vec<VerifiedEnvelope>,
}

fn text(body: &str) -> Draft {
    Draft::Message {
        body: body.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: NOW,
    }
}

impl Group {
    fn open(kind: TimelineKind, history: History, limits: Limits) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        let opened = open_timeline(kind, history, &mut rng);
        let mut admin = Timeline::with_limits(opened.timeline, opened.secrets, limits);
        for envelope in &opened.envelopes {
            admin.receive(envelope);
        }
        assert!(admin.is_ready());
        Self {
            rng,
            members: vec![admin],
            sent: opened.envelopes,
        }
    }

    /// The first member invites; the newcomer joins and reads everything.
    fn add(&mut self) -> usize {
        self.sync();
        let terms = InviteTerms {
            rights: Rights::MEMBER,
            role: Role::Member,
            expiry: UnixMillis(0),
            quota_class: 0,
            target: None,
        };
        let (envelopes, payload) = self.members[0].invite(&terms, NOW, &mut self.rng).unwrap();
        self.sent.extend(envelopes);
        let timeline = self.members[0].id();
        let invite = InviteSecret::from_payload(timeline, &payload, None).unwrap();
        let joined = join(timeline, &invite, &mut self.rng);
        self.sent.extend(joined.envelopes);
        self.members
            .push(Timeline::with_limits(timeline, joined.secrets, SMALL));
        self.sync();
        self.members.len() - 1
    }

    fn write(&mut self, who: usize, drafts: &[Draft]) -> Vec<TimelineEvent> {
        let envelope = self.members[who].write(drafts, NOW, &mut self.rng).unwrap();
        self.sent.push(envelope);
        Vec::new()
    }

    fn receipt(&mut self, who: usize) -> bool {
        let envelope = self.members[who].write_receipt(&mut self.rng).unwrap();
        let written = envelope.is_some();
        self.sent.extend(envelope);
        written
    }

    /// Everybody receives everything, again and again.
    fn sync(&mut self) -> Vec<TimelineEvent> {
        let mut events = Vec::new();
        for member in &mut self.members {
            for envelope in &self.sent {
                events.extend(member.receive(envelope));
            }
        }
        events
    }

    fn assert_converged(&self) {
        for member in &self.members {
            assert_eq!(member.state_hash(), self.members[0].state_hash());
            assert_eq!(
                member.canonical_saves().unwrap(),
                self.members[0].canonical_saves().unwrap()
            );
            assert_eq!(
                member.messages(0..usize::MAX),
                self.members[0].messages(0..usize::MAX)
            );
            assert_eq!(member.state(), self.members[0].state());
            assert_eq!(member.parked_count(), 0);
        }
    }

    fn full() -> Self {
        Self::open(TimelineKind::Group, History::Full, SMALL)
    }
}

#[test]
fn an_invited_member_reads_the_past_and_answers() {
    let mut group = Group::full();
    group.write(
        0,
        &[
            text("สวัสดีตลาด"),
            Draft::Title("ตลาด".into()),
            Draft::Nickname("มะลิ".into()),
        ],
    );
    let newcomer = group.add();
    assert!(group.members[newcomer].is_ready());
    assert_eq!(group.members[newcomer].messages(0..9)[0].body, "สวัสดีตลาด");
    group.write(
        newcomer,
        &[text("hello"), Draft::Nickname("Somchai".into())],
    );
    group.sync();
    group.assert_converged();
    let members = group.members[0].members();
    let mut names: Vec<_> = members
        .iter()
        .map(|member| (member.nickname.as_deref(), member.is_me))
        .collect();
    names.sort_unstable();
    assert_eq!(names, [(Some("Somchai"), false), (Some("มะลิ"), true)]);
    assert_eq!(group.members[0].state().title.as_deref(), Some("ตลาด"));
}

#[test]
fn a_newcomer_of_a_since_join_timeline_reads_only_what_follows() {
    let mut group = Group::open(TimelineKind::Group, History::SinceJoin, SMALL);
    group.write(0, &[text("before")]);
    let newcomer = group.add();
    group.write(0, &[text("after")]);
    group.sync();
    let bodies = |who: usize| {
        group.members[who]
            .messages(0..9)
            .into_iter()
            .map(|message| message.body)
            .collect::<Vec<_>>()
    };
    assert_eq!(bodies(newcomer), ["after"]);
    let mut both = bodies(0);
    both.sort_unstable();
    assert_eq!(both, ["after", "before"]);
    assert_ne!(
        group.members[0].messages(0..1)[0].page.lineage,
        EpochId::ZERO
    );
}

#[test]
fn a_public_timeline_needs_no_wrap() {
    let mut group = Group::open(TimelineKind::Public, History::Full, SMALL);
    group.write(0, &[text("news")]);
    let newcomer = group.add();
    assert_eq!(group.members[newcomer].message_count(), 1);
}

#[test]
fn delivered_and_read_come_from_receipts_and_receipts_answer_nothing() {
    let mut group = Group::full();
    let (somchai, nok) = (group.add(), group.add());
    while group.receipt(0) || group.receipt(somchai) || group.receipt(nok) {
        group.sync();
    }
    group.write(0, &[text("lunch?")]);
    let id = group.members[0].messages(0..9)[0].id;
    let (my_seq, _) = group.members[0].head();
    assert_eq!(group.members[0].delivery(&id).unwrap().delivered_to, []);
    assert!(
        !group.members[somchai].pending_receipt(),
        "nothing has arrived yet"
    );
    group.sync();
    assert!(group.members[somchai].pending_receipt());
    assert!(group.receipt(somchai));
    let events = group.sync();
    let principal = group.members[somchai].principal();
    let author = group.members[0].author();
    assert!(
        events.contains(&TimelineEvent::Delivered {
            principal,
            author,
            seq: my_seq
        }),
        "{events:?}"
    );
    let delivery = group.members[0].delivery(&id).unwrap();
    assert_eq!(
        (delivery.seq, delivery.delivered_to, delivery.read_by),
        (my_seq, vec![principal], vec![])
    );
    // Nobody owes a receipt for a receipt.
    assert!(!group.members[0].pending_receipt());
    assert!(!group.receipt(0) && !group.receipt(somchai));
    assert!(group.members[nok].pending_receipt(), "nok has not told yet");
    group.members[nok].read_all();
    assert!(group.receipt(nok));
    assert!(!group.receipt(nok));
    let events = group.sync();
    let reader = group.members[nok].principal();
    assert!(
        events.contains(&TimelineEvent::Read {
            principal: reader,
            author,
            seq: my_seq
        }),
        "{events:?}"
    );
    let delivery = group.members[0].delivery(&id).unwrap();
    assert_eq!(delivery.read_by, [reader]);
    assert_eq!(delivery.delivered_to.len(), 2);
    for who in 0..3 {
        assert!(!group.receipt(who), "{who} answered a receipt");
    }
    // The same heights after a start from the store, in reverse.
    let mut again = Timeline::with_limits(
        group.members[0].id(),
        group.members[0].secrets().clone(),
        SMALL,
    );
    again.receive_all(group.sent.iter().rev().cloned());
    assert_eq!(again.delivery(&id), group.members[0].delivery(&id));
    assert_eq!(
        (again.head(), again.pending_receipt()),
        (group.members[0].head(), false)
    );
}

/// What a relay has dropped is passed over; whoever still has it fills the hole.
#[test]
fn headers_without_bodies_are_passed_over_and_bodies_may_come_later() {
    let mut group = Group::full();
    for n in 0..6 {
        group.write(0, &[text(&format!("message {n}"))]);
    }
    let newcomer = group.add();
    group.write(0, &[text("after the expiry")]);
    group.sync();
    let whole = group.members[newcomer].state_hash();
    let secrets = group.members[newcomer].secrets().clone();
    let mut late = Timeline::with_limits(group.members[0].id(), secrets, SMALL);
    let dropped = |envelope: &VerifiedEnvelope| {
        envelope.prefix().kind == Kind::Change && envelope.id() != group.sent.last().unwrap().id()
    };
    for envelope in &group.sent {
        let got = if dropped(envelope) {
            envelope.pruned()
        } else {
            envelope.clone()
        };
        for event in late.receive(&got) {
            assert!(!matches!(event, TimelineEvent::Refused { .. }), "{event:?}");
        }
    }
    assert!(late.is_ready());
    // The newest message builds on what is gone, so it waits too (DOCUMENT §10).
    assert_eq!(late.parked_count(), 1);
    assert_ne!(late.state_hash(), whole);
    assert!(late.messages(0..usize::MAX).is_empty());

    for envelope in group.sent.iter().rev() {
        late.receive(&envelope.pruned());
        late.receive(envelope);
        assert!(late.receive(envelope).is_empty(), "once");
    }
    assert_eq!(late.state_hash(), whole);
    assert_eq!(
        late.messages(0..usize::MAX),
        group.members[0].messages(0..usize::MAX)
    );
}

#[test]
fn only_the_author_edits_and_only_admins_invite() {
    let mut group = Group::full();
    let somchai = group.add();
    group.write(0, &[text("mine")]);
    group.sync();
    let id = group.members[0].messages(0..9)[0].id;
    let Group { rng, members, .. } = &mut group;
    let edit = members[somchai].write(
        &[Draft::Edit {
            target: id,
            body: "his".into(),
        }],
        NOW,
        rng,
    );
    assert_eq!(edit, Err(WriteError::NotYours(id)));
    let terms = InviteTerms {
        rights: Rights::MEMBER,
        role: Role::Member,
        expiry: UnixMillis(0),
        quota_class: 0,
        target: None,
    };
    assert!(matches!(
        members[somchai].invite(&terms, NOW, rng),
        Err(WriteError::NotAdmin(_))
    ));
    let mut stranger = Timeline::new(members[0].id(), members[somchai].secrets().clone());
    assert_eq!(
        stranger.write(&[text("x")], NOW, rng),
        Err(WriteError::NotReady)
    );
}

/// What a hostile member seals with its own valid keys.
fn sealed_by(
    group: &Group,
    who: usize,
    seq: Seq,
    plaintext: &[u8],
    key: &EpochKey,
    epoch_id: EpochId,
) -> VerifiedEnvelope {
    let member = &group.members[who];
    let request = SealRequest {
        kind: Kind::Change,
        timeline: member.id(),
        seq,
        prev: member.head().1,
        epoch_id,
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    seal::seal(request, key, plaintext, &member.secrets().author, [1; 32]).unwrap()
}

#[test]
fn envelopes_that_do_not_open_or_fork_are_told_and_harm_nothing() {
    let mut group = Group::full();
    let somchai = group.add();
    group.write(somchai, &[text("one")]);
    group.sync();
    let last = group.sent.last().unwrap().clone();
    let epoch_id = last.prefix().epoch;
    let wrong_key = EpochKey::from_seed([9; 32]);
    let next = group.members[somchai].next_seq();

    let garbage = sealed_by(&group, somchai, next, b"garbage", &wrong_key, epoch_id);
    let events = group.members[0].receive(&garbage);
    assert!(
        matches!(&events[..], [TimelineEvent::Refused { envelope, reason: Refused::Open(_) }] if *envelope == garbage.id()),
        "{events:?}"
    );

    let fork = sealed_by(
        &group,
        somchai,
        last.prefix().seq,
        b"garbage",
        &wrong_key,
        epoch_id,
    );
    let events = group.members[0].receive(&fork);
    assert!(
        matches!(&events[..], [TimelineEvent::Refused { envelope, reason: Refused::Open(_) }] if *envelope == fork.id()),
        "{events:?}"
    );
    assert_eq!(
        group.members[0].receive(&fork),
        events,
        "once more it alters nothing, and is refused again"
    );
    assert!(
        group.members[0].receive(&last).is_empty(),
        "a duplicate says nothing"
    );

    let unknown_epoch = sealed_by(
        &group,
        somchai,
        next.next(),
        b"later",
        &wrong_key,
        EpochId::from_bytes([3; 32]),
    );
    assert!(group.members[0].receive(&unknown_epoch).is_empty());
    assert_eq!(group.members[0].parked_count(), 1);

    let other = Group::open(TimelineKind::Group, History::Full, SMALL);
    let mut foreign = Timeline::new(
        khlong_crdt::id::TimelineId::from_bytes([1; 32]),
        other.members[0].secrets().clone(),
    );
    let events = foreign.receive(&other.sent[0]);
    assert!(
        matches!(
            &events[..],
            [TimelineEvent::Refused {
                reason: Refused::OtherTimeline,
                ..
            }]
        ),
        "{events:?}"
    );
    assert_eq!(group.members[0].message_count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_converge_whatever_the_order(script in prop::collection::vec((0..3_usize, 0..5_u8), 10..40), seed: u64, batch in 1..50_usize) {
        let mut group = Group::full();
        group.add();
        group.add();
        for (n, (who, what)) in script.iter().enumerate() {
            let newest = group.members[*who].messages(0..usize::MAX).last().map(|message| message.id);
            match (what, newest) {
                (0, _) => drop(group.sync()),
                (1, Some(target)) => drop(group.write(*who, &[Draft::React { target, emoji: "🌶️".into() }])),
                (2, _) => drop(group.receipt(*who)),
                _ => drop(group.write(*who, &[text(&format!("{n}")), text("…")])),
            }
        }
        group.sync();
        group.assert_converged();
        // Newcomers from the store: shuffled, in batches.
        let mut shuffled = group.sent.clone();
        let length = shuffled.len();
        let mut state = seed;
        for place in 0..length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(place, (state >> 33) as usize % length);
        }
        for who in 0..3 {
            let mut again = Timeline::with_limits(group.members[who].id(), group.members[who].secrets().clone(), SMALL);
            for part in shuffled.chunks(batch) {
                again.receive_all(part.iter().cloned());
            }
            prop_assert_eq!(again.state_hash(), group.members[who].state_hash());
            prop_assert_eq!(again.messages(0..usize::MAX), group.members[who].messages(0..usize::MAX));
            prop_assert_eq!(again.head(), group.members[who].head());
            prop_assert_eq!(again.pending_receipt(), group.members[who].pending_receipt());
        }
    }
}

/// Start-up: `KHLONG_REPLAY_MESSAGES=100000 cargo nextest run --release … --no-capture`
/// prints the rate.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "prints a rate; asserts nothing about it"
)]
fn a_start_up_replays_everything_at_once() {
    let count: usize = std::env::var("KHLONG_REPLAY_MESSAGES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(2_500);
    let mut group = Group::open(TimelineKind::Group, History::Full, Limits::PRODUCTION);
    for n in 0..count {
        group.write(0, &[text(&format!("message {n}: ไปตลาดกันไหม"))]);
    }
    let mut again = Timeline::new(group.members[0].id(), group.members[0].secrets().clone());
    let start = std::time::Instant::now();
    let events = again.receive_all(group.sent.iter().cloned());
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} messages in {seconds:.2} s");
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, TimelineEvent::MessageAdded(_)))
            .count(),
        count
    );
    assert_eq!(again.state_hash(), group.members[0].state_hash());
    assert_eq!(
        again.messages(count - 2..count),
        group.members[0].messages(count - 2..count)
    );
    assert!(again.page_count() >= count / 1_000);
}

/// An answer that came before what it answers shows nothing, and neither does what cannot be
/// opened: whoever has them says so only once a person could see them.
#[test]
fn a_receipt_tells_only_what_shows() {
    let mut group = Group::full();
    let (somchai, nok) = (group.add(), group.add());
    group.members[0].read_all();
    while group.receipt(0) || group.receipt(somchai) || group.receipt(nok) {
        group.sync();
    }
    group.write(nok, &[text("are you there?")]);
    let question = group.sent.last().unwrap().clone();
    group.members[somchai].receive(&question);
    let asked = group.members[somchai].messages(0..9)[0].id;
    let answer = Draft::Message {
        body: "I am".to_owned(),
        reply_to: Some(asked),
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: NOW,
    };
    group.write(somchai, &[answer]);
    let answer = group.sent.last().unwrap().clone();
    let id = group.members[somchai].messages(0..9)[1].id;

    group.members[0].receive(&answer);
    assert_eq!(
        group.members[0].message_count(),
        0,
        "it waits for the question"
    );
    group.members[0].read_all();
    // What came before may still be told, the answer not.
    let mali = group.members[0].principal();
    if group.receipt(0) {
        let told = group.sent.last().unwrap().clone();
        group.members[somchai].receive(&told);
    }
    assert!(!group.members[0].pending_receipt());
    let delivery = group.members[somchai].delivery(&id).unwrap();
    assert!(!delivery.delivered_to.contains(&mali));

    group.members[0].receive(&question);
    assert_eq!(group.members[0].message_count(), 2);
    assert!(group.receipt(0));
    group.sync();
    let delivery = group.members[somchai].delivery(&id).unwrap();
    assert!(delivery.delivered_to.contains(&mali));
    assert!(
        !delivery.read_by.contains(&mali),
        "it was not there when the person looked"
    );
    group.members[0].read_all();
    assert!(group.receipt(0));
    group.sync();
    let delivery = group.members[somchai].delivery(&id).unwrap();
    assert!(delivery.read_by.contains(&mali));
}

#[test]
fn what_cannot_be_opened_is_never_acknowledged_nor_what_its_author_wrote_behind_it() {
    let mut group = Group::full();
    let somchai = group.add();
    while group.receipt(0) || group.receipt(somchai) {
        group.sync();
    }
    group.write(somchai, &[text("before")]);
    let before = group.sent.last().unwrap().clone();
    let next = group.members[somchai].next_seq();
    let key = EpochKey::from_seed([9; 32]);
    let epoch_id = before.prefix().epoch;
    let garbage = sealed_by(&group, somchai, next, b"garbage", &key, epoch_id);
    // The author's own device counts on from it.
    group.members[somchai].receive(&garbage);
    group.write(somchai, &[text("behind")]);
    let behind = group.sent.last().unwrap().clone();
    assert_eq!(behind.prefix().seq.get(), next.get() + 1);
    for envelope in [&before, &garbage, &behind] {
        group.members[0].receive(envelope);
    }
    assert_eq!(
        group.members[0].message_count(),
        2,
        "what can be read is shown"
    );
    assert!(group.receipt(0));
    assert!(!group.receipt(0), "and told once");
    group.sync();
    let messages = group.members[somchai].messages(0..9);
    let told = |place: usize| {
        let delivery = group.members[somchai]
            .delivery(&messages[place].id)
            .unwrap();
        !delivery.delivered_to.is_empty()
    };
    assert_eq!((told(0), told(1)), (true, false));
}
