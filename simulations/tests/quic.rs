//! Links as real QUIC: the same plan, carried by `quinn-proto` under the virtual clock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use khlong_crdt::time::Monotonic;
use khlong_simulations::actors::QUIC_NODES_MAX;
use khlong_simulations::actors::execute::{ExecuteOptions, execute};
use khlong_simulations::actors::world::{Fidelity, WorldOptions};
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{HOUR, MINUTE, SECOND};
use khlong_simulations::links::{LinkSpec, PipeSpec};
use khlong_simulations::plan::{
    Contact, Entity, EntitySpec, LinkIndex, OneWay, Outage, Plan, PlannedMessage, Role,
};
use khlong_simulations::results::RunResults;
use khlong_simulations::units::{Rate, Size, Span};

const RELAY: Entity = Entity(0);
const MALI: Entity = Entity(1);
const CHAI: Entity = Entity(2);
const ONE_WAY_US: u64 = 40_000;

fn link(loss: f64) -> LinkSpec {
    LinkSpec {
        forth: PipeSpec {
            rate: Rate(1_000_000),
            propagation: Span(ONE_WAY_US),
            jitter: Span(5_000),
            loss,
            queue: Size(64_000),
        },
        back: None,
        handshake_round_trips: 1,
        discovery: Span(0),
        channel: None,
    }
}

fn machine(name: String, role: Role) -> EntitySpec {
    EntitySpec {
        name,
        role,
        group: 0,
    }
}

fn contact(who: Entity) -> Contact {
    Contact {
        up: Monotonic(0),
        down: Monotonic(HOUR),
        a: RELAY,
        b: who,
        link: LinkIndex(0),
    }
}

/// Two people, one relay, `messages` messages, one each minute from each in turn.
fn conversation(loss: f64, messages: u64) -> Plan {
    Plan {
        entities: vec![
            machine("bkk".to_owned(), Role::Relay),
            machine("mali".to_owned(), Role::Node),
            machine("chai".to_owned(), Role::Node),
        ],
        links: vec![link(loss)],
        contacts: vec![contact(MALI), contact(CHAI)],
        timelines: vec![vec![MALI, CHAI]],
        messages: (0..messages)
            .map(|number| PlannedMessage {
                at: Monotonic((number + 1) * MINUTE),
                from: if number % 2 == 0 { MALI } else { CHAI },
                timeline: 0,
                bytes: 100,
            })
            .collect(),
        end: Monotonic(HOUR),
        ..Plan::default()
    }
}

fn run(plan: &Plan, seed: u64) -> RunResults {
    let options = ExecuteOptions {
        world: WorldOptions {
            fidelity: Fidelity::Quic,
            ..WorldOptions::default()
        },
        happenings: true,
    };
    execute(plan, Seeds::new(seed), &options).unwrap()
}

/// Of the messages that arrived.
fn delays_us(results: &RunResults) -> Vec<u64> {
    let arrived = results.messages.iter().filter_map(|message| {
        let delivered = message.delivered?;
        Some(delivered.since_micros(message.created))
    });
    arrived.collect()
}

#[test]
fn a_message_arrives_over_real_quic() {
    let delays = delays_us(&run(&conversation(0.0, 1), 1));
    assert_eq!(delays.len(), 1, "it arrives");
    assert!(
        delays
            .iter()
            .all(|delay| (2 * ONE_WAY_US..SECOND / 5).contains(delay)),
        "two ways of 40 ms, some jitter, two commits: {delays:?}"
    );
}

#[test]
fn lost_packets_cost_time_and_no_message() {
    let delays = delays_us(&run(&conversation(0.1, 50), 2));
    assert_eq!(delays.len(), 50);
    let late = delays.iter().filter(|delay| **delay > SECOND / 5).count();
    assert!(
        (2..40).contains(&late),
        "a tenth of the packets is sent again: {delays:?}"
    );
}

#[test]
fn one_seed_gives_one_trace_whatever_keys_tls_draws() {
    let plan = conversation(0.05, 20);
    let first = run(&plan, 5);
    assert_eq!(first, run(&plan, 5));
    assert_ne!(first.trace_hash, run(&plan, 6).trace_hash);
}

#[test]
fn a_relay_that_starts_anew_is_found_again() {
    let mut plan = conversation(0.0, 30);
    plan.outages = vec![Outage {
        from: Monotonic(10 * MINUTE + SECOND),
        until: Monotonic(12 * MINUTE),
        who: RELAY,
    }];
    let results = run(&plan, 3);
    assert_eq!(delays_us(&results).len(), 30, "everything arrives");
    assert!(
        results.counters.get("connections") >= Some(&4),
        "both connected anew: {:?}",
        results.counters
    );
}

#[test]
fn what_a_blocked_direction_swallows_is_sent_again() {
    let mut plan = conversation(0.0, 10);
    plan.one_way = vec![OneWay {
        from: Monotonic(MINUTE - SECOND),
        until: Monotonic(MINUTE + 3 * SECOND),
        sender: MALI,
        receiver: RELAY,
    }];
    let delays = delays_us(&run(&plan, 4));
    assert_eq!(delays.len(), 10);
    assert!(
        delays.first().is_some_and(|delay| *delay > 3 * SECOND),
        "the first message waits for the way to open: {delays:?}"
    );
}

#[test]
fn more_nodes_than_quic_can_carry_are_refused() {
    let mut plan = conversation(0.0, 0);
    for number in 0..QUIC_NODES_MAX {
        plan.entities
            .push(machine(format!("more-{number}"), Role::Node));
    }
    let options = ExecuteOptions {
        world: WorldOptions {
            fidelity: Fidelity::Quic,
            ..WorldOptions::default()
        },
        happenings: false,
    };
    let refused = execute(&plan, Seeds::new(1), &options).unwrap_err();
    let words = refused.to_string();
    assert!(words.contains("at most 200 nodes"), "{words}");
    assert!(words.contains("the plan has 202"), "{words}");
}
