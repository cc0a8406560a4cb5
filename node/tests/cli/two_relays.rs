//! One timeline at two relays: one is killed, and comes back.

use std::time::{Duration, Instant};

use crate::node::{Node, text};
use crate::relay::Relay;

const COME_MAX: Duration = Duration::from_secs(60);

/// Asks until it is so: daemons go on meanwhile.
fn comes(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < COME_MAX, "never: {what}");
    }
}

#[test]
fn a_killed_relay_holds_up_nobody_and_gets_what_it_missed() {
    let (mut first, mut second) = (Relay::start(), Relay::start());
    let mali = first.node("มะลิ");
    mali.json(&["relay", "add", &second.address]);
    let opened = mali.json(&["timeline", "new", "สองฝั่ง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let ton = Node::new("ต้น");
    let link = mali.json(&["timeline", "invite", &timeline, "--wait", "stored"]);
    ton.json(&["timeline", "join", &text(&link["link"]), "--wait", "stored"]);
    let _daemons = [mali.daemon(), ton.daemon()];
    mali.json(&["send", &timeline, "at both", "--wait", "delivered"]);

    first.kill();
    mali.json(&["send", &timeline, "one is dead", "--wait", "delivered"]);
    ton.json(&["send", &timeline, "it is", "--wait", "delivered"]);
    let relay = |node: &Node, address: &str| {
        let status = node.json(&["status"]);
        let relays = status["relays"].as_array().unwrap().clone();
        let mut named = relays.into_iter().filter(|it| it["address"] == address);
        named.next().unwrap()
    };
    let dead = relay(&mali, &first.address);
    let answers = dead["state"] == "connected" && dead["probing"] == false;
    assert!(!answers, "{dead}");
    assert!(dead["lacking"].as_u64().unwrap() > 0, "{dead}");
    let served = relay(&mali, &second.address);
    assert_eq!(served["lacking"], 0, "{served}");
    assert!(served["last_stored_at"].is_string() && served["last_pushed_at"].is_string());

    first.restart();
    for node in [&mali, &ton] {
        comes("it has what it missed", || {
            let back = relay(node, &first.address);
            back["state"] == "connected" && back["lacking"] == 0 && back["caught_up"] == true
        });
    }
    // Who comes now finds all of it there.
    second.kill();
    mali.json(&["send", &timeline, "at the first one", "--wait", "delivered"]);
    let bodies = ["at both", "one is dead", "it is", "at the first one"];
    for node in [&mali, &ton] {
        assert_eq!(node.bodies(&timeline), bodies);
    }
}
