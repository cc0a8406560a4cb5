//! A [`Screen`] as cells.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::keys::KEYS;
use super::layout::{Areas, Pane};
use super::list::title;
use super::message::Tone;
use super::paint::{Line, chosen, style};
use super::screen::{PROMPT, Screen, text_width};
use super::text::{cut, visible, width};
use crate::api::{RelayView, TimelineView};

/// Keys that are named when there is nothing to say.
const HINTS: &str = "Tab pane  Enter write, send  / find  ? keys  q quit";
const HINTS_COMPOSE: &str = "Enter send  Alt+Enter new line  Esc back  F1 keys  Ctrl+C quit";
const HINTS_FILTER: &str = "Enter go there  Tab keep  Esc end";

/// Cells that a title has before anything stands behind it.
const TITLE_MIN: usize = 8;

const NO_TIMELINE: &str = "There is no timeline yet. `khlong timeline new TITLE` opens one, \
                           `khlong timeline join LINK` joins one; it is shown here then.";

/// Shows a state. The frame has the size that the state was told last.
pub fn draw(screen: &Screen, frame: &mut Frame<'_>) {
    let areas = screen.areas();
    let buffer = frame.buffer_mut();
    if let Some(row) = screen.help {
        return help(screen, buffer, row);
    }
    header(screen, buffer, areas.header);
    lines(screen, buffer, &areas);
    list(screen, buffer, areas.list);
    history(screen, buffer, areas.history);
    footer(screen, buffer, areas.footer);
    if let Some(cursor) = compose(screen, buffer, areas.compose) {
        frame.set_cursor_position(cursor);
    }
}

fn faint(screen: &Screen) -> Style {
    style(Tone::Faint, screen.color)
}

fn help(screen: &Screen, buffer: &mut Buffer, first: usize) {
    for row in 0..screen.size.height {
        let text = KEYS.lines().nth(first + usize::from(row));
        let mut line = Line::new(buffer, screen.size, row, Style::new());
        line.text(text.unwrap_or_default(), Style::new());
    }
}

fn header(screen: &Screen, buffer: &mut Buffer, area: Rect) {
    let mut line = Line::new(buffer, area, 0, Style::new());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    line.text("Khlong", bold);
    let waiting = match screen.queued {
        0 => String::new(),
        queued => format!("  {queued} waiting"),
    };
    if screen.relays.is_empty() {
        let text = if screen.is_known {
            "  no relay: offline"
        } else {
            "  opening"
        };
        line.text(text, faint(screen));
    }
    for (number, relay) in screen.relays.iter().enumerate() {
        let left = screen.relays.len() - number;
        let (mark, text, tone) = relay_text(relay);
        let text = format!("  {mark} {text}");
        // What waits is said in any case.
        let room = line.room().saturating_sub(width(&waiting));
        if width(&text) > room {
            line.text(&cut(&format!("  +{left} relays"), room), faint(screen));
            break;
        }
        line.text(&text, style(tone, screen.color));
    }
    line.text(&waiting, bold);
}

/// Mark, place and state of a relay.
fn relay_text(relay: &RelayView) -> (&'static str, String, Tone) {
    let place = relay.address.rsplit_once('@');
    let place = visible(place.map_or(relay.address.as_str(), |(_, place)| place));
    let (mark, state, tone) = match relay.state.as_str() {
        "connected" if relay.probing => ("○", "does not answer", Tone::Bad),
        "connected" if !relay.caught_up => ("●", "online, fetching", Tone::Mine),
        "connected" => ("●", "online", Tone::Mine),
        "connecting" => ("○", "offline, connecting", Tone::Faint),
        _ if relay.wrong_key => ("○", "another key", Tone::Bad),
        _ => ("○", "offline", Tone::Faint),
    };
    (mark, format!("{place} {state}"), tone)
}

