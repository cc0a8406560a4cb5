//! What checkers found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use khlong_store::error::StoreError;

/// Violations told of one run at most: the first ones tell what is wrong.
const VIOLATIONS_MAX: usize = 1_000;

/// What was wrong, and what must happen sometimes.
#[derive(Debug, Default)]
pub struct Findings {
    violations: BTreeSet<String>,
    sometimes: BTreeMap<&'static str, u64>,
}

impl Findings {
    /// Counts something that must happen sometimes.
    pub fn happened(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }

    /// Notes that something is wrong. `checker` tells which rule, so that a plan can be made
    /// smaller without showing another bug.
    pub fn violated(&mut self, checker: &'static str, what: impl Display) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.insert(format!("{checker}: {what}"));
        }
    }

    /// What a read gave. One that was told to fail says nothing about what is there.
    pub fn read<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        if result.is_err() {
            self.happened("reads failed in checks");
        }
        result.ok()
    }

    /// What was wrong, each beginning with the name of its checker.
    #[must_use]
    pub const fn violations(&self) -> &BTreeSet<String> {
        &self.violations
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (Vec<String>, BTreeMap<&'static str, u64>) {
        (self.violations.into_iter().collect(), self.sometimes)
    }
}
