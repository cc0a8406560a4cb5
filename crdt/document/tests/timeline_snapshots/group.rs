//! A group, what was sent in it, and what lies in the folder of one member.

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::EnvelopeId;
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::page::PageAddress;
use khlong_document::timeline::snapshot::Snapshot;
use khlong_document::timeline::write::InviteTerms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::convert::Infallible;

pub(crate) const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
pub(crate) const SMALL: Limits = Limits {
    page_messages: 4,
    ..Limits::PRODUCTION
};

pub(crate) fn text(body: String, import_key: Option<[u8; 16]>) -> Draft {
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
pub(crate) struct Group {
    pub(crate) rng: ChaCha12Rng,
    pub(crate) members: Vec<Timeline>,
    pub(crate) sent: Vec<VerifiedEnvelope>,
    pub(crate) store: Vec<VerifiedEnvelope>,
    pub(crate) kept: Kept,
    pub(crate) limits: Limits,
}

/// What lies in a folder.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) head: Option<Vec<u8>>,
    pub(crate) pages: BTreeMap<PageAddress, Vec<u8>>,
    /// Envelopes of the store that the head knows.
    pub(crate) end: usize,
}

impl Kept {
    pub(crate) fn put(&mut self, snapshot: &Snapshot, end: usize) {
        if snapshot.is_whole {
            self.pages.clear();
        }
        self.pages.extend(snapshot.pages.clone());
        self.head = Some(snapshot.head.clone());
        self.end = end;
    }
}

pub(crate) const READER: usize = 2;

impl Group {
    pub(crate) fn new(history: History) -> Self {
        Self::with_limits(history, SMALL)
    }

    pub(crate) fn with_limits(history: History, limits: Limits) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(11);
        let opened = open_timeline(TimelineKind::Group, history, &mut rng);
        let mut admin = Timeline::with_limits(opened.timeline, opened.secrets, limits);
        admin.receive_all(opened.envelopes.iter().cloned());
        let mut group = Self {
            rng,
            members: vec![admin],
            sent: opened.envelopes,
            store: Vec::new(),
            kept: Kept::default(),
            limits,
        };
        group.add();
        group.add();
        group.store = group.sent.clone();
        group
    }

    pub(crate) fn add(&mut self) {
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
            .push(Timeline::with_limits(id, joined.secrets, self.limits));
        for member in &mut self.members {
            member.receive_all(self.sent.iter().cloned());
        }
    }

    /// The reader gets the envelope at this place of what was sent.
    pub(crate) fn deliver(&mut self, place: usize) {
        let envelope = self.sent[place].clone();
        if !self.store.contains(&envelope) {
            self.members[READER].receive(&envelope);
            self.store.push(envelope);
        }
    }

    pub(crate) fn exchange(&mut self) {
        for who in [0, 1] {
            self.members[who].receive_all(self.sent.iter().cloned());
        }
    }

    pub(crate) fn write(&mut self, who: usize, draft: Draft) {
        let written = self.members[who].write(&[draft], NOW, &mut self.rng);
        let envelope = written.unwrap();
        if who == READER {
            self.store.push(envelope.clone());
        }
        self.sent.push(envelope);
    }

    pub(crate) fn receipt(&mut self, who: usize) {
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
    pub(crate) fn keep(&mut self) -> bool {
        let Ok(snapshot) = self.members[READER].snapshot() else {
            return false;
        };
        self.members[READER].note_saved(&snapshot);
        self.kept.put(&snapshot, self.store.len());
        true
    }

    pub(crate) fn blank(&self) -> Timeline {
        let reader = &self.members[READER];
        Timeline::with_limits(reader.id(), reader.secrets().clone(), self.limits)
    }

    /// A start that reads everything.
    pub(crate) fn read_all(&self) -> Timeline {
        let mut timeline = self.blank();
        feed(&mut timeline, &self.store);
        timeline
    }

    /// A start from what was kept.
    pub(crate) fn restart(&self) -> Timeline {
        self.restart_in_parts(usize::MAX)
    }

    /// The same, of a store that gives so many envelopes at once. What is given is decided by
    /// the turn alone: in the first what came since, in all others everything.
    pub(crate) fn restart_in_parts(&self, part: usize) -> Timeline {
        let mut timeline = self.blank();
        let Some(head) = &self.kept.head else {
            return self.read_all();
        };
        timeline.restore(head, &self.kept.pages).unwrap();
        let mut turns = 0;
        let read = timeline.reread(|open| {
            turns += 1;
            let parked = open.resume();
            assert_eq!(parked.is_some(), turns == 1, "it resumes once");
            let given = match parked {
                Some(parked) => self.rest(&parked),
                None => self.store.clone(),
            };
            let parts = given.chunks(part);
            Ok::<_, Infallible>(
                parts
                    .flat_map(|part| open.receive_all(part.to_vec()))
                    .collect(),
            )
        });
        read.unwrap();
        timeline
    }

    /// What a snapshot does not hold.
    pub(crate) fn rest(&self, parked: &[EnvelopeId]) -> Vec<VerifiedEnvelope> {
        let control = |envelope: &&VerifiedEnvelope| envelope.class() == Class::Control;
        let again = |envelope: &&VerifiedEnvelope| parked.contains(&envelope.id());
        let (before, since) = self.store.split_at(self.kept.end);
        let mut rest: Vec<_> = self.store.iter().filter(control).collect();
        rest.extend(since.iter().filter(|envelope| !control(envelope)));
        rest.extend(before.iter().filter(again));
        rest.into_iter().cloned().collect()
    }
}

pub(crate) fn feed(timeline: &mut Timeline, store: &[VerifiedEnvelope]) {
    let read = timeline.reread(|open| Ok::<_, Infallible>(open.receive_all(store.to_vec())));
    read.unwrap();
}

/// Whatever can be asked of a timeline, and what it would write next.
pub(crate) fn assert_same(left: &mut Timeline, right: &mut Timeline) {
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
