//! A member with more devices than count: every member shows those of the same ones.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod timeline_room;

use std::convert::Infallible;

use khlong_crdt::admission::{ClearOp, History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use khlong_crdt::limits::AUTHORS_PER_PRINCIPAL_MAX;
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::keys::principal::PrincipalSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::seal::{self, SealRequest};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::event::TimelineEvent;
use khlong_document::timeline::plaintext::ChangePlaintext;
use khlong_document::timeline::write::InviteTerms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use timeline_room::{NOW, raw};

fn request(timeline: TimelineId, kind: Kind, place: (Seq, EnvelopeId)) -> SealRequest {
    SealRequest {
        kind,
        timeline,
        seq: place.0,
        prev: place.1,
        epoch_id: EpochId::ZERO,
        expiry: Expiry::Keep,
        refs: Vec::new(),
    }
}

/// The first envelope of a device, and a change that says which one it is.
fn device(
    timeline: TimelineId,
    (epoch_id, key): (EpochId, &EpochKey),
    principal: &PrincipalSecret,
    seed: u8,
) -> [VerifiedEnvelope; 2] {
    let author = AuthorSecret::from_seed([seed; 32]);
    let certificate = ClearOp::Author {
        principal: principal.public(),
        author: author.public(),
        signature: principal.certify_author(timeline, author.public()),
    };
    let first = request(timeline, Kind::AuthOp, (Seq::FIRST, EnvelopeId::ZERO));
    let first = seal::seal_auth_op(first, &[certificate], None, &author, [0; 32]).unwrap();
    let body = raw::message(author.public(), &format!("device {seed}"));
    let change = raw::bytes(raw::change(author.public(), body));
    let plaintext = ChangePlaintext {
        clock: NOW,
        auth_heads: Vec::new(),
        sections: vec![raw::section(vec![change])],
    };
    let second = SealRequest {
        epoch_id,
        ..request(timeline, Kind::Change, (Seq(2), first.id()))
    };
    let second = seal::seal(second, key, &plaintext.encode(), &author, [seed; 32]).unwrap();
    [first, second]
}

/// All in this order, read again whenever that is asked for.
fn read(timeline: &mut Timeline, order: &[VerifiedEnvelope]) -> Vec<TimelineEvent> {
    let mut events = Vec::new();
    let mut store: Vec<VerifiedEnvelope> = Vec::new();
    for envelope in order {
        store.push(envelope.clone());
        events.extend(timeline.receive(envelope));
        if timeline.must_reread() {
            let read = timeline.reread(|open| Ok::<_, Infallible>(open.receive_all(store.clone())));
            events.extend(read.unwrap());
        }
    }
    events
}

#[test]
fn members_show_the_same_devices_whatever_came_first() {
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    let opened = open_timeline(TimelineKind::Group, History::Full, &mut rng);
    let mint = seal::open_key_op(&opened.envelopes[2]).unwrap();
    let (epoch, key) = opened.secrets.unwrap(&mint).unwrap().unwrap();
    let (id, secrets) = (opened.timeline, opened.secrets);
    let mut admin = Timeline::new(id, secrets.clone());
    let mut base = opened.envelopes;
    admin.receive_all(base.iter().cloned());
    let terms = InviteTerms {
        rights: Rights::MEMBER,
        role: Role::Member,
        expiry: UnixMillis(0),
        quota_class: 0,
        target: None,
    };
    let (invite, payload) = admin.invite(&terms, NOW, &mut rng).unwrap();
    base.extend(invite);
    let invite = InviteSecret::from_payload(id, &payload, None).unwrap();
    let joined = join(id, &invite, &mut rng);
    base.extend(joined.envelopes);

    // Three more than count, each with a message; the highest keys are to give way.
    let mut devices: Vec<_> = (0..AUTHORS_PER_PRINCIPAL_MAX as u8 + 3)
        .map(|seed| device(id, (epoch, &key), &joined.secrets.principal, seed))
        .collect();
    devices.sort_by_key(|[first, _]| first.author());
    let losers: Vec<_> = devices[AUTHORS_PER_PRINCIPAL_MAX..]
        .iter()
        .map(|[first, _]| first.author())
        .collect();
    let forwards = [&base[..], &devices.concat()].concat();
    devices.reverse();
    let backwards = [&base[..], &devices.concat()].concat();
    let mut members = [forwards, backwards].map(|order| {
        let mut member = Timeline::new(id, secrets.clone());
        let events = read(&mut member, &order);
        for author in &losers {
            let told = TimelineEvent::Superseded { author: *author };
            assert!(events.contains(&told));
        }
        member
    });
    for member in &mut members {
        assert_eq!(member.message_count(), AUTHORS_PER_PRINCIPAL_MAX);
        let shown = member.messages(0..usize::MAX);
        assert!(
            shown
                .iter()
                .all(|message| !losers.contains(&message.author))
        );
        assert_eq!(member.parked_count(), 0);
    }
    assert_eq!(members[0].state_hash(), members[1].state_hash());
    assert_eq!(
        members[0].messages(0..usize::MAX),
        members[1].messages(0..usize::MAX)
    );
}
