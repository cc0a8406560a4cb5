//! Chat exports through the public surface: every shape LINE and IRC logs come
//! in, the hostile ones included, and the real channel log where it is present.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use khlong_node::import::{
    IMPORT_BODY_BYTES_MAX, IMPORT_EXCERPT_BYTES_MAX, IMPORT_FILE_BYTES_MAX, IMPORT_LINES_MAX,
    ImportError, ImportedMessage, Network, Parsed, SkipReason, irc_day_files, parse_irc,
    parse_line, read_export,
};
use proptest::prelude::*;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

fn line(name: &str) -> Parsed {
    parse_line(name, &read_export(&testdata("import").join(name)).unwrap()).unwrap()
}

fn line_text(text: &str) -> Parsed {
    parse_line("chat.txt", text.as_bytes()).unwrap()
}

/// `sent_at sender: body`, as a person would check it.
fn told(message: &ImportedMessage) -> String {
    let at = Timestamp::from_millisecond(message.sent_at_ms).unwrap();
    format!("{at} {}: {}", message.sender, message.body)
}

fn all_told(parsed: &Parsed) -> Vec<String> {
    parsed.messages.iter().map(told).collect()
}

fn skips(parsed: &Parsed) -> Vec<(u32, SkipReason)> {
    parsed
        .skipped
        .iter()
        .map(|skipped| (skipped.line, skipped.reason))
        .collect()
}

fn keys(parsed: &Parsed) -> BTreeSet<[u8; 16]> {
    parsed.messages.iter().map(|m| m.import_key).collect()
}

