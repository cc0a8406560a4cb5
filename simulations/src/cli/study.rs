//! `run`, and what `rerun` and `sweep` share with it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::args::{RunArgs, ScenarioArgs};
use super::output::Output;
use super::pool;
use super::progress::Progress;
use crate::error::SimError;
use crate::output::SCHEMA_VERSION;
use crate::output::digest::Digest;
use crate::output::folder::{Asked, Writer, notes};
use crate::output::summary::{self, MEASURES};
use crate::results::RunResults;
use crate::runs::{Replication, Study};
use crate::scenario::Source;
use crate::scenario::overrides::Override;
use crate::statistics::Mean;

/// What `run --json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    schema_version: u64,
    scenario: &'a str,
    notes: &'a [String],
    runs: Vec<Run<'a>>,
    /// By protocol, then measure.
    means: BTreeMap<&'a str, BTreeMap<&'a str, Mean>>,
}

#[derive(Serialize)]
struct Run<'a> {
    replication: u32,
    seed: u64,
    protocol: &'a str,
    trace_hash: &'a str,
    measures: &'a BTreeMap<String, f64>,
}

/// Reads the scenario that the command line names.
pub(super) fn study(
    of: &ScenarioArgs,
    replications: Option<u32>,
) -> Result<(Study, Asked), SimError> {
    let source = Source::open(&of.scenario)?;
    let mut overrides = of
        .set
        .iter()
        .map(|text| Override::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    overrides.extend(replications.map(|count| Override {
        key: "replications".to_owned(),
        value: count.to_string(),
    }));
    let scenario = source.scenario(&overrides)?;
    let study = Study::new(scenario, of.seed, &of.protocols);
    let asked = Asked {
        source,
        overrides: overrides.iter().map(Override::text).collect(),
    };
    Ok((study, asked))
}

pub(super) fn run(run: &RunArgs, output: Output) -> Result<(), SimError> {
    let (study, asked) = study(&run.of, run.replications)?;
    // Refused before the work, not after it.
    let mut writer = run.out.as_deref().map(Writer::create).transpose()?;
    let mut digests = Vec::new();
    replications(
        &study,
        run.jobs,
        writer.is_some(),
        |replication, results, digest| {
            if let Some(writer) = &mut writer {
                writer.add(&study, replication, results, digest.clone())?;
            }
            digests.push(digest);
            Ok(())
        },
    )?;
    if let Some(writer) = writer {
        writer.finish(&study, &asked)?;
    }
    print(&study, &digests, output)
}

/// Runs everything; calls `take` by replication, then protocol. `pictures` asks for positions and
/// happenings of the first replication.
pub(super) fn replications(
    study: &Study,
    jobs: Option<usize>,
    pictures: bool,
    mut take: impl FnMut(&Replication, &RunResults, Digest) -> Result<(), SimError>,
) -> Result<(), SimError> {
    let count = study.scenario.replications;
    let progress = Progress::new("replications", count as usize);
    pool::in_order(
        count as usize,
        jobs,
        |place| {
            let number = u32::try_from(place).unwrap_or(u32::MAX);
            let pictures = pictures && number == 0;
            let replication = study.replication(number, pictures)?;
            let mut runs = Vec::new();
            for protocol in &study.protocols {
                runs.push(study.run(&replication, *protocol, pictures)?);
            }
            Ok((replication, runs))
        },
        |_, (replication, runs)| {
            for (results, digest) in runs {
                take(&replication, &results, digest)?;
            }
            progress.one_more();
            Ok(())
        },
    )
}

fn print(study: &Study, digests: &[Digest], output: Output) -> Result<(), SimError> {
    let notes = notes(study);
    if !output.json {
        return output.text(&summary::text(&study.scenario.name, digests, &notes));
    }
    let means = summary::protocols(digests)
        .into_iter()
        .map(|protocol| {
            let of_protocol = MEASURES
                .iter()
                .filter_map(|(measure, _)| {
                    let mean = summary::over_replications(digests, protocol, measure)?;
                    Some((*measure, mean))
                })
                .collect();
            (protocol, of_protocol)
        })
        .collect();
    output.object(&Printed {
        schema_version: SCHEMA_VERSION,
        scenario: &study.scenario.name,
        notes: &notes,
        runs: digests
            .iter()
            .map(|digest| Run {
                replication: digest.replication,
                seed: digest.seed,
                protocol: &digest.protocol,
                trace_hash: &digest.trace_hash,
                measures: &digest.measures,
            })
            .collect(),
        means,
    })
}
