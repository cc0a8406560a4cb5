//! `bench`: each sample in a process of its own.

use std::process::{Command, Stdio};

use super::args::BenchArgs;
use super::output::{self, Output};
use super::progress::Progress;
use crate::bench::{Bench, Row, Sample, json_lines, table};
use crate::error::SimError;

pub(super) fn run(asked: &BenchArgs, output: Output) -> Result<(), SimError> {
    if let Some(bench) = asked.sample {
        return output.object(&bench.sample(asked.seed)?);
    }
    let benches = if asked.only.is_empty() {
        Bench::ALL.to_vec()
    } else {
        asked.only.clone()
    };
    let progress = Progress::new("samples", benches.len() * asked.samples as usize);
    let mut rows = Vec::new();
    for bench in benches {
        let mut row = Row {
            bench,
            samples: Vec::new(),
        };
        for _ in 0..asked.samples {
            row.samples.push(child(bench, asked.seed)?);
            progress.one_more();
        }
        rows.push(row);
    }
    drop(progress);
    if output.json {
        let lines = json_lines(&rows).map_err(|error| output::failed(error.into()))?;
        output.text(&lines)
    } else {
        output.text(&table(&rows))
    }
}

fn child(bench: Bench, seed: u64) -> Result<Sample, SimError> {
    let failed = |problem: String| SimError::Run {
        protocol: format!("bench {}", bench.name()),
        problem,
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let done = Command::new(program)
        .args(["bench", "--sample", bench.name(), "--seed"])
        .arg(seed.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed("its process failed".to_owned()));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| failed(error.to_string()))
}
