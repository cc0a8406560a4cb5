//! Limits, what is no export at all, and any bytes.

use khlong_node::import::{
    IMPORT_BODY_BYTES_MAX, IMPORT_EXCERPT_BYTES_MAX, IMPORT_FILE_BYTES_MAX, IMPORT_LINES_MAX,
    ImportError, SkipReason, parse_irc, parse_line,
};
use proptest::prelude::*;

use crate::{all_told, keys, line_text, skips};

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
            parse_line("chat.txt", b"\xFF\xFE[\0L").unwrap_err(),
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
