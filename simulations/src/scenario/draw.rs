//! Random lengths of time and sizes, from a stream.

#![expect(clippy::float_arithmetic, reason = "distributions are real")]

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

use super::error::ScenarioError;
use super::spec::{LogNormalSpec, SizeDistribution, SpanDistribution};

impl SpanDistribution {
    /// In microseconds.
    #[must_use]
    pub fn draw(self, random: &mut ChaCha8Rng) -> u64 {
        match self {
            Self::Fixed(span) => span.0,
            Self::Uniform([least, greatest]) => random.random_range(least.0..=greatest.0),
            Self::Exponential(mean) => {
                let unit: f64 = Exp1.sample(random);
                (unit * mean.0 as f64).round() as u64
            }
        }
    }

    /// The mean, in microseconds.
    #[must_use]
    pub const fn mean(self) -> u64 {
        match self {
            Self::Fixed(span) | Self::Exponential(span) => span.0,
            Self::Uniform([least, greatest]) => u64::midpoint(least.0, greatest.0),
        }
    }

    pub(super) fn check(self, place: &str) -> Result<(), ScenarioError> {
        if let Self::Uniform([least, greatest]) = self
            && least > greatest
        {
            return Err(ScenarioError::value(
                place,
                "`uniform` must be [least, greatest]",
            ));
        }
        if self.mean() == 0 {
            return Err(ScenarioError::value(place, "the mean must be above 0"));
        }
        Ok(())
    }
}

impl SizeDistribution {
    /// In bytes, at least 1.
    #[must_use]
    pub fn draw(self, random: &mut ChaCha8Rng) -> u32 {
        let bytes = match self {
            Self::Fixed(size) => size.0,
            Self::Uniform([least, greatest]) => random.random_range(least.0..=greatest.0),
            Self::LogNormal(LogNormalSpec {
                median,
                sigma,
                most,
            }) => {
                let normal: f64 = StandardNormal.sample(random);
                let bytes = (median.0 as f64 * (sigma * normal).exp()).round();
                (bytes as u64).min(most.0)
            }
        };
        u32::try_from(bytes.max(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn check(self, place: &str) -> Result<(), ScenarioError> {
        let problem = match self {
            Self::Uniform([least, greatest]) if least > greatest => {
                "`uniform` must be [least, greatest]"
            }
            Self::LogNormal(LogNormalSpec { sigma, .. }) if !(0.0..=5.0).contains(&sigma) => {
                "`sigma` must be 0 to 5"
            }
            Self::Fixed(_) | Self::Uniform(_) | Self::LogNormal(_) => return Ok(()),
        };
        Err(ScenarioError::value(place, problem))
    }
}
