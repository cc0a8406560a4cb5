//! `fuzz` and `replay`: the search for bugs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::args::{FuzzArgs, ReplayArgs, Searched};
use super::output::Output;
use super::pool;
use crate::error::SimError;
use crate::fuzz::batch::{Batch, parse_seeds};
use crate::fuzz::ledger::plan::{LedgerPlan, WORKLOAD};
use crate::fuzz::plan::FuzzPlan;
use crate::fuzz::shrink::shrink;
use crate::fuzz::workload::Workload;
use crate::output::SCHEMA_VERSION;

#[derive(Serialize)]
struct Found<'a> {
    schema_version: u64,
    seeds: u64,
    failed: usize,
    /// Where to go on after `--time`; absent with `--seeds-file`.
    next_seed: Option<u64>,
    events: u64,
    simulated_s: u64,
    never_happened: &'a [&'static str],
    failures: &'a [Failure],
}

/// Of which kind a plan is: those of nodes and relays do not say.
#[derive(Deserialize)]
struct Kind {
    workload: Option<String>,
}

#[derive(Serialize)]
struct Failure {
    seed: u64,
    /// As the seed's whole plan gave them; each begins with the name of its checker.
    violations: Vec<String>,
    plan: PathBuf,
}

pub(super) fn fuzz(fuzz: &FuzzArgs, output: Output) -> Result<(), SimError> {
    match fuzz.workload {
        Searched::Messages => search::<FuzzPlan>(fuzz, output),
        Searched::Ledger => search::<LedgerPlan>(fuzz, output),
    }
}

fn search<P: Workload>(fuzz: &FuzzArgs, output: Output) -> Result<(), SimError> {
    // The words of a panic are in the plan; a backtrace for each shrinking step helps nobody.
    std::panic::set_hook(Box::new(|_| {}));
    let seeds = match &fuzz.seeds_file {
        Some(path) => read_seeds(path)?,
        None => fuzz.seeds.clone().collect(),
    };
    let began = Instant::now();
    let limit = fuzz.time.map(|time| Duration::from_micros(time.0));
    let has_failed = AtomicBool::new(false);
    let mut batch = Batch::<P>::default();
    let mut failures = Vec::new();
    let work = |place: usize| {
        let is_late = limit.is_some_and(|limit| began.elapsed() >= limit);
        let Some(seed) = seeds.get(place).copied() else {
            return Ok(None);
        };
        if is_late || (fuzz.until_failure && has_failed.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let mut one = Batch::<P>::default();
        if one.run(seed).is_some() {
            has_failed.store(true, Ordering::Relaxed);
        }
        Ok(Some(one))
    };
    pool::in_order(seeds.len(), fuzz.jobs, work, |_, one| {
        let Some(one) = one else { return Ok(()) };
        for failure in &one.failures {
            failures.push(keep(failure, fuzz)?);
        }
        batch.merge(one);
        Ok(())
    })?;
    let next_seed = match fuzz.seeds_file {
        Some(_) => None,
        None => Some(fuzz.seeds.start + batch.seeds),
    };
    tell(&batch, next_seed, &failures, output)?;
    verdict(&batch, fuzz)
}

/// Makes a failing plan smaller, unless there is no time for it, and writes it.
fn keep<P: Workload>(failure: &P, fuzz: &FuzzArgs) -> Result<Failure, SimError> {
    let (small, runs) = if fuzz.until_failure {
        (failure.clone(), 0)
    } else {
        shrink(failure)
    };
    let plan = write_plan(&fuzz.out, &small)?;
    eprintln!(
        "seed {}: {} ({} of {} steps after {runs} runs: {})",
        failure.seed(),
        small.violations().first().map_or("", String::as_str),
        small.steps(),
        failure.steps(),
        plan.display()
    );
    Ok(Failure {
        seed: failure.seed(),
        violations: failure.violations().to_vec(),
        plan,
    })
}

fn tell<P: Workload>(
    batch: &Batch<P>,
    next_seed: Option<u64>,
    failures: &[Failure],
    output: Output,
) -> Result<(), SimError> {
    if !output.json {
        return output.text(&summary(batch, next_seed));
    }
    output.object(&Found {
        schema_version: SCHEMA_VERSION,
        seeds: batch.seeds,
        failed: batch.failures.len(),
        next_seed,
        events: batch.events,
        simulated_s: batch.simulated_us / 1_000_000,
        never_happened: &batch.never_happened(),
        failures,
    })
}

fn verdict<P: Workload>(batch: &Batch<P>, fuzz: &FuzzArgs) -> Result<(), SimError> {
    if !batch.failures.is_empty() {
        return Err(SimError::Differs(format!(
            "{} of {} seeds failed; run `khlong-sim replay FILE` on what was written",
            batch.failures.len(),
            batch.seeds
        )));
    }
    let never = batch.never_happened();
    // A list of seeds is kept for what each of them found, not for all kinds of trouble.
    if fuzz.seeds_file.is_none() && !never.is_empty() {
        return Err(SimError::Differs(format!(
            "these never took effect, so the batch proves nothing about them: {}; take more seeds",
            never.join(", ")
        )));
    }
    Ok(())
}

fn read_seeds(path: &Path) -> Result<Vec<u64>, SimError> {
    let text = fs::read_to_string(path).map_err(|source| SimError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse_seeds(&text)
        .map_err(|line| SimError::Usage(format!("{}: `{line}` is no seed", path.display())))
}

fn summary<P: Workload>(batch: &Batch<P>, next_seed: Option<u64>) -> String {
    let next = next_seed.map_or_else(String::new, |seed| format!("; next seed {seed}"));
    let mut text = format!(
        "{} seeds, {} failed, {} events, {} virtual seconds{next}\n",
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

fn write_plan<P: Workload>(folder: &Path, plan: &P) -> Result<PathBuf, SimError> {
    let path = folder.join(format!("repro-{}.toml", plan.seed()));
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
    let no_plan = |error| SimError::Usage(format!("{} is no plan: {error}", args.plan.display()));
    let kind: Kind = toml::from_str(&text).map_err(no_plan)?;
    let outcome = match kind.workload.as_deref() {
        Some(WORKLOAD) => toml::from_str::<LedgerPlan>(&text).map(|plan| plan.replay()),
        Some(_) | None => toml::from_str::<FuzzPlan>(&text).map(|plan| plan.replay()),
    }
    .map_err(no_plan)?;
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
