//! The outcome of admission is a function of the set of auth-ops, not of their order.

#![expect(
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::{
    admission::{Admission, AdmissionError, ClearOp, Cut, Merged, Rights},
    envelope::{Kind, VerifiedEnvelope},
    id::Seq,
    time::UnixMillis,
};
use proptest::prelude::*;
use support::{Chain, genesis, grant, invite, principal, revoke};

const NOW: UnixMillis = UnixMillis(1_000);
const PEOPLE: [&str; 5] = ["owner", "anan", "boon", "chai", "dao"];

/// One op by somebody about somebody. Writers and targets are people and, above
/// those, the joiners that there are by then.
#[derive(Clone, Debug)]
struct Act {
    writer: usize,
    target: usize,
    what: u8,
    /// Which of the target's last places a cut names.
    back: usize,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = (0..12_usize, 0..12_usize, 0_u8..15, 0_usize..3).prop_map(
        |(writer, target, what, back)| Act {
            writer,
            target,
            what,
            back,
        },
    );
    proptest::collection::vec(act, 1..20)
}

/// Somebody who writes, and where it stood after each envelope.
struct Actor {
    name: String,
    /// By which it joined.
    invite: Option<String>,
    chain: Chain,
    places: Vec<Cut>,
}

/// What everybody writes, whether or not they may, with real cuts.
fn history(acts: &[Act]) -> Vec<VerifiedEnvelope> {
    let mut envelopes = Vec::new();
    let mut actors: Vec<Actor> = Vec::new();
    for name in PEOPLE {
        let (chain, introduction) = Chain::introduced(name, "phone");
        envelopes.push(introduction);
        actors.push(actor(name.to_owned(), None, chain));
    }
    let first = [grant("anan", Rights::ALL), grant("boon", Rights::ALL)];
    envelopes.push(write(&mut actors[0], &first));
    for (index, act) in acts.iter().enumerate() {
        let writer = act.writer % actors.len();
        let target = act.target % actors.len();
        let name = actors[target].name.clone();
        let places = &actors[target].places;
        let cut = [places[places.len().saturating_sub(1 + act.back)]];
        let invited = actors[target].invite.clone().unwrap_or_default();
        let op = match act.what {
            0 | 1 => grant(&name, Rights::ALL),
            2 => grant(&name, Rights::MEMBER),
            3 => revoke(&name, &[]),
            4 | 5 => revoke(&name, &cut),
            6 => revoke(&invited, &[]),
            7 => revoke(&invited, &cut),
            8..12 => invite(&format!("invite {index}"), Rights::ALL, 0),
            // Of whom nothing else is known, or only this.
            12 | 13 => grant(&format!("newcomer {}", act.back), Rights::MEMBER),
            14.. => revoke(&format!("newcomer {}", act.back), &[]),
        };
        envelopes.push(write(&mut actors[writer], &[op]));
        // Above 9 two use the invite: each at a relay that has not heard of the other.
        let joiners = match act.what {
            ..8 | 12.. => 0,
            8 | 9 => 1,
            10 | 11 => 2,
        };
        for joiner in 0..joiners {
            let (invite, name) = (
                format!("invite {index}"),
                format!("joiner {index} {joiner}"),
            );
            let (chain, joined) = Chain::joined(&invite, &name);
            envelopes.push(joined);
            actors.push(actor(name, Some(invite), chain));
        }
    }
    envelopes
}

fn actor(name: String, invite: Option<String>, chain: Chain) -> Actor {
    Actor {
        name,
        invite,
        places: vec![chain.cut()],
        chain,
    }
}

fn write(actor: &mut Actor, ops: &[ClearOp]) -> VerifiedEnvelope {
    let envelope = actor.chain.auth(ops);
    actor.places.push(actor.chain.cut());
    envelope
}

/// Offers everything in this order, and again what was refused, until nothing moves:
/// what a member does. Where a handover gave way, all begins anew.
fn settle(envelopes: &[VerifiedEnvelope], order: &[usize]) -> Admission {
    let mut admission = Admission::open(&genesis()).expect("a genesis");
    loop {
        let mut waiting: Vec<_> = order.iter().map(|index| &envelopes[*index]).collect();
        let mut is_stale = false;
        loop {
            let before = waiting.len();
            waiting.retain(|envelope| {
                let outcome = admission.merge(envelope);
                is_stale |= matches!(outcome, Ok(Merged::Supersedes(_) | Merged::Reassigns(_)));
                outcome.is_err()
            });
            if waiting.len() == before {
                break;
            }
        }
        if !is_stale {
            return admission;
        }
        admission = admission.reopened();
    }
}

/// What matters to others: rights, invites, and which envelopes would be stored.
fn verdicts(admission: &Admission, envelopes: &[VerifiedEnvelope]) -> String {
    let principals: Vec<_> = admission.principals().collect();
    let mut lines = vec![format!("{principals:?}")];
    for envelope in envelopes {
        let author = envelope.author();
        // An author that was never let in is as good as one that was put out.
        let admitted = admission.admits(envelope.header(), NOW).is_ok();
        let reads = admission.judge(&author, Rights::READ, NOW).is_ok();
        let admin = admission.judge(&author, Rights::ADMIN, NOW).is_ok();
        let shown = admission.is_granted(&author, Rights::APPEND);
        lines.push(format!("{author} {admitted} {reads} {admin} {shown}"));
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_same_verdicts(
        acts in acts(),
        seed in proptest::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let envelopes = history(&acts);
        let causal: Vec<_> = (0..envelopes.len()).collect();
        let mut shuffled = causal.clone();
        for (at, index) in seed.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(at, other);
        }
        let reversed: Vec<_> = causal.iter().rev().copied().collect();
        let expected = settle(&envelopes, &causal);
        for order in [shuffled, reversed] {
            let settled = settle(&envelopes, &order);
            prop_assert_eq!(verdicts(&settled, &envelopes), verdicts(&expected, &envelopes));
            prop_assert_eq!(&settled, &expected, "all that is kept, not only what it amounts to");
        }
    }
}

