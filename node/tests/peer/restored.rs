//! Two copies of one node, as a backup makes them: they must never write under one key.

use khlong_node::api::Delivery;

use crate::conversation::pair;
use crate::net::Net;

fn assert_no_fork(net: &mut Net) {
    net.assert_converged("canal");
    let hub = net.relay.hub.as_ref().unwrap();
    assert_eq!(hub.stats().forks_seen, 0, "one place of a chain used twice");
}

#[test]
fn a_restored_copy_goes_on_under_another_key() {
    let mut net = Net::new(91, &["mali", "ton"]);
    pair(&mut net);
    net.at("ton").send("canal", "before the backup");
    net.settle();
    net.restore("ton", "copy");
    for name in ["ton", "copy", "mali"] {
        net.at(name).send("canal", &format!("by {name}"));
    }
    net.settle();
    assert_eq!(net.at("mali").bodies("canal").len(), 4);
    assert_no_fork(&mut net);
}

/// The backup was made while the invite was on its way: both copies hold the
/// same handover, and go apart as soon as they are let in.
#[test]
fn copies_of_a_node_that_was_joining_go_apart_when_it_is_let_in() {
    let mut net = Net::new(92, &["mali", "ton"]);
    net.at("mali").open_timeline("canal");
    net.settle();
    net.cut("mali");
    let link = net.at("mali").invite("canal", None);
    net.at("ton").join(&link);
    net.run_ms(5_000);
    net.restore("ton", "copy");
    net.run_ms(5_000);
    // It is remembered for as long as it takes.
    net.crash("copy");
    net.start("copy");
    net.heal();
    net.run_ms(60_000);
    net.settle();
    for name in ["ton", "copy"] {
        for n in 0..3 {
            net.at(name).send("canal", &format!("{n} by {name}"));
        }
    }
    net.settle();
    assert_eq!(net.at("mali").bodies("canal").len(), 6);
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"]);
    assert_no_fork(&mut net);
}

/// A copy from before the last messages gets them from the relay: they were stored, and
/// nobody took them out of the outbox.
#[test]
fn a_restored_copy_calls_nothing_dropped_that_was_not() {
    let mut net = Net::new(93, &["mali", "ton"]);
    pair(&mut net);
    net.at("ton").send("canal", "before the backup");
    net.restore("ton", "copy");
    net.at("ton").send("canal", "after the backup");
    net.settle();
    assert_eq!(
        net.at("copy").bodies("canal"),
        net.at("ton").bodies("canal")
    );
    for body in ["before the backup", "after the backup"] {
        let delivery = net.at("copy").delivery("canal", body);
        assert!(
            delivery >= Delivery::Stored && delivery <= Delivery::Read,
            "{body}: {delivery:?}"
        );
    }
}
