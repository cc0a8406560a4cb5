//! A QUIC connection as a model: what a frame costs in bytes and time, without its packets' events.
//!
//! [`Pipe`](super::pipe::Pipe) carries the bundles of the literature's protocols; this carries the
//! frames of node and relay. `khlong-sim calibrate` measures it against `quinn-proto`. What it models,
//! and where that is written:
//!
//! | what | source |
//! |---|---|
//! | frames of one moment share a packet; headers of IP, UDP, packet and stream | RFC 9000 §12.2, §17.3.1, §19.8 |
//! | each packet has its own jitter and its own loss; packets do not overtake | the link, as in QUIC mode |
//! | an acknowledgement rides on what is sent anyway, else leaves after 25 ms, or at the second packet | RFC 9000 §13.2.1, §13.2.2, §18.2 |
//! | the sender's estimate of the round trip and its variation | RFC 9002 §5.3 |
//! | a loss shows when a later packet is acknowledged and 9/8 of a round trip is over | RFC 9002 §6.1 |
//! | … or, with no later packet, when a probe is acknowledged: probe timeout and a round trip | RFC 9002 §6.2 |
//! | a handshake: one round trip with full packets both ways; a lost one costs the initial timeout, doubled each time, until the client gives up | RFC 9000 §14.1, RFC 9002 §6.2.2 |
//!
//! Not modelled: the congestion window and pacing (a chat seldom fills ten packets a round
//! trip), the queue's tail drop on streams, the back-off of repeated probes, lost acknowledgements.

use std::collections::VecDeque;

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::PipeSpec;
use crate::kernel::SECOND;

/// IPv4 20, UDP 8, short header 1, connection id 8, packet number 1, AEAD tag 16.
pub const PACKET_HEADER_BYTES: u64 = 54;
/// Type 1, stream id 1, offset 4, length 2.
pub const STREAM_HEADER_BYTES: u64 = 8;
/// What a packet carries beside its header: 1,452 bytes of UDP payload (1,500 of Ethernet, less
/// IPv6 and UDP headers), which path MTU discovery finds in five probes.
pub const PACKET_ROOM_BYTES: u64 = 1_452 + 28 - PACKET_HEADER_BYTES;
/// Type 1, largest 2, delay 2, ranges 2, counts of congestion marks 4.
pub const ACK_FRAME_BYTES: u64 = 11;
/// A packet with nothing else.
pub const ACK_PACKET_BYTES: u64 = PACKET_HEADER_BYTES + ACK_FRAME_BYTES;
/// Two probes that only ask for an acknowledgement, and that acknowledgement.
pub const PROBE_BYTES: u64 = 2 * (PACKET_HEADER_BYTES + 4) + ACK_PACKET_BYTES;
/// Datagrams of a handshake are padded to 1,200 bytes.
pub const HANDSHAKE_PACKET_BYTES: u64 = 1_228;
/// What both ends send beside the two datagrams that the client waits for: its second, padded one,
/// connection ids, the probes of path MTU discovery (RFC 8899) and acknowledgements. Measured
/// with `quinn-proto` 0.11.19.
pub const SETTLING_BYTES: u64 = 13_670;
/// Until an acknowledgement leaves by itself.
pub const MAX_ACK_DELAY_US: u64 = 25_000;
/// Packets that are acknowledged at once.
const ACK_AT_ONCE: u32 = 2;
/// Before the first sample: 333 ms, three times of which is the first probe timeout.
const INITIAL_TIMEOUT_US: u64 = 999_000;
/// Timer granularity.
const GRANULARITY_US: u64 = 1_000;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When all of it is there that was not lost.
    pub arrival: Monotonic,
    /// Its bytes that were lost.
    pub lost_bytes: u64,
    /// When the sender hears that it arrived.
    pub acknowledged: Monotonic,
}

/// The packet that was filled last, for frames of the same moment.
#[derive(Clone, Copy, Debug)]
struct Open {
    at: Monotonic,
    room: u64,
    is_lost: bool,
}

/// One direction.
#[derive(Clone, Debug)]
struct Way {
    spec: PipeSpec,
    free_at: Monotonic,
    last_arrival: Monotonic,
    open: Option<Open>,
    /// Packets on their way to this direction's sender.
    incoming: VecDeque<Monotonic>,
    /// Packets that its sender has got and not acknowledged.
    owed: u32,
    ack_due: Monotonic,
    /// The sender's smoothed round trip and variation; none before the first sample.
    round_trip: Option<(u64, u64)>,
}

/// Both directions of a connection: 0 leads away from the client, 1 towards it.
#[derive(Clone, Debug)]
pub struct Flow {
    ways: [Way; 2],
    /// Since [`Self::take_bytes`] was called last.
    bytes: u64,
}

impl Way {
    const fn new(spec: PipeSpec, now: Monotonic) -> Self {
        Self {
            spec,
            free_at: now,
            last_arrival: now,
            open: None,
            incoming: VecDeque::new(),
            owed: 0,
            ack_due: now,
            round_trip: None,
        }
    }

