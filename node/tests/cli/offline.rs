//! One node without a relay: everything local works, and is honest about it.

use crate::node::{Node, text};

#[test]
fn messages_are_written_edited_answered_and_taken_back() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("ตลาดวันอาทิตย์");
    let first = node.json(&["send", &timeline, "ขายอะไรกันดี", "--wait", "none"]);
    assert_eq!(first["delivery"], "queued");
    let first = text(&first["id"]);
    let second =
        text(&node.json(&["reply", "ตลาด", &first[..12], "กล้วยแขก", "--wait", "none"])["id"]);
    node.json(&["edit", "ตลาดวันอาทิตย์", &second, "ชาเย็น", "--wait", "none"]);
    node.json(&["react", &timeline, &first, "💜", "--wait", "none"]);
    let third = text(&node.json(&["send", &timeline, "oops", "--wait", "none"])["id"]);
    node.json(&["delete", &timeline, &third, "--wait", "none"]);

    let log = node.json_lines(&["log", &timeline]);
    assert_eq!(log.len(), 3);
    assert_eq!(log[0]["body"], "ขายอะไรกันดี");
    assert_eq!(log[0]["reactions"][0]["emoji"], "💜");
    assert_eq!(log[0]["reactions"][0]["by"][0], "mali");
    assert_eq!(log[1]["body"], "ชาเย็น");
    assert_eq!(log[1]["reply_to"].as_str(), Some(first.as_str()));
    assert_eq!(
        (&log[1]["edited"], &log[1]["deleted"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&log[2]["body"], &log[2]["deleted"]),
        (&"".into(), &true.into())
    );

    node.json(&[
        "react", &timeline, &first, "💜", "--remove", "--wait", "none",
    ]);
    assert_eq!(
        node.json_lines(&["log", &timeline])[0]["reactions"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn a_log_shows_the_newest_or_a_stretch() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("ten");
    for number in 0..10 {
        node.json(&["send", &timeline, &number.to_string(), "--wait", "none"]);
    }
    let shown = |arguments: &[&str]| -> Vec<String> {
        let lines = node.json_lines(&[&["log", &timeline], arguments].concat());
        lines.iter().map(|line| text(&line["body"])).collect()
    };
    assert_eq!(shown(&["--limit", "3"]), ["7", "8", "9"]);
    assert_eq!(shown(&["--from", "2", "--limit", "2"]), ["2", "3"]);
    assert_eq!(shown(&["--from", "8"]), ["8", "9"]);
    assert_eq!(shown(&["--limit", "0"]), [""; 0]);
}

#[test]
fn text_comes_from_standard_input_too() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("stdin");
    assert_eq!(
        node.run_with_stdin(&["send", &timeline, "-", "--wait", "none"], "two\nlines\n")
            .code,
        0
    );
    assert_eq!(node.bodies(&timeline), ["two\nlines"]);
}

#[test]
fn waiting_without_a_relay_ends_with_exit_5_and_the_message_stays() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("alone");
    let said = node.run(&[
        "send",
        &timeline,
        "hello",
        "--wait",
        "stored",
        "--timeout",
        "200ms",
    ]);
    assert_eq!(said.code, 5, "{}", said.stderr);
    assert_eq!(node.bodies(&timeline), ["hello"]);
    assert!(node.json(&["status"])["queued"].as_u64().unwrap() > 0);
    assert_eq!(
        node.run(&[
            "send",
            &timeline,
            "queued counts as done",
            "--timeout",
            "200ms"
        ])
        .code,
        0
    );
    assert_eq!(
        node.run(&["sync", "--timeout", "200ms"]).code,
        3,
        "there is no relay to sync with"
    );
}

#[test]
fn a_terminal_is_not_obeyed() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("evil \u{1b}]0;title\u{7}");
    node.json(&[
        "send",
        &timeline,
        "clear \u{1b}[2J and turn \u{202e}around",
        "--wait",
        "none",
    ]);
    for arguments in [&["log", &timeline][..], &["timeline", "ls"], &["status"]] {
        let shown = node.run(arguments).stdout;
        assert!(
            shown
                .chars()
                .all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'),
            "{shown:?}"
        );
    }
    assert!(node.run(&["log", &timeline]).stdout.contains("\\u{1b}[2J"));
    assert_eq!(
        node.bodies(&timeline),
        ["clear \u{1b}[2J and turn \u{202e}around"],
        "JSON has the text as it is"
    );
}

#[test]
fn what_does_not_exist_is_named() {
    let node = Node::new("mali");
    let said = node.run(&["send", "nowhere", "hello"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("nowhere"), "{}", said.stderr);
}

#[test]
fn the_outbox_is_listed_and_dropped() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("box");
    node.json(&["send", &timeline, "hello", "--wait", "none"]);
    let entries = node.json(&["outbox", "ls"])["entries"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        !entries.is_empty()
            && entries
                .iter()
                .all(|entry| entry["timeline"].as_str() == Some(timeline.as_str()))
    );
    assert_eq!(node.run(&["outbox", "retry", "--wait", "none"]).code, 0);
    node.json(&["outbox", "drop", &timeline]);
    assert!(
        node.json(&["outbox", "ls"])["entries"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(node.bodies(&timeline), ["hello"], "the history keeps it");
}

#[test]
fn two_commands_at_once_take_turns() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("busy");
    let children: Vec<_> = (0..4)
        .map(|number| {
            let text = format!("from {number}");
            node.command()
                .args(["send", &timeline, &text, "--wait", "none"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(node.bodies(&timeline).len(), 4);
}
