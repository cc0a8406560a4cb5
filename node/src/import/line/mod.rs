//! LINE chat exports, in the Thai and English shapes that the apps write.
//!
//! ```text
//! [LINE] ประวัติการแชทในกลุ่ม "ตลาดริมคลอง"      title (phone)
//! บันทึกเมื่อ 28/11/2568 20:15                    saved on
//!
//! ศ. 28/11/2568                                 date line
//! 08:54<TAB><TAB>มะลิ เพิ่ม ต้น เข้ากลุ่ม             system line: no sender
//! 08:55<TAB>มะลิ<TAB>สวัสดี                       message
//! 08:56<TAB>ต้น<TAB>"สองบรรทัด                    quoted, because it has
//! อยู่ในเครื่องหมาย ""คำพูด"""                      several lines
//! ```
//!
//! The desktop app writes no title, dates like `2025.05.15 วันพฤหัสบดี`, and
//! spaces in place of TABs ([`spaced`]). The first message line decides how the
//! fields of a file are divided. All times are +07:00. A line that is neither
//! date nor message continues the message before it, because the desktop app
//! and older phones do not quote.

mod clock;
mod date;
mod header;
mod spaced;
mod system;
mod words;

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use self::date::{DateLine, DayOrder};
use self::spaced::Names;
use super::collect::Collector;
use super::encoding::{Strays, decode};
use super::lines::{Line, Lines, clean_body};
use super::{IMPORT_BODY_BYTES_MAX, ImportError, Network, Parsed, SkipReason};

/// Thailand has had no other since 1920, so no time zone table is needed.
const THAILAND: Offset = Offset::constant(7);

/// Reads one export. `file_name` is used in the lists, and for the title if the
/// file has none.
///
/// # Errors
/// [`ImportError::NotLine`] if there is neither a `[LINE]` title nor a date
/// line, [`ImportError::FileTooLarge`], [`ImportError::TooManyLines`],
/// [`ImportError::Undecodable`].
pub fn parse_line(file_name: &str, bytes: &[u8]) -> Result<Parsed, ImportError> {
    let (bytes, encoding) = decode(file_name, bytes, Strays::Refused)?;
    let lines = Lines::split(file_name, &bytes)?;
    let mut parser = Parser::new(file_name, &lines.lines);
    let mut rest = lines.lines.as_slice();
    while let Some(consumed) = parser.step(rest) {
        rest = rest.get(consumed..).unwrap_or_default();
    }
    parser.close();
    if parser.title.is_none() && !parser.saw_date {
        return Err(ImportError::NotLine {
            file: file_name.into(),
        });
    }
    let title = parser
        .title
        .as_deref()
        .or_else(|| header::title_of_file_name(file_name));
    Ok(lines.told_in(parser.collector.finish(title, encoding)))
}

/// How the fields of a message are divided.
enum Layout {
    Tabs,
    Spaces(Names),
}

/// A message whose last line may not have been read yet.
struct Open {
    line: u32,
    sender: String,
    sent_at_ms: i64,
    body: String,
    /// Blank lines that belong to the body only if more text follows.
    blank_lines: usize,
}

struct Parser {
    collector: Collector,
    layout: Layout,
    order: DayOrder,
    title: Option<String>,
    saw_date: bool,
    /// None before the first date line and after an unreadable one: a message
    /// under a wrong day is worse than one listed as skipped.
    day: Option<Date>,
    /// The clock of the last message of this day.
    last_clock: Option<Time>,
    open: Option<Open>,
}

