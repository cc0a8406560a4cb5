//! One timeline at two relays: one is killed, comes back, and is left.

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

fn addresses(node: &Node, timeline: &str) -> Vec<String> {
    let relays = node.json(&["timeline", "relays", timeline])["relays"].clone();
    let relays = relays.as_array().unwrap().iter();
    relays.map(|relay| text(&relay["address"])).collect()
}

#[test]
fn a_killed_relay_holds_up_nobody_and_then_everybody_moves_away() {
    let (mut first, second) = (Relay::start(), Relay::start());
    let mali = first.node("มะลิ");
    mali.json(&["relay", "add", &second.address]);
    let opened = mali.json(&["timeline", "new", "สองฝั่ง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let (som, ton) = (Node::new("ส้ม"), Node::new("ต้น"));
    for node in [&som, &ton] {
        let link = mali.json(&["timeline", "invite", &timeline, "--wait", "stored"]);
        node.json(&["timeline", "join", &text(&link["link"]), "--wait", "stored"]);
    }
    let _daemons = [mali.daemon(), som.daemon(), ton.daemon()];
    mali.json(&["send", &timeline, "at both", "--wait", "replicated"]);
    let log = mali.json_lines(&["log", &timeline]);
    assert_eq!(log[0]["stored_at"].as_array().unwrap().len(), 2);

    first.kill();
    mali.json(&["send", &timeline, "one is dead", "--wait", "stored"]);
    ton.json(&["send", &timeline, "it is", "--wait", "delivered"]);
    let shown = |node: &Node, body: &str| {
        let log = node.json_lines(&["log", &timeline]);
        log.into_iter().find(|line| line["body"] == body)
    };
    let said = shown(&ton, "one is dead").unwrap();
    assert_eq!(said["served_by"], second.address.as_str());
    assert_eq!(
        shown(&ton, "it is").unwrap()["stored_at"][0],
        second.address.as_str()
    );
    let late = ["--wait", "replicated", "--timeout", "300ms"];
    let said = mali.run(&[&["send", &timeline, "to two?"][..], &late].concat());
    assert_eq!(said.code, 5, "{}", said.stderr);
    let synced = mali.run(&["sync"]);
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert!(synced.stderr.contains(&first.address), "{}", synced.stderr);

    first.restart();
    mali.json(&[
        "send",
        &timeline,
        "both again",
        "--wait",
        "replicated",
        "--timeout",
        "60s",
    ]);
    let log = mali.json_lines(&["log", &timeline]);
    let own = log.iter().filter(|line| line["mine"] == true);
    assert!(
        own.clone()
            .all(|line| line["stored_at"].as_array().unwrap().len() == 2)
    );
    assert_eq!(own.count(), 4);

    let moved = mali.run(&["timeline", "move", &timeline, "--to", &second.address]);
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    for node in [&mali, &som, &ton] {
        comes("it has left the first relay", || {
            addresses(node, &timeline) == [second.address.as_str()]
        });
    }
    first.kill();
    mali.json(&[
        "send",
        &timeline,
        "at the second one",
        "--wait",
        "delivered",
    ]);
    let digest =
        |node: &Node| node.json(&["export", &timeline, "--digest"])["canonical_hash"].clone();
    comes("all show the same", || {
        let all = [&mali, &som, &ton].map(digest);
        all.iter().all(|one| *one == all[0]) && som.bodies(&timeline).len() == 6
    });
}

#[test]
fn a_timeline_with_one_relay_is_not_replicated() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    let timeline = mali.open_timeline("canal");
    let said = mali.run(&["send", &timeline, "twice?", "--wait", "replicated"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("timeline move"), "{}", said.stderr);
    assert_eq!(mali.bodies(&timeline), ["twice?"]);
}

/// The former relay is used until the new one has everything.
#[test]
fn a_relay_without_room_is_not_moved_to() {
    let (first, second) = (
        Relay::start(),
        Relay::start_with(&[("KHLONG_POLICY__TIMELINE_QUOTA", "4KiB")]),
    );
    let mali = first.node("mali");
    let timeline = mali.open_timeline("canal");
    // Nothing that compresses.
    let mut state = 1_u64;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + (state >> 33) as u8 % 26)
    };
    let body: String = (0..10_000).map(|_| letter()).collect();
    mali.json(&["send", &timeline, &body, "--wait", "stored"]);
    let arguments = ["timeline", "move", &timeline, "--to", &second.address];
    let said = mali.run(&[&arguments[..], &["--timeout", "2s"]].concat());
    assert_ne!(said.code, 0, "{}", said.stdout);
    assert!(said.stdout.contains("on the way there"), "{}", said.stdout);
    mali.json(&["send", &timeline, "still here", "--wait", "stored"]);
    assert_eq!(addresses(&mali, &timeline)[0], first.address);
}
