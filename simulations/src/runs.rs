//! A scenario's replications: each with its own seed, in each all protocols on one plan.

use crate::error::SimError;
use crate::kernel::seeds::Seeds;
use crate::output::digest::Digest;
use crate::plan::Plan;
use crate::protocols::{self, Options};
use crate::results::RunResults;
use crate::scenario::protocol::Protocol;
use crate::scenario::spec::Scenario;
use crate::units::Span;

/// Samples of occupancy and of positions in a run.
pub const SAMPLES: u64 = 240;

/// What is run: a scenario that has been read, and by which protocols.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// As it stands after overrides.
    pub scenario: Scenario,
    /// In this order.
    pub protocols: Vec<Protocol>,
    /// The first replication's seed; the next ones are one greater each.
    pub seed: u64,
}

/// One replication before its protocols run.
#[derive(Clone, Debug)]
pub struct Replication {
    /// From 0.
    pub number: u32,
    /// Its seed.
    pub seed: u64,
    /// The same for all protocols.
    pub plan: Plan,
}

impl Study {
    /// Of the protocols named, or else of those that the scenario names.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64, named: &[Protocol]) -> Self {
        let wanted = if named.is_empty() {
            &scenario.routing.protocols
        } else {
            named
        };
        Self {
            protocols: wanted.to_vec(),
            scenario,
            seed,
        }
    }

    /// Between two samples.
    #[must_use]
    pub const fn sample_every(&self) -> Span {
        let every = self.scenario.duration.0 / SAMPLES;
        Span(if every == 0 { 1 } else { every })
    }

    /// Makes the plan of a replication. Only a plan with `pictures` samples positions.
    ///
    /// # Errors
    /// As [`Scenario::plan`].
    pub fn replication(&self, number: u32, pictures: bool) -> Result<Replication, SimError> {
        let seed = self.seed.wrapping_add(u64::from(number));
        let every = if pictures {
            self.sample_every()
        } else {
            Span(0)
        };
        Ok(Replication {
            number,
            seed,
            plan: self.scenario.plan(Seeds::new(seed), every)?,
        })
    }

    /// Runs one protocol on a replication.
    ///
    /// # Errors
    /// As [`protocols::execute`].
    pub fn run(
        &self,
        replication: &Replication,
        protocol: Protocol,
        happenings: bool,
    ) -> Result<(RunResults, Digest), SimError> {
        let options = Options::of(&self.scenario, self.sample_every(), happenings);
        let seeds = Seeds::new(replication.seed);
        let results = protocols::execute(protocol, &replication.plan, seeds, &options)?;
        let digest = Digest::of(&results, replication, self.scenario.routing.ttl);
        Ok((results, digest))
    }
}
