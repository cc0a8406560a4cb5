//! One machine's UDP socket: what quinn's driver does, without tasks, clock or socket.
//!
//! Contract: after every call drain [`QuicEndpoint::poll_output`], then read
//! [`QuicEndpoint::next_deadline`]. Connections go by the number that the client gave them,
//! at both ends.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use khlong_crdt::id::RelayKey;
use khlong_crdt::time::Monotonic;
use khlong_sync::transport::quic::error::SetupError;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::Lane;
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint,
    EndpointConfig, EndpointEvent, Event, Incoming, ServerConfig, Side, StreamEvent, Transmit,
    VarInt,
};

use super::config;
use super::lanes::{LaneError, Lanes};

/// The name that the shipped client sends, as `sync/PROTOCOL.md` has it.
const SERVER_NAME: &str = "khlong.invalid";
/// Datagrams that quinn hands to the kernel at once; what follows is padded to the first one's length.
const SEGMENTS_MAX: usize = 10;

/// What an endpoint tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuicOutput {
    /// Puts a datagram on the way.
    Datagram {
        /// The peer's address.
        to: SocketAddr,
        /// Congestion marks of the IP header.
        ecn: Option<EcnCodepoint>,
        /// UDP payload.
        bytes: Vec<u8>,
    },
    /// The connection stands and the control stream is there.
    Opened {
        /// Its number.
        connection: u64,
    },
    /// A whole frame, without its length.
    Frame {
        /// On which connection.
        connection: u64,
        /// On which lane.
        lane: Lane,
        /// Encoded.
        bytes: Vec<u8>,
    },
    /// The end; nothing follows.
    Closed {
        /// Its number.
        connection: u64,
        /// For a log.
        reason: String,
    },
}

/// A connection with its streams.
struct Held {
    handle: ConnectionHandle,
    connection: Connection,
    lanes: Lanes,
    /// The owner knows of it.
    is_open: bool,
    /// The owner has been told of its end, or has closed it.
    is_over: bool,
    /// It closes when everything has arrived, or then.
    flush_until: Option<Instant>,
}

/// A machine's socket and its connections.
pub struct QuicEndpoint {
    endpoint: Endpoint,
    /// What [`Monotonic`] counts from. Only differences ever matter.
    base: Instant,
    limits: QuicLimits,
    held: BTreeMap<u64, Held>,
    numbers: BTreeMap<ConnectionHandle, u64>,
    outputs: VecDeque<QuicOutput>,
    buffer: Vec<u8>,
}

