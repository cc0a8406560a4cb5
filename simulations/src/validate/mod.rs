//! Numbers that are known beforehand, and whether this simulator gives them.
//!
//! | table | expected | verdict |
//! |---|---|---|
//! | A ([`theory`]) | exact mean delays for exponential meetings | the expected value lies in the interval of the mean |
//! | B ([`one`]) | runs that users of the ONE simulator published | within 10%, or a measured cause explains the difference |
//! | bandwidth ([`bandwidth`]) | closed forms | equal, to the microsecond |
//!
//! **Many comparisons.** Each row of table A is judged by its own 95% interval,
//! which a correct simulator misses in one row of twenty. So a row outside its
//! 95% interval is `chance` as long as it lies within the interval that all rows
//! of the table together leave in 5% of suites only (Bonferroni: 1 − 0.05/rows),
//! and `fail` beyond it. The last row counts the misses: more than a correct
//! simulator has in 99% of suites is a failure of the table. The default seed was
//! fixed before the first run; a suite under another seed is as good a check.

pub mod bandwidth;
pub mod interval;
pub mod one;
pub mod print;
pub mod theory;

use serde::Serialize;

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The root of all randomness.
    pub seed: u64,
    /// Independent runs for each row of tables A and B, 2 at least.
    pub replications: u32,
    /// Messages of a replication of table A, each alone in the network; 8 at least.
    pub messages: u32,
    /// Whether table B runs: some seconds a row and replication.
    pub with_one: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 20_261_126,
            replications: 40,
            messages: 40,
            with_one: true,
        }
    }
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Table, scenario and quantity, such as `A epidemic delay N=50`.
    pub name: String,
    /// Where the expected value comes from, and its unit.
    pub source: String,
    /// What should come out.
    pub expected: f64,
    /// What came out; a mean over replications.
    pub measured: f64,
    /// 95% interval of the mean (Student's t over replications); equal ends = exact.
    pub interval: [f64; 2],
    /// Replications.
    pub n: u32,
    /// Whether that is well.
    pub verdict: Verdict,
    /// How, if it takes a word.
    pub note: String,
}

/// Whether a number is as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Outside its 95% interval, and within what many rows leave to chance.
    Chance,
    /// Different for a reason that another row or the note measures.
    Explained,
    /// Not judged: shows what a cause does.
    Cause,
    /// Different.
    Fail,
}

/// Runs the suite: some two minutes of one core with the defaults, optimised.
#[must_use]
pub fn run(options: Options) -> Vec<Row> {
    let options = Options {
        replications: options.replications.max(2),
        messages: options.messages.max(8),
        ..options
    };
    let mut rows = bandwidth::rows();
    rows.extend(theory::rows(options));
    if options.with_one {
        rows.extend(one::rows(options));
    }
    rows
}

/// Whether no row failed.
#[must_use]
pub fn passed(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.verdict != Verdict::Fail)
}
