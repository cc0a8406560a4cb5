//! The history of one timeline: a window of it, and what of that is on the screen.
//!
//! A history may be long, so only the messages around what is seen are held. They are asked
//! for by their place in it, and found again by their id: what comes late may be sorted in
//! before them.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::message::{self, Around, Row, day};
use crate::api::{MessageView, Request};

/// Messages of one request: with bodies of 16 KiB of control characters, which JSON writes
/// with six bytes each, about 10 MiB, below the longest line of the socket.
pub(super) const PAGE_MESSAGES: usize = 100;

/// Messages kept at least before and behind what is seen. Each takes a row or more.
const MARGIN_MIN: usize = 64;

/// The same at most, however high the screen is.
const MARGIN_MAX: usize = 256;

/// Margins of a window: two on either side, so that not every step asks for another one.
const MARGINS: usize = 4;

/// A message and its rows, as far as they are needed.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) view: MessageView,
    rows: Option<Vec<Row>>,
}

/// The row at the top of the pane.
#[derive(Clone, Debug)]
pub(super) struct Top {
    /// Place in the whole history.
    pub(super) place: usize,
    pub(super) id: String,
    pub(super) row: usize,
}

/// A window that is being asked for, page by page.
#[derive(Debug)]
struct Loading {
    from: usize,
    until: usize,
    got: Vec<MessageView>,
}

#[derive(Debug)]
pub(super) struct History {
    zone: TimeZone,
    timeline: Option<String>,
    total: usize,
    /// Place of the first one held.
    pub(super) from: usize,
    pub(super) held: Vec<Held>,
    /// Absent while the newest message is followed.
    pub(super) top: Option<Top>,
    /// To be seen once it is there: the first message.
    pub(super) to_first: bool,
    /// Rows that could not be scrolled up for want of messages.
    pub(super) owed_up: usize,
    /// What is held may not be what the node has.
    is_stale: bool,
    loading: Option<Loading>,
    width: usize,
    pub(super) height: usize,
    seen: Vec<Row>,
    /// Messages behind the last one seen.
    below: usize,
}

