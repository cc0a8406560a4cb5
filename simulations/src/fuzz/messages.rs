//! The search among nodes and relays: people who write to each other.

use std::ops::Range;

use super::generate::generate;
use super::plan::FuzzPlan;
use super::run::replay;
use super::workload::{Outcome, Workload};

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

impl Workload for FuzzPlan {
    const MUST_HAPPEN: &'static [&'static str] = &MUST_HAPPEN;

    fn generate(seed: u64) -> Self {
        generate(seed)
    }

    fn replay(&self) -> Outcome {
        replay(self)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }

    fn blame(&mut self, violations: Vec<String>) {
        self.violations = violations;
    }

    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn leave_out(&mut self, steps: Range<usize>) {
        let end = steps.end.min(self.steps.len());
        self.steps.drain(steps.start.min(end)..end);
    }
}
