//! The state: what is known of the node, what a person does with it, what is to be asked.

use std::collections::{BTreeMap, VecDeque};

use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::compose::Draft;
use super::history::History;
use super::layout::{Areas, Pane, areas};
use super::list::List;
use super::message::Tone;
use super::{Action, Input};
use crate::api::{RelayView, Request};

/// Texts that were sent and are not written yet. A person types slower than a node writes.
const OUTGOING_MAX: usize = 64;

/// Cells of the prompt before the text.
pub(super) const PROMPT: usize = 2;

/// What a [`Screen`] is told once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the times that are shown.
    pub zone: TimeZone,
    /// Whether colours may be used.
    pub color: bool,
    /// The timeline to begin with: its id, its title, or the start of either.
    pub timeline: Option<String>,
}

/// A text on its way to the node.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) timeline: String,
    pub(super) body: String,
}

/// The request under way.
#[derive(Debug)]
pub(super) enum Asked {
    Status,
    Window { timeline: String },
    Last { timeline: String },
    Read,
    Send(Outgoing),
}

/// Everything that is on the screen, and what is not yet.
#[derive(Debug)]
pub struct Screen {
    pub(super) zone: TimeZone,
    pub(super) color: bool,
    pub(super) size: Rect,
    pub(super) pane: Pane,
    pub(super) list: List,
    pub(super) history: History,
    /// By timeline; those that are empty are not kept.
    pub(super) drafts: BTreeMap<String, Draft>,
    pub(super) relays: Vec<RelayView>,
    /// Envelopes that no relay has.
    pub(super) queued: u64,
    /// Whether the node has told anything yet.
    pub(super) is_known: bool,
    /// Instead of the hints, until the next key.
    pub(super) notice: Option<(Tone, String)>,
    /// The list of keys, from this row on.
    pub(super) help: Option<usize>,
    pub(super) now_ms: Option<i64>,
    pub(super) outgoing: VecDeque<Outgoing>,
    pub(super) asked: Option<Asked>,
    pub(super) is_status_stale: bool,
    /// The timeline that was last marked as read, and its messages then.
    read: Option<(String, usize)>,
}

