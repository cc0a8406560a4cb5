//! A screen, and a node that answers it from lists.

use jiff::tz::{TimeZone, offset};
use khlong_node::api::{Delivery, Event, MessageView, RelayView, Request, Response, TimelineView};
use khlong_node::node::Heard;
use khlong_node::tui::draw::draw;
use khlong_node::tui::screen::{Options, Screen};
use khlong_node::tui::text::width;
use khlong_node::tui::{Action, Input};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub(crate) const MARKET: &str = "ตลาดริมคลอง";

pub(crate) struct Desk {
    pub(crate) screen: Screen,
    pub(crate) terminal: Terminal<TestBackend>,
    pub(crate) relays: Vec<RelayView>,
    pub(crate) queued: u64,
    /// Timelines with their messages.
    pub(crate) timelines: Vec<(TimelineView, Vec<MessageView>)>,
    /// What the screen asked for.
    pub(crate) asked: Vec<Request>,
    /// What every send is answered with, instead of being written.
    pub(crate) refusal: Option<&'static str>,
}

impl Desk {
    /// Of a node with one timeline, the market, and these messages in it.
    pub(crate) fn with(columns: u16, rows: u16, messages: Vec<MessageView>) -> Self {
        Self::of(columns, rows, vec![(timeline(MARKET), messages)])
    }

    pub(crate) fn of(
        columns: u16,
        rows: u16,
        timelines: Vec<(TimelineView, Vec<MessageView>)>,
    ) -> Self {
        let screen = Screen::new(Options {
            zone: TimeZone::fixed(offset(7)),
            color: false,
            timeline: None,
        });
        let mut desk = Self {
            screen,
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
            relays: vec![relay("connected")],
            queued: 0,
            timelines,
            asked: Vec::new(),
            refusal: None,
        };
        desk.input(Input::Now(1_764_124_200_000)); // 2025-11-26T02:30Z
        desk.resize(columns, rows);
        desk
    }

    pub(crate) fn input(&mut self, input: Input) -> Action {
        let action = self.screen.handle(input);
        self.serve();
        action
    }

    /// Answers until nothing is asked any more.
    pub(crate) fn serve(&mut self) {
        let mut rounds = 0;
        while let Some(request) = self.screen.poll_request() {
            rounds += 1;
            assert!(rounds < 100, "it asks for ever: {request:?}");
            let answer = self.answer(&request);
            self.asked.push(request);
            self.screen.handle(Input::Answer(answer));
        }
        self.screen_is_drawn();
    }

    fn screen_is_drawn(&mut self) {
        self.terminal
            .draw(|frame| draw(&self.screen, frame))
            .unwrap();
    }

    fn views(&self) -> Vec<TimelineView> {
        let views = self.timelines.iter().map(|(view, messages)| TimelineView {
            messages: messages.len(),
            ..view.clone()
        });
        views.collect()
    }

    fn answer(&mut self, request: &Request) -> Response {
        let place = |id: &str| self.timelines.iter().position(|(view, _)| view.id == id);
        match request {
            Request::Status => Response::Status {
                queued: self.queued,
                relays: self.relays.clone(),
                timelines: self.views(),
            },
            Request::Log {
                timeline,
                from,
                limit,
            } => {
                let place = place(timeline).unwrap();
                let messages = &self.timelines[place].1;
                let limit = limit.unwrap();
                assert!(limit <= 100, "more than one line of the socket holds");
                let from = from.unwrap_or(messages.len().saturating_sub(limit));
                let until = (from + limit).min(messages.len());
                Response::Messages {
                    timeline: self.views()[place].clone(),
                    from,
                    messages: messages[from..until].to_vec(),
                }
            }
            Request::Send { timeline, body, .. } => {
                if let Some(refusal) = self.refusal {
                    return refused(refusal);
                }
                let place = place(timeline).unwrap();
                let number = self.timelines[place].1.len();
                let mut sent = message(number, "mali", body);
                sent.mine = true;
                sent.delivery = Delivery::Queued;
                self.timelines[place].1.push(sent);
                self.queued += 1;
                written(timeline)
            }
            Request::Read { timeline } => {
                let place = place(timeline).unwrap();
                self.timelines[place].0.unread = 0;
                written(timeline)
            }
            other => refused(&format!("{other:?}")),
        }
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal.backend_mut().resize(columns, rows);
        self.input(Input::Resize(columns, rows));
    }

