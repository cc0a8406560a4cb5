//! `import` of more than one chat, in whatever encoding.

use serde_json::Value;

use crate::node::{Node, text};

const BOATS: &str = "[LINE] Chat history in \"Boats\"\n\nFri, 11/28/2025\n08:55\tMali\thello\n08:56\tTon\tthe boat is late\n";
const STALLS: &str = "[LINE] Chat history in \"Stalls\"\n\nFri, 11/28/2025\n08:55\tMali\thello\n09:10\tNok\tfresh mangoes\n09:11\tNok\tat the pier\n09:12\tMali\ton my way\n09:13\tNok\t*waves*\n";

fn file(node: &Node, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = node.beside(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn import(node: &Node, arguments: &[&str]) -> Value {
    let mut lines = node.json_lines(&[&["import"], arguments, &["--wait", "none"]].concat());
    let mut summary = lines.pop().unwrap();
    lines.retain(|line| line["kind"] == "chat");
    summary["chats"] = lines.into();
    summary
}

fn timelines(node: &Node) -> usize {
    node.json(&["timeline", "ls"])["timelines"]
        .as_array()
        .unwrap()
        .len()
}

#[test]
fn each_chat_has_a_timeline_and_finds_it_again() {
    let node = Node::new("mali");
    let (boats, stalls) = (file(&node, "a.txt", BOATS), file(&node, "b.txt", STALLS));
    let dry = import(&node, &["line", &boats, &stalls, "--dry-run"]);
    assert_eq!((&dry["imported"], timelines(&node)), (&7.into(), 0));
    let first = import(&node, &["line", &boats, &stalls]);
    assert_eq!(first["imported"], 7);
    assert_eq!(first["timeline"], Value::Null, "there is not the one");
    let chats = first["chats"].as_array().unwrap();
    assert_eq!(
        chats
            .iter()
            .map(|chat| (text(&chat["title"]), chat["imported"].as_u64().unwrap()))
            .collect::<Vec<_>>(),
        [("Boats".to_owned(), 2), ("Stalls".to_owned(), 5)]
    );
    let of = |summary: &Value, at: usize| text(&summary["chats"][at]["timeline"]);
    assert_eq!(
        node.bodies(&of(&first, 0)),
        ["hello", "the boat is late"],
        "no other chat's words are in it"
    );
    assert_eq!(node.bodies(&of(&first, 1)).len(), 5);

    let again = import(&node, &["line", &stalls, &boats]);
    assert_eq!(
        (&again["imported"], &again["known"]),
        (&0.into(), &7.into())
    );
    assert_eq!(of(&again, 0), of(&first, 1));
    assert_eq!(of(&again, 1), of(&first, 0));
    let one = import(&node, &["line", &stalls]);
    assert_eq!(text(&one["timeline"]), of(&first, 1));
    assert_eq!(timelines(&node), 2);

    let said = node.run(&["import", "line", &boats, &stalls, "--wait", "none"]);
    assert!(said.stdout.contains("Boats: 0 imported"), "{}", said.stdout);
}

/// Alone, on another day, with a greeting that both have.
#[test]
fn a_shared_greeting_makes_no_shared_timeline() {
    let node = Node::new("mali");
    let later = STALLS.replace("08:55\tMali\thello\n", "") + "09:14\tMali\tbye\n";
    let boats = file(
        &node,
        "a.txt",
        BOATS
            .replace("the boat is late", "bye")
            .replace("08:56\tTon", "09:14\tMali"),
    );
    let stalls = file(&node, "b.txt", later);
    import(&node, &["line", &boats]);
    let second = import(&node, &["line", &stalls]);
    assert_eq!(second["imported"], 5);
    assert_eq!(timelines(&node), 2);
}

#[test]
fn a_named_timeline_takes_several_chats_and_says_so() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("all of it");
    let (boats, stalls) = (file(&node, "a.txt", BOATS), file(&node, "b.txt", STALLS));
    let named = ["import", "line", &boats, &stalls, "--timeline", &timeline];
    let said = node.run(&[&named[..], &["--wait", "none", "--json"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stderr.contains("2 chats") && said.stderr.contains("Boats, Stalls"),
        "{}",
        said.stderr
    );
    let summary: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(text(&summary["timeline"]), timeline);
    assert_eq!(node.bodies(&timeline).len(), 6, "the shared greeting once");
}

#[test]
fn irc_channels_are_chats_and_quiet_days_belong_to_their_folder() {
    let node = Node::new("mali");
    let day = |who: &str, channel: &str| {
        format!("=== {who} has joined {channel}\n[10:00] <{who}> hi {channel}\n")
    };
    file(&node, "bkk/2026-11-19.txt", day("mali", "#bangkok"));
    file(
        &node,
        "bkk/2026-11-20.txt",
        "[10:00] <mali> nobody joined today\n",
    );
    file(
        &node,
        "#hatyai/2026-11-20.txt",
        "[10:00] <ton> hi from the south\n",
    );
    let folders = [node.beside("bkk"), node.beside("#hatyai")];
    let [bkk, hatyai] = folders.each_ref().map(|path| path.to_str().unwrap());
    let summary = import(&node, &["irc", bkk, hatyai]);
    let chats = summary["chats"].as_array().unwrap();
    assert_eq!(
        chats
            .iter()
            .map(|chat| (text(&chat["title"]), chat["imported"].as_u64().unwrap()))
            .collect::<Vec<_>>(),
        [("#bangkok".to_owned(), 2), ("#hatyai".to_owned(), 1)]
    );
    assert_eq!(import(&node, &["irc", hatyai, bkk])["imported"], 0);
}

/// Windows-874, the encoding of old Thai programs: one byte a letter.
fn windows_874(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match u32::from(c) {
            code @ 0..=0x7f => u8::try_from(code).unwrap(),
            code => u8::try_from(code - 0xe00 + 0xa0).unwrap(),
        })
        .collect()
}

#[test]
fn old_encodings_are_read_and_named() {
    let node = Node::new("mali");
    let chat = "[LINE] ประวัติการแชทในกลุ่ม \"ตลาด\"\n\nศ. 28/11/2568\n08:55\tมะลิ\tสวัสดีน้ำขึ้น\n";
    let utf16: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(chat.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let plain = import(&node, &["line", &file(&node, "utf8.txt", chat)]);
    for (name, bytes, told) in [
        ("tis.txt", windows_874(chat), "Windows-874"),
        ("utf16.txt", utf16, "UTF-16"),
    ] {
        let path = file(&node, name, bytes);
        let said = node.run(&["--json", "import", "line", &path, "--wait", "none"]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(said.stderr.contains(told), "{}", said.stderr);
        let summary: Value = serde_json::from_str(said.stdout.trim()).unwrap();
        assert_eq!(
            (&summary["imported"], &summary["timeline"]),
            (&0.into(), &plain["timeline"]),
            "{name} is the same chat"
        );
    }
    let latin = b"[LINE] Chat history in \"X\"\n\nFri, 11/28/2025\n08:55\tMali\tcaf\xe9\n";
    let said = node.run(&["import", "line", &file(&node, "latin.txt", latin)]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("line 4, byte 15"), "{}", said.stderr);
}
