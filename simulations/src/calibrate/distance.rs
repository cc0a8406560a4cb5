//! The distance of two samples.

#![expect(clippy::float_arithmetic, reason = "statistics")]

/// The Kolmogorov–Smirnov distance of two ascending samples: the greatest vertical distance
/// between their empirical distribution functions, 0 to 1. It is 1 if one of them is empty.
#[must_use]
pub fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> f64 {
    if one.is_empty() || other.is_empty() {
        return 1.0;
    }
    let (mut below_one, mut below_other) = (0, 0);
    let mut greatest = 0.0_f64;
    loop {
        let next = match (one.get(below_one), other.get(below_other)) {
            (Some(a), Some(b)) => a.min(*b),
            // Beyond the end of one sample the two only come closer.
            (Some(_), None) | (None, Some(_)) | (None, None) => return greatest,
        };
        // Equal values step together: they are one step of either function.
        below_one += not_above(one, below_one, next);
        below_other += not_above(other, below_other, next);
        let share_one = below_one as f64 / one.len() as f64;
        let share_other = below_other as f64 / other.len() as f64;
        greatest = greatest.max((share_one - share_other).abs());
    }
}

fn not_above(ascending: &[f64], from: usize, limit: f64) -> usize {
    let rest = ascending.get(from..).unwrap_or_default();
    rest.iter().take_while(|value| **value <= limit).count()
}
