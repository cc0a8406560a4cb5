//! Links that lead nowhere: said by the exit code, and nothing stays behind.

use serde_json::json;

use crate::node::{Node, Said, text};
use crate::relay::Relay;

const MARKET: &str = "ตลาดริมคลอง";
const PATIENCE: [&str; 4] = ["--wait", "stored", "--timeout", "60s"];

/// A link to a timeline; the relay has both.
fn link(mali: &Node) -> String {
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    let invite = ["timeline", "invite", MARKET, "--wait", "stored"];
    text(&mali.json(&invite)["link"])
}

fn join(node: &Node, link: &str, options: &[&str]) -> Said {
    node.run(&[&["timeline", "join", link], options].concat())
}

fn assert_not_let_in(node: &Node, said: &Said, why: &str) {
    assert_eq!(said.code, 4, "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.contains(why), "{}", said.stderr);
    assert!(said.stdout.is_empty(), "{}", said.stdout);
    assert_eq!(node.json(&["timeline", "ls"])["timelines"], json!([]));
    assert_eq!(node.json(&["outbox", "ls"])["entries"], json!([]));
}

#[test]
fn a_used_link_is_exit_4_and_leaves_nothing() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    let used = link(&mali);
    let (ton, som) = (Node::new("ton"), Node::new("som"));
    assert_eq!(join(&ton, &used, &PATIENCE).code, 0);
    for options in [&PATIENCE[..], &PATIENCE[2..]] {
        let said = join(&som, &used, options);
        assert_not_let_in(&som, &said, "AlreadyHandedOver");
    }
    let invite = ["timeline", "invite", MARKET, "--wait", "stored"];
    let fresh = text(&mali.json(&invite)["link"]);
    let said = join(&som, &fresh, &PATIENCE);
    assert_eq!(said.code, 0, "a new link helps: {}", said.stderr);
}

/// The relay knows nothing of the link, as of one that has expired.
#[test]
fn a_link_that_the_relay_does_not_know_is_exit_4_and_leaves_nothing() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    let invite = ["timeline", "invite", MARKET, "--wait", "none"];
    let early = text(&mali.json(&invite)["link"]);
    let som = Node::new("som");
    for wait in [&PATIENCE[..2], &[]] {
        // The relay's word may change, so it is waited for to the end; on a busy machine none
        // may have come by then.
        let mut times = ["3s", "15s", "60s"].into_iter();
        let said = loop {
            let time = times.next().expect("the relay says nothing");
            let said = join(&som, &early, &[wait, &["--timeout", time]].concat());
            if said.code == 4 {
                break said;
            }
            assert_eq!(said.code, 5, "{}", said.stderr);
        };
        assert_not_let_in(&som, &said, "expired");
    }
    mali.json(&["sync"]);
    let said = join(&som, &early, &PATIENCE);
    assert_eq!(said.code, 0, "nobody has used it: {}", said.stderr);
}

#[test]
fn a_daemon_keeps_no_half_timeline_either() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    let used = link(&mali);
    let (ton, som) = (Node::new("ton"), Node::new("som"));
    assert_eq!(join(&ton, &used, &PATIENCE).code, 0);
    let _daemon = som.daemon();
    let said = join(&som, &used, &PATIENCE[2..]);
    assert_not_let_in(&som, &said, "AlreadyHandedOver");
}

/// Nobody knows whether the link was used at a relay that is not reached.
#[test]
fn what_no_relay_has_judged_is_still_joined_later() {
    let mut relay = Relay::start();
    let mali = relay.node("mali");
    let link = link(&mali);
    relay.kill();
    let ton = Node::new("ton");
    let said = join(&ton, &link, &["--wait", "stored", "--timeout", "2s"]);
    assert_eq!(said.code, 5, "{}", said.stderr);
    assert_eq!(
        ton.json(&["timeline", "ls"])["timelines"][0]["kind"],
        "joining"
    );
    relay.restart();
    ton.json(&["sync"]);
    assert_eq!(
        ton.json(&["timeline", "ls"])["timelines"][0]["title"],
        MARKET
    );
}

#[test]
fn an_invite_without_a_relay_writes_nothing() {
    let mali = Node::new("mali");
    mali.open_timeline(MARKET);
    let before = mali.json(&["outbox", "ls"]);
    let said = mali.run(&["timeline", "invite", MARKET, "--wait", "none"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_eq!(mali.json(&["outbox", "ls"]), before);
}

#[test]
fn a_link_of_more_than_four_relays_is_no_link() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    let link = link(&mali);
    let (place, secret) = link.split_once('#').unwrap();
    let more: Vec<String> = (0..4)
        .map(|_| Relay::start().address.replace("khlong://", "also="))
        .collect();
    let named = |count: usize| format!("{place}?{}#{secret}", more[..count].join("&"));
    let ton = Node::new("ton");
    let said = join(&ton, &named(4), &["--wait", "none"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("1 to 4"), "{}", said.stderr);
    assert_eq!(ton.json(&["timeline", "ls"])["timelines"], json!([]));
    assert_eq!(join(&ton, &named(3), &["--wait", "none"]).code, 0);
}
