//! What a person does not want to see or hear: `timeline mute`, `block`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::node::{Node, Running, next_line, text};
use crate::relay::Relay;

/// Two members of `canal` on one relay.
fn pair(relay: &Relay) -> (Node, Node) {
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    mali.json(&["timeline", "new", "canal", "--wait", "stored"]);
    let link = text(&mali.json(&["timeline", "invite", "canal", "--wait", "stored"])["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    (mali, ton)
}

fn canal(node: &Node) -> Value {
    node.json(&["timeline", "ls"])["timelines"][0].clone()
}

#[test]
fn a_muted_timeline_stays_in_sync_and_draws_no_attention() {
    let relay = Relay::start();
    let (mali, ton) = pair(&relay);
    ton.json(&["send", "canal", "one", "--wait", "stored"]);
    mali.json(&["sync"]);
    let muted = mali.json(&["timeline", "mute", "canal"]);
    assert_eq!(muted["timeline"]["muted"], true);
    ton.json(&["send", "canal", "two", "--wait", "stored"]);
    mali.json(&["sync"]);
    assert_eq!(mali.bodies("canal"), ["one", "two"]);
    assert_eq!(
        (&canal(&mali)["muted"], &canal(&mali)["unread"]),
        (&true.into(), &2.into()),
        "a program may still ask"
    );
    for command in [&["timeline", "ls"][..], &["status"]] {
        let shown = mali.run(command).stdout;
        assert!(
            shown.contains("canal  group, muted") && !shown.contains("unread"),
            "{shown}"
        );
    }
    assert_eq!(canal(&ton)["muted"], false, "nobody else is told");
    mali.json(&["timeline", "unmute", "canal"]);
    let shown = mali.run(&["timeline", "ls"]).stdout;
    assert!(
        shown.contains("2 unread") && !shown.contains("muted"),
        "{shown}"
    );
    assert_ne!(mali.run(&["timeline", "mute", "nowhere"]).code, 0);
}

#[test]
fn everything_that_is_not_muted_can_be_followed() {
    let node = Node::new("mali");
    let _daemon = node.daemon();
    node.open_timeline("canal");
    node.open_timeline("market");
    node.json(&["timeline", "mute", "canal"]);
    let mut child = node
        .command()
        .args(["log", "--follow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    let _follower = Running(child);
    let mut told = String::new();
    notes.read_line(&mut told).unwrap();
    assert!(told.contains("canal is muted"), "{told}");
    node.json(&["send", "canal", "quiet", "--wait", "none"]);
    node.json(&["send", "market", "loud", "--wait", "none"]);
    let shown = next_line(&mut lines);
    assert!(
        shown.starts_with("market  ") && shown.contains("loud"),
        "{shown}"
    );
    assert_eq!(node.run(&["log"]).code, 2, "a history has a name");
}

#[test]
fn messages_of_a_blocked_member_are_hidden_and_kept() {
    let relay = Relay::start();
    let (mali, ton) = pair(&relay);
    mali.json(&["send", "canal", "mali 1", "--wait", "stored"]);
    for body in ["ton 1", "ton 2", "ton 3"] {
        ton.json(&["send", "canal", body, "--wait", "stored"]);
    }
    mali.json(&["sync"]);
    mali.json(&["send", "canal", "mali 2", "--wait", "stored"]);
    let before = mali.json(&["export", "canal", "--digest"]);

    let blocked = mali.json(&["block", "ton"]);
    let member = &blocked["members"][0];
    assert_eq!(
        (&member["author"], &member["title"]),
        (&"ton".into(), &"canal".into())
    );
    assert_eq!(mali.bodies("canal"), ["mali 1", "mali 2"]);
    let said = mali.run(&["log", "canal"]);
    assert!(said.stderr.contains("3 hidden"), "{}", said.stderr);
    assert!(!said.stdout.contains("ton 1"), "{}", said.stdout);
    let newest = mali.json_lines(&["log", "canal", "--limit", "2"]);
    assert_eq!(newest.len(), 2, "the newest that are shown");
    let all = mali.json_lines(&["log", "canal", "--with-blocked"]);
    assert_eq!(all.len(), 5);
    assert_eq!(all.iter().filter(|it| it["blocked"] == true).count(), 3);
    assert_eq!(canal(&mali)["unread"], 0);
    assert_eq!(
        mali.json_lines(&["export", "canal"]).len(),
        5,
        "an export is whole"
    );
    assert_eq!(mali.json(&["export", "canal", "--digest"]), before);
    let listed = mali.run(&["blocked"]).stdout;
    assert!(listed.contains("ton  in canal"), "{listed}");

    let again = mali.json(&["block", &text(&member["author_id"])]);
    assert_eq!(again["members"], blocked["members"], "once is enough");
    ton.json(&["send", "canal", "ton 4", "--wait", "stored"]);
    mali.json(&["sync"]);
    assert_eq!(mali.bodies("canal").len(), 2, "what comes later as well");

    let shown = mali.json(&["unblock", "ton"]);
    assert_eq!(shown["members"], Value::Array(Vec::new()));
    assert_eq!(mali.bodies("canal").len(), 6);
    assert_eq!(canal(&mali)["unread"], 4);
}

/// An answer holds the newest; what is hidden must not take its places.
#[test]
fn a_search_finds_what_stands_behind_any_number_of_blocked_messages() {
    let relay = Relay::start();
    let (mali, ton) = pair(&relay);
    let import = |node: &Node, day: &str, lines: &str| {
        let file = node.beside(&format!("{day}.txt"));
        std::fs::write(&file, lines).unwrap();
        let file = file.to_str().unwrap();
        node.json(&[
            "import",
            "irc",
            file,
            "--timeline",
            "canal",
            "--wait",
            "stored",
        ]);
    };
    import(&mali, "2020-11-01", "[08:00] <som> the old ferry\n");
    // Hidden with the member who brought them in.
    let newer: String = (0..30)
        .map(|n| format!("[09:{n:02}] <nok> ferry n{n}\n"))
        .collect();
    import(&ton, "2021-11-01", &newer);
    ton.json(&["send", "canal", "ferry of ton", "--wait", "stored"]);
    mali.json(&["sync"]);
    let found = |search: &[&str]| {
        let said = mali.run(&[&["search", "ferry"], search].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        (said.stdout.lines().count(), said.stdout, said.stderr)
    };
    let (shown, _, told) = found(&["--limit", "5"]);
    assert!(shown == 5 && told.contains("5 of 32"), "{told}");

    mali.json(&["block", "ton"]);
    let (shown, lines, told) = found(&["--limit", "5"]);
    assert_eq!((shown, told.as_str()), (1, ""), "{lines}");
    assert!(lines.contains("the old ferry"), "{lines}");
    for name in ["ton", "nok"] {
        let (shown, _, told) = found(&["--from", name]);
        assert!(shown == 0 && told.contains("nothing was found"), "{told}");
    }
    {
        let _daemon = mali.daemon();
        ton.json(&["send", "canal", "another ferry of ton", "--wait", "stored"]);
        mali.json(&["sync"]);
        assert_eq!(found(&["--limit", "5"]).0, 1, "what comes later as well");
        mali.json(&["unblock", "ton"]);
        let (shown, _, told) = found(&["--limit", "5"]);
        assert!(shown == 5 && told.contains("5 of 33"), "{told}");
    }
}

#[test]
fn only_a_member_can_be_blocked_and_nobody_themselves() {
    let relay = Relay::start();
    let (mali, ton) = pair(&relay);
    assert_eq!(mali.run(&["block", "mali"]).code, 2);
    let nobody = mali.run(&["block", "nobody"]);
    assert_ne!(nobody.code, 0);
    assert!(nobody.stderr.contains("no member"), "{}", nobody.stderr);
    assert_ne!(mali.run(&["unblock", "ton"]).code, 0, "is not blocked");
    // In another timeline the same person is another member.
    ton.json(&["timeline", "new", "market", "--wait", "stored"]);
    let link = text(&ton.json(&["timeline", "invite", "market", "--wait", "stored"])["link"]);
    mali.json(&["timeline", "join", &link, "--wait", "stored"]);
    let of_two = mali.run(&["block", "ton"]);
    assert_ne!(of_two.code, 0);
    assert!(
        of_two.stderr.contains("2 members are called `ton`") && of_two.stderr.contains("in market"),
        "{}",
        of_two.stderr
    );
    let one = mali.json(&["block", "ton", "--timeline", "market"]);
    assert_eq!(one["members"][0]["title"], "market");
    assert_eq!(one["members"].as_array().unwrap().len(), 1);
}

#[test]
fn a_daemon_hides_too_and_a_restart_forgets_nothing() {
    let relay = Relay::start();
    let (mali, ton) = pair(&relay);
    ton.json(&["send", "canal", "ton 1", "--wait", "stored"]);
    mali.json(&["sync"]);
    {
        let _daemon = mali.daemon();
        mali.json(&["block", "ton"]);
        mali.json(&["timeline", "mute", "canal"]);
        assert_eq!(mali.bodies("canal"), Vec::<String>::new());
    }
    assert_eq!(mali.bodies("canal"), Vec::<String>::new());
    assert_eq!(canal(&mali)["muted"], true);
    assert_eq!(
        mali.json(&["blocked"])["members"].as_array().unwrap().len(),
        1
    );
}

/// A command that only looks connects to nobody, which is no fault of the relay.
#[test]
fn a_relay_that_was_just_added_is_not_called_off() {
    let node = Node::new("mali");
    let relay = Relay::start();
    let said = node.run(&["relay", "add", &relay.address]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stdout.contains("khlong sync") && !said.stdout.trim_end().ends_with("off"),
        "{}",
        said.stdout
    );
}
