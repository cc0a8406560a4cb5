//! Which of two relays served, as `timeline relay ls` and `status` tell it, word by word.

use jiff::Timestamp;
use serde_json::Value;

use crate::node::{Node, comes, text};
use crate::relay::Relay;

const CANAL: &str = "สองฝั่ง";

/// A time as people see it.
fn minute(at: &Value) -> String {
    text(at)[..16].replace('T', " ")
}

fn when(at: &Value) -> Option<Timestamp> {
    at.as_str().map(|at| at.parse().unwrap())
}

/// `, last stored 2026-11-28 08:13, last sent 2026-11-28 08:14`.
fn served(relay: &Value) -> String {
    let mut told = String::new();
    for (what, at) in [("stored", "last_stored_at"), ("sent", "last_pushed_at")] {
        if !relay[at].is_null() {
            told.push_str(&format!(", last {what} {}", minute(&relay[at])));
        }
    }
    told
}

/// The answer as JSON and as text, of one moment: neither is shown while things go on.
fn both(node: &Node, command: &[&str]) -> (Value, String) {
    let mut found = None;
    comes("nothing goes on meanwhile", || {
        let json = node.json(command);
        let plain = node.run(command).stdout;
        found = (node.json(command) == json).then_some((json, plain));
        found.is_some()
    });
    found.unwrap()
}

fn list(json: &Value) -> &[Value] {
    json["relays"].as_array().unwrap()
}

fn at<'j>(relay: &Relay, json: &'j Value) -> &'j Value {
    let mut named = list(json)
        .iter()
        .filter(|it| it["address"] == relay.address.as_str());
    named.next().unwrap()
}

#[test]
fn which_of_two_relays_served_a_timeline_is_told_word_by_word() {
    let (mut first, second) = (Relay::start(), Relay::start());
    let (mali, ton) = (first.node("มะลิ"), Node::new("ต้น"));
    mali.json(&["relay", "add", &second.address]);
    let opened = mali.json(&["timeline", "new", CANAL, "--wait", "stored"]);
    mali.json(&["timeline", "new", "quiet", "--wait", "stored"]);
    let link = mali.json(&["timeline", "invite", CANAL, "--wait", "stored"]);
    ton.json(&["timeline", "join", &text(&link["link"]), "--wait", "stored"]);
    mali.json(&["sync"]);

    // A command that only looks has asked no relay for anything.
    let look = ["timeline", "relay", "ls", CANAL];
    let known = mali.run(&look).stdout;
    let bare = format!("{}  off\n{}  off\n", first.address, second.address);
    assert_eq!(known, bare);

    let _daemons = [mali.daemon(), ton.daemon()];
    let settled = || {
        let status = mali.json(&["status"]);
        let mut relays = list(&status).iter();
        status["queued"] == 0 && relays.all(|relay| relay["caught_up"] == true)
    };
    comes("both relays have all", settled);
    first.kill();
    mali.json(&["send", CANAL, "one is dead", "--wait", "delivered"]);
    let (json, plain) = both(&mali, &look);
    let (dead, alive) = (at(&first, &json), at(&second, &json));
    for time in ["last_stored_at", "last_pushed_at"] {
        let (dead, alive) = (when(&dead[time]), when(&alive[time]));
        assert!(dead < alive, "her message, and his receipt: {json}");
    }
    assert_eq!(
        plain,
        format!(
            "{}  {}, lacks {}{}\n{}  connected{}\n",
            first.address,
            text(&dead["state"]),
            dead["lacking"],
            served(dead),
            second.address,
            served(alive),
        )
    );
    // Of the other timeline nothing was written since.
    let quiet = mali.json(&["timeline", "relay", "ls", "quiet"]);
    let mut stored = list(&quiet).iter().map(|relay| &relay["last_stored_at"]);
    assert!(stored.all(Value::is_null), "{quiet}");

    first.restart();
    comes("it has what it missed", settled);
    let (json, plain) = both(&mali, &["status"]);
    assert!(at(&first, &json)["last_stored_at"].is_string(), "{json}");
    let relays = list(&json).iter().map(|relay| {
        let address = text(&relay["address"]);
        format!("{address}  connected, all here{}\n", served(relay))
    });
    let timelines = json["timelines"].as_array().unwrap();
    let timelines = timelines.iter().map(|view| {
        let (id, canal) = (text(&view["id"]), opened["timeline"]["id"] == view["id"]);
        let rest = if canal {
            let members = [0, 1].map(|place| text(&view["members"][place]));
            format!("{CANAL}  group  1 messages  with {}", members.join(", "))
        } else {
            "quiet  group  0 messages  with มะลิ".to_owned()
        };
        format!("{}  {rest}\n", &id[..12])
    });
    let expected: String = relays.chain(timelines).collect();
    assert_eq!(plain, format!("{expected}nothing is queued\n"));
}
