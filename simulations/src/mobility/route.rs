//! A route between stops: a bus, or a mule between clusters.

use rand_chacha::ChaCha8Rng;

use super::error::Wrong;
use super::way::{
    Piece, Place, checked_pause, checked_place, checked_speed, uniform, uniform_span,
};
use crate::units::Span;

/// The state of one vehicle. It waits at each stop, the first one included, and
/// goes on for ever. Before it starts (vehicle `i` of a group after `i` times
/// the headway) it is nowhere.
#[derive(Clone, Debug)]
pub struct Route {
    /// In the order of one round.
    round: Vec<Place>,
    speed: [f64; 2],
    stop: [Span; 2],
    /// Place in `round` of the stop where it is or that it left last.
    here: usize,
    waited: bool,
}

impl Route {
    /// At the first stop.
    ///
    /// # Errors
    /// [`Wrong::NoPlace`] below two stops, [`Wrong::Place`], [`Wrong::Speed`], [`Wrong::Pause`].
    pub fn new(
        stops: &[Place],
        speed_m_s: [f64; 2],
        stop: [Span; 2],
        and_back: bool,
    ) -> Result<Self, Wrong> {
        if stops.len() < 2 {
            return Err(Wrong::NoPlace);
        }
        let mut round = stops
            .iter()
            .map(|place| checked_place(*place))
            .collect::<Result<Vec<_>, _>>()?;
        if and_back {
            let back = stops.get(1..stops.len() - 1).unwrap_or_default();
            round.extend(back.iter().rev());
        }
        Ok(Self {
            round,
            speed: checked_speed(speed_m_s)?,
            stop: checked_pause(stop)?,
            here: 0,
            waited: false,
        })
    }

    /// South-west and north-east corner of all stops.
    #[must_use]
    pub fn bounds(&self) -> [Place; 2] {
        self.round
            .iter()
            .fold([[f64::MAX; 2], [f64::MIN; 2]], |[low, high], stop| {
                [
                    [low[0].min(stop[0]), low[1].min(stop[1])],
                    [high[0].max(stop[0]), high[1].max(stop[1])],
                ]
            })
    }

    /// The piece that begins at `begin`.
    pub fn piece(&mut self, begin: u64, stream: &mut ChaCha8Rng) -> Piece {
        let at = self.stop_at(self.here);
        if !self.waited {
            self.waited = true;
            let micros = uniform_span(self.stop, stream);
            if micros > 0 {
                return Piece::rest(begin, begin.saturating_add(micros), at);
            }
        }
        self.here = (self.here + 1) % self.round.len();
        self.waited = false;
        Piece::leg(
            begin,
            at,
            self.stop_at(self.here),
            uniform(self.speed, stream),
        )
    }

    fn stop_at(&self, index: usize) -> Place {
        self.round.get(index).copied().unwrap_or_default()
    }
}
