//! Text into cells. Everything that is shown passes here, piece by piece.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthChar as _;

use super::message::Tone;
use super::text::pieces;

/// A row of the screen that is being filled from the left.
pub(super) struct Line<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
    used: u16,
    style: Style,
}

impl<'b> Line<'b> {
    /// Row `row` of an area, blank. One that lies outside takes nothing.
    pub(super) fn new(buffer: &'b mut Buffer, area: Rect, row: u16, style: Style) -> Self {
        let row = Rect {
            y: area.y.saturating_add(row),
            height: u16::from(row < area.height),
            ..area
        };
        let area = row.intersection(buffer.area);
        let mut line = Self {
            buffer,
            area,
            used: 0,
            style,
        };
        for x in 0..area.width {
            line.set(x, " ", style);
        }
        line
    }

    /// As much of a text as there is room for; in it nothing is to be obeyed.
    pub(super) fn text(&mut self, text: &str, style: Style) -> &mut Self {
        let style = self.style.patch(style);
        for piece in pieces(text) {
            let width = u16::try_from(piece.width).unwrap_or(u16::MAX);
            if self.used.saturating_add(width) > self.area.width {
                // What follows would stand at a place that is not its own.
                self.used = self.area.width;
                break;
            }
            // What a terminal may draw letter by letter must not run over its edge.
            let at_worst = piece.text.chars().filter_map(char::width).sum::<usize>();
            let edge = self.buffer.area.right() - (self.area.x + self.used);
            let first = piece.text.char_indices().nth(1).map_or(0, |(at, _)| at);
            let whole = piece.text.as_ref();
            let shown = if at_worst > usize::from(edge) {
                whole.get(..first).unwrap_or(whole)
            } else {
                whole
            };
            let (shown, am) = without_sara_am(shown);
            self.set(self.used, shown, style);
            for more in 1..width {
                let symbol = am.filter(|_| more + 1 == width).unwrap_or(" ");
                self.set(self.used + more, symbol, style);
            }
            self.used += width;
        }
        self
    }

    pub(super) fn room(&self) -> usize {
        usize::from(self.area.width.saturating_sub(self.used))
    }

    /// Goes to a cell further on.
    pub(super) fn skip_to_last(&mut self, cells: usize) -> &mut Self {
        let cells = u16::try_from(cells).unwrap_or(u16::MAX);
        self.used = self.used.max(self.area.width.saturating_sub(cells));
        self
    }

    fn set(&mut self, x: u16, symbol: &str, style: Style) {
        if self.area.height == 0 {
            return;
        }
        if let Some(cell) = self.buffer.cell_mut((self.area.x + x, self.area.y)) {
            cell.reset();
            cell.set_symbol(symbol).set_style(style);
        }
    }
}

/// Splits a piece such as "น้ำ", which moves as one, before its SARA AM (Thai or Lao). Terminals
/// draw that letter in a cell of its own, which would keep it when the piece is painted over.
fn without_sara_am(piece: &str) -> (&str, Option<&str>) {
    match piece.find(['\u{e33}', '\u{eb3}']) {
        Some(at) if at > 0 => {
            let (before, am) = piece.split_at(at);
            (before, Some(am))
        }
        Some(_) | None => (piece, None),
    }
}

/// How a stretch looks; without colours by weight alone.
pub(super) fn style(tone: Tone, color: bool) -> Style {
    let plain = Style::new();
    match (tone, color) {
        (Tone::Plain, _) => plain,
        (Tone::Faint, true) => plain.fg(Color::DarkGray),
        (Tone::Faint, false) => plain.add_modifier(Modifier::DIM),
        (Tone::Author, true) => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
        (Tone::Mine, true) => plain.fg(Color::Green).add_modifier(Modifier::BOLD),
        (Tone::Author | Tone::Mine, false) => plain.add_modifier(Modifier::BOLD),
        (Tone::Bad, true) => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
        (Tone::Bad, false) => plain.add_modifier(Modifier::BOLD),
    }
}

/// What is chosen.
pub(super) fn chosen(is_here: bool) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    if is_here {
        return style.add_modifier(Modifier::REVERSED);
    }
    style
}
