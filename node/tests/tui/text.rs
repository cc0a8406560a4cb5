//! Widths and lines of the texts that people write here, and of those that harm.

use khlong_node::tui::text::{cut, pieces, visible, width, wrapped};

fn parts(text: &str) -> Vec<String> {
    pieces(text).map(|piece| piece.text.into_owned()).collect()
}

fn lines(text: &str, room: usize) -> Vec<&str> {
    let (lines, all) = wrapped(text, room, room, usize::MAX);
    assert!(all);
    assert_eq!(lines.first().map_or(0, |line| line.start), 0);
    lines.into_iter().map(|line| &text[line]).collect()
}

#[test]
fn thai_marks_stay_on_their_letter_and_take_no_room() {
    for (text, cells) in [
        ("ที่", 1),
        ("ปู่", 1),
        ("น้ำ", 2),
        ("กำ", 2),
        ("เก่ง", 3),
        ("สวัสดี", 4),
        ("ตลาดริมคลอง", 10),
        ("ก็", 1),
    ] {
        assert_eq!(width(text), cells, "{text}");
    }
    assert_eq!(parts("ที่น้ำปู่"), ["ที่", "น้ำ", "ปู่"]);
    // SARA AM as it is typed, after the tone, and as some programs write it.
    assert_eq!(parts("น\u{e49}\u{e33}").len(), 1);
    assert_eq!(
        parts("น\u{e4d}\u{e49}\u{e32}"),
        ["น\u{e4d}\u{e49}", "\u{e32}"]
    );
}

#[test]
fn wide_letters_and_emoji_take_two_cells() {
    for (text, cells) in [
        ("漢字", 4),
        ("コ", 2),
        ("👍", 2),
        ("👍🏽", 2),
        ("👩‍👩‍👧‍👦", 2),
        ("🇹🇭", 2),
        ("❤️", 2),
        ("한국", 4),
        ("e\u{301}", 1),
    ] {
        assert_eq!(width(text), cells, "{text}");
        let count = parts(text).len();
        assert_eq!(count, width(text).div_ceil(2), "{text}");
    }
}

#[test]
fn lines_end_between_words_and_never_within_a_cluster() {
    assert_eq!(lines("one two three", 8), ["one two ", "three"]);
    assert_eq!(lines("unbreakable", 4), ["unbr", "eaka", "ble"]);
    // Thai has no blanks: between clusters, but not behind a vowel that leads its letter.
    assert_eq!(lines("ปู่ที่น้ำ", 2), ["ปู่ที่", "น้ำ"]);
    assert_eq!(lines("กินเก่ง", 3), ["กิน", "เก่ง"]);
    assert_eq!(lines("มาหา", 3), ["มา", "หา"]);
    assert_eq!(lines("漢字漢字", 5), ["漢字", "漢字"]);
    for room in 1..20 {
        let text = "สวัสดีค่ะ ที่น้ำ hello 漢字 👩‍👩‍👧‍👦 ก็ได้ปู่";
        let all = parts(text);
        let again: Vec<String> = lines(text, room).into_iter().flat_map(parts).collect();
        assert_eq!(again, all, "{room}");
    }
}

#[test]
fn a_line_in_a_room_without_cells_still_ends() {
    assert_eq!(lines("漢字", 1), ["漢", "字"]);
    assert_eq!(lines("ab", 0), ["a", "b"]);
    assert_eq!(lines("", 0), [""]);
}

#[test]
fn what_is_cut_says_so() {
    assert_eq!(cut("ตลาดริมคลอง", 10), "ตลาดริมคลอง");
    assert_eq!(cut("น้ำแข็ง", 3), "น้ำ…");
    assert_eq!(cut("น้ำแข็ง", 2), "…");
    assert_eq!(cut("x", 0), "");
}

#[test]
fn nothing_is_left_that_a_terminal_would_obey() {
    let evil = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}1A\u{202e}txt\u{2066}\r\u{8}\u{7f}\u{85}\u{2028}";
    let shown = visible(evil);
    assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
    assert!(!shown.contains('\u{202e}') && shown.contains("\\u{202e}"));
    assert_eq!(visible("a\tb"), "a    b");
}

#[test]
fn floods_of_marks_end_and_joiners_join_nothing() {
    let flood = format!("a{}b", "\u{301}".repeat(10_000));
    assert_eq!(width(&flood), 2);
    assert!(parts(&flood)[0].chars().count() <= 16);
    // A mark that follows no letter stands on a circle; what is not seen at all goes.
    assert_eq!(parts("\u{e49}"), ["\u{25cc}\u{e49}"]);
    assert_eq!(parts("a\u{200b}\u{feff}\u{2060}b"), ["a", "b"]);
    for text in [
        "กำำำำ".to_owned(),
        "👩\u{200d}".repeat(40),
        "क्".repeat(40) + "क",
        "\u{231a}\u{fe0e}x".to_owned(),
        "\u{1f1f9}".repeat(3),
        "\u{17d8}x".to_owned(),
        "\u{600}1\u{110bd}2".to_owned(),
    ] {
        for piece in pieces(&text) {
            assert!((1..=3).contains(&piece.width), "{text:?}: {piece:?}");
            assert!(piece.text.len() <= 128, "{piece:?}");
        }
    }
}
