//! Table A: N + 1 machines, any two of which meet at the times of a Poisson
//! process of rate λ; transfers and buffers are free. Delays are in units of 1/λ.
//!
//! Epidemic H_N/N and (N+1)/2 copies, direct 1: R. Groenevelt, P. Nain, G. Koole,
//! "The message delay in mobile ad hoc networks", Performance Evaluation 62, 2005;
//! two-hop from the same; spray: T. Spyropoulos et al., 2005. The sums are written
//! out below, so every N has its expected value.
//!
//! **Independence.** In a replication messages come one after the other, each in
//! a slot of its own at whose end it is dropped, and meetings have no memory: so
//! they are independent, and no two share the network. A slot is so long that
//! less than one message in 10⁹ outlives it. Direct messages cannot disturb each
//! other as long as no two have a machine in common: N/2 at once. The interval
//! counts replications only, which is right whatever happens within one.
//! All protocols see the same meetings.

#![expect(clippy::float_arithmetic, reason = "expected values and means")]

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::interval::{Mean, holds, misses_allowed};
use super::{Options, Row, Verdict};
use crate::kernel::HOUR;
use crate::kernel::seeds::Seeds;
use crate::mobility::spec::MobilitySpec;
use crate::mobility::{self, Group, Member};
use crate::plan::{Contact, Entity, EntitySpec, LinkIndex, Plan, PlannedMessage, Role};
use crate::results::RunResults;
use crate::routing::{self, Router, Transfer};
use crate::units::Span;

/// 1/λ: so long that microseconds do not show.
const UNIT_US: u64 = HOUR;
/// Length of a slot in units; also the longest that any protocol needs.
const SLOT_UNITS: f64 = 4.0;
const CONFIDENCE: f64 = 0.95;

/// Rows of N = 50 and N = 100, and the row that counts misses.
#[must_use]
pub fn rows(options: Options) -> Vec<Row> {
    let mut measured: Vec<(String, String, f64, Mean)> = Vec::new();
    for n in [50, 100] {
        measured.extend(of_size(options, n));
    }
    let simultaneous = 1.0 - (1.0 - CONFIDENCE) / measured.len() as f64;
    let mut rows: Vec<Row> = measured
        .into_iter()
        .map(|(name, source, expected, mean)| {
            let interval = mean.interval(CONFIDENCE);
            let verdict = if holds(interval, expected) {
                Verdict::Pass
            } else if holds(mean.interval(simultaneous), expected) {
                Verdict::Chance
            } else {
                Verdict::Fail
            };
            let note = match verdict {
                Verdict::Pass => String::new(),
                Verdict::Chance => format!("outside 95%, within {:.2}%", 100.0 * simultaneous),
                Verdict::Explained | Verdict::Cause | Verdict::Fail => {
                    format!("outside {:.2}%", 100.0 * simultaneous)
                }
            };
            Row {
                name,
                source,
                expected,
                measured: mean.value,
                interval,
                n: mean.n,
                verdict,
                note,
            }
        })
        .collect();
    rows.push(misses(&rows));
    rows
}

