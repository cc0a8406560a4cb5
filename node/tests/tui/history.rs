//! Reading: what a message looks like, and the way back to the first of them.

use khlong_node::api::{Delivery, Event, MessageView, ReactionView, Request};
use ratatui::crossterm::event::KeyCode;

use crate::desk::{Desk, MARKET, message};

/// A conversation with everything that a message can have.
fn conversation() -> Vec<MessageView> {
    let mut greeting = message(0, "mali", "สวัสดี, the stall opens at nine");
    greeting.mine = true;
    greeting.delivery = Delivery::Read;
    greeting.reactions = vec![ReactionView {
        emoji: "👍".to_owned(),
        by: vec!["ton".to_owned(), "Pim (prn_abcdef)".to_owned()],
    }];
    let mut answer = message(1, "ton", "ไปด้วย");
    answer.reply_to = Some(greeting.id.clone());
    answer.edited = true;
    let mut old = message(2, "nok", "from another network");
    old.origin = Some("irc".to_owned());
    let mut gone = message(1_440, "ton", "");
    gone.deleted = true;
    let mut lines = message(1_441, "mali", "two\nlines");
    lines.mine = true;
    lines.delivery = Delivery::Queued;
    vec![greeting, answer, old, gone, lines]
}

#[test]
fn what_a_blocked_member_wrote_is_neither_shown_nor_quoted() {
    let mut rude = message(0, "nok", "rude words");
    rude.blocked = true;
    let mut answer = message(1, "ton", "never mind");
    answer.reply_to = Some(rude.id.clone());
    let screen = Desk::with(80, 12, vec![rude, answer]).text();
    assert!(!screen.contains("rude"), "{screen}");
    assert!(
        screen.contains("nok: (hidden: its author is blocked)"),
        "{screen}"
    );
    assert!(screen.contains("never mind"), "{screen}");
}

fn numbered(count: usize) -> Vec<MessageView> {
    let body = |number| format!("number {number}");
    (0..count)
        .map(|number| message(number, "ton", &body(number)))
        .collect()
}

#[test]
fn messages_stand_under_their_day_with_all_they_have() {
    let desk = Desk::with(66, 18, conversation());
    assert_eq!(
        desk.text(),
        "
Khlong  ● bkk.example:4747 online
─ timelines ──────┬─ ตลาดริมคลอง: mali, ton ───────────────────────
▸ตลาดริมคลอง 24 Nov│
                  │
                  │─────────────── Sun 23 Nov 2025 ───────────────
                  │09:00 mali: สวัสดี, the stall opens at nine
                  │      [read]
                  │      👍 ton, Pim (prn_abcdef)
                  │      ╭ mali: สวัสดี, the stall opens at nine
                  │09:01 ton: ไปด้วย  (edited)
                  │09:02 nok (irc): from another network
                  │─────────────── Mon 24 Nov 2025 ───────────────
                  │09:00 ton: (deleted)
                  │09:01 mali: two
                  │      lines  [queued]
                  ├─ write ───────────────────────────────────────
                  │>
Tab pane  Enter write, send  / find  ? keys  q quit
"
    );
}

#[test]
fn a_long_history_is_read_to_its_first_message_and_back() {
    let mut desk = Desk::with(40, 12, numbered(2_500));
    desk.press(KeyCode::Tab);
    assert!(desk.text().contains("number 2499"), "{}", desk.text());
    let before = desk.logs();
    let mut screens = 0;
    while !desk.text().contains(": number 0\n") {
        let top = desk.rows()[2].clone();
        desk.press(KeyCode::PageUp);
        screens += 1;
        assert!(desk.rows().contains(&top), "a row was skipped");
        assert!(screens < 600, "it does not arrive:{}", desk.text());
    }
    assert!(screens > 350, "seven rows at a time: {screens}");
    // Page by page, and not all at once.
    let asked = desk.logs() - before;
    assert!((25..200).contains(&asked), "{asked} requests");
    assert!(desk.text().contains("Sun 23 Nov 2025"), "{}", desk.text());
    assert!(desk.text().contains("newer"), "{}", desk.text());
    // What is at the top stays there.
    let first = desk.text();
    desk.press(KeyCode::Up);
    assert_eq!(desk.text(), first);
    desk.press(KeyCode::End);
    assert!(desk.text().contains("number 2499"), "{}", desk.text());
    desk.press(KeyCode::Home);
    assert_eq!(desk.text(), first);
    for _ in 0..450 {
        desk.press(KeyCode::PageDown);
    }
    assert!(desk.text().contains("number 2499"), "{}", desk.text());
    assert!(!desk.text().contains("newer"), "{}", desk.text());
}

