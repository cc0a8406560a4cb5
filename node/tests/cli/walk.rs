//! What people do one after the other, in the order of the README; and relays that come, move and go.

use serde_json::json;

use crate::node::{Node, text};
use crate::relay::Relay;

const MARKET: &str = "ตลาดริมคลอง";

/// A node with a message in a timeline that no relay knows of.
fn alone() -> Node {
    let mali = Node::new("mali");
    mali.open_timeline(MARKET);
    mali.json(&["send", MARKET, "the stall opens at nine", "--wait", "none"]);
    mali
}

fn joins(inviter: &Node, joiner: &Node) {
    let invite = ["timeline", "invite", MARKET, "--wait", "stored"];
    let link = text(&inviter.json(&invite)["link"]);
    joiner.json(&["timeline", "join", &link, "--wait", "stored"]);
    joiner.json(&["sync"]);
}

#[test]
fn what_was_opened_before_any_relay_goes_to_the_first_one() {
    let mali = alone();
    let early = mali.run(&["timeline", "invite", MARKET, "--wait", "none"]);
    assert_eq!(early.code, 2, "{}", early.stderr);
    assert!(
        early.stderr.contains("khlong relay add"),
        "{}",
        early.stderr
    );

    let relay = Relay::start();
    mali.json(&["relay", "add", &relay.address]);
    let ton = Node::new("ton");
    joins(&mali, &ton);
    assert_eq!(ton.bodies(MARKET), ["the stall opens at nine"]);
    ton.json(&["send", MARKET, "I come by boat", "--wait", "stored"]);
    mali.json(&["sync"]);
    assert_eq!(mali.bodies(MARKET).len(), 2);
}

#[test]
fn a_relay_that_moved_is_the_same_one_at_another_address() {
    let relay = Relay::start();
    let (key, _) = relay.address.split_once('@').unwrap();
    let former = format!("{key}@127.0.0.1:9");
    let mali = Node::new("mali");
    mali.json(&["relay", "add", &former]);
    mali.open_timeline(MARKET);
    let relays = mali.json(&["relay", "add", &relay.address]);
    assert_eq!(relays["relays"].as_array().unwrap().len(), 1, "{relays}");
    let timelines = mali.json(&["timeline", "ls"]);
    assert_eq!(timelines["timelines"][0]["relays"], json!([relay.address]));
    mali.json(&["send", MARKET, "over there now", "--wait", "stored"]);
}

#[test]
fn a_relay_is_forgotten_and_the_next_one_carries_on() {
    let former = Relay::start();
    let mali = former.node("mali");
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    mali.json(&["send", MARKET, "stored there", "--wait", "stored"]);
    mali.json(&["send", MARKET, "still waits", "--wait", "none"]);

    let said = mali.run(&["relay", "rm", "nowhere"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let said = mali.run(&["relay", "rm", &former.address]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("--force"), "{}", said.stderr);
    let (_, key) = former.address.split_once("//").unwrap();
    let left = mali.json(&["relay", "rm", &key[..12], "--force"]);
    assert_eq!(left["relays"], json!([]));
    drop(former);

    let next = Relay::start();
    mali.json(&["relay", "add", &next.address]);
    let ton = Node::new("ton");
    joins(&mali, &ton);
    assert_eq!(ton.bodies(MARKET), ["stored there", "still waits"]);
}

#[test]
fn who_left_writes_no_more() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    mali.json(&["timeline", "new", MARKET, "--wait", "none"]);
    let sent = mali.json(&["send", MARKET, "goodbye", "--wait", "none"]);
    let message = text(&sent["id"]);
    mali.json(&["timeline", "leave", MARKET, "--wait", "none"]);
    let orders: [&[&str]; 7] = [
        &["send", MARKET, "still here"],
        &["reply", MARKET, &message, "still here"],
        &["edit", MARKET, &message, "still here"],
        &["react", MARKET, &message, "👋"],
        &["timeline", "rename", MARKET, "mine"],
        &["timeline", "invite", MARKET],
        &["timeline", "leave", MARKET],
    ];
    for order in orders {
        let said = mali.run(order);
        assert_eq!(said.code, 4, "{order:?}: {}{}", said.stdout, said.stderr);
        assert!(
            said.stderr.contains("left that timeline"),
            "{}",
            said.stderr
        );
    }
    assert_eq!(
        mali.bodies(MARKET),
        ["goodbye"],
        "what is here stays readable"
    );
}

#[test]
fn what_nothing_has_arrived_of_is_left_without_a_trace() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    let invite = ["timeline", "invite", MARKET, "--wait", "none"];
    let link = text(&mali.json(&invite)["link"]);
    let ton = Node::new("ton");
    let joined = ton.json(&["timeline", "join", &link, "--wait", "none"]);
    let id = text(&joined["timeline"]["id"]);
    ton.json(&["timeline", "leave", &id, "--wait", "none"]);
    assert_eq!(ton.json(&["timeline", "ls"])["timelines"], json!([]));
    assert_eq!(ton.json(&["outbox", "ls"])["entries"], json!([]));
    // Nobody used the link.
    joins(&mali, &ton);
}

