//! Commands whose pipe closes, whose wait ends, whose daemon stands still, whose relay is another.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::node::{Node, text};
use crate::relay::Relay;

/// Runs a command whose reader takes one line and goes; its exit code and what it says besides.
fn run_for_one_line(node: &Node, arguments: &[&str]) -> (i32, String) {
    let mut child = node
        .command()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::with_capacity(1, child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_reader_that_goes_away_stops_no_import_and_shocks_nobody() {
    let node = Node::new("mali");
    let mut chat =
        "[LINE] Chat history with ตลาด\nSaved on: 2024/01/15 12:00\n\n2024/01/15(Mon)\n".to_owned();
    // So many skipped lines that the pipe is closed long before the last one is told.
    for n in 0..5_000 {
        chat.push_str(&format!("what is this {n}?\n"));
    }
    for minute in 0..40 {
        chat.push_str(&format!("10:{minute:02}\tมะลิ\tข้อความ {minute}\n"));
    }
    let file = node.beside("chat.txt");
    std::fs::write(&file, chat).unwrap();
    let import = [
        "--json",
        "import",
        "line",
        file.to_str().unwrap(),
        "--wait",
        "none",
    ];
    let (code, said) = run_for_one_line(&node, &import);
    assert_eq!(code, 0, "{said}");
    assert_eq!(node.bodies("ตลาด").len(), 40, "all of it is there");

    for shell in ["bash", "zsh", "fish"] {
        let (code, said) = run_for_one_line(&node, &["completions", shell]);
        assert_eq!((code, said.as_str()), (0, ""), "{shell}");
    }
    let (code, said) = run_for_one_line(&node, &["log", "ตลาด", "--limit", "1000"]);
    assert_eq!((code, said.as_str()), (0, ""));
}

#[test]
fn a_wait_that_ends_in_vain_still_tells_what_was_written() {
    let mut relay = Relay::start();
    let node = relay.node("mali");
    let timeline = node.open_timeline("canal");
    relay.kill();
    let wait = ["--wait", "stored", "--timeout", "300ms"];
    let told = |arguments: &[&str]| -> Value {
        let said = node.run(&[&["--json"], arguments, &wait[..]].concat());
        assert_eq!(said.code, 5, "{arguments:?}: {}", said.stderr);
        serde_json::from_str(said.stdout.lines().next().unwrap()).unwrap()
    };
    let sent = told(&["send", &timeline, "out at sea"]);
    assert_eq!(sent["delivery"], "queued");
    let log = node.json_lines(&["log", &timeline]);
    assert_eq!(log[0]["id"], sent["id"]);
    let edited = told(&["edit", &timeline, &text(&sent["id"]), "still out"]);
    assert_eq!(edited["id"], sent["id"]);
    assert!(text(&told(&["timeline", "invite", &timeline])["link"]).starts_with("khlong://"));
    assert_eq!(
        told(&["timeline", "rename", &timeline, "sea"])["timeline"]["title"],
        "sea"
    );
    assert_eq!(
        told(&["nickname", "mali at sea"])["nickname"],
        "mali at sea"
    );
}

#[test]
fn a_daemon_that_stands_still_is_not_waited_for_for_ever() {
    let node = Node::new("mali");
    node.open_timeline("canal");
    let daemon = node.daemon();
    let signal = |name: &str| {
        let kill = Command::new("kill")
            .args([name, &daemon.0.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    };
    signal("-STOP");
    for command in [
        &["status"][..],
        &["log", "canal"],
        &["log", "canal", "--follow"],
    ] {
        let said = node.run(&[&["--daemon-timeout", "200ms"], command].concat());
        assert_eq!(said.code, 5, "{command:?}: {}", said.stderr);
        assert!(said.stderr.contains("daemon.sock"), "{}", said.stderr);
    }
    signal("-CONT");
    assert_eq!(node.run(&["status"]).code, 0);
}

#[test]
fn a_relay_with_another_key_is_told_apart_from_one_that_is_away() {
    let (relay, other) = (Relay::start(), Relay::start());
    let key = other.address.split_once('@').unwrap().0;
    let place = relay.address.split_once('@').unwrap().1;
    let node = Node::new("mali");
    node.json(&["relay", "add", &format!("{key}@{place}")]);
    let timeline = node.open_timeline("canal");
    let said = node.run(&[
        "send",
        &timeline,
        "to whom?",
        "--wait",
        "stored",
        "--timeout",
        "3s",
    ]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stderr.contains("has the key"), "{}", said.stderr);
    let said = node.run(&["sync", "--timeout", "3s"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
}