#[test]
fn what_arrives_is_followed_at_the_end_and_moves_nothing_elsewhere() {
    let mut desk = Desk::with(40, 12, numbered(300));
    desk.press(KeyCode::Tab);
    let arrive = |desk: &mut Desk, number: usize| {
        let new = message(number, "ton", &format!("number {number}"));
        let message = new.id.clone();
        let timeline = desk.timelines[0].0.id.clone();
        desk.timelines[0].1.push(new);
        desk.heard(Event::Message { timeline, message });
    };
    arrive(&mut desk, 300);
    assert!(desk.text().contains("number 300"), "{}", desk.text());
    for _ in 0..5 {
        desk.press(KeyCode::PageUp);
    }
    let messages = |desk: &Desk| desk.rows()[2..9].to_vec();
    let seen = messages(&desk);
    arrive(&mut desk, 301);
    assert_eq!(messages(&desk), seen);
    // One that comes late is sorted in before what is seen.
    desk.timelines[0].1.insert(10, message(9, "ton", "late"));
    let timeline = desk.timelines[0].0.id.clone();
    let id = "msg_late".to_owned();
    desk.timelines[0].1[10].id.clone_from(&id);
    desk.heard(Event::Message {
        timeline,
        message: id,
    });
    assert_eq!(messages(&desk), seen);
    desk.press(KeyCode::End);
    assert!(desk.text().contains("number 301"), "{}", desk.text());
}

#[test]
fn delivery_goes_on_before_ones_eyes() {
    let mut mine = message(0, "mali", "on its way");
    mine.mine = true;
    let mut desk = Desk::with(66, 12, vec![mine]);
    let timeline = desk.timelines[0].0.id.clone();
    for (delivery, word) in [
        (Delivery::Queued, "[queued]"),
        (Delivery::Stored, "[stored]"),
        (Delivery::Delivered, "[delivered]"),
        (Delivery::Read, "[read]"),
        (Delivery::Refused, "[refused]"),
    ] {
        desk.timelines[0].1[0].delivery = delivery;
        let timeline = timeline.clone();
        desk.heard(Event::Delivery { timeline });
        assert!(desk.text().contains(word), "{word}:{}", desk.text());
    }
}

#[test]
fn only_who_is_in_the_history_and_sees_its_end_has_read_it() {
    let mut desk = Desk::with(66, 12, numbered(100));
    desk.timelines[0].0.unread = 3;
    let timeline = desk.timelines[0].0.id.clone();
    desk.heard(Event::State {
        timeline: timeline.clone(),
    });
    assert!(desk.text().contains("(3)"), "{}", desk.text());
    let read = Request::Read { timeline };
    assert!(!desk.asked.contains(&read), "it was only chosen");
    desk.press(KeyCode::PageUp);
    desk.press(KeyCode::Tab);
    assert!(!desk.asked.contains(&read), "the newest one is not seen");
    desk.press(KeyCode::End);
    assert_eq!(desk.asked.iter().filter(|one| **one == read).count(), 1);
    assert!(!desk.text().contains("(3)"), "{}", desk.text());
}

#[test]
fn any_size_is_drawn() {
    let mut messages = conversation();
    messages.extend((2_000..2_100).map(|number| message(number, "น้ำฝน", "ที่ปู่ 漢字 👩‍👩‍👧‍👦 word")));
    let mut desk = Desk::with(100, 30, messages);
    let sizes = [
        (1, 1),
        (5, 3),
        (2, 40),
        (3, 2),
        (0, 0),
        (49, 8),
        (50, 9),
        (300, 100),
        (7, 7),
        (120, 1),
        (1, 60),
        (66, 12),
    ];
    for code in [KeyCode::Tab, KeyCode::Tab, KeyCode::F(1), KeyCode::Esc] {
        for (columns, rows) in sizes {
            desk.resize(columns, rows);
            for key in [
                KeyCode::PageUp,
                KeyCode::Up,
                KeyCode::Down,
                KeyCode::PageDown,
            ] {
                desk.press(key);
            }
        }
        desk.press(code);
    }
    desk.press(KeyCode::Esc);
    desk.resize(1, 1);
    assert_eq!(desk.rows().len(), 1);
    desk.resize(5, 3);
    assert_eq!(desk.rows()[0], "▸ตลา…");
    desk.resize(66, 12);
    assert!(desk.text().contains("word"), "{}", desk.text());
}

#[test]
fn a_place_in_the_history_outlives_a_change_of_size() {
    let mut desk = Desk::with(100, 30, numbered(500));
    desk.press(KeyCode::Tab);
    desk.press(KeyCode::Home);
    for _ in 0..20 {
        desk.press(KeyCode::Down);
    }
    let top = desk.rows()[2].split("ton").nth(1).unwrap().to_owned();
    for (columns, rows) in [(60, 9), (20, 40), (100, 30)] {
        desk.resize(columns, rows);
        assert!(desk.text().contains(&top), "{top}{}", desk.text());
    }
}

#[test]
fn another_timeline_is_another_history() {
    let other = crate::desk::timeline("ที่ทำงาน");
    let market = crate::desk::timeline(MARKET);
    let mut desk = Desk::of(
        70,
        12,
        vec![
            (market, numbered(3)),
            (other, vec![message(5_000, "ton", "at work")]),
        ],
    );
    // The one with the newest message comes first.
    assert!(desk.rows()[2].starts_with("▸ที่ทำงาน"), "{}", desk.text());
    assert!(desk.text().contains("at work"), "{}", desk.text());
    desk.press(KeyCode::Down);
    assert!(desk.text().contains("number 2"), "{}", desk.text());
    assert!(!desk.text().contains("at work"), "{}", desk.text());
}