#[test]
fn a_deleted_message_is_neither_edited_nor_answered() {
    let mali = alone();
    let sent = mali.json(&["send", MARKET, "a slip", "--wait", "none"]);
    let message = text(&sent["id"]);
    mali.json(&["delete", MARKET, &message, "--wait", "none"]);
    let orders: [&[&str]; 3] = [
        &["edit", MARKET, &message, "no slip"],
        &["reply", MARKET, &message, "what?"],
        &["react", MARKET, &message, "👍"],
    ];
    for order in orders {
        let said = mali.run(order);
        assert_eq!(said.code, 1, "{order:?}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains("was deleted"), "{}", said.stderr);
    }
}

#[test]
fn two_who_look_alike_are_told_apart() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    // A Cyrillic letter, and one that is not seen at all.
    let (second, third) = (Node::new("mаli"), Node::new("Mali\u{200b}"));
    let ton = Node::new("ton");
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    for other in [&second, &third, &ton] {
        joins(&mali, other);
        other.json(&["send", MARKET, "it is me", "--wait", "stored"]);
    }
    mali.json(&["sync"]);
    let view = &mali.json(&["timeline", "ls"])["timelines"][0];
    let members: Vec<String> = view["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    assert_eq!(members.len(), 4);
    for name in &members {
        assert_eq!(name.contains(" (prn_"), name != "ton", "{name}");
    }
    let log = mali.json_lines(&["log", MARKET]);
    let mut authors: Vec<String> = log.iter().map(|line| text(&line["author"])).collect();
    let mut ids: Vec<String> = log.iter().map(|line| text(&line["author_id"])).collect();
    for list in [&mut authors, &mut ids] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), 3, "{list:?}");
    }
}

#[test]
fn an_address_of_a_link_is_tried_and_takes_the_place_of_none() {
    let relay = Relay::start();
    let (key, place) = relay.address.split_once('@').unwrap();
    let stale = format!("{key}@127.0.0.1:9");
    let mali = relay.node("mali");
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    let ton = Node::new("ton");
    ton.json(&["relay", "add", &stale]);
    joins(&mali, &ton);
    ton.json(&["send", MARKET, "found you", "--wait", "stored"]);
    let relays = ton.json(&["relay", "ls"]);
    assert_eq!(relays["relays"].as_array().unwrap().len(), 1, "{relays}");
    // What a person added stays; the link's address is remembered beside it.
    assert_eq!(ton.json(&["relay", "ls"])["relays"][0]["address"], stale);
    ton.json(&["relay", "rm", &format!("{key}@{place}"), "--force"]);
    assert_eq!(ton.json(&["relay", "ls"])["relays"], json!([]));
}

#[test]
fn empty_texts_say_nothing_and_are_refused() {
    let mali = alone();
    let sent = mali.json(&["send", MARKET, "a text", "--wait", "none"]);
    let message = text(&sent["id"]);
    let orders: [&[&str]; 6] = [
        &["send", MARKET, ""],
        &["send", MARKET, " \n "],
        &["edit", MARKET, &message, " "],
        &["timeline", "new", " "],
        &["timeline", "rename", MARKET, ""],
        &["nickname", " "],
    ];
    for order in orders {
        let said = mali.run(order);
        assert_eq!(said.code, 2, "{order:?}: {}{}", said.stdout, said.stderr);
    }
}
