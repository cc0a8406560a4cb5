//! Moving through a history: which row stands at the top of the pane.

use super::history::{Held, History, Top};

impl History {
    pub(super) fn go_to_first(&mut self) {
        self.to_first = true;
        self.owed_up = 0;
    }

    pub(super) fn go_to_end(&mut self) {
        self.top = None;
        self.to_first = false;
        self.owed_up = 0;
    }

    pub(super) fn page_rows(&self) -> usize {
        self.height.saturating_sub(1).max(1)
    }

    pub(super) fn scroll_up(&mut self, by: usize) {
        self.to_first = false;
        let (index, row) = self.top_now();
        let (index, row, missing) = self.up(index, row, by);
        self.owed_up = if self.from > 0 { missing } else { 0 };
        self.set_top(index, row);
    }

    pub(super) fn scroll_down(&mut self, by: usize) {
        self.to_first = false;
        self.owed_up = 0;
        let Some(top) = self.top.clone() else {
            return;
        };
        let (mut index, mut row) = (self.index_of(&top), top.row + by);
        while index < self.held.len() {
            let rows = self.row_count(index);
            if row < rows {
                break;
            }
            row -= rows;
            index += 1;
        }
        // `settle` finds out whether that is the end or only the end of the window.
        let (index, row) = (index, row).min(self.end_top());
        self.set_top(index, row);
    }

    /// Index and row at the top of the pane.
    pub(super) fn top_now(&mut self) -> (usize, usize) {
        match self.top.clone() {
            Some(top) => (self.index_of(&top), top.row),
            None => self.end_top(),
        }
    }

    /// The same when the end is followed.
    fn end_top(&mut self) -> (usize, usize) {
        let last = self.held.len().saturating_sub(1);
        let rows = self.row_count(last);
        let (index, row, _) = self.up(last, rows, self.height);
        (index, row)
    }

    /// So many rows up from a row, and how many there were not.
    fn up(&mut self, mut index: usize, mut row: usize, by: usize) -> (usize, usize, usize) {
        let mut left = by;
        while left > row {
            left -= row;
            if index == 0 {
                return (0, 0, left);
            }
            index -= 1;
            row = self.row_count(index);
        }
        (index, row - left, 0)
    }

    pub(super) fn set_top(&mut self, index: usize, row: usize) {
        if let Some(held) = self.held.get(index) {
            self.top = Some(Top {
                place: self.from + index,
                id: held.view.id.clone(),
                row,
            });
        }
    }

    /// Where the message at the top is now; where it was, if it is not held.
    pub(super) fn index_of(&self, top: &Top) -> usize {
        let near = top.place.saturating_sub(self.from);
        let is_there = |held: &&Held| held.view.id == top.id;
        if self.held.get(near).as_ref().is_some_and(is_there) {
            return near;
        }
        let found = self.held.iter().position(|held| held.view.id == top.id);
        found.unwrap_or_else(|| near.min(self.held.len().saturating_sub(1)))
    }
}
