//! Who reads what, from when on.

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::id::EpochId;
use khlong_crdt::time::UnixMillis;
use khlong_document::membership::role::Role;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::event::TimelineEvent;
use khlong_document::timeline::write::{InviteTerms, WriteError};

use super::{Group, NOW, SMALL, text};

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
    assert_eq!(late.parked_count(), 0);
    assert_ne!(late.state_hash(), whole);
    // The newest message builds on what is gone, so it waits too (DOCUMENT §10).
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
