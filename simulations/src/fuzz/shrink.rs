//! Makes a failing plan smaller: delta debugging (Zeller and Hildebrandt, TSE 2002)
//! over its steps.

use super::workload::Workload;

/// Runs at most so many times.
pub const RUNS_MAX: u32 = 400;

/// A plan with fewer steps that fails too, and how many runs that took.
///
/// "Fails too" means: with a violation of the same kind as the first one, so
/// that a smaller plan does not show another bug.
#[must_use]
pub fn shrink<P: Workload>(plan: &P) -> (P, u32) {
    let mut smallest = plan.clone();
    let Some(kind) = plan
        .violations()
        .first()
        .map(|violation| kind_of(violation))
    else {
        return (smallest, 0);
    };
    let mut runs = 0;
    let mut pieces = 2;
    while pieces <= smallest.steps() && runs < RUNS_MAX {
        let size = smallest.steps().div_ceil(pieces);
        let mut reduced = false;
        let mut from = 0;
        while from < smallest.steps() && runs < RUNS_MAX {
            let mut candidate = smallest.clone();
            let until = (from + size).min(candidate.steps());
            candidate.leave_out(from..until);
            let outcome = candidate.replay();
            runs += 1;
            let same = outcome
                .violations
                .iter()
                .any(|violation| kind_of(violation) == kind);
            if same {
                candidate.blame(outcome.violations);
                smallest = candidate;
                reduced = true;
            } else {
                from = until;
            }
        }
        pieces = if reduced {
            2.max(pieces / 2)
        } else {
            pieces * 2
        };
        if !reduced && size == 1 {
            break;
        }
    }
    (smallest, runs)
}

/// A violation without its numbers and ids.
fn kind_of(violation: &str) -> String {
    let words = violation.split([':', ',']).next().unwrap_or(violation);
    words
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .take(40)
        .collect()
}