#[test]
fn two_admins_who_revoke_each_other_settle_alike_everywhere() {
    let (mut owner, owner_in) = Chain::introduced("owner", "phone");
    let granted = owner.auth(&[grant("anan", Rights::ALL), grant("boon", Rights::ALL)]);
    let (mut anan, anan_in) = Chain::introduced("anan", "phone");
    let (mut boon, boon_in) = Chain::introduced("boon", "phone");
    let one = anan.auth(&[revoke("boon", &[boon.cut()])]);
    let other = boon.auth(&[revoke("anan", &[anan.cut()])]);
    let base = [owner_in, granted, anan_in, boon_in];
    let outcomes = [[&one, &other], [&other, &one]].map(|order| {
        let mut admission = Admission::open(&genesis()).expect("a genesis");
        for envelope in &base {
            admission.apply(envelope, NOW).expect("lawful");
        }
        let results = order.map(|envelope| admission.apply(envelope, NOW));
        assert!(results.iter().any(Result::is_ok));
        let refused = results.iter().any(|result| {
            matches!(
                result,
                Err(AdmissionError::Senior(_) | AdmissionError::Refused(_))
            )
        });
        assert!(refused, "one of the two is void");
        [&anan, &boon].map(|chain| admission.judge(&chain.author(), Rights::ADMIN, NOW).is_ok())
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_ne!(outcomes[0][0], outcomes[0][1], "exactly one stays");
}

/// The revoker is settled after the admin who granted the invite.
#[test]
fn a_later_settled_revocation_of_an_invite_voids_its_handover() {
    let (mut owner, owner_in) = Chain::introduced("owner", "phone");
    let (mut anan, anan_in) = Chain::introduced("anan", "phone");
    let first = owner.auth(&[
        grant("anan", Rights::ALL),
        invite("i", Rights::MEMBER, 0),
        invite("admin invite", Rights::ALL, 0),
    ]);
    let (joiner, joined) = Chain::joined("i", "joiner");
    let (admin, admin_joined) = Chain::joined("admin invite", "admin");
    let closes = anan.auth(&[revoke("i", &[])]);
    let mut admission = Admission::open(&genesis()).expect("a genesis");
    for envelope in [&owner_in, &first, &anan_in, &joined, &admin_joined, &closes] {
        admission.apply(envelope, NOW).expect("lawful");
    }
    assert!(
        admission
            .judge(&joiner.author(), Rights::READ, NOW)
            .is_err()
    );
    assert!(admission.judge(&admin.author(), Rights::ADMIN, NOW).is_ok());
    // Both have rank 1; of an admin's invite, only a senior of the admin may say so.
    let closes_admin = anan.auth(&[revoke("admin invite", &[])]);
    let outcome = admission.apply(&closes_admin, NOW).is_ok();
    assert_eq!(outcome, principal("anan") < principal("admin"));
}

#[test]
fn replay_of_the_accepted_set_in_arrival_order_gives_the_same_state() {
    let (mut owner, owner_in) = Chain::introduced("owner", "phone");
    let granted = owner.auth(&[grant("anan", Rights::ALL), invite("i", Rights::MEMBER, 0)]);
    let (mut anan, anan_in) = Chain::introduced("anan", "phone");
    let (_, joined) = Chain::joined("i", "joiner");
    let more = anan.auth(&[grant("boon", Rights::READ)]);
    let accepted = [owner_in, granted, anan_in, joined, more];
    let fold = || {
        let mut admission = Admission::open(&genesis()).expect("a genesis");
        for envelope in &accepted {
            admission.apply(envelope, NOW).expect("lawful");
            assert_eq!(envelope.kind(), Kind::AuthOp);
            assert!(envelope.seq() >= Seq::FIRST);
        }
        admission
    };
    let state = fold();
    assert_eq!(fold(), state);
    let mut again = state.clone();
    for envelope in &accepted {
        again
            .apply(envelope, NOW)
            .expect("twice is as good as once");
    }
    assert_eq!(again, state);
}

/// All that a relay accepted, in the order in which it did.
fn accept(envelopes: &[VerifiedEnvelope]) -> (Admission, Vec<&VerifiedEnvelope>) {
    let mut admission = Admission::open(&genesis()).expect("a genesis");
    let (mut accepted, mut waiting) = (Vec::new(), envelopes.iter().collect::<Vec<_>>());
    loop {
        let before = waiting.len();
        waiting.retain(|envelope| {
            let outcome = admission.apply(envelope, NOW);
            accepted.extend(outcome.is_ok().then_some(*envelope));
            outcome.is_err_and(|error| error.is_retryable())
        });
        if waiting.len() == before {
            return (admission, accepted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_bulk_replay_gives_what_applying_one_by_one_gave(acts in acts()) {
        let envelopes = history(&acts);
        let (state, accepted) = accept(&envelopes);
        let mut replay = Admission::replay(&genesis()).expect("a genesis");
        for envelope in accepted.iter().chain(&accepted) {
            replay.accepted(envelope, NOW).expect("accepted before");
        }
        prop_assert_eq!(replay.finish().expect("within limits"), state);
    }
}
