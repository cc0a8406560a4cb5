//! What happens at the limits of a timeline's memory: a typed event, and nothing lost
//! that the store still holds.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod timeline_room;

use std::convert::Infallible;

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::seal::{self, SealRequest};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::entry::ChangeRefusal;
use khlong_document::timeline::event::TimelineEvent;
use khlong_document::timeline::limits::{
    CHAIN_RUNS_MAX, DROPPED_NEEDS_MAX, Limits, PARKED_BYTES_MAX, PARKED_ENVELOPES_MAX,
    SOURCE_PAGES_MAX, UNKNOWN_HEIGHTS_MAX,
};
use khlong_document::timeline::plaintext::{ChangePlaintext, ReceiptPlaintext};
use khlong_document::timeline::write::InviteTerms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use timeline_room::raw;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
const SMALL: Limits = Limits {
    page_messages: 4,
    ..Limits::PRODUCTION
};
/// Of random bytes nothing is saved by packing.
const FILLER_BYTES: usize = 200 * 1024;

/// An admin, and nok, who came by an invite; the admin has not heard of nok's joining.
struct Pair {
    rng: ChaCha12Rng,
    admin: Timeline,
    nok: Timeline,
    /// What the admin's store holds.
    store: Vec<VerifiedEnvelope>,
    epoch: EpochId,
    key: EpochKey,
    joining: VerifiedEnvelope,
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

impl Pair {
    fn new(history: History) -> Self {
        Self::with_limits(history, SMALL)
    }

    fn with_limits(history: History, limits: Limits) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(11);
        let opened = open_timeline(TimelineKind::Group, history, &mut rng);
        let mint = seal::open_key_op(&opened.envelopes[2]).unwrap();
        let (epoch, key) = opened.secrets.unwrap(&mint).unwrap().unwrap();
        let mut admin = Timeline::with_limits(opened.timeline, opened.secrets, limits);
        let mut store = opened.envelopes;
        admin.receive_all(store.iter().cloned());
        let terms = InviteTerms {
            rights: Rights::MEMBER,
            role: Role::Member,
            expiry: UnixMillis(0),
            quota_class: 0,
            target: None,
        };
        let (envelopes, payload) = admin.invite(&terms, NOW, &mut rng).unwrap();
        store.extend(envelopes);
        let invite = InviteSecret::from_payload(admin.id(), &payload, None).unwrap();
        let joined = join(admin.id(), &invite, &mut rng);
        let mut nok = Timeline::with_limits(admin.id(), joined.secrets, limits);
        nok.receive_all(store.iter().cloned());
        nok.receive_all(joined.envelopes.iter().cloned());
        assert!(nok.is_ready());
        Self {
            rng,
            admin,
            nok,
            store,
            epoch,
            key,
            joining: joined.envelopes[0].clone(),
        }
    }

    fn joined() -> Self {
        let mut pair = Self::new(History::Full);
        let joining = pair.joining.clone();
        assert!(!pair.deliver(&joining).is_empty());
        pair
    }

    fn deliver(&mut self, envelope: &VerifiedEnvelope) -> Vec<TimelineEvent> {
        self.store.push(envelope.clone());
        self.admin.receive(envelope)
    }

    fn reread(&mut self) -> Vec<TimelineEvent> {
        let (admin, store) = (&mut self.admin, &self.store);
        let read = admin.reread(|open| Ok::<_, Infallible>(open.receive_all(store.clone())));
        read.unwrap()
    }

    /// By an author that nobody certified, under a key that nobody has.
    fn filler(&mut self, bytes: usize) -> VerifiedEnvelope {
        let mut plaintext = vec![0; bytes];
        self.rng.fill_bytes(&mut plaintext);
        let stranger = AuthorSecret::generate(&mut self.rng);
        let key = EpochKey::generate(&mut self.rng);
        let request = self.request(Kind::Change, Seq(2), EpochId::from_bytes([9; 32]));
        seal::seal(request, &key, &plaintext, &stranger, [1; 32]).unwrap()
    }

    /// A receipt of nok's, with any content and key.
    fn by_nok(&self, seq: Seq, plaintext: &[u8], key: &EpochKey) -> VerifiedEnvelope {
        self.sealed_by_nok(Kind::Receipt, seq, plaintext, key)
    }

    fn sealed_by_nok(
        &self,
        kind: Kind,
        seq: Seq,
        plaintext: &[u8],
        key: &EpochKey,
    ) -> VerifiedEnvelope {
        let request = self.request(kind, seq, self.epoch);
        let author = &self.nok.secrets().author;
        seal::seal(request, key, plaintext, author, [1; 32]).unwrap()
    }

