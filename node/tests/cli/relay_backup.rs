//! A relay that comes back from a backup: what it lost, the nodes bring.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::node::{Node, text};
use crate::relay::Relay;

const MARKET: &str = "ตลาดริมคลอง";

fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}

#[test]
fn what_a_restored_relay_lost_is_offered_again_each_time() {
    let mut relay = Relay::start();
    let mali = relay.node("mali");
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    mali.json(&["send", MARKET, "before the backup", "--wait", "stored"]);
    mali.json(&["sync"]);
    let backup = relay.backup();
    mali.json(&["send", MARKET, "after the backup", "--wait", "stored"]);
    let link = text(&mali.json(&["timeline", "invite", MARKET, "--wait", "stored"])["link"]);
    mali.json(&["sync"]);

    let first = relay.restore(&backup);
    mali.json(&["sync"]);
    let ton = Node::new("ton");
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    ton.json(&["sync"]);
    let both = ["before the backup", "after the backup"];
    assert_eq!(ton.bodies(MARKET), both);

    // The same backup once more: its new epoch must not be the one that the first restore began.
    ton.json(&[
        "send",
        MARKET,
        "after the first restore",
        "--wait",
        "stored",
    ]);
    mali.json(&["sync"]);
    ton.json(&["sync"]);
    while seconds() <= first {
        std::thread::yield_now();
    }
    assert!(relay.restore(&backup) > first);
    ton.json(&["sync"]);
    mali.json(&["sync"]);
    ton.json(&["sync"]);
    let link = text(&mali.json(&["timeline", "invite", MARKET, "--wait", "stored"])["link"]);
    let nid = Node::new("nid");
    nid.json(&["timeline", "join", &link, "--wait", "stored"]);
    nid.json(&["sync"]);
    let all = [
        "before the backup",
        "after the backup",
        "after the first restore",
    ];
    assert_eq!(nid.bodies(MARKET), all);
}