    fn takes_us(&self, bytes: u64, share: u32) -> u64 {
        let bits = u128::from(bytes) * 8 * u128::from(SECOND) * u128::from(share);
        u64::try_from(bits.div_ceil(u128::from(self.spec.rate.0.max(1)))).unwrap_or(u64::MAX)
    }

    fn jitter_us(&self, random: &mut ChaCha8Rng) -> u64 {
        match self.spec.jitter.0 {
            0 => 0,
            jitter => random.random_range(0..=jitter),
        }
    }

    fn is_lost(&self, random: &mut ChaCha8Rng) -> bool {
        self.spec.loss > 0.0 && random.random_bool(self.spec.loss)
    }

    /// A packet leaves; when it arrives, unless it is lost.
    fn packet(
        &mut self,
        at: Monotonic,
        bytes: u64,
        share: u32,
        random: &mut ChaCha8Rng,
    ) -> Option<Monotonic> {
        self.free_at = self
            .free_at
            .max(at)
            .after_micros(self.takes_us(bytes, share));
        let (is_lost, jitter_us) = (self.is_lost(random), self.jitter_us(random));
        if is_lost {
            return None;
        }
        let arrival = self
            .free_at
            .after_micros(self.spec.propagation.0 + jitter_us);
        // Never the same microsecond, so that no shuffle of concurrent events reorders a stream.
        self.last_arrival = self.last_arrival.after_micros(1).max(arrival);
        Some(self.last_arrival)
    }

    /// RFC 9002 §5.3.
    fn sample(&mut self, round_trip_us: u64) {
        self.round_trip = Some(match self.round_trip {
            None => (round_trip_us, round_trip_us / 2),
            Some((smoothed, variation)) => (
                (7 * smoothed + round_trip_us) / 8,
                (3 * variation + smoothed.abs_diff(round_trip_us)) / 4,
            ),
        });
    }
}

impl Flow {
    /// A connection that nobody has opened yet.
    #[must_use]
    pub const fn new(away: PipeSpec, back: PipeSpec, now: Monotonic) -> Self {
        Self {
            ways: [Way::new(away, now), Way::new(back, now)],
            bytes: 0,
        }
    }

    /// The handshake, begun at `now`: when the client may send; None if it is not over at
    /// `deadline`, when the client gives up.
    pub fn handshake(
        &mut self,
        now: Monotonic,
        deadline: Monotonic,
        round_trips: u32,
        random: &mut ChaCha8Rng,
    ) -> Option<Monotonic> {
        let mut at = now;
        for _ in 0..round_trips {
            let mut timeout_us = INITIAL_TIMEOUT_US;
            let begin = at;
            let mut first = begin;
            loop {
                if first > deadline {
                    return None;
                }
                let [away, back] = &mut self.ways;
                let there = away.packet(first, HANDSHAKE_PACKET_BYTES, 1, random);
                self.bytes += HANDSHAKE_PACKET_BYTES;
                if let Some(there) = there {
                    let here = back.packet(there, HANDSHAKE_PACKET_BYTES, 1, random);
                    self.bytes += HANDSHAKE_PACKET_BYTES;
                    if let Some(here) = here {
                        at = here;
                        break;
                    }
                }
                first = first.after_micros(timeout_us);
                timeout_us = timeout_us.saturating_mul(2);
            }
            let sample_us = at.since_micros(first);
            for way in &mut self.ways {
                way.sample(sample_us);
            }
            if at > deadline {
                return None;
            }
            self.bytes += SETTLING_BYTES;
        }
        for way in &mut self.ways {
            way.free_at = way.free_at.max(at);
            way.last_arrival = way.last_arrival.max(at);
        }
        Some(at)
    }

