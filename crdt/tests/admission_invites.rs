//! How authors and joiners come in: certificates, invites, handovers.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use khlong_crdt::admission::{AdmissionError, ClearOp, Merged, Refusal, Rights};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::InboxKey;
use support::group::{LATER, NOW, not, opened, refused, with_member};
use support::{Chain, bytes, certificate, grant, handover, inbox, invite, key, principal, revoke};

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
        let outcomes = order.map(|envelope| member.merge(envelope));
        if order[0].id() == lower.id() {
            let invite = principal("invite");
            let refused = Err(AdmissionError::AlreadyHandedOver(invite));
            assert_eq!(outcomes, [Ok(Merged::New), refused]);
        } else {
            let gives_way = Ok(Merged::Supersedes(loser.author()));
            assert_eq!(outcomes, [Ok(Merged::New), gives_way]);
        }
        assert!(member.judge(&winner.author(), Rights::APPEND, NOW).is_ok());
        assert!(member.judge(&loser.author(), Rights::APPEND, NOW).is_err());
        assert!(member.is_granted(&winner.author(), Rights::APPEND));
        assert!(!member.is_granted(&loser.author(), Rights::APPEND));
    }
}

/// A member that reads all again, in the order in which the lower id came last, takes the
/// higher one no more: it does not even wait for the lower.
#[test]
fn a_reopened_admission_still_knows_which_handover_counts() {
    let (mut admission, mut owner) = opened();
    let invites = owner.auth(&[invite("invite", Rights::MEMBER, 0)]);
    let mut joiners = [
        Chain::joined("invite", "mali").1,
        Chain::joined("invite", "nok").1,
    ];
    joiners.sort_by_key(VerifiedEnvelope::id);
    let [lower, higher] = joiners;
    for envelope in [&invites, &higher, &lower] {
        admission.merge(envelope).unwrap();
    }
    let mut again = admission.reopened();
    assert_eq!(again.principals().count(), 1, "the founder");
    let (_, introduction) = Chain::introduced("owner", "phone");
    again.merge(&introduction).unwrap();
    assert_eq!(again.merge(&invites), Ok(Merged::New));
    assert_eq!(
        again.merge(&higher),
        Err(AdmissionError::AlreadyHandedOver(principal("invite")))
    );
    assert_eq!(again.merge(&lower), Ok(Merged::New));
    assert_eq!(again.merge(&lower), Ok(Merged::Known));
}

#[test]
fn members_leave_expiry_and_revocation_to_relays() {
    let (mut admission, mut owner) = opened();
    let invites = owner.auth(&[invite("invite", Rights::MEMBER, 1)]);
    let (mali, joined) = Chain::joined("invite", "mali");
    let closes = owner.auth(&[revoke("invite", &[])]);
    let mut late = admission.clone();
    for envelope in [&invites, &joined, &closes] {
        admission.merge(envelope).unwrap();
    }
    for envelope in [&closes, &invites, &joined] {
        late.merge(envelope).unwrap();
    }
    assert_eq!(late, admission);
    assert!(admission.is_granted(&mali.author(), Rights::APPEND));
    assert!(
        admission
            .judge(&mali.author(), Rights::APPEND, NOW)
            .is_err()
    );
    assert_eq!(admission.principals().count(), 1, "mali is no member");
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
