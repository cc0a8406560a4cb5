//! `import` and `export`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::node::{Node, text};

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