    /// Sends a frame of `bytes` bytes at `now` with one of `share` parts of the rate.
    /// `back` says whether it goes towards the client.
    pub fn send(
        &mut self,
        now: Monotonic,
        back: bool,
        bytes: u64,
        share: u32,
        random: &mut ChaCha8Rng,
    ) -> Sent {
        // Also the other end's, or what a flow that goes one way alone has brought would pile up.
        self.settle(now, !back, random);
        self.settle(now, back, random);
        let [away_way, back_way] = &mut self.ways;
        let (way, other) = if back {
            (back_way, away_way)
        } else {
            (away_way, back_way)
        };
        let mut sent = Sent {
            arrival: now,
            lost_bytes: 0,
            acknowledged: now,
        };
        let needed = bytes + STREAM_HEADER_BYTES;
        let open = way
            .open
            .filter(|open| open.at == now && needed <= open.room);
        if let Some(open) = open {
            let takes_us = way.takes_us(needed, share);
            way.free_at = way.free_at.after_micros(takes_us);
            way.last_arrival = way.last_arrival.after_micros(takes_us.max(1));
            way.open = Some(Open {
                room: open.room - needed,
                ..open
            });
            self.bytes += needed;
            sent.arrival = way.last_arrival;
            sent.lost_bytes = if open.is_lost { bytes } else { 0 };
        } else {
            let mut left = bytes;
            loop {
                let mut room = PACKET_ROOM_BYTES - STREAM_HEADER_BYTES;
                let mut on_link = PACKET_HEADER_BYTES + STREAM_HEADER_BYTES;
                if std::mem::take(&mut way.owed) > 0 {
                    room -= ACK_FRAME_BYTES;
                    on_link += ACK_FRAME_BYTES;
                }
                let carried = left.min(room);
                on_link += carried;
                left -= carried;
                self.bytes += on_link;
                let arrival = way.packet(now, on_link, share, random);
                match arrival {
                    Some(arrival) => {
                        sent.arrival = arrival;
                        other.incoming.push_back(arrival);
                    }
                    None => sent.lost_bytes += carried,
                }
                if left == 0 {
                    way.open = Some(Open {
                        at: now,
                        room: room - carried,
                        is_lost: arrival.is_none(),
                    });
                    break;
                }
            }
        }
        let way_back_us = other.takes_us(ACK_PACKET_BYTES, 1)
            + other.spec.propagation.0
            + other.jitter_us(random);
        sent.acknowledged = sent.arrival.max(now).after_micros(way_back_us);
        if sent.lost_bytes == 0 && open.is_none() {
            way.sample(sent.acknowledged.since_micros(now));
        }
        sent
    }

    /// Sends the acknowledgements that were due before `now` and had nothing to ride on.
    fn settle(&mut self, now: Monotonic, back: bool, random: &mut ChaCha8Rng) {
        let Some(way) = self.ways.get_mut(usize::from(back)) else {
            return;
        };
        loop {
            let next = way.incoming.front().copied().filter(|at| *at <= now);
            let due = (way.owed > 0)
                .then_some(way.ack_due)
                .filter(|at| *at <= now);
            let at = match (next, due) {
                (Some(next), due) if due.is_none_or(|due| next < due) => {
                    way.incoming.pop_front();
                    way.owed += 1;
                    if way.owed == 1 {
                        way.ack_due = next.after_micros(MAX_ACK_DELAY_US);
                    }
                    if way.owed < ACK_AT_ONCE {
                        continue;
                    }
                    next
                }
                (_, Some(due)) => due,
                (_, None) => return,
            };
            way.owed = 0;
            self.bytes += ACK_PACKET_BYTES;
            way.packet(at, ACK_PACKET_BYTES, 1, random);
        }
    }

    /// After how long the sender of a direction notices, by a probe, that its last packet was lost.
    #[must_use]
    pub fn probed_us(&self, back: bool) -> u64 {
        let way = self.ways.get(usize::from(back));
        way.and_then(|way| way.round_trip)
            .map_or(INITIAL_TIMEOUT_US, |(smoothed, variation)| {
                let timeout = smoothed + (4 * variation).max(GRANULARITY_US) + MAX_ACK_DELAY_US;
                timeout + smoothed
            })
    }

    /// How much later than a packet one before it is taken for lost.
    #[must_use]
    pub fn overdue_us(&self, back: bool) -> u64 {
        let way = self.ways.get(usize::from(back));
        way.and_then(|way| way.round_trip)
            .map_or(INITIAL_TIMEOUT_US, |(smoothed, _)| smoothed * 9 / 8)
    }

    /// The two probes of a direction, and what answers them, have been on the links.
    pub const fn count_probes(&mut self) {
        self.bytes += PROBE_BYTES;
    }

    /// What comes later arrives later than this.
    pub fn keep_behind(&mut self, back: bool, arrival: Monotonic) {
        if let Some(way) = self.ways.get_mut(usize::from(back)) {
            way.last_arrival = way.last_arrival.max(arrival);
        }
    }

    /// Whether what waits at the sender's end passes the queue's limit. A stream
    /// waits then (its sender is paced); a datagram is dropped.
    #[must_use]
    pub fn is_full(&self, now: Monotonic, back: bool) -> bool {
        let Some(way) = self.ways.get(usize::from(back)) else {
            return false;
        };
        let waiting_us = u128::from(way.free_at.0.saturating_sub(now.0));
        let waiting_bytes = waiting_us * u128::from(way.spec.rate.0) / (8 * u128::from(SECOND));
        waiting_bytes > u128::from(way.spec.queue.0)
    }

    /// Until when the sender's end of a direction is busy.
    #[must_use]
    pub fn free_at(&self, back: bool) -> Monotonic {
        let way = self.ways.get(usize::from(back));
        way.map_or(Monotonic(0), |way| way.free_at)
    }

    /// Bytes that left since the last call, both ways.
    pub const fn take_bytes(&mut self) -> u64 {
        std::mem::replace(&mut self.bytes, 0)
    }
}
