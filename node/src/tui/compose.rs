//! A text that is being written.

use std::ops::Range;

use khlong_document::timeline::limits::MESSAGE_BODY_BYTES_MAX;
use unicode_segmentation::UnicodeSegmentation as _;

use super::text::{self, wrapped};
use crate::shown::is_obeyed;

/// A text and the place in it where one writes: always between two clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    text: String,
    /// In bytes.
    at: usize,
}

/// The text did not fit a message any more, and was left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// A draft as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Stretches of the text, in bytes, without line ends.
    pub lines: Vec<Range<usize>>,
    /// Line and cell of the place where one writes.
    pub cursor: (usize, usize),
}

impl Draft {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Without a letter in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The text, and an empty draft in its place.
    pub fn take(&mut self) -> String {
        self.at = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts back what could not be sent, in front of what was written since.
    pub fn restore(&mut self, unsent: &str) {
        if self.is_blank() {
            self.text.clear();
        } else {
            self.text.insert(0, '\n');
        }
        self.text.insert_str(0, unsent);
        self.at = self.text.len();
    }

    /// Writes; of a pasted text all that a terminal would not obey.
    ///
    /// # Errors
    /// [`TooLong`] when a message does not hold as much.
    pub fn insert(&mut self, written: &str) -> Result<(), TooLong> {
        let written = written.replace("\r\n", "\n").replace('\r', "\n");
        let written: String = written
            .replace('\t', "    ")
            .chars()
            .filter(|c| *c == '\n' || !is_obeyed(*c))
            .collect();
        if self.text.len() + written.len() > MESSAGE_BODY_BYTES_MAX {
            return Err(TooLong);
        }
        self.text.insert_str(self.at, &written);
        // A mark joins the letter before it, and a letter may join what follows.
        self.at = self.boundary_from(self.at + written.len());
        Ok(())
    }

    /// Takes the cluster before the place away.
    pub fn backspace(&mut self) {
        let end = self.at;
        self.left();
        self.text.replace_range(self.at..end, "");
        self.at = self.boundary_from(self.at);
    }

    /// Takes the cluster behind the place away.
    pub fn delete(&mut self) {
        let start = self.at;
        self.right();
        self.text.replace_range(start..self.at, "");
        self.at = self.boundary_from(start);
    }

    /// One cluster back.
    pub fn left(&mut self) {
        let before = self.text.get(..self.at).unwrap_or_default();
        let last = before.graphemes(true).next_back();
        self.at -= last.map_or(0, str::len);
    }

    /// One cluster on.
    pub fn right(&mut self) {
        let after = self.text.get(self.at..).unwrap_or_default();
        self.at += after.graphemes(true).next().map_or(0, str::len);
    }

    /// To the start of the line.
    pub fn home(&mut self) {
        let before = self.text.get(..self.at).unwrap_or_default();
        self.at = before.rfind('\n').map_or(0, |at| at + 1);
    }

    /// To the end of the line.
    pub fn end(&mut self) {
        let after = self.text.get(self.at..).unwrap_or_default();
        self.at += after.find('\n').unwrap_or(after.len());
    }

    /// One line up or down, as they are drawn, to about the same cell; whether there was one.
    pub fn step(&mut self, down: bool, width: usize) -> bool {
        let Lines {
            lines,
            cursor: (line, cell),
        } = self.lines(width);
        let to = if down {
            line.checked_add(1)
        } else {
            line.checked_sub(1)
        };
        let Some(range) = to.and_then(|to| lines.get(to)) else {
            return false;
        };
        let shown = self.text.get(range.clone()).unwrap_or_default();
        let mut used = 0;
        self.at = range.end;
        // The end of a line that goes on is the start of the next one.
        let goes_on = to.is_some_and(|to| lines.get(to + 1).is_some_and(|n| n.start == range.end));
        for piece in text::pieces(shown) {
            let is_last = piece.at + piece.text.len() >= shown.len();
            if used + piece.width > cell || (goes_on && is_last) {
                self.at = self.boundary_to(range.start + piece.at);
                break;
            }
            used += piece.width;
        }
        true
    }

    /// The text in lines of `width` cells, the last of which is for the cursor.
    #[must_use]
    pub fn lines(&self, width: usize) -> Lines {
        let room = width.saturating_sub(1).max(1);
        let mut lines: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for line in self.text.split('\n') {
            // As many as there are letters at most: the text is bounded.
            let (parts, _) = wrapped(line, room, room, usize::MAX);
            lines.extend(
                parts
                    .iter()
                    .map(|part| part.start + start..part.end + start),
            );
            start += line.len() + 1;
        }
        let line = lines
            .iter()
            .rposition(|line| line.start <= self.at)
            .unwrap_or_default();
        let begin = lines.get(line).map_or(0, |line| line.start);
        let before = self.text.get(begin..self.at).unwrap_or_default();
        let cell = text::width(before).min(room);
        Lines {
            lines,
            cursor: (line, cell),
        }
    }

    /// The first place between two clusters that is not before `at`.
    fn boundary_from(&self, at: usize) -> usize {
        self.boundaries()
            .find(|place| *place >= at)
            .unwrap_or(self.text.len())
    }

    /// The last one that is not behind it.
    fn boundary_to(&self, at: usize) -> usize {
        let before = self.boundaries().take_while(|place| *place <= at);
        before.last().unwrap_or_default()
    }

    fn boundaries(&self) -> impl Iterator<Item = usize> + '_ {
        let starts = self.text.grapheme_indices(true).map(|(at, _)| at);
        starts.chain(std::iter::once(self.text.len()))
    }
}
