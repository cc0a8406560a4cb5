//! One direction of a link in frame mode: a queue, a rate, a delay.
//!
//! Frames leave in order, one behind the other, each taking its bytes on the
//! wire; they arrive in order too, because the transport below delivers streams.
//! A lost packet costs time, not data: it is sent again after a round trip. A
//! frame that does not arrive before its contact ends never arrives.

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::PipeSpec;
use crate::kernel::SECOND;

/// What a packet carries at most, QUIC's and UDP's headers taken off 1,252 bytes of IP payload.
pub const PACKET_PAYLOAD_BYTES: u64 = 1_200;
/// IP 20, UDP 8, QUIC short header with connection id and packet number 13, AEAD tag 16, stream frame header 7.
pub const PACKET_OVERHEAD_BYTES: u64 = 64;

/// The state of one direction.
#[derive(Clone, Debug)]
pub struct Pipe {
    spec: PipeSpec,
    /// One way and back, for what is sent again.
    round_trip_us: u64,
    /// The sender's end is busy until then.
    free_at: Monotonic,
    /// The last arrival: later frames do not overtake.
    last_arrival: Monotonic,
    wire_bytes: u64,
    packets_lost: u64,
}

/// Bytes on the wire of a frame of `bytes` bytes: its packets' headers too.
#[must_use]
pub const fn wire_bytes(bytes: u64) -> u64 {
    bytes + bytes.div_ceil(PACKET_PAYLOAD_BYTES) * PACKET_OVERHEAD_BYTES
}

impl Pipe {
    /// A pipe whose first frame may leave at `ready`. `return_propagation_us` is the way back.
    #[must_use]
    pub const fn new(spec: PipeSpec, return_propagation_us: u64, ready: Monotonic) -> Self {
        Self {
            spec,
            round_trip_us: spec.propagation.0 + return_propagation_us,
            free_at: ready,
            last_arrival: ready,
            wire_bytes: 0,
            packets_lost: 0,
        }
    }

    /// Whether what waits at the sender's end passes the queue's limit. A stream
    /// waits then (its sender is paced); a datagram is dropped.
    #[must_use]
    pub fn is_full(&self, now: Monotonic) -> bool {
        let waiting_us = u128::from(self.free_at.0.saturating_sub(now.0));
        let waiting_bytes = waiting_us * u128::from(self.spec.rate.0) / (8 * u128::from(SECOND));
        waiting_bytes > u128::from(self.spec.queue.0)
    }

    /// Sends a frame of `bytes` bytes at `now`; when it is there, if the contact still stands then.
    pub fn send(&mut self, now: Monotonic, bytes: u64, random: &mut ChaCha8Rng) -> Monotonic {
        self.send_sharing(now, bytes, 1, random)
    }

    /// The same, with one of `share` equal parts of the rate.
    pub fn send_sharing(
        &mut self,
        now: Monotonic,
        bytes: u64,
        share: u32,
        random: &mut ChaCha8Rng,
    ) -> Monotonic {
        let packets = bytes.div_ceil(PACKET_PAYLOAD_BYTES).max(1);
        let mut on_wire = wire_bytes(bytes);
        let mut late_us = 0;
        let mut missing = packets;
        while missing > 0 && self.spec.loss > 0.0 {
            missing = (0..missing)
                .filter(|_| random.random_bool(self.spec.loss))
                .count() as u64;
            if missing > 0 {
                self.packets_lost += missing;
                on_wire += missing * (PACKET_PAYLOAD_BYTES.min(bytes) + PACKET_OVERHEAD_BYTES);
                // RFC 9002 §6.1.2: lost after 9/8 of a round trip.
                late_us += self.round_trip_us * 9 / 8;
            }
        }
        let jitter_us = match self.spec.jitter.0 {
            0 => 0,
            jitter => random.random_range(0..=jitter),
        };
        self.wire_bytes += on_wire;
        let takes_us = self
            .transmission_us(on_wire)
            .saturating_mul(u64::from(share));
        self.free_at = self.free_at.max(now).after_micros(takes_us);
        let arrival = self
            .free_at
            .after_micros(self.spec.propagation.0 + jitter_us + late_us);
        // Never the same microsecond, so that no shuffle of concurrent events reorders a stream.
        self.last_arrival = self.last_arrival.after_micros(1).max(arrival);
        self.last_arrival
    }

    /// Until when the sender's end is busy.
    #[must_use]
    pub const fn free_at(&self) -> Monotonic {
        self.free_at
    }

    /// Bytes that went on the wire.
    #[must_use]
    pub const fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Packets that were lost and sent again.
    #[must_use]
    pub const fn packets_lost(&self) -> u64 {
        self.packets_lost
    }

    fn transmission_us(&self, bytes: u64) -> u64 {
        let bits = u128::from(bytes) * 8 * u128::from(SECOND);
        u64::try_from(bits.div_ceil(u128::from(self.spec.rate.0.max(1)))).unwrap_or(u64::MAX)
    }
}
