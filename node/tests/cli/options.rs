//! Options that change what a command does.

use std::time::{Duration, Instant};

use crate::node::{Node, text};
use crate::relay::Relay;

#[test]
fn a_link_expires_when_it_was_said_and_never_by_rounding() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    let opened = mali.json(&["timeline", "new", "canal", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    for lifetime in ["0s", "0d", "soon"] {
        let said = mali.run(&["timeline", "invite", &timeline, "--expires", lifetime]);
        assert_eq!(said.code, 2, "{lifetime}: {}", said.stdout);
    }
    let invite = [
        "timeline",
        "invite",
        &timeline,
        "--wait",
        "stored",
        "--expires",
    ];
    let short = text(&mali.json(&[&invite[..], &["200ms"]].concat())["link"]);
    // They are a second at the relay, whose clock is a real one.
    let expires = Instant::now() + Duration::from_millis(1_001);
    let long = text(&mali.json(&[&invite[..], &["1h"]].concat())["link"]);
    let (late, ton) = (relay.node("late"), relay.node("ton"));
    while Instant::now() < expires {
        std::thread::yield_now();
    }
    let join = |node: &Node, link: &str| {
        node.run_patiently(&["timeline", "join", link, "--wait", "stored"])
    };
    let said = join(&late, &short);
    assert_eq!(said.code, 4, "{}{}", said.stdout, said.stderr);
    let said = join(&ton, &long);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_link_can_be_drawn() {
    let relay = Relay::start();
    let mali = relay.node("mali");
    mali.json(&["timeline", "new", "canal", "--wait", "none"]);
    let invite = ["timeline", "invite", "canal", "--wait", "none"];
    let plain = mali.run(&invite).stdout;
    let drawn = mali.run(&[&invite[..], &["--qr"]].concat()).stdout;
    assert!(
        plain.starts_with("khlong://") && !plain.contains('█'),
        "{plain}"
    );
    assert!(
        drawn.starts_with("khlong://") && drawn.contains('█'),
        "{drawn}"
    );
}

#[test]
fn a_timeline_has_the_kind_and_the_relays_that_were_asked_for() {
    let (first, second) = (Relay::start(), Relay::start());
    let mali = first.node("mali");
    for kind in ["group", "direct", "channel", "public"] {
        let new = ["timeline", "new", kind, "--kind", kind, "--wait", "none"];
        let opened = &mali.json(&new)["timeline"];
        assert_eq!(opened["kind"], kind);
        assert_eq!(opened["relays"], serde_json::json!([first.address]));
    }
    assert_eq!(
        mali.run(&["timeline", "new", "x", "--kind", "self"]).code,
        2
    );
    let elsewhere = ["timeline", "new", "elsewhere", "--relay", &second.address];
    let opened = mali.json(&[&elsewhere[..], &["--wait", "stored"]].concat());
    let opened = &opened["timeline"];
    assert_eq!(opened["relays"], serde_json::json!([second.address]));
    assert_eq!(opened["queued"], 0, "that one has it");
    let said = mali.run(&["timeline", "new", "x", "--relay", "nowhere"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
}

#[test]
fn a_new_nickname_reaches_the_others() {
    let relay = Relay::start();
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    mali.json(&["timeline", "new", "canal", "--wait", "stored"]);
    let link = text(&mali.json(&["timeline", "invite", "canal", "--wait", "stored"])["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    let said = ton.run(&["timeline", "invite", "canal"]);
    assert_eq!(said.code, 4, "only admins invite: {}", said.stderr);
    ton.json(&["nickname", "ต้นกล้า", "--wait", "stored"]);
    assert_eq!(ton.json(&["id"])["nickname"], "ต้นกล้า");
    mali.json(&["sync"]);
    let members = mali.json(&["timeline", "ls"])["timelines"][0]["members"].clone();
    assert!(
        members.as_array().unwrap().contains(&"ต้นกล้า".into()),
        "{members}"
    );
    assert_eq!(mali.run(&["nickname", &"ก".repeat(22)]).code, 2, "66 bytes");
}

#[test]
fn a_folder_given_by_option_is_the_one_that_is_used() {
    let (node, other) = (Node::new("mali"), Node::new("ton"));
    let other_home = other.home();
    let home = ["--home", other_home.to_str().unwrap()];
    let id = node.json(&[&home[..], &["id"]].concat());
    assert_eq!(id["nickname"], "ton", "over KHLONG_HOME");
    assert_eq!(node.json(&["id"])["nickname"], "mali");
}

#[test]
fn a_reader_reads_says_so_and_may_not_write() {
    let relay = Relay::start();
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    mali.json(&["timeline", "new", "news", "--wait", "stored"]);
    let invite = [
        "timeline",
        "invite",
        "news",
        "--read-only",
        "--wait",
        "stored",
    ];
    let link = text(&mali.json(&invite)["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    mali.json(&["send", "news", "extra!", "--wait", "stored"]);
    ton.json(&["sync"]);
    assert_eq!(ton.bodies("news"), ["extra!"]);
    ton.json(&["read", "news", "--wait", "stored"]);
    let said = ton.run(&["send", "news", "may I?"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    mali.json(&["sync"]);
    assert_eq!(mali.json_lines(&["log", "news"])[0]["delivery"], "read");
}

#[test]
fn a_reason_is_told_once() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("canal");
    let send = ["send", &timeline, "-", "--wait", "none"];
    let said = node.run_with_stdin(&send, &"x".repeat(20_000));
    assert_eq!(said.code, 1);
    let told = said.stderr.matches("at most 16384 fit").count();
    assert_eq!(told, 1, "{}", said.stderr);
}

#[test]
fn a_text_that_is_too_long_is_told_so_wherever_it_is_cut() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("canal");
    let file = node.beside("long");
    // Characters of three bytes: a limit falls within one.
    std::fs::write(&file, "ก".repeat(500_000)).unwrap();
    let said = node
        .command()
        .args(["send", &timeline, "-", "--wait", "none"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("too long") && stderr.contains("at most 16384 fit"),
        "{stderr}"
    );
    let whole = "ก".repeat(16 * 1024 / 3);
    let send = ["send", &timeline, "-", "--wait", "none"];
    let said = node.run_with_stdin(&send, &format!("{whole}\n"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(node.bodies(&timeline), [whole]);
}
