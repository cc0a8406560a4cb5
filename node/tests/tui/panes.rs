//! Timelines, relays, keys: everything around the messages.

use khlong_node::api::{Event, TimelineView};
use khlong_node::tui::screen::{Options, Screen};
use khlong_node::tui::text::width;
use khlong_node::tui::{Action, KEYS};
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::style::{Color, Modifier};

use crate::desk::{Desk, MARKET, message, relay, timeline};

fn three(columns: u16, rows: u16) -> Desk {
    let named = |title: &str, number| (timeline(title), vec![message(number, "ton", title)]);
    let timelines = vec![
        named(MARKET, 30),
        named("Boat club", 20),
        named("น้ำท่วม", 10),
    ];
    Desk::of(columns, rows, timelines)
}

#[test]
fn each_relay_says_whether_it_is_there_and_what_waits_is_counted() {
    let mut desk = Desk::with(90, 12, Vec::new());
    assert_eq!(desk.rows()[0], "Khlong  ● bkk.example:4747 online");
    desk.queued = 3;
    desk.relays[0].state = "waiting".to_owned();
    desk.relays.push(relay("connected"));
    desk.relays[1].address = "khlong://OTHER@cnx.example:4747".to_owned();
    let changed = desk.relays[0].clone();
    desk.heard(Event::Relay { relay: changed });
    assert_eq!(
        desk.rows()[0],
        "Khlong  ○ bkk.example:4747 offline  ● cnx.example:4747 online  3 waiting"
    );
    desk.resize(50, 12);
    assert_eq!(
        desk.rows()[0],
        "Khlong  ○ bkk.example:4747 offline  +1…  3 waiting"
    );
    desk.relays[1].probing = true;
    desk.relays.remove(0);
    desk.queued = 0;
    desk.heard(Event::Missed { count: 7 });
    assert_eq!(desk.rows()[0], "Khlong  ○ cnx.example:4747 does not answer");
    desk.relays.clear();
    desk.heard(Event::Missed { count: 7 });
    assert_eq!(desk.rows()[0], "Khlong  no relay: offline");
}

#[test]
fn timelines_are_listed_by_their_newest_message_and_found_by_letters() {
    let mut desk = three(72, 12);
    let titles = |desk: &Desk| -> Vec<String> {
        let cells = desk.rows().into_iter().skip(2).take(4);
        let cells = cells.map(|row| row.split('│').next().unwrap().trim_end().to_owned());
        cells.filter(|row| !row.is_empty()).collect()
    };
    assert_eq!(
        titles(&desk),
        [
            "▸ตลาดริมคลอง 23 Nov",
            " Boat club  23 Nov",
            " น้ำท่วม      23 Nov"
        ]
    );
    desk.press(KeyCode::Char('/'));
    desk.type_text("BOAT");
    assert_eq!(titles(&desk), ["/BOAT▏", "▸Boat club  23 Nov"]);
    assert!(desk.text().contains("ton: Boat club"), "{}", desk.text());
    // One of the filter's own letters is no command.
    desk.press(KeyCode::Char('q'));
    assert_eq!(titles(&desk), ["/BOATq▏"]);
    desk.press(KeyCode::Backspace);
    desk.press(KeyCode::Enter);
    assert!(desk.rows()[3].starts_with("▸Boat club"), "{}", desk.text());
    desk.type_text("q");
    assert_eq!(desk.screen.unsent()[0].0, "Boat club");
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Char('/'));
    desk.type_text("น้ำ");
    desk.press(KeyCode::Tab);
    desk.press(KeyCode::Up);
    assert_eq!(titles(&desk), ["/น้ำ", "▸น้ำท่วม      23 Nov"]);
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Esc);
    assert_eq!(titles(&desk).len(), 3);
}

#[test]
fn tab_goes_round_and_only_a_text_takes_letters() {
    let mut desk = three(72, 12);
    let here = |desk: &Desk| {
        let hints = desk.rows().pop().unwrap();
        hints.starts_with("Enter send")
    };
    desk.press(KeyCode::Tab);
    assert!(!here(&desk));
    desk.press(KeyCode::Char('x'));
    assert_eq!(desk.screen.unsent(), []);
    desk.press(KeyCode::Tab);
    assert!(here(&desk));
    desk.press(KeyCode::Char('?'));
    assert_eq!(desk.screen.unsent()[0].1, "?");
    desk.press(KeyCode::Tab);
    assert!(!here(&desk));
    desk.press(KeyCode::BackTab);
    assert!(here(&desk));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.press(KeyCode::Char('q')), Action::Quit);
}

