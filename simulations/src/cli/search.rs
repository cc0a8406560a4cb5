//! `fuzz` and `replay`: the search for bugs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{FuzzArgs, ReplayArgs};
use super::output::Output;
use super::pool;
use crate::error::SimError;
use crate::fuzz::batch::Batch;
use crate::fuzz::plan::FuzzPlan;
use crate::fuzz::run;
use crate::fuzz::shrink::shrink;
use crate::output::SCHEMA_VERSION;

#[derive(Serialize)]
struct Found<'a> {
    schema_version: u64,
    seeds: u64,
    failed: usize,
    /// Where to go on after `--time`.
    next_seed: u64,
    events: u64,
    simulated_s: u64,
    never_happened: &'a [&'static str],
    plans: &'a [PathBuf],
}

pub(super) fn fuzz(fuzz: &FuzzArgs, output: Output) -> Result<(), SimError> {
    // The words of a panic are in the plan; a backtrace for each shrinking step helps nobody.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let limit = fuzz.time.map(|time| Duration::from_micros(time.0));
    let count = usize::try_from(fuzz.seeds.end - fuzz.seeds.start).unwrap_or(usize::MAX);
    let mut batch = Batch::default();
    let mut plans = Vec::new();
    let mut next_seed = fuzz.seeds.start;
    let work = |place: usize| {
        if limit.is_some_and(|limit| began.elapsed() >= limit) {
            return Ok(None);
        }
        let mut one = Batch::default();
        one.run(fuzz.seeds.start + place as u64);
        Ok(Some(one))
    };
    pool::in_order(count, fuzz.jobs, work, |_, one| {
        let Some(one) = one else { return Ok(()) };
        next_seed += one.seeds;
        for failure in &one.failures {
            let (small, runs) = shrink(failure);
            let path = write_plan(&fuzz.out, &small)?;
            let first = small.violations.first().map_or("", String::as_str);
            eprintln!(
                "seed {}: {first} ({} of {} steps after {runs} runs: {})",
                failure.seed,
                small.steps.len(),
                failure.steps.len(),
                path.display()
            );
            plans.push(path);
        }
        batch.merge(one);
        Ok(())
    })?;
    let never = batch.never_happened();
    let found = Found {
        schema_version: SCHEMA_VERSION,
        seeds: batch.seeds,
        failed: batch.failures.len(),
        next_seed,
        events: batch.events,
        simulated_s: batch.simulated_us / 1_000_000,
        never_happened: &never,
        plans: &plans,
    };
    if output.json {
        output.object(&found)?;
    } else {
        output.text(&summary(&batch, next_seed))?;
    }
    if !batch.failures.is_empty() {
        return Err(SimError::Differs(format!(
            "{} of {} seeds failed; run `khlong-sim replay FILE` on what was written",
            batch.failures.len(),
            batch.seeds
        )));
    }
    if !never.is_empty() {
        return Err(SimError::Differs(format!(
            "these never took effect, so the batch proves nothing about them: {}; take more seeds",
            never.join(", ")
        )));
    }
    Ok(())
}

fn summary(batch: &Batch, next_seed: u64) -> String {
    let mut text = format!(
        "{} seeds, {} failed, {} events, {} virtual seconds; next seed {next_seed}\n",
        batch.seeds,
        batch.failures.len(),
        batch.events,
        batch.simulated_us / 1_000_000
    );
    for (what, times) in &batch.sometimes {
        text.push_str(&format!("{times:>10}  {what}\n"));
    }
    text
}

fn write_plan(folder: &Path, plan: &FuzzPlan) -> Result<PathBuf, SimError> {
    let path = folder.join(format!("repro-{}.toml", plan.seed));
    let failed = |source: std::io::Error| SimError::Write {
        path: path.clone(),
        source,
    };
    let text = toml::to_string(plan).map_err(|error| failed(std::io::Error::other(error)))?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(failed)?;
    Ok(path)
}

pub(super) fn replay(args: &ReplayArgs, output: Output) -> Result<(), SimError> {
    let text = fs::read_to_string(&args.plan).map_err(|source| SimError::Read {
        path: args.plan.clone(),
        source,
    })?;
    let plan: FuzzPlan = toml::from_str(&text)
        .map_err(|error| SimError::Usage(format!("{} is no plan: {error}", args.plan.display())))?;
    let outcome = run::replay(&plan);
    if output.json {
        output.object(&serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "violations": outcome.violations,
            "trace_hash": outcome.trace_hash,
            "events": outcome.events,
        }))?;
    } else {
        for violation in &outcome.violations {
            output.text(&format!("{violation}\n"))?;
        }
        output.text(&format!(
            "{} events, trace {}\n",
            outcome.events, outcome.trace_hash
        ))?;
    }
    if outcome.violations.is_empty() {
        Ok(())
    } else {
        Err(SimError::Differs("the plan still fails".to_owned()))
    }
}
