//! Snapshots: a timeline that is restored from one, and given the rest, is the one that was
//! given everything.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::page::PageAddress;
use khlong_document::timeline::snapshot::{Snapshot, SnapshotError};
use khlong_document::timeline::write::InviteTerms;
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
const SMALL: Limits = Limits {
    page_messages: 4,
    ..Limits::PRODUCTION
};

fn text(body: String, import_key: Option<[u8; 16]>) -> Draft {
    Draft::Message {
        body,
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key,
        sent_at: NOW,
    }
}

/// Three members, all that they sent, and a reader's store: the reader is the third.
struct Group {
    rng: ChaCha12Rng,
    members: Vec<Timeline>,
    sent: Vec<VerifiedEnvelope>,
    store: Vec<VerifiedEnvelope>,
    kept: Kept,
}

/// What lies in a folder.
#[derive(Default)]
struct Kept {
    head: Option<Vec<u8>>,
    pages: BTreeMap<PageAddress, Vec<u8>>,
    /// Envelopes of the store that the head knows.
    end: usize,
}

impl Kept {
    fn put(&mut self, snapshot: &Snapshot, end: usize) {
        if snapshot.is_whole {
            self.pages.clear();
        }
        self.pages.extend(snapshot.pages.clone());
        self.head = Some(snapshot.head.clone());
        self.end = end;
    }
}

const READER: usize = 2;

impl Group {
    fn new(history: History) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(11);
        let opened = open_timeline(TimelineKind::Group, history, &mut rng);
        let mut admin = Timeline::with_limits(opened.timeline, opened.secrets, SMALL);
        admin.receive_all(opened.envelopes.iter().cloned());
        let mut group = Self {
            rng,
            members: vec![admin],
            sent: opened.envelopes,
            store: Vec::new(),
            kept: Kept::default(),
        };
        group.add();
        group.add();
        group.store = group.sent.clone();
        group
    }

    fn add(&mut self) {
        let terms = InviteTerms {
            rights: Rights::MEMBER,
            role: Role::Member,
            expiry: UnixMillis(0),
            quota_class: 0,
            target: None,
        };
        let (envelopes, payload) = self.members[0].invite(&terms, NOW, &mut self.rng).unwrap();
        self.sent.extend(envelopes);
        let id = self.members[0].id();
        let invite = InviteSecret::from_payload(id, &payload, None).unwrap();
        let joined = join(id, &invite, &mut self.rng);
        self.sent.extend(joined.envelopes);
        self.members
            .push(Timeline::with_limits(id, joined.secrets, SMALL));
        for member in &mut self.members {
            member.receive_all(self.sent.iter().cloned());
        }
    }

    /// The reader gets the envelope at this place of what was sent.
    fn deliver(&mut self, place: usize) {
        let envelope = self.sent[place].clone();
        if !self.store.contains(&envelope) {
            self.members[READER].receive(&envelope);
            self.store.push(envelope);
        }
    }

    fn exchange(&mut self) {
        for who in [0, 1] {
            self.members[who].receive_all(self.sent.iter().cloned());
        }
    }

    fn write(&mut self, who: usize, draft: Draft) {
        let written = self.members[who].write(&[draft], NOW, &mut self.rng);
        let envelope = written.unwrap();
        if who == READER {
            self.store.push(envelope.clone());
        }
        self.sent.push(envelope);
    }

    fn receipt(&mut self, who: usize) {
        self.members[who].read_all();
        let written = self.members[who].write_receipt(&mut self.rng).unwrap();
        if let Some(envelope) = written {
            if who == READER {
                self.store.push(envelope.clone());
            }
            self.sent.push(envelope);
        }
    }

    /// Whether the reader could keep one.
    fn keep(&mut self) -> bool {
        let Some(snapshot) = self.members[READER].snapshot() else {
            return false;
        };
        self.members[READER].note_saved(&snapshot);
        self.kept.put(&snapshot, self.store.len());
        true
    }

    fn blank(&self) -> Timeline {
        let reader = &self.members[READER];
        Timeline::with_limits(reader.id(), reader.secrets().clone(), SMALL)
    }

    /// A start that reads everything.
    fn read_all(&self) -> Timeline {
        let mut timeline = self.blank();
        feed(&mut timeline, &self.store);
        timeline
    }

    /// A start from what was kept.
    fn restart(&self) -> Timeline {
        let mut timeline = self.blank();
        let Some(head) = &self.kept.head else {
            return self.read_all();
        };
        timeline.restore(head, &self.kept.pages).unwrap();
        let mut is_first = true;
        let read = timeline.reread(|open| {
            let Some(parked) = open.resumes().map(<[_]>::to_vec) else {
                assert!(!is_first, "a restored timeline resumes");
                return Ok::<_, Infallible>(open.receive_all(self.store.clone()));
            };
            is_first = false;
            let control = |envelope: &&VerifiedEnvelope| envelope.class() == Class::Control;
            let again = |envelope: &&VerifiedEnvelope| parked.contains(&envelope.id());
            let (before, since) = self.store.split_at(self.kept.end);
            let mut rest: Vec<_> = self.store.iter().filter(control).collect();
            rest.extend(since.iter().filter(|envelope| !control(envelope)));
            rest.extend(before.iter().filter(again));
            Ok(open.receive_all(rest.into_iter().cloned()))
        });
        read.unwrap();
        timeline
    }
}

