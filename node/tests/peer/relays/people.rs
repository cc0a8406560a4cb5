//! What people do and see.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_node::api::{MessageView, RelayView, Request, Response};

use khlong_store::tables::timelines;

use super::world::{A, B, World};

impl World {
    pub(super) fn know(&mut self, name: &'static str, relays: &[usize]) {
        for relay in relays {
            let address = self.address(*relay);
            let token = None;
            self.ask(name, Request::RelayAdd { address, token });
        }
    }

    pub(super) fn open_timeline(&mut self, name: &'static str) {
        let request = Request::TimelineNew {
            title: "canal".to_owned(),
            kind: "group".to_owned(),
            relays: Vec::new(),
        };
        let Response::Timeline { .. } = self.ask(name, request) else {
            panic!("not opened");
        };
    }

    pub(super) fn link(&mut self, name: &'static str) -> String {
        self.link_for(name, 0)
    }

    /// A link that lives so long; 0 = for ever.
    pub(super) fn link_for(&mut self, name: &'static str, expires_in_s: u64) -> String {
        let request = Request::TimelineInvite {
            timeline: "canal".to_owned(),
            to: None,
            read_only: false,
            expires_in_s,
        };
        match self.ask(name, request) {
            Response::Invite { link, .. } => link,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn invite(&mut self, by: &'static str, whom: &[&'static str]) {
        for name in whom {
            let link = self.link(by);
            self.run_ms(1_000);
            self.ask(name, Request::TimelineJoin { link });
            self.run_ms(3_000);
        }
    }

    pub(super) fn send(&mut self, name: &'static str, body: &str) {
        let request = Request::Send {
            timeline: "canal".to_owned(),
            body: body.to_owned(),
            reply_to: None,
        };
        match self.ask(name, request) {
            Response::Written { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn messages(&mut self, name: &'static str) -> Vec<MessageView> {
        let request = Request::Log {
            timeline: "canal".to_owned(),
            from: Some(0),
            limit: Some(usize::MAX),
        };
        match self.ask(name, request) {
            Response::Messages { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }

    /// None either where the timeline is not called by its title yet.
    pub(super) fn messages_or_none(&mut self, name: &'static str) -> Vec<MessageView> {
        let request = Request::Log {
            timeline: "canal".to_owned(),
            from: Some(0),
            limit: Some(usize::MAX),
        };
        match self.ask(name, request) {
            Response::Messages { messages, .. } => messages,
            _ => Vec::new(),
        }
    }

    pub(super) fn bodies(&mut self, name: &'static str) -> Vec<String> {
        let messages = self.messages(name).into_iter();
        messages.map(|message| message.body).collect()
    }

    pub(super) fn message(&mut self, name: &'static str, body: &str) -> MessageView {
        let messages = self.messages(name).into_iter();
        let mut of_body = messages.filter(|message| message.body == body);
        of_body
            .next()
            .unwrap_or_else(|| panic!("{name} lacks {body}"))
    }

    /// Envelopes of text that a relay has, of the one timeline that it carries.
    pub(super) fn texts_at(&self, relay: usize) -> u64 {
        let store = self.store_at(relay);
        let all = timelines::timelines(store).unwrap();
        let head = timelines::timeline_head(store, &all[0], Class::Text);
        head.unwrap().envelopes
    }

    /// The same; nothing where it carries none yet.
    pub(super) fn texts_or_none_at(&self, relay: usize) -> u64 {
        let all = timelines::timelines(self.store_at(relay)).unwrap();
        if all.is_empty() {
            0
        } else {
            self.texts_at(relay)
        }
    }

    /// In the order of the two relays.
    pub(super) fn relays(&mut self, name: &'static str) -> Vec<RelayView> {
        let Response::Relays { relays } = self.ask(name, Request::RelayLs) else {
            panic!("no relays");
        };
        let of = |relay| {
            let address = self.address(relay);
            let mut relays = relays.iter().filter(|view| view.address == address);
            relays.next().unwrap().clone()
        };
        vec![of(A), of(B)]
    }

    /// All show the same, byte for byte, and nothing waits.
    pub(super) fn assert_converged(&mut self, names: &[&'static str]) {
        let mut seen = BTreeSet::new();
        for name in names {
            let timeline = "canal".to_owned();
            let Response::Digest {
                state_hash,
                canonical_hash,
                ..
            } = self.ask(name, Request::Digest { timeline })
            else {
                panic!("{name}: no digest");
            };
            seen.insert((state_hash, canonical_hash, self.bodies(name)));
            assert_eq!(self.queued(name), 0, "{name} still waits for a relay");
        }
        assert_eq!(seen.len(), 1, "{names:?} differ: {seen:?}");
    }
}