impl Screen {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            history: History::new(options.zone.clone()),
            zone: options.zone,
            color: options.color,
            size: Rect::default(),
            pane: Pane::Timelines,
            list: List::new(options.timeline),
            drafts: BTreeMap::new(),
            relays: Vec::new(),
            queued: 0,
            is_known: false,
            notice: None,
            help: None,
            now_ms: None,
            outgoing: VecDeque::new(),
            asked: None,
            is_status_stale: true,
            read: None,
        }
    }

    /// Whether it is the size that was told last.
    #[must_use]
    pub fn has_size(&self, width: u16, height: u16) -> bool {
        (self.size.width, self.size.height) == (width, height)
    }

    /// Takes whatever happened.
    pub fn handle(&mut self, input: Input) -> Action {
        let action = match input {
            Input::Key(key) => self.press(key),
            Input::Paste(text) => {
                self.paste(&text);
                Action::Draw
            }
            Input::Resize(width, height) => {
                self.size = Rect::new(0, 0, width, height);
                Action::DrawAnew
            }
            Input::Answer(response) => {
                self.answered(response);
                Action::Draw
            }
            Input::Heard(heard) => {
                self.heard(heard);
                Action::Draw
            }
            Input::Told(text) => {
                self.warn(text);
                Action::Draw
            }
            Input::Reopened => {
                self.reopened();
                Action::Draw
            }
            Input::Now(ms) => {
                self.now_ms = Some(ms);
                Action::Draw
            }
        };
        self.settle();
        action
    }

    /// What to ask the node next; nothing while something is under way.
    pub fn poll_request(&mut self) -> Option<Request> {
        if self.asked.is_some() {
            return None;
        }
        if let Some(request) = self.poll_send() {
            return Some(request);
        }
        if let (Some(timeline), Some(request)) =
            (self.list.chosen_id(), self.history.poll_request())
        {
            let timeline = timeline.to_owned();
            self.asked = Some(Asked::Window { timeline });
            return Some(request);
        }
        if std::mem::take(&mut self.is_status_stale) {
            self.asked = Some(Asked::Status);
            return Some(Request::Status);
        }
        if let Some((timeline, request)) = self.list.last_unknown() {
            self.asked = Some(Asked::Last { timeline });
            return Some(request);
        }
        let (timeline, messages) = self.to_be_read()?;
        self.read = Some((timeline.clone(), messages));
        self.asked = Some(Asked::Read);
        Some(Request::Read { timeline })
    }

    /// The same, only of what a person has sent: the last thing before the end.
    pub fn poll_send(&mut self) -> Option<Request> {
        if self.asked.is_some() {
            return None;
        }
        let outgoing = self.outgoing.pop_front()?;
        let request = Request::Send {
            timeline: outgoing.timeline.clone(),
            body: outgoing.body.clone(),
            reply_to: None,
        };
        self.asked = Some(Asked::Send(outgoing));
        Some(request)
    }

    /// What was written and not sent: the timeline and the text.
    #[must_use]
    pub fn unsent(&self) -> Vec<(String, String)> {
        let under_way = match &self.asked {
            Some(Asked::Send(outgoing)) => Some(outgoing),
            Some(Asked::Status | Asked::Window { .. } | Asked::Last { .. } | Asked::Read)
            | None => None,
        };
        let sent = under_way.into_iter().chain(&self.outgoing);
        let sent = sent.map(|outgoing| (outgoing.timeline.as_str(), outgoing.body.as_str()));
        let drafts = self.drafts.iter();
        let drafts = drafts.map(|(timeline, draft)| (timeline.as_str(), draft.text()));
        sent.chain(drafts)
            .filter(|(_, text)| !text.trim().is_empty())
            .map(|(timeline, text)| (self.list.title_of(timeline), text.to_owned()))
            .collect()
    }

    /// Sends the text of the chosen timeline.
    pub(super) fn send(&mut self) {
        let Some(timeline) = self.list.chosen_id().map(str::to_owned) else {
            return;
        };
        if self.outgoing.len() >= OUTGOING_MAX {
            return self.warn("the node is slow; what you wrote stays here for now".to_owned());
        }
        let blank = self.drafts.get(&timeline).is_none_or(Draft::is_blank);
        if blank {
            return;
        }
        let Some(mut draft) = self.drafts.remove(&timeline) else {
            return;
        };
        let body = draft.take();
        self.outgoing.push_back(Outgoing { timeline, body });
        self.history.go_to_end();
    }

    pub(super) fn warn(&mut self, text: String) {
        self.notice = Some((Tone::Bad, text));
    }

    /// The draft of the chosen timeline.
    pub(super) fn draft(&self) -> Option<&Draft> {
        self.drafts.get(self.list.chosen_id()?)
    }

    pub(super) fn areas(&self) -> Areas {
        let mut areas = areas(self.size, self.pane, 1);
        if let Some(draft) = self.draft() {
            let rows = draft.lines(text_width(areas.compose)).lines.len();
            areas = super::layout::areas(self.size, self.pane, rows);
        }
        areas
    }

    /// Whether a person sees the history: only then it counts as read.
    fn is_in_history(&self) -> bool {
        matches!(self.pane, Pane::History | Pane::Compose) && self.help.is_none()
    }

    fn to_be_read(&self) -> Option<(String, usize)> {
        let view = self.list.chosen()?;
        let is_due = self.is_in_history()
            && self.history.shows_the_end()
            && view.unread > 0
            && view.followed
            && view.kind != "joining"
            && view.messages == self.history.total();
        let key = (view.id.clone(), view.messages);
        (is_due && self.read.as_ref() != Some(&key)).then_some(key)
    }

    /// What follows from a change.
    fn settle(&mut self) {
        self.history.open(self.list.chosen_id());
        if let Some(view) = self.list.chosen() {
            self.history.has_total(view.messages);
        }
        let areas = self.areas();
        let (width, height) = (areas.history.width, areas.history.height);
        self.history.resize(width.into(), height.into());
        self.history.settle();
    }
}

/// Cells of the text in its area.
pub(super) fn text_width(compose: Rect) -> usize {
    usize::from(compose.width).saturating_sub(PROMPT)
}