#[test]
fn thai_group_export() {
    let parsed = line("line-th-group.txt");
    assert_eq!(parsed.title.as_deref(), Some("ตลาดริมคลอง"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-11-28T01:55:00Z มะลิ: สวัสดีค่ะทุกคน",
            "2025-11-28T01:55:00Z ต้น: หวัดดีครับ 🙏",
            "2025-11-28T02:00:00Z ต้น: [รูป]",
            "2025-11-28T02:01:00Z มะลิ: [สติกเกอร์]",
            "2025-11-28T02:02:00Z มะลิ: รายการของวันนี้\n1. กล้วยแขก 20 ถุง\n2. ชาเย็น\n\nป้าบอกว่า \"ห้ามลืมน้ำแข็ง\"",
            "2025-11-28T02:03:00Z ต้น: \"โอเค\" ใช่ไหม",
            "2025-11-28T02:03:00Z ต้น: 555",
            "2025-11-28T02:03:00Z ต้น: 555",
            "2025-11-28T02:05:00Z มะลิ: ตาราง\tราคา\t15",
            "2025-11-28T17:05:00Z ต้น: ยังไม่นอนเหรอ",
            "2025-11-29T00:15:00Z มะลิ: \"คำพูดที่ไม่ปิด",
            "2025-11-29T00:16:00Z มะลิ: ลืมปิดเครื่องหมาย",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [
            (5, SkipReason::JoinOrPart),
            (18, SkipReason::Unsent),
            (23, SkipReason::JoinOrPart),
            (24, SkipReason::SystemLine),
        ]
    );
    assert_eq!(parsed.skipped[1].excerpt, "09:04 ต้น ยกเลิกข้อความ");
    assert_eq!(&*parsed.skipped[1].file, "line-th-group.txt");
    assert_eq!(parsed.messages[4].line, 10, "the first line of several");
    assert_eq!(parsed.messages[5].line, 15);
    assert!(parsed.messages.iter().all(|m| m.network == Network::Line));
    assert_ne!(
        parsed.messages[6].import_key, parsed.messages[7].import_key,
        "two equal messages of one minute are two messages"
    );
}

#[test]
fn thai_direct_export() {
    let parsed = line("line-th-direct.txt");
    assert_eq!(parsed.title.as_deref(), Some("สมชาย ใจดี"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-12-31T17:00:00Z สมชาย ใจดี: สวัสดีปีใหม่ 🎉",
            "2025-12-31T17:01:00Z มะลิ: เช่นกันค่ะ ขอให้รวย ๆ",
            "2026-01-01T01:05:00Z สมชาย ใจดี: ตื่นยัง",
            "2026-01-01T01:06:00Z มะลิ: ☎ เวลาโทร 1:05",
            "2026-01-02T13:59:00Z สมชาย ใจดี: น้ำท่วมที่กิ่งแก้ว",
        ]
    );
    assert_eq!(skips(&parsed), []);
}

#[test]
fn english_export_with_bom_crlf_and_twelve_hours() {
    let parsed = line("line-en.txt");
    assert_eq!(parsed.title.as_deref(), Some("Study Group"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-11-28T03:05:00Z Mali: Morning! Who has the notes?",
            "2025-11-28T03:06:00Z Somchai: [Photo]",
            "2025-11-28T05:00:00Z Ton: Lunch?",
            "2025-11-27T17:30:00Z Ton: this clock went backwards, still kept",
            "2025-11-28T16:59:00Z Mali: Two lines\nof \"notes\"",
            "2025-11-28T18:07:00Z Ton: late",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [
            (5, SkipReason::JoinOrPart),
            (12, SkipReason::Unsent),
            (16, SkipReason::BadTimestamp),
            (17, SkipReason::EmptyBody),
            (18, SkipReason::JoinOrPart),
        ]
    );
}

#[test]
fn english_dates_are_read_in_the_order_that_their_weekdays_fit() {
    let parsed = line("line-en-day-first.txt");
    assert_eq!(parsed.title.as_deref(), Some("Boat Crew"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-12-05T02:00:00Z Ton: the fifth of December",
            "2025-12-06T02:00:00Z Ton: and the sixth",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [(8, SkipReason::BadTimestamp), (9, SkipReason::NoDate)]
    );
}

#[test]
fn desktop_export_without_title_and_tabs() {
    let parsed = line("line-dots-th.txt");
    assert_eq!(parsed.title, None);
    assert_eq!(
        all_told(&parsed),
        [
            "2025-05-15T01:35:00Z พี่ ต้น: เปิดร้านแล้วครับ",
            "2025-05-15T01:36:00Z มะลิ: ครับ รอแป๊บ",
            "2025-05-15T01:37:00Z พี่ ต้น: รูป",
            "2025-05-15T01:38:00Z พี่ นก: ขอเมนูหน่อย",
            "2025-05-15T01:39:00Z พี่ ต้น: สติกเกอร์",
            "2025-05-15T01:41:00Z พี่ นก: มีอะไรบ้าง",
            "2025-05-15T01:42:00Z มะลิ: มีข้าวเหนียว\nกับหมูปิ้ง\n\nไม้ละ 10 บาท",
            "2025-05-15T01:43:00Z พี่ นก: เอา 5 ไม้",
            "2025-05-15T01:44:00Z พี่ นก: กี่โมงดี",
            "2025-05-15T01:45:00Z พี่ ต้น: นัดกันแบบนี้\n07:30 ตั้งร้าน\n08:00 เปิดขาย",
            "2025-05-15T01:46:00Z พี่ นก: โอเค",
            "2025-05-15T01:47:00Z พี่ ต้น: ตารางราคา\t10\t20",
            "2025-05-15T01:49:00Z มะลิ: เดี๋ยวเขา ออกจากกลุ่ม",
            "2025-05-16T02:00:00Z มะลิ: เรียบร้อยค่ะ",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [(7, SkipReason::Unsent), (20, SkipReason::JoinOrPart)]
    );
}

#[test]
fn desktop_file_name_gives_the_title_and_the_name() {
    let parsed = parse_line(
        "downloads/[LINE]Somchai Jaidee.txt",
        "2017.09.03 Sunday\n16:23 Somchai Jaidee Hi\n16:24 Mali Hello there\n".as_bytes(),
    )
    .unwrap();
    assert_eq!(parsed.title.as_deref(), Some("Somchai Jaidee"));
    assert_eq!(
        all_told(&parsed),
        [
            "2017-09-03T09:23:00Z Somchai Jaidee: Hi",
            "2017-09-03T09:24:00Z Mali: Hello there",
        ]
    );
}

#[test]
fn slashes_and_a_date_that_is_none() {
    let parsed = line("line-slashes.txt");
    assert_eq!(
        all_told(&parsed),
        [
            "2024-01-15T03:30:00Z Somchai: Hello",
            "2024-01-15T03:30:00Z Somchai: Hello",
            "2024-01-15T03:31:00Z Mali: [Sticker]",
            "2024-01-16T02:00:00Z Mali: อรุณสวัสดิ์",
            "2024-01-16T02:01:00Z Mali: no quotes\nbut a second line",
            "2024-01-17T02:00:00Z Somchai: พุทธศักราช",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [
            (4, SkipReason::NoDate),
            (17, SkipReason::BadTimestamp),
            (18, SkipReason::NoDate),
        ]
    );
}

#[test]
fn every_date_shape_names_the_same_day() {
    for date in [
        "ศ. 28/11/2568",
        "วันศุกร์ 28/11/2568",
        "2025.11.28 วันศุกร์",
        "2568.11.28 วันศุกร์",
        "2025/11/28(Fri)",
        "2025/11/28（金）",
        "2025/11/28 ศุกร์",
        "2025-11-28",
        "Fri, 11/28/2025",
        "Fri, 28/11/2025",
        "Fri, 28/11/2568",
        "Friday, 28.11.2025",
    ] {
        let parsed = line_text(&format!("{date}\n08:55\tมะลิ\tสวัสดี\n"));
        assert_eq!(
            all_told(&parsed),
            ["2025-11-28T01:55:00Z มะลิ: สวัสดี"],
            "{date}"
        );
    }
    // 2400 is the first Buddhist year; 2399 is left as it stands.
    assert_eq!(
        line_text("2399.01.01\n07:00\ta\tb").messages[0].sent_at_ms,
        "2399-01-01T00:00:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond()
    );
    assert_eq!(
        skips(&line_text("2400.01.01\n07:00\ta\tb")),
        [(1, SkipReason::BadTimestamp), (2, SkipReason::NoDate)],
        "1857 is before every chat"
    );
}

#[test]
fn dates_inside_a_message_are_text() {
    let parsed = line_text(
        "ศ. 28/11/2568\n08:55\tมะลิ\t\"นัด\nศ. 05/12/2568\nนะ\"\n08:56\tต้น\tโอเค\n2025/12/05 ส่งของ\n",
    );
    assert_eq!(
        all_told(&parsed),
        [
            "2025-11-28T01:55:00Z มะลิ: นัด\nศ. 05/12/2568\nนะ",
            "2025-11-28T01:56:00Z ต้น: โอเค\n2025/12/05 ส่งของ",
        ]
    );
}

#[test]
fn irc_day() {
    let bytes = fs::read(testdata("import/2009-11-13.txt")).unwrap();
    let parsed = parse_irc("logs/2009-11-13.txt", &bytes).unwrap();
    assert_eq!(
        all_told(&parsed),
        [
            "2009-11-13T12:41:00Z mali: the relay is up",
            "2009-11-13T12:42:00Z ton: firignng bold and red text, ,x",
            "2009-11-13T12:42:00Z somchai: I have ops",
            "2009-11-13T12:42:00Z ton: caf\u{fffd}",
            "2009-11-13T12:43:00Z ton: ",
            "2009-11-13T12:44:00Z mali: สวัสดี",
            "2009-11-13T12:44:00Z mali: lol",
            "2009-11-13T12:44:00Z mali: lol",
            "2009-11-13T12:45:30Z ton: with seconds",
        ]
    );
    assert_eq!(parsed.lossy_lines, 1);
    assert_eq!(
        skips(&parsed),
        [
            (1, SkipReason::JoinOrPart),
            (7, SkipReason::Action),
            (8, SkipReason::Notice),
            (13, SkipReason::BadTimestamp),
            (14, SkipReason::Unrecognized),
            (15, SkipReason::SystemLine),
            (16, SkipReason::JoinOrPart),
            (18, SkipReason::Unrecognized),
        ]
    );
    assert_eq!(keys(&parsed).len(), parsed.messages.len());
    assert!(parsed.messages.iter().all(|m| m.network == Network::Irc));
}

#[test]
fn an_import_key_is_frozen() {
    let parsed = parse_irc("2026-11-20.txt", b"[09:02] <mali> hello").unwrap();
    // Computed outside this crate from the definition at `import_key`.
    assert_eq!(
        data_encoding::HEXLOWER.encode(&parsed.messages[0].import_key),
        "2609939c57fa0675ef4ab7918be2cbbc"
    );
    let twice = parse_irc(
        "2026-11-20.txt",
        b"[09:02] <mali> hello\n[09:02] <ton> hi\n[09:02] <mali> hello",
    )
    .unwrap();
    assert_eq!(twice.messages[0].import_key, parsed.messages[0].import_key);
    assert_eq!(
        data_encoding::HEXLOWER.encode(&twice.messages[2].import_key),
        "8661d5b95c29c08710c5533766ba2292"
    );
}

#[test]
fn a_partial_export_gives_the_keys_of_the_whole() {
    let whole = fs::read_to_string(testdata("import/line-th-group.txt")).unwrap();
    let second_day = whole.find("ส. 29/11/2568").unwrap();
    let part = line_text(&whole[second_day..]);
    let whole = line_text(&whole);
    assert_eq!(part.messages.len(), 3);
    assert!(keys(&part).is_subset(&keys(&whole)));
    let irc = parse_irc("2025-11-28.txt", "[01:55] <มะลิ> สวัสดีค่ะทุกคน".as_bytes()).unwrap();
    assert!(
        keys(&irc).is_disjoint(&keys(&whole)),
        "another network is another message"
    );
}

#[test]
fn limits_skip_and_never_cut() {
    let longest = "ก".repeat(IMPORT_BODY_BYTES_MAX / 3);
    let bytes = format!(
        "[00:01] <mali> {longest}\n[00:02] <mali> {longest}ก\n[00:03] <{}> hi\n[00:04] <> hi\n",
        "n".repeat(129)
    );
    let parsed = parse_irc("2026-11-20.txt", bytes.as_bytes()).unwrap();
    assert_eq!(parsed.messages.len(), 1);
    assert_eq!(parsed.messages[0].body, longest);
    assert_eq!(
        skips(&parsed),
        [
            (2, SkipReason::BodyTooLong),
            (3, SkipReason::BadSender),
            (4, SkipReason::BadSender),
        ]
    );
    assert!(
        parsed
            .skipped
            .iter()
            .all(|skipped| skipped.excerpt.len() <= IMPORT_EXCERPT_BYTES_MAX)
    );

    let many_lines = "x".repeat(1024) + "\n";
    let parsed = line_text(&format!(
        "2026/11/20\n10:00\tมะลิ\tstart\n{}10:01\tมะลิ\tnext\n",
        many_lines.repeat(20)
    ));
    assert_eq!(
        all_told(&parsed),
        ["2026-11-20T03:01:00Z มะลิ: next"],
        "unquoted lines count, too"
    );
    assert_eq!(skips(&parsed), [(2, SkipReason::BodyTooLong)]);

    // What is stripped does not count: nothing may be lost behind it.
    let bells = "\u{7}".repeat(IMPORT_BODY_BYTES_MAX + 1);
    let parsed = line_text(&format!("2026/11/20\n10:00\tมะลิ\t{bells}\nthe end\n"));
    assert_eq!(parsed.messages[0].body, "\nthe end");
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let cases: [(ImportError, &str); 5] = [
        (parse_irc("ubuntu.log", b"").unwrap_err(), "YYYY-MM-DD.txt"),
        (
            parse_irc("2026-02-30.txt", b"").unwrap_err(),
            "YYYY-MM-DD.txt",
        ),
        (
            parse_line("notes.txt", b"milk\nbread\n").unwrap_err(),
            "Export chat history",
        ),
        (
            parse_line("chat.txt", b"\xFF\xFE[\0L\0").unwrap_err(),
            "save it as UTF-8",
        ),
        (
            parse_irc("2026-11-20.txt", &b"\n".repeat(IMPORT_LINES_MAX)).unwrap_err(),
            "split it",
        ),
    ];
    for (error, hint) in cases {
        assert!(error.to_string().contains(hint), "{error}");
        assert!(!error.is_retryable());
    }
    assert!(matches!(
        parse_line("chat.txt", &vec![b'x'; IMPORT_FILE_BYTES_MAX + 1]),
        Err(ImportError::FileTooLarge { .. })
    ));
    assert!(
        parse_irc("2026-11-20.txt", b"")
            .unwrap()
            .messages
            .is_empty(),
        "an empty day is a day"
    );
}

#[test]
fn day_files_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "2005-01-02.txt",
        "2004-12-25.txt",
        "README.md",
        "2005-13-01.txt",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join("2006-01-01.txt")).unwrap();
    let names: Vec<String> = irc_day_files(folder.path())
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["2004-12-25.txt", "2005-01-02.txt"]);

    let one = folder.path().join("README.md");
    assert_eq!(irc_day_files(&one).unwrap(), [one], "a file names itself");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        irc_day_files(empty.path()),
        Err(ImportError::NoDayFiles { .. })
    ));
    assert!(matches!(
        irc_day_files(&folder.path().join("gone")),
        Err(ImportError::Unreadable { .. })
    ));
    assert!(matches!(
        read_export(folder.path()),
        Err(ImportError::Unreadable { .. })
    ));
}

