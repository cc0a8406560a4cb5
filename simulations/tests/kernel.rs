//! The event queue against a plain sorted list: whatever its layout, the order is the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;
use khlong_simulations::kernel::queue::{EventClass, EventQueue};
use khlong_simulations::kernel::seeds::Seeds;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// So long after the present; a delay may be drawn around any power of two.
    Schedule(u64, EventClass),
    /// At a moment that has passed.
    ScheduleLate,
    Pop,
    /// Only what is due so soon.
    PopUntil(u64),
}

fn class() -> impl Strategy<Value = EventClass> {
    prop_oneof![
        Just(EventClass::World),
        Just(EventClass::Arrival),
        Just(EventClass::Timer),
        Just(EventClass::Workload),
        Just(EventClass::Probe),
    ]
}

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0..4_u64,
        (0..40_u32, 0..3_u64).prop_map(|(bit, more)| (1 << bit) + more),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (delay(), class()).prop_map(|(delay, class)| Step::Schedule(delay, class)),
        1 => Just(Step::ScheduleLate),
        2 => Just(Step::Pop),
        1 => delay().prop_map(Step::PopUntil),
    ]
}

proptest! {
    #[test]
    fn events_come_as_from_a_sorted_list(steps in prop::collection::vec(step(), 1..400)) {
        let mut queue = EventQueue::in_order();
        let mut sorted = BTreeMap::new();
        let mut now = 0_u64;
        for (number, step) in (0_u64..).zip(steps) {
            match step {
                Step::Schedule(delay, class) => {
                    queue.schedule(Monotonic(now + delay), class, number);
                    sorted.insert((now + delay, class, number), number);
                }
                Step::ScheduleLate => {
                    queue.schedule(Monotonic(now / 2), EventClass::Timer, number);
                    sorted.insert((now, EventClass::Timer, number), number);
                }
                Step::Pop => {
                    let expected = sorted.pop_first().map(|((at, ..), event)| (Monotonic(at), event));
                    now = expected.map_or(now, |(at, _)| at.0);
                    prop_assert_eq!(queue.pop(), expected);
                }
                Step::PopUntil(delay) => {
                    let end = now + delay;
                    let first = sorted.first_key_value().map(|((at, ..), _)| *at);
                    let expected = first.filter(|at| *at <= end).and_then(|at| {
                        sorted.pop_first().map(|(_, event)| (Monotonic(at), event))
                    });
                    now = expected.map_or(end, |(at, _)| at.0);
                    prop_assert_eq!(queue.pop_until(Monotonic(end)), expected);
                }
            }
            prop_assert_eq!(queue.now(), Monotonic(now));
            prop_assert_eq!(queue.len(), sorted.len());
            let next = sorted.first_key_value().map(|((at, ..), _)| Monotonic(*at));
            prop_assert_eq!(queue.next_at(), next);
        }
    }
}

#[test]
fn a_shuffle_moves_only_what_is_concurrent_and_of_one_class() {
    let order = |seed| {
        let mut queue = EventQueue::shuffled(Seeds::new(seed).stream("tiebreaks", ""));
        for event in 0..20 {
            let class = if event < 10 {
                EventClass::Timer
            } else {
                EventClass::Arrival
            };
            queue.schedule(Monotonic(7), class, event);
        }
        queue.schedule(Monotonic(6), EventClass::Probe, 20);
        std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect::<Vec<u32>>()
    };
    let (one, other) = (order(1), order(2));
    assert_eq!(order(1), one, "a shuffle is a function of its seed");
    assert_ne!(one, other);
    for order in [one, other] {
        assert_eq!(*order.first().unwrap(), 20, "time first");
        let (arrivals, timers) = order.split_at(1).1.split_at(10);
        assert!(arrivals.iter().all(|event| *event >= 10), "then class");
        assert!(timers.iter().all(|event| *event < 10));
    }
}
