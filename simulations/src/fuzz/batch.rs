//! Many seeds.

use std::collections::BTreeMap;

use super::generate::generate;
use super::plan::FuzzPlan;
use super::run::{Outcome, replay};

/// What every batch must have seen at least once, or its faults prove nothing.
pub const MUST_HAPPEN: [&str; 33] = [
    "acks",
    "messages written",
    "delivered",
    "stored and not delivered",
    "pairs in order",
    "frames searched",
    "log outputs searched",
    "forks noticed by members",
    "crashes",
    "devices started from snapshots",
    "relays restarted",
    "frames cut off",
    "networks cut",
    "connections broken",
    "one-way partitions",
    "cores failed",
    "clock jumps",
    "disks filled",
    "devices copied",
    "disk: fsync failed",
    "disk: commit torn",
    "disk: no space in a write",
    "disk: stalled",
    "disk: read failed",
    "disk: torn record dropped",
    "disk: full",
    "strangers sent garbage",
    "strangers replayed",
    "strangers forged",
    "strangers forged shadows",
    "strangers wrote",
    "strangers flooded",
    "strangers stole a proof",
];

/// The sum of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Seeds run.
    pub seeds: u64,
    /// How often what must happen sometimes did.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Events handled.
    pub events: u64,
    /// Virtual time.
    pub simulated_us: u64,
    /// Plans that failed, with their violations.
    pub failures: Vec<FuzzPlan>,
}

impl Batch {
    /// Runs one more seed; its plan if it failed.
    pub fn run(&mut self, seed: u64) -> Option<&FuzzPlan> {
        let plan = generate(seed);
        let outcome = replay(&plan);
        self.add(plan, outcome)
    }

    /// Adds what came of a plan.
    pub fn add(&mut self, mut plan: FuzzPlan, outcome: Outcome) -> Option<&FuzzPlan> {
        self.seeds += 1;
        self.events += outcome.events;
        self.simulated_us += outcome.simulated_us;
        for (what, times) in outcome.sometimes {
            *self.sometimes.entry(what).or_default() += times;
        }
        if outcome.violations.is_empty() {
            return None;
        }
        plan.violations = outcome.violations;
        self.failures.push(plan);
        self.failures.last()
    }

    /// Adds another batch's sums.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.simulated_us += other.simulated_us;
        for (what, times) in other.sometimes {
            *self.sometimes.entry(what).or_default() += times;
        }
        self.failures.extend(other.failures);
    }

    /// Kinds of trouble that never took effect.
    #[must_use]
    pub fn never_happened(&self) -> Vec<&'static str> {
        MUST_HAPPEN
            .into_iter()
            .filter(|what| !self.sometimes.contains_key(what))
            .collect()
    }
}

/// The seeds of a list: one a line; what stands behind a `#` is for people.
///
/// # Errors
/// The first line that begins with no number.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, String> {
    let lines = text
        .lines()
        .map(|line| line.split_once('#').map_or(line, |(seed, _)| seed).trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().map_err(|_| line.to_owned()))
        .collect()
}
