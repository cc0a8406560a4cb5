//! What a person does and sees.

use khlong_node::api::{Delivery, Event, MessageView, Request, Response, TimelineView};
use khlong_node::error::NodeError;

use super::Net;

pub(crate) struct At<'n> {
    pub(super) net: &'n mut Net,
    pub(super) name: &'static str,
}

impl At<'_> {
    /// Asks, and expects an answer that is no refusal.
    pub(crate) fn ask(&mut self, request: Request) -> Response {
        let response = self.net.ask(self.name, request).unwrap();
        assert!(
            !matches!(response, Response::Refused { .. }),
            "{}: {response:?}",
            self.name
        );
        response
    }

    /// Why a request is refused.
    pub(crate) fn refusal(&mut self, request: Request) -> String {
        match self.net.ask(self.name, request).unwrap() {
            Response::Refused { message, .. } => message,
            other => panic!("{}: not refused: {other:?}", self.name),
        }
    }

    pub(crate) fn open_timeline(&mut self, title: &str) {
        self.ask(Request::TimelineNew {
            title: title.to_owned(),
            kind: "group".to_owned(),
            relays: Vec::new(),
        });
    }

    pub(crate) fn card(&mut self) -> String {
        match self.ask(Request::Id) {
            Response::Id { card, .. } => card,
            other => panic!("{other:?}"),
        }
    }

    /// A link for whoever holds it, or for the user with this card.
    pub(crate) fn invite(&mut self, title: &str, to: Option<String>) -> String {
        let request = Request::TimelineInvite {
            timeline: title.to_owned(),
            to,
            read_only: false,
            expires_in_s: 0,
        };
        match self.ask(request) {
            Response::Invite { link, .. } => link,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn join(&mut self, link: &str) {
        self.ask(Request::TimelineJoin {
            link: link.to_owned(),
        });
    }

    /// Joins where the disk may fail: what a person is told.
    pub(crate) fn try_join(&mut self, link: &str) -> Result<Response, NodeError> {
        let link = link.to_owned();
        self.net.ask(self.name, Request::TimelineJoin { link })
    }

    pub(crate) fn leave(&mut self, title: &str) {
        self.ask(Request::TimelineLeave {
            timeline: title.to_owned(),
        });
        self.net.people.get_mut(self.name).unwrap().has_left = true;
    }

    pub(crate) fn send(&mut self, title: &str, body: &str) {
        self.ask(send(title, body));
    }

    /// Sends where the disk may fail: what a person is told.
    pub(crate) fn try_send(&mut self, title: &str, body: &str) -> Result<Response, NodeError> {
        self.net.ask(self.name, send(title, body))
    }

    pub(crate) fn read(&mut self, title: &str) {
        self.ask(Request::Read {
            timeline: title.to_owned(),
        });
    }

    pub(crate) fn messages(&mut self, title: &str) -> Vec<MessageView> {
        let log = Request::Log {
            timeline: title.to_owned(),
            from: Some(0),
            limit: Some(usize::MAX),
        };
        match self.ask(log) {
            Response::Messages { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn bodies(&mut self, title: &str) -> Vec<String> {
        let messages = self.messages(title).into_iter();
        messages.map(|message| message.body).collect()
    }

    pub(crate) fn delivery(&mut self, title: &str, body: &str) -> Delivery {
        let messages = self.messages(title);
        let mut of_body = messages.iter().filter(|message| message.body == body);
        of_body.next().unwrap().delivery
    }

    pub(crate) fn timelines(&mut self) -> Vec<TimelineView> {
        match self.ask(Request::TimelineLs) {
            Response::Timelines { timelines } => timelines,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn members(&mut self, title: &str) -> Vec<String> {
        let timelines = self.timelines().into_iter();
        let mut members = timelines
            .filter(|timeline| timeline.title == title)
            .flat_map(|timeline| timeline.members)
            .collect::<Vec<_>>();
        members.sort();
        members
    }

    /// Whether the timeline is here and is more than an invitation.
    pub(crate) fn can_write(&mut self, title: &str) -> bool {
        let timelines = self.timelines().into_iter();
        let mut named = timelines.filter(|timeline| timeline.title == title);
        named.any(|timeline| timeline.members.contains(&self.name.to_owned()))
    }

    /// Whether it is connected and has everything that the relay has.
    pub(crate) fn has_caught_up(&mut self) -> bool {
        match self.ask(Request::RelayLs) {
            Response::Relays { relays } => relays
                .iter()
                .all(|relay| relay.state == "connected" && relay.caught_up),
            other => panic!("{other:?}"),
        }
    }

    /// Envelopes that no relay has signed for, refused ones left out.
    pub(crate) fn waiting(&mut self) -> usize {
        match self.ask(Request::OutboxLs) {
            Response::Outbox { entries } => entries
                .iter()
                .filter(|entry| entry.refused.is_none())
                .count(),
            other => panic!("{other:?}"),
        }
    }

    /// Ids of messages that were announced, in order.
    pub(crate) fn announced(&mut self) -> Vec<String> {
        let events = &self.net.people[self.name].events;
        events
            .iter()
            .filter_map(|event| match event {
                Event::Message { message, .. } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }
}

fn send(title: &str, body: &str) -> Request {
    Request::Send {
        timeline: title.to_owned(),
        body: body.to_owned(),
        reply_to: None,
    }
}
