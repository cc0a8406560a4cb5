//! Writing: clusters, lines, drafts and what becomes of them.

use khlong_node::api::Request;
use khlong_node::tui::{Action, Input};
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use crate::desk::{Desk, MARKET, timeline};

/// In the text of a market without messages.
fn writing(columns: u16, rows: u16) -> Desk {
    let mut desk = Desk::with(columns, rows, Vec::new());
    desk.press(KeyCode::Enter);
    desk
}

/// The rows under the line above the text.
fn draft(desk: &Desk) -> Vec<String> {
    let rows = desk.rows();
    let line = rows
        .iter()
        .position(|row| row.contains("─ write "))
        .unwrap();
    let cells = |row: &String| {
        row.split_once('│')
            .map_or(row.clone(), |(_, row)| row.to_owned())
    };
    rows[line + 1..rows.len() - 1].iter().map(cells).collect()
}

fn sent(desk: &Desk) -> Vec<&str> {
    let bodies = desk.asked.iter().filter_map(|request| {
        if let Request::Send { body, .. } = request {
            Some(body.as_str())
        } else {
            None
        }
    });
    bodies.collect()
}

#[test]
fn backspace_takes_a_thai_letter_with_its_marks() {
    let mut desk = writing(60, 12);
    desk.type_text("ที่น้ำปู่");
    assert_eq!(draft(&desk), ["> ที่น้ำปู่"]);
    assert_eq!(desk.cursor(), (19 + 2 + 4, 10));
    desk.press(KeyCode::Backspace);
    assert_eq!(draft(&desk), ["> ที่น้ำ"]);
    assert_eq!(desk.cursor(), (19 + 2 + 3, 10));
    desk.press(KeyCode::Backspace);
    assert_eq!(draft(&desk), ["> ที่"]);
    desk.press(KeyCode::Backspace);
    assert_eq!(draft(&desk), [">"]);
    desk.press(KeyCode::Backspace);
    assert_eq!(desk.cursor(), (19 + 2, 10));
}

#[test]
fn the_cursor_goes_by_clusters() {
    let mut desk = writing(60, 12);
    desk.type_text("ก็น้ำ漢👍🏽x");
    let mut cells = vec![desk.cursor().0];
    for _ in 0..6 {
        desk.press(KeyCode::Left);
        cells.push(desk.cursor().0);
    }
    let first = 19 + 2;
    assert_eq!(
        cells,
        [8, 7, 5, 3, 1, 0, 0].map(|cell| first + cell),
        "{}",
        desk.text()
    );
    desk.press(KeyCode::Right);
    desk.press(KeyCode::Delete);
    assert_eq!(draft(&desk), ["> ก็漢👍🏽x"]);
    desk.press(KeyCode::Home);
    desk.type_text("a");
    desk.press(KeyCode::End);
    desk.type_text("z");
    assert_eq!(draft(&desk), ["> aก็漢👍🏽xz"]);
}

#[test]
fn a_text_has_lines_and_enter_sends_all_of_them() {
    let mut desk = writing(60, 14);
    desk.type_text("one");
    desk.press_with(KeyCode::Enter, KeyModifiers::ALT);
    desk.type_text("two");
    desk.press_with(KeyCode::Char('j'), KeyModifiers::CONTROL);
    desk.type_text("สาม");
    assert_eq!(draft(&desk), ["> one", "  two", "  สาม"]);
    desk.press(KeyCode::Up);
    desk.press(KeyCode::Up);
    desk.type_text("!");
    assert_eq!(draft(&desk), ["> one!", "  two", "  สาม"]);
    assert_eq!(sent(&desk), [""; 0]);
    desk.press(KeyCode::Enter);
    assert_eq!(sent(&desk), ["one!\ntwo\nสาม"]);
    assert_eq!(draft(&desk), [">"]);
    assert!(desk.text().contains("[queued]"), "{}", desk.text());
    assert!(desk.text().contains("1 waiting"), "{}", desk.text());
    // Nothing is sent without a letter.
    desk.type_text("  ");
    desk.press(KeyCode::Enter);
    assert_eq!(sent(&desk).len(), 1);
}

#[test]
fn a_long_text_wraps_and_scrolls() {
    let mut desk = writing(50, 20);
    let text = "ที่น้ำ word ".repeat(40);
    desk.input(Input::Paste(text.clone()));
    let rows = draft(&desk);
    assert_eq!(rows.len(), 6);
    let (column, row) = desk.cursor();
    assert!(column < 50 && row == 18, "{column} {row}{}", desk.text());
    for _ in 0..60 {
        desk.press(KeyCode::Up);
    }
    assert!(draft(&desk)[0].starts_with("> ที่น้ำ"), "{}", desk.text());
    desk.press(KeyCode::Enter);
    assert_eq!(sent(&desk), [text]);
}

#[test]
fn what_is_pasted_sends_nothing_and_holds_nothing_to_obey() {
    let mut desk = writing(60, 14);
    desk.input(Input::Paste("a\r\nb\u{1b}[2J\u{202e}\tc".to_owned()));
    assert_eq!(sent(&desk), [""; 0]);
    assert_eq!(draft(&desk), ["> a", "  b[2J    c"]);
    desk.input(Input::Paste("x".repeat(20_000)));
    assert!(desk.text().contains("16 KiB"), "{}", desk.text());
    assert_eq!(draft(&desk), ["> a", "  b[2J    c"]);
}

#[test]
fn each_timeline_keeps_its_own_draft() {
    let mut desk = Desk::of(
        70,
        12,
        vec![
            (timeline(MARKET), Vec::new()),
            (timeline("งาน"), Vec::new()),
        ],
    );
    desk.press(KeyCode::Enter);
    desk.type_text("for the first");
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Down);
    desk.press(KeyCode::Enter);
    assert_eq!(draft(&desk), [">"]);
    desk.type_text("for the second");
    assert!(desk.rows()[2].contains('✎'), "{}", desk.text());
    let mut unsent = desk.screen.unsent();
    unsent.sort();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        unsent,
        [
            (text("งาน"), text("for the first")),
            (text(MARKET), text("for the second")),
        ]
    );
    desk.press(KeyCode::Enter);
    assert_eq!(sent(&desk), ["for the second"]);
    desk.press(KeyCode::Esc);
    assert_eq!(desk.screen.unsent().len(), 1);
    assert_eq!(
        desk.press_with(KeyCode::Char('c'), KeyModifiers::CONTROL),
        Action::Quit
    );
}

#[test]
fn what_is_refused_comes_back() {
    let mut desk = writing(70, 12);
    desk.refusal = Some("this node left that timeline");
    desk.type_text("still here");
    desk.press(KeyCode::Enter);
    assert_eq!(draft(&desk), ["> still here"]);
    assert!(
        desk.text().contains("left that timeline"),
        "{}",
        desk.text()
    );
}

#[test]
fn what_was_under_way_when_the_node_went_comes_back_with_a_warning() {
    let mut desk = writing(90, 12);
    desk.type_text("sent or not");
    let enter = ratatui::crossterm::event::KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
    desk.screen.handle(Input::Key(enter));
    assert!(matches!(
        desk.screen.poll_request(),
        Some(Request::Send { .. })
    ));
    desk.input(Input::Reopened);
    assert_eq!(draft(&desk), ["> sent or not"]);
    assert!(desk.text().contains("look whether"), "{}", desk.text());
}