/// Lines between the parts, with their titles.
fn lines(screen: &Screen, buffer: &mut Buffer, areas: &Areas) {
    let quiet = faint(screen);
    for row in 0..areas.between.height {
        Line::new(buffer, areas.between, row, Style::new()).text("│", quiet);
    }
    let is_split = areas.between.width > 0;
    let in_list = matches!(screen.pane, Pane::Timelines | Pane::Filter);
    let mut top = areas.top_line;
    if is_split {
        let left = Rect {
            width: areas.list.width,
            ..top
        };
        titled(screen, buffer, left, "timelines", in_list, 0);
        let corner = Rect {
            x: areas.between.x,
            width: 1,
            ..top
        };
        Line::new(buffer, corner, 0, Style::new()).text("┬", quiet);
        top.x = areas.history.x;
        top.width = areas.history.width;
    }
    if is_split || !in_list {
        let name = screen.list.chosen().map_or_else(String::new, whole_title);
        let is_here = screen.pane == Pane::History;
        titled(screen, buffer, top, &name, is_here, screen.history.below());
    } else {
        titled(screen, buffer, top, "timelines", in_list, 0);
    }
    if areas.compose_line.height > 0 {
        let is_here = screen.pane == Pane::Compose;
        titled(screen, buffer, areas.compose_line, "write", is_here, 0);
    }
    if is_split && areas.compose_line.height > 0 {
        let joint = Rect {
            y: areas.compose_line.y,
            height: 1,
            ..areas.between
        };
        Line::new(buffer, joint, 0, Style::new()).text("├", quiet);
    }
}

fn titled(screen: &Screen, buffer: &mut Buffer, area: Rect, name: &str, here: bool, below: usize) {
    let quiet = faint(screen);
    let below = match below {
        0 => String::new(),
        many => format!(" ↓ {many} newer "),
    };
    let mut line = Line::new(buffer, area, 0, Style::new());
    line.text("─ ", quiet);
    let room = line.room().saturating_sub(width(&below) + 2);
    line.text(&cut(name, room), if here { chosen(true) } else { quiet });
    line.text(" ", Style::new());
    let rest = line.room().saturating_sub(width(&below));
    line.text(&"─".repeat(rest), quiet);
    line.text(&below, style(Tone::Mine, screen.color));
}

/// "ตลาดริมคลอง: mali, ton"
fn whole_title(view: &TimelineView) -> String {
    let mut text = visible(&title(view));
    if !view.followed {
        text.push_str(" (left)");
    }
    if !view.members.is_empty() {
        text.push_str(&format!(": {}", visible(&view.members.join(", "))));
    }
    text
}

fn list(screen: &Screen, buffer: &mut Buffer, area: Rect) {
    let mut area = area;
    if screen.pane == Pane::Filter || !screen.list.filter.is_empty() {
        let mut line = Line::new(buffer, area, 0, Style::new());
        let is_here = screen.pane == Pane::Filter;
        line.text("/", if is_here { chosen(true) } else { faint(screen) });
        line.text(&visible(&screen.list.filter), Style::new());
        if is_here {
            line.text("▏", Style::new());
        }
        let rows = area.height.min(1);
        area.y += rows;
        area.height -= rows;
    }
    let height = usize::from(area.height).max(1);
    let place = screen.list.place().unwrap_or(0);
    // The chosen one is always seen.
    let first = place.saturating_sub(height - 1);
    let mut shown = screen.list.shown().skip(first);
    for row in 0..area.height {
        let Some(view) = shown.next() else {
            Line::new(buffer, area, row, Style::new());
            continue;
        };
        let is_chosen = screen.list.chosen_id() == Some(view.id.as_str());
        let is_here = matches!(screen.pane, Pane::Timelines | Pane::Filter);
        let look = if is_chosen {
            chosen(is_here)
        } else {
            Style::new()
        };
        // A muted one draws no attention to itself.
        let is_loud = view.unread > 0 && !view.muted;
        let unread = if is_loud {
            format!(" ({})", view.unread)
        } else {
            String::new()
        };
        let draft = screen.drafts.contains_key(&view.id);
        let marks = format!("{unread}{}", if draft { " ✎" } else { "" });
        let ends = [format!("{marks}{}", last_time(screen, view)), marks];
        // The title goes before what stands behind it.
        let room = usize::from(area.width).saturating_sub(TITLE_MIN + 1);
        let ends = ends.into_iter().find(|ends| width(ends) <= room);
        let ends = ends.unwrap_or_default();
        let mut line = Line::new(buffer, area, row, look);
        line.text(if is_chosen { "▸" } else { " " }, Style::new());
        let name = cut(
            &visible(&title(view)),
            line.room().saturating_sub(width(&ends)),
        );
        let weight = if is_loud {
            Style::new().add_modifier(Modifier::BOLD)
        } else {
            Style::new()
        };
        line.text(&name, weight);
        line.skip_to_last(width(&ends)).text(&ends, weight);
    }
    if screen.list.is_empty() {
        let text = if screen.is_known { " none yet" } else { " …" };
        Line::new(buffer, area, 0, Style::new()).text(text, faint(screen));
    }
}

