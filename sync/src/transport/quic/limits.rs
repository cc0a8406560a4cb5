//! What one endpoint and one connection may use.

use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::limits::{
    FRAME_BYTES_MAX, IDLE_INTERVALS, KEEP_ALIVE_MS_DEFAULT, PARTIAL_FRAME_TIMEOUT_MS,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
};

/// Frames that wait in a link for one lane of its peer. The session's credit
/// window bounds their bytes; a peer that does not even read the small ones
/// (a total and an end for each timeline that it may subscribe to) is cut off.
pub const LANE_FRAMES_MAX: usize = 16_384;

/// Decoded frames that wait for the owner of a link.
pub const RECEIVED_FRAMES_MAX: usize = 8;

/// Unacknowledged bytes that a peer may have in flight on one stream.
pub const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// The same over all streams of one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Datagrams that wait, each way. The oldest is dropped when there is no room.
pub const DATAGRAM_BUFFER_BYTES: usize = 64 * 1024;

const IDLE_MS_DEFAULT: u32 = 100_000;

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
