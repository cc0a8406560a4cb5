//! One connection: lanes out, frames in.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khlong_crdt::class::Class;
use khlong_crdt::time::Monotonic;
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::{Closed, SendError, SetupError, close_code, close_number};
use super::lane::{STREAM_LANES, index};
use super::limits::{LANE_FRAMES_MAX, QuicLimits, RECEIVED_FRAMES_MAX, queued_bytes};
use super::seats::Seat;
use super::{reader, writer};
use crate::wire::code::ErrorCode;
use crate::wire::frame::{Frame, Lane};
use crate::wire::lane::{Agreement, End};
use crate::wire::{EnvelopeCheck, WireError};

/// The longest close reason that is kept, bytes.
const REASON_BYTES_MAX: usize = 256;

/// What a link tells its owner.
#[derive(Debug)]
pub enum LinkEvent {
    /// A frame, with every envelope in it verified.
    Frame(Frame),
    /// Bytes that are no frame: nothing else will be read. Tell the peer and close.
    Undecodable(WireError),
    /// The end; nothing follows.
    Closed(Closed),
}

/// What a connection has cost so far, in UDP payload bytes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Sent, with retransmissions and handshake.
    pub udp_sent_bytes: u64,
    /// Received.
    pub udp_received_bytes: u64,
    /// UDP datagrams that were sent: each costs IP and UDP headers beside its payload.
    pub udp_sent_datagrams: u64,
    /// UDP datagrams that were received.
    pub udp_received_datagrams: u64,
    /// Datagrams (ephemeral frames) that did not fit and were dropped here.
    pub datagrams_dropped: u64,
    /// The current estimate of the round trip.
    pub round_trip: Duration,
}

