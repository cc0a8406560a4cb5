//! Who may append and read: each rule of ENVELOPE §3 with a case that breaks it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::{
    admission::{Admission, AdmissionError, AuthBody, ClearOp, Cut, Refusal, Rights, TimelineKind},
    envelope::{Kind, VerifiedEnvelope},
    id::{AuthorKey, EnvelopeId, InboxKey, Seq},
    limits::{AUTHORS_PER_PRINCIPAL_MAX, CUTS_MAX, GRANTS_PER_PRINCIPAL_MAX, OPS_PER_ENVELOPE_MAX},
    time::UnixMillis,
};
use support::{
    Chain, bytes, certificate, genesis, genesis_of, grant, handover, inbox, invite, key, principal,
    revoke,
};

const NOW: UnixMillis = UnixMillis(1_000);
const LATER: UnixMillis = UnixMillis(2_000);

/// A group whose owner has introduced itself.
fn opened() -> (Admission, Chain) {
    let mut admission = Admission::open(&genesis()).unwrap();
    let (owner, introduction) = Chain::introduced("owner", "phone");
    admission.apply(&introduction, NOW).unwrap();
    (admission, owner)
}

/// [`opened`], and a member that owner granted `rights`.
fn with_member(name: &str, rights: Rights) -> (Admission, Chain, Chain) {
    let (mut admission, mut owner) = opened();
    admission
        .apply(&owner.auth(&[grant(name, rights)]), NOW)
        .unwrap();
    let (member, introduction) = Chain::introduced(name, "phone");
    admission.apply(&introduction, NOW).unwrap();
    (admission, owner, member)
}

/// The state is as before, whatever was refused.
fn refused(
    admission: &mut Admission,
    envelope: &VerifiedEnvelope,
    at: UnixMillis,
) -> AdmissionError {
    let before = admission.clone();
    let error = admission.apply(envelope, at).unwrap_err();
    assert_eq!(*admission, before, "all or nothing");
    error
}

fn not(refusal: Refusal) -> AdmissionError {
    AdmissionError::Refused(refusal)
}

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
fn an_author_introduces_itself_once_in_its_first_envelope() {
    let (mut admission, mut owner) = opened();
    let mut silent = Chain::new("owner/tablet");
    let grants = silent.auth(&[grant("x", Rights::READ)]);
    assert_eq!(
        refused(&mut admission, &grants, NOW),
        AdmissionError::Introduction
    );
    let late = owner.auth(&[certificate("owner", &owner.key)]);
    assert_eq!(
        refused(&mut admission, &late, NOW),
        AdmissionError::Introduction
    );
    let second = silent.auth(&[inbox("owner", bytes("another"))]);
    assert_eq!(
        refused(&mut admission, &second, NOW),
        not(Refusal::UnknownAuthor)
    );
    let mut twice = Chain::new("owner/laptop");
    let ops = [
        certificate("owner", &twice.key),
        certificate("owner", &twice.key),
    ];
    assert_eq!(
        refused(&mut admission, &twice.auth(&ops), NOW),
        AdmissionError::Introduction
    );
}

#[test]
fn certificates_must_be_the_principals_own() {
    let (mut admission, _) = opened();
    let mut thief = Chain::new("thief");
    // Certified for another author; signed by another principal; another statement.
    let foreign = thief.auth(&[certificate("owner", &key("owner/phone"))]);
    assert_eq!(
        refused(&mut admission, &foreign, NOW),
        AdmissionError::BadCertificate
    );
    let ClearOp::Author {
        author, signature, ..
    } = certificate("thief", &thief.key)
    else {
        unreachable!()
    };
    let forged = ClearOp::Author {
        principal: principal("owner"),
        author,
        signature,
    };
    let mut thief = Chain::new("thief");
    assert_eq!(
        refused(&mut admission, &thief.auth(&[forged]), NOW),
        AdmissionError::BadCertificate
    );
    let (_, _) = Chain::introduced("owner", "tablet");
    let mut tablet = Chain::new("owner/tablet");
    let ops = [
        certificate("owner", &tablet.key),
        inbox("mali", bytes("inbox")),
    ];
    assert_eq!(
        refused(&mut admission, &tablet.auth(&ops), NOW),
        AdmissionError::BadCertificate
    );
    let ClearOp::Inbox {
        principal,
        signature,
        ..
    } = inbox("owner", bytes("inbox"))
    else {
        unreachable!()
    };
    let inbox = InboxKey::from_bytes(bytes("not this inbox"));
    let mut tablet = Chain::new("owner/tablet");
    let ops = [
        certificate("owner", &tablet.key),
        ClearOp::Inbox {
            principal,
            inbox,
            signature,
        },
    ];
    assert_eq!(
        refused(&mut admission, &tablet.auth(&ops), NOW),
        AdmissionError::BadCertificate
    );
}

