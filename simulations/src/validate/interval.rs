//! Means over independent replications, with Student's t.

#![expect(clippy::float_arithmetic, reason = "statistics")]

use statrs::distribution::{Binomial, DiscreteCDF as _};

use crate::statistics::student_t;

/// The mean of independent values and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Standard deviation of the values.
    pub deviation: f64,
    /// How many.
    pub n: u32,
}

impl Mean {
    /// `None` below two values. A NaN among them makes all of it NaN, and no interval holds that.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = u32::try_from(values.len()).ok().filter(|n| *n >= 2)?;
        let value = values.iter().sum::<f64>() / f64::from(n);
        let squares = values
            .iter()
            .map(|one| (one - value) * (one - value))
            .sum::<f64>();
        Some(Self {
            value,
            deviation: (squares / f64::from(n - 1)).sqrt(),
            n,
        })
    }

    /// Where the true mean lies with this confidence (0 to 1).
    #[must_use]
    pub fn interval(&self, confidence: f64) -> [f64; 2] {
        self.around(confidence, (1.0 / f64::from(self.n)).sqrt())
    }

    /// Where one more value would lie with this confidence.
    #[must_use]
    pub fn prediction(&self, confidence: f64) -> [f64; 2] {
        self.around(confidence, (1.0 + 1.0 / f64::from(self.n)).sqrt())
    }

    fn around(&self, confidence: f64, factor: f64) -> [f64; 2] {
        let half = student_t(self.n as usize - 1, confidence) * self.deviation * factor;
        [self.value - half, self.value + half]
    }
}

/// Whether the value lies in the closed interval.
#[must_use]
pub fn holds(interval: [f64; 2], value: f64) -> bool {
    interval[0] <= value && value <= interval[1]
}

/// The least k that `trials` misses of probability `p` exceed with probability 1% at most.
#[must_use]
pub fn misses_allowed(trials: u64, p: f64) -> u64 {
    Binomial::new(p, trials).map_or(0, |misses| misses.inverse_cdf(0.99))
}