fn feed(timeline: &mut Timeline, store: &[VerifiedEnvelope]) {
    let read = timeline.reread(|open| Ok::<_, Infallible>(open.receive_all(store.to_vec())));
    read.unwrap();
}

/// Whatever can be asked of a timeline, and what it would write next.
fn assert_same(left: &mut Timeline, right: &mut Timeline) {
    assert_eq!(left.state_hash(), right.state_hash());
    let messages = left.messages(0..usize::MAX);
    assert_eq!(messages, right.messages(0..usize::MAX));
    assert_eq!(left.message_count(), messages.len());
    for message in &messages {
        assert_eq!(left.message(&message.id), right.message(&message.id));
        assert_eq!(left.delivery(&message.id), right.delivery(&message.id));
    }
    for (from, to) in [(0, usize::MAX), (1, 7), (3, 5), (5, 5), (2, usize::MAX)] {
        let mut counted = BTreeMap::new();
        for message in messages.iter().take(to).skip(from) {
            *counted.entry(message.author).or_insert(0) += 1;
        }
        assert_eq!(left.count_by_author(from..to), counted);
        assert_eq!(right.count_by_author(from..to), counted);
    }
    assert_eq!(left.state(), right.state());
    assert_eq!(left.members(), right.members());
    assert_eq!(
        left.shown_pages().collect::<Vec<_>>(),
        right.shown_pages().collect::<Vec<_>>()
    );
    assert_eq!(
        left.canonical_saves().unwrap(),
        right.canonical_saves().unwrap()
    );
    assert_eq!(left.head(), right.head());
    assert_eq!(left.parked_count(), right.parked_count());
    assert_eq!(left.pending_receipt(), right.pending_receipt());
    assert_eq!(left.must_reread(), right.must_reread());
    for timeline in [&mut *left, &mut *right] {
        timeline.read_all();
    }
    let random = || ChaCha12Rng::seed_from_u64(5);
    let receipt = left.write_receipt(&mut random()).unwrap();
    assert_eq!(receipt, right.write_receipt(&mut random()).unwrap());
    let hello = [text("next".to_owned(), None)];
    assert_eq!(
        left.write(&hello, NOW, &mut random()).unwrap(),
        right.write(&hello, NOW, &mut random()).unwrap()
    );
}

