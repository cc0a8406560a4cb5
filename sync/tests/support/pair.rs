//! Both ends of one connection.

use std::ops::RangeInclusive;

use khlong_crdt::admission::Rights;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::TimelineId;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::wire::code::ErrorCode;

use super::link::{Direction, Link};
use super::owners::{Member, Relay, advanced};
use super::{author, relay};

pub const EXPORTER: [u8; 32] = [77; 32];
const WALL_START: i64 = 1_795_000_000_000;

#[derive(Debug)]
pub struct Pair {
    pub now: Monotonic,
    pub member: Member,
    pub relay: Relay,
    pub client: Session,
    pub server: Session,
    pub link: Link,
    pub client_error: Option<SessionError>,
    pub server_error: Option<SessionError>,
    pub client_closed: Option<Option<ErrorCode>>,
    pub server_closed: Option<Option<ErrorCode>>,
    connections: u64,
}

impl Pair {
    /// One member (author key 1) of these timelines; not connected yet.
    pub fn new(timelines: &[TimelineId]) -> Self {
        let mut relay = Relay::new();
        for timeline in timelines {
            relay.replica.grant(*timeline, author(1), Rights::MEMBER);
        }
        Self::with(Member::new(1, timelines), relay)
    }

    pub fn with(member: Member, relay: Relay) -> Self {
        let now = Monotonic(0);
        let client = new_client(&config(), now);
        Self {
            now,
            member,
            relay,
            client,
            server: Session::new(Role::Server, config(), now),
            link: Link::new(1),
            client_error: None,
            server_error: None,
            client_closed: None,
            server_closed: None,
            connections: 0,
        }
    }

    pub fn configure(&mut self, client: SessionConfig, server: SessionConfig) {
        self.client = new_client(&client, self.now);
        self.server = Session::new(Role::Server, server, self.now);
    }

    pub fn connect(&mut self) {
        self.connections += 1;
        self.give_client(Input::Connected { exporter: EXPORTER });
        self.give_server(Input::Connected { exporter: EXPORTER });
    }

    pub fn reconnect(&mut self) {
        self.reconnect_with(None);
    }

    /// New sessions over a new link, which may die after some bytes; what the owners wrote stays.
    pub fn reconnect_with(&mut self, cut_after: Option<usize>) {
        self.give_client(Input::Disconnected);
        self.give_server(Input::Disconnected);
        self.client = new_client(&config(), self.now);
        self.server = Session::new(Role::Server, config(), self.now);
        self.link = Link::new(self.connections + 1);
        self.link.cut_after = cut_after;
        self.relay.watched.clear();
        self.connect();
    }

    pub fn at(&self) -> Now {
        let ms = i64::try_from(self.now.0 / 1_000).unwrap();
        Now {
            monotonic: self.now,
            wall: UnixMillis(WALL_START + ms),
        }
    }

    pub fn give_client(&mut self, input: Input) {
        let now = self.at();
        if let Err(error) = self.client.handle(now, input, &self.relay.replica) {
            self.client_error = Some(error);
        }
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Send(lane, frame) => {
                    assert_eq!(lane, frame.lane());
                    self.link.send(self.now, Direction::ToServer, lane, &frame);
                }
                Output::Event(event) => {
                    for input in self.member.on(event, &EXPORTER) {
                        self.give_client(input);
                    }
                }
                Output::Close { code } => self.client_closed = Some(code),
            }
        }
    }

    pub fn give_server(&mut self, input: Input) {
        let now = self.at();
        if let Err(error) = self.server.handle(now, input, &self.relay.replica) {
            self.server_error = Some(error);
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send(lane, frame) => {
                    assert_eq!(lane, frame.lane());
                    self.link.send(self.now, Direction::ToClient, lane, &frame);
                }
                Output::Event(event) => {
                    for input in self.relay.on(event, now.wall) {
                        self.give_server(input);
                    }
                }
                Output::Close { code } => self.server_closed = Some(code),
            }
        }
    }

    /// Somebody else's envelopes reach the relay, in one commit.
    pub fn arrive(&mut self, envelopes: &[VerifiedEnvelope]) {
        let wall = self.at().wall;
        let news = envelopes
            .iter()
            .filter_map(|e| self.relay.replica.append(e, wall).ok());
        let news = news.collect();
        self.give_server(advanced(news));
    }

    /// The relay stores and answers what it has gathered.
    pub fn commit(&mut self) {
        for input in self.relay.commit(self.at().wall) {
            self.give_server(input);
        }
    }

    /// Delivers what is under way until nothing is; timers do not fire.
    pub fn settle(&mut self) {
        while let Some(at) = self.link.next_at() {
            self.now = self.now.max(at);
            self.deliver();
        }
    }

    /// Lets `ms` pass, with deliveries and timers at their moments.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        loop {
            let deadlines = [
                self.link.next_at(),
                self.client.next_deadline(),
                self.server.next_deadline(),
            ];
            match deadlines.into_iter().flatten().min() {
                Some(at) if at <= end => self.now = self.now.max(at),
                Some(_) | None => break,
            }
            self.deliver();
            if self.client.next_deadline().is_some_and(|at| at <= self.now) {
                self.give_client(Input::Timeout);
            }
            if self.server.next_deadline().is_some_and(|at| at <= self.now) {
                self.give_server(Input::Timeout);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        for (direction, frame) in self.link.arrived(self.now) {
            let input = match frame {
                Ok(frame) => Input::Frame(frame),
                Err(error) => Input::Undecodable(error),
            };
            match direction {
                Direction::ToServer => self.give_server(input),
                Direction::ToClient => self.give_client(input),
            }
        }
    }

    /// Both sides have the same, nothing twice, everything merged, and nobody complained.
    pub fn assert_in_sync(&self) {
        assert!(self.client_error.is_none(), "{:?}", self.client_error);
        assert!(self.server_error.is_none(), "{:?}", self.server_error);
        assert!(self.member.refused.is_empty(), "{:?}", self.member.refused);
        let mut received = self.member.received.clone();
        received.sort_unstable();
        assert_eq!(received, self.relay.replica.ids(), "lost on the way down");
        assert_eq!(self.member.duplicates, 0, "pushed twice");
        assert!(self.member.outbox.is_empty(), "not acknowledged");
        assert!(
            self.member.backfill.is_empty(),
            "not merged: {:?}",
            self.member.backfill
        );
        assert_eq!(
            self.member.caught_up.len(),
            4,
            "not told that it is up to date"
        );
    }
}

/// The agent does not change with the version of the crate: it is in the frozen session.
fn config() -> SessionConfig {
    SessionConfig {
        agent: "khlong/test".to_owned(),
        ..SessionConfig::default()
    }
}

/// A program that speaks these versions.
pub fn speaking(versions: RangeInclusive<u16>) -> SessionConfig {
    SessionConfig {
        versions,
        ..config()
    }
}

fn new_client(config: &SessionConfig, now: Monotonic) -> Session {
    Session::new(
        Role::Client {
            relay: relay(),
            token: None,
        },
        config.clone(),
        now,
    )
}
