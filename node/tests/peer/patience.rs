//! When a node tries again: back-off that is bounded and jittered, and the relay's own word.

use khlong_node::api::{Delivery, Request};
use khlong_relay::hub::{Policy, WriteRate};
use khlong_store::engine::faults::FaultKind;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{AppendOutcome, Frame};

use crate::conversation::pair;
use crate::net::{Fate, Net, is_ack, is_append};

/// First and longest pause after a failed attempt; the pause doubles in between,
/// and at least half of it is waited.
const PAUSE_FIRST_MICROS: u64 = 250_000;
const PAUSE_MAX_MICROS: u64 = 10_000_000;

/// Time from each failure, the first one being the loss itself, to the next attempt.
fn pauses(lost_at: u64, failed_at: &[u64], dialled_at: &[u64]) -> Vec<u64> {
    let failures = std::iter::once(&lost_at).chain(failed_at);
    failures
        .zip(dialled_at)
        .map(|(failed, dialled)| dialled - failed)
        .collect()
}

/// Loses the relay for two minutes; the pauses that this person made.
fn pauses_without_relay(net: &mut Net, name: &'static str) -> Vec<u64> {
    let person = &net.people[name];
    let (failed, dialled) = (person.failed_at.len(), person.dialled_at.len());
    let lost_at = net.now().monotonic.0;
    net.cut(name);
    net.run_ms(120_000);
    let person = &net.people[name];
    pauses(
        lost_at,
        &person.failed_at[failed..],
        &person.dialled_at[dialled..],
    )
}

fn assert_backed_off(pauses: &[u64]) {
    assert!(pauses.len() > 10, "{pauses:?}");
    let mut longest = PAUSE_FIRST_MICROS;
    for pause in pauses {
        assert!(
            (longest / 2..=longest).contains(pause),
            "{pause} of {longest}: {pauses:?}"
        );
        longest = (longest * 2).min(PAUSE_MAX_MICROS);
    }
}

#[test]
fn pauses_double_up_to_a_bound_and_are_spread() {
    let mut net = Net::new(41, &["mali", "ton"]);
    net.settle();
    let mali = pauses_without_relay(&mut net, "mali");
    let ton = pauses_without_relay(&mut net, "ton");
    assert_backed_off(&mali);
    assert_backed_off(&ton);
    assert_ne!(
        mali, ton,
        "nodes that lost one relay do not come back at once"
    );
    let last = &mali[mali.len() - 4..];
    assert!(last.windows(2).any(|two| two[0] != two[1]), "{last:?}");
}

#[test]
fn a_relay_that_stayed_is_soon_tried_again() {
    let mut net = Net::new(42, &["mali"]);
    net.settle();
    let long = pauses_without_relay(&mut net, "mali");
    assert!(*long.last().unwrap() >= PAUSE_MAX_MICROS / 2);
    let connected = net.people["mali"].connected_at.len();
    net.heal();
    net.settle();
    net.run_ms(PAUSE_MAX_MICROS / 1_000);
    assert_eq!(net.people["mali"].connected_at.len(), connected + 1);
    let again = pauses_without_relay(&mut net, "mali");
    assert_backed_off(&again);
}

#[test]
fn a_relay_that_only_accepts_connections_resets_nothing() {
    let mut net = Net::new(43, &["mali"]);
    net.settle();
    net.silence("mali");
    net.hang_up("mali", "for the test");
    let dialled = net.people["mali"].dialled_at.len();
    // Each attempt connects, and ends with the handshake's 10 s.
    net.run_ms(180_000);
    let person = &net.people["mali"];
    let attempts = &person.dialled_at[dialled..];
    assert!(attempts.len() > 5, "{attempts:?}");
    assert_eq!(
        person.connected_at.len() - 1,
        attempts.len(),
        "every attempt reached it"
    );
    let last = attempts.windows(2).last().unwrap();
    assert!(
        last[1] - last[0] >= 10_000_000 + PAUSE_MAX_MICROS / 2,
        "the pause has grown: {attempts:?}"
    );
}

/// Refusals that told when to come back: when they arrived, and for how long, in microseconds.
fn refusals(net: &Net, name: &'static str) -> Vec<(u64, u64)> {
    let answers = net
        .post
        .sent(name, |frame| told_to_wait_ms(frame).is_some());
    let answers = answers.into_iter().filter_map(|carried| {
        let (Fate::Delivered { at }, Some(ms)) = (carried.fate, told_to_wait_ms(&carried.frame))
        else {
            return None;
        };
        Some((at, u64::from(ms) * 1_000))
    });
    answers.collect()
}