#[derive(Clone, Debug)]
enum Doing {
    Say(usize),
    /// The same message by whoever does it: it lies on several pages.
    Import(usize, u8),
    Touch(usize, prop::sample::Index, u8),
    Exchange,
    Receipt(usize),
    /// One of what was sent reaches the reader, or all up to it.
    Deliver(prop::sample::Index, bool),
    Join,
    Keep,
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        6 => (0..3_usize).prop_map(Doing::Say),
        1 => (0..3_usize, 0..3_u8).prop_map(|(who, key)| Doing::Import(who, key)),
        2 => (0..3_usize, any::<prop::sample::Index>(), 0..3_u8)
            .prop_map(|(who, target, what)| Doing::Touch(who, target, what)),
        2 => Just(Doing::Exchange),
        1 => (0..3_usize).prop_map(Doing::Receipt),
        4 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(place, all)| Doing::Deliver(place, all)),
        1 => Just(Doing::Join),
        2 => Just(Doing::Keep),
    ]
}

fn act(group: &mut Group, n: usize, doing: &Doing) {
    match doing {
        Doing::Say(who) => group.write(*who, text(format!("{n} สวัสดี"), None)),
        Doing::Import(who, key) => group.write(*who, text("imported".into(), Some([*key; 16]))),
        Doing::Touch(who, target, what) => {
            let messages = group.members[*who].messages(0..usize::MAX);
            if messages.is_empty() {
                return;
            }
            let message = &messages[target.index(messages.len())];
            let (target, emoji) = (message.id, "👍".to_owned());
            let is_own = message.principal == Some(group.members[*who].principal());
            let draft = match (what, is_own) {
                (0, true) => Draft::Delete { target },
                (1, true) => Draft::Edit {
                    target,
                    body: format!("edited {n}"),
                },
                (2, _) => Draft::Title(format!("title {n}")),
                (0 | 1, false) | (3.., _) => Draft::React { target, emoji },
            };
            group.write(*who, draft);
        }
        Doing::Exchange => group.exchange(),
        Doing::Receipt(who) => group.receipt(*who),
        Doing::Deliver(place, all) => {
            let place = place.index(group.sent.len());
            let from = if *all { 0 } else { place };
            for place in from..=place {
                group.deliver(place);
            }
        }
        Doing::Join => {
            if group.members.len() < 5 {
                // What joins is read by nobody but who exchanges.
                let reader = group.members.remove(READER);
                group.exchange_first_two_and_add(reader);
            }
        }
        Doing::Keep => {
            group.keep();
        }
    }
}

