//! `sweep`: a scenario for every combination of values.
//!
//! All combinations share seeds, so each is compared with the first one by the
//! mean of paired differences: what both have in common cancels out.

use serde::Serialize;

use super::args::SweepArgs;
use super::output::{Output, failed};
use super::pool;
use super::progress::Progress;
use crate::error::SimError;
use crate::output::SCHEMA_VERSION;
use crate::output::digest::Digest;
use crate::output::summary::{MEASURES, over_replications, protocols};
use crate::runs::Study;
use crate::scenario::Source;
use crate::scenario::overrides::Override;
use crate::statistics::{Mean, paired_difference};

/// Combinations of one sweep.
const COMBINATIONS_MAX: usize = 10_000;
/// Decimals that a range may have.
const DECIMALS_MAX: usize = 9;

/// A key and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Path in the scenario.
    pub key: String,
    /// As they are set.
    pub values: Vec<String>,
}

impl Axis {
    /// Reads `KEY=A,B,C` or `KEY=LO..HI:STEP`. Commas in brackets and quotes part nothing.
    ///
    /// # Errors
    /// [`SimError::Usage`] for a range without a step or end; [`SimError::Scenario`] without `=`.
    pub fn parse(text: &str) -> Result<Self, SimError> {
        let Override { key, value } = Override::parse(text)?;
        let values = match range(&value) {
            Some(values) => {
                values.map_err(|problem| SimError::Usage(format!("`--set {text}`: {problem}")))?
            }
            None => listed(&value),
        };
        Ok(Self { key, values })
    }
}

/// All combinations of values, the last axis fastest.
///
/// # Errors
/// [`SimError::Usage`] for more than 10,000.
pub fn combinations(axes: &[Axis]) -> Result<Vec<Vec<Override>>, SimError> {
    let count = axes
        .iter()
        .try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
    if count.is_none_or(|count| count > COMBINATIONS_MAX) {
        return Err(SimError::Usage(format!(
            "more than {COMBINATIONS_MAX} combinations: give fewer values"
        )));
    }
    let mut all = vec![Vec::new()];
    for axis in axes {
        all = all
            .into_iter()
            .flat_map(|before: Vec<Override>| {
                axis.values.iter().map(move |value| {
                    let mut combination = before.clone();
                    combination.push(Override {
                        key: axis.key.clone(),
                        value: value.clone(),
                    });
                    combination
                })
            })
            .collect();
    }
    Ok(all)
}

/// `LO..HI:STEP` with decimals and a common unit, without a float on the way; `None` if it is no range.
fn range(value: &str) -> Option<Result<Vec<String>, String>> {
    let (low, rest) = value.split_once("..")?;
    if low.contains(['[', '{', '"', '\'']) {
        return None;
    }
    let form = "write a range as LO..HI:STEP, such as 0.1..0.5:0.1 or 10s..60s:10s".to_owned();
    let Some((high, step)) = rest.split_once(':') else {
        return Some(Err(form));
    };
    let Some((low, high, step)) = decimal(low)
        .zip(decimal(high))
        .zip(decimal(step))
        .map(|((low, high), step)| (low, high, step))
    else {
        return Some(Err(form));
    };
    if low.unit != high.unit || low.unit != step.unit {
        return Some(Err("low, high and step must have one unit".to_owned()));
    }
    let decimals = low.decimals.max(high.decimals).max(step.decimals);
    let (from, until, by) = (low.at(decimals), high.at(decimals), step.at(decimals));
    if by <= 0 || from > until {
        return Some(Err(
            "the step must be above 0, and low at most high".to_owned()
        ));
    }
    if (until - from) / by >= COMBINATIONS_MAX as i128 {
        return Some(Err(format!("more than {COMBINATIONS_MAX} values")));
    }
    let count = (until - from) / by + 1;
    Some(Ok((0..count)
        .map(|place| written(from + place * by, decimals, low.unit))
        .collect()))
}

#[derive(Clone, Copy)]
struct Decimal<'a> {
    digits: i128,
    decimals: usize,
    unit: &'a str,
}

impl Decimal<'_> {
    fn at(self, decimals: usize) -> i128 {
        let more = u32::try_from(decimals - self.decimals).unwrap_or(0);
        self.digits * 10_i128.pow(more)
    }
}

fn decimal(text: &str) -> Option<Decimal<'_>> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > DECIMALS_MAX || whole.len() > 18 {
        return None;
    }
    Some(Decimal {
        digits: format!("{whole}{part}").parse().ok()?,
        decimals: part.len(),
        unit,
    })
}

fn written(digits: i128, decimals: usize, unit: &str) -> String {
    let sign = if digits < 0 { "-" } else { "" };
    let padded = format!("{:0>width$}", digits.unsigned_abs(), width = decimals + 1);
    match padded.split_at_checked(padded.len() - decimals) {
        Some((whole, part)) if !part.is_empty() => format!("{sign}{whole}.{part}{unit}"),
        Some(_) | None => format!("{sign}{padded}{unit}"),
    }
}

fn listed(value: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut depth = 0_usize;
    let mut quote = None;
    for c in value.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                values.push(String::new());
                continue;
            }
            (Some(_) | None, _) => {}
        }
        if let Some(last) = values.last_mut() {
            last.push(c);
        }
    }
    values
        .into_iter()
        .map(|value| value.trim().to_owned())
        .collect()
}