impl QuicEndpoint {
    /// A socket; with `server` it accepts connections. Path MTU discovery is on, as on Linux.
    #[must_use]
    pub fn new(config: EndpointConfig, server: Option<ServerConfig>) -> Self {
        Self {
            endpoint: Endpoint::new(Arc::new(config), server.map(Arc::new), true, None),
            base: Instant::now(),
            limits: QuicLimits::default(),
            held: BTreeMap::new(),
            numbers: BTreeMap::new(),
            outputs: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<QuicOutput> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn next_deadline(&mut self) -> Option<Monotonic> {
        let timers = self
            .held
            .values_mut()
            .flat_map(|held| [held.connection.poll_timeout(), held.flush_until]);
        let first = timers.flatten().min()?;
        let since = first.saturating_duration_since(self.base).as_nanos();
        // Rounded up, so that the timer is due when its time has come.
        Some(Monotonic(
            u64::try_from(since.div_ceil(1_000)).unwrap_or(u64::MAX),
        ))
    }

    /// Begins a handshake with a relay.
    ///
    /// # Errors
    /// [`SetupError`] from the TLS provider.
    pub fn connect(
        &mut self,
        now: Monotonic,
        number: u64,
        relay: RelayKey,
        to: SocketAddr,
    ) -> Result<(), SetupError> {
        let config = config::client(relay, number)?;
        match self
            .endpoint
            .connect(self.instant(now), config, to, SERVER_NAME)
        {
            Ok((handle, connection)) => {
                self.hold(number, handle, connection);
                self.drive(now, number);
            }
            Err(error) => self.outputs.push_back(QuicOutput::Closed {
                connection: number,
                reason: error.to_string(),
            }),
        }
        Ok(())
    }

    /// Queues a frame: framed bytes for a stream, the bare frame for a datagram.
    pub fn send(&mut self, now: Monotonic, number: u64, lane: Lane, bytes: Vec<u8>) {
        let Some(held) = self.held.get_mut(&number) else {
            return;
        };
        if lane == Lane::Ephemeral {
            // What does not fit is dropped, as the shipped link drops it.
            let _ = held.connection.datagrams().send(bytes.into(), true);
        } else if let Err(error) = held.lanes.push(lane, bytes) {
            self.fail(now, number, error);
        }
    }

    /// Lets everything that was queued at one moment leave: one packet carries what fits it.
    pub fn flush(&mut self, now: Monotonic, number: u64) {
        self.drive(now, number);
    }

    /// Closes in good order: what was queued arrives first, if it does in time.
    pub fn close(&mut self, now: Monotonic, number: u64) {
        let deadline = self.instant(now) + Duration::from_millis(self.limits.flush_ms.into());
        if let Some(held) = self.held.get_mut(&number) {
            held.is_over = true;
            held.flush_until = Some(deadline);
        }
        self.drive(now, number);
    }

    /// Forgets a connection without a word: its network is gone.
    pub fn abandon(&mut self, number: u64) {
        if let Some(held) = self.held.remove(&number) {
            self.numbers.remove(&held.handle);
            self.endpoint
                .handle_event(held.handle, EndpointEvent::drained());
        }
    }

    /// A datagram from the network.
    pub fn handle_datagram(
        &mut self,
        now: Monotonic,
        from: SocketAddr,
        ecn: Option<EcnCodepoint>,
        bytes: &[u8],
    ) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let instant = self.instant(now);
        let event =
            self.endpoint
                .handle(instant, from, None, ecn, BytesMut::from(bytes), &mut buffer);
        match event {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(number) = self.numbers.get(&handle).copied()
                    && let Some(held) = self.held.get_mut(&number)
                {
                    held.connection.handle_event(event);
                    self.drive(now, number);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.accept(now, incoming, &mut buffer);
            }
            Some(DatagramEvent::Response(transmit)) => self.transmit(&transmit, &buffer),
            None => {}
        }
        self.buffer = buffer;
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Monotonic) {
        let instant = self.instant(now);
        let due: Vec<u64> = self
            .held
            .iter_mut()
            .filter_map(|(number, held)| {
                let timers = [held.connection.poll_timeout(), held.flush_until];
                let is_due = timers.into_iter().flatten().any(|at| at <= instant);
                is_due.then_some(*number)
            })
            .collect();
        for number in due {
            if let Some(held) = self.held.get_mut(&number) {
                held.connection.handle_timeout(instant);
            }
            self.drive(now, number);
        }
    }

    fn instant(&self, now: Monotonic) -> Instant {
        self.base + Duration::from_micros(now.0)
    }

    fn hold(&mut self, number: u64, handle: ConnectionHandle, connection: Connection) {
        self.numbers.insert(handle, number);
        let held = Held {
            handle,
            connection,
            lanes: Lanes::default(),
            is_open: false,
            is_over: false,
            flush_until: None,
        };
        self.held.insert(number, held);
    }

    fn accept(&mut self, now: Monotonic, incoming: Incoming, buffer: &mut Vec<u8>) {
        let number = config::number_of(incoming.orig_dst_cid());
        let Some(number) = number.filter(|number| !self.held.contains_key(number)) else {
            return self.endpoint.ignore(incoming);
        };
        match self
            .endpoint
            .accept(incoming, self.instant(now), buffer, None)
        {
            Ok((handle, connection)) => {
                self.hold(number, handle, connection);
                self.drive(now, number);
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.transmit(&transmit, buffer);
                }
            }
        }
    }

    /// Everything that follows from what has happened to a connection.
    fn drive(&mut self, now: Monotonic, number: u64) {
        let instant = self.instant(now);
        let mut buffer = Vec::new();
        loop {
            if let Err(error) = self.streams(now, number) {
                return self.fail(now, number, error);
            }
            let Some(held) = self.held.get_mut(&number) else {
                return;
            };
            if let Some(deadline) = held.flush_until {
                if held.lanes.is_flushed() {
                    held.lanes.finish(&mut held.connection);
                }
                let arrived =
                    held.lanes.is_flushed() && held.connection.streams().send_streams() == 0;
                if arrived || deadline <= instant {
                    held.flush_until = None;
                    held.connection.close(instant, code(None), Bytes::new());
                }
            }
            buffer.clear();
            while let Some(transmit) =
                held.connection
                    .poll_transmit(instant, SEGMENTS_MAX, &mut buffer)
            {
                split(&mut self.outputs, &transmit, &buffer);
                buffer.clear();
            }
            let mut more = false;
            while let Some(event) = held.connection.poll_endpoint_events() {
                let is_drained = event.is_drained();
                if let Some(reply) = self.endpoint.handle_event(held.handle, event) {
                    held.connection.handle_event(reply);
                    more = true;
                }
                if is_drained {
                    self.numbers.remove(&held.handle);
                    self.held.remove(&number);
                    return;
                }
            }
            if !more {
                return;
            }
        }
    }

