//! The protocol as a state machine: no clock, no socket, no task, no writes.
//!
//! ```text
//! session.handle(now, input, &replica)?;               // one input
//! while let Some(output) = session.poll_output() { … } // drain
//! arm(session.next_deadline());                        // only then
//! ```
//!
//! A session reads its [`Replica`] and says what happened; the core that owns
//! it decides and writes. What a session queues says nothing before the owner's
//! commit: the owner releases outputs after it.

mod client;
pub mod config;
pub mod error;
mod handshake;
pub mod input;
mod landing;
pub mod output;
mod per_class;
pub mod proof;
mod rate;
mod receipt;
mod server;
mod timer;
mod transfer;
mod view;
mod window;

use khlong_crdt::id::{AuthorKey, TimelineId};
use khlong_crdt::redacted::Redacted;
use khlong_crdt::time::{Monotonic, Now};

use self::client::Client;
use self::config::{Role, SessionConfig};
use self::error::SessionError;
use self::input::Input;
use self::output::{Event, Outbox, Output};
use self::proof::{CheckedProof, Presented};
use self::server::Server;
use self::timer::{Timer, Timers};
use crate::limits::{
    ERROR_MESSAGE_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, IDLE_INTERVALS, PROBE_SILENCE_MAX_MS,
    RETRY_AFTER_MS_DEFAULT,
};
use crate::replica::Replica;
use crate::wire::code::ErrorCode;
use crate::wire::frame::{ErrorFrame, Frame, Goodbye, Ping, Pong};

/// One side of one connection.
///
/// Drain [`Session::poll_output`] after every [`Session::handle`]; only then read
/// [`Session::next_deadline`]. After an error drain once more (the peer is told
/// why, and the last output is `Close`), then drop the session.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    side: Side,
    timers: Timers,
    /// The smaller of both sides' intervals, once known.
    keep_alive_ms: u64,
    pings: u64,
    /// The ping whose answer the owner waits for.
    probe: Option<u64>,
    outbox: Outbox,
}

#[derive(Debug)]
enum Side {
    Client(Box<Client>),
    Server(Box<Server>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Greeting { exporter: [u8; 32] },
    Ready { exporter: [u8; 32], version: u16 },
    Closed,
}

impl Session {
    /// Before the connection stands. The handshake must be over 10 s from now.
    #[must_use]
    pub fn new(role: Role, config: SessionConfig, now: Monotonic) -> Self {
        let side = match role {
            Role::Client { relay, token } => Side::Client(Box::new(Client::new(relay, token, now))),
            Role::Server => Side::Server(Box::new(Server::new(now))),
        };
        let mut timers = Timers::default();
        timers.set(Timer::Handshake, now.after_ms(HANDSHAKE_TIMEOUT_MS));
        let keep_alive_ms = u64::from(config.keep_alive_ms);
        let (phase, outbox) = (Phase::Connecting, Outbox::default());
        Self {
            config,
            phase,
            side,
            timers,
            keep_alive_ms,
            pings: 0,
            probe: None,
            outbox,
        }
    }

    /// One input. After `Close`, or an error, every input is ignored.
    ///
    /// # Errors
    /// The connection ends: the peer broke the protocol or is silent, the store
    /// failed, or the owner misused the session. The peer's error frame, where it
    /// gets one, and `Close` are queued.
    pub fn handle(
        &mut self,
        now: Now,
        input: Input,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        if self.phase == Phase::Closed {
            return Ok(());
        }
        let result = self.dispatch(now, input, replica);
        if let Err(error) = &result {
            self.fail(error);
        }
        result
    }

    /// The next output, in the order in which they came to be.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.poll()
    }