fn misses(rows: &[Row]) -> Row {
    let missed = rows
        .iter()
        .filter(|row| row.verdict != Verdict::Pass)
        .count() as f64;
    let allowed = misses_allowed(rows.len() as u64, 1.0 - CONFIDENCE) as f64;
    Row {
        name: "A rows outside their 95% interval".to_owned(),
        source: format!("binomial, 99% of suites of {} rows", rows.len()),
        expected: (1.0 - CONFIDENCE) * rows.len() as f64,
        measured: missed,
        interval: [0.0, allowed],
        n: rows.len() as u32,
        verdict: if missed <= allowed {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        note: format!("at most {allowed}"),
    }
}

/// One protocol of the table.
struct Case {
    router: Router,
    expected: f64,
    /// Units after which a message is surely delivered.
    units: f64,
}

fn cases(n: u32) -> Vec<Case> {
    let spray = |copies, units| Case {
        router: Router::SourceSpray { copies },
        expected: source_spray(n, copies),
        units,
    };
    vec![
        Case {
            router: Router::Epidemic,
            expected: epidemic(n),
            units: 0.8,
        },
        Case {
            router: Router::TwoHop,
            expected: source_spray(n, n),
            units: 1.6,
        },
        spray(6, SLOT_UNITS),
        spray(8, SLOT_UNITS),
        spray(16, 3.0),
    ]
}

/// H_N / N.
#[must_use]
pub fn epidemic(n: u32) -> f64 {
    (1..=n).map(|k| 1.0 / f64::from(k)).sum::<f64>() / f64::from(n)
}

/// The writer gives copies until `copies` machines hold one; with `copies` = N it never stops: two-hop.
///
/// With k holders the next event is the delivery (rate k) or a new holder (rate N − k): 1/N on
/// average, and the chance that it is a new holder is (N − k)/N. At the last k only delivery is left.
#[must_use]
pub fn source_spray(n: u32, copies: u32) -> f64 {
    let n = f64::from(n);
    let (mut reached, mut delay) = (1.0, 0.0);
    for k in 1..copies {
        delay += reached / n;
        reached *= (n - f64::from(k)) / n;
    }
    delay + reached / f64::from(copies)
}

fn of_size(options: Options, n: u32) -> Vec<(String, String, f64, Mean)> {
    let cases = cases(n);
    let mut delays = vec![Vec::new(); cases.len() + 1];
    let mut copies = Vec::new();
    for replication in 0..options.replications {
        let world = World::draw(options, n, replication);
        delays
            .iter_mut()
            .take(1)
            .for_each(|delays| delays.push(world.direct()));
        for (case, delays) in cases.iter().zip(delays.iter_mut().skip(1)) {
            let results = world.sequential(case);
            delays.push(mean_delay(&results));
            if case.router == Router::Epidemic {
                copies.push(mean(
                    results
                        .messages
                        .iter()
                        .map(|message| f64::from(message.copies)),
                ));
            }
        }
    }
    let row = |name: String, source: String, expected, values: &[f64]| {
        Some((name, source, expected, Mean::of(values.iter().copied())?))
    };
    let runs = format!("{} × {} messages", options.replications, options.messages);
    let mut rows = Vec::new();
    let expected = std::iter::once(("direct".to_owned(), 1.0))
        .chain(cases.iter().map(|case| (case.router.name(), case.expected)));
    for ((protocol, expected), delays) in expected.zip(&delays) {
        rows.extend(row(
            format!("A {protocol} delay N={n}"),
            format!("theory, 1/λ; {runs}"),
            expected,
            delays,
        ));
    }
    let half = f64::from(n + 1) / 2.0;
    rows.extend(row(
        format!("A epidemic copies N={n}"),
        format!("(N+1)/2; {runs}"),
        half,
        &copies,
    ));
    rows
}

/// The meetings of one replication.
struct World {
    seeds: Seeds,
    n: u32,
    messages: u32,
    contacts: Vec<Contact>,
    end: Monotonic,
}

impl World {
    fn draw(options: Options, n: u32, replication: u32) -> Self {
        let seeds = replication_seeds(options.seed, &format!("theory {n}"), replication);
        let end = units(SLOT_UNITS * f64::from(options.messages));
        let group = Group {
            name: "n".to_owned(),
            members: (0..=n)
                .map(|id| Member {
                    entity: Entity(id),
                    name: format!("n{id}"),
                })
                .collect(),
            mobility: MobilitySpec::Exponential {
                mean_between: Span(UNIT_US),
            },
            range_m: 0.0,
            link: LinkIndex(0),
        };
        let contacts = mobility::contacts(&[group], seeds, end, Span(0))
            .map_or_else(|_| Vec::new(), |drawn| drawn.0);
        Self {
            seeds,
            n,
            messages: options.messages,
            contacts,
            end,
        }
    }

    /// Mean delay of direct messages between machines paired at random, at the begin of the run
    /// and every twelve units: e⁻¹² outlive the wait for the next ones, and disturb nobody.
    fn direct(&self) -> f64 {
        let mut stream = self.seeds.stream("pairs", "direct");
        let mut plan = self.plan(f64::INFINITY);
        let last = SLOT_UNITS * f64::from(self.messages);
        let mut begin = 0.0;
        // Until the end at least 30 units, or the first ones only.
        while begin == 0.0 || begin + 30.0 < last {
            let mut machines: Vec<u32> = (0..=self.n).collect();
            machines.shuffle(&mut stream);
            for pair in machines.chunks_exact(2) {
                if let [from, to] = *pair {
                    add(&mut plan, units(begin), from, to);
                }
            }
            begin += 12.0;
        }
        mean_delay(&self.run(&plan, Router::Direct, None))
    }

    fn sequential(&self, case: &Case) -> RunResults {
        let mut stream = self.seeds.stream("pairs", "sequential");
        let mut plan = self.plan(case.units);
        for slot in 0..self.messages {
            let from = stream.random_range(0..=self.n);
            let to = (from + stream.random_range(1..=self.n)) % (self.n + 1);
            add(&mut plan, units(SLOT_UNITS * f64::from(slot)), from, to);
        }
        self.run(&plan, case.router, Some(Span(units(case.units).0)))
    }

    /// With the meetings of the first `units` of each slot.
    fn plan(&self, units_used: f64) -> Plan {
        let (slot, used) = (units(SLOT_UNITS).0, units(units_used).0);
        let entities = (0..=self.n).map(|id| EntitySpec {
            name: format!("n{id}"),
            role: Role::Node,
            group: 0,
        });
        Plan {
            entities: entities.collect(),
            contacts: self
                .contacts
                .iter()
                .filter(|contact| contact.up.0 % slot < used)
                .copied()
                .collect(),
            end: self.end,
            ..Plan::default()
        }
    }

    fn run(&self, plan: &Plan, router: Router, ttl: Option<Span>) -> RunResults {
        let options = routing::Options {
            transfer: Transfer::Instant,
            ttl,
            ..routing::Options::default()
        };
        // A plan made here is in order; if it were not, no message would be there and every row fail.
        routing::run(plan, router, options, self.seeds).unwrap_or_default()
    }
}

/// Seeds of one run of a suite.
pub(super) fn replication_seeds(root: u64, purpose: &str, replication: u32) -> Seeds {
    let bytes = Seeds::new(root).bytes(purpose, &replication.to_string());
    Seeds::new(
        bytes
            .iter()
            .take(8)
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
    )
}

fn add(plan: &mut Plan, at: Monotonic, from: u32, to: u32) {
    plan.messages.push(PlannedMessage {
        at,
        from: Entity(from),
        timeline: plan.timelines.len() as u32,
        bytes: 1,
    });
    plan.timelines
        .push(vec![Entity(from.min(to)), Entity(from.max(to))]);
}

/// Saturates: infinity is for ever.
fn units(count: f64) -> Monotonic {
    Monotonic((count * UNIT_US as f64) as u64)
}

fn mean_delay(results: &RunResults) -> f64 {
    let delay = |message: &crate::results::MessageResult| {
        // What did not arrive makes the mean NaN and the row fail: nothing is censored here.
        message.delivered.map_or(f64::NAN, |at| {
            at.since_micros(message.created) as f64 / UNIT_US as f64
        })
    };
    mean(results.messages.iter().map(delay))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}
