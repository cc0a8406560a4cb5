//! From a seed to a plan: swarm testing (Groce et al., ISSTA 2012). Each seed
//! leaves most kinds of fault out and does much of the others, because a run that
//! does a little of everything reaches few of the states that hide bugs.

#![expect(
    clippy::indexing_slicing,
    reason = "the place was drawn below the length"
)]

use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::plan::{DiskFault, Doing, FuzzPlan, RogueAct, SCHEMA_VERSION, Step, Swarm};
use crate::kernel::seeds::Seeds;
use crate::kernel::{DAY, MINUTE, SECOND};
use crate::units::{Rate, Span};

/// Kinds of trouble that a seed has or leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Partition,
    OneWay,
    Breaks,
    NodeCrash,
    RelayCrash,
    NodeDisk,
    RelayDisk,
    Full,
    Clock,
    Rogue,
    Twin,
}

const TROUBLES: [Trouble; 11] = [
    Trouble::Partition,
    Trouble::OneWay,
    Trouble::Breaks,
    Trouble::NodeCrash,
    Trouble::RelayCrash,
    Trouble::NodeDisk,
    Trouble::RelayDisk,
    Trouble::Full,
    Trouble::Clock,
    Trouble::Rogue,
    Trouble::Twin,
];

/// The plan of a seed.
#[must_use]
pub fn generate(seed: u64) -> FuzzPlan {
    let mut random = Seeds::new(seed).stream("fuzz plan", "");
    let relays = if random.random_bool(0.25) { 2 } else { 1 };
    let nodes = random.random_range(2..=5);
    let timelines = timelines(&mut random, relays, nodes);
    let swarm = swarm(&mut random);
    let mut troubles = TROUBLES;
    troubles.shuffle(&mut random);
    let chosen = random.random_range(1..=5);
    let mut plan = FuzzPlan {
        schema_version: SCHEMA_VERSION,
        seed,
        commit: String::new(),
        violations: Vec::new(),
        relays,
        nodes,
        timelines,
        swarm,
        steps: Vec::new(),
    };
    let span_us = random.random_range(2..=10) * MINUTE;
    conversation(&mut plan, &mut random, span_us);
    for trouble in troubles.into_iter().take(chosen) {
        torment(&mut plan, &mut random, span_us, trouble);
    }
    plan.steps.sort_by_key(|step| step.at);
    plan
}

fn timelines(random: &mut ChaCha8Rng, relays: u8, nodes: u8) -> Vec<Vec<u8>> {
    let everybody: Vec<u8> = (relays..relays + nodes).collect();
    let count = random.random_range(1..=3);
    (0..count)
        .map(|_| {
            let size = random.random_range(2..=everybody.len());
            let mut members = everybody.clone();
            members.shuffle(random);
            members.truncate(size);
            members
        })
        .collect()
}

fn swarm(random: &mut ChaCha8Rng) -> Swarm {
    let losses = [0.0, 0.0, 0.02, 0.1, 0.3];
    let rates = [35_000, 400_000, 9_000_000, 100_000_000];
    let propagations_ms = [1, 30, 120, 400];
    let pick = |random: &mut ChaCha8Rng, from: &[u64]| from.choose(random).copied().unwrap_or(1);
    Swarm {
        loss: losses.choose(random).copied().unwrap_or(0.0),
        rate: Rate(pick(random, &rates)),
        propagation: Span(pick(random, &propagations_ms) * 1_000),
        jitter: Span(random.random_range(0..=50_000)),
        bytes: random.random_bool(0.5),
        shuffled: random.random_bool(0.7),
        node_commit: Span(pick(random, &[100, 2_000, 30_000])),
        relay_commit: Span(pick(random, &[100, 250, 20_000])),
    }
}

fn at(random: &mut ChaCha8Rng, span_us: u64) -> Span {
    Span(random.random_range(0..span_us))
}

