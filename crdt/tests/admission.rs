//! Who may append and read: each rule of ENVELOPE §3 with a case that breaks it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::admission::{
    Admission, AdmissionError, AuthBody, ClearOp, Cut, Refusal, Rights, TimelineKind,
};
use khlong_crdt::envelope::Kind;
use khlong_crdt::time::UnixMillis;
use support::group::{LATER, NOW, not, opened, refused, with_member};
use support::{Chain, bytes, genesis, genesis_of, grant, handover, principal, revoke};

#[test]
fn the_founder_may_do_everything_and_a_stranger_nothing() {
    let (admission, mut owner) = opened();
    for right in [
        Rights::RELAY,
        Rights::READ,
        Rights::APPEND,
        Rights::COMPACT,
        Rights::ADMIN,
    ] {
        assert_eq!(
            admission.judge(&owner.author(), right, LATER),
            Ok(principal("owner"))
        );
        let stranger = Chain::new("stranger").author();
        assert_eq!(
            admission.judge(&stranger, right, LATER),
            Err(Refusal::UnknownAuthor)
        );
    }
    let change = owner.write(Kind::Change, b"hello");
    assert_eq!(
        admission.admits(change.header(), NOW),
        Ok(principal("owner"))
    );
    assert_eq!(
        admission.inbox_of(&principal("owner")).unwrap().as_bytes(),
        &bytes("inbox of owner")
    );
    assert_eq!(
        admission.principals().collect::<Vec<_>>(),
        [(principal("owner"), Rights::ALL)]
    );
}

#[test]
fn the_genesis_is_alone_and_signed_by_the_timeline_key() {
    let (_, introduction) = Chain::introduced("owner", "phone");
    assert_eq!(
        Admission::open(&introduction).unwrap_err(),
        AdmissionError::NotGenesis
    );
    let mut timeline_key = Chain::new("timeline");
    let opens = AuthBody::decode(genesis().body().unwrap()).unwrap().ops;
    let two = timeline_key.auth(&[opens[0].clone(), grant("x", Rights::READ)]);
    assert_eq!(
        Admission::open(&two).unwrap_err(),
        AdmissionError::NotGenesis
    );
    let (mut admission, mut owner) = opened();
    assert_eq!(
        refused(&mut admission, &two, NOW),
        AdmissionError::SecondGenesis
    );
    let more = timeline_key.auth(&[grant("x", Rights::ADMIN)]);
    assert_eq!(
        refused(&mut admission, &more, NOW),
        AdmissionError::SecondGenesis
    );
    let again = owner.auth(&opens);
    assert_eq!(
        refused(&mut admission, &again, NOW),
        AdmissionError::SecondGenesis
    );
    assert_eq!(
        admission.apply(&genesis(), NOW),
        Ok(()),
        "the same genesis again"
    );
    assert_eq!(
        Admission::open(&genesis().pruned()).unwrap_err(),
        AdmissionError::Pruned
    );
}

#[test]
fn each_kind_needs_its_right() {
    let cases = [
        (Kind::Change, Rights::APPEND),
        (Kind::KeyOp, Rights::APPEND),
        (Kind::Notice, Rights::APPEND),
        (Kind::Receipt, Rights::READ),
        (Kind::Fragment, Rights::COMPACT),
    ];
    for (kind, needed) in cases {
        let others = Rights::from_bits(Rights::ALL.bits() & !needed.bits()).unwrap();
        for (rights, verdict) in [
            (needed, Ok(principal("mali"))),
            (others, Err(Refusal::MissingRight)),
        ] {
            let (admission, _, mut mali) = with_member("mali", rights);
            let envelope = mali.write(kind, b"body");
            assert_eq!(
                admission.admits(envelope.header(), NOW),
                verdict,
                "{kind:?}"
            );
        }
    }
}

