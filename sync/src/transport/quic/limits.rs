//! What one endpoint and one connection may use.

use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use khlong_crdt::class::Class;
use khlong_crdt::limits::ENVELOPE_BYTES_MAX;

use crate::limits::{
    BYTES_IN_FLIGHT_MAX, FRAME_BYTES_MAX, IDLE_INTERVALS, KEEP_ALIVE_MS_DEFAULT,
    PARTIAL_FRAME_TIMEOUT_MS, PUSH_BYTES_MAX, PUSH_ENTRIES_MAX, SUBSCRIBED_TIMELINE_BYTES_MAX,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
};
use crate::wire::frame::Frame;

const CLASSES: usize = Class::ALL.len();
/// Id and code of a refused timeline, as they lie in memory.
const REFUSED_BYTES: usize = 40;
/// What an entry of a push takes beside its envelope.
const ENTRY_BYTES: usize = 64;
const PUSH_ENTRIES_BYTES: usize = PUSH_ENTRIES_MAX * ENTRY_BYTES;
/// An outcome of an ack.
const OUTCOME_BYTES: usize = 24;

/// Frames that wait in a link for one lane of its peer: a total and an end for each
/// timeline that it may subscribe to, and as much again. Their bytes have a bound of
/// their own, [`QuicLimits::queued_bytes_max`]: the session's credit window counts
/// pushes only, and one answer to a subscribe names up to 4,096 timelines.
pub const LANE_FRAMES_MAX: usize = 16_384;

/// What a server that keeps the protocol may have to queue for a client that does not
/// read for a while: each class window with the push that passes it, then everything else.
const QUEUED_BYTES_DEFAULT: usize = 16 * 1024 * 1024;

/// The answer to a subscribe on four lanes, acks, ends and totals of all timelines.
const QUEUED_SMALL_BYTES: usize = 2 * 1024 * 1024;

/// What is charged for a frame beside the lists and envelopes in it.
pub const QUEUED_FRAME_BYTES: usize = 128;

/// Decoded frames that wait for the owner of a link.
pub const RECEIVED_FRAMES_MAX: usize = 8;

/// Unacknowledged bytes that a peer may have in flight on one stream.
pub const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// The same over all streams of one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Datagrams that wait, each way. The oldest is dropped when there is no room.
pub const DATAGRAM_BUFFER_BYTES: usize = 64 * 1024;

const IDLE_MS_DEFAULT: u32 = 100_000;

const _: () = assert!(
    CLASSES * (BYTES_IN_FLIGHT_MAX + PUSH_BYTES_MAX + ENVELOPE_BYTES_MAX + PUSH_ENTRIES_BYTES)
        + QUEUED_SMALL_BYTES
        <= QUEUED_BYTES_DEFAULT,
    "a client within its windows is never cut off"
);
/// The answer to a subscribe that refuses all, on each lane, and an end and a total
/// of as many timelines in one class.
const _: () = assert!(
    SUBSCRIPTIONS_PER_CONNECTION_MAX * (CLASSES * REFUSED_BYTES + 2 * QUEUED_FRAME_BYTES)
        <= QUEUED_SMALL_BYTES
);
const _: () = assert!(LANE_FRAMES_MAX >= 3 * SUBSCRIPTIONS_PER_CONNECTION_MAX);
const _: () = assert!(CONNECTION_WINDOW_BYTES >= STREAM_WINDOW_BYTES);
const _: () = assert!(STREAM_WINDOW_BYTES as usize >= FRAME_BYTES_MAX);
const _: () = assert!(IDLE_MS_DEFAULT as u64 > KEEP_ALIVE_MS_DEFAULT as u64 * IDLE_INTERVALS);

