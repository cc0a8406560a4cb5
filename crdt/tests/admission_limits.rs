//! Limits and damaged bytes of auth-ops.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::admission::{Admission, AdmissionError, AuthBody, ClearOp, Cut, Merged, Rights};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, EnvelopeId, PrincipalKey, Seq};
use khlong_crdt::limits::{
    AUTHORS_PER_PRINCIPAL_MAX, CUTS_MAX, GRANTS_PER_PRINCIPAL_MAX, OPS_PER_ENVELOPE_MAX,
    PRINCIPALS_MAX,
};
use khlong_crdt::time::UnixMillis;
use support::group::{NOW, opened, refused, with_member};
use support::{
    Chain, bytes, certificate, genesis, grant, handover, inbox, invite, key, principal, revoke,
};

#[test]
fn limits_hold() {
    let (mut admission, mut owner, _) = with_member("mali", Rights::MEMBER);
    for device in 1..AUTHORS_PER_PRINCIPAL_MAX {
        let (_, introduction) = Chain::introduced("mali", &format!("device {device}"));
        admission.apply(&introduction, NOW).unwrap();
    }
    let (_, one_more) = Chain::introduced("mali", "one more");
    assert_eq!(
        refused(&mut admission, &one_more, NOW),
        AdmissionError::TooManyAuthors(principal("mali"))
    );
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

/// Invites that one principal takes over, each by another author of its own.
fn takes_over(count: usize) -> (Vec<ClearOp>, Vec<VerifiedEnvelope>) {
    let names: Vec<_> = (0..count).map(|n| format!("invite {n}")).collect();
    let grants = names.iter().map(|name| invite(name, Rights::MEMBER, 0));
    let joinings = names.iter().map(|name| {
        let mut device = Chain::new(&format!("greedy on {name}"));
        let ops = [handover(name, "greedy"), certificate("greedy", &device.key)];
        device.auth(&ops)
    });
    (grants.collect(), joinings.collect())
}

#[test]
fn whoever_takes_over_many_invites_can_be_removed() {
    let (grants, joinings) = takes_over(GRANTS_PER_PRINCIPAL_MAX + 1);
    let (mut admission, mut owner) = opened();
    let (_, introduction) = Chain::introduced("owner", "phone");
    let invites = owner.auth(&grants);
    let removes = owner.auth(&[revoke("greedy", &[])]);
    admission.apply(&invites, NOW).unwrap();
    let (last, others) = joinings.split_last().unwrap();
    for joining in others {
        admission.apply(joining, NOW).unwrap();
    }
    assert!(matches!(
        refused(&mut admission, last, NOW),
        AdmissionError::Full { .. }
    ));
    admission.apply(&removes, NOW).unwrap();

    // The log of a relay that let in one more than it should have.
    let mut replay = Admission::replay(&genesis()).unwrap();
    for envelope in [&introduction, &invites].into_iter().chain(&joinings) {
        replay.accepted(envelope, NOW).unwrap();
    }
    let mut admission = replay.finish().unwrap();
    let greedy = joinings[0].author();
    assert!(admission.judge(&greedy, Rights::APPEND, NOW).is_ok());
    admission.apply(&removes, NOW).unwrap();
    assert!(admission.judge(&greedy, Rights::APPEND, NOW).is_err());
}

/// A member's state after all of these, read again from the beginning where somebody gave way.
fn merged(envelopes: &[&VerifiedEnvelope]) -> Admission {
    let mut admission = Admission::open(&genesis()).unwrap();
    loop {
        let outcomes: Vec<_> = envelopes
            .iter()
            .map(|envelope| admission.merge(envelope))
            .collect();
        let gave_way = |outcome| matches!(outcome, Ok(Merged::Supersedes(_)));
        if !outcomes.into_iter().any(gave_way) {
            return admission;
        }
        admission = admission.reopened();
    }
}

/// Two relays that do not hear of each other each take sixteen devices of one member.
#[test]
fn of_too_many_devices_the_lowest_count_for_every_member() {
    let (mut owner, introduction) = Chain::introduced("owner", "phone");
    let grants = owner.auth(&[grant("mali", Rights::MEMBER)]);
    let mut devices: Vec<_> = (0..2 * AUTHORS_PER_PRINCIPAL_MAX)
        .map(|n| Chain::introduced("mali", &format!("device {n}")).1)
        .collect();
    let base = [&introduction, &grants];
    let forwards = merged(&[&base[..], &devices.iter().collect::<Vec<_>>()].concat());
    let backwards = merged(&[&base[..], &devices.iter().rev().collect::<Vec<_>>()].concat());
    assert_eq!(forwards, backwards);
    devices.sort_by_key(VerifiedEnvelope::author);
    for (index, device) in devices.iter().enumerate() {
        assert_eq!(
            forwards.is_granted(&device.author(), Rights::APPEND),
            index < AUTHORS_PER_PRINCIPAL_MAX,
            "device {index}"
        );
    }
    // Whoever is read again is refused without altering anything.
    let mut again = forwards.clone();
    assert_eq!(
        again.merge(devices.last().unwrap()),
        Err(AdmissionError::TooManyAuthors(principal("mali")))
    );
    assert_eq!(again, forwards);
}

/// Which of many grants came first must not matter to a member.
#[test]
fn grants_count_for_members_however_many_there_are() {
    let (mut owner, introduction) = Chain::introduced("owner", "phone");
    let rights = [Rights::READ, Rights::APPEND];
    let grants: Vec<_> = (0..2 * GRANTS_PER_PRINCIPAL_MAX)
        .map(|n| owner.auth(&[grant("mali", rights[n / GRANTS_PER_PRINCIPAL_MAX])]))
        .collect();
    let (_, device) = Chain::introduced("mali", "phone");
    let forwards: Vec<_> = grants.iter().collect();
    let backwards: Vec<_> = grants.iter().rev().collect();
    let states = [forwards, backwards]
        .map(|grants| merged(&[&[&introduction], &grants[..], &[&device]].concat()));
    assert_eq!(states[0], states[1]);
    assert!(states[0].is_granted(&device.author(), Rights::READ.union(Rights::APPEND)));
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
