//! Means over replications, in the terms of the ONE's `MessageStatsReport`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::digest::Digest;
use crate::statistics::{Mean, mean};

/// Measures in the ONE's order, and what they are. The names are the ONE's but for `bytes`,
/// `copies_avg` and `delay_km_med`.
pub const MEASURES: &[(&str, &str)] = &[
    ("sim_time", "s"),
    (
        "created",
        "messages, one for each reader, after the warm-up",
    ),
    ("started", "transfers begun, whole run"),
    ("relayed", "transfers completed, whole run"),
    ("aborted", "transfers cut off, whole run"),
    ("dropped", "copies dropped for whatever reason, whole run"),
    ("delivered", "of those created"),
    ("delivery_prob", "delivered / created"),
    (
        "overhead_ratio",
        "(relayed − delivered) / delivered, whole run",
    ),
    ("latency_avg", "s, over delivered only"),
    ("latency_med", "s, over delivered only"),
    (
        "delay_km_med",
        "s, Kaplan–Meier median: counts what was not delivered",
    ),
    ("hopcount_avg", "machines on the way, over delivered"),
    ("copies_avg", "copies in the network at delivery"),
    (
        "buffertime_avg",
        "s in one buffer, by Little's law, whole run",
    ),
    ("bytes", "on the wire, whole run"),
];

/// Protocols in the order in which they ran.
#[must_use]
pub fn protocols(digests: &[Digest]) -> Vec<&str> {
    let mut names = Vec::new();
    for digest in digests {
        if !names.contains(&digest.protocol.as_str()) {
            names.push(digest.protocol.as_str());
        }
    }
    names
}

/// A measure of one protocol over the replications that have it.
#[must_use]
pub fn over_replications(digests: &[Digest], protocol: &str, measure: &str) -> Option<Mean> {
    let values: Vec<f64> = digests
        .iter()
        .filter(|digest| digest.protocol == protocol)
        .filter_map(|digest| digest.measures.get(measure).copied())
        .collect();
    mean(&values)
}

/// `summary.txt`.
#[must_use]
pub fn text(name: &str, digests: &[Digest], notes: &[String]) -> String {
    let mut text = format!("Message stats for scenario {name}\n");
    for note in notes {
        let _ = writeln!(text, "# {note}");
    }
    text.push_str("# mean ± half width of the 95 % Student t interval (n replications)\n");
    for protocol in protocols(digests) {
        let _ = writeln!(text, "\n[{protocol}]");
        for (measure, what) in MEASURES {
            if let Some(mean) = over_replications(digests, protocol, measure) {
                let _ = writeln!(
                    text,
                    "{:<44}# {what}",
                    format!("{measure}: {}", shown(mean))
                );
            }
        }
        for (reason, count) in dropped(digests, protocol) {
            let _ = writeln!(text, "dropped.{reason}: {}", shown(count));
        }
    }
    text
}

fn dropped(digests: &[Digest], protocol: &str) -> BTreeMap<String, Mean> {
    let mut counts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for digest in digests.iter().filter(|digest| digest.protocol == protocol) {
        for (reason, count) in &digest.dropped {
            counts
                .entry(reason.clone())
                .or_default()
                .push(*count as f64);
        }
    }
    counts
        .into_iter()
        .filter_map(|(reason, counts)| Some((reason, mean(&counts)?)))
        .collect()
}

/// `mean ± half width (n)`.
#[must_use]
pub fn shown(mean: Mean) -> String {
    match mean.ci95 {
        Some(half) => format!("{:.4} ± {half:.4} (n={})", mean.mean, mean.n),
        None => format!("{:.4} (n={}, no interval)", mean.mean, mean.n),
    }
}