    fn request(&self, kind: Kind, seq: Seq, epoch_id: EpochId) -> SealRequest {
        SealRequest {
            kind,
            timeline: self.admin.id(),
            seq,
            prev: EnvelopeId::from_bytes([5; 32]),
            epoch_id,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        }
    }

    /// Strangers' envelopes until not the smallest one has room; these are not stored.
    fn flood(&mut self) {
        for bytes in [FILLER_BYTES, 8 * 1024, 1] {
            loop {
                let filler = self.filler(bytes);
                let events = self.admin.receive(&filler);
                if !events.is_empty() {
                    let envelope = filler.id();
                    assert_eq!(events, [TimelineEvent::ParkedFull { envelope }]);
                    break;
                }
            }
        }
        let parked = self.admin.parked_count();
        assert!((PARKED_BYTES_MAX / (256 * 1024)..PARKED_ENVELOPES_MAX).contains(&parked));
    }

    fn bodies(&self) -> Vec<String> {
        let messages = self.admin.messages(0..usize::MAX);
        messages.into_iter().map(|message| message.body).collect()
    }
}

#[test]
fn what_found_no_room_is_shown_when_its_author_is_known() {
    let mut pair = Pair::new(History::Full);
    let early: Vec<_> = (0..3)
        .map(|n| pair.nok.write(&[text(&format!("{n}"))], NOW, &mut pair.rng))
        .map(Result::unwrap)
        .collect();
    pair.flood();
    let parked = pair.admin.parked_count();
    for envelope in &early {
        let full = TimelineEvent::ParkedFull {
            envelope: envelope.id(),
        };
        assert_eq!(pair.deliver(envelope), [full]);
    }
    assert!(!pair.admin.must_reread(), "it would find no room again");
    // An auth-op of somebody else frees nothing.
    let terms = InviteTerms {
        rights: Rights::READ,
        role: Role::Reader,
        expiry: UnixMillis(0),
        quota_class: 0,
        target: None,
    };
    let (invite, _) = pair.admin.invite(&terms, NOW, &mut pair.rng).unwrap();
    pair.store.extend(invite);
    assert!(!pair.admin.must_reread());

    let joining = pair.joining.clone();
    pair.deliver(&joining);
    assert!(pair.admin.must_reread());
    let events = pair.reread();
    assert_eq!(pair.bodies(), ["0", "1", "2"]);
    assert!(!pair.admin.must_reread());
    assert_eq!(pair.admin.parked_count(), parked, "strangers still wait");
    let added = |event: &&TimelineEvent| matches!(event, TimelineEvent::MessageAdded(_));
    assert_eq!(
        events.iter().filter(added).count(),
        3,
        "only what is new is told"
    );
    assert_eq!(pair.admin.state_hash(), pair.nok.state_hash());
}

#[test]
fn what_found_no_room_is_shown_when_its_key_has_come() {
    // The invite began a new epoch; the reader gets its envelopes, and the key last.
    let mut pair = Pair::new(History::SinceJoin);
    let news = pair
        .admin
        .write(&[text("new epoch")], NOW, &mut pair.rng)
        .unwrap();
    let (keys, others): (Vec<_>, Vec<_>) = pair
        .store
        .iter()
        .cloned()
        .partition(|envelope| envelope.kind() == Kind::KeyOp && envelope.seq() > Seq(2));
    let secrets = pair.nok.secrets().clone();
    pair.admin = Timeline::with_limits(pair.admin.id(), secrets, SMALL);
    pair.store = others.clone();
    pair.admin.receive_all(others);
    pair.flood();
    assert_eq!(
        pair.deliver(&news),
        [TimelineEvent::ParkedFull {
            envelope: news.id()
        }]
    );
    for key in keys {
        pair.deliver(&key);
    }
    assert!(pair.admin.must_reread());
    pair.reread();
    assert_eq!(pair.bodies(), ["new epoch"]);
    assert!(!pair.admin.must_reread());
}

#[test]
fn beyond_the_remembered_needs_any_auth_op_has_the_timeline_read_again_once() {
    let mut pair = Pair::new(History::Full);
    let early = pair
        .nok
        .write(&[text("early")], NOW, &mut pair.rng)
        .unwrap();
    pair.flood();
    for _ in 0..=DROPPED_NEEDS_MAX {
        let filler = pair.filler(16);
        assert_eq!(pair.deliver(&filler).len(), 1, "each by another stranger");
    }
    assert_eq!(
        pair.deliver(&early).len(),
        1,
        "dropped, and its need not remembered"
    );
    let joining = pair.joining.clone();
    pair.deliver(&joining);
    assert!(pair.admin.must_reread());
    pair.reread();
    assert_eq!(pair.bodies(), ["early"]);
    assert!(
        !pair.admin.must_reread(),
        "a round that lets nothing in is the last"
    );
}

