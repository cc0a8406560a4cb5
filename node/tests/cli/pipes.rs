//! Standard output that nobody reads, or that has no room.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::node::{Node, next_line};

/// Exit code and standard error of a command whose reader takes one byte and goes.
fn with_a_reader_that_goes(node: &Node, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = node
        .command()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut byte = [0];
    assert_eq!(out.read(&mut byte).unwrap(), 1);
    drop(out);
    let said = child.wait_with_output().unwrap();
    (said.status.code(), String::from_utf8(said.stderr).unwrap())
}

#[test]
fn an_import_goes_on_when_its_reader_goes() {
    let node = Node::new("mali");
    let mut chat = "[LINE] Chat history in \"Long\"\n\nFri, 11/28/2025\n".to_owned();
    for n in 0..2_000 {
        chat.push_str(&format!("08:55\t{n} joined the group.\n"));
    }
    chat.push_str("08:56\tMali\tstill here\n");
    let file = node.beside("chat.txt");
    std::fs::write(&file, chat).unwrap();
    let import = ["import", "line", file.to_str().unwrap(), "--wait", "none"];
    let (code, stderr) = with_a_reader_that_goes(&node, &import);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(node.bodies("Long"), ["still here"]);
}

#[test]
fn who_only_shows_ends_quietly_with_its_reader() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("long");
    for _ in 0..8 {
        node.json(&["send", &timeline, &"x".repeat(16_000), "--wait", "none"]);
    }
    for arguments in [
        &["log", &timeline][..],
        &["export", &timeline],
        &["completions", "bash"],
        &["--help"],
    ] {
        let (code, stderr) = with_a_reader_that_goes(&node, arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn nobody_reads_standard_error() {
    let node = Node::new("mali");
    let mut child = node
        .command()
        .args(["send", "nowhere", "x"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1), "and no panic (101)");
}

#[test]
fn a_full_disk_behind_standard_output_is_exit_7() {
    let node = Node::new("mali");
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = node.command().arg("id").stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn what_was_written_and_could_not_be_told_is_exit_1() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("full");
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let said = node
        .command()
        .args(["send", &timeline, "once", "--wait", "none"])
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("it was written"), "{stderr}");
    assert_eq!(node.bodies(&timeline), ["once"]);
}

/// Really full: a small file system of its own, in a user namespace (as in
/// `relay/tests/full_disk.rs`; `KHLONG_SKIP_MOUNT=1` leaves this out).
#[test]
fn a_folder_without_room_is_exit_7() {
    if std::env::var_os("KHLONG_SKIP_MOUNT").is_some_and(|value| value == "1") {
        eprintln!("SKIPPED  a_folder_without_room_is_exit_7: KHLONG_SKIP_MOUNT=1");
        return;
    }
    let node = Node::new("mali");
    let disk = node.beside("disk");
    std::fs::create_dir(&disk).unwrap();
    for (bytes, command) in [
        (
            "48k",
            "\"$0\" --home \"$1/new\" init --plain-keys --nickname mali",
        ),
        ("48k", "\"$0\" --home \"$2\" backup \"$1/copy\""),
        ("48k", "cp -r \"$2/keys\" \"$1\"; \"$0\" --home \"$1\" id"),
    ] {
        let script = format!("mount -t tmpfs -o size={bytes} tmpfs \"$1\" || exit 99; {command}");
        let said = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "bash",
                "-c",
                &script,
            ])
            .arg(node.command().get_program())
            .args([&disk, &node.home()])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(7), "{command}: {stderr}");
    }
}

#[test]
fn a_follower_ends_when_its_reader_does_also_if_nothing_arrives() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("quiet");
    node.json(&["send", &timeline, "the last word", "--wait", "none"]);
    let (mut follower, mut lines) = node.stream(&["log", &timeline, "--follow"]);
    assert!(next_line(&mut lines).contains("the last word"));
    drop(lines);
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
}
