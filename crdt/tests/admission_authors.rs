//! One author key that several principals certify: a fork at seq 1, written on purpose. Relays
//! keep what came first; members decide alike, whatever the order.
#![expect(
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::{
    admission::{Admission, AdmissionError, Merged, Rights},
    envelope::VerifiedEnvelope,
    time::UnixMillis,
};
use proptest::prelude::*;
use support::{Chain, bytes, certificate, genesis, grant, inbox, principal};

const NOW: UnixMillis = UnixMillis(1_000);

/// The first envelope of the author key `device`, for this principal.
fn first(device: &str, name: &str) -> VerifiedEnvelope {
    let mut chain = Chain::new(device);
    let ops = [certificate(name, &chain.key), inbox(name, bytes(name))];
    chain.auth(&ops)
}

/// As a member: all of it again and again, anew where something gave way.
fn settle(envelopes: &[VerifiedEnvelope], order: &[usize]) -> Admission {
    let mut admission = Admission::open(&genesis()).expect("a genesis");
    for _ in 0..200 {
        let before = admission.clone();
        for index in order {
            match admission.merge(&envelopes[*index]) {
                Ok(Merged::New | Merged::Known) | Err(_) => {}
                Ok(Merged::Supersedes(_) | Merged::Reassigns(_)) => {
                    admission = admission.reopened();
                    break;
                }
            }
        }
        if admission == before {
            return admission;
        }
    }
    panic!("it does not settle");
}

#[test]
fn of_two_first_envelopes_the_lower_id_names_the_principal() {
    let (mut owner, owner_in) = Chain::introduced("owner", "phone");
    let granted = owner.auth(&[grant("anan", Rights::MEMBER), grant("boon", Rights::MEMBER)]);
    let mut both = [
        (first("shared", "anan"), principal("anan")),
        (first("shared", "boon"), principal("boon")),
    ];
    both.sort_by_key(|(envelope, _)| envelope.id());
    let [(lower, winner), (higher, _)] = both;
    let author = lower.author();
    let mut admission = Admission::open(&genesis()).expect("a genesis");
    for envelope in [&owner_in, &granted, &higher] {
        assert_eq!(admission.merge(envelope), Ok(Merged::New));
    }
    assert_eq!(admission.merge(&lower), Ok(Merged::Reassigns(author)));
    let mut admission = admission.reopened();
    for envelope in [&owner_in, &granted] {
        assert_eq!(admission.merge(envelope), Ok(Merged::New));
    }
    let taken = Err(AdmissionError::AuthorTaken(author));
    assert_eq!(admission.merge(&higher), taken);
    assert_eq!(admission.merge(&lower), Ok(Merged::New));
    assert_eq!(admission.merge(&higher), taken);
    assert_eq!(admission.principal_of(&author), Some(winner));

    // A relay's log is one order: there the first one stays.
    let mut relay = Admission::open(&genesis()).expect("a genesis");
    for envelope in [&owner_in, &granted, &higher] {
        relay.apply(envelope, NOW).expect("lawful");
    }
    assert_eq!(
        relay.apply(&lower, NOW),
        Err(AdmissionError::AuthorTaken(author))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Principals, granted or not, certify few author keys, so many collide.
    #[test]
    fn in_any_order_everybody_gives_an_author_to_the_same_principal(
        firsts in prop::collection::vec((0..4_usize, 0..5_usize), 1..12),
        grants in prop::collection::vec(0..5_usize, 0..5),
        order in prop::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let (mut owner, owner_in) = Chain::introduced("owner", "phone");
        let mut envelopes = vec![owner_in];
        for granted in grants {
            envelopes.push(owner.auth(&[grant(&format!("person {granted}"), Rights::MEMBER)]));
        }
        for (device, person) in firsts {
            envelopes.push(first(&format!("device {device}"), &format!("person {person}")));
        }
        let forwards: Vec<_> = (0..envelopes.len()).collect();
        let backwards: Vec<_> = forwards.iter().rev().copied().collect();
        let mut shuffled = forwards.clone();
        for (at, index) in order.iter().enumerate().take(shuffled.len()) {
            shuffled.swap(at, index.index(forwards.len()));
        }
        let expected = settle(&envelopes, &forwards);
        for order in [backwards, shuffled] {
            let found = settle(&envelopes, &order);
            let authors: Vec<_> = found.authors().collect();
            prop_assert_eq!(authors, expected.authors().collect::<Vec<_>>());
            let principals: Vec<_> = found.principals().collect();
            prop_assert_eq!(principals, expected.principals().collect::<Vec<_>>());
        }
    }
}
