//! Which runs a model lists, and with what weight.
//!
//! What a context does not list is left to the next shorter one, so a run is worth listing if
//! it makes what follows much more probable than the shorter run does, and was seen often. The
//! shorter contexts are weighted by what is left to them, not by all that was seen: a byte that
//! follows on one context alone says little about others (Kneser and Ney, ICASSP 1995). All is
//! arithmetic on integers, so that everybody gets the same model.
#![expect(
    clippy::indexing_slicing,
    reason = "one list for each length of runs, and places of runs that were looked up"
)]

use super::counting::Runs;

/// A count of one line of weight 1.
pub(crate) const ONE: u64 = 256;
/// Fraction of the logarithms, in bits.
const LOG_BITS: u32 = 16;
/// Times that the choice is done, with what the one before leaves to shorter contexts.
const ROUNDS: usize = 3;
/// All symbols are equally probable where nothing is known.
const UNKNOWN: i64 = -(8 << LOG_BITS);

/// How many runs are taken.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    /// What was seen in fewer lines is left out, so that nothing can be read back.
    pub(crate) lines_min: u64,
    /// Bits that a run must save in all of the text.
    pub(crate) bits_min: u64,
    /// What is taken off the weight of something seen once, twice, more often, in parts of
    /// [`ONE`]: so much goes to what was never seen.
    pub(crate) discounts: [u64; 3],
}

/// What a model says of a run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said {
    pub(crate) is_listed: bool,
    /// Of what is said at this length: what longer contexts leave.
    pub(crate) left: u64,
}

impl Choice {
    /// For each length and run.
    pub(crate) fn choose(self, runs: &[Runs]) -> Vec<Vec<Said>> {
        let mut said: Vec<Vec<Said>> = Vec::new();
        for runs in runs {
            let is_listed = |lines| lines >= self.lines_min;
            let new = runs.iter().map(|run| Said {
                is_listed: is_listed(run.lines),
                left: 0,
            });
            said.push(new.collect());
        }
        for round in 1..=ROUNDS {
            self.leave(runs, &mut said);
            let last = round == ROUNDS;
            self.prune(runs, &mut said, self.bits_min / if last { 1 } else { 2 });
        }
        self.leave(runs, &mut said);
        said
    }

    /// Taken off a weight, for what is not listed.
    pub(crate) fn discount(self, left: u64) -> u64 {
        let [once, twice, more] = self.discounts;
        match left {
            0..384 => left * once / ONE,
            384..640 => twice,
            _ => more,
        }
    }

    /// Of a run to the escape of its context, and so to the next shorter run.
    pub(crate) fn passed_on(self, said: Said) -> u64 {
        if said.is_listed {
            self.discount(said.left)
        } else {
            said.left
        }
    }

    fn leave(self, runs: &[Runs], said: &mut [Vec<Said>]) {
        for length in (0..runs.len()).rev() {
            // All that was seen, but for what a longer run takes.
            let mut left: Vec<u64> = runs[length].iter().map(|run| run.count).collect();
            if let (Some(longer), Some(longer_said)) = (runs.get(length + 1), said.get(length + 1))
            {
                for run in longer {
                    left[run.shorter] -= run.count;
                }
                for (run, said) in longer.iter().zip(longer_said) {
                    left[run.shorter] += self.passed_on(*said);
                }
            }
            for (said, left) in said[length].iter_mut().zip(left) {
                said.left = left;
            }
        }
    }

    fn prune(self, runs: &[Runs], said: &mut [Vec<Said>], bits_min: u64) {
        let mut logs: Vec<Vec<i64>> = Vec::new();
        let mut gains: Vec<Vec<i64>> = Vec::new();
        for (length, runs) in runs.iter().enumerate() {
            let (mut of_runs, mut saved) = (Vec::new(), Vec::new());
            let mut all = runs.iter().zip(&said[length]);
            for same in runs.chunk_by(|a, b| a.context() == b.context()) {
                let same: Vec<_> = all.by_ref().take(same.len()).collect();
                let total: u64 = same.iter().map(|(_, said)| said.left).sum();
                let escape: u64 = same.iter().map(|(_, said)| self.passed_on(**said)).sum();
                let all = log2(total);
                let escaped = log2(escape) - all;
                for (run, said) in same {
                    let shorter = logs
                        .last()
                        .map_or(UNKNOWN, |logs: &Vec<i64>| logs[run.shorter]);
                    let otherwise = escaped + shorter;
                    let own = log2(said.left - self.passed_on(*said)) - all;
                    of_runs.push(if said.is_listed { own } else { otherwise });
                    let times = i64::try_from(said.left).unwrap_or(i64::MAX);
                    saved.push((own - otherwise) / 16 * times / 256);
                }
            }
            logs.push(of_runs);
            gains.push(saved);
        }
        // A count has 8 bits behind the point, a gain 12.
        let gain_min = i64::try_from(bits_min << (LOG_BITS - 4)).unwrap_or(i64::MAX);
        let mut contexts: Vec<u64> = Vec::new();
        for length in (1..runs.len()).rev() {
            let mut needed = Vec::new();
            for ((run, said), gain) in runs[length]
                .iter()
                .zip(&mut said[length])
                .zip(&gains[length])
            {
                let is_context = contexts.binary_search(&run.key).is_ok();
                said.is_listed &= is_context || *gain >= gain_min;
                if said.is_listed && needed.last() != Some(&run.context()) {
                    needed.push(run.context());
                }
            }
            contexts = needed;
        }
    }
}

/// Rounded down to 2^-16; of 0 something that is less than of 1.
pub(crate) fn log2(value: u64) -> i64 {
    if value == 0 {
        return -(1 << LOG_BITS);
    }
    let whole = value.ilog2();
    // From 1 to 2, with 31 bits behind the point; each square gives a bit of the logarithm.
    let mut rest = (u128::from(value) << 31 >> whole) as u64;
    let mut log = i64::from(whole);
    for _ in 0..LOG_BITS {
        rest = (rest * rest) >> 31;
        log <<= 1;
        if rest >= 1 << 32 {
            rest >>= 1;
            log |= 1;
        }
    }
    log
}
