//! The daemon and its socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use khlong_node::daemon::line::LINE_BYTES_MAX;
use serde_json::{Value, json};

use crate::node::{Node, Running, comes, next_line, text};

#[test]
fn commands_go_through_the_socket_with_the_same_answers() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("same");
    node.json(&["send", &timeline, "before", "--wait", "none"]);
    let without: Vec<Value> = ["id", "status"]
        .iter()
        .map(|command| node.json(&[command]))
        .collect();
    let _daemon = node.daemon();
    let mode = node
        .home()
        .join("daemon.sock")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(node.json(&["id"]), without[0]);
    assert_eq!(node.json(&["status"]), without[1]);
    node.json(&["send", &timeline, "through the socket"]);
    assert_eq!(node.bodies(&timeline), ["before", "through the socket"]);
    assert_eq!(
        node.run(&["send", "nowhere", "x"]).code,
        1,
        "refusals keep their exit code"
    );
}

#[test]
fn a_folder_has_one_daemon() {
    let node = Node::new("mali");
    let _daemon = node.daemon();
    let said = node.run(&["daemon"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("left");
    let daemon = node.daemon();
    node.json(&["send", &timeline, "answered, so durable"]);
    drop(daemon); // SIGKILL
    assert!(
        node.home().join("daemon.sock").exists(),
        "the stale socket is the point of this test"
    );
    assert_eq!(
        node.bodies(&timeline),
        ["answered, so durable"],
        "commands open the folder themselves"
    );
    let _daemon = node.daemon();
    assert_eq!(
        node.bodies(&timeline),
        ["answered, so durable"],
        "and a new daemon replaces it"
    );
}

#[test]
fn a_daemon_stops_when_asked_and_cleans_up() {
    let node = Node::new("mali");
    let mut daemon = node.daemon();
    assert!(
        Command::new("kill")
            .args(["-TERM", &daemon.0.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert!(daemon.0.wait().unwrap().success());
    assert!(!node.home().join("daemon.sock").exists());
    assert_eq!(node.run(&["status"]).code, 0);
}

/// Its log goes to a disk that is full: it works and stops as ever.
#[cfg(target_os = "linux")]
#[test]
fn a_daemon_does_not_live_by_its_log() {
    let node = Node::new("mali");
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut command = node.command();
    let mut daemon = Running(command.arg("daemon").stderr(full).spawn().unwrap());
    comes("the daemon runs", || {
        node.home().join("daemon.sock").exists()
    });
    let timeline = node.open_timeline("live");
    node.json(&["send", &timeline, "though nothing is logged"]);
    let told = Command::new("kill")
        .args(["-TERM", &daemon.0.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    assert!(daemon.0.wait().unwrap().success());
    assert_eq!(node.bodies(&timeline), ["though nothing is logged"]);
}

#[test]
fn followers_see_what_arrives() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("live");
    let _daemon = node.daemon();
    node.json(&["send", &timeline, "history"]);
    let (_follower, mut lines) = node.stream(&["--json", "log", &timeline, "--follow"]);
    let body = |line: &str| text(&serde_json::from_str::<Value>(line).unwrap()["body"]);
    assert_eq!(body(&next_line(&mut lines)), "history");
    node.json(&["send", &timeline, "news"]);
    assert_eq!(body(&next_line(&mut lines)), "news");
}

/// Without a daemon the folder is open in the follower: others use it through that.
#[test]
fn who_follows_without_a_daemon_keeps_nobody_out() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("live");
    node.json(&["send", &timeline, "history", "--wait", "none"]);
    let (mut follower, mut lines) = node.stream(&["--json", "log", &timeline, "--follow"]);
    let body = |line: &str| text(&serde_json::from_str::<Value>(line).unwrap()["body"]);
    assert_eq!(body(&next_line(&mut lines)), "history");
    node.json(&["send", &timeline, "news", "--wait", "none"]);
    assert_eq!(body(&next_line(&mut lines)), "news");
    let second = node.run(&["daemon"]);
    assert_eq!(second.code, 3, "{}", second.stderr);
    assert!(second.stderr.contains("--follow"), "{}", second.stderr);
    assert!(
        Command::new("kill")
            .args(["-INT", &follower.0.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
    assert!(!node.home().join("daemon.sock").exists());
    assert_eq!(node.bodies(&timeline), ["history", "news"]);
}

#[test]
fn the_socket_survives_nonsense() {
    let node = Node::new("mali");
    let _daemon = node.daemon();
    let connect = || UnixStream::connect(node.home().join("daemon.sock")).unwrap();

    let mut stream = connect();
    for nonsense in [
        "not json\n",
        "{\"do\":\"frobnicate\"}\n",
        "[]\n",
        "\n",
        "\u{1f6f6}\n",
    ] {
        stream.write_all(nonsense.as_bytes()).unwrap();
    }
    stream.write_all(b"{\"do\":\"id\"}\n").unwrap();
    let mut answers = BufReader::new(stream).lines();
    for _ in 0..5 {
        let refused: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(refused["kind"], "refused");
        assert_eq!(refused["exit_code"], 2);
    }
    let id: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        id["nickname"], "mali",
        "and answers who makes sense, in order"
    );

    // A line without an end is neither collected for ever nor obeyed.
    let mut stream = connect();
    let chunk = vec![b'a'; 1024 * 1024];
    let written = (0..=LINE_BYTES_MAX / chunk.len()).try_for_each(|_| stream.write_all(&chunk));
    let mut answer = Vec::new();
    let closed = written.is_err() || matches!(stream.read_to_end(&mut answer), Ok(0) | Err(_));
    assert!(closed && answer.is_empty());
    let mut stream = connect();
    stream
        .write_all(
            &serde_json::to_vec(&json!({ "do": "nickname", "nickname": "cut off" })).unwrap(),
        )
        .unwrap();
    drop(stream);
    assert_eq!(node.json(&["id"])["nickname"], "mali");
}