impl Parser {
    fn new(file_name: &str, lines: &[Line<'_>]) -> Self {
        Self {
            collector: Collector::new(Network::Line, file_name),
            layout: layout_of(file_name, lines),
            order: DayOrder::of(lines.iter().map(|line| line.text.as_ref())),
            title: None,
            saw_date: false,
            day: None,
            last_clock: None,
            open: None,
        }
    }

    /// Reads what begins at the first line; how many lines that was, or none at
    /// the end.
    fn step(&mut self, rest: &[Line<'_>]) -> Option<usize> {
        let (line, following) = rest.split_first()?;
        let text = line.text.as_ref();
        if text.trim().is_empty() {
            if let Some(open) = &mut self.open {
                open.blank_lines += 1;
            }
            return Some(1);
        }
        if !self.saw_date && self.header(text) {
            return Some(1);
        }
        if let Some(date_line) = date::read(text, self.order) {
            self.date_line(line, &date_line);
            return Some(1);
        }
        let Some((clock, fields)) = clock::split(text) else {
            self.continuation(line);
            return Some(1);
        };
        match (&self.layout, fields.strip_prefix('\t')) {
            (Layout::Tabs, Some(fields)) => Some(1 + self.tabs(line, clock, fields, following)),
            (Layout::Spaces(_), None) if self.may_be_next(clock) => {
                self.spaces(line, clock, fields.trim_start());
                Some(1)
            }
            (Layout::Tabs | Layout::Spaces(_), Some(_) | None) => {
                self.continuation(line);
                Some(1)
            }
        }
    }

    /// Title and "saved on" come before the first date line only.
    fn header(&mut self, text: &str) -> bool {
        if self.title.is_none()
            && let Some(title) = header::title(text)
        {
            self.title = Some(title.to_owned());
            return true;
        }
        header::is_saved_on(text)
    }

    fn date_line(&mut self, line: &Line<'_>, date_line: &DateLine) {
        self.close();
        self.saw_date = true;
        self.last_clock = None;
        self.day = match date_line {
            DateLine::Day(day) => Some(*day),
            DateLine::NoSuchDay => {
                self.collector
                    .skip(line.number, SkipReason::BadTimestamp, &line.text);
                None
            }
        };
    }

    /// In a file without TABs, `10:30 ประชุม` inside a message looks like a
    /// message. Exports run forward in time, so an earlier clock, or one that
    /// no clock shows, is text.
    fn may_be_next(&self, clock: Option<Time>) -> bool {
        match (clock, self.last_clock) {
            (Some(clock), Some(last)) => clock >= last,
            (Some(_), None) => true,
            (None, Some(_) | None) => self.open.is_none(),
        }
    }

    /// `name TAB text`, `TAB text` (system) or `text` (system). Returns how many
    /// of the following lines belong to a quoted text.
    fn tabs(
        &mut self,
        line: &Line<'_>,
        clock: Option<Time>,
        fields: &str,
        following: &[Line<'_>],
    ) -> usize {
        self.close();
        let Some((sender, text)) = fields.split_once('\t').filter(|(name, _)| !name.is_empty())
        else {
            let reason = system::reason(fields.trim()).unwrap_or(SkipReason::SystemLine);
            self.collector.skip(line.number, reason, &line.text);
            return 0;
        };
        if let Some(reason) = system::reason_of_body(text.trim()) {
            self.collector.skip(line.number, reason, &line.text);
            return 0;
        }
        match quoted(text, following) {
            Some((body, consumed)) => {
                self.begin(line, clock, sender, body);
                // The closing quote ends it: nothing may continue this message.
                self.close();
                consumed
            }
            None => {
                self.begin(line, clock, sender, text.to_owned());
                0
            }
        }
    }

    fn spaces(&mut self, line: &Line<'_>, clock: Option<Time>, rest: &str) {
        self.close();
        let Layout::Spaces(names) = &self.layout else {
            return;
        };
        let (sender, body) = names.split(rest);
        if let Some(reason) = system::reason_of_spaced(rest, body, names.knows(sender)) {
            self.collector.skip(line.number, reason, &line.text);
            return;
        }
        let (sender, body) = (sender.to_owned(), body.to_owned());
        self.begin(line, clock, &sender, body);
    }

    fn begin(&mut self, line: &Line<'_>, clock: Option<Time>, sender: &str, body: String) {
        let Some(day) = self.day else {
            return self
                .collector
                .skip(line.number, SkipReason::NoDate, &line.text);
        };
        let sent_at_ms = clock
            .and_then(|clock| THAILAND.to_timestamp(day.to_datetime(clock)).ok())
            .map(|timestamp| timestamp.as_millisecond());
        let Some(sent_at_ms) = sent_at_ms else {
            return self
                .collector
                .skip(line.number, SkipReason::BadTimestamp, &line.text);
        };
        self.last_clock = clock;
        self.open = Some(Open {
            line: line.number,
            sender: sender.to_owned(),
            sent_at_ms,
            // Cleaned here and below, not at the end, so that the limit is judged
            // on what would be stored.
            body: clean_body(&body),
            blank_lines: 0,
        });
    }

    fn continuation(&mut self, line: &Line<'_>) {
        let Some(open) = &mut self.open else {
            return self
                .collector
                .skip(line.number, SkipReason::Unrecognized, &line.text);
        };
        // Beyond the limit the message will be skipped whatever else it holds.
        if open.body.len() <= IMPORT_BODY_BYTES_MAX {
            for _ in 0..=open.blank_lines {
                open.body.push('\n');
            }
            open.body.push_str(&clean_body(&line.text));
        }
        open.blank_lines = 0;
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        if open.body.trim().is_empty() {
            self.collector
                .skip(open.line, SkipReason::EmptyBody, &open.sender);
        } else {
            self.collector
                .message(open.line, &open.sender, open.sent_at_ms, &open.body);
        }
    }
}

/// The first message line after a date line decides. A file without any has
/// nothing to divide.
fn layout_of(file_name: &str, lines: &[Line<'_>]) -> Layout {
    let texts = || lines.iter().map(|line| line.text.as_ref());
    let first = texts()
        .skip_while(|text| !date::is_date_line(text))
        .find_map(clock::split);
    match first {
        Some((_, fields)) if !fields.starts_with('\t') => {
            Layout::Spaces(Names::learn(texts(), header::title_of_file_name(file_name)))
        }
        Some(_) | None => Layout::Tabs,
    }
}

/// The text of a quoted message and how many lines after the first it takes.
///
/// LINE quotes a text only if it has several lines, and doubles the quotes
/// inside. So a quote that opens and closes on one line was typed by a person,
/// and so was one that no line closes before the next message.
fn quoted(text: &str, following: &[Line<'_>]) -> Option<(String, usize)> {
    let first = text.strip_prefix('"')?;
    if closes(first) {
        return None;
    }
    let end = following
        .iter()
        .take_while(|line| !begins_message(&line.text))
        .position(|line| closes(&line.text))?;
    let mut body = first.to_owned();
    for line in following.get(..=end)? {
        body.push('\n');
        body.push_str(&line.text);
    }
    body.pop();
    Some((body.replace("\"\"", "\""), end + 1))
}

/// An odd run of quotes ends the line: doubled ones, then the closing one.
fn closes(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'"').count() % 2 == 1
}

fn begins_message(text: &str) -> bool {
    clock::split(text).is_some_and(|(_, fields)| fields.starts_with('\t'))
}
