//! The bandwidth model against closed forms: two machines, one contact.

use khlong_crdt::time::Monotonic;

use super::{Row, Verdict};
use crate::kernel::SECOND;
use crate::kernel::seeds::Seeds;
use crate::links::{LinkSpec, PipeSpec, pipe};
use crate::plan::{Contact, Entity, EntitySpec, LinkIndex, Plan, PlannedMessage, Role};
use crate::results::RunResults;
use crate::routing::{self, Options, Router, Transfer};
use crate::units::{Rate, Size, Span};

/// 1 Mbit/s and 100 kB: 0.8 s a bundle.
const RATE: Rate = Rate(1_000_000);
const BYTES: u32 = 100_000;
const TRANSFER_US: u64 = 800_000;
/// The contact begins here.
const UP_US: u64 = 10 * SECOND;

/// All rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        too_short(),
        just_long_enough(),
        aborted_once(),
        fitting_transfers(),
        both_directions(),
        arrivals_in_order(),
        waits_for_the_one_before(),
        full_link(),
    ]
}

fn too_short() -> Row {
    let results = bare(TRANSFER_US, 1, 0);
    exact(
        "deliveries, contact = transfer",
        "half-open contact: 0",
        0,
        delivered(&results),
    )
}

fn just_long_enough() -> Row {
    let results = bare(TRANSFER_US + 1, 1, 0);
    exact(
        "deliveries, contact = transfer + 1 µs",
        "1",
        1,
        delivered(&results),
    )
}

fn aborted_once() -> Row {
    let results = bare(TRANSFER_US / 2, 1, 0);
    let half = u64::from(BYTES) / 2;
    let sent = results.bytes.values().sum::<u64>();
    let source = "rate × time of the contact, and one aborted";
    exact(
        "bytes spent on a lost transfer",
        source,
        half,
        if results.aborted == 1 { sent } else { 0 },
    )
}

/// k transfers need more than k times the transfer's time: floor((T − 1 µs) / t) of them fit.
fn fitting_transfers() -> Row {
    let lengths = (0..40).map(|step| 1 + step * 250_000);
    let right = lengths.clone().filter(|length| {
        let fit = (length - 1) / TRANSFER_US;
        delivered(&bare(*length, 30, 0)) == fit
    });
    exact(
        "contact lengths at which ⌊(T−1µs)/t⌋ bundles pass",
        "all 40 lengths, 0 to 9.75 s",
        lengths.clone().count() as u64,
        right.count() as u64,
    )
}

fn both_directions() -> Row {
    let results = bare(5 * TRANSFER_US + 1, 20, 20);
    exact(
        "bundles through 5 transfer times, both ways",
        "each direction has the rate: 10",
        10,
        delivered(&results),
    )
}

fn arrivals_in_order() -> Row {
    let results = bare(100 * SECOND, 10, 0);
    let right = (0_u64..).zip(&results.messages).filter(|(place, message)| {
        message.delivered == Some(Monotonic(UP_US + (place + 1) * TRANSFER_US))
    });
    exact(
        "bundles that arrive at up + i·t, first come first",
        "10",
        10,
        right.count() as u64,
    )
}

/// Written in the middle of a transfer: waits for its end.
fn waits_for_the_one_before() -> Row {
    let mut plan = plan(100 * SECOND, 1, 0, LINK);
    let second = PlannedMessage {
        at: Monotonic(UP_US + TRANSFER_US / 2),
        from: Entity(0),
        timeline: 0,
        bytes: BYTES,
    };
    plan.messages.push(second);
    let results = run(&plan, Transfer::Bare);
    let arrival = results
        .messages
        .last()
        .and_then(|message| message.delivered)
        .map_or(0, |at| at.0);
    exact(
        "arrival of the second of two bundles, µs",
        "up + 2·t",
        UP_US + 2 * TRANSFER_US,
        arrival,
    )
}

/// With set-up, propagation and packet headers.
fn full_link() -> Row {
    let forth = PipeSpec {
        propagation: Span(30_000),
        ..LINK.forth
    };
    let link = LinkSpec {
        forth,
        back: None,
        handshake_round_trips: 1,
        discovery: Span(SECOND),
        channel: None,
    };
    let results = run(&plan(100 * SECOND, 1, 0, link), Transfer::Links);
    let arrival = results
        .messages
        .first()
        .and_then(|message| message.delivered)
        .map_or(0, |at| at.0);
    let on_wire = pipe::wire_bytes(u64::from(BYTES)) * 8;
    let expected = UP_US + SECOND + 60_000 + on_wire + 30_000;
    exact(
        "arrival over a link, µs",
        "up + discovery + RTT + wire bits/rate + propagation",
        expected,
        arrival,
    )
}

const LINK: LinkSpec = LinkSpec {
    forth: PipeSpec {
        rate: RATE,
        propagation: Span(0),
        jitter: Span(0),
        loss: 0.0,
        queue: Size(u64::MAX),
    },
    back: None,
    handshake_round_trips: 0,
    discovery: Span(0),
    channel: None,
};

fn bare(contact_us: u64, forth: u32, back: u32) -> RunResults {
    run(&plan(contact_us, forth, back, LINK), Transfer::Bare)
}

/// Two machines that meet once, with messages from each to the other written before.
fn plan(contact_us: u64, forth: u32, back: u32, link: LinkSpec) -> Plan {
    let (a, b) = (Entity(0), Entity(1));
    let message = |from, at| PlannedMessage {
        at: Monotonic(at),
        from,
        timeline: 0,
        bytes: BYTES,
    };
    let from_a = (0..forth).map(|at| message(a, u64::from(at)));
    let from_b = (0..back).map(|at| message(b, u64::from(forth + at)));
    Plan {
        entities: ["a", "b"]
            .map(|name| EntitySpec {
                name: name.to_owned(),
                role: Role::Node,
                group: 0,
            })
            .to_vec(),
        links: vec![link],
        contacts: vec![Contact {
            up: Monotonic(UP_US),
            down: Monotonic(UP_US + contact_us),
            a,
            b,
            link: LinkIndex(0),
        }],
        timelines: vec![vec![a, b]],
        messages: from_a.chain(from_b).collect(),
        end: Monotonic(UP_US + 200 * SECOND),
        ..Plan::default()
    }
}

fn run(plan: &Plan, transfer: Transfer) -> RunResults {
    let options = Options {
        transfer,
        ..Options::default()
    };
    // A refused plan delivers nothing, and the row fails.
    routing::run(plan, Router::Direct, options, Seeds::new(1)).unwrap_or_default()
}

fn delivered(results: &RunResults) -> u64 {
    results
        .messages
        .iter()
        .filter(|message| message.delivered.is_some())
        .count() as u64
}

fn exact(name: &str, source: &str, expected: u64, measured: u64) -> Row {
    let (expected, measured) = (expected as f64, measured as f64);
    Row {
        name: format!("bandwidth {name}"),
        source: source.to_owned(),
        expected,
        measured,
        interval: [measured, measured],
        n: 1,
        verdict: if expected == measured {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        note: String::new(),
    }
}
