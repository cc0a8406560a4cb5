//! Many seeds.

use std::collections::BTreeMap;

use super::workload::{Outcome, Workload};

/// The sum of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<P> {
    /// Seeds run.
    pub seeds: u64,
    /// How often what must happen sometimes did.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Events handled.
    pub events: u64,
    /// Virtual time.
    pub simulated_us: u64,
    /// Plans that failed, with their violations.
    pub failures: Vec<P>,
}

impl<P> Default for Batch<P> {
    fn default() -> Self {
        Self {
            seeds: 0,
            sometimes: BTreeMap::new(),
            events: 0,
            simulated_us: 0,
            failures: Vec::new(),
        }
    }
}

impl<P: Workload> Batch<P> {
    /// Runs one more seed; its plan if it failed.
    pub fn run(&mut self, seed: u64) -> Option<&P> {
        let plan = P::generate(seed);
        let outcome = plan.replay();
        self.add(plan, outcome)
    }

    /// Adds what came of a plan.
    pub fn add(&mut self, mut plan: P, outcome: Outcome) -> Option<&P> {
        self.seeds += 1;
        self.events += outcome.events;
        self.simulated_us += outcome.simulated_us;
        for (what, times) in outcome.sometimes {
            *self.sometimes.entry(what).or_default() += times;
        }
        if outcome.violations.is_empty() {
            return None;
        }
        plan.blame(outcome.violations);
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
        P::MUST_HAPPEN
            .iter()
            .copied()
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
