//! How fast the simulator is, and how much memory it takes.
//!
//! Each sample is taken in a process of its own, so that peak memory is that of
//! the sample and no sample finds a warm allocator. Rates are by processor
//! time: "a core" means a core that does nothing else, and on a machine that is
//! shared the wall clock measures the neighbours too. Both times are printed.
//!
//! No test asserts a figure: figures are for people, see `BENCHMARKS.md`.

#![expect(clippy::float_arithmetic, reason = "rates and medians")]

mod events;
mod meter;
mod print;
mod worlds;

use serde::{Deserialize, Serialize};

pub use self::print::{json_lines, table};
use crate::error::SimError;
use crate::scenario::protocol::Protocol;

/// Samples of one figure unless told otherwise.
pub const SAMPLES_DEFAULT: u32 = 5;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bench {
    /// The kernel alone.
    NullEvents,
    /// The real cores, envelopes as values: each signature is verified once, by whoever seals it.
    Messages,
    /// The same, frames as bytes: decoded and verified strictly at each receiver.
    MessagesVerified,
    /// A tenth of the campus day with the real cores.
    CampusDay,
    /// 10,000 machines with epidemic routing.
    MemoryEpidemic,
    /// 10,000 devices with the real cores.
    MemoryKhlong,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// The figure or more.
    AtLeast(f64),
    /// Less than the figure.
    Below(f64),
    /// None: said for comparison.
    None,
}

impl Goal {
    /// Whether a figure reaches it; without a goal there is nothing to reach.
    #[must_use]
    pub fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(figure >= least),
            Self::Below(most) => Some(figure < most),
            Self::None => None,
        }
    }
}

impl Bench {
    /// All, in the order in which they are printed.
    pub const ALL: [Self; 6] = [
        Self::NullEvents,
        Self::Messages,
        Self::MessagesVerified,
        Self::CampusDay,
        Self::MemoryEpidemic,
        Self::MemoryKhlong,
    ];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NullEvents => "null-events",
            Self::Messages => "messages",
            Self::MessagesVerified => "messages-verified",
            Self::CampusDay => "campus-day",
            Self::MemoryEpidemic => "memory-epidemic",
            Self::MemoryKhlong => "memory-khlong",
        }
    }

    /// Of its figure.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::NullEvents => "events/s",
            Self::Messages | Self::MessagesVerified => "messages/s",
            Self::CampusDay => "node-seconds/s",
            Self::MemoryEpidemic | Self::MemoryKhlong => "MiB",
        }
    }

    /// What the figure counts, exactly.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::NullEvents => {
                "10,000 events wait; each, when taken, schedules itself up to a second later"
            }
            Self::Messages => {
                "a message at one receiver: sealed and committed by its writer, stored and pushed by \
                 the relay, opened, merged (Automerge), committed and shown there; 10 timelines of 10; \
                 a signature's verdict is remembered with the envelope: verified once, by its writer"
            }
            Self::MessagesVerified => {
                "the same; frames are encoded, decoded and each signature verified at each receiver"
            }
            Self::CampusDay => {
                "campus-day, scale=0.1 (200 students, 24 h), protocol khlong, without the meeting before the run"
            }
            Self::MemoryEpidemic => {
                "peak resident memory: festival, scale=2 (10,000 guests), 10 min, protocol epidemic"
            }
            Self::MemoryKhlong => {
                "peak resident memory: festival, scale=2 (10,000 guests), 10 min, protocol khlong: 10,000 real cores on their disks"
            }
        }
    }

    /// As the project set itself.
    #[must_use]
    pub const fn goal(self) -> Goal {
        match self {
            Self::NullEvents => Goal::AtLeast(10e6),
            Self::Messages => Goal::AtLeast(200e3),
            Self::MessagesVerified => Goal::None,
            Self::CampusDay => Goal::AtLeast(100e3),
            Self::MemoryEpidemic | Self::MemoryKhlong => Goal::Below(4_096.0),
        }
    }

    /// Takes one sample, in this process.
    ///
    /// # Errors
    /// [`SimError`] if its scenario cannot be run.
    pub fn sample(self, seed: u64) -> Result<Sample, SimError> {
        match self {
            Self::NullEvents => Ok(events::sample(seed)),
            Self::Messages => worlds::messages(seed, false),
            Self::MessagesVerified => worlds::messages(seed, true),
            Self::CampusDay => worlds::campus_day(seed),
            Self::MemoryEpidemic => worlds::memory(seed, Protocol::Epidemic),
            Self::MemoryKhlong => worlds::memory(seed, Protocol::Khlong),
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// In the figure's unit.
    pub figure: f64,
    /// Processor time of what was measured, in seconds.
    pub cpu_s: f64,
    /// By the wall clock.
    pub wall_s: f64,
    /// The most memory that the process ever had, in MiB.
    pub peak_mib: f64,
}

/// A figure with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub bench: Bench,
    /// At least one.
    pub samples: Vec<Sample>,
}

/// Least, middle and greatest of some numbers; zeros of none.
#[must_use]
pub fn spread(numbers: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
    let last = sorted.len().saturating_sub(1);
    let middle = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
    [at(0), middle, at(last)]
}
