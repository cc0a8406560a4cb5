//! `import` and `export`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::node::{Node, text};
use crate::relay::Relay;

fn export(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/import")
        .join(name);
    path.to_str().unwrap().to_owned()
}

fn import(node: &Node, arguments: &[&str]) -> (Vec<Value>, Value) {
    let mut lines = node.json_lines(&[&["import"], arguments, &["--wait", "none"]].concat());
    let summary = lines.pop().unwrap();
    (lines, summary)
}

#[test]
fn a_chat_is_imported_once_however_often() {
    let node = Node::new("mali");
    let (skipped, first) = import(&node, &["line", &export("line-th-group.txt")]);
    let imported = first["imported"].as_u64().unwrap();
    let timeline = text(&first["timeline"]);
    assert!(imported > 0);
    assert_eq!(first["skipped"].as_u64().unwrap(), skipped.len() as u64);
    assert!(
        skipped
            .iter()
            .all(|line| line["line"].as_u64().unwrap() > 0 && !text(&line["reason"]).is_empty())
    );
    let before = node.json(&["export", &timeline, "--digest"]);

    let (_, second) = import(
        &node,
        &[
            "line",
            &export("line-th-group.txt"),
            "--timeline",
            &timeline,
        ],
    );
    assert_eq!(
        (&second["imported"], &second["known"]),
        (&0.into(), &imported.into())
    );
    assert_eq!(text(&second["timeline"]), timeline);
    assert_eq!(node.json(&["export", &timeline, "--digest"]), before);
    assert_eq!(node.bodies(&timeline).len() as u64, imported);
    assert!(
        node.json_lines(&["log", &timeline])
            .iter()
            .all(|line| line["origin"] == "line")
    );
}

