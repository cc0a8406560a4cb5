//! One direction of a link that carries UDP datagrams.
//!
//! The same link as [`Pipe`](crate::links::pipe::Pipe), one level below: a datagram waits
//! behind those before it, takes its bytes at the link's rate, and arrives after the
//! propagation delay and a jitter of its own, in order. What is lost is gone, and what does
//! not fit the queue is dropped at its tail: QUIC sees to the rest.

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::kernel::SECOND;
use crate::links::PipeSpec;

/// IPv4 20 and UDP 8 bytes before each datagram.
pub const UDP_IP_BYTES: u64 = 28;

/// The state of one direction.
#[derive(Clone, Debug)]
pub struct DatagramPath {
    spec: PipeSpec,
    free_at: Monotonic,
    last_arrival: Monotonic,
}

impl DatagramPath {
    /// A direction in which nothing is under way.
    #[must_use]
    pub const fn new(spec: PipeSpec, now: Monotonic) -> Self {
        Self {
            spec,
            free_at: now,
            last_arrival: now,
        }
    }

    /// Until when the sender's end is busy.
    #[must_use]
    pub const fn free_at(&self) -> Monotonic {
        self.free_at
    }

    /// Whether a datagram that comes now is dropped at the queue's tail.
    #[must_use]
    pub fn is_full(&self, now: Monotonic) -> bool {
        let waiting_us = u128::from(self.free_at.0.saturating_sub(now.0));
        let waiting_bytes = waiting_us * u128::from(self.spec.rate.0) / (8 * u128::from(SECOND));
        waiting_bytes > u128::from(self.spec.queue.0)
    }

    /// Sends a datagram of `bytes` bytes, headers of IP and UDP included, with one of `share`
    /// parts of the rate: when it arrives, or `None` if it is lost on the way.
    pub fn send(
        &mut self,
        now: Monotonic,
        bytes: u64,
        share: u32,
        random: &mut ChaCha8Rng,
    ) -> Option<Monotonic> {
        let bits = u128::from(bytes) * 8 * u128::from(SECOND) * u128::from(share);
        let takes_us = bits.div_ceil(u128::from(self.spec.rate.0.max(1)));
        let takes_us = u64::try_from(takes_us).unwrap_or(u64::MAX);
        self.free_at = self.free_at.max(now).after_micros(takes_us);
        // Both draws for every datagram: what is lost moves no other draw.
        let is_lost = self.spec.loss > 0.0 && random.random_bool(self.spec.loss);
        let jitter_us = match self.spec.jitter.0 {
            0 => 0,
            jitter => random.random_range(0..=jitter),
        };
        if is_lost {
            return None;
        }
        let arrival = self
            .free_at
            .after_micros(self.spec.propagation.0 + jitter_us);
        self.last_arrival = self.last_arrival.after_micros(1).max(arrival);
        Some(self.last_arrival)
    }
}
