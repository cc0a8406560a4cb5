//! `verify`: the same run in two processes. What differs between processes (addresses, the order
//! of hash maps, threads, the clock) must not reach a result.

use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::args::VerifyArgs;
use super::output::Output;
use crate::error::SimError;
use crate::output::SCHEMA_VERSION;

/// What is read of a child's `run --json`.
#[derive(Deserialize)]
struct Child {
    runs: Vec<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hash {
    protocol: String,
    trace_hash: String,
}

#[derive(Serialize)]
struct Verdict<'a> {
    schema_version: u64,
    same: bool,
    first: &'a [Hash],
    second: &'a [Hash],
}

pub(super) fn run(verify: &VerifyArgs, output: Output) -> Result<(), SimError> {
    // A mistake in the scenario is told once, by this process.
    let (study, _) = super::study::study(&verify.of, Some(1))?;
    let other_seed = study.seed.wrapping_add(u64::from(verify.control));
    let first = child(verify, study.seed)?;
    let second = child(verify, other_seed)?;
    let same = first == second;
    if output.json {
        output.object(&Verdict {
            schema_version: SCHEMA_VERSION,
            same,
            first: &first,
            second: &second,
        })?;
    } else {
        for (one, other) in first.iter().zip(&second) {
            let word = if one == other { "same" } else { "DIFFERS" };
            output.text(&format!("{word} {} {}\n", one.trace_hash, one.protocol))?;
        }
    }
    if same {
        Ok(())
    } else {
        Err(SimError::Differs(format!(
            "two runs of `{}` with one scenario and seed have different traces: something that is no argument reached a result",
            study.scenario.name
        )))
    }
}

fn child(verify: &VerifyArgs, seed: u64) -> Result<Vec<Hash>, SimError> {
    let program = std::env::current_exe().map_err(|source| SimError::Read {
        path: "this program".into(),
        source,
    })?;
    let mut command = Command::new(&program);
    command
        .args([
            "--json",
            "run",
            "--replications",
            "1",
            "--jobs",
            "1",
            "--seed",
        ])
        .arg(seed.to_string());
    for change in &verify.of.set {
        command.arg("--set").arg(change);
    }
    for protocol in &verify.of.protocols {
        command.arg("--protocol").arg(protocol.to_string());
    }
    let done = command
        .arg("--")
        .arg(&verify.of.scenario)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| SimError::Read {
            path: program.clone(),
            source,
        })?;
    if !done.status.success() {
        return Err(SimError::Run {
            protocol: "child process".to_owned(),
            problem: format!("ended with {}", done.status),
        });
    }
    serde_json::from_slice::<Child>(&done.stdout)
        .map(|child| child.runs)
        .map_err(|error| SimError::Run {
            protocol: "child process".to_owned(),
            problem: error.to_string(),
        })
}