#[test]
fn only_admins_grant_and_revoke() {
    let (mut admission, mut owner, mut mali) = with_member("mali", Rights::MEMBER);
    for op in [
        grant("friend", Rights::READ),
        revoke("owner", &[]),
        revoke("friend", &[]),
    ] {
        let envelope = mali.auth(&[op]);
        assert_eq!(
            refused(&mut admission, &envelope, NOW),
            not(Refusal::MissingRight)
        );
    }
    admission
        .apply(&owner.auth(&[grant("mali", Rights::ADMIN)]), NOW)
        .unwrap();
    admission
        .apply(&mali.auth(&[grant("friend", Rights::READ)]), NOW)
        .unwrap();
    assert!(
        admission
            .principals()
            .any(|entry| entry == (principal("friend"), Rights::READ))
    );
}

#[test]
fn one_bad_op_refuses_the_whole_envelope() {
    let (mut admission, mut owner, _) = with_member("mali", Rights::MEMBER);
    let mixed = owner.auth(&[grant("a", Rights::READ), handover("nobody", "owner")]);
    refused(&mut admission, &mixed, NOW);
    assert!(!admission.principals().any(|(key, _)| key == principal("a")));
}

#[test]
fn a_revocation_keeps_what_lies_before_its_cut() {
    let (mut admission, mut owner, mut mali) = with_member("mali", Rights::MEMBER);
    let before = mali.write(Kind::Change, b"before");
    let at_cut = mali.write(Kind::Change, b"at the cut");
    let cut = mali.cut();
    let beyond = mali.write(Kind::Change, b"beyond");
    admission
        .apply(&owner.auth(&[revoke("mali", &[cut])]), NOW)
        .unwrap();
    assert!(admission.admits(before.header(), LATER).is_ok());
    assert!(admission.admits(at_cut.header(), LATER).is_ok());
    assert_eq!(
        admission.admits(beyond.header(), LATER),
        Err(Refusal::Revoked)
    );
    assert_eq!(
        admission.judge(&mali.author(), Rights::READ, LATER),
        Err(Refusal::Revoked)
    );
    // Another envelope at the place of the cut: a fork.
    let mut fork = Chain {
        seq: before.seq(),
        head: before.id(),
        ..Chain::new("mali/phone")
    };
    let forked = fork.write(Kind::Change, b"instead");
    assert_eq!(forked.seq(), at_cut.seq());
    assert_eq!(
        admission.admits(forked.header(), LATER),
        Err(Refusal::Revoked)
    );
    // A second revocation only tightens, and a third one cannot loosen.
    let earlier = Cut {
        author: mali.author(),
        seq: before.seq(),
        id: before.id(),
    };
    for cut in [earlier, cut] {
        admission
            .apply(&owner.auth(&[revoke("mali", &[cut])]), NOW)
            .unwrap();
        assert_eq!(
            admission.admits(at_cut.header(), LATER),
            Err(Refusal::Revoked)
        );
        assert!(admission.admits(before.header(), LATER).is_ok());
    }
    admission
        .apply(&owner.auth(&[revoke("mali", &[])]), NOW)
        .unwrap();
    assert_eq!(
        admission.admits(before.header(), LATER),
        Err(Refusal::Revoked)
    );
}

#[test]
fn a_revoked_principal_never_returns() {
    let (mut admission, mut owner, mali) = with_member("mali", Rights::MEMBER);
    admission
        .apply(&owner.auth(&[revoke("mali", &[])]), NOW)
        .unwrap();
    admission
        .apply(&owner.auth(&[grant("mali", Rights::ALL)]), NOW)
        .unwrap();
    assert_eq!(
        admission.judge(&mali.author(), Rights::READ, NOW),
        Err(Refusal::Revoked)
    );
    // Also when the revocation comes first.
    admission
        .apply(&owner.auth(&[revoke("nok", &[])]), NOW)
        .unwrap();
    admission
        .apply(&owner.auth(&[grant("nok", Rights::ALL)]), NOW)
        .unwrap();
    let (_, introduction) = Chain::introduced("nok", "phone");
    assert_eq!(
        refused(&mut admission, &introduction, NOW),
        not(Refusal::Revoked)
    );
}

