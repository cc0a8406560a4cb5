//! Every shape of export that `import` reads: what a dry run counts, what is written, and
//! that a second import finds all of it again.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::node::{Node, text};

/// One row of a table.
struct Shape {
    /// Below the crate's folder.
    file: &'static str,
    options: &'static [&'static str],
    chats: usize,
    messages: u64,
    /// The reasons, and how often.
    skipped: &'static [(&'static str, u64)],
    /// First and last body of the first chat.
    first: &'static str,
    last: &'static str,
}

const fn shape(
    file: &'static str,
    messages: u64,
    skipped: &'static [(&'static str, u64)],
) -> Shape {
    Shape {
        file,
        options: &[],
        chats: 1,
        messages,
        skipped,
        first: "",
        last: "",
    }
}

impl Shape {
    const fn between(self, first: &'static str, last: &'static str) -> Self {
        Self {
            first,
            last,
            ..self
        }
    }

    const fn with(self, options: &'static [&'static str], chats: usize) -> Self {
        Self {
            options,
            chats,
            ..self
        }
    }
}

pub(crate) fn path(below_crate: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(below_crate);
    path.to_str().unwrap().to_owned()
}

fn reasons(lines: &[Value]) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    for line in lines.iter().filter(|line| line["kind"] == "skipped") {
        *reasons.entry(text(&line["reason"])).or_insert(0) += 1;
    }
    reasons
}

fn check(format: &str, shapes: &[Shape]) {
    for shape in shapes {
        let node = Node::new("mali");
        let file = path(shape.file);
        let import = [&["import", format, &file], shape.options].concat();
        let dry = node.json_lines(&[&import[..], &["--dry-run"]].concat());
        let expected: BTreeMap<String, u64> = shape
            .skipped
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect();
        assert_eq!(reasons(&dry), expected, "{file}");
        let summary = dry.last().unwrap();
        let skipped: u64 = expected.values().sum();
        assert_eq!(
            (
                &summary["imported"],
                &summary["skipped"],
                &summary["dry_run"]
            ),
            (&shape.messages.into(), &skipped.into(), &true.into()),
            "{file}"
        );
        let timelines = || node.json(&["timeline", "ls"])["timelines"].clone();
        assert_eq!(timelines(), Value::Array(Vec::new()), "{file}: a dry run");

        let real = [&import[..], &["--wait", "none"]].concat();
        let summary = node.json(&real);
        assert_eq!(summary["imported"], shape.messages, "{file}");
        let chats = summary["timelines"].as_array().unwrap();
        assert_eq!(chats.len(), shape.chats, "{file}");
        let mut written = 0;
        for chat in chats {
            let log = node.json_lines(&["log", &text(chat), "--limit", "10000"]);
            assert!(
                log.iter().all(|line| line["origin"] == format),
                "{file}: {log:?}"
            );
            written += log.len() as u64;
            if shape.chats == 1 {
                assert_eq!(log[0]["body"], shape.first, "{file}");
                assert_eq!(log.last().unwrap()["body"], shape.last, "{file}");
            }
        }
        assert_eq!(written, shape.messages, "{file}");
        let again = node.json(&real);
        assert_eq!(
            (&again["imported"], &again["known"]),
            (&0.into(), &shape.messages.into()),
            "{file}"
        );
        let now = timelines().as_array().unwrap().len();
        assert_eq!(now, shape.chats, "{file}");
    }
}

