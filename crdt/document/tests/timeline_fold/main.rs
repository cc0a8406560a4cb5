//! `Timeline`: the fold over sealed envelopes, with real keys.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod hostile;
mod reading;
mod receipts;
mod starting;

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
use khlong_document::timeline::event::TimelineEvent;
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::write::InviteTerms;
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
