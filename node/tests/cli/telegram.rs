//! `import telegram`: what a message becomes, which chat is meant, what is refused.

use serde_json::{Value, json};

use crate::formats::path;
use crate::node::{Node, text};

const ACCOUNT: &str = "tests/fixtures/import/telegram/account.json";

fn import(node: &Node, arguments: &[&str]) -> Value {
    node.json(&[&["import", "telegram"], arguments, &["--wait", "none"]].concat())
}

/// Author, time, body and, for an answer, the body that it answers.
fn told(log: &[Value]) -> Vec<String> {
    let answered = |line: &Value| {
        let id = line["reply_to"].as_str()?;
        let target = log.iter().find(|other| other["id"] == id).unwrap();
        Some(format!(" <- {}", text(&target["body"])))
    };
    log.iter()
        .map(|line| {
            format!(
                "{} {}: {}{}",
                text(&line["sent_at"]),
                text(&line["author"]),
                text(&line["body"]),
                answered(line).unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn a_message_keeps_who_when_what_and_in_answer_to_what() {
    let node = Node::new("mali");
    let file = path("tests/fixtures/import/telegram/group.json");
    let summary = import(&node, &[&file]);
    let log = node.json_lines(&["log", &text(&summary["timeline"])]);
    assert_eq!(
        told(&log),
        [
            "2025-11-28T01:55:10Z มะลิ: สวัสดีค่ะ ร้านเปิดเก้าโมง",
            "2025-11-28T01:56:00Z Ton: I come by boat, from this pier (https://khlong.example/pier/7); \
             see https://khlong.example/map <- สวัสดีค่ะ ร้านเปิดเก้าโมง",
            "2025-11-28T01:58:00Z มะลิ: [photo] the pier today",
            "2025-11-28T01:58:00Z Ton: [sticker 🚤]",
            "2025-11-28T01:59:00Z user103: my account is gone",
            "2025-11-28T02:00:00Z Ton: [forwarded from Pier news] The water is high",
            "2025-11-28T02:01:00Z Ton: [poll Saturday?]",
            "2025-11-28T02:04:00Z Nok: [file prices.pdf] mangoes and more <- [sticker 🚤]",
        ]
    );
    let title = node.json(&["timeline", "ls"])["timelines"][0]["title"].clone();
    assert_eq!(title, "ตลาดริมคลอง");
}

/// Word by word, and by every name that Telegram has for what is no text: these words are part of
/// import keys.
#[test]
fn what_is_no_text_has_a_placeholder_and_is_known_again() {
    let node = Node::new("mali");
    let file = path("tests/fixtures/import/telegram/media.json");
    let summary = import(&node, &[&file]);
    let timeline = text(&summary["timeline"]);
    let before = node.json_lines(&["log", &timeline]);
    assert_eq!(
        told(&before),
        [
            "2025-11-28T03:00:00Z มะลิ: [video message]",
            "2025-11-28T03:01:00Z Ton: [video] น้ำขึ้นแล้ว",
            "2025-11-28T03:02:00Z มะลิ: [animation]",
            "2025-11-28T03:03:00Z Ton: [audio Canal song]",
            "2025-11-28T03:04:00Z มะลิ: [audio engine.mp3] is this normal?",
            "2025-11-28T03:05:00Z Ton: [audio]",
            "2025-11-28T03:06:00Z มะลิ: [voice message]",
            "2025-11-28T03:07:00Z Ton: [sticker]",
            "2025-11-28T03:08:00Z มะลิ: [media]",
            "2025-11-28T03:09:00Z Ton: [location]",
            "2025-11-28T03:10:00Z มะลิ: [location ท่าช้าง]",
            "2025-11-28T03:11:00Z Ton: [contact]",
            "2025-11-28T03:12:00Z มะลิ: [game Boat race]",
            "2025-11-28T03:13:00Z Ton: [invoice]",
            "2025-11-28T03:14:00Z มะลิ: [file] nobody named it",
            "2025-11-28T03:15:00Z Ton: [poll]",
            "2025-11-28T03:16:00Z มะลิ: [forwarded] who said it is gone",
            "2025-11-28T03:17:00Z Ton: [forwarded] [photo]",
            "2025-11-28T03:18:00Z มะลิ: [forwarded from Pier news] [video] live",
            "2025-11-28T03:20:00Z มะลิ: only entities, here (https://khlong.example/e)",
            "2025-11-28T03:21:00Z Ton: [photo] a caption of entities",
            "2025-11-28T03:22:00Z มะลิ: the text",
        ]
    );
    let again = import(&node, &[&file]);
    assert_eq!(
        (&again["imported"], &again["known"]),
        (&0.into(), &before.len().into())
    );
    assert_eq!(node.json_lines(&["log", &timeline]), before);
}

/// Of a chosen sender only what is there can be answered.
#[test]
fn an_answer_to_what_was_left_out_is_a_message() {
    let node = Node::new("mali");
    let file = path("tests/fixtures/import/telegram/group.json");
    let summary = import(&node, &[&file, "--only", "Nok"]);
    let log = node.json_lines(&["log", &text(&summary["timeline"])]);
    assert_eq!((log.len(), &log[0]["reply_to"]), (1, &Value::Null));
}

#[test]
fn a_local_time_is_read_by_the_zone_that_was_said() {
    let file = path("tests/fixtures/import/telegram/old-one-line.json");
    for (zone, first) in [
        (&[][..], "2019-03-01T16:30:00Z"),
        (&["--zone", "-03:30"], "2019-03-02T03:00:00Z"),
        (&["--zone", "+0"], "2019-03-01T23:30:00Z"),
    ] {
        let node = Node::new("mali");
        let summary = import(&node, &[&[file.as_str()], zone].concat());
        let log = node.json_lines(&["log", &text(&summary["timeline"])]);
        assert_eq!(log[0]["sent_at"], first, "{zone:?}");
    }
    let node = Node::new("mali");
    for zone in ["Bangkok", "+15:00", "7", "+07:60", "+"] {
        let said = node.run(&["import", "telegram", &file, "--zone", zone]);
        assert_eq!(said.code, 2, "{zone}");
    }
}

#[test]
fn escapes_that_are_no_json_are_read_and_counted() {
    let node = Node::new("mali");
    let file = path("tests/fixtures/import/telegram/escapes.json");
    let said = node.run(&["--json", "import", "telegram", &file, "--wait", "none"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("6 escapes `\\xNN`"), "{}", said.stderr);
    let log = node.json_lines(&["log", "Escapes"]);
    let bodies: Vec<&Value> = log.iter().map(|line| &line["body"]).collect();
    assert_eq!(
        bodies,
        ["a\ttab", "a backslash: \\x09 \\A", "ก \"quoted\" [31m"]
    );
    assert_eq!(log[0]["author"], "Nok\u{e9}");
}

#[test]
fn the_chats_of_an_account_are_told_until_one_is_chosen() {
    let node = Node::new("mali");
    let file = path(ACCOUNT);
    let said = node.run(&["--json", "import", "telegram", &file]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("--chat") && said.stderr.contains("--all"),
        "{}",
        said.stderr
    );
    let choices: Vec<(Value, Value, Value)> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "choice")
        .map(|line| {
            (
                line["id"].clone(),
                line["title"].clone(),
                line["messages"].clone(),
            )
        })
        .collect();
    assert_eq!(
        choices,
        [
            (json!("21"), json!("Boats"), json!(2)),
            (json!("101"), Value::Null, json!(1)),
            (json!("22"), json!("Boats"), json!(1)),
            (json!("23"), json!("Ton"), json!(1)),
            (json!("24"), json!("Old pier"), json!(2)),
        ]
    );
    let said = node.run(&["import", "telegram", &file]);
    assert!(
        said.stdout.contains("21  Boats  2 messages"),
        "{}",
        said.stdout
    );
    let of_two = node.run(&["import", "telegram", &file, "--chat", "Boats"]);
    assert_eq!(of_two.code, 2);
    assert!(
        of_two.stderr.contains("2 chats are called `Boats`") && of_two.stdout.lines().count() == 2,
        "{}",
        of_two.stderr
    );
    let nobody = node.run(&["import", "telegram", &file, "--chat", "Nobody"]);
    assert_eq!(nobody.code, 2);
    assert_eq!(nobody.stdout.lines().count(), 5, "what there is");
    let both = node.run(&["import", "telegram", &file, "--chat", "Ton", "--all"]);
    assert_eq!(both.code, 2);
    let timelines = node.json(&["timeline", "ls"])["timelines"].clone();
    assert_eq!(timelines, json!([]), "nothing was written meanwhile");
}

/// Names are those of the exporter's contacts; who sent it is one person all the same.
#[test]
fn another_name_of_a_contact_makes_no_other_message() {
    let node = Node::new("mali");
    let whole = std::fs::read_to_string(path("tests/fixtures/import/telegram/group.json")).unwrap();
    let file = node.beside("result.json");
    let name = file.to_str().unwrap();
    std::fs::write(&file, &whole).unwrap();
    import(&node, &[name]);
    let renamed = whole.replace(r#""from": "Ton""#, r#""from": "Ton (boat)""#);
    assert_ne!(renamed, whole);
    std::fs::write(&file, renamed).unwrap();
    let again = import(&node, &[name]);
    assert_eq!(
        (&again["imported"], &again["known"]),
        (&0.into(), &8.into())
    );
}

#[test]
fn what_breaks_off_is_refused_with_its_place() {
    let node = Node::new("mali");
    let whole = std::fs::read_to_string(path("tests/fixtures/import/telegram/group.json")).unwrap();
    let half = &whole[..whole.find("I come by").unwrap()];
    let lines = half.lines().count();
    for (content, told) in [
        (half.to_owned(), format!("line {lines}, byte")),
        ("{\"about\": \"x\"}".to_owned(), "holds no chat".to_owned()),
        (
            format!("{{\"messages\": {}", "[".repeat(100_000)),
            "nested".to_owned(),
        ),
    ] {
        let file = node.beside("result.json");
        std::fs::write(&file, content).unwrap();
        let said = node.run(&["import", "telegram", file.to_str().unwrap()]);
        assert_eq!(said.code, 1, "{}", said.stdout);
        assert!(said.stderr.contains(&told), "{told}: {}", said.stderr);
    }
    let timelines = node.json(&["timeline", "ls"])["timelines"].clone();
    assert_eq!(timelines, json!([]));
}