#[test]
fn the_demo_conversation() {
    let bytes = fs::read(testdata("demo/conversation-th-en.txt")).unwrap();
    let parsed = parse_line("conversation-th-en.txt", &bytes).unwrap();
    assert_eq!(parsed.title.as_deref(), Some("แผงริมคลอง 🛶"));
    let senders: Vec<(&str, usize)> = parsed.senders().into_iter().collect();
    assert_eq!(senders, [("Somchai", 36), ("ต้น", 42), ("มะลิ", 44)]);
    assert_eq!(
        skips(&parsed),
        [
            (5, SkipReason::SystemLine),
            (6, SkipReason::JoinOrPart),
            (7, SkipReason::JoinOrPart),
            (83, SkipReason::Unsent),
        ]
    );
    assert_eq!(parsed.lossy_lines, 0);
    assert_eq!(keys(&parsed).len(), 122);
    let multi_line = parsed.messages.iter().filter(|m| m.body.contains('\n'));
    assert_eq!(multi_line.count(), 3);
    assert!(
        parsed
            .messages
            .iter()
            .any(|m| m.body.contains("\"หยิบมือเดียว\""))
    );
    assert!(
        parsed.messages.is_sorted_by_key(|m| m.sent_at_ms),
        "two days in order"
    );
}

