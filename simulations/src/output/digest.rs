//! One run in few numbers: everything that means and curves are made of.

#![expect(clippy::float_arithmetic, reason = "means and ratios")]

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::results::RunResults;
use crate::runs::{Replication, SAMPLES};
use crate::statistics::{Delay, Steps, quantile};
use crate::units::Span;

/// Points of a delay distribution.
pub const DELAYS: usize = 240;
/// The shortest delay of the grid, in seconds.
const SHORTEST_S: f64 = 0.01;

/// Numbers of one run. Only messages written at or after the warm-up count, but for what is
/// said to be of the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// From 0.
    pub replication: u32,
    /// Of this replication.
    pub seed: u64,
    /// Its name.
    pub protocol: String,
    /// Of the whole run.
    pub trace_hash: String,
    /// Single numbers by name, in the ONE's terms; absent = nothing to divide by.
    pub measures: BTreeMap<String, f64>,
    /// Bytes on the wire by class, whole run.
    pub bytes: BTreeMap<String, u64>,
    /// Copies dropped by reason, whole run.
    pub dropped: BTreeMap<String, u64>,
    /// Further counters of the protocol, whole run.
    pub counters: BTreeMap<String, u64>,
    /// Share delivered within each delay of [`delays`], by Kaplan and Meier.
    pub delay_cdf: Vec<f64>,
    /// Share delivered of what was written so far, at each of [`times`]; `None` before the first.
    pub delivered_over_time: Vec<Option<f64>>,
    /// Messages in all buffers, at each of [`times`]; empty if the protocol does not say.
    pub held_messages: Vec<f64>,
    /// Their bytes.
    pub held_bytes: Vec<f64>,
}

/// The delays at which distributions are evaluated: seconds, evenly spaced in the logarithm from
/// 10 ms to the run's length.
#[must_use]
pub fn delays(end: Monotonic) -> Vec<f64> {
    let longest = (end.0 as f64 / 1e6).max(SHORTEST_S * 10.0);
    let ratio = (longest / SHORTEST_S).ln() / (DELAYS - 1) as f64;
    (0..DELAYS)
        .map(|place| SHORTEST_S * (ratio * place as f64).exp())
        .collect()
}

/// The moments at which curves over time are evaluated: microseconds, both ends included.
#[must_use]
pub fn times(end: Monotonic) -> Vec<u64> {
    (0..=SAMPLES)
        .map(|place| u64::try_from(u128::from(end.0) * u128::from(place) / u128::from(SAMPLES)))
        .filter_map(Result::ok)
        .collect()
}

/// What is known of the delay of a message written at `created`: censored at the end of the run or
/// of its life, whichever comes first.
#[must_use]
pub fn delay(
    created: Monotonic,
    delivered: Option<Monotonic>,
    end: Monotonic,
    ttl: Option<Span>,
) -> Delay {
    let seconds = |micros: u64| micros as f64 / 1e6;
    match delivered {
        Some(at) => Delay::Seen(seconds(at.since_micros(created))),
        None => {
            let watched = end.since_micros(created);
            Delay::Censored(seconds(ttl.map_or(watched, |ttl| ttl.0.min(watched))))
        }
    }
}

impl Digest {
    /// Of a run on its replication.
    #[must_use]
    pub fn of(results: &RunResults, replication: &Replication, ttl: Option<Span>) -> Self {
        let plan = &replication.plan;
        let delays_seen: Vec<Delay> = counted(results, plan)
            .map(|message| delay(message.created, message.delivered, plan.end, ttl))
            .collect();
        let distribution = Steps::kaplan_meier(&delays_seen);
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect::<BTreeMap<String, u64>>()
        };
        let times = times(plan.end);
        let held = |of: fn(&crate::results::Occupancy) -> u64| {
            times
                .iter()
                .filter_map(|at| {
                    let after = results.occupancy.partition_point(|held| held.at.0 <= *at);
                    let last = results.occupancy.get(after.checked_sub(1)?)?;
                    Some(of(last) as f64)
                })
                .collect()
        };
        Self {
            replication: replication.number,
            seed: replication.seed,
            protocol: results.protocol.clone(),
            trace_hash: results.trace_hash.clone(),
            measures: measures(results, plan, &delays_seen, &distribution),
            bytes: named(&results.bytes),
            dropped: named(&results.dropped),
            counters: results.counters.clone(),
            delay_cdf: delays(plan.end)
                .into_iter()
                .map(|delay| distribution.at(delay))
                .collect(),
            delivered_over_time: over_time(results, plan, &times),
            held_messages: held(|held| held.messages),
            held_bytes: held(|held| held.bytes),
        }
    }
}

