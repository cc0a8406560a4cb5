//! Protocols in moving crowds: the same twice, and nothing lost on the way.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use khlong_crdt::time::Monotonic;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{HOUR, SECOND};
use khlong_simulations::links::{LinkSpec, PipeSpec};
use khlong_simulations::mobility::spec::MobilitySpec;
use khlong_simulations::mobility::{Group, Member, contacts};
use khlong_simulations::plan::{Entity, EntitySpec, LinkIndex, Plan, PlannedMessage, Role};
use khlong_simulations::results::RunResults;
use khlong_simulations::routing::prophet::Parameters;
use khlong_simulations::routing::{Options, Order, Router, Transfer, run};
use khlong_simulations::units::{Rate, Size, Span};
use khlong_simulations::validate::interval::{Mean, holds, misses_allowed};
use khlong_simulations::validate::{self, Row, Verdict, print, theory};

const ROUTERS: [Router; 6] = [
    Router::Direct,
    Router::Epidemic,
    Router::TwoHop,
    Router::SourceSpray { copies: 6 },
    Router::BinarySpray { copies: 6 },
    Router::Prophet(Parameters {
        encounter_max: 0.7,
        encounter_first: 0.5,
        first_threshold: 0.1,
        beta: 0.9,
        gamma: 0.999,
        delta: 0.01,
        typical_interval: Span(600 * SECOND),
        time_unit: Span(30 * SECOND),
    }),
];

/// 25 people in a park, messages of 50 kB, lossy links.
fn park(seed: u64) -> Plan {
    let count = 25;
    let group = Group {
        name: "people".to_owned(),
        members: (0..count)
            .map(|id| Member {
                entity: Entity(id),
                name: format!("p{id}"),
            })
            .collect(),
        mobility: MobilitySpec::RandomWaypoint {
            origin_m: [0.0, 0.0],
            area_m: [300.0, 200.0],
            speed_m_s: [0.5, 2.0],
            pause: [Span(0), Span(60 * SECOND)],
            steady: true,
        },
        range_m: 12.0,
        link: LinkIndex(0),
    };
    let end = Monotonic(HOUR);
    let (contacts, positions) = contacts(&[group], Seeds::new(seed), end, Span(0)).unwrap();
    let forth = PipeSpec {
        rate: Rate(1_000_000),
        propagation: Span(5_000),
        jitter: Span(10_000),
        loss: 0.05,
        queue: Size(1_000_000),
    };
    let messages = (0..120_u32).map(|index| PlannedMessage {
        at: Monotonic(u64::from(index) * 20 * SECOND),
        from: Entity(index % count),
        timeline: index,
        bytes: 50_000,
    });
    Plan {
        entities: (0..count)
            .map(|id| EntitySpec {
                name: format!("p{id}"),
                role: Role::Node,
                group: 0,
            })
            .collect(),
        links: vec![LinkSpec {
            forth,
            back: None,
            handshake_round_trips: 1,
            discovery: Span(SECOND),
            channel: None,
        }],
        contacts,
        timelines: (0..120_u32)
            .map(|index| {
                let mut members = vec![Entity(index % count), Entity((index * 7 + 3) % count)];
                members.sort_unstable();
                members.dedup();
                members
            })
            .collect(),
        carriers: Vec::new(),
        messages: messages.collect(),
        one_way: Vec::new(),
        outages: Vec::new(),
        positions,
        warm_up: Monotonic(0),
        end,
    }
}

fn delivered(results: &RunResults) -> usize {
    results
        .messages
        .iter()
        .filter(|message| message.delivered.is_some())
        .count()
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    let options = Options {
        order: Order::Random,
        happenings: true,
        ..Options::default()
    };
    for router in ROUTERS {
        let twice = [(); 2].map(|()| run(&park(5), router, options, Seeds::new(5)).unwrap());
        assert_eq!(twice[0], twice[1], "{}", router.name());
        assert!(twice[0].events > 500 && twice[0].trace_hash.len() == 64);
        let other = run(&park(5), router, options, Seeds::new(6)).unwrap();
        assert_ne!(
            other.trace_hash, twice[0].trace_hash,
            "another stream of losses"
        );
    }
}