/// State that the handle and its tasks share.
pub(crate) struct Shared {
    pub(crate) connection: Connection,
    pub(crate) limits: QuicLimits,
    pub(crate) check: Arc<EnvelopeCheck>,
    /// What Hello settled, for the encoders and decoders of all lanes.
    pub(crate) agreement: Agreement,
    /// What `Monotonic` counts from.
    began: tokio::time::Instant,
    /// One bit for each class whose stream the peer has opened.
    pub(crate) classes_opened: AtomicU8,
    datagrams_dropped: AtomicU64,
    /// Of the frames in all lanes, and of those that a writer is about to write.
    queued_bytes: AtomicUsize,
    closed_here: Mutex<Option<(Option<ErrorCode>, String)>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The clock of the partial frames.
    pub(crate) fn now(&self) -> Monotonic {
        Monotonic(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Ends the connection; the first reason stays.
    pub(crate) fn close(&self, code: Option<ErrorCode>, reason: &str) {
        let mut closed = self
            .closed_here
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        closed.get_or_insert_with(|| (code, reason.to_owned()));
        drop(closed);
        self.connection.close(close_number(code), reason.as_bytes());
    }

    fn closed(&self) -> Closed {
        let here = self
            .closed_here
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match (here, self.connection.close_reason()) {
            (Some((code, reason)), _) => Closed::Here { code, reason },
            (None, Some(ConnectionError::ApplicationClosed(close))) => {
                let kept = close
                    .reason
                    .get(..REASON_BYTES_MAX)
                    .unwrap_or(&close.reason);
                Closed::ByPeer {
                    code: close_code(close.error_code),
                    reason: String::from_utf8_lossy(kept).into_owned(),
                }
            }
            (None, Some(error)) => Closed::Lost(error.to_string()),
            (None, None) => Closed::Lost("the readers ended".to_owned()),
        }
    }
}

/// A frame in a lane. The bytes that it was charged are given back when it goes.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Boxed: an empty queue has room for 32 at once, and most links are idle.
    pub(crate) frame: Box<Frame>,
    bytes: usize,
    shared: Arc<Shared>,
}

impl Queued {
    fn new(shared: &Arc<Shared>, frame: Frame) -> Self {
        let bytes = queued_bytes(&frame);
        shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self {
            frame: Box::new(frame),
            bytes,
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.shared
            .queued_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The sending half of a link; clones share its queues.
#[derive(Clone, Debug)]
pub struct LinkSender {
    shared: Arc<Shared>,
    lanes: [mpsc::Sender<Queued>; STREAM_LANES],
}

impl LinkSender {
    /// Queues a frame without waiting. Ephemeral frames leave as a datagram
    /// and are dropped, silently but counted, when they do not fit.
    ///
    /// # Errors
    /// [`SendError::Full`]: close the link, its peer does not read, and more frames or
    /// bytes wait than may; [`SendError::Closed`].
    pub fn try_send(&self, lane: Lane, frame: Frame) -> Result<(), SendError> {
        let Some(queue) = self.queue(lane) else {
            return self.send_datagram(&frame);
        };
        let queued = Queued::new(&self.shared, frame);
        if self.queued_bytes() > self.shared.limits.queued_bytes_max {
            return Err(SendError::Full);
        }
        queue.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Queues a frame and waits for room in its lane. Cancel-safe: a cancelled send sent
    /// nothing. For a client, whose own core bounds what it has to say.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub async fn send(&self, lane: Lane, frame: Frame) -> Result<(), SendError> {
        let Some(queue) = self.queue(lane) else {
            return self.send_datagram(&frame);
        };
        queue
            .send(Queued::new(&self.shared, frame))
            .await
            .map_err(|_| SendError::Closed)
    }

    /// Ends the connection at once, without waiting for what is queued.
    pub fn abort(&self, code: Option<ErrorCode>, reason: &str) {
        self.shared.close(code, reason);
    }

    /// What the connection has cost so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let stats = self.shared.connection.stats();
        LinkStats {
            udp_sent_bytes: stats.udp_tx.bytes,
            udp_received_bytes: stats.udp_rx.bytes,
            udp_sent_datagrams: stats.udp_tx.datagrams,
            udp_received_datagrams: stats.udp_rx.datagrams,
            datagrams_dropped: self.shared.datagrams_dropped.load(Ordering::Relaxed),
            round_trip: self.shared.connection.rtt(),
        }
    }

    /// Bytes that wait because the peer has not read what came before, about.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued_bytes.load(Ordering::Relaxed)
    }

    fn queue(&self, lane: Lane) -> Option<&mpsc::Sender<Queued>> {
        self.lanes.get(index(lane)?)
    }

    fn send_datagram(&self, frame: &Frame) -> Result<(), SendError> {
        let bytes = crate::wire::encode(frame);
        match self.shared.connection.send_datagram(bytes.into()) {
            Ok(()) => Ok(()),
            Err(quinn::SendDatagramError::ConnectionLost(_)) => Err(SendError::Closed),
            Err(_no_room) => {
                self.shared
                    .datagrams_dropped
                    .fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// One connection to a peer. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    received: mpsc::Receiver<LinkEvent>,
    exporter: [u8; 32],
    readers: JoinSet<()>,
    writers: JoinSet<()>,
    _seat: Option<Seat>,
}

impl Link {
    pub(crate) fn start(
        connection: Connection,
        control_out: SendStream,
        control_in: RecvStream,
        limits: QuicLimits,
        check: Arc<EnvelopeCheck>,
        end: End,
        seat: Option<Seat>,
    ) -> Result<Self, SetupError> {
        let mut exporter = [0; 32];
        connection
            .export_keying_material(&mut exporter, super::EXPORTER_LABEL, b"")
            .map_err(|_| SetupError::Exporter)?;
        let shared = Arc::new(Shared {
            connection,
            limits,
            check,
            agreement: Agreement::new(end),
            began: tokio::time::Instant::now(),
            classes_opened: AtomicU8::new(0),
            datagrams_dropped: AtomicU64::new(0),
            queued_bytes: AtomicUsize::new(0),
            closed_here: Mutex::new(None),
        });
        let mut writers = JoinSet::new();
        let (control, queued) = mpsc::channel(LANE_FRAMES_MAX);
        writers.spawn(writer::control(Arc::clone(&shared), control_out, queued));
        let mut class_lane = |class| {
            let (lane, queued) = mpsc::channel(LANE_FRAMES_MAX);
            writers.spawn(writer::class(Arc::clone(&shared), class, queued));
            lane
        };
        let lanes = [
            control,
            class_lane(Class::Control),
            class_lane(Class::Text),
            class_lane(Class::Bulk),
            class_lane(Class::Media),
        ];
        let (frames, received) = mpsc::channel(RECEIVED_FRAMES_MAX);
        let mut readers = JoinSet::new();
        readers.spawn(reader::run(Arc::clone(&shared), control_in, frames));
        Ok(Self {
            sender: LinkSender { shared, lanes },
            received,
            exporter,
            readers,
            writers,
            _seat: seat,
        })
    }

    /// The TLS channel binding: both ends, and nobody in between, have it.
    #[must_use]
    pub fn exporter(&self) -> [u8; 32] {
        self.exporter
    }

    /// Where the peer is now (it may move).
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.sender.shared.connection.remote_address()
    }

    /// A handle to send with.
    #[must_use]
    pub fn sender(&self) -> LinkSender {
        self.sender.clone()
    }

    /// What the connection has cost so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.sender.stats()
    }

    /// The next frame, or the end. Cancel-safe. After [`LinkEvent::Closed`]
    /// every call gives it again.
    pub async fn recv(&mut self) -> LinkEvent {
        match self.received.recv().await {
            Some(event) => event,
            None => LinkEvent::Closed(self.sender.shared.closed()),
        }
    }

    /// Sends what is queued, waits (bounded) until the peer has it, and
    /// closes. Other senders of this link are closed first by the caller, or
    /// their queues are cut off when the wait ends. Returns what the connection
    /// has cost.
    pub async fn close(mut self, code: Option<ErrorCode>, reason: &str) -> LinkStats {
        let shared = Arc::clone(&self.sender.shared);
        self.readers.abort_all();
        // The writers end once no sender is left.
        drop(std::mem::replace(
            &mut self.sender.lanes,
            std::array::from_fn(|_| mpsc::channel(1).0),
        ));
        let flushed = async { while self.writers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(shared.limits.flush(), flushed).await;
        shared.close(code, reason);
        self.stats()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.sender.shared.connection.close_reason().is_none() {
            self.sender.shared.close(None, "");
        }
    }
}
