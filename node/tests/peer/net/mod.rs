//! A small world: people with nodes, one real relay, frames on their way, virtual time.
//!
//! Whatever is random comes from the world's seed, so a run can be repeated
//! exactly. Frames travel as bytes: each lane keeps its order, lanes overtake
//! each other. After every commit of a node the world checks that no cursor has
//! passed what is not stored.

mod at;
mod checks;
mod person;
mod post;
mod relay;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::Request;
use khlong_node::error::NodeError;
use khlong_node::peer::PeerInput;
use khlong_relay::hub::{ConnectionId, HubInput, Policy};
use khlong_sync::wire::frame::Frame;

use self::at::At;
use self::person::Person;
use self::post::Carried;
pub(crate) use self::post::Fate;
use self::post::Post;
use self::relay::Relay;
use crate::WALL_START_MS;
use crate::disk::NodeDisk;

/// Nothing was sent for this long: the world has settled.
const QUIET_MS: u64 = 3_000;
/// A world that has not settled after this much virtual time never will.
const SETTLE_MAX_MS: u64 = 600_000;

pub(crate) struct Net {
    seed: u64,
    micros: u64,
    pub(crate) people: BTreeMap<&'static str, Person>,
    pub(crate) relay: Relay,
    pub(crate) post: Post,
    connections: BTreeMap<ConnectionId, &'static str>,
    next_connection: u64,
    /// Nobody answers their attempts.
    cut_off: BTreeSet<&'static str>,
}

