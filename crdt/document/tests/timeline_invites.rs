//! `Timeline::invite`: all of it or nothing.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_crdt::admission::{ClearOp, History, Rights, TimelineKind};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, InboxKey, Seq};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::keys::principal::PrincipalSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::manifest::PARENTS_MAX;
use khlong_document::membership::mint::{MintRequest, mint};
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::seal::{SealRequest, seal_auth_op, seal_key_op};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::event::TimelineEvent;
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
fn a_weak_inbox_key_keeps_nobody_else_out() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let opened = open_timeline(TimelineKind::Group, History::SinceJoin, &mut rng);
    let mut admin = Timeline::new(opened.timeline, opened.secrets);
    let mut sent = opened.envelopes;
    admin.receive_all(sent.iter().cloned());
    let (envelopes, payload) = admin.invite(&TERMS, NOW, &mut rng).unwrap();
    // What was received here is what is to be sent: one chain, in this order.
    assert_eq!(admin.head().1, envelopes.last().unwrap().id());
    sent.extend(envelopes);
    let invite = InviteSecret::from_payload(admin.id(), &payload, None).unwrap();
    let weak = joins_with_weak_inbox(&admin, &invite, &mut rng);
    let events = admin.receive(&weak);
    let weak_member = admin.principal_of(&weak.author()).unwrap();
    assert!(events.contains(&TimelineEvent::WeakInbox(weak_member)));
    let told = |events: &[TimelineEvent]| {
        let is_weak = |event: &&TimelineEvent| matches!(event, TimelineEvent::WeakInbox(_));
        events.iter().filter(is_weak).count()
    };
    assert_eq!(told(&admin.receive(&weak)), 0, "once");
    sent.push(weak);

    let (envelopes, payload) = admin.invite(&TERMS, NOW, &mut rng).unwrap();
    sent.extend(envelopes);
    let invite = InviteSecret::from_payload(admin.id(), &payload, None).unwrap();
    let joined = join(admin.id(), &invite, &mut rng);
    sent.extend(joined.envelopes);
    let mut newcomer = Timeline::new(admin.id(), joined.secrets);
    // Every member is told of the same one, in any order.
    let events = newcomer.receive_all(sent.iter().rev().cloned());
    assert_eq!(told(&events), 1);
    admin.receive_all(sent);
    assert!(newcomer.is_ready() && admin.is_ready());
    assert_eq!(admin.members().len(), 3);
}

#[test]
fn an_invite_whose_keys_cannot_be_made_leaves_nothing_behind() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let opened = open_timeline(TimelineKind::Group, History::SinceJoin, &mut rng);
    let (author, inbox) = (opened.secrets.author.clone(), opened.secrets.inbox.public());
    let mut admin = Timeline::new(opened.timeline, opened.secrets);
    admin.receive_all(opened.envelopes);
    // More epochs that do not know each other than one mint can merge.
    for _ in 0..=PARENTS_MAX {
        let request = MintRequest {
            timeline: admin.id(),
            history: History::SinceJoin,
            parents: &[],
            auth_heads: &[],
            minter: admin.principal(),
            recipients: &[inbox],
            public_key: None,
        };
        let minted = mint(&request, &mut rng).unwrap();
        let request = SealRequest {
            kind: Kind::KeyOp,
            timeline: admin.id(),
            seq: admin.next_seq(),
            prev: admin.head().1,
            epoch_id: EpochId::ZERO,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        };
        admin.receive(&seal_key_op(request, &minted.op, &author).unwrap());
    }
    let before = (admin.head(), admin.admission().unwrap().clone());
    let outcome = admin.invite(&TERMS, NOW, &mut rng);
    assert!(matches!(outcome, Err(WriteError::Mint(_))), "{outcome:?}");
    assert!(admin.head() == before.0, "nothing was received");
    assert!(admin.admission() == Some(&before.1));
}