/// An ordinary chat: its batches are far larger than an envelope.
#[test]
fn a_long_chat_is_imported_whole() {
    let node = Node::new("mali");
    let chat = node.beside("long.txt");
    let mut text_of_chat =
        "[LINE] ประวัติการแชทในกลุ่ม \"ยาว\"\nบันทึกเมื่อ 29/11/2568 07:48\n\nศ. 28/11/2568\n".to_owned();
    for n in 0..200 {
        text_of_chat.push_str(&format!("08:{:02}\tมะลิ\t{n} {}\n", n % 60, "ก".repeat(400)));
    }
    std::fs::write(&chat, text_of_chat).unwrap();
    let (skipped, summary) = import(&node, &["line", chat.to_str().unwrap()]);
    assert!(skipped.is_empty());
    assert_eq!(summary["imported"], 200);
    let bodies = node.bodies(&text(&summary["timeline"]));
    assert_eq!(bodies.len(), 200);
    assert!(bodies[199].starts_with("199 ก"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let node = Node::new("mali");
    let (skipped, summary) = import(&node, &["irc", &export("2009-11-13.txt"), "--dry-run"]);
    assert_eq!(summary["dry_run"], true);
    assert_eq!(summary["timeline"], Value::Null);
    assert!(summary["imported"].as_u64().unwrap() > 0 && !skipped.is_empty());
    assert!(
        node.json(&["timeline", "ls"])["timelines"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    let (_, real) = import(&node, &["irc", &export("2009-11-13.txt")]);
    assert_eq!(
        (&real["imported"], &real["skipped"]),
        (&summary["imported"], &summary["skipped"])
    );
}

/// What people do with a longer export of the same chat: the same command again.
#[test]
fn the_same_command_again_finds_its_timeline() {
    let node = Node::new("mali");
    let whole = std::fs::read_to_string(export("line-th-group.txt")).unwrap();
    let first_day = &whole[..whole.find("ส. 29/11/2568").unwrap()];
    let file = node.beside("chat.txt");
    std::fs::write(&file, first_day).unwrap();
    let file = file.to_str().unwrap();
    let (_, first) = import(&node, &["line", file]);
    node.open_timeline("another");

    std::fs::write(file, &whole).unwrap();
    let (_, dry) = import(&node, &["line", file, "--dry-run"]);
    let (_, second) = import(&node, &["line", file]);
    for summary in [&dry, &second] {
        assert_eq!(summary["timeline"], first["timeline"]);
        assert_eq!(
            (&summary["imported"], &summary["known"]),
            (&3.into(), &first["imported"]),
            "only the second day is new"
        );
    }
    let (_, third) = import(&node, &["line", file, file]);
    assert_eq!(third["imported"], 0);
    assert_eq!(node.bodies(&text(&first["timeline"])).len(), 12);
}

#[test]
fn a_message_in_two_files_is_one() {
    let node = Node::new("mali");
    let file = export("line-en.txt");
    let (_, summary) = import(&node, &["line", &file, &file]);
    assert_eq!(
        (&summary["imported"], &summary["known"]),
        (&6.into(), &6.into())
    );
    assert_eq!(node.bodies(&text(&summary["timeline"])).len(), 6);
}

#[test]
fn a_day_without_a_message_opens_no_timeline() {
    let node = Node::new("mali");
    let quiet = node.beside("2009-11-14.txt");
    std::fs::write(&quiet, "=== ton has joined #khlong\n").unwrap();
    let (skipped, summary) = import(&node, &["irc", quiet.to_str().unwrap()]);
    assert_eq!((skipped.len(), &summary["timeline"]), (1, &Value::Null));
    let timelines = node.json(&["timeline", "ls"])["timelines"].clone();
    assert_eq!(timelines, Value::Array(Vec::new()));
}

/// Both were offline when they imported; what they wrote merges to one history.
#[test]
fn two_devices_that_import_the_same_chat_have_it_once() {
    let relay = Relay::start();
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    let opened = mali.json(&["timeline", "new", "shared", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let link = text(&mali.json(&["timeline", "invite", &timeline, "--wait", "stored"])["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    let chat = export("line-th-group.txt");
    for node in [&mali, &ton] {
        let (_, summary) = import(node, &["line", &chat, "--timeline", &timeline]);
        assert_eq!(summary["imported"], 12, "the other's is not here yet");
    }
    for node in [&mali, &ton, &mali] {
        node.json(&["sync"]);
    }
    let digest = |node: &Node| node.json(&["export", &timeline, "--digest"]);
    assert_eq!(digest(&mali), digest(&ton));
    assert_eq!(mali.bodies(&timeline).len(), 12);
    let (_, again) = import(&ton, &["line", &chat]);
    assert_eq!(
        (&again["imported"], text(&again["timeline"])),
        (&0.into(), timeline)
    );
}

#[test]
fn one_sender_can_be_chosen() {
    let node = Node::new("mali");
    let (_, all) = import(&node, &["line", &export("line-en.txt")]);
    let senders: BTreeSet<String> = node
        .json_lines(&["export", &text(&all["timeline"])])
        .iter()
        .map(|line| text(&line["author"]))
        .collect();
    let one = senders.first().unwrap();
    assert!(senders.len() > 1);
    let (_, chosen) = import(&node, &["line", &export("line-en.txt"), "--only", one]);
    let left = chosen["imported"].as_u64().unwrap() + chosen["others"].as_u64().unwrap();
    assert_eq!(left, all["imported"].as_u64().unwrap());
    let log = node.json_lines(&["export", &text(&chosen["timeline"])]);
    assert!(!log.is_empty() && log.iter().all(|line| text(&line["author"]) == *one));
    assert_eq!(
        node.run(&["import", "line", &export("line-en.txt"), "--only", "Nobody"])
            .code,
        2
    );
}

#[test]
fn what_is_no_export_is_refused_before_anything_is_written() {
    let node = Node::new("mali");
    let said = node.run(&["import", "line", &export("2009-11-13.txt")]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert!(
        node.json(&["timeline", "ls"])["timelines"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_export_is_the_whole_history() {
    let node = Node::new("mali");
    let conversation =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/demo/conversation-th-en.txt");
    let (_, summary) = import(&node, &["line", conversation.to_str().unwrap()]);
    let timeline = text(&summary["timeline"]);
    node.json(&["send", &timeline, "ปิดท้าย", "--wait", "none"]);
    let whole = node.json_lines(&["export", &timeline]);
    assert_eq!(
        whole.len() as u64,
        summary["imported"].as_u64().unwrap() + 1
    );
    assert_eq!(whole.last().unwrap()["body"], "ปิดท้าย");
    let said = node.run(&["export", &timeline]);
    assert_eq!(said.code, 0);
    assert!(said.stdout.contains("มะลิ (line)") && said.stdout.contains("ปิดท้าย"));
}
