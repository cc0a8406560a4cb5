//! The way of one machine: pieces of straight movement, one after the other.

#![expect(clippy::float_arithmetic, reason = "places are metres")]

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::PLACE_MAX_M;
use super::error::Wrong;
use super::route::Route;
use super::spec::MobilitySpec;
use super::waypoint::{Area, Waypoint};
use crate::kernel::seeds::Seeds;
use crate::units::Span;

/// Metres east and north.
pub type Place = [f64; 2];

/// The longest pause: longer than any run.
const PAUSE_MAX: Span = Span(super::END_MAX.0);
const SPEED_MAX_M_S: f64 = 1e6;

/// Straight movement, or a pause, during [begin, end) in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// From here on.
    pub begin: u64,
    /// Until here, which is after `begin`.
    pub end: u64,
    /// Where it begins.
    pub from: Place,
    /// Metres a second, east and north.
    pub velocity: [f64; 2],
}

impl Piece {
    /// Stays at a place.
    #[must_use]
    pub const fn rest(begin: u64, end: u64, at: Place) -> Self {
        Self {
            begin,
            end,
            from: at,
            velocity: [0.0, 0.0],
        }
    }

    /// Goes from one place to another in the microseconds that the speed gives, at least one.
    #[must_use]
    pub fn leg(begin: u64, from: Place, to: Place, speed_m_s: f64) -> Self {
        let micros = ((distance(from, to) / speed_m_s * 1e6).round() as u64).max(1);
        let seconds = micros as f64 / 1e6;
        Self {
            begin,
            end: begin.saturating_add(micros),
            from,
            velocity: [(to[0] - from[0]) / seconds, (to[1] - from[1]) / seconds],
        }
    }

    /// The place at a moment; before its begin and after its end as if it went on straight.
    #[must_use]
    pub fn at(&self, moment: u64) -> Place {
        let seconds = (moment as f64 - self.begin as f64) / 1e6;
        [
            self.from[0] + self.velocity[0] * seconds,
            self.from[1] + self.velocity[1] * seconds,
        ]
    }
}

/// Pieces in order, each beginning where the one before ended. May go on for ever.
#[derive(Clone, Debug)]
pub struct Way {
    stream: ChaCha8Rng,
    model: Model,
    /// End of the last piece.
    time: u64,
    speed_max_m_s: f64,
    /// South-west and north-east corner of all that it may reach.
    bounds: [Place; 2],
}

#[derive(Clone, Debug)]
enum Model {
    Fixed(Option<Place>),
    Waypoint(Waypoint),
    Route(Route),
}

impl Way {
    /// The way of the member at `place` of its group, drawn from the stream of its name.
    ///
    /// # Errors
    /// [`Wrong`], if the numbers describe no movement.
    ///
    /// # Panics
    /// If the model is none in space: the caller tells them apart.
    pub fn new(
        mobility: &MobilitySpec,
        place: usize,
        seeds: Seeds,
        name: &str,
    ) -> Result<Self, Wrong> {
        let mut stream = seeds.stream("way", name);
        let (model, time, speed_max_m_s, bounds) = match mobility {
            MobilitySpec::Fixed { at_m } => {
                let at = in_turn(at_m, place)?;
                (Model::Fixed(Some(at)), 0, 0.0, [at, at])
            }
            MobilitySpec::RandomWaypoint {
                origin_m,
                area_m,
                speed_m_s,
                pause,
                steady,
            } => {
                let area = Area::rectangle(*origin_m, *area_m)?;
                let waypoint = Waypoint::new(area, *speed_m_s, *pause, *steady, &mut stream)?;
                (Model::Waypoint(waypoint), 0, speed_m_s[1], area.bounds())
            }
            MobilitySpec::Clusters {
                centres_m,
                radius_m,
                speed_m_s,
                pause,
            } => {
                let area = Area::disc(in_turn(centres_m, place)?, *radius_m)?;
                let waypoint = Waypoint::new(area, *speed_m_s, *pause, false, &mut stream)?;
                (Model::Waypoint(waypoint), 0, speed_m_s[1], area.bounds())
            }
            MobilitySpec::Route {
                stops_m,
                speed_m_s,
                stop,
                headway,
                and_back,
            } => {
                let route = Route::new(stops_m, *speed_m_s, *stop, *and_back)?;
                let bounds = route.bounds();
                let start = headway.0.saturating_mul(place as u64);
                (Model::Route(route), start, speed_m_s[1], bounds)
            }
            MobilitySpec::Nowhere
            | MobilitySpec::Timetable { .. }
            | MobilitySpec::Trace { .. }
            | MobilitySpec::Exponential { .. } => unreachable!("a model without space has no way"),
        };
        Ok(Self {
            stream,
            model,
            time,
            speed_max_m_s,
            bounds,
        })
    }

    /// No piece is faster.
    #[must_use]
    pub const fn speed_max_m_s(&self) -> f64 {
        self.speed_max_m_s
    }

    /// South-west and north-east corner of all that it may reach.
    #[must_use]
    pub const fn bounds(&self) -> [Place; 2] {
        self.bounds
    }
}

impl Iterator for Way {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let piece = match &mut self.model {
            Model::Fixed(at) => Piece::rest(0, u64::MAX, at.take()?),
            Model::Waypoint(waypoint) => waypoint.piece(self.time, &mut self.stream),
            Model::Route(route) => route.piece(self.time, &mut self.stream),
        };
        self.time = piece.end;
        Some(piece)
    }
}

/// Metres between two places.
#[must_use]
pub fn distance(one: Place, other: Place) -> f64 {
    let (east, north) = (other[0] - one[0], other[1] - one[1]);
    (east * east + north * north).sqrt()
}

/// Uniform between both, which may be equal.
pub(super) fn uniform(bounds: [f64; 2], stream: &mut ChaCha8Rng) -> f64 {
    bounds[0] + (bounds[1] - bounds[0]) * stream.random::<f64>()
}

/// Uniform between both, both included.
pub(super) fn uniform_span(bounds: [Span; 2], stream: &mut ChaCha8Rng) -> u64 {
    stream.random_range(bounds[0].0..=bounds[1].0)
}

/// The places, the first again after the last.
fn in_turn(places: &[Place], index: usize) -> Result<Place, Wrong> {
    let at = index
        .checked_rem(places.len())
        .and_then(|index| places.get(index));
    checked_place(*at.ok_or(Wrong::NoPlace)?)
}

pub(super) fn checked_place(place: Place) -> Result<Place, Wrong> {
    if place.iter().all(|metres| metres.abs() <= PLACE_MAX_M) {
        Ok(place)
    } else {
        Err(Wrong::Place)
    }
}

pub(super) fn checked_speed(speed_m_s: [f64; 2]) -> Result<[f64; 2], Wrong> {
    let [least, greatest] = speed_m_s;
    // 1 mm in an hour: slower is a mistake in the unit, and its legs would outlast the arithmetic.
    if least >= 1e-7 && least <= greatest && greatest <= SPEED_MAX_M_S {
        Ok(speed_m_s)
    } else {
        Err(Wrong::Speed)
    }
}

pub(super) fn checked_pause(pause: [Span; 2]) -> Result<[Span; 2], Wrong> {
    if pause[0] <= pause[1] && pause[1] <= PAUSE_MAX {
        Ok(pause)
    } else {
        Err(Wrong::Pause)
    }
}