#[test]
fn every_shape_of_line() {
    check(
        "line",
        &[
            shape(
                "testdata/import/line-th-group.txt",
                12,
                &[("join-or-part", 2), ("unsent", 1), ("system-line", 1)],
            )
            .between("สวัสดีค่ะทุกคน", "ลืมปิดเครื่องหมาย"),
            shape("testdata/import/line-th-direct.txt", 5, &[])
                .between("สวัสดีปีใหม่ 🎉", "น้ำท่วมที่กิ่งแก้ว"),
            shape(
                "testdata/import/line-en.txt",
                6,
                &[
                    ("join-or-part", 2),
                    ("unsent", 1),
                    ("bad-timestamp", 1),
                    ("empty-body", 1),
                ],
            )
            .between("Morning! Who has the notes?", "late"),
            shape(
                "testdata/import/line-en-day-first.txt",
                2,
                &[("bad-timestamp", 1), ("no-date", 1)],
            )
            .between("the fifth of December", "and the sixth"),
            shape(
                "testdata/import/line-dots-th.txt",
                14,
                &[("unsent", 1), ("join-or-part", 1)],
            )
            .between("เปิดร้านแล้วครับ", "เรียบร้อยค่ะ"),
            shape(
                "testdata/import/line-slashes.txt",
                6,
                &[("no-date", 2), ("bad-timestamp", 1)],
            )
            .between("Hello", "พุทธศักราช"),
            shape("tests/fixtures/import/line/words-th.txt", 3, &[])
                .between("สวัสดี", "สองบรรทัด\nอยู่ในเครื่องหมาย \"คำพูด\""),
            shape(
                "tests/fixtures/import/line/windows-874.txt",
                2,
                &[("join-or-part", 1)],
            )
            .between("สวัสดีน้ำขึ้น", "[รูป]"),
            shape(
                "tests/fixtures/import/line/utf-16.txt",
                2,
                &[("join-or-part", 1)],
            )
            .between("สวัสดีน้ำขึ้น", "[รูป]"),
        ],
    );
}

#[test]
fn every_shape_of_irc() {
    check(
        "irc",
        &[
            shape(
                "testdata/import/2009-11-13.txt",
                9,
                &[
                    ("join-or-part", 2),
                    ("action", 1),
                    ("notice", 1),
                    ("bad-timestamp", 1),
                    ("unrecognized", 2),
                    ("system-line", 1),
                ],
            )
            .between("the relay is up", "with seconds"),
            shape(
                "testdata/import/channel",
                28,
                &[
                    ("join-or-part", 6),
                    ("action", 2),
                    ("notice", 2),
                    ("system-line", 2),
                    ("bad-timestamp", 2),
                    ("unrecognized", 3),
                    ("bad-sender", 2),
                ],
            )
            .between("สวัสดีตอนเช้า the water is high today", "a nick with a blank"),
            shape(
                "tests/fixtures/import/irc/#hatyai",
                3,
                &[("join-or-part", 2), ("action", 1), ("notice", 1)],
            )
            .between("สวัสดีจากหาดใหญ่", "hi"),
            shape(
                "tests/fixtures/import/irc/quiet/2026-11-21.txt",
                0,
                &[("join-or-part", 2)],
            )
            .with(&[], 0),
        ],
    );
}

#[test]
fn every_shape_of_telegram() {
    check(
        "telegram",
        &[
            shape(
                "tests/fixtures/import/telegram/group.json",
                8,
                &[
                    ("system-line", 1),
                    ("join-or-part", 1),
                    ("empty-body", 2),
                    ("unrecognized", 1),
                ],
            )
            .between("สวัสดีค่ะ ร้านเปิดเก้าโมง", "[file prices.pdf] mangoes and more"),
            shape(
                "tests/fixtures/import/telegram/old-one-line.json",
                4,
                &[("bad-timestamp", 1), ("no-date", 1)],
            )
            .between("late boat", "[voice message]"),
            shape(
                "tests/fixtures/import/telegram/media.json",
                22,
                &[("empty-body", 1)],
            )
            .between("[video message]", "the text"),
            shape("tests/fixtures/import/telegram/escapes.json", 3, &[])
                .between("a\ttab", "ก \"quoted\" [31m"),
            shape(
                "tests/fixtures/import/telegram/account.json",
                7,
                &[("system-line", 1)],
            )
            .with(&["--all"], 5),
            shape("tests/fixtures/import/telegram/account.json", 2, &[])
                .with(&["--chat", "21"], 1)
                .between("hello boats", "hello Mali"),
            shape("tests/fixtures/import/telegram/account.json", 2, &[])
                .with(&["--chat", "Old pier"], 1)
                .between("bye", "bye"),
        ],
    );
}
