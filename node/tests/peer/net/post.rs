//! Frames on their way, and what became of each.

use std::collections::BTreeMap;

use khlong_relay::hub::ConnectionId;
use khlong_sync::wire::WireError;
use khlong_sync::wire::frame::{Frame, Lane};
use khlong_sync::wire::lane::{End, Lanes};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// One way, at least.
const DELAY_MICROS: u64 = 20_000;
/// And so much more, at most.
const JITTER_MICROS: u64 = 15_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    ToRelay,
    ToNode,
}

impl Way {
    const fn back(self) -> Self {
        match self {
            Self::ToRelay => Self::ToNode,
            Self::ToNode => Self::ToRelay,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    UnderWay,
    Delivered { at: u64 },
    Lost,
}

/// A frame that was sent; times in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) sent_at: u64,
    pub(crate) fate: Fate,
    pub(crate) frame: Frame,
}

impl Carried {
    pub(crate) fn is_delivered_to_node(&self) -> bool {
        self.way == Way::ToNode && matches!(self.fate, Fate::Delivered { .. })
    }
}

#[derive(Debug)]
pub(super) enum Parcel {
    Dial {
        name: &'static str,
        attempt: u64,
    },
    DialFailed {
        name: &'static str,
        attempt: u64,
    },
    Frame {
        connection: ConnectionId,
        way: Way,
        lane: Lane,
        bytes: Vec<u8>,
    },
    Closed {
        connection: ConnectionId,
        way: Way,
    },
}

pub(crate) struct Post {
    rng: ChaCha20Rng,
    /// By due time and order of sending; with the place of a frame in `carried`.
    under_way: BTreeMap<(u64, u64), (Parcel, Option<usize>)>,
    order: u64,
    /// When the last thing on a lane arrives; what follows comes no earlier.
    last_due: BTreeMap<(ConnectionId, Way, Option<Lane>), u64>,
    /// What the relay's end, and the node's, has encoded and decoded on each connection.
    ends: BTreeMap<(ConnectionId, Way), Lanes>,
    pub(crate) carried: Vec<Carried>,
    /// Whose frames vanish without a word, both ways.
    swallowed: Option<&'static str>,
    /// Frames of this kind vanish, whosever they are; all others arrive.
    pub(crate) withheld: Option<fn(&Frame) -> bool>,
}

impl Post {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            under_way: BTreeMap::new(),
            order: 0,
            last_due: BTreeMap::new(),
            ends: BTreeMap::new(),
            carried: Vec::new(),
            swallowed: None,
            withheld: None,
        }
    }

    /// From now on frames of this person vanish, and nobody is told. Whose did before.
    pub(super) fn swallow(&mut self, name: Option<&'static str>) -> Option<&'static str> {
        std::mem::replace(&mut self.swallowed, name)
    }

    /// Everything sent that `wanted` describes.
    pub(crate) fn sent(
        &self,
        name: &'static str,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Vec<&Carried> {
        let of_name = self.carried.iter().filter(|carried| carried.name == name);
        of_name.filter(|carried| wanted(&carried.frame)).collect()
    }

    pub(super) fn at(&mut self, due: u64, parcel: Parcel) {
        self.insert(due, parcel, None);
    }

    pub(super) fn dial(&mut self, now: u64, parcel: Parcel) {
        let due = now + self.delay();
        self.insert(due, parcel, None);
    }

    pub(super) fn send(
        &mut self,
        now: u64,
        name: &'static str,
        connection: ConnectionId,
        way: Way,
        frame: Frame,
    ) {
        let is_withheld = self.withheld.is_some_and(|withheld| withheld(&frame));
        let is_swallowed = is_withheld || self.swallowed == Some(name);
        let lane = frame.lane();
        // What vanishes here was dropped before it was written: it moves no slot.
        let bytes = (!is_swallowed).then(|| self.end(connection, way.back()).encode(&frame));
        self.carried.push(Carried {
            name,
            way,
            sent_at: now,
            fate: if is_swallowed {
                Fate::Lost
            } else {
                Fate::UnderWay
            },
            frame,
        });
        let Some(bytes) = bytes else {
            return;
        };
        let ordered = (connection, way, Some(lane));
        let last = self.last_due.get(&ordered).copied().unwrap_or_default();
        let due = (now + self.delay()).max(last);
        self.last_due.insert(ordered, due);
        let parcel = Parcel::Frame {
            connection,
            way,
            lane,
            bytes,
        };
        self.insert(due, parcel, Some(self.carried.len() - 1));
    }

    /// Decodes and verifies what arrived at the end towards which it went.
    pub(super) fn open(
        &mut self,
        connection: ConnectionId,
        way: Way,
        lane: Lane,
        bytes: &[u8],
    ) -> Result<Frame, WireError> {
        self.end(connection, way).decode(lane, bytes)
    }

    /// The end towards which `way` leads.
    fn end(&mut self, connection: ConnectionId, way: Way) -> &mut Lanes {
        let end = self.ends.entry((connection, way));
        end.or_insert_with(|| {
            Lanes::new(match way {
                Way::ToRelay => End::Server,
                Way::ToNode => End::Client,
            })
        })
    }

    /// Arrives after everything that was sent before it.
    pub(super) fn close(&mut self, now: u64, connection: ConnectionId, way: Way) {
        let lanes = self.last_due.iter();
        let last = lanes
            .filter(|((on, towards, _), _)| (*on, *towards) == (connection, way))
            .map(|(_, due)| *due)
            .max();
        let due = (now + self.delay()).max(last.unwrap_or_default());
        self.insert(due, Parcel::Closed { connection, way }, None);
    }

    /// Everything on a connection is lost.
    pub(super) fn lose(&mut self, connection: ConnectionId) {
        let carried = &mut self.carried;
        self.under_way.retain(|_, (parcel, place)| {
            let on = match parcel {
                Parcel::Frame { connection, .. } | Parcel::Closed { connection, .. } => connection,
                Parcel::Dial { .. } | Parcel::DialFailed { .. } => return true,
            };
            if *on == connection
                && let Some(place) = place
            {
                carried[*place].fate = Fate::Lost;
            }
            *on != connection
        });
    }

    pub(super) fn take_due(&mut self, now: u64) -> Option<Parcel> {
        let first = self.under_way.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let (parcel, place) = first.remove();
        if let Some(place) = place {
            self.carried[place].fate = Fate::Delivered { at: now };
        }
        Some(parcel)
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.under_way.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn has_frames(&self) -> bool {
        self.under_way.values().any(|(parcel, _)| match parcel {
            Parcel::Frame { .. } | Parcel::Closed { .. } => true,
            Parcel::Dial { .. } | Parcel::DialFailed { .. } => false,
        })
    }

    fn insert(&mut self, due: u64, parcel: Parcel, place: Option<usize>) {
        self.order += 1;
        self.under_way.insert((due, self.order), (parcel, place));
    }

    fn delay(&mut self) -> u64 {
        DELAY_MICROS + self.rng.next_u64() % JITTER_MICROS
    }
}