    /// When to give `Input::Timeout`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// The handshake is over and the connection still good.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// The owner asked whether the peer is there, and it has not answered yet.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        self.probe.is_some() && self.is_ready()
    }

    /// Nothing more will be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// The keying material of this connection, while it stands.
    #[must_use]
    pub const fn exporter(&self) -> Option<[u8; 32]> {
        match self.phase {
            Phase::Greeting { exporter } | Phase::Ready { exporter, .. } => Some(exporter),
            Phase::Connecting | Phase::Closed => None,
        }
    }

    /// Some author key of this timeline is proven on this connection.
    #[must_use]
    pub fn is_proven(&self, timeline: &TimelineId) -> bool {
        match &self.side {
            Side::Client(client) => client.is_proven(timeline),
            Side::Server(server) => server.is_proven(timeline),
        }
    }

    /// The author keys of this timeline that are proven on this connection.
    #[must_use]
    pub fn proven_authors(&self, timeline: &TimelineId) -> Vec<AuthorKey> {
        match &self.side {
            Side::Client(client) => client.proven_authors(timeline),
            Side::Server(server) => server.proven_authors(timeline),
        }
    }

    /// Server: this connection is subscribed to the timeline.
    #[must_use]
    pub fn watches(&self, timeline: &TimelineId) -> bool {
        match &self.side {
            Side::Client(_) => false,
            Side::Server(server) => server.watches(timeline),
        }
    }

    /// Ephemeral frames that were dropped: over the rate, or out of place. For metrics.
    #[must_use]
    pub fn ephemeral_dropped(&self) -> u64 {
        match &self.side {
            Side::Client(client) => client.ephemeral_dropped(),
            Side::Server(server) => server.ephemeral_dropped(),
        }
    }

    fn dispatch(
        &mut self,
        now: Now,
        input: Input,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        match input {
            Input::Connected { exporter } => self.connected(exporter),
            Input::Frame(frame) => self.frame(now, frame, replica),
            Input::Proof(proof) => self.proof(now, proof),
            Input::Undecodable(error) => Err(SessionError::Wire(error)),
            Input::Disconnected => {
                self.phase = Phase::Closed;
                self.timers.stop_all();
                Ok(())
            }
            Input::Timeout => self.timeout(now.monotonic),
            Input::Probe => self.probe(now.monotonic),
            Input::Close { code } => {
                self.outbox.send(Frame::Goodbye(Goodbye { code }));
                self.close(code);
                Ok(())
            }
            command @ (Input::Prove { .. }
            | Input::Subscribe { .. }
            | Input::Unsubscribe { .. }
            | Input::Append { .. }
            | Input::Pulled { .. }
            | Input::Ephemeral { .. }
            | Input::Advanced(_)
            | Input::Acknowledge { .. }
            | Input::Refuse { .. }
            | Input::RelayEphemeral { .. }) => self.command(now, command, replica),
        }
    }

    fn command(
        &mut self,
        now: Now,
        command: Input,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        match (&mut self.side, self.phase) {
            (Side::Server(_), Phase::Connecting | Phase::Greeting { .. })
                if matches!(command, Input::Advanced(_) | Input::RelayEphemeral { .. }) =>
            {
                Ok(())
            }
            (_, Phase::Connecting | Phase::Greeting { .. }) => Err(SessionError::Misuse {
                what: "a command before the handshake was over",
            }),
            (Side::Client(client), _) => client.command(now, command, &mut self.outbox),
            (Side::Server(server), _) => server.command(now, command, replica, &mut self.outbox),
        }
    }

    fn frame(&mut self, now: Now, frame: Frame, replica: &dyn Replica) -> Result<(), SessionError> {
        let (exporter, greeted) = match self.phase {
            Phase::Greeting { exporter } => (exporter, false),
            Phase::Ready { exporter, .. } => (exporter, true),
            Phase::Connecting | Phase::Closed => {
                return Err(SessionError::Misuse {
                    what: "a frame before the connection",
                });
            }
        };
        let answer = match frame {
            Frame::Unknown(_) => Ok(()),
            Frame::Goodbye(body) => {
                self.outbox.event(Event::Goodbye { code: body.code });
                self.close(body.code);
                return Ok(());
            }
            Frame::Error(ErrorFrame {
                code,
                request: None,
                message,
                retry_after_ms,
            }) => Err(SessionError::Remote {
                code,
                message: Redacted::new(printable(&message)),
                retry_after_ms,
            }),
            Frame::Hello(hello) if !greeted => self.hello(now, exporter, hello, replica),
            _ if !greeted => Err(SessionError::Protocol {
                what: "a frame before hello",
            }),
            Frame::Ping(Ping { nonce }) => self.ping(now.monotonic, nonce),
            Frame::Pong(Pong { nonce }) => {
                if self.probe == Some(nonce) {
                    self.probe = None;
                }
                Ok(())
            }
            frame @ (Frame::Hello(_)
            | Frame::Prove(_)
            | Frame::Proved(_)
            | Frame::Subscribe(_)
            | Frame::Subscribed(_)
            | Frame::Unsubscribe(_)
            | Frame::SubscriptionEnded(_)
            | Frame::Totals(_)
            | Frame::Push(_)
            | Frame::Pull(_)
            | Frame::CaughtUp(_)
            | Frame::BackfillDone(_)
            | Frame::Behind(_)
            | Frame::Append(_)
            | Frame::Ack(_)
            | Frame::Ephemeral(_)
            | Frame::Error(_)) => match &mut self.side {
                Side::Client(client) => client.frame(frame, &mut self.outbox),
                Side::Server(server) => {
                    server.frame(now, frame, &exporter, replica, &mut self.outbox)
                }
            },
        };
        if self.is_ready() {
            self.heard(now.monotonic);
        }
        answer
    }

    fn proof(&mut self, now: Now, proof: CheckedProof) -> Result<(), SessionError> {
        let Phase::Ready { exporter, .. } = self.phase else {
            return Err(SessionError::Protocol {
                what: "a frame before hello",
            });
        };
        let Side::Server(server) = &mut self.side else {
            return Err(SessionError::Protocol {
                what: "a frame that no server sends",
            });
        };
        let answer = server.prove(now, Presented::Checked(proof), &exporter, &mut self.outbox);
        self.heard(now.monotonic);
        answer
    }

    fn ping(&mut self, now: Monotonic, nonce: u64) -> Result<(), SessionError> {
        if let Side::Server(server) = &mut self.side {
            server.spend(now)?;
        }
        self.outbox.send(Frame::Pong(Pong { nonce }));
        Ok(())
    }

    fn probe(&mut self, now: Monotonic) -> Result<(), SessionError> {
        if matches!(self.side, Side::Server(_)) || !self.is_ready() {
            return Err(SessionError::Misuse {
                what: "a probe by a server, or before the handshake was over",
            });
        }
        if self.probe.is_none() {
            self.probe = Some(self.send_ping());
            let patience = now.after_ms(self.silence_max_ms());
            let sooner = self
                .timers
                .at(Timer::Idle)
                .map_or(patience, |at| at.min(patience));
            self.timers.set(Timer::Idle, sooner);
        }
        Ok(())
    }

    fn send_ping(&mut self) -> u64 {
        self.pings += 1;
        self.outbox.send(Frame::Ping(Ping { nonce: self.pings }));
        self.pings
    }

    fn timeout(&mut self, now: Monotonic) -> Result<(), SessionError> {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Handshake => return Err(SessionError::HandshakeTimeout),
                Timer::Idle => return Err(SessionError::IdleTimeout),
                Timer::KeepAlive => {
                    self.send_ping();
                    self.timers
                        .set(Timer::KeepAlive, now.after_ms(self.keep_alive_ms));
                }
            }
        }
        Ok(())
    }

    /// The client asks first, so that a healthy connection costs one ping and one pong an interval.
    fn heard(&mut self, now: Monotonic) {
        let ask_ms = match self.side {
            Side::Client(_) => self.keep_alive_ms,
            Side::Server(_) => self.keep_alive_ms + self.keep_alive_ms / 2,
        };
        self.timers.set(Timer::KeepAlive, now.after_ms(ask_ms));
        self.timers
            .set(Timer::Idle, now.after_ms(self.silence_max_ms()));
    }

    /// Any frame proves that the peer is there, whatever was asked.
    fn silence_max_ms(&self) -> u64 {
        let silence_ms = self.keep_alive_ms * IDLE_INTERVALS;
        match self.probe {
            Some(_) => silence_ms.min(PROBE_SILENCE_MAX_MS),
            None => silence_ms,
        }
    }

    fn fail(&mut self, error: &SessionError) {
        let code = error.code();
        let message = match error {
            // The peer has said so itself.
            SessionError::Remote { .. } => None,
            // Our own failures are none of the peer's business.
            SessionError::Replica(_) | SessionError::Misuse { .. } => Some(String::new()),
            SessionError::Version { .. }
            | SessionError::HandshakeTimeout
            | SessionError::IdleTimeout
            | SessionError::Wire(_)
            | SessionError::Protocol { .. }
            | SessionError::Limit { .. }
            | SessionError::RateLimited
            | SessionError::BadProof { .. }
            | SessionError::UnexpectedAck { .. }
            | SessionError::ForgedAck { .. }
            | SessionError::UnexpectedPush { .. } => Some(short(error.to_string())),
        };
        if let Some(message) = message.filter(|_| self.phase != Phase::Connecting) {
            let retry_after_ms = code.is_retryable().then_some(RETRY_AFTER_MS_DEFAULT);
            let frame = ErrorFrame {
                code,
                request: None,
                message,
                retry_after_ms,
            };
            self.outbox.send(Frame::Error(frame));
        }
        self.close(Some(code));
    }

    fn close(&mut self, code: Option<ErrorCode>) {
        self.outbox.close(code);
        self.phase = Phase::Closed;
        self.timers.stop_all();
    }
}

/// A peer's sentence, safe for a log line.
fn printable(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).collect()
}

/// Cuts at a character, so that a long sentence is still a legal frame.
fn short(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX));
    message
}