#[test]
fn a_principal_without_grant_cannot_introduce_authors() {
    let (mut admission, mut owner) = opened();
    let (_, introduction) = Chain::introduced("spammer", "phone");
    let error = refused(&mut admission, &introduction, NOW);
    assert_eq!(error, not(Refusal::NotGranted));
    assert!(error.is_retryable(), "the grant may be on its way");
    admission
        .apply(&owner.auth(&[grant("spammer", Rights::READ)]), NOW)
        .unwrap();
    admission.apply(&introduction, NOW).unwrap();
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
fn an_invite_is_handed_over_once_and_does_nothing_else() {
    let (mut admission, mut owner) = opened();
    admission
        .apply(&owner.auth(&[invite("invite", Rights::MEMBER, 1_500)]), NOW)
        .unwrap();
    assert!(admission.is_one_use(&principal("invite")));
    let (_, itself) = Chain::introduced("invite", "phone");
    assert_eq!(refused(&mut admission, &itself, NOW), not(Refusal::OneUse));
    let (mali, joined) = Chain::joined("invite", "mali");
    assert_eq!(
        refused(&mut admission, &joined, LATER),
        not(Refusal::Expired)
    );
    admission.apply(&joined, NOW).unwrap();
    admission.apply(&joined, NOW).unwrap();
    assert_eq!(
        admission.successor_of(&principal("invite")),
        Some(principal("mali"))
    );
    assert_eq!(admission.quota_class(&principal("mali")), 3);
    assert_eq!(
        admission.judge(&mali.author(), Rights::APPEND, LATER),
        Ok(principal("mali")),
        "the expiry bounds the joining, not the membership"
    );
    let (_, second) = Chain::joined("invite", "somchai");
    assert_eq!(
        refused(&mut admission, &second, NOW),
        AdmissionError::AlreadyHandedOver(principal("invite"))
    );
}

#[test]
fn a_handover_needs_both_signatures_an_invite_and_a_first_envelope() {
    let (mut admission, mut owner, mut mali) = with_member("mali", Rights::MEMBER);
    admission
        .apply(&owner.auth(&[invite("invite", Rights::ALL, 0)]), NOW)
        .unwrap();
    let upgrade = mali.auth(&[handover("invite", "mali")]);
    assert_eq!(
        refused(&mut admission, &upgrade, NOW),
        AdmissionError::Introduction
    );
    for from in ["mali", "nobody"] {
        let (_, joined) = Chain::joined(from, "thief");
        assert!(
            matches!(
                refused(&mut admission, &joined, NOW),
                AdmissionError::Refused(_)
            ),
            "{from}"
        );
    }
    let ClearOp::Handover {
        from,
        to,
        from_signature,
        to_signature,
    } = handover("invite", "nok")
    else {
        unreachable!()
    };
    for (from_signature, to_signature) in [([0; 64], to_signature), (from_signature, [0; 64])] {
        let mut nok = Chain::new("nok/phone");
        let ops = [
            ClearOp::Handover {
                from,
                to,
                from_signature,
                to_signature,
            },
            certificate("nok", &nok.key),
        ];
        assert_eq!(
            refused(&mut admission, &nok.auth(&ops), NOW),
            AdmissionError::BadCertificate
        );
    }
    // To another principal than the writer's.
    let mut thief = Chain::new("thief/phone");
    let ops = [handover("invite", "nok"), certificate("thief", &thief.key)];
    assert_eq!(
        refused(&mut admission, &thief.auth(&ops), NOW),
        AdmissionError::Introduction
    );
}

#[test]
fn members_honour_the_lower_of_two_handovers_in_either_order() {
    let (mut admission, mut owner) = opened();
    admission
        .apply(&owner.auth(&[invite("invite", Rights::MEMBER, 0)]), NOW)
        .unwrap();
    let mut joiners = [
        Chain::joined("invite", "mali"),
        Chain::joined("invite", "nok"),
    ];
    joiners.sort_by_key(|(_, envelope)| envelope.id());
    let [(winner, lower), (loser, higher)] = joiners;
    for order in [[&lower, &higher], [&higher, &lower]] {
        let mut member = admission.clone();
        let outcomes = order.map(|envelope| member.merge(envelope, NOW).is_ok());
        assert_eq!(outcomes[1], order[1].id() == lower.id());
        assert!(member.judge(&winner.author(), Rights::APPEND, NOW).is_ok());
        assert!(member.judge(&loser.author(), Rights::APPEND, NOW).is_err());
    }
}

#[test]
fn revoking_an_invite_voids_its_handover_unless_a_cut_names_it() {
    let (mut admission, mut owner) = opened();
    admission
        .apply(&owner.auth(&[invite("invite", Rights::MEMBER, 0)]), NOW)
        .unwrap();
    let (mali, joined) = Chain::joined("invite", "mali");
    let mut before = admission.clone();
    admission.apply(&joined, NOW).unwrap();
    let mut owner_too = Chain {
        seq: owner.seq,
        head: owner.head,
        ..Chain::new("owner/phone")
    };
    let closes = owner.auth(&[revoke("invite", &[])]);
    let closes_for_others = owner_too.auth(&[revoke("invite", &[mali.cut()])]);

    let mut kept = admission.clone();
    kept.apply(&closes_for_others, NOW).unwrap();
    assert!(kept.judge(&mali.author(), Rights::APPEND, NOW).is_ok());
    before.apply(&closes_for_others, NOW).unwrap();
    before.apply(&joined, NOW).unwrap();
    assert_eq!(before, kept, "the order does not matter");

    admission.apply(&closes, NOW).unwrap();
    assert_eq!(
        admission.judge(&mali.author(), Rights::APPEND, NOW),
        Err(Refusal::NotGranted)
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

#[test]
fn limits_hold() {
    let (mut admission, mut owner, _) = with_member("mali", Rights::MEMBER);
    for device in 1..AUTHORS_PER_PRINCIPAL_MAX {
        let (_, introduction) = Chain::introduced("mali", &format!("device {device}"));
        admission.apply(&introduction, NOW).unwrap();
    }
    let (_, one_more) = Chain::introduced("mali", "one more");
    assert!(matches!(
        refused(&mut admission, &one_more, NOW),
        AdmissionError::Full { .. }
    ));
    for _ in 1..GRANTS_PER_PRINCIPAL_MAX {
        admission
            .apply(&owner.auth(&[grant("mali", Rights::READ)]), NOW)
            .unwrap();
    }
    let one_more = owner.auth(&[grant("mali", Rights::READ)]);
    assert!(matches!(
        refused(&mut admission, &one_more, NOW),
        AdmissionError::Full { .. }
    ));

    let op = grant("x", Rights::READ);
    for count in [0, OPS_PER_ENVELOPE_MAX + 1] {
        let ops = vec![op.clone(); count];
        assert_eq!(
            AuthBody::encode(&ops, &[]),
            Err(AdmissionError::TooManyOps(count))
        );
    }
    let cut = Cut {
        author: AuthorKey::ZERO,
        seq: Seq(1),
        id: EnvelopeId::ZERO,
    };
    let cuts = revoke("x", &vec![cut; CUTS_MAX + 1]);
    assert_eq!(
        AuthBody::encode(&[cuts], &[]),
        Err(AdmissionError::TooManyCuts(17))
    );
    let longest = vec![revoke("x", &vec![cut; CUTS_MAX]); OPS_PER_ENVELOPE_MAX];
    let body = AuthBody::encode(&longest, &[1; 9]).unwrap();
    let decoded = AuthBody::decode(&body).unwrap();
    assert_eq!((decoded.ops, decoded.clear.len()), (longest, 38_022));
    assert_eq!(body[decoded.sealed], [1; 9]);
}

#[test]
fn the_principals_of_a_timeline_are_bounded() {
    let (mut admission, mut owner) = opened();
    let mut full = None;
    for round in 0..=khlong_crdt::limits::PRINCIPALS_MAX / OPS_PER_ENVELOPE_MAX {
        let ops: Vec<_> = (0..OPS_PER_ENVELOPE_MAX)
            .map(|index| ClearOp::Grant {
                principal: khlong_crdt::id::PrincipalKey::from_bytes(bytes(&format!(
                    "{round}/{index}"
                ))),
                rights: Rights::READ,
                expiry: UnixMillis(0),
                quota_class: 0,
                one_use: false,
            })
            .collect();
        full = admission.apply(&owner.auth(&ops), NOW).err();
    }
    assert!(
        matches!(
            full,
            Some(AdmissionError::Full {
                what: "principals",
                ..
            })
        ),
        "{full:?}"
    );
    assert!(admission.principals().count() <= khlong_crdt::limits::PRINCIPALS_MAX);
}

#[test]
fn damaged_ops_are_refused_at_every_byte() {
    let ops = [
        grant("a", Rights::READ),
        revoke("b", &[Chain::new("c").cut()]),
        inbox("d", [4; 32]),
        handover("e", "f"),
        certificate("g", &key("h")),
    ];
    let body = AuthBody::encode(&ops, &[]).unwrap();
    assert_eq!(AuthBody::decode(&body).unwrap().ops, ops);
    for length in 0..body.len() {
        assert!(AuthBody::decode(&body[..length]).is_err(), "{length} bytes");
    }
    for at in 0..body.len() {
        let mut flipped = body.clone();
        flipped[at] ^= 0x80;
        // Keys, signatures and ids may have any bytes; then the ops are others.
        assert_ne!(
            AuthBody::decode(&flipped).map(|body| body.ops),
            Ok(ops.to_vec()),
            "byte {at}"
        );
    }
    let mut trailing = body.clone();
    trailing.push(0);
    assert_eq!(
        AuthBody::decode(&trailing).unwrap().sealed.len(),
        1,
        "that is a sealed part"
    );
    for (at, value, error) in [
        (4, 2, AdmissionError::UnknownValue),
        (5, 0, AdmissionError::TooManyOps(0)),
        (6, 7, AdmissionError::UnknownOp(7)),
        (6 + 3 + 32, 32, AdmissionError::UnknownValue),
        (6 + 3 + 33, 0x80, AdmissionError::UnknownValue),
        (6 + 3 + 42, 2, AdmissionError::UnknownValue),
    ] {
        let mut wrong = body.clone();
        wrong[at] = value;
        assert_eq!(AuthBody::decode(&wrong).unwrap_err(), error, "byte {at}");
    }
}