fn counted<'a>(
    results: &'a RunResults,
    plan: &'a Plan,
) -> impl Iterator<Item = &'a crate::results::MessageResult> {
    results
        .messages
        .iter()
        .filter(|message| message.created >= plan.warm_up)
}

fn measures(
    results: &RunResults,
    plan: &Plan,
    delays: &[Delay],
    distribution: &Steps,
) -> BTreeMap<String, f64> {
    let mut latencies: Vec<f64> = delays
        .iter()
        .filter_map(|delay| match delay {
            Delay::Seen(length) => Some(*length),
            Delay::Censored(_) => None,
        })
        .collect();
    latencies.sort_unstable_by(f64::total_cmp);
    let created = delays.len() as f64;
    let delivered = latencies.len() as f64;
    let arrived = || counted(results, plan).filter(|message| message.delivered.is_some());
    let hops: u64 = arrived().map(|message| u64::from(message.hops)).sum();
    let copies: u64 = arrived().map(|message| u64::from(message.copies)).sum();
    let all_delivered = results
        .messages
        .iter()
        .filter(|message| message.delivered.is_some())
        .count() as f64;
    let relayed = results.relayed as f64;
    let started = results.counters.get("transfers-started");
    let mut found = vec![
        ("sim_time", plan.end.0 as f64 / 1e6),
        ("created", created),
        ("delivered", delivered),
        ("relayed", relayed),
        ("aborted", results.aborted as f64),
        ("dropped", results.dropped.values().sum::<u64>() as f64),
        ("bytes", results.bytes.values().sum::<u64>() as f64),
        ("delivery_prob", delivered / created),
        ("overhead_ratio", (relayed - all_delivered) / all_delivered),
        ("latency_avg", latencies.iter().sum::<f64>() / delivered),
        ("latency_med", quantile(&latencies, 0.5).unwrap_or(f64::NAN)),
        (
            "delay_km_med",
            distribution.quantile(0.5).unwrap_or(f64::NAN),
        ),
        ("hopcount_avg", hops as f64 / delivered),
        ("copies_avg", copies as f64 / delivered),
        ("buffertime_avg", buffer_time(results, plan)),
    ];
    if let Some(started) = started {
        found.push(("started", *started as f64));
    }
    found
        .into_iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Mean seconds of a copy in a buffer, by Little's law: mean number of copies over their rate.
fn buffer_time(results: &RunResults, plan: &Plan) -> f64 {
    let samples = results.occupancy.len() as f64;
    let held: f64 = results
        .occupancy
        .iter()
        .map(|held| held.messages as f64)
        .sum();
    let copies = (plan.messages.len() as u64 + results.relayed) as f64;
    (held / samples) * (plan.end.0 as f64 / 1e6) / copies
}

fn over_time(results: &RunResults, plan: &Plan, times: &[u64]) -> Vec<Option<f64>> {
    let mut created: Vec<u64> = counted(results, plan)
        .map(|message| message.created.0)
        .collect();
    let mut delivered: Vec<u64> = counted(results, plan)
        .filter_map(|message| Some(message.delivered?.0))
        .collect();
    created.sort_unstable();
    delivered.sort_unstable();
    times
        .iter()
        .map(|now| {
            let written = created.partition_point(|at| at <= now);
            let arrived = delivered.partition_point(|at| at <= now);
            (written > 0).then(|| arrived as f64 / written as f64)
        })
        .collect()
}