#[test]
fn every_copy_is_accounted_for() {
    let tight = Options {
        buffer: Some(Size(600_000)),
        ttl: Some(Span(900 * SECOND)),
        sample_every: Span(60 * SECOND),
        happenings: true,
        ..Options::default()
    };
    let as_the_one = Options {
        transfer: Transfer::Bare,
        one_transfer_a_machine: true,
        ..tight
    };
    let mut reached = Vec::new();
    for options in [tight, as_the_one] {
        for router in ROUTERS {
            let results = run(&park(2), router, options, Seeds::new(2)).unwrap();
            let count = |kind| {
                results
                    .happenings
                    .iter()
                    .filter(|happening| happening.kind == kind)
                    .count() as u64
            };
            let name = router.name();
            let dropped: u64 = results.dropped.values().sum();
            // One receiver each: who is delivered to keeps no copy.
            assert_eq!(
                count("created") + results.relayed,
                delivered(&results) as u64 + dropped + results.counters["copies-at-end"],
                "{name}: copies made = delivered + dropped + left"
            );
            assert_eq!(count("delivered"), delivered(&results) as u64);
            assert_eq!(
                (count("relayed"), count("aborted")),
                (results.relayed, results.aborted)
            );
            assert!(count("sent") >= results.relayed + results.aborted);
            assert!(
                results
                    .occupancy
                    .iter()
                    .all(|sample| sample.bytes <= 25 * 600_000),
                "{name}"
            );
            for message in &results.messages {
                if let Some(at) = message.delivered {
                    assert!(at.0 < message.created.0 + 900 * SECOND && message.hops > 0);
                }
            }
            reached.push(delivered(&results));
        }
    }
    assert!(
        reached[1] > reached[0],
        "epidemic serves more than direct: {reached:?}"
    );
}

#[test]
fn protocols_keep_their_order_when_nothing_is_scarce() {
    let options = Options {
        transfer: Transfer::Instant,
        ..Options::default()
    };
    let plan = park(9);
    let of = |router| run(&plan, router, options, Seeds::new(9)).unwrap();
    let [direct, epidemic, two_hop, source, binary, prophet] = ROUTERS.map(of);
    for other in [&direct, &two_hop, &source, &binary, &prophet] {
        for (one, best) in other.messages.iter().zip(&epidemic.messages) {
            let late = |message: &khlong_simulations::results::MessageResult| {
                message.delivered.unwrap_or(plan.end)
            };
            assert!(
                late(best) <= late(one),
                "nobody is earlier than epidemic: {}",
                other.protocol
            );
        }
    }
    assert!(
        delivered(&direct) <= delivered(&two_hop) && delivered(&two_hop) <= delivered(&epidemic)
    );
    assert!(
        source.relayed <= 120 * 6 && binary.relayed <= 120 * 6,
        "at most five copies and a delivery each"
    );
    assert!(prophet.relayed < epidemic.relayed);
}

#[test]
fn theory_gives_the_published_numbers() {
    let near = |value: f64, published: f64, digits: f64| {
        assert!(
            (value - published).abs() <= 0.5 * digits,
            "{value} is not {published}"
        );
    };
    for (n, epidemic, two_hop, spray) in [
        (50, 0.08998, 0.17086, [0.2144, 0.1892, 0.1713]),
        (100, 0.05187, 0.12210, [0.1911, 0.1585, 0.1253]),
    ] {
        near(theory::epidemic(n), epidemic, 1e-5);
        near(theory::source_spray(n, n), two_hop, 1.01e-5);
        for (copies, published) in [6, 8, 16].into_iter().zip(spray) {
            near(theory::source_spray(n, copies), published, 1e-4);
        }
    }
}

#[test]
fn a_short_suite_passes_and_prints_every_row() {
    let options = validate::Options {
        replications: 6,
        messages: 8,
        with_one: false,
        ..validate::Options::default()
    };
    let rows = validate::run(options);
    assert!(validate::passed(&rows), "{}", print::table(&rows));
    assert_eq!(
        rows.iter().filter(|row| row.name.starts_with("A ")).count(),
        15
    );
    assert_eq!(validate::run(options), rows, "a seed gives one suite");
    let text = print::table(&rows);
    assert_eq!(text.lines().count(), rows.len() + 2);
    let json = print::json_lines(&rows).unwrap();
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["verdict"], "pass");
    assert_eq!(json.lines().count(), rows.len());
    let failed = Row {
        verdict: Verdict::Fail,
        ..rows[0].clone()
    };
    assert!(!validate::passed(&[failed]));
}

#[test]
fn intervals_are_students() {
    // t quantile 0.975 with 4 degrees of freedom: 2.7764.
    let mean = Mean::of([1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let half = 2.776_445 * 2.5_f64.sqrt() / 5.0_f64.sqrt();
    assert!((mean.interval(0.95)[1] - (3.0 + half)).abs() < 1e-5);
    assert!((mean.prediction(0.95)[0] - (3.0 - half * 6.0_f64.sqrt())).abs() < 1e-4);
    assert_eq!(Mean::of([1.0]), None);
    assert!(
        !holds(Mean::of([1.0, f64::NAN]).unwrap().interval(0.95), 1.0),
        "what is missing passes nothing"
    );
    assert_eq!(misses_allowed(14, 0.05), 3);
}