/// The real channel log that the project's data folder holds. It is not part
/// of the repository, so a checkout elsewhere says so and goes on.
#[test]
fn ninety_five_days_of_a_real_channel() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/irc");
    if !folder.is_dir() {
        eprintln!("no {}: not tested on real data", folder.display());
        return;
    }
    let files = irc_day_files(&folder).unwrap();
    let mut messages = 0;
    let mut skipped = 0;
    let mut keys = BTreeSet::new();
    for path in &files {
        let bytes = read_export(path).unwrap();
        let parsed = parse_irc(path.to_str().unwrap(), &bytes).unwrap();
        messages += parsed.messages.len();
        skipped += parsed.skipped.len();
        keys.extend(parsed.messages.iter().map(|m| m.import_key));
    }
    assert_eq!(files.len(), 95);
    assert_eq!(messages, 122_980);
    assert_eq!(skipped, 21_310);
    assert_eq!(keys.len(), messages);
}

/// Pieces that exports are made of, so that random files get past the first
/// line of a parser.
fn export_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("[LINE] ประวัติการแชทในกลุ่ม \"X\"\n".as_bytes().to_vec()),
        Just("2025.05.15 วันพฤหัสบดี\n".as_bytes().to_vec()),
        Just("ศ. 28/11/2568\n".as_bytes().to_vec()),
        Just(b"Fri, 11/28/2025\n".to_vec()),
        Just(b"08:55\tMali\t\"".to_vec()),
        Just(b"08:55\tMali\thello\n".to_vec()),
        Just(b"08:55 Mali hello\n".to_vec()),
        Just(b"10:05\xe2\x80\xafPM\t".to_vec()),
        Just(b"[10:05] <mali> hello\n".to_vec()),
        Just(b"[10:05] <mali> \x03".to_vec()),
        Just(b"\"\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        "[0-9:/. \t\"<>=*]{0,12}".prop_map(String::into_bytes),
        "\\PC{0,8}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_parse_alike_twice_with_keys_of_their_own(bytes in export_like()) {
        let irc = parse_irc("2026-11-20.txt", &bytes).ok();
        prop_assert_eq!(&irc, &parse_irc("2026-11-20.txt", &bytes).ok());
        let line = parse_line("chat.txt", &bytes).ok();
        prop_assert_eq!(&line, &parse_line("chat.txt", &bytes).ok());
        for parsed in [irc, line].into_iter().flatten() {
            prop_assert_eq!(keys(&parsed).len(), parsed.messages.len());
            prop_assert!(parsed.skipped.is_sorted_by_key(|skipped| skipped.line));
            for message in &parsed.messages {
                prop_assert!(message.body.len() <= IMPORT_BODY_BYTES_MAX);
                prop_assert!(!message.sender.is_empty());
                let obeyed = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
                prop_assert!(!message.body.contains(obeyed));
                prop_assert!(!message.sender.contains(char::is_control));
            }
        }
    }

    #[test]
    fn what_people_write_comes_back_whole(
        bodies in proptest::collection::vec("[a-zก-์ 🛶\"0-9]{0,20}(\n[a-zก-์🛶\"]{1,9}){1,3}", 1..12),
    ) {
        let mut export = String::from("[LINE] Chat history with X\nSaved on: 2025/11/28 21:00\n\n2025/11/28(Fri)\n");
        for body in &bodies {
            export.push_str(&format!("08:55\tMali\t\"{}\"\n", body.replace('"', "\"\"")));
        }
        let parsed = parse_line("chat.txt", export.as_bytes()).unwrap();
        let read: Vec<&String> = parsed.messages.iter().map(|m| &m.body).collect();
        prop_assert_eq!(read, bodies.iter().collect::<Vec<_>>());
        prop_assert!(parsed.skipped.is_empty());
    }
}
