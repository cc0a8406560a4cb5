//! The search among gateways: clients move money over a network that loses, repeats and
//! reorders what they say, while disks, clocks, power and the journal fail.
//!
//! | part | what |
//! |---|---|
//! | [`plan`], [`meaning`], [`mod@generate`], `trouble` | what a seed does |
//! | `gateway` | the real kernel and ledger on an imaginary disk, driven as the program does |
//! | `remote` | a journal elsewhere, for one gateway or for two that both believe to lead |
//! | `clients`, `network` | who ask until they are answered, and what carries it |
//! | [`run`], `machines` | torment, heal, require; `finish` looks at what is left |
//! | [`auditor`], `words` | what must hold |
//! | `model` | the naive ledger that the auditor compares with |
//! | `planted` | that what runs and clients tell is told |
//!
//! Keys are not evicted here: a client may ask again for ever.

pub mod auditor;
mod clients;
mod finish;
mod gateway;
pub mod generate;
mod machines;
pub mod meaning;
mod model;
mod network;
pub mod plan;
mod remote;
pub mod run;
mod trouble;
mod words;

use std::ops::Range;

pub use gateway::JOURNAL;

use self::generate::generate;
use self::plan::LedgerPlan;
use self::run::replay;
use super::workload::{Outcome, Workload};

/// What every batch must have seen at least once, or its faults prove nothing.
pub const MUST_HAPPEN: [&str; 62] = [
    "commands answered",
    "commands answered again",
    "keys of other commands refused",
    "nonsense refused",
    "balances read",
    "tables compared",
    "transfers made",
    "transfers balanced",
    "transfers of a chain",
    "transfers there already",
    "chains undone",
    "holds made",
    "holds posted",
    "holds posted in part",
    "holds voided",
    "holds expired",
    "settled too late",
    "accounts closed",
    "accounts opened closed",
    "closed accounts left alone",
    "overdrafts refused",
    "burned ids refused",
    "messages lost",
    "messages repeated",
    "messages overtaken",
    "messages to nobody",
    "networks cut",
    "refused while busy",
    "crashes before a commit",
    "crashes after a commit",
    "crashes in between",
    "gateways restarted",
    "starts put off",
    "cores failed in a read",
    "cores failed in a write",
    "cores found no room to start",
    "commits put off",
    "commits slowed",
    "clock jumps",
    "clocks refused",
    "clocks set right",
    "times accepted",
    "disk: fsync failed",
    "disk: commit torn",
    "disk: no space in a write",
    "disk: stalled",
    "disk: read failed",
    "disk: unsynced suffix lost",
    "disk: torn record dropped",
    "disk: full",
    "remote: answers lost",
    "remote: appends lost",
    "remote: busy",
    "remote: not read",
    "remote: late appends taken",
    "remote: late appends refused",
    "remote: appends of a deposed leader refused",
    "leaders deposed",
    "reads behind another gateway's entries",
    "views not kept after an append",
    "journals replayed",
    "gateways of one journal compared",
];

impl Workload for LedgerPlan {
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

#[cfg(test)]
mod planted;
