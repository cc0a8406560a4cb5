//! `Timeline::invite`: all of it or nothing.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_crdt::admission::{ClearOp, History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, InboxKey, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::keys::principal::PrincipalSecret;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::seal::{SealRequest, seal_auth_op};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::write::{InviteTerms, WriteError};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
const TERMS: InviteTerms<'_> = InviteTerms {
    rights: Rights::MEMBER,
    role: Role::Member,
    expiry: UnixMillis(0),
    quota_class: 0,
    target: None,
};

/// A joiner whose inbox key nobody can wrap to.
fn joins_with_weak_inbox(
    timeline: &Timeline,
    invite: &InviteSecret,
    rng: &mut ChaCha12Rng,
) -> VerifiedEnvelope {
    let (id, weak) = (timeline.id(), InboxKey::from_bytes([0; 32]));
    let (principal, author) = (PrincipalSecret::generate(rng), AuthorSecret::generate(rng));
    let from = invite.principal();
    let (old, new) = (from.public(), principal.public());
    let ops = [
        ClearOp::Handover {
            from: old,
            to: new,
            from_signature: from.sign_handover(id, old, new),
            to_signature: principal.sign_handover(id, old, new),
        },
        ClearOp::Author {
            principal: new,
            author: author.public(),
            signature: principal.certify_author(id, author.public()),
        },
        ClearOp::Inbox {
            principal: new,
            inbox: weak,
            signature: principal.certify_inbox(id, weak),
        },
    ];
    let request = SealRequest {
        kind: Kind::AuthOp,
        timeline: id,
        seq: Seq::FIRST,
        prev: EnvelopeId::ZERO,
        epoch_id: EpochId::ZERO,
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    seal_auth_op(request, &ops, None, &author, [0; 32]).unwrap()
}

#[test]
fn an_invite_whose_keys_cannot_be_made_leaves_nothing_behind() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let opened = open_timeline(TimelineKind::Group, History::SinceJoin, &mut rng);
    let mut admin = Timeline::new(opened.timeline, opened.secrets);
    admin.receive_all(opened.envelopes);
    let (envelopes, payload) = admin.invite(&TERMS, NOW, &mut rng).unwrap();
    // What was received here is what is to be sent: one chain, in this order.
    assert_eq!(admin.head().1, envelopes.last().unwrap().id());
    let invite = InviteSecret::from_payload(admin.id(), &payload, None).unwrap();
    let joined = joins_with_weak_inbox(&admin, &invite, &mut rng);
    admin.receive(&joined);
    assert_eq!(admin.members().len(), 2);

    let before = (admin.head(), admin.admission().unwrap().clone());
    let outcome = admin.invite(&TERMS, NOW, &mut rng);
    assert!(matches!(outcome, Err(WriteError::Mint(_))), "{outcome:?}");
    assert!(admin.head() == before.0, "nothing was received");
    assert!(admin.admission() == Some(&before.1));
}
