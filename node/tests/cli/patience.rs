//! What a command does when nothing comes: a frozen daemon, a locked folder, a wait in vain.

use std::process::Command;
use std::time::{Duration, Instant};

use khlong_node::api::Request;
use khlong_node::daemon::client::Client;
use khlong_store::store::Store;
use serde_json::Value;

use crate::node::{Node, Running, Said, next_line, text};
use crate::relay::Relay;

const PATIENCE: &str = "KHLONG_DAEMON_TIMEOUT";

fn signal(name: &str, process: &Running) {
    let pid = process.0.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

fn with_patience(node: &Node, ms: &str, arguments: &[&str]) -> Said {
    let output = node
        .command()
        .env(PATIENCE, ms)
        .args(arguments)
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_frozen_daemon_is_named_and_given_up() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("ice");
    let daemon = node.daemon();
    let (mut follower, mut lines) = {
        let mut child = node
            .command()
            .env(PATIENCE, "10s")
            .args(["log", &timeline, "--follow"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap());
        (Running(child), lines)
    };
    node.json(&["send", &timeline, "before"]);
    assert!(next_line(&mut lines).contains("before"));
    signal("-STOP", &daemon);
    let socket = node.home().join("daemon.sock");
    for arguments in [&["status"][..], &["send", &timeline, "x"], &["sync"]] {
        let begun = Instant::now();
        let said = with_patience(&node, "300ms", arguments);
        assert_eq!(said.code, 5, "{}", said.stderr);
        assert!(
            said.stderr.contains(socket.to_str().unwrap()),
            "{}",
            said.stderr
        );
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(follower.0.wait().unwrap().code(), Some(5));
    let said = node.run(&["--daemon-timeout", "200ms", "status"]);
    assert_eq!(said.code, 5, "the flag as the variable: {}", said.stderr);
    signal("-CONT", &daemon);
    assert_eq!(
        node.run(&["status"]).code,
        0,
        "it goes on as if nothing was"
    );
}

/// The daemon says that it lives, for as long as the answer takes.
#[test]
fn a_long_answer_is_waited_for() {
    let node = Node::new("mali");
    let mut gone = Relay::start();
    gone.kill();
    node.json(&["relay", "add", &gone.address]);
    let _daemon = node.daemon();
    let said = with_patience(&node, "3s", &["sync", "--timeout", "5s"]);
    assert_eq!(said.code, 5, "{}", said.stderr);
}

#[test]
fn a_locked_folder_names_the_process_and_what_to_do() {
    let node = Node::new("mali");
    let options = khlong_store::store::OpenOptions {
        role: khlong_store::identity::Role::Node,
        fresh_log_id: khlong_crdt::id::LogId::from_bytes([1; 16]),
        accept_loss: false,
        sizes: Default::default(),
    };
    let held = Store::open(&node.home().join("store"), &options).unwrap();
    let said = with_patience(&node, "200ms", &["status"]);
    assert_eq!(said.code, 3);
    for words in [
        node.home().to_str().unwrap(),
        &format!("process {}", std::process::id()),
        "wait until",
        "stop it",
    ] {
        assert!(said.stderr.contains(words), "{words}: {}", said.stderr);
    }
    drop(held);
    assert_eq!(node.run(&["status"]).code, 0);
}

#[test]
fn a_wait_in_vain_still_tells_what_was_written() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("alone");
    let send = [
        "send",
        &timeline,
        "hello",
        "--wait",
        "stored",
        "--timeout",
        "200ms",
    ];
    let said = node.run(&[&["--json"], &send[..]].concat());
    assert_eq!(said.code, 5, "{}", said.stderr);
    let lines: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["delivery"]),
        (&"written".into(), &"queued".into())
    );
    assert_eq!(
        (&lines[1]["kind"], &lines[1]["exit_code"]),
        (&"refused".into(), &5.into())
    );
    let log = node.json_lines(&["log", &timeline]);
    assert_eq!(log.len(), 1, "it is not to be sent again");
    assert_eq!(
        (text(&log[0]["id"]), text(&log[0]["timeline"])),
        (text(&lines[0]["id"]), text(&lines[0]["timeline"])),
        "one thing has one name"
    );
    let said = node.run(&send);
    assert_eq!(said.code, 5);
    assert!(said.stdout.contains("queued"), "{}", said.stdout);
    let new = [
        "timeline",
        "new",
        "too",
        "--wait",
        "stored",
        "--timeout",
        "200ms",
    ];
    let said = node.run(&new);
    assert_eq!(said.code, 5);
    assert!(said.stdout.starts_with("tl_"), "{}", said.stdout);
}

#[test]
fn a_follower_ends_with_0_when_told_to_and_with_1_when_its_daemon_ends() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("live");
    let daemon = node.daemon();
    node.json(&["send", &timeline, "hello"]);
    let follow = ["log", &timeline, "--follow"];
    for told in ["-INT", "-TERM"] {
        let (mut follower, mut lines) = node.stream(&follow);
        assert!(next_line(&mut lines).contains("hello"));
        signal(told, &follower);
        assert_eq!(follower.0.wait().unwrap().code(), Some(0), "{told}");
    }
    let mut child = node
        .command()
        .args(follow)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    assert!(next_line(&mut lines).contains("hello"));
    drop(daemon);
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert!(stderr.contains("the daemon has ended"), "{stderr}");

    // Without a daemon the command has the folder itself, and gives it back.
    let (mut follower, mut lines) = node.stream(&follow);
    assert!(next_line(&mut lines).contains("hello"));
    signal("-INT", &follower);
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
    assert_eq!(node.run(&["status"]).code, 0);
}

/// Signs of life stand before an answer, and belong to no answer.
#[tokio::test]
async fn whoever_stops_waiting_for_an_event_loses_none() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("events");
    let _daemon = node.daemon();
    let mut client = Client::connect(&node.home()).await.unwrap().unwrap();
    let mut events = client.subscribe().await.unwrap();
    for _ in 0..20 {
        let waited = tokio::time::timeout(Duration::from_millis(150), events.next()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    let request = Request::Send {
        timeline,
        body: "after a sign of life".to_owned(),
        reply_to: None,
    };
    client.request(&request).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(60), events.next()).await;
    heard.unwrap().unwrap();
}

#[test]
fn whatever_waits_in_vain_tells_what_was_written() {
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
fn a_relay_with_another_key_is_told_apart_from_one_that_is_away() {
    let (relay, other) = (Relay::start(), Relay::start());
    let key = other.address.split_once('@').unwrap().0;
    let place = relay.address.split_once('@').unwrap().1;
    let node = Node::new("mali");
    node.json(&["relay", "add", &format!("{key}@{place}")]);
    let timeline = node.open_timeline("canal");
    let said = node.run_patiently(&["send", &timeline, "to whom?", "--wait", "stored"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stderr.contains("has the key"), "{}", said.stderr);
    let said = node.run_patiently(&["sync"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
}