#[test]
fn grants_of_a_revoked_admin_beyond_the_cut_are_void() {
    let (mut admission, mut owner, mut mali) = with_member("mali", Rights::ALL);
    admission
        .apply(&mali.auth(&[grant("kept", Rights::READ)]), NOW)
        .unwrap();
    let cut = mali.cut();
    let late = mali.auth(&[grant("void", Rights::READ)]);
    admission.apply(&late, NOW).unwrap();
    admission
        .apply(&owner.auth(&[revoke("mali", &[cut])]), NOW)
        .unwrap();
    let names = |name: &str| {
        admission
            .principals()
            .any(|(key, _)| key == principal(name))
    };
    assert!(names("kept") && !names("void"));
    assert_eq!(
        refused(&mut admission.clone(), &late, NOW),
        not(Refusal::Revoked)
    );
}

#[test]
fn a_junior_admin_cannot_revoke_a_senior() {
    let (mut admission, mut owner, mut mali) = with_member("mali", Rights::ALL);
    let coup = mali.auth(&[revoke("owner", &[])]);
    assert_eq!(
        refused(&mut admission, &coup, NOW),
        AdmissionError::Senior(principal("owner"))
    );
    admission
        .apply(&mali.auth(&[revoke("mali", &[mali.cut()])]), NOW)
        .unwrap();
    assert_eq!(
        admission.judge(&mali.author(), Rights::READ, NOW),
        Err(Refusal::Revoked)
    );
    admission
        .apply(&owner.auth(&[revoke("owner", &[owner.cut()])]), NOW)
        .unwrap();
    let after = owner.auth(&[grant("x", Rights::READ)]);
    assert_eq!(refused(&mut admission, &after, NOW), not(Refusal::Revoked));
}

#[test]
fn an_expired_grant_is_judged_by_the_receipt_date() {
    let (mut admission, mut owner) = opened();
    let ClearOp::Grant {
        principal,
        rights,
        quota_class,
        one_use,
        ..
    } = grant("mali", Rights::MEMBER)
    else {
        unreachable!()
    };
    let until_now = ClearOp::Grant {
        principal,
        rights,
        expiry: NOW,
        quota_class,
        one_use,
    };
    admission.apply(&owner.auth(&[until_now]), NOW).unwrap();
    let (mut mali, introduction) = Chain::introduced("mali", "phone");
    assert_eq!(
        refused(&mut admission, &introduction, LATER),
        not(Refusal::Expired)
    );
    admission.apply(&introduction, NOW).unwrap();
    let change = mali.write(Kind::Change, b"in time");
    assert!(admission.admits(change.header(), NOW).is_ok());
    assert_eq!(
        admission.admits(change.header(), UnixMillis(1_001)),
        Err(Refusal::Expired)
    );
    // A longer grant beside it helps.
    admission
        .apply(&owner.auth(&[grant("mali", Rights::READ)]), NOW)
        .unwrap();
    assert!(admission.judge(&mali.author(), Rights::READ, LATER).is_ok());
    assert_eq!(
        admission.judge(&mali.author(), Rights::APPEND, LATER),
        Err(Refusal::Expired)
    );
}

#[test]
fn everybody_reads_a_public_timeline_and_nobody_else_writes() {
    let admission = Admission::open(&genesis_of(TimelineKind::Public)).unwrap();
    assert_eq!(admission.public_key(), Some(bytes("public key")));
    let stranger = Chain::new("stranger").author();
    assert!(admission.judge(&stranger, Rights::READ, NOW).is_ok());
    for right in [
        Rights::APPEND,
        Rights::RELAY,
        Rights::ADMIN,
        Rights::COMPACT,
    ] {
        assert_eq!(
            admission.judge(&stranger, right, NOW),
            Err(Refusal::UnknownAuthor)
        );
    }
    let mut chain = Chain::new("stranger");
    let receipt = chain.write(Kind::Receipt, b"spam");
    assert_eq!(
        admission.admits(receipt.header(), NOW),
        Err(Refusal::UnknownAuthor)
    );
}
