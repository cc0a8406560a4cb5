//! Rows rot at rest: what is good is shown, what is not is told and fetched again.

use khlong_crdt::class::Class;
use khlong_crdt::envelope::Kind;
use khlong_crdt::id::ArrivalSeq;
use khlong_node::api::Event;
use khlong_store::table::Table;
use khlong_store::tables::timelines;

use crate::conversation::pair;
use crate::net::Net;

/// The key of the newest change that `name` has, in the index of its timeline, and its id.
fn newest_change(net: &Net, name: &'static str) -> (Vec<u8>, Vec<u8>) {
    let store = net.people[name].peer.as_ref().unwrap().store();
    let timeline = timelines::timelines(store).unwrap()[0];
    let (first, end) = (ArrivalSeq(0), ArrivalSeq(u64::MAX));
    let all = timelines::entries(
        store,
        &timeline,
        Class::Text,
        first,
        end,
        10_000,
        usize::MAX,
    );
    let all = all.unwrap();
    let newest = all
        .iter()
        .rfind(|entry| entry.envelope.kind() == Kind::Change);
    let newest = newest.unwrap();
    let arrival = newest.arrival.0.to_be_bytes();
    let index = [timeline.as_bytes(), &[Class::Text as u8][..], &arrival].concat();
    (index, newest.envelope.id().as_bytes().to_vec())
}

/// Power goes, a bit of a row turns, and the node starts where no relay can be reached.
fn rot(net: &mut Net, name: &'static str, table: Table, key: &[u8]) {
    net.crash(name);
    net.cut(name);
    assert!(net.people[name].node.disk.rot(table, key, 400));
    net.start(name);
    net.run_ms(1_000);
}

fn told(net: &Net, name: &'static str) -> usize {
    let events = net.people[name].events.iter();
    events
        .filter(|event| matches!(event, Event::Damaged { rows: 1, .. }))
        .count()
}

#[test]
fn a_damaged_envelope_is_passed_over_and_comes_back_from_the_relay() {
    let mut net = Net::new(301, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "one");
    net.settle();
    let (_, id) = newest_change(&net, "ton");
    net.at("mali").send("canal", "two");
    net.settle();
    rot(&mut net, "ton", Table::Envelope, &id);
    assert!(!net.at("ton").bodies("canal").contains(&"one".to_owned()));
    assert_eq!(net.at("ton").timelines()[0].damaged, 1);
    assert_eq!(told(&net, "ton"), 1);
    net.heal();
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["one", "two"]);
    assert_eq!(net.at("ton").timelines()[0].damaged, 0);
    net.assert_converged("canal");
    net.crash("ton");
    net.start("ton");
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["one", "two"], "for good");
    assert_eq!(told(&net, "ton"), 1, "whole again");
}

#[test]
fn a_damaged_index_row_hides_nothing() {
    let mut net = Net::new(302, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "one");
    net.settle();
    let (index, _) = newest_change(&net, "ton");
    net.at("mali").send("canal", "two");
    net.settle();
    rot(&mut net, "ton", Table::TimelineArrival, &index);
    assert_eq!(net.at("ton").bodies("canal"), ["one", "two"]);
    assert_eq!(net.at("ton").timelines()[0].damaged, 1);
    net.heal();
    net.settle();
    net.at("ton").send("canal", "three");
    net.settle();
    net.assert_converged("canal");
}

/// The end of one's own chain is what the next envelope is numbered by.
#[test]
fn who_cannot_read_their_own_last_envelope_never_uses_its_place_again() {
    let mut net = Net::new(303, &["mali", "ton"]);
    pair(&mut net);
    net.at("ton").send("canal", "mine");
    net.settle();
    let (_, id) = newest_change(&net, "ton");
    rot(&mut net, "ton", Table::Envelope, &id);
    net.at("ton").send("canal", "after");
    net.heal();
    net.settle();
    let hub = net.relay.hub.as_ref().unwrap();
    assert_eq!(hub.stats().forks_seen, 0, "one place of a chain used twice");
    let mut bodies = net.at("mali").bodies("canal");
    bodies.sort();
    assert_eq!(bodies, ["after", "mine"]);
    net.assert_converged("canal");
}