fn conversation(plan: &mut FuzzPlan, random: &mut ChaCha8Rng, span_us: u64) {
    let says = random.random_range(10..=120);
    for _ in 0..says {
        let timeline = random.random_range(0..plan.timelines.len());
        let Some(node) = plan.timelines[timeline].choose(random).copied() else {
            continue;
        };
        let timeline = u8::try_from(timeline).unwrap_or(0);
        let nth = random.random();
        let what = match random.random_range(0..12) {
            0 => Doing::Edit {
                node,
                timeline,
                nth,
            },
            1 => Doing::Delete {
                node,
                timeline,
                nth,
            },
            2 => Doing::React {
                node,
                timeline,
                nth,
            },
            3 => Doing::Read { node, timeline },
            4 => Doing::Say {
                node,
                timeline,
                bytes: random.random_range(2_000..=14_000),
            },
            _ => Doing::Say {
                node,
                timeline,
                bytes: random.random_range(10..=300),
            },
        };
        plan.steps.push(Step {
            at: at(random, span_us),
            what,
        });
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind of trouble")]
fn torment(plan: &mut FuzzPlan, random: &mut ChaCha8Rng, span_us: u64, trouble: Trouble) {
    let times = random.random_range(1..=12);
    for _ in 0..times {
        let node = plan.relays + random.random_range(0..plan.nodes);
        let relay = random.random_range(0..plan.relays);
        let from = at(random, span_us);
        let longest = if random.random_bool(0.3) {
            3 * MINUTE
        } else {
            20 * SECOND
        };
        let until = Span(from.0 + random.random_range(1..=longest));
        let kept_bytes = if random.random_bool(0.5) {
            0
        } else {
            random.random_range(0..4_000)
        };
        let mut then = |at: Span, what: Doing| plan.steps.push(Step { at, what });
        match trouble {
            Trouble::Partition => {
                then(from, Doing::Down { node, relay });
                then(until, Doing::Up { node, relay });
            }
            Trouble::OneWay => {
                let from_node = random.random();
                then(
                    from,
                    Doing::Block {
                        node,
                        relay,
                        from_node,
                        blocked: true,
                    },
                );
                then(
                    until,
                    Doing::Block {
                        node,
                        relay,
                        from_node,
                        blocked: false,
                    },
                );
            }
            Trouble::Breaks => then(from, Doing::Break { node, relay }),
            Trouble::NodeCrash => {
                then(
                    from,
                    Doing::Crash {
                        machine: node,
                        kept_bytes,
                    },
                );
                then(until, Doing::Start { machine: node });
            }
            Trouble::RelayCrash => {
                then(
                    from,
                    Doing::Crash {
                        machine: relay,
                        kept_bytes,
                    },
                );
                then(until, Doing::Start { machine: relay });
            }
            Trouble::NodeDisk | Trouble::RelayDisk => {
                let machine = if trouble == Trouble::NodeDisk {
                    node
                } else {
                    relay
                };
                let faults = [
                    DiskFault::SyncLost,
                    DiskFault::SyncKept,
                    DiskFault::Torn,
                    DiskFault::NoSpace,
                    DiskFault::Stall,
                    DiskFault::Read,
                ];
                let fault = faults
                    .choose(random)
                    .copied()
                    .unwrap_or(DiskFault::SyncLost);
                then(
                    from,
                    Doing::Disk {
                        machine,
                        fault,
                        after: random.random_range(0..4),
                    },
                );
            }
            Trouble::Full => {
                let machine = if random.random_bool(0.7) { relay } else { node };
                then(
                    from,
                    Doing::Full {
                        machine,
                        full: true,
                    },
                );
                then(
                    until,
                    Doing::Full {
                        machine,
                        full: false,
                    },
                );
            }
            Trouble::Clock => {
                let machine = if random.random_bool(0.5) { relay } else { node };
                let three_days_ms = i64::try_from(3 * DAY / 1_000).unwrap_or(i64::MAX);
                let by_ms = random.random_range(-three_days_ms..=three_days_ms);
                then(from, Doing::Clock { machine, by_ms });
            }
            Trouble::Rogue => {
                let acts = [
                    RogueAct::Garbage,
                    RogueAct::Replay,
                    RogueAct::Forge,
                    RogueAct::Stranger,
                    RogueAct::Flood,
                    RogueAct::StolenProof,
                ];
                let act = acts.choose(random).copied().unwrap_or(RogueAct::Garbage);
                then(from, Doing::Rogue { relay, act });
            }
            Trouble::Twin => then(from, Doing::Twin { node }),
        }
        if trouble == Trouble::Twin {
            break; // one copied device a run is enough to tell what it did
        }
    }
}
