//! A message as rows of a screen.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::text::{cut, visible, width, wrapped};
use crate::api::MessageView;
use crate::shown::{delivery, short};

/// Rows of one message. A text of 16 KiB has as many at four cells a row; what is beyond is
/// named.
const ROWS_MAX: usize = 4_096;

/// Cells before the second row of a message: those of its time and a blank.
const INDENT: usize = 6;

/// Cells that the first row must leave to the text; else the text begins on the next one.
const FIRST_ROOM_MIN: usize = 8;

/// What a stretch of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Faint,
    Author,
    Mine,
    Bad,
}

/// A row in stretches.
pub(super) type Row = Vec<(Tone, String)>;

/// What a message's rows depend on beside itself.
pub(super) struct Around<'a> {
    /// Day of the message before it, if that is known; `None` for the first of all.
    pub(super) before: Option<Option<Date>>,
    /// The message that it answers, if that is at hand.
    pub(super) answered: Option<&'a MessageView>,
    pub(super) zone: &'a TimeZone,
    pub(super) width: usize,
}

/// The day on which its author's clock stood.
pub(super) fn day(message: &MessageView, zone: &TimeZone) -> Option<Date> {
    let sent: Timestamp = message.sent_at.parse().ok()?;
    Some(sent.to_zoned_datetime(zone.clone()).date())
}

/// All rows of a message, and in front of them its day, where that begins.
pub(super) fn rows(message: &MessageView, around: &Around<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let own = day(message, around.zone);
    if let (Some(before), Some(own)) = (around.before, own)
        && before != Some(own)
    {
        rows.push(day_row(own, around.width));
    }
    // In a very narrow pane there is no room for an indent.
    let indent = if around.width >= 2 * INDENT {
        INDENT
    } else {
        0
    };
    if let Some(answered) = &message.reply_to {
        let text = match around.answered {
            Some(answered) => format!("{}: {}", visible(&answered.author), beginning(answered)),
            None => visible(short(answered)),
        };
        let text = cut(&format!("╭ {text}"), around.width.saturating_sub(indent));
        rows.push(vec![(Tone::Faint, " ".repeat(indent) + &text)]);
    }
    body_rows(&mut rows, message, around, indent);
    let reactions: Vec<String> = message
        .reactions
        .iter()
        .map(|one| format!("{} {}", visible(&one.emoji), visible(&one.by.join(", "))))
        .collect();
    if !reactions.is_empty() {
        let reactions = reactions.join("  ");
        wrap_into(&mut rows, &reactions, Tone::Faint, around.width, indent);
    }
    rows
}

/// "──── Thu 26 Nov 2026 ────"
fn day_row(day: Date, room: usize) -> Row {
    let name = format!(" {} ", day.strftime("%a %-d %b %Y"));
    let name = cut(&name, room);
    let lines = room.saturating_sub(width(&name));
    let (left, right) = (lines / 2, lines - lines / 2);
    vec![(
        Tone::Faint,
        format!("{}{name}{}", "─".repeat(left), "─".repeat(right)),
    )]
}

fn body_rows(rows: &mut Vec<Row>, message: &MessageView, around: &Around<'_>, indent: usize) {
    let time = message.sent_at.parse::<Timestamp>().map_or_else(
        |_| "--:--".to_owned(),
        |sent| {
            let sent = sent.to_zoned_datetime(around.zone.clone());
            sent.strftime("%H:%M").to_string()
        },
    );
    let mut author = visible(&message.author);
    if let Some(network) = &message.origin {
        author.push_str(&format!(" ({})", visible(network)));
    }
    let time = cut(&format!("{time} "), around.width);
    let room = around.width.saturating_sub(width(&time));
    let author = cut(&format!("{author}: "), room);
    let mut first = room.saturating_sub(width(&author));
    let tone = if message.mine {
        Tone::Mine
    } else {
        Tone::Author
    };
    let mut row: Row = vec![(Tone::Faint, time), (tone, author)];
    if first < FIRST_ROOM_MIN.min(around.width) {
        rows.push(std::mem::take(&mut row));
        row.push((Tone::Plain, " ".repeat(indent)));
        first = around.width.saturating_sub(indent);
    }
    let rest = around.width.saturating_sub(indent).max(1);
    let (tone, body) = match instead(message) {
        Some(words) => (Tone::Faint, words),
        None => (Tone::Plain, message.body.as_str()),
    };
    let mut is_whole = true;
    let mut used = 0;
    for (number, line) in body.split('\n').enumerate() {
        if number > 0 {
            rows.push(std::mem::take(&mut row));
            row.push((Tone::Plain, " ".repeat(indent)));
            first = rest;
        }
        let line = visible(line.strip_suffix('\r').unwrap_or(line));
        let lines_max = ROWS_MAX.saturating_sub(rows.len());
        let (parts, all) = wrapped(&line, first, rest, lines_max.max(1));
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 {
                rows.push(std::mem::take(&mut row));
                row.push((Tone::Plain, " ".repeat(indent)));
                first = rest;
            }
            let part = line.get(part).unwrap_or_default();
            used = width(part);
            row.push((tone, part.to_owned()));
        }
        if !all || rows.len() >= ROWS_MAX {
            is_whole = false;
            break;
        }
    }
    let ends = ends(message, is_whole);
    let room = first.saturating_sub(used);
    if width(&ends.1) <= room {
        row.push(ends);
        rows.push(row);
    } else {
        rows.push(row);
        wrap_into(rows, ends.1.trim_start(), ends.0, around.width, indent);
    }
}

/// What stands behind the text.
fn ends(message: &MessageView, is_whole: bool) -> (Tone, String) {
    let mut ends = String::new();
    if !is_whole {
        ends.push_str("  … (`khlong log` shows the rest)");
    }
    if message.edited && !message.deleted {
        ends.push_str("  (edited)");
    }
    let mut tone = Tone::Faint;
    if message.mine {
        let state = delivery(message.delivery);
        if matches!(state, "refused" | "dropped") {
            tone = Tone::Bad;
        }
        ends.push_str(&format!("  [{state}]"));
    }
    (tone, ends)
}

fn wrap_into(rows: &mut Vec<Row>, text: &str, tone: Tone, room: usize, indent: usize) {
    let room = room.saturating_sub(indent).max(1);
    let (parts, _) = wrapped(text, room, room, ROWS_MAX);
    rows.extend(parts.into_iter().map(|part| {
        let part = text.get(part).unwrap_or_default();
        vec![(tone, " ".repeat(indent) + part)]
    }));
}

/// What stands for a text that is not to be shown.
fn instead(message: &MessageView) -> Option<&'static str> {
    if message.blocked {
        Some("(hidden: its author is blocked)")
    } else if message.deleted {
        Some("(deleted)")
    } else {
        None
    }
}

/// The first line of what is answered.
fn beginning(message: &MessageView) -> String {
    if let Some(words) = instead(message) {
        return words.to_owned();
    }
    visible(message.body.lines().next().unwrap_or_default())
}
