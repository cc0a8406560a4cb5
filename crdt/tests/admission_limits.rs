//! Limits and damaged bytes of auth-ops.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::admission::{AdmissionError, AuthBody, ClearOp, Cut, Rights};
use khlong_crdt::id::{AuthorKey, EnvelopeId, PrincipalKey, Seq};
use khlong_crdt::limits::{
    AUTHORS_PER_PRINCIPAL_MAX, CUTS_MAX, GRANTS_PER_PRINCIPAL_MAX, OPS_PER_ENVELOPE_MAX,
    PRINCIPALS_MAX,
};
use khlong_crdt::time::UnixMillis;
use support::group::{NOW, opened, refused, with_member};
use support::{Chain, bytes, certificate, grant, handover, inbox, key, revoke};

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
    for round in 0..=PRINCIPALS_MAX / OPS_PER_ENVELOPE_MAX {
        let ops: Vec<_> = (0..OPS_PER_ENVELOPE_MAX)
            .map(|index| ClearOp::Grant {
                principal: PrincipalKey::from_bytes(bytes(&format!("{round}/{index}"))),
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
    assert!(admission.principals().count() <= PRINCIPALS_MAX);
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
