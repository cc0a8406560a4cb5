//! What a kind of search is made of: a plan that a seed gives, that can be run, and of which
//! steps can be left out.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use khlong_store::engine::faults::FaultKind;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a disk does to a program, and under which name it is counted.
pub(super) const DISK_FAULTS: [(FaultKind, &str); 8] = [
    (FaultKind::SyncError, "disk: fsync failed"),
    (FaultKind::TornCommit, "disk: commit torn"),
    (FaultKind::NoSpace, "disk: no space in a write"),
    (FaultKind::Stall, "disk: stalled"),
    (FaultKind::ReadError, "disk: read failed"),
    (FaultKind::LostSuffix, "disk: unsynced suffix lost"),
    (FaultKind::TornRecordDropped, "disk: torn record dropped"),
    (FaultKind::DiskFull, "disk: full"),
];

/// A plan of one kind of search.
pub trait Workload: Clone + Send + Serialize + DeserializeOwned {
    /// What every batch must have seen at least once, or its faults prove nothing.
    const MUST_HAPPEN: &'static [&'static str];

    /// The plan of a seed.
    fn generate(seed: u64) -> Self;

    /// Carries it out. Anything that goes wrong, a panic of a core included, is in the outcome.
    fn replay(&self) -> Outcome;

    /// Of which seed it is.
    fn seed(&self) -> u64;

    /// What went wrong when it was run.
    fn violations(&self) -> &[String];

    /// Notes what went wrong.
    fn blame(&mut self, violations: Vec<String>);

    /// How many steps it has.
    fn steps(&self) -> usize;

    /// Leaves out steps; those behind the last are passed over.
    fn leave_out(&mut self, steps: Range<usize>);
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was wrong; empty = nothing.
    pub violations: Vec<String>,
    /// How often what must happen sometimes did.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// See [`crate::kernel::trace`].
    pub trace_hash: String,
    /// Events handled.
    pub events: u64,
    /// Virtual time.
    pub simulated_us: u64,
}

impl Outcome {
    /// Of a run that could not be carried out.
    #[must_use]
    pub fn failed(violation: String) -> Self {
        Self {
            violations: vec![violation],
            ..Self::default()
        }
    }
}

/// What `carry_out` comes to, or the words of its panic.
pub(super) fn caught(carry_out: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(carry_out)).unwrap_or_else(|panic| {
        let words = words_of(panic.as_ref());
        Outcome::failed(format!("panic: {words}"))
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without words")
}
