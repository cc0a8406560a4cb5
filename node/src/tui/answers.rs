//! What the node says: answers, events, and that it went away.

use super::screen::{Asked, Outgoing, Screen};
use crate::api::{Event, RelayView, Response};
use crate::node::Heard;

impl Screen {
    pub(super) fn answered(&mut self, response: Response) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        match (asked, response) {
            (
                Asked::Status,
                Response::Status {
                    queued,
                    relays,
                    timelines,
                },
            ) => {
                (self.queued, self.relays) = (queued, relays);
                self.list.set(timelines);
                self.is_known = true;
                if let Some(wanted) = self.list.give_up_wanted() {
                    self.warn(format!("no timeline is called {wanted}; choose one"));
                }
            }
            (
                Asked::Window { timeline: of },
                Response::Messages {
                    timeline,
                    from,
                    messages,
                },
            ) => {
                // Of another one if it was chosen meanwhile.
                if self.list.chosen_id() == Some(of.as_str()) {
                    self.history.loaded(timeline.messages, from, messages);
                }
                self.list.update(timeline);
            }
            (
                Asked::Last { .. },
                Response::Messages {
                    timeline, messages, ..
                },
            ) => {
                let sent_at = messages.last().map(|last| last.sent_at.as_str());
                self.list.set_last(timeline, sent_at);
            }
            (Asked::Send(_), Response::Written { .. }) => {
                self.is_status_stale = true;
                self.history.outdated();
            }
            (Asked::Read, Response::Written { .. }) => self.is_status_stale = true,
            (asked, Response::Refused { message, .. }) => self.refused(asked, message),
            (asked, _) => {
                let message = "the node answered something else than was asked";
                self.refused(asked, message.to_owned());
            }
        }
    }

    fn refused(&mut self, asked: Asked, message: String) {
        match asked {
            Asked::Send(outgoing) => self.give_back(outgoing),
            Asked::Window { .. } => self.history.failed(),
            Asked::Last { timeline } => self.list.no_last(&timeline),
            Asked::Status | Asked::Read => {}
        }
        self.warn(message);
    }

    fn give_back(&mut self, outgoing: Outgoing) {
        let draft = self.drafts.entry(outgoing.timeline).or_default();
        draft.restore(&outgoing.body);
    }

    pub(super) fn reopened(&mut self) {
        match self.asked.take() {
            Some(Asked::Send(outgoing)) => {
                self.give_back(outgoing);
                self.warn(
                    "the node went away: look whether the text was sent before you send it again"
                        .to_owned(),
                );
            }
            Some(Asked::Status | Asked::Window { .. } | Asked::Last { .. } | Asked::Read)
            | None => {}
        }
        self.history.failed();
        self.all_outdated();
    }

    fn all_outdated(&mut self) {
        self.is_status_stale = true;
        self.history.outdated();
    }

    pub(super) fn heard(&mut self, heard: Heard) {
        let Heard::Event(event) = heard else {
            return self.all_outdated();
        };
        let of = timeline_of(&event);
        if of.is_some() && of == self.list.chosen_id() {
            self.history.outdated();
        }
        match event {
            Event::Relay { relay } => {
                self.is_status_stale = true;
                let is_same = |known: &&mut RelayView| known.address == relay.address;
                if let Some(known) = self.relays.iter_mut().find(is_same) {
                    *known = relay;
                }
            }
            Event::Changed { .. } => {}
            Event::Message { .. } | Event::State { .. } | Event::Delivery { .. } => {
                self.is_status_stale = true;
            }
            Event::Fork { author, .. } => self.warn(format!(
                "{author} wrote two messages at one place: a copied device, or a cheat"
            )),
            Event::Missed { .. } => self.all_outdated(),
        }
    }
}

fn timeline_of(event: &Event) -> Option<&str> {
    match event {
        Event::Message { timeline, .. }
        | Event::Changed { timeline, .. }
        | Event::State { timeline }
        | Event::Delivery { timeline }
        | Event::Fork { timeline, .. } => Some(timeline),
        Event::Relay { .. } | Event::Missed { .. } => None,
    }
}
