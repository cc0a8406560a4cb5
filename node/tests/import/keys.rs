//! Import keys: the same for a message wherever and however often it is imported.

use std::fs;

use khlong_node::import::parse_irc;

use crate::{keys, line_text, testdata};

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
