//! The timelines of this node: which one is chosen, and which are shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::api::{Request, TimelineView};
use crate::shown::short;

/// Letters of a filter. A title has at most 256 bytes.
const FILTER_CHARS_MAX: usize = 64;

/// The last message of a timeline, and how many there were when it was asked for.
#[derive(Clone, Debug, Default)]
struct Last {
    messages: usize,
    sent_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct List {
    /// Newest message first.
    views: Vec<TimelineView>,
    last: BTreeMap<String, Last>,
    /// Id.
    chosen: Option<String>,
    /// Whether a person has seen what is chosen and left it so; else it is the newest one.
    is_settled: bool,
    /// To be chosen as soon as it is there: an id, a title, or the start of either.
    wanted: Option<String>,
    pub(super) filter: String,
}

impl List {
    pub(super) fn new(wanted: Option<String>) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, views: Vec<TimelineView>) {
        self.last
            .retain(|id, _| views.iter().any(|view| view.id == *id));
        self.views = views;
        self.sort();
        if let Some(wanted) = self.wanted.take() {
            let is_called = |view: &&TimelineView| view.id == wanted || view.title == wanted;
            let starts = |view: &&TimelineView| {
                view.title.starts_with(&wanted) || view.id.starts_with(&wanted)
            };
            let found = self.views.iter().find(is_called);
            let found = found.or_else(|| self.views.iter().find(starts));
            match found.map(|view| view.id.clone()) {
                Some(found) => (self.chosen, self.is_settled) = (Some(found), true),
                None => self.wanted = Some(wanted),
            }
        }
        self.keep_chosen();
    }

    /// What was not found, and is not looked for any more.
    pub(super) fn give_up_wanted(&mut self) -> Option<String> {
        self.wanted.take()
    }

    fn sort(&mut self) {
        let last = &self.last;
        let sent = |view: &TimelineView| last.get(&view.id).and_then(|last| last.sent_at);
        self.views.sort_by(|a, b| {
            let order = sent(b).cmp(&sent(a));
            order.then_with(|| (&a.title, &a.id).cmp(&(&b.title, &b.id)))
        });
    }

    /// Something is always chosen of what is shown, if there is anything.
    fn keep_chosen(&mut self) {
        let is_shown = self
            .shown()
            .any(|view| Some(&view.id) == self.chosen.as_ref());
        if !is_shown || !self.is_settled {
            let first = self.shown().next().map(|view| view.id.clone());
            self.chosen = first.or_else(|| self.chosen.take());
        }
    }

    /// Those whose title has the filter in it.
    pub(super) fn shown(&self) -> impl Iterator<Item = &TimelineView> {
        let filter = self.filter.to_lowercase();
        self.views.iter().filter(move |view| {
            filter.is_empty()
                || view.title.to_lowercase().contains(&filter)
                || view.id.starts_with(&filter)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    pub(super) fn chosen(&self) -> Option<&TimelineView> {
        let chosen = self.chosen.as_ref()?;
        self.views.iter().find(|view| view.id == *chosen)
    }

    pub(super) fn chosen_id(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// Place of the chosen one among the shown.
    pub(super) fn place(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.shown().position(|view| view.id == *chosen)
    }

    /// What is chosen stays so, whatever arrives elsewhere.
    pub(super) fn settle(&mut self) {
        self.is_settled |= self.chosen.is_some();
    }

    /// Chooses the one so many places on.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.shown().count().saturating_sub(1);
        let to = self
            .place()
            .unwrap_or(0)
            .saturating_add_signed(by)
            .min(last);
        let id = self.shown().nth(to).map(|view| view.id.clone());
        self.chosen = id.or_else(|| self.chosen.take());
    }

    pub(super) fn filter_push(&mut self, letter: char) {
        if self.filter.chars().count() < FILTER_CHARS_MAX {
            self.filter.push(letter);
            self.keep_chosen();
        }
    }

    pub(super) fn filter_clear(&mut self) {
        self.filter.clear();
    }

    pub(super) fn filter_pop(&mut self) {
        let last = self.filter.graphemes(true).next_back().map_or(0, str::len);
        self.filter.truncate(self.filter.len() - last);
        self.keep_chosen();
    }

    /// When its last message was sent.
    pub(super) fn last_sent_at(&self, id: &str) -> Option<Timestamp> {
        self.last.get(id)?.sent_at
    }

    /// Asks for the last message of a timeline of which that is not known; its id too.
    pub(super) fn last_unknown(&self) -> Option<(String, Request)> {
        let known = |view: &&TimelineView| {
            let last = self.last.get(&view.id);
            last.map_or(0, |last| last.messages) == view.messages
        };
        let unknown = self.views.iter().find(|view| !known(view))?;
        let timeline = unknown.id.clone();
        let request = Request::Log {
            timeline: timeline.clone(),
            from: None,
            limit: Some(1),
        };
        Some((timeline, request))
    }

    /// The answer to that; the view is as new as the message.
    pub(super) fn set_last(&mut self, view: TimelineView, sent_at: Option<&str>) {
        let last = Last {
            messages: view.messages,
            sent_at: sent_at.and_then(|sent_at| sent_at.parse().ok()),
        };
        self.last.insert(view.id.clone(), last);
        self.update(view);
        self.sort();
        self.keep_chosen();
    }

    /// A timeline as it stands now.
    pub(super) fn update(&mut self, view: TimelineView) {
        if let Some(known) = self.views.iter_mut().find(|known| known.id == view.id) {
            *known = view;
        }
        self.keep_chosen();
    }

    /// A timeline's title, or the start of its id.
    pub(super) fn title_of(&self, id: &str) -> String {
        let view = self.views.iter().find(|view| view.id == id);
        view.map_or_else(|| short(id).to_owned(), title)
    }

    /// It could not be asked for: it is not asked for again before there are more.
    pub(super) fn no_last(&mut self, id: &str) {
        let view = self.views.iter().find(|view| view.id == id);
        let messages = view.map_or(0, |view| view.messages);
        self.last.entry(id.to_owned()).or_default().messages = messages;
    }
}

/// As a list shows it, not yet safe for a terminal.
pub(super) fn title(view: &TimelineView) -> String {
    if view.title.is_empty() {
        return format!("(no title yet, {})", short(&view.id));
    }
    view.title.clone()
}