#[test]
fn the_keys_are_shown_and_all_of_them() {
    let mut desk = three(100, 30);
    let before = desk.text();
    desk.press(KeyCode::Char('?'));
    for line in KEYS.lines() {
        assert!(desk.text().contains(line), "{line}{}", desk.text());
    }
    desk.press(KeyCode::Esc);
    assert_eq!(desk.text(), before);
    desk.resize(100, 4);
    desk.press(KeyCode::F(1));
    for _ in 0..100 {
        desk.press(KeyCode::Down);
    }
    let last = KEYS.lines().last().unwrap();
    assert_eq!(desk.rows()[0], last);
    assert_eq!(
        desk.press_with(KeyCode::Char('l'), KeyModifiers::CONTROL),
        Action::DrawAnew
    );
}

#[test]
fn without_colours_there_are_none() {
    for color in [false, true] {
        let mut desk = three(72, 12);
        desk.screen = Screen::new(Options {
            zone: jiff::tz::TimeZone::UTC,
            color,
            timeline: None,
        });
        desk.resize(72, 12);
        let buffer = desk.terminal.backend().buffer();
        let plain = buffer
            .content()
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset);
        assert_eq!(plain, !color);
    }
}

#[test]
fn one_begins_with_the_timeline_that_was_asked_for() {
    for (asked, title) in [
        ("Boat", "Boat club"),
        ("tl_น้ำท่วม", "น้ำท่วม"),
        (MARKET, MARKET),
    ] {
        let mut desk = three(72, 12);
        desk.screen = Screen::new(Options {
            zone: jiff::tz::TimeZone::UTC,
            color: false,
            timeline: Some(asked.to_owned()),
        });
        desk.resize(72, 12);
        assert!(
            desk.text().contains(&format!("▸{title}")),
            "{}",
            desk.text()
        );
    }
    let mut desk = three(72, 12);
    desk.screen = Screen::new(Options {
        zone: jiff::tz::TimeZone::UTC,
        color: false,
        timeline: Some("nowhere".to_owned()),
    });
    desk.resize(72, 12);
    assert!(desk.text().contains("no timeline is called nowhere"));
}

/// What came to a muted timeline is there when one goes to it; until then nothing points at it.
#[test]
fn a_muted_timeline_is_listed_without_count_and_not_in_bold() {
    let mut desk = three(72, 12);
    for (place, (unread, muted)) in [(1, (2, false)), (2, (3, true))] {
        let view = &mut desk.timelines[place].0;
        (view.unread, view.muted) = (unread, muted);
    }
    let timeline = desk.timelines[2].0.id.clone();
    let state = || Event::State {
        timeline: timeline.clone(),
    };
    // How a row of the list reads, and whether any of it is in bold.
    let row = |desk: &Desk, row: u16| {
        let whole = desk.rows()[usize::from(row)].clone();
        let text = whole.split('│').next().unwrap().trim_end().to_owned();
        let buffer = desk.terminal.backend().buffer();
        let mut columns = 0..u16::try_from(width(&text)).unwrap();
        let is_bold = columns.any(|x| buffer[(x, row)].modifier.contains(Modifier::BOLD));
        (text, is_bold)
    };
    let listed = |text: &str, is_bold| (text.to_owned(), is_bold);
    desk.heard(state());
    assert_eq!(row(&desk, 3), listed(" Boat club     (2)", true));
    assert_eq!(row(&desk, 4), listed(" น้ำท่วม      23 Nov", false));
    desk.timelines[2].0.muted = false;
    desk.heard(state());
    assert_eq!(row(&desk, 4), listed(" น้ำท่วม         (3)", true));
}

#[test]
fn a_node_without_timelines_says_what_to_do() {
    let desk = Desk::of(90, 12, Vec::new());
    assert!(
        desk.text().contains("khlong timeline new"),
        "{}",
        desk.text()
    );
}

#[test]
fn who_left_and_who_is_joining_are_told() {
    let left = TimelineView {
        followed: false,
        ..timeline("old")
    };
    let joining = TimelineView {
        kind: "joining".to_owned(),
        title: String::new(),
        members: Vec::new(),
        ..timeline("0123456789abcdef")
    };
    let mut desk = Desk::of(90, 12, vec![(left, Vec::new()), (joining, Vec::new())]);
    assert!(desk.text().contains("(no title yet"), "{}", desk.text());
    desk.press(KeyCode::End);
    assert!(desk.text().contains("old (left)"), "{}", desk.text());
}