/// Limits of an endpoint. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicLimits {
    /// From the first packet to a finished handshake. Default 10 s: three
    /// losses in a row at one second of round trip.
    pub handshake_ms: u32,
    /// Silence after which the connection is gone. Default 100 s: the session,
    /// which pings and has its own patience, decides first.
    pub idle_ms: u32,
    /// What a frame may take however slowly its bytes come; a frame that keeps
    /// coming has longer ([`crate::wire::decoder::Decoder::next_deadline`]).
    /// Default 30 s, which is also the most.
    pub partial_frame_ms: u64,
    /// How long a graceful close waits for the peer to take what was sent.
    /// Default 2 s.
    pub flush_ms: u32,
    /// Connections of a listener. Default 10,000.
    pub connections_max: usize,
    /// Connections from one IPv4 address or one IPv6 /64. Default 256: a campus behind one
    /// address is many people. From a quarter of it on, a client must first prove that it
    /// owns its address (Retry), so that nobody fills it from elsewhere.
    pub connections_per_address_max: usize,
    /// Bytes of frames that wait in a link because the peer does not read; beyond, it is
    /// cut off. Default 16 MiB, which nobody reaches who gives credit only for what it read.
    pub queued_bytes_max: usize,
    /// Handshakes under way in a listener. Default 512; from half of it on, a
    /// client must first prove that it owns its address (Retry).
    pub handshakes_max: usize,
}

impl Default for QuicLimits {
    fn default() -> Self {
        Self {
            handshake_ms: 10_000,
            idle_ms: IDLE_MS_DEFAULT,
            partial_frame_ms: PARTIAL_FRAME_TIMEOUT_MS,
            flush_ms: 2_000,
            connections_max: 10_000,
            connections_per_address_max: 256,
            queued_bytes_max: QUEUED_BYTES_DEFAULT,
            handshakes_max: 512,
        }
    }
}

impl QuicLimits {
    pub(crate) fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms.into())
    }

    /// By how much a frame's deadline is earlier than the protocol's.
    pub(crate) fn impatience_ms(&self) -> u64 {
        PARTIAL_FRAME_TIMEOUT_MS.saturating_sub(self.partial_frame_ms)
    }

    pub(crate) fn flush(&self) -> Duration {
        Duration::from_millis(self.flush_ms.into())
    }

    /// The peer may open `bidi` control streams (one at a listener, none at a
    /// dialer) and one stream per class.
    pub(crate) fn transport(&self, bidi: u32) -> TransportConfig {
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(bidi))
            .max_concurrent_uni_streams(VarInt::from_u32(super::lane::CLASS_STREAMS))
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
            .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
            .send_window(CONNECTION_WINDOW_BYTES.into())
            .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
            .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(self.idle_ms))));
        transport
    }
}

/// What a frame takes while it waits, about: what [`QuicLimits::queued_bytes_max`] counts.
pub(crate) fn queued_bytes(frame: &Frame) -> usize {
    let lists = match frame {
        Frame::Push(body) => {
            let envelopes = body
                .entries
                .iter()
                .map(|entry| entry.envelope.bytes().len());
            envelopes.sum::<usize>() + body.entries.len() * ENTRY_BYTES
        }
        Frame::Append(body) => {
            let envelopes = body.envelopes.iter().map(|envelope| envelope.bytes().len());
            envelopes.sum::<usize>() + body.envelopes.len() * ENTRY_BYTES
        }
        Frame::Subscribed(body) => body.refused.len() * REFUSED_BYTES,
        Frame::Subscribe(body) => body.timelines.len() * SUBSCRIBED_TIMELINE_BYTES_MAX,
        Frame::Ack(body) => {
            let further = body.further.iter().map(|answer| answer.outcomes.len());
            (body.first.outcomes.len() + further.sum::<usize>()) * OUTCOME_BYTES
        }
        Frame::Ephemeral(body) => body.payload.len(),
        Frame::Error(body) => body.message.len(),
        Frame::Hello(_)
        | Frame::Prove(_)
        | Frame::Proved(_)
        | Frame::Unsubscribe(_)
        | Frame::SubscriptionEnded(_)
        | Frame::Totals(_)
        | Frame::Pull(_)
        | Frame::CaughtUp(_)
        | Frame::BackfillDone(_)
        | Frame::Behind(_)
        | Frame::Ping(_)
        | Frame::Pong(_)
        | Frame::Goodbye(_)
        | Frame::Unknown(_) => 0,
    };
    QUEUED_FRAME_BYTES + lists
}
