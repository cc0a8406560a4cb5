//! One timeline at two relays: one is killed, and comes back; or the timeline moves away from it.

use serde_json::Value;

use crate::node::{Node, comes, text};
use crate::relay::Relay;

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
    // Her receipt for what came last may be on its way.
    comes("the other one lacks nothing", || {
        relay(&mali, &second.address)["lacking"] == 0
    });
    let served = relay(&mali, &second.address);
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

#[test]
fn a_timeline_moves_away_from_a_relay_that_is_then_killed() {
    let (mut first, second) = (Relay::start(), Relay::start());
    let mali = first.node("มะลิ");
    let opened = mali.json(&["timeline", "new", "สองฝั่ง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let link = || text(&mali.json(&["timeline", "invite", &timeline, "--wait", "stored"])["link"]);
    let ton = Node::new("ต้น");
    ton.json(&["timeline", "join", &link(), "--wait", "stored"]);
    let old = link();
    let _daemons = [mali.daemon(), ton.daemon()];
    ton.json(&["send", &timeline, "at the first", "--wait", "delivered"]);

    let add = ["timeline", "relay", "add", &timeline, &second.address];
    let refused = ton.run(&add);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let remove = ["timeline", "relay", "rm", &timeline, &first.address];
    let alone = mali.run(&remove);
    assert_eq!(alone.code, 2, "{}", alone.stderr);
    let added = mali.json(&[&add[..], &["--wait", "stored"]].concat());
    assert_eq!(added["relays"][1]["lacking"], 0, "{added}");
    mali.json(&["send", &timeline, "at both", "--wait", "delivered"]);
    let moved = mali.json(&remove);
    let left = moved["relays"].as_array().unwrap();
    assert!(
        left.len() == 1 && left[0]["address"] == second.address.as_str(),
        "{moved}"
    );
    comes("the other member has followed", || {
        let relays = ton.json(&["timeline", "relay", "ls", &timeline]);
        relays["relays"].as_array().unwrap().len() == 1
    });

    // An old link leads to the new relay by way of the old one, as long as that stands.
    let som = Node::new("ส้ม");
    som.json(&["timeline", "join", &old, "--wait", "stored"]);
    comes("who came by the old link has followed", || {
        som.run(&["sync"]);
        let relays = som.json(&["timeline", "relay", "ls", &timeline]);
        relays["relays"][0]["address"] == second.address.as_str()
    });
    first.kill();
    ton.json(&["send", &timeline, "at the second", "--wait", "delivered"]);
    let nok = Node::new("นก");
    nok.json(&["timeline", "join", &link(), "--wait", "stored"]);
    let bodies = ["at the first", "at both", "at the second"];
    for node in [&mali, &ton, &nok] {
        assert_eq!(node.bodies(&timeline), bodies);
    }
    let plain = mali.run(&["timeline", "relay", "ls", &timeline]);
    assert!(plain.stdout.contains(&second.address) && !plain.stdout.contains("lacks"));
}

#[test]
fn a_full_relay_is_left_and_whoever_took_it_away_is_told_who_needs_a_link() {
    let (mut first, second) = (Relay::start(), Relay::start());
    let mali = first.node("มะลิ");
    let opened = mali.json(&["timeline", "new", "สองฝั่ง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    mali.json(&["send", &timeline, "before it was full", "--wait", "stored"]);
    first.restart_with("KHLONG_POLICY__TIMELINE_QUOTA", "1KiB");
    let add = ["timeline", "relay", "add", &timeline, &second.address];
    mali.json(&[&add[..], &["--wait", "stored"]].concat());
    // It must refuse twice, five seconds apart: said again, it goes on where it was. Within
    // its three seconds no command meets the second refusal by itself.
    let remove = [
        "--json",
        "timeline",
        "relay",
        "rm",
        &timeline,
        &first.address,
    ];
    let mut moved = Value::Null;
    comes(
        "a full relay is left by commands that are said again",
        || {
            let said = mali.run(&[&remove[..], &["--timeout", "3s"]].concat());
            if said.code == 0 {
                moved = serde_json::from_str(said.stdout.trim()).unwrap();
                return true;
            }
            assert_eq!(said.code, 5, "{}", said.stderr);
            assert!(said.stderr.contains("say it again"), "{}", said.stderr);
            false
        },
    );
    assert_eq!(moved["untold"][0], first.address.as_str(), "{moved}");
    let left = moved["relays"].as_array().unwrap();
    assert!(
        left.len() == 1 && left[0]["address"] == second.address.as_str(),
        "{moved}"
    );
    first.kill();
    // Another process remembers it, until the relay is added again.
    let said = mali.run(&["timeline", "relay", "ls", &timeline]);
    let wanted = format!("{} has no room for the word", first.address);
    assert!(said.stderr.contains(&wanted), "{}", said.stderr);
    assert!(said.stdout.contains(&second.address), "{}", said.stdout);
    let again = ["timeline", "relay", "add", &timeline, &first.address];
    let again = mali.json(&[&again[..], &["--wait", "none"]].concat());
    assert!(again["untold"].is_null(), "{again}");
    assert_eq!(mali.bodies(&timeline), ["before it was full"]);
}

#[test]
fn who_waits_for_a_relay_to_go_is_told_that_it_stays() {
    let (mut first, second) = (Relay::start(), Relay::start());
    let mali = first.node("มะลิ");
    let opened = mali.json(&["timeline", "new", "สองฝั่ง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let add = ["timeline", "relay", "add", &timeline];
    mali.json(&[&add[..], &[&second.address, "--wait", "stored"]].concat());
    let _daemon = mali.daemon();
    first.kill();
    let remove = ["timeline", "relay", "rm", &timeline, &first.address];
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| mali.run(&[&remove[..], &["--timeout", "240s"]].concat()));
        comes("it is being left", || {
            let relays = mali.json(&["timeline", "relay", "ls", &timeline]);
            relays["relays"][0]["leaving"] == true
        });
        mali.json(&[&add[..], &[&first.address, "--wait", "none"]].concat());
        let said = waits.join().unwrap();
        assert_eq!(said.code, 1, "{}", said.stderr);
        assert!(said.stderr.contains("stays"), "{}", said.stderr);
        assert!(said.stdout.contains(&first.address), "{}", said.stdout);
    });
}
