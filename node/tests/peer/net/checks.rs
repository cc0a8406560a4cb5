//! What must hold of the world: after every commit, and once it has settled.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::id::ArrivalSeq;
use khlong_node::api::{Event, Request, Response};
use khlong_store::store::Store;
use khlong_store::tables::{cursors, timelines};

use super::Net;

impl Net {
    /// Everybody who is in the timeline shows the same, byte for byte, has handed
    /// over everything, and has seen nothing twice.
    pub(crate) fn assert_converged(&mut self, title: &str) {
        let names: Vec<_> = self.people.keys().copied().collect();
        let mut members = Vec::new();
        for name in names {
            let timelines = self.at(name).timelines();
            let is_in = timelines.iter().any(|timeline| timeline.title == title);
            if is_in && !self.people[name].has_left {
                members.push(name);
            }
        }
        assert!(members.len() > 1, "nobody to compare: {members:?}");
        let mut seen = BTreeSet::new();
        for name in &members {
            seen.insert(self.digest(name, title));
            assert_eq!(self.at(name).waiting(), 0, "{name} still waits for a relay");
            self.assert_nothing_twice(name, title);
        }
        assert_eq!(seen.len(), 1, "{members:?} differ: {seen:?}");
    }

    fn digest(&mut self, name: &'static str, title: &str) -> (String, String, Vec<String>) {
        let request = Request::Digest {
            timeline: title.to_owned(),
        };
        let Response::Digest {
            state_hash,
            canonical_hash,
            ..
        } = self.at(name).ask(request)
        else {
            panic!("no digest")
        };
        (state_hash, canonical_hash, self.at(name).bodies(title))
    }

    fn assert_nothing_twice(&mut self, name: &'static str, title: &str) {
        let messages = self.at(name).messages(title);
        let ids: BTreeSet<_> = messages.iter().map(|message| &message.id).collect();
        assert_eq!(ids.len(), messages.len(), "{name} shows a message twice");
        let forks = self.people[name].events.iter();
        let forks: Vec<_> = forks
            .filter(|event| matches!(event, Event::Fork { .. }))
            .collect();
        assert!(forks.is_empty(), "{name} saw {forks:?}");
    }

    /// Everything that a position says was read lies in the node's store.
    pub(super) fn check_cursors(&self, name: &'static str) {
        let (Some(hub), Some(peer)) = (&self.relay.hub, &self.people[name].peer) else {
            return;
        };
        if self.people[name].has_left {
            return;
        }
        let (relay, store) = (self.relay.key(), peer.store());
        let backfills = cursors::backfills(store, &relay).unwrap();
        // A position says nothing of a log that the node has not met yet.
        let log = hub.store().identity();
        let mut met = Class::ALL.into_iter();
        let is_of_it = |class| match cursors::get(store, &relay, class).unwrap() {
            Some(cursor) => (cursor.log, cursor.log_epoch) == (log.log, log.epoch),
            None => true,
        };
        if !met.all(is_of_it) {
            return;
        }
        for timeline in timelines::timelines(store).unwrap() {
            for class in Class::ALL {
                let mut own = backfills.iter();
                let backfill = own.find(|(of, at, _)| *of == timeline && *at == class);
                let upto = match backfill {
                    Some((_, _, upto)) => *upto,
                    None => match cursors::get(store, &relay, class).unwrap() {
                        Some(cursor) => cursor.seq,
                        None => continue,
                    },
                };
                assert_stored(name, hub.store(), store, timeline, class, upto);
            }
        }
    }
}

fn assert_stored(
    name: &str,
    relay: &Store,
    node: &Store,
    timeline: khlong_crdt::id::TimelineId,
    class: Class,
    upto: ArrivalSeq,
) {
    let passed = timelines::entries(
        relay,
        &timeline,
        class,
        ArrivalSeq(0),
        upto,
        usize::MAX,
        usize::MAX,
    );
    for entry in passed.unwrap() {
        let id = entry.envelope.id();
        assert!(
            timelines::get(node, &id).unwrap().is_some(),
            "{name}: the position {upto:?} of {class:?} has passed {id}, which is not stored"
        );
    }
}