impl Net {
    /// A relay, and nodes that know it.
    pub(crate) fn new(seed: u64, names: &[&'static str]) -> Self {
        Self::with_policy(seed, names, Policy::default())
    }

    pub(crate) fn with_policy(seed: u64, names: &[&'static str], policy: Policy) -> Self {
        let mut net = Self {
            seed,
            micros: 0,
            people: BTreeMap::new(),
            relay: Relay::start(policy),
            post: Post::new(seed),
            connections: BTreeMap::new(),
            next_connection: 0,
            cut_off: BTreeSet::new(),
        };
        for name in names {
            let person = Person::new(name, net.seed, net.now());
            net.people.insert(name, person);
            let address = net.address().to_string();
            let token = None;
            net.ask(name, Request::RelayAdd { address, token }).unwrap();
            net.go_online(name);
        }
        net
    }

    pub(crate) fn at(&mut self, name: &'static str) -> At<'_> {
        At { net: self, name }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.micros),
            wall: UnixMillis(WALL_START_MS + (self.micros / 1_000) as i64),
        }
    }

    pub(crate) fn address(&self) -> RelayAddress {
        RelayAddress::new(self.relay.key(), "relay.test", 4_747).unwrap()
    }

    /// The connection breaks, with everything that is on it, and none comes about until [`Net::heal`].
    pub(crate) fn cut(&mut self, name: &'static str) {
        self.cut_off.insert(name);
        self.hang_up(name, "the cable was cut");
    }

    /// The connection breaks, with everything that is on it.
    pub(crate) fn hang_up(&mut self, name: &'static str, reason: &str) {
        let Some(connection) = self.people[name].wire else {
            return;
        };
        self.break_off(connection);
        self.relay_takes(HubInput::Disconnected { connection });
        let relay = self.relay.key();
        let reason = reason.to_owned();
        self.node_takes(name, vec![PeerInput::Disconnected { relay, reason }]);
    }

    /// Frames of this person vanish, and nobody is told, until [`Net::heal`].
    pub(crate) fn silence(&mut self, name: &'static str) {
        if let Some(other) = self.post.swallow(Some(name)).filter(|other| *other != name) {
            self.hang_up(other, "it was silent");
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut_off.clear();
        // A stream has no holes: one that lost frames never carries others.
        if let Some(name) = self.post.swallow(None) {
            self.hang_up(name, "it was silent");
        }
    }

    /// Power goes at a node: what was not durable is gone, and so is the connection.
    pub(crate) fn crash(&mut self, name: &'static str) {
        let person = self.people.get_mut(name).unwrap();
        person.crash();
        if let Some(connection) = person.wire {
            self.break_off(connection);
            self.relay_takes(HubInput::Disconnected { connection });
        }
    }

    /// And comes back.
    pub(crate) fn start(&mut self, name: &'static str) {
        let now = self.now();
        self.people.get_mut(name).unwrap().open(now);
        self.go_online(name);
    }

    /// Power goes at the relay.
    pub(crate) fn crash_relay(&mut self) {
        self.relay.crash();
        self.break_all("the relay is gone");
    }

    /// The relay ends in good order: everybody is told, then it is gone.
    pub(crate) fn shut_down_relay(&mut self) {
        self.relay_takes(HubInput::ShutDown);
        self.relay.stop();
    }

    pub(crate) fn start_relay(&mut self) {
        self.relay.open();
    }

    /// Virtual time passes, and everything that is due in it happens.
    pub(crate) fn run_ms(&mut self, ms: u64) {
        let end = self.micros + ms * 1_000;
        while self.next_due().is_some_and(|due| due <= end) {
            self.step();
        }
        self.micros = end;
    }

    /// Runs until `seen`; panics when it never is.
    pub(crate) fn run_until(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> bool) {
        let end = self.micros + SETTLE_MAX_MS * 1_000;
        while !seen(self) {
            assert!(self.micros < end, "never: {what}");
            assert!(self.step(), "nothing is due any more, and never: {what}");
        }
    }

    /// Runs until nothing moves any more: everybody who can be is connected, has
    /// everything, has handed over everything, and nothing was sent for a while.
    pub(crate) fn settle(&mut self) {
        let end = self.micros + SETTLE_MAX_MS * 1_000;
        loop {
            let sent = self.post.carried.len();
            self.run_ms(QUIET_MS);
            if self.post.carried.len() == sent && self.is_quiet() {
                return;
            }
            assert!(
                self.micros < end,
                "the world does not settle: {}",
                self.state()
            );
        }
    }

    /// Asks, as a driver does: the answer counts once it is durable.
    pub(crate) fn ask(
        &mut self,
        name: &'static str,
        request: Request,
    ) -> Result<khlong_node::api::Response, NodeError> {
        let now = self.now();
        let peer = self.people.get_mut(name).unwrap().peer.as_mut().unwrap();
        let response = peer.request(now, request);
        self.commit(name).map(|()| response)
    }

    /// A backup of a node is restored as another one, which goes online.
    pub(crate) fn restore(&mut self, name: &'static str, copy: &'static str) {
        let person = &self.people[name];
        let target = Path::new(copy);
        person.peer.as_ref().unwrap().checkpoint(target).unwrap();
        let disk = person.node.disk.from_checkpoint(target).unwrap();
        let node = NodeDisk {
            disk,
            name: person.node.name.clone(),
            // No opening of the one has the entropy of one of the other.
            openings: person.node.openings + 1_000,
        };
        let mut restored = Person::on(node, self.now());
        let now = self.now();
        let peer = restored.peer.as_mut().unwrap();
        peer.renew_authors(now).unwrap();
        self.people.insert(copy, restored);
        self.go_online(copy);
    }

    fn go_online(&mut self, name: &'static str) {
        let now = self.now();
        let peer = self.people.get_mut(name).unwrap().peer.as_mut().unwrap();
        peer.go_online(now, true);
        self.commit(name).unwrap();
    }

    /// What a reader of a failed run wants to know.
    fn state(&mut self) -> String {
        let names: Vec<_> = self.people.keys().copied().collect();
        let running = names
            .into_iter()
            .filter(|name| self.people[name].peer.is_some())
            .collect::<Vec<_>>();
        let mut state = String::new();
        for name in running {
            let said = self.at(name).ask(Request::Status);
            let waiting = self.at(name).ask(Request::OutboxLs);
            state.push_str(&format!("\n{name}: {said:?}\n{waiting:?}"));
        }
        for carried in self.post.carried.iter().rev().take(20) {
            let Carried {
                name, way, sent_at, ..
            } = carried;
            state.push_str(&format!("\n{sent_at} {name} {way:?} {:?}", carried.fate));
        }
        state
    }

    fn is_quiet(&mut self) -> bool {
        let is_up = self.relay.hub.is_some();
        let names: Vec<_> = self.people.keys().copied().collect();
        let reachable = names
            .into_iter()
            .filter(|name| {
                is_up && !self.cut_off.contains(name) && self.people[name].peer.is_some()
            })
            .collect::<Vec<_>>();
        !self.post.has_frames()
            && reachable
                .into_iter()
                .all(|name| self.at(name).has_caught_up() && self.at(name).waiting() == 0)
    }
}

/// What the kinds of frames are called in a test.
pub(crate) fn is_append(frame: &Frame) -> bool {
    matches!(frame, Frame::Append(_))
}

pub(crate) fn is_ack(frame: &Frame) -> bool {
    matches!(frame, Frame::Ack(_))
}

pub(crate) fn is_push(frame: &Frame) -> bool {
    matches!(frame, Frame::Push(_))
}