impl History {
    /// Of no timeline.
    pub(super) fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            timeline: None,
            total: 0,
            from: 0,
            held: Vec::new(),
            top: None,
            to_first: false,
            owed_up: 0,
            is_stale: false,
            loading: None,
            width: 0,
            height: 0,
            seen: Vec::new(),
            below: 0,
        }
    }

    /// Shows another timeline, from its newest message.
    pub(super) fn open(&mut self, timeline: Option<&str>) {
        if self.timeline.as_deref() != timeline {
            let (width, height) = (self.width, self.height);
            *self = Self::new(self.zone.clone());
            self.timeline = timeline.map(str::to_owned);
            self.is_stale = timeline.is_some();
            (self.width, self.height) = (width, height);
        }
    }

    pub(super) fn resize(&mut self, width: usize, height: usize) {
        if self.width != width {
            self.forget_rows(0, 0);
        }
        (self.width, self.height) = (width, height);
    }

    pub(super) fn outdated(&mut self) {
        self.is_stale = true;
    }

    /// The node has so many.
    pub(super) fn has_total(&mut self, messages: usize) {
        self.is_stale |= messages != self.total;
    }

    pub(super) fn seen(&self) -> &[Row] {
        &self.seen
    }

    pub(super) fn below(&self) -> usize {
        self.below
    }

    /// Nothing is known of it yet.
    pub(super) fn is_unread_from_node(&self) -> bool {
        self.held.is_empty() && (self.is_stale || self.loading.is_some())
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Whether the newest message is here and on the screen.
    pub(super) fn shows_the_end(&self) -> bool {
        !self.held.is_empty() && self.below == 0 && self.until() == self.total && self.height > 0
    }

    /// Finds the rows that are on the screen. After whatever changed.
    pub(super) fn settle(&mut self) {
        self.seen.clear();
        self.below = 0;
        if self.held.is_empty() || self.height == 0 {
            return;
        }
        if self.to_first && self.from == 0 {
            self.to_first = false;
            self.set_top(0, 0);
        }
        let (mut index, row) = self.top_now();
        let mut row = row.min(self.row_count(index).saturating_sub(1));
        if let Some(top) = &mut self.top {
            top.row = row;
        }
        let first = index;
        let mut is_whole = true;
        while index < self.held.len() && self.seen.len() < self.height {
            let left = self.row_count(index).saturating_sub(row);
            let room = self.height - self.seen.len();
            let held = self.held.get(index).and_then(|held| held.rows.as_ref());
            let rows = held.into_iter().flatten().skip(row).take(room);
            self.seen.extend(rows.cloned());
            is_whole = left <= room;
            row = 0;
            index += 1;
        }
        let is_end = self.until() == self.total && index == self.held.len() && is_whole;
        if is_end && self.top.is_some() && self.owed_up == 0 && !self.to_first {
            self.top = None;
            return self.settle();
        }
        self.below = if is_end {
            0
        } else {
            (self.total - (self.from + index).min(self.total)).max(1)
        };
        self.forget_rows(first.saturating_sub(8), index + 8);
    }

    /// The next request that what is seen needs.
    pub(super) fn poll_request(&mut self) -> Option<Request> {
        let timeline = self.timeline.clone()?;
        if self.loading.is_none() && self.needs_window() {
            let (from, until) = self.wanted();
            self.is_stale = false;
            self.loading = Some(Loading {
                from,
                until,
                got: Vec::new(),
            });
        }
        let loading = self.loading.as_ref()?;
        let from = loading.from + loading.got.len();
        // Of a history that is not known yet the newest ones.
        let is_new = self.total == 0 && self.held.is_empty();
        let limit = loading.until.saturating_sub(from).min(PAGE_MESSAGES);
        Some(Request::Log {
            timeline,
            from: (!is_new).then_some(from),
            limit: Some(if is_new { PAGE_MESSAGES } else { limit }),
        })
    }

    /// The answer to that.
    pub(super) fn loaded(&mut self, total: usize, from: usize, messages: Vec<MessageView>) {
        let Some(mut loading) = self.loading.take() else {
            return;
        };
        if loading.got.is_empty() {
            loading.from = from;
        }
        let is_last = messages.is_empty() || loading.from + loading.got.len() != from;
        if !is_last {
            loading.got.extend(messages);
        }
        let until = loading.until.min(total);
        if !is_last && loading.from + loading.got.len() < until {
            self.total = total;
            self.loading = Some(loading);
            return;
        }
        self.total = total;
        self.from = loading.from;
        let fresh = loading.got.into_iter();
        self.held = fresh.map(|view| Held { view, rows: None }).collect();
        if let Some(top) = self.top.clone() {
            let index = self.index_of(&top);
            self.set_top(index, top.row);
        }
        if self.owed_up > 0 {
            self.scroll_up(self.owed_up);
        }
    }

    /// There is no answer to that: it is asked for again when something changes.
    pub(super) fn failed(&mut self) {
        self.loading = None;
    }

    fn until(&self) -> usize {
        self.from + self.held.len()
    }

    fn margin(&self) -> usize {
        self.height.clamp(MARGIN_MIN, MARGIN_MAX)
    }

    /// Place around which messages are wanted.
    fn place(&self) -> usize {
        match &self.top {
            _ if self.to_first => 0,
            Some(top) => top.place,
            None => self.total,
        }
    }

    fn wanted(&self) -> (usize, usize) {
        let margin = self.margin();
        let size = MARGINS * margin;
        let from = self.place().saturating_sub(size / 2);
        let from = from.min(self.total.saturating_sub(size));
        (from, (from + size).min(self.total))
    }

    fn needs_window(&self) -> bool {
        let place = self.place();
        let (before, behind) = (self.margin(), self.margin() + self.height);
        let misses_before = self.from > 0 && place < self.from + before;
        let misses_behind = self.until() < self.total && place + behind > self.until();
        self.is_stale || misses_before || misses_behind
    }

    /// Lays a message out, if it is not yet; its rows.
    pub(super) fn row_count(&mut self, index: usize) -> usize {
        let Some(held) = self.held.get(index) else {
            return 0;
        };
        if let Some(rows) = &held.rows {
            return rows.len();
        }
        let fresh = message::rows(&held.view, &self.around(index, held));
        let count = fresh.len();
        if let Some(held) = self.held.get_mut(index) {
            held.rows = Some(fresh);
        }
        count
    }

    fn around<'a>(&'a self, index: usize, held: &Held) -> Around<'a> {
        let before = index.checked_sub(1).and_then(|index| self.held.get(index));
        let before: Option<Option<Date>> = match before {
            Some(before) => Some(day(&before.view, &self.zone)),
            None => (self.from == 0).then_some(None),
        };
        let answered = held.view.reply_to.as_ref();
        let mut views = self.held.iter().map(|held| &held.view);
        Around {
            before,
            answered: answered.and_then(|id| views.find(|view| view.id == *id)),
            zone: &self.zone,
            width: self.width,
        }
    }

    /// Keeps the rows of these only.
    fn forget_rows(&mut self, first: usize, end: usize) {
        for (index, held) in self.held.iter_mut().enumerate() {
            if index < first || index >= end {
                held.rows = None;
            }
        }
    }
}
