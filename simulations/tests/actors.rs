//! The real cores carry out plans: what must arrive does, a run is a function of its seed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use khlong_crdt::time::Monotonic;
use khlong_simulations::actors::execute::{ExecuteOptions, execute};
use khlong_simulations::actors::world::{Carriage, WorldOptions};
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{HOUR, MINUTE, SECOND};
use khlong_simulations::links::{LinkSpec, PipeSpec};
use khlong_simulations::plan::{
    Contact, Entity, EntitySpec, LinkIndex, Outage, Plan, PlannedMessage, Role,
};
use khlong_simulations::results::RunResults;
use khlong_simulations::units::{Rate, Size, Span};

const RELAY: Entity = Entity(0);
const MALI: Entity = Entity(1);
const CHAI: Entity = Entity(2);

fn mobile_link() -> LinkSpec {
    LinkSpec {
        forth: PipeSpec {
            rate: Rate(1_000_000),
            propagation: Span(40_000),
            jitter: Span(5_000),
            loss: 0.01,
            queue: Size(64_000),
        },
        back: None,
        handshake_round_trips: 1,
        discovery: Span(0),
        channel: None,
    }
}

fn entity(name: &str, role: Role) -> EntitySpec {
    EntitySpec {
        name: name.to_owned(),
        role,
        group: 0,
    }
}

fn contact(who: Entity, from_us: u64, until_us: u64) -> Contact {
    Contact {
        up: Monotonic(from_us),
        down: Monotonic(until_us),
        a: RELAY,
        b: who,
        link: LinkIndex(0),
    }
}

/// Two people, one relay, a message each minute from each in turn, for half an hour.
fn conversation(contacts: Vec<Contact>) -> Plan {
    Plan {
        entities: vec![
            entity("bkk", Role::Relay),
            entity("mali", Role::Node),
            entity("chai", Role::Node),
        ],
        links: vec![mobile_link()],
        contacts,
        timelines: vec![vec![MALI, CHAI]],
        messages: (0..30)
            .map(|minute| PlannedMessage {
                at: Monotonic(minute * MINUTE),
                from: if minute % 2 == 0 { MALI } else { CHAI },
                timeline: 0,
                bytes: 100,
            })
            .collect(),
        end: Monotonic(HOUR),
        ..Plan::default()
    }
}

fn run(plan: &Plan, seed: u64, carriage: Carriage) -> RunResults {
    let options = ExecuteOptions {
        world: WorldOptions {
            carriage,
            ..WorldOptions::default()
        },
        happenings: true,
    };
    execute(plan, Seeds::new(seed), &options).unwrap()
}

fn delays_us(results: &RunResults) -> Vec<u64> {
    let arrived = results.messages.iter().map(|message| {
        let delivered = message.delivered.expect("everything arrives");
        delivered.since_micros(message.created)
    });
    arrived.collect()
}

#[test]
fn on_a_live_connection_messages_arrive_within_a_second() {
    let plan = conversation(vec![contact(MALI, 0, HOUR), contact(CHAI, 0, HOUR)]);
    let delays = delays_us(&run(&plan, 1, Carriage::Values));
    assert_eq!(delays.len(), 30);
    let slow = delays.iter().filter(|delay| **delay > SECOND).count();
    assert!(
        slow <= 2,
        "only the first ones may wait for a connection: {delays:?}"
    );
    assert!(
        delays.iter().all(|delay| *delay >= 80_000),
        "two ways of 40 ms: {delays:?}"
    );
}

#[test]
fn what_is_lost_again_and_again_keeps_its_place_in_the_stream() {
    let mut plan = conversation(vec![contact(MALI, 0, HOUR), contact(CHAI, 0, HOUR)]);
    for link in &mut plan.links {
        link.forth.loss = 0.3;
    }
    // Many at a time, so that lost frames have others behind them.
    for (place, message) in (0..).zip(&mut plan.messages) {
        message.at = Monotonic(MINUTE + place * 20_000);
    }
    let delays = delays_us(&run(&plan, 7, Carriage::Values));
    assert_eq!(delays.len(), 30);
    assert!(
        delays.iter().all(|delay| *delay < 30 * SECOND),
        "nothing waits for a connection to be given up: {delays:?}"
    );
}

#[test]
fn a_relay_that_is_killed_loses_nothing_that_it_promised() {
    let mut plan = conversation(vec![contact(MALI, 0, HOUR), contact(CHAI, 0, HOUR)]);
    plan.outages = vec![Outage {
        from: Monotonic(10 * MINUTE + 1),
        until: Monotonic(20 * MINUTE),
        who: RELAY,
    }];
    let results = run(&plan, 2, Carriage::Values);
    let delays = delays_us(&results);
    assert!(
        delays.iter().any(|delay| *delay > 5 * MINUTE),
        "the outage was felt: {delays:?}"
    );
    assert!(results.happenings.iter().any(|row| row.kind == "crash"));
}

#[test]
fn what_was_written_offline_arrives_when_the_contact_comes() {
    let late = 40 * MINUTE;
    let plan = conversation(vec![contact(MALI, 0, HOUR), contact(CHAI, late, HOUR)]);
    let results = run(&plan, 3, Carriage::Values);
    for message in &results.messages {
        let delivered = message.delivered.expect("everything arrives");
        assert!(delivered.0 > late && delivered.0 < late + 30 * SECOND);
    }
}

#[test]
fn a_contact_that_never_comes_delivers_nothing() {
    let plan = conversation(vec![contact(MALI, 0, HOUR)]);
    let results = run(&plan, 4, Carriage::Values);
    assert!(
        results
            .messages
            .iter()
            .all(|message| message.delivered.is_none())
    );
    assert_eq!(results.messages.len(), 30);
}

#[test]
fn one_seed_gives_one_trace_and_bytes_change_no_outcome() {
    let plan = conversation(vec![
        contact(MALI, 0, HOUR),
        contact(CHAI, 5 * MINUTE, HOUR),
    ]);
    let first = run(&plan, 5, Carriage::Values);
    assert_eq!(first, run(&plan, 5, Carriage::Values));
    let bytes = run(&plan, 5, Carriage::Bytes);
    assert_eq!(first.messages, bytes.messages);
    assert_ne!(first.trace_hash, run(&plan, 6, Carriage::Values).trace_hash);
}
