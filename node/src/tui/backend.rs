//! Cells to a terminal that may count them otherwise than we do.
//!
//! Terminals agree on the width of most letters and not of all: emoji of several parts, new
//! letters, rare scripts. What follows such a cell in its row would stand beside its place.
//! So the place is said anew behind every cell of which that is not certain.

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

/// A backend that trusts a terminal's own counting only where all agree.
#[derive(Debug)]
pub struct Careful<B>(pub B);

/// Letters that take one cell in every terminal, and marks that take none: ASCII, the Latin
/// of Europe, Thai, and the lines between the panes.
fn is_certain(symbol: &str) -> bool {
    symbol.chars().all(|c| {
        matches!(c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{17f}' | '\u{e01}'..='\u{e3a}' | '\u{e3f}'..='\u{e5b}' | '─' | '│' | '├' | '┬')
    })
}

impl<B: Backend> Backend for Careful<B> {
    type Error = B::Error;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), B::Error>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        // A call of its own begins with the place.
        let mut run = Vec::new();
        for (x, y, cell) in content {
            run.push((x, y, cell));
            if !is_certain(cell.symbol()) {
                self.0.draw(run.drain(..))?;
            }
        }
        self.0.draw(run.into_iter())
    }

    fn append_lines(&mut self, lines: u16) -> Result<(), B::Error> {
        self.0.append_lines(lines)
    }

    fn hide_cursor(&mut self) -> Result<(), B::Error> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> Result<(), B::Error> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> Result<Position, B::Error> {
        // Asked before the screen is cleared, to put it back there: a terminal that does not
        // answer would keep us waiting, and every drawing says where the cursor is.
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), B::Error> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> Result<(), B::Error> {
        self.0.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> Result<(), B::Error> {
        self.0.clear_region(clear_type)
    }

    fn size(&self) -> Result<Size, B::Error> {
        self.0.size()
    }

    fn window_size(&mut self) -> Result<WindowSize, B::Error> {
        self.0.window_size()
    }

    fn flush(&mut self) -> Result<(), B::Error> {
        self.0.flush()
    }
}
