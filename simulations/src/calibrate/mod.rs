//! Whether links as frames tell what links as real QUIC tell.
//!
//! Frames are a model, fast enough for thousands of machines; `quinn-proto` is what ships,
//! and slow. So the same plan runs in both, for several classes of link, and two numbers say
//! how far the model is off:
//!
//! * the Kolmogorov–Smirnov distance of the delivery delays, the greatest vertical distance
//!   between their two distribution functions: at most [`DISTANCE_MAX`];
//! * the relative difference of the bytes that left on links, all headers, handshakes,
//!   acknowledgements and retransmissions included: at most [`BYTES_MAX`].
//!
//! Both fidelities draw jitter and losses from the same stream, but at other moments, so the
//! delays are two independent samples. Two samples of *one* distribution, of 2,880 each, differ by
//! more than 1.36·√(2/2,880) = 0.036 in one case of twenty: the limit leaves room for that.

#![expect(clippy::float_arithmetic, reason = "statistics")]

pub mod distance;
pub mod page;
pub mod plan;
pub mod print;

use serde::Serialize;

use self::distance::kolmogorov_smirnov;
use self::plan::Class;
use crate::actors::WorldError;
use crate::actors::execute::{ExecuteOptions, LINK_BYTES, execute};
use crate::actors::world::{Fidelity, WorldOptions};
use crate::kernel::seeds::Seeds;
use crate::results::RunResults;

/// The greatest Kolmogorov–Smirnov distance that passes.
pub const DISTANCE_MAX: f64 = 0.05;
/// The greatest relative difference in bytes that passes.
pub const BYTES_MAX: f64 = 0.05;
/// The seed when nobody names one; fixed before the first comparison.
pub const SEED_DEFAULT: u64 = 20_261_126;

/// What one fidelity gave for one class of link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Delivery delays in seconds, ascending.
    pub delays_s: Vec<f64>,
    /// Bytes that left on links.
    pub bytes: u64,
    /// Deliveries that did not happen before the end.
    pub missing: usize,
}

/// Both fidelities, for one class of link or for all of them together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The class's name, or `overall`.
    pub class: String,
    /// What it is like.
    pub about: String,
    /// Delays compared: with frames, with QUIC.
    pub deliveries: [usize; 2],
    /// Median delay in seconds: with frames, with QUIC.
    pub median_s: [f64; 2],
    /// Kolmogorov–Smirnov distance of the delays.
    pub distance: f64,
    /// Bytes that left on links: with frames, with QUIC.
    pub bytes: [u64; 2],
    /// Bytes with frames, less those with QUIC, over those with QUIC.
    pub bytes_difference: f64,
    /// Whether both numbers are within their limits and everything arrived.
    pub passed: bool,
    /// For the picture.
    #[serde(skip)]
    pub samples: [Sample; 2],
}

impl Row {
    fn new(class: &str, about: &str, samples: [Sample; 2]) -> Self {
        let [frames, quic] = &samples;
        let distance = kolmogorov_smirnov(&frames.delays_s, &quic.delays_s);
        let bytes = [frames.bytes, quic.bytes];
        let bytes_difference = frames.bytes as f64 / quic.bytes.max(1) as f64 - 1.0;
        let median = |sample: &Sample| {
            crate::statistics::quantile(&sample.delays_s, 0.5).unwrap_or(f64::NAN)
        };
        Self {
            class: class.to_owned(),
            about: about.to_owned(),
            deliveries: [frames.delays_s.len(), quic.delays_s.len()],
            median_s: [median(frames), median(quic)],
            distance,
            bytes,
            bytes_difference,
            passed: distance <= DISTANCE_MAX
                && bytes_difference.abs() <= BYTES_MAX
                && frames.missing == quic.missing
                && !quic.delays_s.is_empty(),
            samples,
        }
    }
}

/// Runs one class of link in both fidelities.
///
/// # Errors
/// [`WorldError`] if the plan cannot be carried out.
pub fn class(class: &Class, seed: u64) -> Result<Row, WorldError> {
    let samples = [
        sample(class, seed, Fidelity::Frames)?,
        sample(class, seed, Fidelity::Quic)?,
    ];
    Ok(Row::new(class.name, class.about, samples))
}

/// All classes together: every delay and every byte.
#[must_use]
pub fn overall(rows: &[Row]) -> Row {
    let mut all = [Sample::default(), Sample::default()];
    for row in rows {
        for (all, sample) in all.iter_mut().zip(&row.samples) {
            all.delays_s.extend_from_slice(&sample.delays_s);
            all.bytes += sample.bytes;
            all.missing += sample.missing;
        }
    }
    for all in &mut all {
        all.delays_s.sort_unstable_by(f64::total_cmp);
    }
    Row::new("overall", "all classes together", all)
}

fn sample(class: &Class, seed: u64, fidelity: Fidelity) -> Result<Sample, WorldError> {
    let options = ExecuteOptions {
        world: WorldOptions {
            fidelity,
            ..WorldOptions::default()
        },
        happenings: false,
    };
    let seeds = Seeds::new(seed);
    let plan = class.plan(seeds);
    let results = execute(&plan, seeds, &options)?;
    Ok(sample_of(&results))
}

fn sample_of(results: &RunResults) -> Sample {
    let mut sample = Sample {
        bytes: results.counters.get(LINK_BYTES).copied().unwrap_or(0),
        ..Sample::default()
    };
    for message in &results.messages {
        match message.delivered {
            Some(at) => {
                let delay_us = at.since_micros(message.created);
                sample.delays_s.push(delay_us as f64 / 1e6);
            }
            None => sample.missing += 1,
        }
    }
    sample.delays_s.sort_unstable_by(f64::total_cmp);
    sample
}
