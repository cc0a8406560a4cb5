//! Links: how long bytes take between two machines, and when they are lost.

pub mod air;
pub mod flow;
pub mod pipe;

use serde::{Deserialize, Serialize};

use crate::units::{Rate, Size, Span};

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipeSpec {
    /// Bits a second on the wire.
    pub rate: Rate,
    /// One way, without queueing.
    #[serde(default)]
    pub propagation: Span,
    /// Added to each packet's way: uniform between 0 and this.
    #[serde(default)]
    pub jitter: Span,
    /// Share of packets that are lost, 0 to 1 (not included).
    #[serde(default)]
    pub loss: f64,
    /// What may wait at the sender's end; more is dropped at its tail.
    #[serde(default = "queue_default")]
    pub queue: Size,
}

/// Some 250 ms of 10 Mbit/s: what home routers hold.
fn queue_default() -> Size {
    Size(312_500)
}

/// A link between two machines, `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// From `a` to `b`.
    pub forth: PipeSpec,
    /// From `b` to `a`; absent = as `forth`.
    #[serde(default)]
    pub back: Option<PipeSpec>,
    /// Round trips before the first byte of a frame may leave: 1 for QUIC.
    #[serde(default = "handshake_default")]
    pub handshake_round_trips: u32,
    /// From the begin of a contact until the two know of each other.
    #[serde(default)]
    pub discovery: Span,
    /// Links of one channel share the airtime of each machine ([`air`]); absent = each contact has
    /// the rates to itself.
    #[serde(default)]
    pub channel: Option<u8>,
}

fn handshake_default() -> u32 {
    1
}

impl LinkSpec {
    /// The direction away from `a` (`true`) or towards it.
    #[must_use]
    pub fn direction(&self, from_a: bool) -> PipeSpec {
        match (from_a, self.back) {
            (false, Some(back)) => back,
            (true, _) | (false, None) => self.forth,
        }
    }

    /// From the begin of a contact until the first frame may leave.
    #[must_use]
    pub fn setup(&self) -> Span {
        let round_trip = self.forth.propagation.0 + self.direction(false).propagation.0;
        Span(self.discovery.0 + u64::from(self.handshake_round_trips) * round_trip)
    }
}
