//! Random waypoint: draw a place, go there at a drawn speed, pause, again.
//!
//! A run that begins with uniform places and pauses is not the model's long-run
//! behaviour: places gather in the middle later, and slow legs last longer. With
//! `steady` the first piece is drawn from the stationary distribution instead:
//! W. Navidi, T. Camp, "Stationary distributions for the random waypoint
//! mobility model", IEEE Trans. Mobile Computing 3(1), 2004. Without, it begins
//! as the ONE simulator does: a uniform place and a pause first.

#![expect(clippy::float_arithmetic, reason = "places are metres")]

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::PLACE_MAX_M;
use super::error::Wrong;
use super::way::{
    Piece, Place, checked_pause, checked_place, checked_speed, distance, uniform, uniform_span,
};
use crate::units::Span;

/// Where places are drawn from, uniformly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Area {
    /// A rectangle.
    Rectangle {
        /// South-west corner.
        origin: Place,
        /// Width and height, metres.
        size: [f64; 2],
    },
    /// A disc.
    Disc {
        /// Its centre.
        centre: Place,
        /// Metres.
        radius: f64,
    },
}

impl Area {
    /// Checked.
    ///
    /// # Errors
    /// [`Wrong::Place`], [`Wrong::Area`].
    pub fn rectangle(origin: Place, size: [f64; 2]) -> Result<Self, Wrong> {
        checked_place(origin)?;
        let fits = size
            .iter()
            .all(|metres| *metres > 0.0 && *metres <= PLACE_MAX_M);
        if fits {
            Ok(Self::Rectangle { origin, size })
        } else {
            Err(Wrong::Area)
        }
    }

    /// Checked.
    ///
    /// # Errors
    /// [`Wrong::Area`].
    pub fn disc(centre: Place, radius: f64) -> Result<Self, Wrong> {
        let fits = radius > 0.0 && radius <= PLACE_MAX_M;
        if fits {
            Ok(Self::Disc { centre, radius })
        } else {
            Err(Wrong::Area)
        }
    }

    /// South-west and north-east corner.
    #[must_use]
    pub fn bounds(self) -> [Place; 2] {
        match self {
            Self::Rectangle { origin, size } => {
                [origin, [origin[0] + size[0], origin[1] + size[1]]]
            }
            Self::Disc { centre, radius } => [
                [centre[0] - radius, centre[1] - radius],
                [centre[0] + radius, centre[1] + radius],
            ],
        }
    }

    /// A uniform place.
    pub fn draw(self, stream: &mut ChaCha8Rng) -> Place {
        let [low, high] = self.bounds();
        loop {
            let place = [
                uniform([low[0], high[0]], stream),
                uniform([low[1], high[1]], stream),
            ];
            match self {
                Self::Disc { centre, radius } if distance(place, centre) > radius => {}
                Self::Disc { .. } | Self::Rectangle { .. } => return place,
            }
        }
    }

    /// No two places of the area are further apart.
    fn diameter(self) -> f64 {
        match self {
            Self::Rectangle { size, .. } => distance([0.0, 0.0], size),
            Self::Disc { radius, .. } => 2.0 * radius,
        }
    }

    /// Mean distance of two uniform places, metres.
    ///
    /// Rectangle: B. Ghosh, "Random distances within a rectangle and between two
    /// rectangles", Bull. Calcutta Math. Soc. 43, 1951. Disc: 128 r / 45π.
    #[must_use]
    pub fn mean_distance(self) -> f64 {
        match self {
            Self::Disc { radius, .. } => 128.0 * radius / (45.0 * std::f64::consts::PI),
            Self::Rectangle { size: [x, y], .. } => {
                let diagonal = distance([0.0, 0.0], [x, y]);
                let (x2, y2) = (x * x, y * y);
                (x2 * x / y2 + y2 * y / x2 + diagonal * (3.0 - x2 / y2 - y2 / x2)) / 15.0
                    + (y2 / x * (diagonal / y).acosh() + x2 / y * (diagonal / x).acosh()) / 6.0
            }
        }
    }
}

