//! `search`: what is here is found under the words that it says now.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::node::{Node, text};
use crate::relay::Relay;

/// Snippets of what is found, the newest first.
fn found(node: &Node, arguments: &[&str]) -> Vec<String> {
    let lines = node.json_lines(&[&["search"], arguments].concat());
    lines.iter().map(|line| text(&line["snippet"])).collect()
}

fn send(node: &Node, timeline: &str, body: &str) -> String {
    text(&node.json(&["send", timeline, body, "--wait", "none"])["id"])
}

fn files(node: &Node) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(node.home().join("search")).unwrap();
    folder.map(|file| file.unwrap().path()).collect()
}

/// Messages of one author, each with words of its own, by an import: fast to write.
fn fill(node: &Node, messages: usize) -> String {
    let file = node.beside("2026-11-01.txt");
    let line = |n: usize| {
        format!(
            "[{:02}:{:02}] <ton> boat number n{n} สถานีที่{n}\n",
            n / 60 % 24,
            n % 60
        )
    };
    let lines: String = (0..messages).map(line).collect();
    std::fs::write(&file, lines).unwrap();
    let import = ["import", "irc", file.to_str().unwrap(), "--wait", "none"];
    text(&node.json(&import)["timeline"])
}

#[test]
fn thai_and_english_are_found_as_they_are_written() {
    let node = Node::new("มะลิ");
    let timeline = node.open_timeline("ตลาดริมคลอง");
    let thai = "พรุ่งนี้เจอกันที่ตลาดน้ำตอนเก้าโมงเช้านะ";
    let english = "The Café opens at nine, see https://khlong.example/menu";
    let named = "โอนพร้อมเพย์แล้ว 1,250 บาท 🛶";
    for body in [thai, english, named] {
        send(&node, &timeline, body);
    }
    for (query, body) in [
        ("ตลาด", thai),
        ("ตลาดน้ำ", thai),
        ("เก้าโมง พรุ่งนี้", thai),
        // Inside longer words, and of words that no dictionary knows.
        ("ลาดน้ำ", thai),
        ("เพย์", named),
        ("ตลาดน", thai),
        ("cafe OPENS", english),
        ("ope", english),
        ("\"opens at\"", english),
        ("khlong.example/menu", english),
        ("1250", named),
        ("๑๒๕๐ บาท", named),
        ("🛶", named),
        ("\"at opens\"", ""),
        ("boat", ""),
    ] {
        let wanted: Vec<&str> = [body].into_iter().filter(|body| !body.is_empty()).collect();
        assert_eq!(found(&node, &[query]), wanted, "{query}");
    }
    let hit = node.json(&["search", "ตลาดน้ำ"]);
    assert_eq!(hit["kind"], "found");
    assert_eq!(
        (&hit["timeline"], &hit["author"]),
        (&timeline.clone().into(), &"มะลิ".into())
    );
    assert!(text(&hit["id"]).starts_with("msg_") && hit["score"].as_f64().unwrap() > 0.0);
    let mark = |n: usize| hit["marks"][0][n].as_u64().unwrap() as usize;
    assert_eq!(&thai[mark(0)..mark(1)], "ตลาดน้ำ");
    let shown = node.run(&["search", "ตลาดน้ำ"]).stdout;
    assert!(
        shown.contains(thai) && shown.contains("ตลาดริมคลอง") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

#[test]
fn short_thai_words_are_looked_for_inside_others_when_nobody_wrote_them() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("words");
    send(&node, &timeline, "เขาขายของ");
    assert_eq!(found(&node, &["\"ขา\""]), ["เขาขายของ"]);
    send(&node, &timeline, "เจ็บ ขา");
    assert_eq!(found(&node, &["\"ขา\""]), ["เจ็บ ขา"]);
}

#[test]
fn what_is_edited_or_deleted_is_found_no_more() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("changes");
    let edited = send(&node, &timeline, "we meet at the harbour");
    let deleted = send(&node, &timeline, "the harbour is closed");
    assert_eq!(found(&node, &["harbour"]).len(), 2, "both are in the index");
    node.json(&[
        "edit",
        &timeline,
        &edited,
        "we meet at the temple",
        "--wait",
        "none",
    ]);
    node.json(&["delete", &timeline, &deleted, "--wait", "none"]);
    assert!(found(&node, &["harbour"]).is_empty());
    assert_eq!(found(&node, &["temple"]), ["we meet at the temple"]);
}

