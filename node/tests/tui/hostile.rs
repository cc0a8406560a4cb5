//! Text made to break a screen, through what a terminal would really get.

use khlong_node::tui::Input;
use khlong_node::tui::backend::Careful;
use khlong_node::tui::draw::draw;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::desk::{Desk, message, timeline};

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

fn hostile() -> Vec<String> {
    vec![
        "\u{1b}[2J\u{1b}[H\u{1b}]0;title\u{7}\u{1b}c".to_owned(),
        "\u{9b}5A\u{90}payload\u{9c}\u{8}\u{8}\u{8}\r\roverwritten\u{7f}".to_owned(),
        "\u{202e}backwards\u{2066}\u{200f}\u{61c}".to_owned(),
        format!("flood{}", "\u{301}\u{e49}\u{20dd}".repeat(5_000)),
        "\u{200b}\u{200d}\u{feff}\u{2060}\u{ad}".repeat(2_000) + "end",
        "x".repeat(64 * 1024),
        "กำำำำำ".repeat(50),
        "👩\u{200d}👩\u{200d}👧\u{200d}👦🏽🇹🇭🇹❤️☝🏿\u{231a}\u{fe0e}".repeat(30),
        "क्ष".repeat(90) + "﷽𒐫⸻",
        "\u{17d8}\u{600}\u{70f}\u{110bd}\u{fff9}a\u{fffb}\u{e0001}".repeat(20),
        "漢".repeat(500),
        "\n".repeat(3_000),
        "\t\t\u{2028}\u{2029}\u{85}".to_owned(),
    ]
}

/// Draws as to a terminal, and reads what an emulator makes of it.
fn emulated(desk: &Desk) -> (vt100::Parser, Vec<u8>) {
    let mut bytes = Vec::new();
    let options = TerminalOptions {
        viewport: Viewport::Fixed(Rect::new(0, 0, COLUMNS, ROWS)),
    };
    let backend = Careful(CrosstermBackend::new(&mut bytes));
    let mut terminal = Terminal::with_options(backend, options).unwrap();
    terminal.draw(|frame| draw(&desk.screen, frame)).unwrap();
    drop(terminal);
    let mut parser = vt100::Parser::new(ROWS, COLUMNS, 100);
    parser.process(&bytes);
    (parser, bytes)
}

/// The lines between the panes stand where they belong.
fn assert_in_place(desk: &Desk, what: &str) {
    let (parser, bytes) = emulated(desk);
    let screen = parser.screen();
    let cell = |row, column| screen.cell(row, column).unwrap().contents();
    assert!(cell(0, 0) == "K" && cell(1, 0) == "─", "{what}");
    assert_eq!(cell(1, 20), "┬", "{what}");
    for row in 2..ROWS - 1 {
        assert!(
            ["│", "├"].contains(&cell(row, 20)),
            "{what}: row {row}\n{}",
            screen.contents()
        );
    }
    // Nothing but places, looks and the cursor's visibility is said to the terminal.
    let text = String::from_utf8(bytes).unwrap();
    for sequence in text.split('\u{1b}').skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let (parameters, letter) = sequence.split_at(end);
        assert!(parameters.starts_with('['), "{what}: {sequence:?}");
        assert!(
            letter.starts_with(['H', 'm', 'h', 'l']),
            "{what}: {sequence:?}"
        );
    }
    let controls = text.chars().filter(|c| c.is_control() && *c != '\u{1b}');
    assert_eq!(controls.count(), 0, "{what}");
}

#[test]
fn no_message_moves_the_cursor_or_breaks_the_lines() {
    for text in hostile() {
        let mut desk = Desk::with(
            COLUMNS,
            ROWS,
            vec![
                message(0, "ton", "before"),
                message(1, "ton", &text),
                message(2, "ton", "after"),
            ],
        );
        let what: String = text.chars().take(20).collect();
        assert!(desk.text().contains("ton: after"), "{}", desk.text());
        assert_in_place(&desk, &what);
        desk.press(KeyCode::Tab);
        desk.press(KeyCode::Home);
        assert!(desk.text().contains("ton: before"), "{}", desk.text());
        assert_in_place(&desk, &what);
        desk.press(KeyCode::PageDown);
        assert_in_place(&desk, &what);
    }
}

#[test]
fn no_name_does_either() {
    for text in hostile() {
        let what: String = text.chars().take(20).collect();
        let mut all = message(0, &text, "body");
        all.origin = Some(text.clone());
        all.reply_to = Some(text.clone());
        all.reactions = vec![khlong_node::api::ReactionView {
            emoji: text.clone(),
            by: vec![text.clone()],
        }];
        all.sent_at = text.clone();
        let mut evil = timeline(&text);
        evil.members = vec![text.clone()];
        let mut desk = Desk::of(COLUMNS, ROWS, vec![(evil, vec![all])]);
        desk.relays[0].address.clone_from(&text);
        desk.input(Input::Told(text.clone()));
        assert_in_place(&desk, &what);
        desk.press(KeyCode::Char('/'));
        desk.input(Input::Paste(text.clone()));
        assert_in_place(&desk, &what);
        desk.press(KeyCode::Esc);
        desk.press(KeyCode::Enter);
        desk.input(Input::Paste(text.chars().take(4_000).collect()));
        assert_in_place(&desk, &what);
    }
}

#[test]
fn a_message_of_a_whole_line_of_64_kib_is_read_to_its_end() {
    let body = format!("{}END", "x".repeat(64 * 1024));
    let mut desk = Desk::with(COLUMNS, ROWS, vec![message(0, "ton", &body)]);
    assert!(desk.text().contains("END"), "{}", desk.text());
    desk.press(KeyCode::Tab);
    let mut presses = 0;
    while !desk.text().contains("ton: ") {
        desk.press(KeyCode::PageUp);
        presses += 1;
        assert!(presses < 100, "{}", desk.text());
    }
}
