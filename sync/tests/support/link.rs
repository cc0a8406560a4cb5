//! The bytes between two sessions: one ordered stream for each lane and direction, with delay, cuts and a recorder.

use std::collections::{BTreeMap, VecDeque};

use khlong_crdt::time::Monotonic;
use khlong_sync::wire::frame::{Frame, Lane};
use khlong_sync::wire::lane::{End, Lanes};
use khlong_sync::wire::{WireError, decoder::Decoder};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    ToServer = 0,
    ToClient = 1,
}

#[derive(Debug, Default)]
struct Stream {
    bytes: VecDeque<(Monotonic, Vec<u8>)>,
    decoder: Decoder,
    last_at: Monotonic,
}

#[derive(Debug)]
pub struct Link {
    streams: BTreeMap<(Direction, Lane), Stream>,
    client: Lanes,
    server: Lanes,
    pub latency_ms: u64,
    /// Each frame takes up to so much longer, and lanes overtake each other.
    pub jitter_ms: u64,
    random: u64,
    /// The link dies after so many bytes (both directions counted).
    pub cut_after: Option<usize>,
    pub carried: usize,
    pub frames: usize,
    /// Drop every nth datagram.
    pub lose_every: Option<usize>,
    pub datagrams_lost: usize,
    datagrams: usize,
    pub recorded: Vec<u8>,
}

impl Link {
    pub fn new(seed: u64) -> Self {
        Self {
            streams: BTreeMap::new(),
            client: Lanes::new(End::Client),
            server: Lanes::new(End::Server),
            latency_ms: 20,
            jitter_ms: 0,
            random: seed | 1,
            cut_after: None,
            carried: 0,
            frames: 0,
            lose_every: None,
            datagrams_lost: 0,
            datagrams: 0,
            recorded: Vec::new(),
        }
    }

    pub fn is_cut(&self) -> bool {
        self.cut_after.is_some_and(|after| self.carried >= after)
    }

    /// The last bytes before a cut arrive; so a stream may end inside a frame.
    pub fn send(&mut self, now: Monotonic, direction: Direction, lane: Lane, frame: &Frame) {
        if self.is_cut() {
            return;
        }
        let encoded = match direction {
            Direction::ToServer => self.client.encode(frame),
            Direction::ToClient => self.server.encode(frame),
        };
        let mut bytes = u32::try_from(encoded.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(encoded);
        self.recorded.extend([direction as u8, lane.number()]);
        self.recorded.extend_from_slice(&bytes);
        self.frames += 1;
        if lane == Lane::Ephemeral {
            self.datagrams += 1;
            if self
                .lose_every
                .is_some_and(|nth| self.datagrams.is_multiple_of(nth))
            {
                self.datagrams_lost += 1;
                return;
            }
        }
        if let Some(after) = self.cut_after {
            bytes.truncate(after - self.carried);
        }
        self.carried += bytes.len();
        let jitter = if self.jitter_ms == 0 {
            0
        } else {
            self.draw() % self.jitter_ms
        };
        let stream = self.streams.entry((direction, lane)).or_default();
        let at = now.after_ms(self.latency_ms + jitter).max(stream.last_at);
        stream.last_at = at;
        stream.bytes.push_back((at, bytes));
    }

    pub fn next_at(&self) -> Option<Monotonic> {
        self.streams
            .values()
            .filter_map(|s| s.bytes.front())
            .map(|(at, _)| *at)
            .min()
    }

    /// Everything that has arrived by `now`, frame by frame.
    pub fn arrived(&mut self, now: Monotonic) -> Vec<(Direction, Result<Frame, WireError>)> {
        let mut frames = Vec::new();
        for ((direction, lane), stream) in &mut self.streams {
            while let Some((_, bytes)) = stream.bytes.pop_front_if(|(at, _)| *at <= now) {
                stream.decoder.push(now, &bytes).unwrap();
                while let Some(bytes) = stream.decoder.next_frame(now).unwrap() {
                    let frame = match direction {
                        Direction::ToServer => self.server.decode(*lane, bytes),
                        Direction::ToClient => self.client.decode(*lane, bytes),
                    };
                    frames.push((*direction, frame));
                }
            }
        }
        frames
    }

    fn draw(&mut self) -> u64 {
        // xorshift64: any stream will do that is the same each time.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