#[test]
fn a_daemon_finds_what_relays_bring() {
    let relay = Relay::start();
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    let opened = mali.json(&["timeline", "new", "canal", "--wait", "stored"]);
    let timeline = text(&opened["timeline"]["id"]);
    let link = text(&mali.json(&["timeline", "invite", &timeline, "--wait", "stored"])["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    let daemon = ton.daemon();
    mali.json(&["send", &timeline, "เรือด่วนออกแล้ว", "--wait", "delivered"]);
    assert_eq!(found(&ton, &["เรือด่วน"]), ["เรือด่วนออกแล้ว"]);
    assert_eq!(found(&ton, &["เรือ", "--from", "mali"]).len(), 1);
    drop(daemon); // SIGKILL
    assert_eq!(
        found(&ton, &["เรือด่วน"]),
        ["เรือด่วนออกแล้ว"],
        "without the daemon too"
    );
    let said = ton.run(&["search", "เรือด่วน"]);
    assert_eq!(said.stderr, "", "the index was not built anew");
}

#[test]
fn a_daemon_refuses_and_rebuilds_as_a_command_does() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("same");
    send(&node, &timeline, "ferry");
    found(&node, &["ferry"]);
    for file in files(&node) {
        std::fs::write(file, "damaged").unwrap();
    }
    let _daemon = node.daemon();
    assert_eq!(
        found(&node, &["ferry"]),
        ["ferry"],
        "by its search or before"
    );
    let said = node.run(&["search", "!"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (2, ""),
        "{}",
        said.stderr
    );
}

#[test]
fn filters_choose_and_the_newest_come_first() {
    let node = Node::new("mali");
    let irc = fill(&node, 30);
    let other = node.open_timeline("other");
    send(&node, &other, "boat of mine");
    assert_eq!(found(&node, &["boat", "--in", "other"]), ["boat of mine"]);
    assert_eq!(found(&node, &["boat", "--from", "MALI"]), ["boat of mine"]);
    assert_eq!(
        found(&node, &["boat", "--from", "Ton", "--limit", "500"]).len(),
        30
    );
    let newest = found(&node, &["boat", "--in", &irc, "--limit", "2"]);
    assert_eq!(
        newest,
        ["boat number n29 สถานีที่29", "boat number n28 สถานีที่28"]
    );
    let said = node.run(&["search", "boat", "--in", &irc, "--limit", "2"]);
    assert!(said.stderr.contains("2 of 30"), "{}", said.stderr);
    let day = |from: &str, to: &str| {
        found(
            &node,
            &["boat", "--since", from, "--until", to, "--limit", "500"],
        )
        .len()
    };
    assert_eq!(day("2026-11-01", "2026-11-01"), 30);
    assert_eq!(day("2026-11-01T00:10:00Z", "2026-11-01T00:19:00Z"), 10);
    assert_eq!(day("2020-01-01", "2026-10-31"), 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let node = Node::new("mali");
    let long = "a".repeat(2_000);
    let many = "ab ".repeat(100);
    let zalgo = "\u{301}".repeat(400);
    for arguments in [
        &["search", ""][..],
        &["search", "\"\" !?"],
        &["search", &long],
        &["search", &many],
        &["search", &zalgo],
        &["search", "a", "--limit", "0"],
        &["search", "a", "--limit", "501"],
        &["search", "a", "--since", "yesterday"],
        &[
            "search",
            "a",
            "--since",
            "2026-11-02",
            "--until",
            "2026-11-01",
        ],
    ] {
        let said = node.run(arguments);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            said.stderr
        );
        assert!(!said.stderr.is_empty());
    }
    for arguments in [
        ["search", "a", "--in", "nowhere"],
        ["search", "a", "--from", "nobody"],
    ] {
        assert_eq!(node.run(&arguments).code, 1, "{arguments:?}");
    }
    let nothing = node.run(&["search", "a"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));
    assert!(nothing.stderr.contains("nothing was found"));
}

#[test]
fn a_broken_index_is_built_anew() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("broken");
    send(&node, &timeline, "ศาลาริมน้ำ");
    let search = || node.run(&["search", "ศาลา"]);
    assert_eq!(search().stderr, "");
    // Each file damaged in turn, cut short, or gone; and what no index is.
    for kind in ["flip", "cut", "gone"] {
        for number in 0..files(&node).len() {
            let Some(file) = files(&node).into_iter().nth(number) else {
                continue;
            };
            let mut bytes = std::fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            match kind {
                "flip" => bytes[middle] ^= 1,
                "cut" => bytes.truncate(middle),
                _ => bytes.clear(),
            }
            if kind == "gone" {
                std::fs::remove_file(&file).unwrap();
            } else {
                std::fs::write(&file, bytes).unwrap();
            }
            let said = search();
            assert_eq!(said.code, 0, "{kind} {}: {}", file.display(), said.stderr);
            assert!(
                said.stdout.contains("ศาลาริมน้ำ"),
                "{kind} {}",
                file.display()
            );
        }
    }
    for file in files(&node) {
        std::fs::write(file, "no index").unwrap();
    }
    assert!(search().stderr.contains("was built anew"), "it says so");
    assert_eq!(search().stderr, "", "once");
    std::fs::remove_dir_all(node.home().join("search")).unwrap();
    assert!(
        search().stdout.contains("ศาลาริมน้ำ"),
        "it may be deleted at any time"
    );
}

#[test]
fn a_kill_in_the_middle_of_indexing_loses_nothing() {
    let node = Node::new("mali");
    fill(&node, 3_000);
    let folder = node.home().join("search");
    for wanted in [1, 2, 4, 8, 12] {
        let _ = std::fs::remove_dir_all(&folder);
        let mut child = node
            .command()
            .args(["search", "n2999"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let count = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
        while count() < wanted && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
        for n in [0, 1_234, 2_999] {
            assert_eq!(
                found(&node, &[&format!("\"n{n}\"")]).len(),
                1,
                "n{n} after {wanted} files"
            );
        }
        let all = node.run(&["search", "boat"]);
        assert!(all.stderr.contains("of 3000"), "each once: {}", all.stderr);
    }
}

#[test]
fn the_index_gives_nothing_away() {
    let node = Node::bare().with_passphrase("ดอกบัวในคลอง");
    assert_eq!(node.run(&["init", "--nickname", "mali"]).code, 0);
    let timeline = node.open_timeline("secret");
    send(&node, &timeline, "smuggler ขนมครก");
    assert_eq!(found(&node, &["smuggler"]).len(), 1);
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(node.home().join("search")), 0o700);
    assert!(!files(&node).is_empty());
    for file in files(&node) {
        let bytes = std::fs::read(&file).unwrap();
        for plain in ["smug", "ขนม", "timeline", "words"] {
            assert!(
                memchr::memmem::find(&bytes, plain.as_bytes()).is_none(),
                "{}",
                file.display()
            );
        }
        assert_eq!(mode(file), 0o600);
    }
    // The files of another node are of no use to this one, and it says so.
    let other = Node::new("ton");
    let copied = Command::new("cp")
        .arg("-r")
        .args([node.home().join("search"), other.home()])
        .status();
    assert!(copied.unwrap().success());
    let said = other.run(&["search", "smuggler"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, ""));
    assert!(said.stderr.contains("was built anew"), "{}", said.stderr);
}

/// Thai messages, one a line: those that a dictionary was trained on, or real ones of strangers
/// where somebody has put some (`KHLONG_TEST_DATA`).
#[test]
fn each_thai_message_is_found_by_a_part_of_it() {
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crdt/document/dictionaries/thai.txt"
    );
    let of_strangers = std::env::var_os("KHLONG_TEST_DATA");
    let file = of_strangers.map_or_else(|| own.into(), |it| PathBuf::from(it).join("thai/q.txt"));
    let lines = std::fs::read_to_string(file).unwrap();
    let node = Node::new("mali");
    let messages: Vec<&str> = lines
        .lines()
        .filter(|line| line.chars().count() > 12)
        .take(200)
        .collect();
    let file = node.beside("2026-11-01.txt");
    let irc: String = messages
        .iter()
        .enumerate()
        .map(|(n, line)| format!("[{:02}:{:02}] <ton> {line}\n", n / 60, n % 60))
        .collect();
    std::fs::write(&file, irc).unwrap();
    node.json(&["import", "irc", file.to_str().unwrap(), "--wait", "none"]);
    let is_thai =
        |c: char| ('\u{e01}'..='\u{e2e}').contains(&c) || ('\u{e40}'..='\u{e44}').contains(&c);
    for message in messages.iter().step_by(10) {
        let runs = message.split(|c: char| !is_thai(c));
        let Some(part) = runs
            .max_by_key(|run| run.len())
            .filter(|run| run.chars().count() >= 3)
        else {
            continue;
        };
        let hits: Vec<Value> = node.json_lines(&["search", part, "--limit", "500"]);
        assert!(
            hits.iter().any(|hit| text(&hit["snippet"]).contains(part)),
            "{part} of {message}"
        );
    }
}
