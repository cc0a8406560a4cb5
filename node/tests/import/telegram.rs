//! Telegram: limits with their place, what is kept, and any bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use jiff::tz::Offset;
use khlong_node::import::{
    ChatChoice, IMPORT_BODY_BYTES_MAX, IMPORT_LINES_MAX, ImportError, ImportedMessage, SkipReason,
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

/// What stands for media in `media.json`, and the import keys. They were computed outside this crate
/// from the definition at `import_key`: another word is another key, and everybody who imports a
/// later export has each of these messages twice.
const MEDIA: [(&str, &str); 22] = [
    ("[video message]", "b4aa44a3dcc9d0ad4aecb1ba60439077"),
    ("[video] น้ำขึ้นแล้ว", "e509eb9ab0e7ab216364d1993e26f9bb"),
    ("[animation]", "7c387baac7fd995b982059e05a63134f"),
    ("[audio Canal song]", "4c990dc785f91585f6f67c63debdb4ef"),
    (
        "[audio engine.mp3] is this normal?",
        "da13b708e3090f4e9cd2ca7803c712e0",
    ),
    ("[audio]", "688e2e6ea70cbc06be89eb3e97d0bce8"),
    ("[voice message]", "4664e257330c5b48ab288478708bd6c6"),
    ("[sticker]", "54d55dac13ee25ab733ac248ef8c27f5"),
    ("[media]", "156db2d01c54e78f4209c33a0b1e7a16"),
    ("[location]", "6f88d82cc02b3ee726f5c884c9dedaf4"),
    ("[location ท่าช้าง]", "58d24b69791f650c8578d2e0695aa459"),
    ("[contact]", "6bd55d4c13235e18d0a957b6f1a89a2e"),
    ("[game Boat race]", "d9259454c833c4d87477ef3486c5fa4e"),
    ("[invoice]", "f725d841622335260147b3575e59ddcc"),
    ("[file] nobody named it", "0de1c44b1a9c74e4dd564d37f5eb7e1b"),
    ("[poll]", "e897fefac236a8b4ad356cc2f242bb3f"),
    (
        "[forwarded] who said it is gone",
        "f161d647e55b90df0ffca476d1ace10a",
    ),
    ("[forwarded] [photo]", "53f47dce3186be81a9aa192bfe4f7cb5"),
    (
        "[forwarded from Pier news] [video] live",
        "9934b4ec861b86cff23732e2a5ef75e2",
    ),
    (
        "only entities, here (https://khlong.example/e)",
        "0e263bd0198f97b9e991b93d17a5ffde",
    ),
    (
        "[photo] a caption of entities",
        "6fd84836fcf919c054641cd1ab8d88bf",
    ),
    ("the text", "3214dcabca9118598ee1caa73273d0ac"),
];

#[test]
fn what_stands_for_media_is_frozen_with_its_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import/telegram");
    let file = File::open(path.join("media.json")).unwrap();
    let export = read(file, &ChatChoice::Lone).unwrap();
    let parsed = export.chats[0].parsed.as_ref().unwrap();
    let keyed = |message: &ImportedMessage| {
        let key = data_encoding::HEXLOWER.encode(&message.import_key);
        (message.body.clone(), key)
    };
    let found: Vec<_> = parsed.messages.iter().map(keyed).collect();
    assert_eq!(
        found,
        MEDIA.map(|(body, key)| (body.to_owned(), key.to_owned()))
    );
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