    /// Hands on what the connection has to say, reads and writes its streams.
    fn streams(&mut self, now: Monotonic, number: u64) -> Result<(), LaneError> {
        let Some(held) = self.held.get_mut(&number) else {
            return Ok(());
        };
        let mut readable = false;
        while let Some(event) = held.connection.poll() {
            match event {
                Event::Connected if held.connection.side() == Side::Client => {
                    held.lanes.open_control(&mut held.connection)?;
                    held.is_open = true;
                    self.outputs
                        .push_back(QuicOutput::Opened { connection: number });
                }
                Event::Stream(StreamEvent::Opened { dir }) => {
                    let control = held.lanes.accept(&mut held.connection, dir);
                    if control && dir == Dir::Bi {
                        held.is_open = true;
                        self.outputs
                            .push_back(QuicOutput::Opened { connection: number });
                    }
                    readable = true;
                }
                Event::Stream(StreamEvent::Readable { .. }) => readable = true,
                Event::ConnectionLost { reason } => {
                    if !std::mem::replace(&mut held.is_over, true) {
                        self.outputs.push_back(QuicOutput::Closed {
                            connection: number,
                            reason: worded(&reason),
                        });
                    }
                }
                Event::DatagramReceived => {
                    while let Some(bytes) = held.connection.datagrams().recv() {
                        self.outputs.push_back(QuicOutput::Frame {
                            connection: number,
                            lane: Lane::Ephemeral,
                            bytes: bytes.to_vec(),
                        });
                    }
                }
                Event::Connected
                | Event::HandshakeDataReady
                | Event::DatagramsUnblocked
                | Event::Stream(
                    StreamEvent::Writable { .. }
                    | StreamEvent::Finished { .. }
                    | StreamEvent::Stopped { .. }
                    | StreamEvent::Available { .. },
                ) => {}
            }
        }
        if readable && !held.is_over {
            let outputs = &mut self.outputs;
            held.lanes.read(now, &mut held.connection, |lane, bytes| {
                outputs.push_back(QuicOutput::Frame {
                    connection: number,
                    lane,
                    bytes,
                });
            })?;
        }
        held.lanes.write(&mut held.connection);
        Ok(())
    }

    /// The peer broke the protocol, or does not read.
    fn fail(&mut self, now: Monotonic, number: u64, error: LaneError) {
        let instant = self.instant(now);
        if let Some(held) = self.held.get_mut(&number)
            && !std::mem::replace(&mut held.is_over, true)
        {
            held.connection
                .close(instant, code(Some(ErrorCode::Protocol)), Bytes::new());
            self.outputs.push_back(QuicOutput::Closed {
                connection: number,
                reason: error.to_string(),
            });
            self.drive(now, number);
        }
    }

    fn transmit(&mut self, transmit: &Transmit, buffer: &[u8]) {
        split(&mut self.outputs, transmit, buffer);
    }
}

/// The datagrams of one transmit.
fn split(outputs: &mut VecDeque<QuicOutput>, transmit: &Transmit, buffer: &[u8]) {
    let bytes = buffer.get(..transmit.size).unwrap_or(buffer);
    let segment = transmit.segment_size.unwrap_or(bytes.len()).max(1);
    for datagram in bytes.chunks(segment) {
        outputs.push_back(QuicOutput::Datagram {
            to: transmit.destination,
            ecn: transmit.ecn,
            bytes: datagram.to_vec(),
        });
    }
}

fn code(code: Option<ErrorCode>) -> VarInt {
    VarInt::from_u32(code.map_or(0, ErrorCode::number))
}

fn worded(reason: &ConnectionError) -> String {
    if matches!(reason, ConnectionError::ApplicationClosed(_)) {
        return "the relay closed the connection".to_owned();
    }
    reason.to_string()
}
