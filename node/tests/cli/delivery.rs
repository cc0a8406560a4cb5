//! Queued, stored, delivered, read: each claimed only when it is so.

use std::io::BufReader;
use std::process::ChildStdout;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{EnvelopeId, LogId};
use khlong_node::folder::STORE_FOLDER;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use khlong_store::tables::receipts::{self, Promise};
use serde_json::Value;

use crate::node::{Node, next_line, text};
use crate::relay::Relay;

/// Two members of one timeline; the second has joined and has its history.
fn pair(relay: &Relay) -> (Node, Node, String) {
    let (mali, ton) = (relay.node("มะลิ"), relay.node("ต้น"));
    let opened = mali.json(&["timeline", "new", "แผงริมคลอง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let link = text(&mali.json(&["timeline", "invite", &timeline, "--wait", "stored"])["link"]);
    let joined = ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    assert_eq!(
        joined["timeline"]["title"], "แผงริมคลอง",
        "the history is there after joining"
    );
    (mali, ton, timeline)
}

fn delivery(node: &Node, timeline: &str, body: &str) -> String {
    let log = node.json_lines(&["log", timeline]);
    text(&log.iter().find(|line| line["body"] == body).unwrap()["delivery"])
}

#[test]
fn a_message_is_queued_then_stored_then_delivered_then_read() {
    let mut relay = Relay::start();
    let (mali, ton, timeline) = pair(&relay);

    relay.kill();
    let sent = mali.json(&["send", &timeline, "น้ำอัญชัน", "--timeout", "300ms"]);
    assert_eq!(sent["delivery"], "queued", "no relay has it");
    assert_eq!(
        mali.run(&[
            "send",
            &timeline,
            "!",
            "--wait",
            "stored",
            "--timeout",
            "300ms"
        ])
        .code,
        5
    );

    relay.restart();
    mali.json(&["sync"]);
    assert_eq!(
        delivery(&mali, &timeline, "น้ำอัญชัน"),
        "stored",
        "nobody else has been online since"
    );
    assert_eq!(
        mali.run(&[
            "send",
            &timeline,
            "?",
            "--wait",
            "delivered",
            "--timeout",
            "500ms"
        ])
        .code,
        5
    );

    // Half a second may have been too short for the relay as well.
    mali.json(&["sync"]);
    ton.json(&["sync"]);
    assert_eq!(ton.bodies(&timeline), ["น้ำอัญชัน", "!", "?"]);
    mali.json(&["sync"]);
    assert_eq!(
        delivery(&mali, &timeline, "น้ำอัญชัน"),
        "delivered",
        "ต้น has it and has not read it"
    );
    assert_eq!(delivery(&ton, &timeline, "น้ำอัญชัน"), "received");

    ton.json(&["read", &timeline, "--wait", "stored"]);
    mali.json(&["sync"]);
    assert_eq!(delivery(&mali, &timeline, "น้ำอัญชัน"), "read");
}

#[test]
fn waiting_for_the_reader_ends_when_it_was_read() {
    let relay = Relay::start();
    let (mali, ton, timeline) = pair(&relay);
    let _daemon = ton.daemon();
    let (mut sender, mut lines) = mali.stream(&[
        "--json",
        "send",
        &timeline,
        "อ่านด้วย",
        "--wait",
        "read",
        "--timeout",
        "240s",
    ]);
    let (_follower, mut arriving) = ton.stream(&["--json", "log", &timeline, "--follow"]);
    wait_for(&mut arriving, "อ่านด้วย");
    ton.json(&["read", &timeline]);
    let written: Value = serde_json::from_str(&next_line(&mut lines)).unwrap();
    assert_eq!(written["delivery"], "read");
    assert!(sender.0.wait().unwrap().success());
}

#[test]
fn waiting_in_vain_says_how_far_the_message_came() {
    let relay = Relay::start();
    let (mali, _ton, timeline) = pair(&relay);
    let said = mali.run(&["send", &timeline, "x", "--wait", "stored"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let _daemon = mali.daemon();
    // On a busy machine the relay may need longer.
    let is_stored = ["3s", "15s", "60s"].into_iter().any(|time| {
        let said = mali.run(&["send", &timeline, "y", "--wait", "read", "--timeout", time]);
        assert_eq!(said.code, 5, "{}", said.stderr);
        said.stderr.contains("it is stored")
    });
    assert!(is_stored);
}

#[test]
fn a_message_reaches_a_follower_at_once() {
    let relay = Relay::start();
    let (mali, ton, timeline) = pair(&relay);
    let (_mali, _ton) = (mali.daemon(), ton.daemon());
    let (_follower, mut arriving) = ton.stream(&["--json", "log", &timeline, "--follow"]);
    mali.json(&["send", &timeline, "สวัสดี", "--wait", "delivered"]);
    wait_for(&mut arriving, "สวัสดี");
    ton.json(&["send", &timeline, "หวัดดี", "--wait", "delivered"]);
    assert_eq!(mali.bodies(&timeline), ["สวัสดี", "หวัดดี"]);
    let (hers, his) = (
        mali.json(&["export", &timeline, "--digest"]),
        ton.json(&["export", &timeline, "--digest"]),
    );
    assert_eq!(hers, his);
}

#[test]
fn a_follower_sees_each_own_message_and_change_once() {
    let mali = Node::new("mali");
    let timeline = mali.open_timeline("once");
    mali.json(&["send", &timeline, "before", "--wait", "none"]);
    let _daemon = mali.daemon();
    let (_follower, mut arriving) = mali.stream(&["--json", "log", &timeline, "--follow"]);
    assert!(next_line(&mut arriving).contains("before"));
    let message = text(&mali.json(&["send", &timeline, "first"])["id"]);
    assert!(next_line(&mut arriving).contains("first"));
    mali.json(&["edit", &timeline, &message, "second"]);
    assert!(next_line(&mut arriving).contains("second"));
    mali.json(&["send", &timeline, "third"]);
    assert!(next_line(&mut arriving).contains("third"));
}

/// A connection of which only one side knows any more would look alive for a
/// minute and a half; the restarted relay says at once that it forgot it.
#[test]
fn a_daemon_finds_a_relay_that_was_killed_and_came_back() {
    let mut relay = Relay::start();
    let mali = relay.node("mali");
    let timeline =
        text(&mali.json(&["timeline", "new", "restart", "--wait", "stored"])["timeline"]["id"]);
    let _daemon = mali.daemon();
    mali.json(&["send", &timeline, "before", "--wait", "stored"]);
    relay.kill();
    relay.restart();
    mali.json(&[
        "send",
        &timeline,
        "after",
        "--wait",
        "stored",
        "--timeout",
        "60s",
    ]);
}

/// The connection of a daemon stands for a while after the relay died.
#[test]
fn a_relay_that_died_is_never_said_to_be_in_step() {
    let mut relay = Relay::start();
    let mali = relay.node("mali");
    mali.open_timeline("canal");
    let _daemon = mali.daemon();
    mali.json(&["sync"]);
    let alive = &mali.json(&["status"])["relays"][0];
    assert_eq!(
        (&alive["caught_up"], &alive["probing"]),
        (&true.into(), &false.into())
    );
    assert!(mali.run(&["status"]).stdout.contains("connected, all here"));
    relay.kill();
    let said = mali.run(&["sync", "--timeout", "300ms"]);
    assert_eq!(said.code, 5, "{}", said.stdout);
    assert!(!said.stdout.contains("all here"), "{}", said.stdout);
    let said = mali.run(&["status"]);
    assert!(!said.stdout.contains("all here"), "{}", said.stdout);
}

#[test]
fn sync_without_a_relay_in_reach_is_exit_5() {
    let mut relay = Relay::start();
    let mali = relay.node("mali");
    assert_eq!(mali.run(&["sync"]).code, 0);
    relay.kill();
    assert_eq!(mali.run(&["sync", "--timeout", "500ms"]).code, 5);
}

#[test]
fn an_invite_works_once_and_leaving_ends_following() {
    let relay = Relay::start();
    let (mali, ton, timeline) = pair(&relay);
    let link = text(&mali.json(&["timeline", "invite", &timeline, "--wait", "stored"])["link"]);
    let (first, second) = (relay.node("somchai"), relay.node("thief"));
    first.json(&["timeline", "join", &link, "--wait", "stored"]);
    let said = second.run(&[
        "timeline",
        "join",
        &link,
        "--wait",
        "stored",
        "--timeout",
        "2s",
    ]);
    assert_ne!(said.code, 0, "{}", said.stdout);
    assert_eq!(
        first.json(&["timeline", "ls"])["timelines"][0]["title"],
        "แผงริมคลอง"
    );

    ton.json(&["timeline", "leave", &timeline, "--wait", "stored"]);
    mali.json(&["timeline", "rename", &timeline, "ริมน้ำ", "--wait", "stored"]);
    ton.json(&["sync"]);
    let left = &ton.json(&["timeline", "ls"])["timelines"][0];
    assert_eq!(
        (&left["title"], &left["followed"]),
        (&"แผงริมคลอง".into(), &false.into())
    );
    first.json(&["sync"]);
    assert_eq!(
        first.json(&["timeline", "ls"])["timelines"][0]["title"],
        "ริมน้ำ"
    );
}

/// "Stored" is more than a word: the folder holds what the relay signed for each envelope.
#[test]
fn a_node_keeps_a_proof_for_each_envelope_that_a_relay_stored() {
    let mut relay = Relay::start();
    let mali = relay.node("มะลิ");
    let opened = mali.json(&["timeline", "new", "แผงริมคลอง", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    relay.kill();
    for body in ["one", "two", "three"] {
        mali.json(&["send", &timeline, body, "--wait", "none"]);
    }
    relay.restart();
    mali.json(&["sync"]);

    let address: RelayAddress = relay.address.parse().unwrap();
    let options = OpenOptions {
        role: Role::Node,
        fresh_log_id: LogId::from_bytes([0; 16]),
        accept_loss: false,
        sizes: RocksOptions::default(),
    };
    let store = Store::open(&mali.home().join(STORE_FOLDER), &options).unwrap();
    let (mut proven, mut together) = (0, 0);
    store
        .for_each_row(&mut |table, key, _| {
            if table != Table::Envelope {
                return Ok(());
            }
            let id = EnvelopeId::from_bytes(key.try_into().unwrap());
            let kept = receipts::get(&store, &id)?;
            let [Promise::Proof(proof)] = kept.as_slice() else {
                panic!("{kept:?}")
            };
            assert_eq!(proof.receipt.relay, address.key);
            proof.verify(&id).unwrap();
            proven += 1;
            together += usize::from(proof.receipt.count > 1);
            Ok(())
        })
        .unwrap();
    assert!(proven >= 6, "genesis, author, epoch and three messages");
    assert!(
        together >= 3,
        "appended together, each with a proof of its own"
    );
}

#[test]
fn a_link_for_one_card_is_of_no_use_to_others() {
    let relay = Relay::start();
    let (mali, ton, thief) = (relay.node("mali"), relay.node("ton"), relay.node("thief"));
    let timeline =
        text(&mali.json(&["timeline", "new", "targeted", "--wait", "stored"])["timeline"]["id"]);
    let card = text(&ton.json(&["id"])["card"]);
    let link = text(
        &mali.json(&[
            "timeline", "invite", &timeline, "--to", &card, "--wait", "stored",
        ])["link"],
    );
    let said = thief.run(&["timeline", "join", &link]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stderr.contains("another person"), "{}", said.stderr);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    ton.json(&["send", &timeline, "here", "--wait", "stored"]);
    mali.json(&["sync"]);
    assert_eq!(mali.bodies(&timeline), ["here"]);
}

fn wait_for(lines: &mut BufReader<ChildStdout>, body: &str) {
    while !next_line(lines).contains(body) {}
}

#[test]
fn what_a_relay_announced_is_counted_as_it_arrives() {
    let relay = Relay::start();
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    mali.json(&["timeline", "new", "canal", "--wait", "stored"]);
    let link = text(&mali.json(&["timeline", "invite", "canal", "--wait", "stored"])["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    for n in 0..3 {
        mali.json(&["send", "canal", &n.to_string(), "--wait", "stored"]);
    }
    let _daemon = ton.daemon();
    let relay = ton.json(&["sync"])["relays"][0].clone();
    assert!(relay["announced"].as_u64().unwrap() >= 3, "{relay}");
    assert!(
        relay["arrived"].as_u64() >= relay["announced"].as_u64(),
        "{relay}"
    );
}