/// A whole append was refused, or envelopes in it.
fn told_to_wait_ms(frame: &Frame) -> Option<u32> {
    match frame {
        Frame::Error(error) => error.request.and(error.retry_after_ms),
        Frame::Ack(ack) => {
            let answers = std::iter::once(&ack.first).chain(&ack.further);
            let outcomes = answers.flat_map(|answer| &answer.outcomes);
            let told = outcomes.filter_map(|outcome| match outcome {
                AppendOutcome::Refused { retry_after_ms, .. } => *retry_after_ms,
                AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => None,
            });
            told.max()
        }
        _ => None,
    }
}

/// The first append after each refusal came no earlier than was said, and soon after.
fn assert_came_back_in_time(net: &Net, name: &'static str) {
    let refusals = refusals(net, name);
    assert!(!refusals.is_empty(), "the relay refused nothing");
    for (at, pause) in refusals {
        let appends = net.post.sent(name, is_append);
        let next = appends.iter().find(|append| append.sent_at >= at).unwrap();
        let waited = next.sent_at - at;
        assert!(
            (pause..pause + 1_000_000).contains(&waited),
            "told to wait {pause}, waited {waited}"
        );
    }
}

#[test]
fn a_relay_that_limits_the_rate_is_obeyed() {
    let policy = Policy {
        write_rate: WriteRate {
            envelopes_per_minute: 12,
        },
        ..Policy::default()
    };
    let mut net = Net::with_policy(44, &["mali", "ton"], policy);
    pair(&mut net);
    for n in 0..20 {
        net.at("mali").send("canal", &n.to_string());
        net.run_ms(50);
    }
    net.settle();
    let stats = net.relay.hub.as_ref().unwrap().stats();
    assert!(stats.envelopes_refused[&ErrorCode::RateLimited] > 0);
    assert_came_back_in_time(&net, "mali");
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal").len(), 20);
}

#[test]
fn a_full_relay_is_asked_again_when_it_said() {
    let mut net = Net::new(45, &["mali", "ton"]);
    pair(&mut net);
    net.relay.disk.set_free_bytes(Some(0));
    net.at("mali").send("canal", "no room");
    net.run_ms(45_000);
    assert!(net.relay.disk.fired(FaultKind::DiskFull) >= 2);
    net.relay.disk.set_free_bytes(None);
    net.settle();
    assert_came_back_in_time(&net, "mali");
    assert!(
        refusals(&net, "mali")
            .iter()
            .all(|(_, pause)| *pause == 30_000_000)
    );
    assert_eq!(net.at("ton").bodies("canal"), ["no room"]);
    net.assert_converged("canal");
}

/// A node that is asked whether all is here does not take the word of a connection that may be dead.
#[test]
fn a_relay_that_fell_silent_is_not_in_step_until_it_answers() {
    let mut net = Net::new(48, &["mali", "ton"]);
    pair(&mut net);
    net.silence("mali");
    assert!(
        net.people["mali"].peer.as_ref().unwrap().is_idle(),
        "nothing shows it yet"
    );
    net.ask("mali", Request::Probe).unwrap();
    assert!(!net.people["mali"].peer.as_ref().unwrap().is_idle());
    net.run_ms(9_900);
    assert!(
        !net.people["mali"].peer.as_ref().unwrap().is_idle(),
        "it may answer yet"
    );
    net.run_ms(200);
    assert!(!net.people["mali"].peer.as_ref().unwrap().is_connected());
    net.heal();
    net.settle();
    net.ask("mali", Request::Probe).unwrap();
    net.settle();
    let mali = net.people["mali"].peer.as_ref().unwrap();
    assert!(mali.is_idle() && mali.is_connected());
}

/// It answers pings, so that the connection stands, and never an append.
#[test]
fn a_relay_that_acknowledges_nothing_is_left_and_tried_again() {
    let mut net = Net::new(46, &["mali", "ton"]);
    pair(&mut net);
    net.run_ms(5_000);
    net.post.withheld = Some(is_ack);
    let (connected, appends) = (
        net.people["mali"].connected_at.len(),
        net.post.sent("mali", is_append).len(),
    );
    net.at("mali").send("canal", "unanswered");
    net.run_ms(59_000);
    assert_eq!(net.people["mali"].connected_at.len(), connected, "patience");
    net.run_ms(10_000);
    assert_eq!(
        net.people["mali"].connected_at.len(),
        connected + 1,
        "and its end"
    );
    assert_eq!(net.post.sent("mali", is_append).len(), appends + 2);
    net.post.withheld = None;
    net.run_ms(70_000);
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["unanswered"]);
    assert_eq!(
        net.at("mali").delivery("canal", "unanswered"),
        Delivery::Delivered
    );
    net.assert_converged("canal");
}
