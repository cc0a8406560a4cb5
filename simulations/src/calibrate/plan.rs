//! The classes of link that are compared, and what is said over them.

#![expect(clippy::float_arithmetic, reason = "random times and sizes")]

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;

use crate::kernel::seeds::Seeds;
use crate::kernel::{MINUTE, SECOND};
use crate::links::{LinkSpec, PipeSpec};
use crate::plan::{Contact, Entity, EntitySpec, LinkIndex, Plan, PlannedMessage, Role};
use crate::units::{Rate, Size, Span};

/// People in a plan.
const NODES: u32 = 24;
/// Members of a timeline; each person is in one. Few: all deliveries of a message share its way
/// to the relay, and what counts for the distance is how many are independent.
const MEMBERS: u32 = 3;
/// Messages that each person writes.
const MESSAGES: u32 = 120;
/// Until everybody is connected, and nobody writes.
const WARM_UP_US: u64 = MINUTE;
/// Between two messages of all people together, on average.
const SPACING_US: u64 = SECOND / 2;
/// After the last message.
const COOL_DOWN_US: u64 = 2 * MINUTE;
/// Texts are so long, in bytes: the logarithm is uniform between the two.
const TEXT_BYTES: [f64; 2] = [20.0, 2_000.0];

/// A class of link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// In the table.
    pub name: &'static str,
    /// For people.
    pub about: &'static str,
    /// From a person to the relay.
    up: PipeSpec,
    /// From the relay to a person.
    down: PipeSpec,
}

/// All classes, in the order of the table.
pub const CLASSES: &[Class] = &[
    Class {
        name: "wifi",
        about: "20 Mbit/s, 10 ms round trip, jitter 8 ms",
        up: way(20_000_000, 5_000, 8_000, 0.0),
        down: way(20_000_000, 5_000, 8_000, 0.0),
    },
    Class {
        name: "dsl",
        about: "1 Mbit/s up, 10 Mbit/s down, 40 ms round trip, jitter 15 ms",
        up: way(1_000_000, 20_000, 15_000, 0.0),
        down: way(10_000_000, 20_000, 15_000, 0.0),
    },
    Class {
        name: "3g",
        about: "300 kbit/s, 400 ms round trip, jitter 80 ms",
        up: way(300_000, 200_000, 80_000, 0.0),
        down: way(300_000, 200_000, 80_000, 0.0),
    },
    Class {
        name: "loss-1",
        about: "2 Mbit/s, 60 ms round trip, jitter 20 ms, 1% of packets lost",
        up: way(2_000_000, 30_000, 20_000, 0.01),
        down: way(2_000_000, 30_000, 20_000, 0.01),
    },
    Class {
        name: "loss-3",
        about: "2 Mbit/s, 60 ms round trip, jitter 20 ms, 3% of packets lost",
        up: way(2_000_000, 30_000, 20_000, 0.03),
        down: way(2_000_000, 30_000, 20_000, 0.03),
    },
];

const fn way(rate: u64, propagation_us: u64, jitter_us: u64, loss: f64) -> PipeSpec {
    PipeSpec {
        rate: Rate(rate),
        propagation: Span(propagation_us),
        jitter: Span(jitter_us),
        loss,
        queue: Size(312_500),
    }
}

impl Class {
    /// Everybody is connected to one relay from the begin to the end and writes now and then.
    #[must_use]
    pub fn plan(&self, seeds: Seeds) -> Plan {
        let relay = Entity(0);
        let people = || (1..=NODES).map(Entity);
        let mut random = seeds.stream("calibrate", self.name);
        let count = NODES * MESSAGES;
        let last_us = WARM_UP_US + u64::from(count) * SPACING_US;
        let end = Monotonic(last_us + COOL_DOWN_US);
        let mut messages: Vec<PlannedMessage> = people()
            .flat_map(|from| (0..MESSAGES).map(move |_| from))
            .map(|from| PlannedMessage {
                at: Monotonic(random.random_range(WARM_UP_US..last_us)),
                from,
                timeline: (from.0 - 1) / MEMBERS,
                bytes: text_bytes(random.random_range(0.0..1.0)),
            })
            .collect();
        messages.sort_unstable();
        let machine = |name: String, role, group| EntitySpec { name, role, group };
        let mut entities = vec![machine("relay".to_owned(), Role::Relay, 0)];
        entities.extend(people().map(|who| machine(format!("person-{}", who.0), Role::Node, 1)));
        Plan {
            entities,
            links: vec![LinkSpec {
                // From the relay, which comes first.
                forth: self.down,
                back: Some(self.up),
                handshake_round_trips: 1,
                discovery: Span(0),
                channel: None,
            }],
            contacts: people()
                .map(|who| Contact {
                    up: Monotonic(0),
                    down: end,
                    a: relay,
                    b: who,
                    link: LinkIndex(0),
                })
                .collect(),
            timelines: (0..NODES / MEMBERS)
                .map(|timeline| {
                    let first = timeline * MEMBERS + 1;
                    (first..first + MEMBERS).map(Entity).collect()
                })
                .collect(),
            messages,
            warm_up: Monotonic(WARM_UP_US),
            end,
            ..Plan::default()
        }
    }
}

/// The size at a share of the way from the least to the greatest logarithm.
fn text_bytes(share: f64) -> u32 {
    let [least, most] = TEXT_BYTES;
    (least * (most / least).powf(share)) as u32
}
