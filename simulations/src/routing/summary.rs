//! A run in the terms of the ONE's `MessageStatsReport`.

#![expect(clippy::float_arithmetic, reason = "means and ratios")]

use khlong_crdt::time::Monotonic;

use crate::results::RunResults;

/// NaN where there is nothing to divide by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Messages written, once for each receiver.
    pub created: u64,
    /// Of those, how many arrived before the end.
    pub delivered: u64,
    /// Transfers that were completed, deliveries included; of the whole run.
    pub relayed: u64,
    /// Transfers that a contact's end cut off; of the whole run.
    pub aborted: u64,
    /// Copies dropped for whatever reason; of the whole run.
    pub dropped: u64,
    /// `delivered / created`.
    pub delivery_ratio: f64,
    /// `(relayed − delivered) / delivered`.
    pub overhead: f64,
    /// Mean of those delivered, seconds: what was not delivered is not in it.
    pub latency_s: f64,
    /// Median of those delivered, seconds.
    pub latency_median_s: f64,
    /// Mean number of machines on the way, of those delivered.
    pub hops: f64,
}

impl Summary {
    /// Of the messages written at `warm_up` or later. With a warm-up, `overhead` is an upper
    /// bound: transfers of the messages before it are not told apart.
    #[must_use]
    pub fn of(results: &RunResults, warm_up: Monotonic) -> Self {
        let counted = || {
            results
                .messages
                .iter()
                .filter(|message| message.created >= warm_up)
        };
        let mut latencies: Vec<u64> = counted()
            .filter_map(|message| Some(message.delivered?.since_micros(message.created)))
            .collect();
        latencies.sort_unstable();
        let created = counted().count() as u64;
        let delivered = latencies.len() as u64;
        let hops: u64 = counted().map(|message| u64::from(message.hops)).sum();
        let seconds = |micros: u64| micros as f64 / 1e6;
        let a_delivery = |sum: f64| sum / delivered as f64;
        Self {
            created,
            delivered,
            relayed: results.relayed,
            aborted: results.aborted,
            dropped: results.dropped.values().sum(),
            delivery_ratio: delivered as f64 / created as f64,
            overhead: a_delivery(results.relayed as f64 - delivered as f64),
            latency_s: a_delivery(latencies.iter().copied().map(seconds).sum()),
            latency_median_s: latencies
                .get(latencies.len() / 2)
                .copied()
                .map_or(f64::NAN, seconds),
            hops: a_delivery(hops as f64),
        }
    }
}
