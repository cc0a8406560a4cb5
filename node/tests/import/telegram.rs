//! Telegram: limits with their place, what is kept, and any bytes.

use std::io::{self, Read};

use jiff::tz::Offset;
use khlong_node::import::{
    ChatChoice, IMPORT_BODY_BYTES_MAX, IMPORT_LINES_MAX, ImportError, SkipReason,
    TELEGRAM_DEPTH_MAX, TELEGRAM_STRING_BYTES_MAX, TelegramExport, TelegramLimit, parse_telegram,
};
use proptest::prelude::*;

fn read(bytes: impl Read, choice: &ChatChoice) -> Result<TelegramExport, ImportError> {
    parse_telegram("result.json", bytes, Offset::UTC, choice)
}

fn chat(messages: &str) -> String {
    format!("{{\"name\": \"X\", \"id\": 1,\n \"messages\": [{messages}]}}")
}

fn message(text: &str) -> String {
    format!(r#"{{"id": 1, "type": "message", "date_unixtime": "60", "from": "a", "text": {text}}}"#)
}

fn beyond(json: &str) -> (TelegramLimit, u32, usize) {
    match read(json.as_bytes(), &ChatChoice::Lone) {
        Err(ImportError::BeyondLimit { place, limit, .. }) => (limit, place.line, place.byte),
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_told_with_their_place() {
    let deepest = TELEGRAM_DEPTH_MAX as usize - 1;
    let nested = |depth: usize| {
        format!(
            "{{\"messages\": [],\n\"x\": {}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(read(nested(deepest).as_bytes(), &ChatChoice::Lone).is_ok());
    // Five bytes of the name and its colon, then one bracket too many.
    let (limit, line, byte) = beyond(&nested(deepest + 1));
    assert_eq!(
        (limit, line, byte),
        (TelegramLimit::Depth, 2, 5 + deepest + 1)
    );

    let string = |bytes: usize| chat(&message(&format!("\"{}\"", "x".repeat(bytes))));
    let longest = read(
        string(TELEGRAM_STRING_BYTES_MAX).as_bytes(),
        &ChatChoice::Lone,
    )
    .unwrap();
    let parsed = longest.chats[0].parsed.as_ref().unwrap();
    assert_eq!(parsed.skipped[0].reason, SkipReason::BodyTooLong);
    let (limit, line, _) = beyond(&string(TELEGRAM_STRING_BYTES_MAX + 1));
    assert_eq!((limit, line), (TelegramLimit::Value, 2));
    let (limit, ..) = beyond(&chat(&"1".repeat(65)));
    assert_eq!(limit, TelegramLimit::Value);
}

/// What is not chosen does not count, however large it is and wherever its name stands.
#[test]
fn limits_are_those_of_the_chats_that_are_taken() {
    let entries = |count: usize| vec!["1"; count].join(",");
    let chat = |id: u32, name: &str, messages: &str| {
        format!(
            r#"{{"name": "{name}", "type": "private_group", "id": {id}, "messages": [{messages}]}}"#
        )
    };
    let named_last = |id: u32, name: &str, messages: &str| {
        format!(r#"{{"messages": [{messages}], "id": {id}, "name": "{name}"}}"#)
    };
    let account =
        |chats: &[String]| format!("{{\"chats\": {{\"list\": [{}]}}}}", chats.join(",\n"));
    let boats = || ChatChoice::Named("Boats".to_owned());
    let of_boats = |export: &TelegramExport| {
        let chosen = export.chats.iter().filter_map(|chat| chat.parsed.as_ref());
        chosen
            .map(|parsed| parsed.messages.len())
            .collect::<Vec<_>>()
    };

    let too_many = entries(IMPORT_LINES_MAX + 1);
    let large = account(&[
        chat(1, "Large", &too_many),
        chat(2, "Boats", &message("\"x\"")),
        format!(
            r#"{{"type": "saved_messages", "id": 3, "messages": [{}, 1]}}"#,
            message("\"y\"")
        ),
    ]);
    let export = read(large.as_bytes(), &boats()).unwrap();
    assert_eq!(of_boats(&export), [1]);
    let counted: Vec<usize> = export.chats.iter().map(|chat| chat.messages).collect();
    assert_eq!(counted, [0, 1, 1], "as they are told to whoever chooses");
    let listed = read(large.as_bytes(), &ChatChoice::Lone).unwrap();
    assert_eq!((listed.chats.len(), of_boats(&listed)), (3, vec![]));
    for (json, choice) in [
        (&large, ChatChoice::All),
        (&account(&[chat(2, "Boats", &too_many)]), boats()),
        (&account(&[named_last(1, "Large", &too_many)]), boats()),
    ] {
        let refused = read(json.as_bytes(), &choice);
        let Err(ImportError::BeyondLimit { limit, .. }) = refused else {
            panic!("{choice:?}")
        };
        assert_eq!(limit, TelegramLimit::Messages, "{choice:?}");
    }

    let half = entries(IMPORT_LINES_MAX / 2 + 1);
    let halves = account(&[
        named_last(1, "Large", &half),
        named_last(2, "Boats", &message("\"x\"")),
        named_last(3, "Large, too", &half),
    ]);
    let export = read(halves.as_bytes(), &boats()).unwrap();
    assert_eq!(of_boats(&export), [1]);
}

#[test]
fn a_body_is_stored_whole_or_not_at_all() {
    let part = "ก".repeat(IMPORT_BODY_BYTES_MAX / 6);
    let parts = |count: usize| {
        message(&format!(
            "[{}\"\"]",
            format!("{{\"type\": \"bold\", \"text\": \"{part}\"}}, ").repeat(count)
        ))
    };
    let json = chat(&format!(
        "{},\n{},\n{}",
        parts(2),
        parts(3),
        message("\"after\"")
    ));
    let export = read(json.as_bytes(), &ChatChoice::Lone).unwrap();
    let parsed = export.chats[0].parsed.as_ref().unwrap();
    let lengths: Vec<usize> = parsed.messages.iter().map(|m| m.body.len()).collect();
    assert_eq!(lengths, [2 * part.len(), 5]);
    assert_eq!(parsed.messages[1].line, 4, "where it begins");
    let skipped: Vec<_> = parsed.skipped.iter().map(|s| (s.line, s.reason)).collect();
    assert_eq!(skipped, [(3, SkipReason::BodyTooLong)]);
}

#[test]
fn fields_of_another_kind_count_as_absent() {
    let json = chat(
        r#"{"id": {}, "type": "message", "date_unixtime": 60, "from": ["a"], "from_id": "user1",
            "text": ["x", 5, null, {"type": ["bold"], "text": "y"}, [["z"]]], "poll": "none", "photo": null,
            "reply_to_message_id": true},
           {"type": {}, "date_unixtime": "60"}, null, [1]"#,
    );
    let export = read(json.as_bytes(), &ChatChoice::Lone).unwrap();
    let parsed = export.chats[0].parsed.as_ref().unwrap();
    let told: Vec<_> = parsed
        .messages
        .iter()
        .map(|m| (m.sender.as_str(), m.sent_at_ms, m.body.as_str()))
        .collect();
    assert_eq!(told, [("user1", 60_000, "xy")]);
    assert_eq!(parsed.skipped.len(), 3);
}

#[test]
fn an_escape_that_means_nothing_is_refused_where_it_stands() {
    for text in [r#""\xZ9""#, r#""\x9""#, r#""\x""#, r#""\q""#] {
        let json = chat(&message(text));
        let Err(ImportError::BadJson { place, .. }) = read(json.as_bytes(), &ChatChoice::Lone)
        else {
            panic!("{text}")
        };
        assert_eq!(place.line, 2, "{text}");
    }
    let marked = format!("\u{feff}{}", chat(&message(r#""\\x09""#)));
    let export = read(marked.as_bytes(), &ChatChoice::Lone).unwrap();
    assert_eq!(export.escapes, 0);
    let parsed = export.chats[0].parsed.as_ref().unwrap();
    assert_eq!(parsed.messages[0].body, "\\x09");
}

/// A disk that fails is not taken for the end of the file.
#[test]
fn a_disk_that_fails_is_told() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("EIO"))
        }
    }
    let whole = chat(&message("\"x\""));
    let (half, _) = whole.split_at(20);
    let error = read(half.as_bytes().chain(Fails), &ChatChoice::Lone).unwrap_err();
    assert!(matches!(error, ImportError::Unreadable { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_parse_alike_twice(bytes in json_like()) {
        let once = format!("{:?}", read(bytes.as_slice(), &ChatChoice::All));
        prop_assert_eq!(once, format!("{:?}", read(bytes.as_slice(), &ChatChoice::All)));
    }

    /// Every text of JSON comes back, however Telegram escaped it.
    #[test]
    fn texts_come_back_whole(text in "[ -~ก-์\\n\\t\"\\\\🛶]{1,40}") {
        prop_assume!(!text.trim().is_empty());
        let json = chat(&message(&serde_json::to_string(&text).unwrap()));
        let telegrams = json.replace("\\t", "\\x09");
        // Where a backslash was escaped before a `t`, only JSON's own form is the same text.
        let json = if text.contains('\\') { json } else { telegrams };
        let export = read(json.as_bytes(), &ChatChoice::Lone).unwrap();
        let parsed = export.chats[0].parsed.as_ref().unwrap();
        prop_assert_eq!(&parsed.messages[0].body, &text);
    }
}

/// Pieces of exports, so that random files get into them.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"{\"messages\": [".to_vec()),
        Just(b"{\"chats\": {\"list\": [".to_vec()),
        Just(message("\"x\"").into_bytes()),
        Just(b"{\"type\": \"service\", \"date\": \"2025-01-01T00:00:00\"}".to_vec()),
        Just(b"\"text\": [".to_vec()),
        Just(b"\"\\x09\\".to_vec()),
        Just(b"]".to_vec()),
        Just(b"}".to_vec()),
        Just(b",".to_vec()),
        "[0-9:\\\\x/. \t\"{}\\[\\],]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}
