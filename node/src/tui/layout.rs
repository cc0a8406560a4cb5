//! Which part of the screen is for what, however small it is.

use ratatui::layout::Rect;

/// Where the keyboard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The list on the left.
    Timelines,
    /// What the list is filtered by.
    Filter,
    /// The messages.
    History,
    /// The text that is being written.
    Compose,
}

/// Columns from which list and history stand side by side.
const SIDE_BY_SIDE_MIN: u16 = 50;

/// Columns of the list then.
const LIST_COLUMNS_MIN: u16 = 18;
const LIST_COLUMNS_MAX: u16 = 34;

/// Rows from which there is room for more than messages and text.
const FURNISHED_MIN: u16 = 9;

/// Rows of the text at most; a longer one scrolls.
const COMPOSE_ROWS_MAX: u16 = 6;

/// Parts of the screen; one without room is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// Relays and what waits.
    pub header: Rect,
    /// The line under it, with the titles of what is below.
    pub top_line: Rect,
    /// Timelines.
    pub list: Rect,
    /// The line between list and history.
    pub between: Rect,
    /// Messages.
    pub history: Rect,
    /// The line above the text.
    pub compose_line: Rect,
    /// The text.
    pub compose: Rect,
    /// Hints, or what went wrong.
    pub footer: Rect,
}

/// Divides a screen, for a text of so many rows.
#[must_use]
pub fn areas(screen: Rect, pane: Pane, text_rows: usize) -> Areas {
    let mut areas = Areas::default();
    let mut rest = screen;
    let is_furnished = screen.height >= FURNISHED_MIN;
    if is_furnished {
        areas.header = take_top(&mut rest, 1);
        areas.top_line = take_top(&mut rest, 1);
        areas.footer = take_bottom(&mut rest, 1);
    }
    if screen.width >= SIDE_BY_SIDE_MIN {
        let columns = (screen.width / 4).clamp(LIST_COLUMNS_MIN, LIST_COLUMNS_MAX);
        areas.list = take_left(&mut rest, columns);
        areas.between = take_left(&mut rest, 1);
    } else if matches!(pane, Pane::Timelines | Pane::Filter) {
        areas.list = rest;
        return areas;
    }
    let text_rows = u16::try_from(text_rows).unwrap_or(u16::MAX);
    let text_rows = text_rows.clamp(1, COMPOSE_ROWS_MAX);
    if is_furnished {
        // The messages keep at least two rows.
        let room = rest.height.saturating_sub(3);
        areas.compose = take_bottom(&mut rest, text_rows.min(room));
        areas.compose_line = take_bottom(&mut rest, 1);
    } else if pane == Pane::Compose || rest.height >= 3 {
        areas.compose = take_bottom(&mut rest, 1);
    }
    areas.history = rest;
    areas
}

fn take_top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let taken = Rect {
        height: rows,
        ..*rest
    };
    rest.y += rows;
    rest.height -= rows;
    taken
}

fn take_bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect {
        y: rest.y + rest.height,
        height: rows,
        ..*rest
    }
}

fn take_left(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    let taken = Rect {
        width: columns,
        ..*rest
    };
    rest.x += columns;
    rest.width -= columns;
    taken
}
