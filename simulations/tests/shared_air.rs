//! Stations on one channel share its airtime; others do not notice each other.

#![expect(clippy::float_arithmetic, reason = "rates")]

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;
use khlong_simulations::actors::execute::{ExecuteOptions, execute};
use khlong_simulations::kernel::SECOND;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::links::{LinkSpec, PipeSpec, pipe};
use khlong_simulations::plan::{
    Contact, Entity, EntitySpec, LinkIndex, Plan, PlannedMessage, Role,
};
use khlong_simulations::results::RunResults;
use khlong_simulations::routing::{self, Options, Router};
use khlong_simulations::units::{Rate, Size, Span};

const HUB: Entity = Entity(0);
const RATE: u64 = 1_000_000;
const BYTES: u32 = 10_000;
const SECONDS: u64 = 100;

fn link(rate: u64, channel: Option<u8>) -> LinkSpec {
    LinkSpec {
        forth: PipeSpec {
            rate: Rate(rate),
            propagation: Span(1_000),
            jitter: Span(0),
            loss: 0.0,
            queue: Size(1_000_000),
        },
        back: None,
        handshake_round_trips: 0,
        discovery: Span(0),
        channel,
    }
}

fn machine(name: String, role: Role) -> EntitySpec {
    EntitySpec {
        name,
        role,
        group: 0,
    }
}

fn contact(a: Entity, b: Entity, down: u64) -> Contact {
    Contact {
        up: Monotonic(0),
        down: Monotonic(down),
        a,
        b,
        link: LinkIndex(0),
    }
}

/// `stations` around a hub; each has more for it than the time allows.
fn star(stations: u32, channel: Option<u8>) -> Plan {
    let messages = (RATE / 8 * SECONDS / u64::from(BYTES)) as u32;
    let end = Monotonic(SECONDS * SECOND);
    let everybody = || (1..=stations).map(Entity);
    Plan {
        entities: (0..=stations)
            .map(|number| machine(format!("m{number}"), Role::Node))
            .collect(),
        links: vec![link(RATE, channel)],
        contacts: everybody()
            .map(|station| contact(HUB, station, end.0))
            .collect(),
        timelines: everybody().map(|station| vec![HUB, station]).collect(),
        messages: everybody()
            .flat_map(|from| {
                (0..messages).map(move |_| PlannedMessage {
                    at: Monotonic(0),
                    from,
                    timeline: from.0 - 1,
                    bytes: BYTES,
                })
            })
            .collect(),
        end,
        ..Plan::default()
    }
}

fn route(plan: &Plan) -> RunResults {
    routing::run(plan, Router::Direct, Options::default(), Seeds::new(1)).expect("a sound plan")
}

/// Bits a second on the wire that each station got through, in order.
fn rates(plan: &Plan, results: &RunResults) -> Vec<f64> {
    let mut delivered: BTreeMap<u32, u64> = BTreeMap::new();
    for result in &results.messages {
        let message = plan.messages.get(result.message as usize);
        let from = message.map_or(0, |message| message.from.0);
        *delivered.entry(from).or_default() += u64::from(result.delivered.is_some());
    }
    let bits = 8 * pipe::wire_bytes(u64::from(BYTES));
    let rate = |count: u64| (count * bits) as f64 / SECONDS as f64;
    delivered.into_values().map(rate).collect()
}

#[test]
fn each_of_n_stations_gets_its_nth_part() {
    for stations in [1, 2, 5, 10] {
        let plan = star(stations, Some(1));
        let rates = rates(&plan, &route(&plan));
        assert_eq!(rates.len(), stations as usize);
        let part = RATE as f64 / f64::from(stations);
        for rate in &rates {
            assert!(
                (rate / part - 1.0).abs() < 0.05,
                "{stations} stations: {rates:?}, each should get {part}"
            );
        }
    }
}

#[test]
fn without_a_channel_contacts_do_not_share() {
    let plan = star(5, None);
    for rate in rates(&plan, &route(&plan)) {
        assert!((rate / RATE as f64 - 1.0).abs() < 0.02, "{rate}");
    }
}

#[test]
fn what_a_contact_leaves_is_for_the_others() {
    // The second station goes after half of the time; the first one has all from then on.
    let mut plan = star(2, Some(1));
    if let Some(contact) = plan.contacts.last_mut() {
        contact.down = Monotonic(SECONDS * SECOND / 2);
    }
    let rates = rates(&plan, &route(&plan));
    for (rate, part) in rates.iter().zip([0.75, 0.25]) {
        let part = part * RATE as f64;
        assert!((rate / part - 1.0).abs() < 0.05, "{rates:?}");
    }
}

/// When the last text of `pairs` pairs, who write at one moment, is shown by the real cores.
fn last_shown(pairs: u32, channel: Option<u8>) -> Monotonic {
    let people = 2 * pairs;
    let end = 600 * SECOND;
    let relay = std::iter::once(machine("relay".to_owned(), Role::Relay));
    let devices = (1..=people).map(|number| machine(format!("d{number}"), Role::Node));
    let plan = Plan {
        entities: relay.chain(devices).collect(),
        links: vec![link(20_000, channel)],
        contacts: (1..=people)
            .map(|number| contact(HUB, Entity(number), end))
            .collect(),
        timelines: (0..pairs)
            .map(|pair| vec![Entity(1 + 2 * pair), Entity(2 + 2 * pair)])
            .collect(),
        messages: (0..pairs)
            .map(|pair| PlannedMessage {
                at: Monotonic(60 * SECOND),
                from: Entity(1 + 2 * pair),
                timeline: pair,
                bytes: 200,
            })
            .collect(),
        end: Monotonic(end),
        ..Plan::default()
    };
    let results = execute(&plan, Seeds::new(1), &ExecuteOptions::default()).expect("a sound plan");
    let shown = results.messages.iter().map(|result| {
        let at = result.delivered.expect("everything arrives in ten minutes");
        Monotonic(at.since_micros(result.created))
    });
    shown.max().expect("somebody wrote")
}

#[test]
fn the_real_cores_wait_for_each_other_on_a_channel() {
    let alone = last_shown(1, Some(1));
    let apart = last_shown(6, None);
    let together = last_shown(6, Some(1));
    assert!(apart.0 < 2 * alone.0, "{apart:?} against {alone:?}");
    assert!(together.0 > 3 * alone.0, "{together:?} against {alone:?}");
}