    pub(crate) fn heard(&mut self, event: Event) {
        self.input(Input::Heard(Heard::Event(event)));
    }

    pub(crate) fn press(&mut self, code: KeyCode) -> Action {
        self.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    pub(crate) fn press_with(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Action {
        self.input(Input::Key(KeyEvent::new(code, modifiers)))
    }

    /// Letter by letter, as a keyboard gives them.
    pub(crate) fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            self.press(KeyCode::Char(letter));
        }
    }

    /// The cells, without blanks at the ends of rows.
    pub(crate) fn rows(&self) -> Vec<String> {
        let buffer = self.terminal.backend().buffer();
        let area = buffer.area;
        let row = |y| {
            let mut row = String::new();
            let mut x = 0;
            while x < area.width {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += u16::try_from(width(symbol).max(1)).unwrap();
            }
            row.trim_end().to_owned()
        };
        (0..area.height).map(row).collect()
    }

    /// The same below one another, with a line end in front.
    pub(crate) fn text(&self) -> String {
        format!("\n{}\n", self.rows().join("\n"))
    }

    /// Where the cursor is: column and row.
    pub(crate) fn cursor(&mut self) -> (u16, u16) {
        let position = self.terminal.get_cursor_position().unwrap();
        (position.x, position.y)
    }

    pub(crate) fn logs(&self) -> usize {
        let logs = self.asked.iter();
        logs.filter(|request| matches!(request, Request::Log { .. }))
            .count()
    }
}

fn refused(message: &str) -> Response {
    Response::Refused {
        message: message.to_owned(),
        exit_code: 1,
    }
}

fn written(timeline: &str) -> Response {
    Response::Written {
        timeline: timeline.to_owned(),
        message: None,
        envelope: None,
        delivery: Delivery::Queued,
    }
}

pub(crate) fn relay(state: &str) -> RelayView {
    RelayView {
        address: "khlong://KEY@bkk.example:4747".to_owned(),
        state: state.to_owned(),
        last_error: None,
        wrong_key: false,
        caught_up: state == "connected",
        probing: false,
        announced: 0,
        arrived: 0,
        reoffering: 0,
        reoffer_refused: None,
        lacking: 0,
        refused: 0,
        last_stored_at: None,
        last_pushed_at: None,
    }
}

pub(crate) fn timeline(title: &str) -> TimelineView {
    TimelineView {
        id: format!("tl_{title}"),
        title: title.to_owned(),
        kind: "group".to_owned(),
        followed: true,
        members: vec!["mali".to_owned(), "ton".to_owned()],
        messages: 0,
        unread: 0,
        queued: 0,
        parked: 0,
        relays: Vec::new(),
        muted: false,
        blocked: 0,
    }
}

/// The one with this number: a minute after the one before, from 23 November, 09:00 in Bangkok.
pub(crate) fn message(number: usize, author: &str, body: &str) -> MessageView {
    let minutes = i64::try_from(number).unwrap();
    let sent = jiff::Timestamp::from_second(1_763_863_200 + 60 * minutes).unwrap();
    MessageView {
        id: format!("msg_{number:09}"),
        author: author.to_owned(),
        author_id: format!("prn_{author}"),
        mine: false,
        sent_at: sent.to_string(),
        body: body.to_owned(),
        edited: false,
        deleted: false,
        reply_to: None,
        reactions: Vec::new(),
        origin: None,
        delivery: Delivery::Received,
        blocked: false,
    }
}
