//! A folder of IRC days that was written for this project and goes with it: an
//! ordinary day, one of control characters and old encodings, one of hostile shapes.
//! It stands in for the real channel log that `import` reads where it is present.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::Path;

use khlong_node::import::SkipReason::{
    Action, BadSender, BadTimestamp, JoinOrPart, Notice, SystemLine, Unrecognized,
};
use khlong_node::import::{Parsed, SkipReason, irc_day_files, parse_irc, read_export};

fn days() -> Vec<Parsed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/import/channel");
    let files = irc_day_files(&folder).unwrap();
    files
        .iter()
        .map(|path| parse_irc(path.to_str().unwrap(), &read_export(path).unwrap()).unwrap())
        .collect()
}

fn said(day: &Parsed) -> Vec<(u32, &str, &str)> {
    day.messages
        .iter()
        .map(|message| (message.line, message.sender.as_str(), message.body.as_str()))
        .collect()
}

fn skipped(day: &Parsed) -> Vec<(u32, SkipReason)> {
    day.skipped
        .iter()
        .map(|skipped| (skipped.line, skipped.reason))
        .collect()
}

#[test]
fn an_ordinary_day() {
    let day = &days()[0];
    assert_eq!(
        said(day),
        [
            (3, "mali", "สวัสดีตอนเช้า the water is high today"),
            (4, "ton", "morning"),
            (5, "ton", "morning"),
            (6, "somchai", "relay bkk-2 is back, it was the power again"),
            (10, "mali", "somchai: ขอบคุณค่ะ"),
            (11, "nok", "which pier do you use on Saturdays?"),
            (12, "mali", "https://khlong.example/piers?from=7&to=9#map"),
            (13, "ton", " two spaces before this, one of them is kept"),
            (14, "ton", ""),
            (17, "mali", "ราตรีสวัสดิ์"),
        ]
    );
    assert_eq!(
        skipped(day),
        [
            (1, JoinOrPart),
            (2, JoinOrPart),
            (7, Action),
            (8, Notice),
            (15, JoinOrPart),
            (16, JoinOrPart),
        ]
    );
    assert_eq!(day.lossy_lines, 0);
}

#[test]
fn a_day_of_control_characters_and_old_encodings() {
    let day = &days()[1];
    assert_eq!(
        said(day),
        [
            (1, "mali", "after midnight"),
            (2, "somchai", "bold, underlined and italic"),
            (3, "somchai", "red on yellow and plain, 10 boats"),
            (
                4,
                "somchai",
                "a bell , a reset  and an escape [31m that no terminal may see"
            ),
            (5, "ton", "caf\u{fffd} au lait, 40 baht"),
            // TIS-620, of which two bytes are a letter of UTF-8 by chance.
            (6, "ton", "\u{fffd}\u{fffd}\u{fffd}\u{2b4}\u{fffd}"),
            (7, "\u{fffd}ric", "my nick is Latin-1"),
            (8, "ton", "a zero  inside, and  a next-line"),
            (9, "mali", "a\ttab stays"),
        ]
    );
    assert_eq!(
        skipped(day),
        [
            (10, SystemLine),
            (11, JoinOrPart),
            (12, BadTimestamp),
            (13, BadTimestamp),
            (14, Unrecognized),
            (15, Unrecognized),
            (16, SystemLine),
        ]
    );
    assert_eq!(day.lossy_lines, 4, "two bodies, a name and a `===` line");
}

#[test]
fn a_day_of_hostile_shapes() {
    let day = &days()[2];
    assert_eq!(
        said(day),
        [
            (1, "ton", "morning"),
            (2, "mali", "with seconds"),
            (3, "mali", "with seconds"),
            (4, "mali", "with seconds, another body"),
            (7, "ops", "every prefix of a nick"),
            (8, "mali", "<ton> quoted by mali"),
            (9, "ton", "=== not a system line"),
            (10, "ton", "[09:05] <mali> a whole line quoted"),
            (11, "mali ton", "a nick with a blank"),
        ]
    );
    assert_eq!(
        skipped(day),
        [
            (5, BadSender),
            (6, BadSender),
            (12, Notice),
            (13, Action),
            (14, Unrecognized),
            (15, JoinOrPart),
        ]
    );
    assert_eq!(day.lossy_lines, 0);
}

#[test]
fn three_days_in_order_with_a_key_for_each_message() {
    let days = days();
    let messages: Vec<_> = days.iter().flat_map(|day| &day.messages).collect();
    let skipped: usize = days.iter().map(|day| day.skipped.len()).sum();
    assert_eq!((days.len(), messages.len(), skipped), (3, 28, 19));
    // "morning" three times, of which once on another day; one body twice within a minute.
    let keys: BTreeSet<_> = messages.iter().map(|message| message.import_key).collect();
    assert_eq!(keys.len(), 28);
    let midnight = |day: &Parsed| day.messages[0].sent_at_ms.div_euclid(86_400_000);
    assert_eq!(
        days.iter().map(midnight).collect::<Vec<_>>(),
        [20_775, 20_776, 20_777],
        "2026-11-18 is day 20,775 since 1970"
    );
    assert_eq!(days, self::days(), "the same again");
}
