//! Each protocol on tiny plans whose outcome can be told by hand.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use khlong_crdt::time::Monotonic;
use khlong_simulations::kernel::SECOND;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::links::{LinkSpec, PipeSpec};
use khlong_simulations::plan::{
    Contact, Entity, EntitySpec, LinkIndex, Outage, Plan, PlannedMessage, Role,
};
use khlong_simulations::results::RunResults;
use khlong_simulations::routing::check::RoutingError;
use khlong_simulations::routing::prophet::{Parameters, Predictabilities};
use khlong_simulations::routing::summary::Summary;
use khlong_simulations::routing::{Options, Order, Router, Transfer, run};
use khlong_simulations::units::{Rate, Size, Span};

/// 100 kB/s.
const LINK: LinkSpec = LinkSpec {
    forth: PipeSpec {
        rate: Rate(800_000),
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

/// Contacts `(second, a, b)` last a second each; messages `(second, from, to…)` have 10 kB, so
/// ten of them pass in a contact but for the last microsecond.
fn plan(machines: u32, contacts: &[(u64, u32, u32)], messages: &[(u64, u32, &[u32])]) -> Plan {
    let mut plan = Plan {
        entities: (0..machines)
            .map(|id| EntitySpec {
                name: format!("m{id}"),
                role: Role::Node,
                group: 0,
            })
            .collect(),
        links: vec![LINK],
        end: Monotonic(1_000 * SECOND),
        ..Plan::default()
    };
    for (at, a, b) in contacts {
        plan.contacts
            .push(contact(at * SECOND, (at + 1) * SECOND, *a, *b));
    }
    for (at, from, to) in messages {
        let mut members: Vec<Entity> = to.iter().chain([from]).map(|id| Entity(*id)).collect();
        members.sort_unstable();
        plan.messages.push(PlannedMessage {
            at: Monotonic(at * SECOND),
            from: Entity(*from),
            timeline: plan.timelines.len() as u32,
            bytes: 10_000,
        });
        plan.timelines.push(members);
    }
    plan
}

fn contact(up: u64, down: u64, a: u32, b: u32) -> Contact {
    Contact {
        up: Monotonic(up),
        down: Monotonic(down),
        a: Entity(a),
        b: Entity(b),
        link: LinkIndex(0),
    }
}

fn bare() -> Options {
    Options {
        transfer: Transfer::Bare,
        ..Options::default()
    }
}

fn executed(plan: &Plan, router: Router, options: Options) -> RunResults {
    run(plan, router, options, Seeds::new(1)).unwrap()
}

/// Deciseconds at which each (message, receiver) was served.
fn arrivals(results: &RunResults) -> Vec<Option<u64>> {
    results
        .messages
        .iter()
        .map(|message| message.delivered.map(|at| at.0 / (SECOND / 10)))
        .collect()
}

/// 0 meets 1, 1 meets 2, 2 meets 3: only who forwards over three hops serves 3.
fn chain() -> Plan {
    plan(
        4,
        &[(10, 0, 1), (20, 1, 2), (30, 2, 3), (40, 0, 3)],
        &[(0, 0, &[3]), (1, 0, &[2])],
    )
}

#[test]
fn a_chain_tells_the_protocols_apart() {
    let of = |router| executed(&chain(), router, bare());
    // 10 kB at 100 kB/s: a decisecond each.
    let direct = of(Router::Direct);
    assert_eq!(arrivals(&direct), [Some(401), None]);
    assert_eq!((direct.relayed, direct.messages[0].hops), (1, 1));
    let epidemic = of(Router::Epidemic);
    assert_eq!(
        arrivals(&epidemic),
        [Some(301), Some(201)],
        "what is for 2 itself goes first, and 2 keeps no copy of it"
    );
    assert_eq!(
        (epidemic.messages[0].hops, epidemic.messages[1].hops),
        (3, 2)
    );
    assert_eq!(
        epidemic.messages[0].copies, 3,
        "held by 0, 1 and 2 when it arrived"
    );
    // To 1: both; to 2: both; to 3: the first one from 2, the second one for relaying from 0.
    assert_eq!(epidemic.relayed, 6, "{epidemic:?}");
    let two_hop = of(Router::TwoHop);
    assert_eq!(
        arrivals(&two_hop),
        [Some(401), Some(201)],
        "1 hands the second over; the first waits for its writer"
    );
    let spray = of(Router::SourceSpray { copies: 2 });
    assert_eq!(arrivals(&spray), [Some(401), Some(201)]);
    assert_eq!(
        spray.relayed, 4,
        "one copy given of each, and two deliveries"
    );
    let waiting = of(Router::SourceSpray { copies: 1 });
    assert_eq!(
        arrivals(&waiting),
        arrivals(&direct),
        "a single copy is direct delivery"
    );
    assert_eq!(of(Router::Epidemic).protocol, "epidemic");
    assert_eq!(spray.protocol, "source-spray-2");
}

#[test]
fn spray_gives_no_more_copies_than_it_has() {
    // 0 meets 1 to 5; then 1 meets 6 and 7; nobody meets the receiver 8.
    let contacts: Vec<(u64, u32, u32)> = (1..=5)
        .map(|other| (u64::from(other) * 10, 0, other))
        .chain([(60, 1, 6), (70, 1, 7), (80, 6, 7)])
        .collect();
    let plan = plan(9, &contacts, &[(0, 0, &[8])]);
    let copies = |router| executed(&plan, router, bare()).counters["copies-at-end"];
    assert_eq!(copies(Router::Direct), 1);
    assert_eq!(copies(Router::TwoHop), 6);
    assert_eq!(copies(Router::Epidemic), 8);
    for limit in [2, 3, 6] {
        assert_eq!(
            copies(Router::SourceSpray { copies: limit }),
            u64::from(limit)
        );
    }
    // 8: 0 gives 4, 2, 1 and is left with one; 1 gives two of its four, then one; 6 one of its two,
    // but 7 has one already.
    let binary = executed(&plan, Router::BinarySpray { copies: 8 }, bare());
    assert_eq!(binary.counters["copies-at-end"], 6);
    let passed_on = |at: u64| {
        let options = Options {
            happenings: true,
            ..bare()
        };
        let happenings = executed(&plan, Router::BinarySpray { copies: 8 }, options).happenings;
        happenings
            .iter()
            .any(|one| one.kind == "relayed" && one.at.0 / SECOND == at)
    };
    let when: Vec<u64> = (1..=8)
        .map(|ten| ten * 10)
        .filter(|at| passed_on(*at))
        .collect();
    assert_eq!(when, [10, 20, 30, 60, 70]);
}

#[test]
fn a_transfer_that_is_cut_off_takes_no_copy_along() {
    // 0 meets 1 for 0.05 s: half a transfer. Then 2 for long: with two copies it must get one.
    let mut plan = plan(4, &[], &[(0, 0, &[3])]);
    plan.contacts = vec![
        contact(10 * SECOND, 10 * SECOND + 50_000, 0, 1),
        contact(20 * SECOND, 21 * SECOND, 0, 2),
        contact(30 * SECOND, 31 * SECOND, 2, 3),
    ];
    let results = executed(&plan, Router::SourceSpray { copies: 2 }, bare());
    assert_eq!(arrivals(&results), [Some(301)]);
    assert_eq!((results.aborted, results.relayed), (1, 2));
    assert_eq!(
        results.bytes["text"], 25_000,
        "half a bundle and two whole ones"
    );
}

#[test]
fn several_receivers_are_each_served_and_carry_on() {
    // 1 is a receiver and meets the other receiver 2; 0 never does.
    let plan = plan(3, &[(10, 0, 1), (20, 1, 2)], &[(0, 0, &[1, 2])]);
    assert_eq!(
        arrivals(&executed(&plan, Router::Epidemic, bare())),
        [Some(101), Some(201)]
    );
    assert_eq!(
        arrivals(&executed(&plan, Router::SourceSpray { copies: 2 }, bare())),
        [Some(101), Some(201)]
    );
    let direct = executed(&plan, Router::Direct, bare());
    assert_eq!(arrivals(&direct), [Some(101), None]);
    assert_eq!(direct.counters["copies-at-end"], 1);
    let summary = Summary::of(&direct, Monotonic(0));
    assert_eq!(
        (summary.created, summary.delivered, summary.relayed),
        (2, 1, 1)
    );
    assert!((summary.delivery_ratio - 0.5).abs() < 1e-12 && summary.overhead.abs() < 1e-12);
    assert!(
        (summary.latency_s - 10.1).abs() < 1e-9,
        "over what was delivered only"
    );
    assert_eq!(
        Summary::of(&direct, Monotonic(SECOND)).created,
        0,
        "written in the warm-up"
    );
}

#[test]
fn prophet_goes_to_whom_meets_the_receiver_more() {
    // 1 met the receiver 3, 2 did not; 0 meets 2 and then 1.
    let contacts = [(10, 1, 3), (20, 0, 2), (30, 0, 1), (40, 1, 3), (50, 2, 3)];
    let plan = plan(4, &contacts, &[(15, 0, &[3])]);
    let results = executed(&plan, Router::Prophet(Parameters::default()), bare());
    assert_eq!(arrivals(&results), [Some(401)]);
    assert_eq!(
        results.relayed, 2,
        "2 knows nobody, so it gets no copy: {results:?}"
    );
}

#[test]
fn predictabilities_are_those_of_the_rfc() {
    let parameters = Parameters::default();
    let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-12, "{one} is not {other}");
    let (a, b, c) = (Entity(0), Entity(1), Entity(2));
    let minutes = |count: u64| Monotonic(count * 60 * SECOND);
    let (mut at_a, mut at_b) = (Predictabilities::default(), Predictabilities::default());
    at_b.meet(c, minutes(0), &parameters);
    near(at_b.of(c), 0.5);
    at_a.meet(b, minutes(0), &parameters);
    at_a.learn(a, b, &at_b, &parameters);
    near(at_a.of(c), 0.5 * 0.5 * 0.9);
    // After 15 of 30 minutes a meeting counts half: 30 units of ageing, then Equation 1.
    at_a.age(minutes(15), &parameters);
    let aged = 0.5 * 0.999_f64.powi(30);
    near(at_a.of(b), aged);
    at_a.meet(b, minutes(15), &parameters);
    near(at_a.of(b), aged + (0.99 - aged) * 0.35);
    at_a.meet(b, minutes(75), &parameters);
    let before = aged + (0.99 - aged) * 0.35;
    near(at_a.of(b), before + (0.99 - before) * 0.7);
    // What fell below 0.1 is forgotten.
    at_b.age(minutes(24 * 60), &parameters);
    near(at_b.of(c), 0.0);
}

#[test]
fn a_full_buffer_drops_what_came_first() {
    let messages: Vec<(u64, u32, &[u32])> = (0..4).map(|at| (at, 0, &[1][..])).collect();
    let plan = plan(2, &[(10, 0, 1)], &messages);
    let options = Options {
        buffer: Some(Size(25_000)),
        sample_every: Span(SECOND),
        ..bare()
    };
    let results = executed(&plan, Router::Direct, options);
    assert_eq!(arrivals(&results), [None, None, Some(101), Some(102)]);
    assert_eq!(results.dropped, [("buffer", 2)].into());
    let most = results
        .occupancy
        .iter()
        .map(|sample| (sample.messages, sample.bytes))
        .max();
    assert_eq!(most, Some((2, 20_000)));
    let too_big = Options {
        buffer: Some(Size(5_000)),
        ..bare()
    };
    let results = executed(&plan, Router::Direct, too_big);
    assert_eq!(results.dropped, [("no-room", 4)].into());
    assert_eq!(arrivals(&results), [None; 4]);
}

#[test]
fn what_is_too_old_is_nowhere() {
    let plan = chain();
    let results = executed(
        &plan,
        Router::Epidemic,
        Options {
            ttl: Some(Span(25 * SECOND)),
            ..bare()
        },
    );
    assert_eq!(
        arrivals(&results),
        [None, Some(201)],
        "the first expired at 25 s, the second arrived at 20.1 s"
    );
    assert_eq!(results.counters["copies-at-end"], 0);
    // Created, and relayed without delivery: every copy is dropped once.
    assert_eq!(results.dropped, [("ttl", 2 + results.relayed - 1)].into());
}

#[test]
fn a_machine_that_is_out_neither_sends_nor_receives() {
    let mut plan = plan(2, &[], &[(0, 0, &[1])]);
    plan.contacts = vec![contact(10 * SECOND, 40 * SECOND, 0, 1)];
    plan.outages = vec![Outage {
        from: Monotonic(10 * SECOND + 50_000),
        until: Monotonic(20 * SECOND),
        who: Entity(1),
    }];
    let results = executed(&plan, Router::Direct, bare());
    assert_eq!(
        arrivals(&results),
        [Some(201)],
        "cut off in the middle, and again from the start"
    );
    assert_eq!(results.aborted, 1);
    plan.outages[0].until = Monotonic(50 * SECOND);
    assert_eq!(arrivals(&executed(&plan, Router::Direct, bare())), [None]);
}

#[test]
fn what_is_written_or_received_goes_on_over_contacts_that_stand() {
    let mut plan = plan(4, &[], &[(20, 0, &[3])]);
    plan.contacts = [(0, 1), (1, 2), (2, 3)]
        .map(|(a, b)| contact(10 * SECOND, 100 * SECOND, a, b))
        .to_vec();
    for one_transfer_a_machine in [false, true] {
        let options = Options {
            one_transfer_a_machine,
            ..bare()
        };
        let results = executed(&plan, Router::Epidemic, options);
        assert_eq!(arrivals(&results), [Some(203)], "three hops on end");
        assert_eq!(results.messages[0].hops, 3);
    }
}

#[test]
fn a_short_outage_begins_the_set_up_anew() {
    // Set-up takes 10 s; after 4 s one is out for 2 s: 6 + 10, and 10 kB with headers at 100 kB/s.
    let mut plan = plan(2, &[], &[(0, 0, &[1])]);
    plan.links[0].discovery = Span(10 * SECOND);
    plan.contacts = vec![contact(10 * SECOND, 40 * SECOND, 0, 1)];
    plan.outages = vec![Outage {
        from: Monotonic(14 * SECOND),
        until: Monotonic(16 * SECOND),
        who: Entity(0),
    }];
    let over_links = Options::default();
    assert_eq!(
        arrivals(&executed(&plan, Router::Direct, over_links)),
        [Some(261)]
    );
}

#[test]
fn full_buffers_do_not_swap_bundles_for_ever() {
    // Two machines with room for one bundle each, and bundles for somebody else.
    let mut plan = plan(3, &[], &[(0, 0, &[2]), (0, 1, &[2])]);
    plan.contacts = vec![contact(10 * SECOND, 20 * SECOND, 0, 1)];
    for transfer in [Transfer::Instant, Transfer::Bare] {
        let options = Options {
            transfer,
            buffer: Some(Size(10_000)),
            ..Options::default()
        };
        let results = executed(&plan, Router::Epidemic, options);
        assert_eq!(results.counters["copies-at-end"], 2);
        let most = if transfer == Transfer::Instant {
            2
        } else {
            200
        };
        assert!((1..=most).contains(&results.relayed), "{}", results.relayed);
    }
}

#[test]
fn one_transfer_a_machine_is_slower_than_one_a_contact() {
    // 0 has a bundle for each of 1, 2 and 3, all near.
    let mut plan = plan(4, &[], &[(0, 0, &[1]), (0, 0, &[2]), (0, 0, &[3])]);
    plan.contacts = (1..4)
        .map(|other| contact(10 * SECOND, 20 * SECOND, 0, other))
        .collect();
    assert_eq!(
        arrivals(&executed(&plan, Router::Direct, bare())),
        [Some(101); 3]
    );
    let as_the_one = Options {
        one_transfer_a_machine: true,
        order: Order::Random,
        ..bare()
    };
    let mut one_by_one = arrivals(&executed(&plan, Router::Direct, as_the_one));
    one_by_one.sort_unstable();
    assert_eq!(one_by_one, [Some(101), Some(102), Some(103)]);
}

#[test]
fn no_machine_receives_one_bundle_twice() {
    // 1 and 2 both hold it and both meet 3 at once.
    let mut plan = plan(5, &[(10, 0, 1), (20, 0, 2)], &[(0, 0, &[4])]);
    plan.contacts.push(contact(30 * SECOND, 31 * SECOND, 1, 3));
    plan.contacts.push(contact(30 * SECOND, 31 * SECOND, 2, 3));
    let results = executed(&plan, Router::Epidemic, bare());
    assert_eq!(results.relayed, 3);
    // The first of both is cut off: then the other one sends it after all.
    plan.contacts[2].down = Monotonic(30 * SECOND + 50_000);
    let results = executed(&plan, Router::Epidemic, bare());
    assert_eq!((results.relayed, results.aborted), (3, 1));
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = chain();
        change(&mut plan);
        run(&plan, Router::Epidemic, bare(), Seeds::new(1)).unwrap_err()
    };
    assert_eq!(
        refused(|plan| plan.contacts[0].b = Entity(77)),
        RoutingError::Machine(77)
    );
    assert_eq!(
        refused(|plan| plan.timelines[0][0] = Entity(78)),
        RoutingError::Machine(78)
    );
    assert_eq!(
        refused(|plan| plan.messages[1].from = Entity(79)),
        RoutingError::Machine(79)
    );
    assert_eq!(
        refused(|plan| plan.messages[1].timeline = 9),
        RoutingError::Timeline(1)
    );
    assert_eq!(
        refused(|plan| plan.contacts[0].link = LinkIndex(3)),
        RoutingError::Link(3)
    );
    assert_eq!(
        refused(|plan| plan.contacts[0].b = Entity(0)),
        RoutingError::Itself(0)
    );
    assert_eq!(
        refused(|plan| plan.contacts.swap(0, 1)),
        RoutingError::Order
    );
    assert_eq!(
        refused(|plan| plan.messages.swap(0, 1)),
        RoutingError::Order
    );
}