/// The state of one machine.
#[derive(Clone, Debug)]
pub struct Waypoint {
    area: Area,
    speed: [f64; 2],
    pause: [Span; 2],
    at: Place,
    next: Next,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    /// The rest of a pause, in microseconds.
    RestOfPause(u64),
    /// The rest of a leg.
    RestOfLeg {
        to: Place,
        speed: f64,
    },
    Pause,
    Leg,
}

impl Waypoint {
    /// At its first place.
    ///
    /// # Errors
    /// [`Wrong::Speed`], [`Wrong::Pause`].
    pub fn new(
        area: Area,
        speed_m_s: [f64; 2],
        pause: [Span; 2],
        steady: bool,
        stream: &mut ChaCha8Rng,
    ) -> Result<Self, Wrong> {
        let speed = checked_speed(speed_m_s)?;
        let pause = checked_pause(pause)?;
        let (at, next) = if steady {
            stationary(area, speed, pause, stream)
        } else {
            (area.draw(stream), Next::Pause)
        };
        Ok(Self {
            area,
            speed,
            pause,
            at,
            next,
        })
    }

    /// The piece that begins at `begin`.
    pub fn piece(&mut self, begin: u64, stream: &mut ChaCha8Rng) -> Piece {
        if let Next::RestOfPause(micros) = self.next {
            self.next = Next::Leg;
            if micros > 0 {
                return Piece::rest(begin, begin.saturating_add(micros), self.at);
            }
        }
        if let Next::Pause = self.next {
            self.next = Next::Leg;
            let micros = uniform_span(self.pause, stream);
            if micros > 0 {
                return Piece::rest(begin, begin.saturating_add(micros), self.at);
            }
        }
        let (to, speed) = match self.next {
            Next::RestOfLeg { to, speed } => (to, speed),
            Next::RestOfPause(_) | Next::Pause | Next::Leg => {
                (self.area.draw(stream), uniform(self.speed, stream))
            }
        };
        let piece = Piece::leg(begin, self.at, to, speed);
        self.at = to;
        self.next = Next::Pause;
        piece
    }
}

/// Place and what comes next, as after a long time.
fn stationary(
    area: Area,
    speed: [f64; 2],
    pause: [Span; 2],
    stream: &mut ChaCha8Rng,
) -> (Place, Next) {
    let mean_pause = pause[0].seconds().midpoint(pause[1].seconds());
    let mean_leg = area.mean_distance() * mean_slowness(speed);
    if uniform([0.0, mean_pause + mean_leg], stream) < mean_pause {
        // The pause that one falls into is drawn by its length; of it a uniform part is left.
        let whole = loop {
            let micros = uniform_span(pause, stream);
            if stream.random_range(0..=pause[1].0) <= micros {
                break micros;
            }
        };
        return (
            area.draw(stream),
            Next::RestOfPause(stream.random_range(0..=whole)),
        );
    }
    let (from, to) = loop {
        let (from, to) = (area.draw(stream), area.draw(stream));
        if uniform([0.0, area.diameter()], stream) < distance(from, to) {
            break (from, to);
        }
    };
    let done = stream.random::<f64>();
    let at = [
        from[0] + (to[0] - from[0]) * done,
        from[1] + (to[1] - from[1]) * done,
    ];
    // Density in proportion to 1 / speed.
    let speed = speed[0] * (speed[1] / speed[0]).powf(stream.random::<f64>());
    (at, Next::RestOfLeg { to, speed })
}

/// Mean of 1 / speed for a uniform speed, seconds a metre.
fn mean_slowness(speed: [f64; 2]) -> f64 {
    let width = speed[1] - speed[0];
    if width < 1e-9 * speed[1] {
        1.0 / speed[0]
    } else {
        (speed[1] / speed[0]).ln() / width
    }
}