/// Changes that build on what has not come have a bounded room too.
#[test]
fn changes_that_found_no_room_are_shown_when_all_is_read_again() {
    let limits = Limits {
        page_author_bytes: 1 << 30,
        page_author_ops: 1 << 30,
        page_author_messages: 1 << 30,
        ..Limits::PRODUCTION
    };
    let mut pair = Pair::with_limits(History::Full, limits);
    let joining = pair.joining.clone();
    pair.deliver(&joining);
    let (nok, each, count) = (pair.nok.author(), 2_000, 20);
    let mut changes = vec![raw::bytes(raw::change(nok, raw::messages(nok, 6, each)))];
    for seq in 2..=count {
        let raw = raw::next(nok, seq, changes.last().unwrap(), |start| {
            raw::messages(nok, start, each)
        });
        changes.push(raw);
    }
    let mut full = 0;
    for (index, raw) in changes.into_iter().enumerate().rev() {
        let place = 2 + index as u64;
        let plaintext = ChangePlaintext {
            clock: NOW,
            auth_heads: Vec::new(),
            sections: vec![raw::section(vec![raw])],
        };
        let envelope = pair.sealed_by_nok(Kind::Change, Seq(place), &plaintext.encode(), &pair.key);
        let events = pair.deliver(&envelope);
        let refused = TimelineEvent::ChangeRefused {
            author: nok,
            refusal: ChangeRefusal::Full,
        };
        full += usize::from(events.contains(&refused));
    }
    assert!(full > 0, "less than all had room");
    let shown = pair.admin.message_count() as u64;
    assert!(shown < count * each, "{shown}");
    assert!(pair.admin.must_reread());
    pair.reread();
    assert_eq!(pair.admin.message_count() as u64, count * each);
    assert!(!pair.admin.must_reread());
}

#[test]
fn a_chain_full_of_holes_is_told() {
    let mut pair = Pair::joined();
    let author = pair.nok.author();
    let full = TimelineEvent::ChainRunsFull { author };
    // Every second place of nok's chain; what does not open is received all the same.
    for run in 0..=CHAIN_RUNS_MAX {
        let place = Seq(3 + 2 * run as u64);
        let envelope = pair.by_nok(place, b"does not open", &EpochKey::from_seed([8; 32]));
        let events = pair.deliver(&envelope);
        assert_eq!(events.contains(&full), run == CHAIN_RUNS_MAX, "run {run}");
    }
}

#[test]
fn heights_of_chains_that_nobody_knows_are_bounded() {
    let mut pair = Pair::joined();
    let principal = pair.nok.principal();
    let key = pair.key.clone();
    for (chains, is_full) in [
        (UNKNOWN_HEIGHTS_MAX, false),
        (UNKNOWN_HEIGHTS_MAX + 1, true),
    ] {
        let heights = (0..chains).map(|n| (AuthorKey::from_bytes([n as u8; 32]), 1));
        let mut receipt = ReceiptPlaintext {
            delivered: heights.collect(),
            read: Vec::new(),
        };
        // Of a chain of mine the height counts, however many others there are.
        receipt.delivered.push((pair.admin.author(), chains as u64));
        let envelope = pair.by_nok(Seq(2 + u64::from(is_full)), &receipt.encode(), &key);
        let events = pair.deliver(&envelope);
        let full = TimelineEvent::HeightsFull { principal };
        assert_eq!(events.contains(&full), is_full, "{events:?}");
        let delivered = TimelineEvent::Delivered {
            principal,
            author: pair.admin.author(),
            seq: Seq(chains as u64),
        };
        assert!(events.contains(&delivered), "{events:?}");
    }
}

#[test]
fn deliveries_are_known_for_the_newest_pages_whatever_the_order() {
    let mut pair = Pair::joined();
    let messages = SMALL.page_messages * (SOURCE_PAGES_MAX + 1);
    for n in 0..messages {
        let written = pair
            .admin
            .write(&[text(&format!("{n}"))], NOW, &mut pair.rng);
        pair.store.push(written.unwrap());
    }
    let secrets = pair.admin.secrets().clone();
    let mut again = Timeline::with_limits(pair.admin.id(), secrets, SMALL);
    let events = again.receive_all(pair.store.iter().rev().cloned());
    let oldest = again.messages(0..1)[0].page;
    assert!(events.contains(&TimelineEvent::DeliveryForgotten { page: oldest }));
    for timeline in [&pair.admin, &again] {
        let shown = timeline.messages(0..messages);
        assert_eq!(shown.len(), messages);
        for (n, message) in shown.iter().enumerate() {
            let is_known = timeline.delivery(&message.id).is_some();
            assert_eq!(is_known, n >= SMALL.page_messages, "message {n}");
        }
    }
}
