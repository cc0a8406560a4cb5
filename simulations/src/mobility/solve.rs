//! When two machines that move straight are within range of each other.

#![expect(clippy::float_arithmetic, reason = "places are metres")]

use super::way::Piece;

/// The microseconds [up, down) of the pieces' common time at which the distance
/// is at most `range_m`; `None` if there is no such microsecond.
///
/// Their relative place is r + v·t, so the squared distance is a parabola in t
/// and what lies below range² is one interval between its roots.
#[must_use]
pub fn within(one: &Piece, other: &Piece, range_m: f64) -> Option<(u64, u64)> {
    let begin = one.begin.max(other.begin);
    let end = one.end.min(other.end);
    if begin >= end {
        return None;
    }
    let (p, q) = (one.at(begin), other.at(begin));
    let r = [q[0] - p[0], q[1] - p[1]];
    let v = [
        other.velocity[0] - one.velocity[0],
        other.velocity[1] - one.velocity[1],
    ];
    let a = v[0] * v[0] + v[1] * v[1];
    let half_b = r[0] * v[0] + r[1] * v[1];
    let c = r[0] * r[0] + r[1] * r[1] - range_m * range_m;
    if a == 0.0 {
        return (c <= 0.0).then_some((begin, end));
    }
    let discriminant = half_b * half_b - a * c;
    if discriminant < 0.0 {
        return None;
    }
    // The root that adds numbers of one sign; the other from the product of both (no cancellation).
    let sum = -(half_b + discriminant.sqrt().copysign(half_b));
    let (x, y) = if sum == 0.0 {
        (0.0, 0.0)
    } else {
        (sum / a, c / sum)
    };
    let (enters, leaves) = (x.min(y) * 1e6, x.max(y) * 1e6);
    if leaves < 0.0 {
        return None;
    }
    // Casts saturate: what is not reached within the pieces is cut off below.
    let up = begin.saturating_add(enters.max(0.0).ceil() as u64);
    let down = begin
        .saturating_add(leaves.floor() as u64)
        .saturating_add(1)
        .min(end);
    (up < down).then_some((up, down))
}