/// " 09:12" today, else " 24 Nov", else " 2025".
fn last_time(screen: &Screen, view: &TimelineView) -> String {
    let Some(last) = screen.list.last_sent_at(&view.id) else {
        return String::new();
    };
    let last = last.to_zoned_datetime(screen.zone.clone());
    let now = screen.now_ms.map(Timestamp::from_millisecond);
    let Some(Ok(now)) = now else {
        return format!(" {}", last.strftime("%-d %b"));
    };
    let now = now.to_zoned_datetime(screen.zone.clone());
    let form = if now.date() == last.date() {
        " %H:%M"
    } else if now.year() == last.year() {
        " %-d %b"
    } else {
        " %Y"
    };
    last.strftime(form).to_string()
}

fn history(screen: &Screen, buffer: &mut Buffer, area: Rect) {
    let seen = screen.history.seen();
    // The newest message stands at the bottom, also of a short history.
    let blank = area
        .height
        .saturating_sub(u16::try_from(seen.len()).unwrap_or(u16::MAX));
    for row in 0..area.height {
        let mut line = Line::new(buffer, area, row, Style::new());
        let stretches = row
            .checked_sub(blank)
            .and_then(|row| seen.get(usize::from(row)));
        for (tone, text) in stretches.into_iter().flatten() {
            line.text(text, style(*tone, screen.color));
        }
    }
    if seen.is_empty() {
        hint(screen, buffer, area);
    }
}

/// Why there is no message.
fn hint(screen: &Screen, buffer: &mut Buffer, area: Rect) {
    let text = if screen.is_known && screen.list.is_empty() {
        NO_TIMELINE
    } else if !screen.is_known || screen.history.is_unread_from_node() {
        "…"
    } else {
        "no message yet"
    };
    let room = usize::from(area.width).max(1);
    let (parts, _) = super::text::wrapped(text, room, room, usize::from(area.height).max(1));
    for (row, part) in (0..area.height).zip(parts) {
        let mut line = Line::new(buffer, area, row, Style::new());
        line.text(text.get(part).unwrap_or_default(), faint(screen));
    }
}

/// The text, and where its cursor is.
fn compose(screen: &Screen, buffer: &mut Buffer, area: Rect) -> Option<Position> {
    let is_here = screen.pane == Pane::Compose && area.height > 0;
    let draft = screen.draft();
    let lines = draft.map(|draft| draft.lines(text_width(area)));
    let (at_line, at_cell) = lines.as_ref().map_or((0, 0), |lines| lines.cursor);
    let height = usize::from(area.height).max(1);
    let first = (at_line + 1).saturating_sub(height);
    for row in 0..area.height {
        let number = first + usize::from(row);
        let mut line = Line::new(buffer, area, row, Style::new());
        let prompt = if number == 0 { "> " } else { "  " };
        line.text(
            prompt,
            if is_here {
                chosen(false)
            } else {
                faint(screen)
            },
        );
        let range = lines.as_ref().and_then(|lines| lines.lines.get(number));
        let part = range.and_then(|range| draft?.text().get(range.clone()));
        line.text(part.unwrap_or_default(), Style::new());
    }
    let x = u16::try_from(at_cell + PROMPT).unwrap_or(u16::MAX);
    let y = u16::try_from(at_line - first).unwrap_or(u16::MAX);
    let cursor = Position {
        x: area.x.saturating_add(x).min(area.right().saturating_sub(1)),
        y: area.y.saturating_add(y),
    };
    is_here.then_some(cursor)
}

fn footer(screen: &Screen, buffer: &mut Buffer, area: Rect) {
    let mut line = Line::new(buffer, area, 0, Style::new());
    if let Some((tone, text)) = &screen.notice {
        line.text(&visible(text), style(*tone, screen.color));
        return;
    }
    let hints = match screen.pane {
        Pane::Compose => HINTS_COMPOSE,
        Pane::Filter => HINTS_FILTER,
        Pane::Timelines | Pane::History => HINTS,
    };
    line.text(hints, faint(screen));
}