impl Group {
    /// Somebody joins, and writes a word; the reader hears of it when it is delivered.
    fn exchange_first_two_and_add(&mut self, reader: Timeline) {
        self.exchange();
        self.add();
        let newcomer = self.members.len() - 1;
        let hello = [text("hello".to_owned(), None)];
        let written = self.members[newcomer].write(&hello, NOW, &mut self.rng);
        self.sent.push(written.unwrap());
        self.members.insert(READER, reader);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_start_from_a_snapshot_is_a_start_from_everything(
        all in prop::collection::vec(doing(), 4..60),
        more in prop::collection::vec(doing(), 0..12),
        since_join in prop::bool::weighted(0.2),
    ) {
        let mut group = Group::new(if since_join { History::SinceJoin } else { History::Full });
        for (n, doing) in all.iter().enumerate() {
            act(&mut group, n, doing);
        }
        group.keep();
        for (n, doing) in (100..).zip(&more) {
            act(&mut group, n, doing);
        }
        let mut restored = group.restart();
        assert_same(&mut restored, &mut group.read_all());
        // Another life, from a snapshot of a restored one.
        group.members[READER] = group.restart();
        group.keep();
        let place = group.sent.len() - 1;
        group.deliver(place);
        assert_same(&mut group.restart(), &mut group.read_all());
    }
}

fn said() -> Group {
    let mut group = Group::new(History::Full);
    for n in 0..30 {
        group.exchange();
        group.write(n % 2, text(format!("{n}"), None));
        group.deliver(group.sent.len() - 1);
    }
    group
}

#[test]
fn only_pages_that_changed_are_kept_again() {
    let mut group = said();
    let whole = group.members[READER].snapshot().unwrap();
    assert!(whole.is_whole && whole.pages.len() > 5);
    group.members[READER].note_saved(&whole);
    group.kept.put(&whole, group.store.len());
    let none = group.members[READER].snapshot().unwrap();
    assert!(!none.is_whole && none.pages.is_empty());
    // Nor after a start.
    group.members[READER] = group.restart();
    group.write(0, text("one more".into(), None));
    group.deliver(group.sent.len() - 1);
    let more = group.members[READER].snapshot().unwrap();
    assert!(!more.is_whole);
    assert_eq!(more.pages.len(), 1, "the page of the new message");
    // One that was made and could not be kept is no loss.
    group.write(0, text("and one more".into(), None));
    group.deliver(group.sent.len() - 1);
    assert!(group.keep());
    assert_same(&mut group.restart(), &mut group.read_all());
}

#[test]
fn what_does_not_fit_is_not_taken_and_alters_nothing() {
    let mut group = said();
    let early = group.members[READER].snapshot().unwrap();
    group.members[READER].note_saved(&early);
    group.write(0, text("later".into(), None));
    group.deliver(group.sent.len() - 1);
    let late = group.members[READER].snapshot().unwrap();
    let mut pages = early.pages.clone();
    pages.extend(late.pages.clone());
    let taken = |head: &[u8], pages: &BTreeMap<PageAddress, Vec<u8>>| {
        let mut timeline = group.blank();
        let taken = timeline.restore(head, pages);
        if taken.is_err() {
            assert!(timeline.resumes().is_none());
            feed(&mut timeline, &group.store);
            assert_eq!(timeline.message_count(), 31);
        }
        taken
    };
    assert_eq!(taken(&late.head, &pages), Ok(()));
    // Pages and head of different times.
    assert_eq!(taken(&late.head, &early.pages), Err(SnapshotError::Page));
    assert_eq!(taken(&early.head, &pages), Err(SnapshotError::Page));
    assert_eq!(
        taken(&late.head, &BTreeMap::new()),
        Err(SnapshotError::Page)
    );
    let mut newer = late.head.clone();
    newer[0] += 1;
    assert_eq!(taken(&newer, &pages), Err(SnapshotError::Version));
    let mut of_another = late.head.clone();
    of_another[5] ^= 1;
    assert_eq!(taken(&of_another, &pages), Err(SnapshotError::Device));
    for length in (0..late.head.len()).step_by(7) {
        let cut = taken(&late.head[..length], &pages);
        assert_eq!(cut, Err(SnapshotError::Malformed), "{length}");
    }
    let longer = [&late.head[..], &[0]].concat();
    assert_eq!(taken(&longer, &pages), Err(SnapshotError::Malformed));
    for (address, page) in &pages {
        let mut spoilt = pages.clone();
        let mut bytes = page.clone();
        bytes[page.len() / 2] ^= 4;
        spoilt.insert(*address, bytes);
        assert_eq!(taken(&late.head, &spoilt), Err(SnapshotError::Page));
    }
}

#[test]
fn none_is_made_of_what_is_to_be_forgotten() {
    let mut group = Group::new(History::Ephemeral);
    group.write(0, text("for now".into(), None));
    group.deliver(group.sent.len() - 1);
    assert!(!group.keep());
}

#[test]
fn reading_leaves_pages_packed_and_counts_them() {
    let mut group = said();
    group.keep();
    let mut restored = group.restart();
    let messages = group.members[READER].messages(0..usize::MAX);
    // Wherever it is unpacked, it reads the same.
    for from in [25, 0, 12] {
        restored.unpack(from..from + 5);
        assert_eq!(restored.messages(from..from + 5), messages[from..from + 5]);
        assert_eq!(restored.messages(0..usize::MAX), messages);
    }
}
