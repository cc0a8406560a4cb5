//! Means with their uncertainty, and distributions of delays some of which nobody saw the end of.
//!
//! Replications are independent runs (another seed each), so a mean over them
//! has a Student t interval. Variants of one scenario share seeds (common random
//! numbers), so they are compared by the mean of paired differences. A message
//! that was not delivered when the run ended is *censored*: its delay is longer
//! than the time it had. Leaving it out would make slow protocols look fast;
//! the Kaplan–Meier estimator counts it as long as it was watched.

#![expect(clippy::float_arithmetic, reason = "statistics")]

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// A mean, how many it is of, and the half width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Mean {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// 95 % Student t interval: mean ± this; `None` if n < 2.
    pub ci95: Option<f64>,
}

/// The mean of values; `None` of none. Values must be finite.
#[must_use]
pub fn mean(values: &[f64]) -> Option<Mean> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let ci95 = (n >= 2).then(|| {
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / (n - 1) as f64).sqrt();
        student_t(n - 1, 0.95) * deviation / (n as f64).sqrt()
    });
    Some(Mean { n, mean, ci95 })
}

/// Mean of `variant − baseline`, pair by pair; `None` if there are none or the lengths differ.
#[must_use]
pub fn paired_difference(variant: &[f64], baseline: &[f64]) -> Option<Mean> {
    if variant.len() != baseline.len() {
        return None;
    }
    let differences: Vec<f64> = variant
        .iter()
        .zip(baseline)
        .map(|(one, other)| one - other)
        .collect();
    mean(&differences)
}

/// Student's t for an interval on both sides that holds with `confidence` (0 to 1): 0.95 gives
/// the 97.5 % quantile. Below one degree of freedom it counts as one.
#[must_use]
pub fn student_t(degrees: usize, confidence: f64) -> f64 {
    StudentsT::new(0.0, 1.0, degrees.max(1) as f64).map_or(f64::INFINITY, |student| {
        student.inverse_cdf(f64::midpoint(1.0, confidence))
    })
}

/// The `q` quantile of ascending values, linear between order statistics (Hyndman and Fan, 1996,
/// type 7); `None` of none.
#[must_use]
pub fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = ascending.get(place.floor() as usize)?;
    let above = ascending.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

/// One observed delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Delivered after so long.
    Seen(f64),
    /// Not delivered within so long, when nobody looked any more.
    Censored(f64),
}

impl Delay {
    const fn length(self) -> f64 {
        match self {
            Self::Seen(length) | Self::Censored(length) => length,
        }
    }
}

/// A distribution function that rises at steps: `(delay, share delivered by then)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// Ascending in both.
    pub steps: Vec<(f64, f64)>,
}

impl Steps {
    /// The empirical distribution of values in any order, all of them seen.
    #[must_use]
    pub fn empirical(values: &[f64]) -> Self {
        let delays: Vec<Delay> = values.iter().copied().map(Delay::Seen).collect();
        Self::kaplan_meier(&delays)
    }

    /// One minus the Kaplan–Meier survival function (JASA 53, 1958). Of equal delays, those
    /// that were seen come before those that were censored.
    #[must_use]
    pub fn kaplan_meier(delays: &[Delay]) -> Self {
        let mut delays = delays.to_vec();
        delays.sort_unstable_by(|one, other| one.length().total_cmp(&other.length()));
        let mut at_risk = delays.len();
        let mut undelivered = 1.0;
        let mut steps = Vec::new();
        for same in delays.chunk_by(|one, other| one.length() == other.length()) {
            let seen = same
                .iter()
                .filter(|delay| matches!(delay, Delay::Seen(_)))
                .count();
            if seen > 0 {
                undelivered *= 1.0 - seen as f64 / at_risk as f64;
                let length = same.first().map_or(0.0, |delay| delay.length());
                steps.push((length, 1.0 - undelivered));
            }
            at_risk -= same.len();
        }
        Self { steps }
    }

    /// The share delivered by `delay`.
    #[must_use]
    pub fn at(&self, delay: f64) -> f64 {
        let after = self.steps.partition_point(|(step, _)| *step <= delay);
        after
            .checked_sub(1)
            .and_then(|last| self.steps.get(last))
            .map_or(0.0, |(_, share)| *share)
    }

    /// The least delay by which the share `q` is delivered; `None` if it never is.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let place = self.steps.partition_point(|(_, share)| *share < q);
        self.steps.get(place).map(|(delay, _)| *delay)
    }

    /// The Kolmogorov–Smirnov distance: the greatest difference of the two.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        self.steps
            .iter()
            .chain(&other.steps)
            .map(|(delay, _)| (self.at(*delay) - other.at(*delay)).abs())
            .fold(0.0, f64::max)
    }
}
