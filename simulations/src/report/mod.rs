//! One page to look at: self-contained, no external resource.
//!
//! Curves are computed here, in Rust; the page only draws. Data lie in the page
//! as JSON, in which `<` is escaped, so that no text of a scenario can end the
//! element; scripts put texts into the page as text, never as markup.

#![expect(clippy::float_arithmetic, reason = "means and intervals")]

use serde::Serialize;

use crate::error::SimError;
use crate::output::digest::{Digest, delays, times};
use crate::output::manifest::Manifest;
use crate::output::story::Story;
use crate::output::summary::{MEASURES, over_replications, protocols};
use crate::statistics::{Mean, mean, paired_difference};
use khlong_crdt::time::Monotonic;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// In the order in which they need each other.
const SCRIPTS: &[&str] = &[
    include_str!("chart.js"),
    include_str!("space.js"),
    include_str!("page.js"),
];

/// A curve over replications: mean, and half width of the 95 % interval, at each point.
#[derive(Debug, Default, Serialize)]
struct Curve {
    mean: Vec<Option<f64>>,
    half: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    mean: Mean,
}

#[derive(Debug, Serialize)]
struct OfProtocol {
    name: String,
    delay: Curve,
    delivered: Curve,
    held_messages: Curve,
    held_bytes: Curve,
    bytes: Vec<Named>,
    measures: Vec<Named>,
    /// Delivery probability less that of the first protocol, replication by replication.
    against_first: Option<Mean>,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    schema_version: u64,
    manifest: &'a Manifest,
    delays_s: Vec<f64>,
    times_us: Vec<u64>,
    units: Vec<(&'static str, &'static str)>,
    protocols: Vec<OfProtocol>,
    story: &'a Story,
}

/// The page.
///
/// # Errors
/// [`SimError::Table`] if a number cannot be written as JSON.
pub fn html(manifest: &Manifest, digests: &[Digest], story: &Story) -> Result<String, SimError> {
    let end = Monotonic(manifest.duration_us);
    let names = protocols(digests);
    let of = |protocol: &str| -> Vec<&Digest> {
        digests
            .iter()
            .filter(|digest| digest.protocol == protocol)
            .collect()
    };
    let baseline = names.first().map(|name| ratios(&of(name)));
    let data = Data {
        schema_version: manifest.schema_version,
        manifest,
        delays_s: delays(end),
        times_us: times(end),
        units: MEASURES.to_vec(),
        protocols: names
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let runs = of(name);
                OfProtocol {
                    name: (*name).to_owned(),
                    delay: curve(&runs, |run| {
                        run.delay_cdf.iter().copied().map(Some).collect()
                    }),
                    delivered: curve(&runs, |run| run.delivered_over_time.clone()),
                    held_messages: curve(&runs, |run| {
                        run.held_messages.iter().copied().map(Some).collect()
                    }),
                    held_bytes: curve(&runs, |run| {
                        run.held_bytes.iter().copied().map(Some).collect()
                    }),
                    bytes: bytes(&runs),
                    measures: MEASURES
                        .iter()
                        .filter_map(|(measure, _)| {
                            Some(Named {
                                name: (*measure).to_owned(),
                                mean: over_replications(digests, name, measure)?,
                            })
                        })
                        .collect(),
                    against_first: baseline
                        .as_ref()
                        .filter(|_| place > 0)
                        .and_then(|baseline| paired_difference(&ratios(&runs), baseline)),
                }
            })
            .collect(),
        story,
    };
    let json = serde_json::to_string(&data).map_err(|error| SimError::Table {
        path: "report.html".into(),
        problem: error.to_string(),
    })?;
    // The data go in last: nothing in them is taken for a placeholder.
    Ok(PAGE
        .replace("{{title}}", &escaped(&manifest.scenario.name))
        .replace("{{style}}", STYLE)
        .replace("{{script}}", &SCRIPTS.concat())
        .replace("{{data}}", &embedded(&json)))
}

/// JSON that cannot end the element it lies in.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn ratios(runs: &[&Digest]) -> Vec<f64> {
    runs.iter()
        .map(|run| run.measures.get("delivery_prob").copied().unwrap_or(0.0))
        .collect()
}

fn curve(runs: &[&Digest], points: impl Fn(&Digest) -> Vec<Option<f64>>) -> Curve {
    let points: Vec<Vec<Option<f64>>> = runs.iter().map(|run| points(run)).collect();
    let length = points.iter().map(Vec::len).max().unwrap_or(0);
    let mut curve = Curve::default();
    for place in 0..length {
        let here: Vec<f64> = points
            .iter()
            .filter_map(|of_run| of_run.get(place).copied().flatten())
            .collect();
        let mean = mean(&here);
        curve.mean.push(mean.map(|mean| rounded(mean.mean)));
        curve
            .half
            .push(mean.and_then(|mean| mean.ci95).map(rounded));
    }
    curve
}

/// Six decimals: what a picture can show, at a third of the length.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn bytes(runs: &[&Digest]) -> Vec<Named> {
    let mut classes: Vec<&String> = runs.iter().flat_map(|run| run.bytes.keys()).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
        .into_iter()
        .filter_map(|class| {
            let values: Vec<f64> = runs
                .iter()
                .map(|run| run.bytes.get(class).copied().unwrap_or(0) as f64)
                .collect();
            Some(Named {
                name: class.clone(),
                mean: mean(&values)?,
            })
        })
        .collect()
}
