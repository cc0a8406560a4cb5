//! While a relay is offered a history again: what is stored already, what is owed, what is refused.

use khlong_crdt::class::Class;
use khlong_node::api::{Delivery, Request, Response};

use crate::conversation::pair;
use crate::net::Net;
use crate::reoffer::{at_relay, cursors, lose_relay, relay_at, write, written};

/// What waited when the log was lost is stored as soon as the new log has it.
#[test]
fn what_the_new_log_has_signed_for_is_stored_before_the_rest_is_there() {
    let mut net = Net::new(321, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    write(&mut net, 900);
    let before = at_relay(&net, Class::Text);
    net.cut("mali");
    net.at("mali").send("canal", "waits");
    lose_relay(&mut net);
    net.heal();
    net.cut("ton");
    net.run_until("a part is there again", |net| {
        at_relay(net, Class::Text) >= 200
    });
    assert!(at_relay(&net, Class::Text) < before);
    let delivery = net.at("mali").delivery("canal", "waits");
    assert_eq!(delivery, Delivery::Stored);
    assert_eq!(net.at("mali").delivery("canal", "899"), Delivery::Queued);
    net.heal();
    net.settle();
    net.assert_converged("canal");
}

/// Leaving gives the rest up; coming back owes it again.
#[test]
fn who_left_in_the_middle_and_comes_back_goes_on() {
    let mut net = Net::new(322, &["mali", "ton"]);
    written(&mut net, 900);
    let before = at_relay(&net, Class::Text);
    let link = net.at("mali").invite("canal", None);
    net.settle();
    lose_relay(&mut net);
    net.run_until("a part is there again", |net| {
        at_relay(net, Class::Text) >= 200
    });
    net.at("mali").leave("canal");
    net.settle();
    assert!(at_relay(&net, Class::Text) < before);
    net.at("mali").join(&link);
    net.settle();
    assert!(at_relay(&net, Class::Text) >= before);
    assert_eq!(cursors(&net, "mali"), 0);
}

/// Whom nothing lets in any more is told so, and holds up nothing else.
#[test]
fn what_no_grant_lets_in_any_more_is_refused_after_a_few_rounds() {
    let mut net = Net::new(323, &["mali", "ton"]);
    net.at("mali").open_timeline("canal");
    let request = Request::TimelineInvite {
        timeline: "canal".to_owned(),
        to: None,
        read_only: false,
        expires_in_s: 60,
    };
    let Response::Invite { link, .. } = net.at("mali").ask(request) else {
        panic!("no invite");
    };
    net.settle();
    net.at("ton").join(&link);
    net.settle();
    net.at("ton").send("canal", "in time");
    net.at("ton").open_timeline("other");
    net.settle();
    net.cut("ton");
    net.at("ton").send("canal", "too late");
    net.run_ms(90_000);
    lose_relay(&mut net);
    net.heal();
    net.run_until("it is refused", |net| {
        relay_at(net, "ton").reoffer_refused.is_some()
    });
    net.at("ton").send("other", "goes on");
    net.run_ms(300);
    assert_eq!(net.at("ton").delivery("other", "goes on"), Delivery::Stored);
    net.run_ms(120_000);
    assert_eq!(cursors(&net, "ton"), 0);
    let told = relay_at(&mut net, "ton");
    assert_eq!((told.reoffering, told.reoffer_refused), (0, None));
    assert_eq!(net.at("ton").waiting(), 0);
    let delivery = net.at("ton").delivery("canal", "too late");
    assert_eq!(delivery, Delivery::Refused);
}