/// One row of the table.
#[derive(Serialize)]
struct Row<'a> {
    schema_version: u64,
    set: Vec<(&'a str, &'a str)>,
    protocol: &'a str,
    measure: &'static str,
    mean: Mean,
    /// Less the first combination, replication by replication.
    against_first: Option<Mean>,
}

pub(super) fn run(sweep: &SweepArgs, output: Output) -> Result<(), SimError> {
    let axes = sweep
        .set
        .iter()
        .map(|text| Axis::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let combinations = combinations(&axes)?;
    let source = Source::open(&sweep.scenario)?;
    let mut studies = Vec::new();
    for combination in &combinations {
        let mut overrides = combination.clone();
        overrides.extend(sweep.replications.map(|count| Override {
            key: "replications".to_owned(),
            value: count.to_string(),
        }));
        let scenario = source.scenario(&overrides)?;
        studies.push(Study::new(scenario, sweep.seed, &sweep.protocols));
    }
    // Combinations may differ in their replications.
    let tasks: Vec<(usize, u32)> = studies
        .iter()
        .enumerate()
        .flat_map(|(place, study)| {
            (0..study.scenario.replications).map(move |number| (place, number))
        })
        .collect();
    let progress = Progress::new("runs", tasks.len());
    let table = Table::begin(&axes, output)?;
    let mut first: Option<Vec<Digest>> = None;
    let mut present: Vec<Digest> = Vec::new();
    pool::in_order(
        tasks.len(),
        sweep.jobs,
        |task| {
            let (study, number) = tasks
                .get(task)
                .and_then(|(place, number)| Some((studies.get(*place)?, *number)))
                .ok_or_else(|| SimError::Usage("no such run".to_owned()))?;
            let replication = study.replication(number, false)?;
            study
                .protocols
                .iter()
                .map(|protocol| Ok(study.run(&replication, *protocol, false)?.1))
                .collect::<Result<Vec<Digest>, SimError>>()
        },
        |task, digests| {
            progress.one_more();
            present.extend(digests);
            let place = tasks.get(task).map(|(place, _)| *place);
            let is_last = tasks.get(task + 1).map(|(place, _)| *place) != place;
            if let (true, Some(combination)) =
                (is_last, place.and_then(|place| combinations.get(place)))
            {
                table.add(combination, &present, first.as_deref())?;
                let done = std::mem::take(&mut present);
                first.get_or_insert(done);
            }
            Ok(())
        },
    )
}

/// Rows leave as soon as their combination is complete.
struct Table {
    output: Output,
}

impl Table {
    fn begin(axes: &[Axis], output: Output) -> Result<Self, SimError> {
        let table = Self { output };
        if !output.json {
            let mut header: Vec<&str> = axes.iter().map(|axis| axis.key.as_str()).collect();
            header.extend([
                "protocol",
                "measure",
                "n",
                "mean",
                "ci95",
                "difference_n",
                "difference_mean",
                "difference_ci95",
            ]);
            table.csv(&header)?;
        }
        Ok(table)
    }

    fn add(
        &self,
        combination: &[Override],
        digests: &[Digest],
        first: Option<&[Digest]>,
    ) -> Result<(), SimError> {
        for protocol in protocols(digests) {
            for (measure, _) in MEASURES {
                let Some(mean) = over_replications(digests, protocol, measure) else {
                    continue;
                };
                let against_first =
                    first.and_then(|first| paired(digests, first, protocol, measure));
                self.row(&Row {
                    schema_version: SCHEMA_VERSION,
                    set: combination
                        .iter()
                        .map(|change| (change.key.as_str(), change.value.as_str()))
                        .collect(),
                    protocol,
                    measure,
                    mean,
                    against_first,
                })?;
            }
        }
        Ok(())
    }

    fn row(&self, row: &Row<'_>) -> Result<(), SimError> {
        if self.output.json {
            return self.output.object(row);
        }
        let half = |mean: Mean| mean.ci95.map_or_else(String::new, |half| half.to_string());
        let mut fields: Vec<String> = row
            .set
            .iter()
            .map(|(_, value)| (*value).to_owned())
            .collect();
        fields.extend([
            row.protocol.to_owned(),
            row.measure.to_owned(),
            row.mean.n.to_string(),
            row.mean.mean.to_string(),
            half(row.mean),
        ]);
        match row.against_first {
            Some(mean) => {
                fields.extend([mean.n.to_string(), mean.mean.to_string(), half(mean)]);
            }
            None => fields.extend([String::new(), String::new(), String::new()]),
        }
        self.csv(&fields)
    }

    fn csv(&self, fields: &[impl AsRef<[u8]>]) -> Result<(), SimError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer
            .write_record(fields)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let line = writer
            .into_inner()
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        self.output.text(&String::from_utf8_lossy(&line))
    }
}

/// Pairs replications by their seed.
fn paired(digests: &[Digest], first: &[Digest], protocol: &str, measure: &str) -> Option<Mean> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for digest in digests.iter().filter(|digest| digest.protocol == protocol) {
        let same = |other: &&Digest| other.protocol == protocol && other.seed == digest.seed;
        let other = first.iter().find(same);
        if let (Some(value), Some(other)) = (
            digest.measures.get(measure),
            other.and_then(|other| other.measures.get(measure)),
        ) {
            ours.push(*value);
            theirs.push(*other);
        }
    }
    paired_difference(&ours, &theirs)
}
