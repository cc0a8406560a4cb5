//! What may stand on the command line.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::{Bench, SAMPLES_DEFAULT};
use crate::calibrate::SEED_DEFAULT;
use crate::calibrate::plan::{CLASSES, Class};
use crate::scenario::protocol::Protocol;
use crate::units::Span;

/// The real node and relay, and protocols of the literature, under a virtual clock.
#[derive(Debug, Parser)]
#[command(name = "khlong-sim", version, arg_required_else_help = true)]
pub(super) struct Cli {
    /// Machine-readable output
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario: all protocols, all replications
    ///
    /// SCENARIO is a TOML file or one of bus-mule, campus-day, dorm-lan, festival, flash-crowd,
    /// flood, inter-province, ladder-3g. simulations/SCENARIOS.md describes the format.
    Run(RunArgs),
    /// Run a scenario for every combination of values; prints one CSV table of means
    Sweep(SweepArgs),
    /// Run a scenario twice, in two processes, and compare trace hashes (exit code 9 if they differ)
    Verify(VerifyArgs),
    /// Write the report of a run folder anew
    Report(ReportArgs),
    /// Run what a run folder holds again, and compare trace hashes (exit code 9 if they differ)
    Rerun(RerunArgs),
    /// Compare the simulator with theory, published runs of the ONE, and closed forms
    Validate(ValidateArgs),
    /// Compare links as frames with links as real QUIC: delays and bytes (exit code 1 if they differ)
    ///
    /// Build with --release first. The limits: a Kolmogorov–Smirnov distance of the delays of at
    /// most 0.05, and bytes within 5%, for each class of link and for all together.
    Calibrate(CalibrateArgs),
    /// Measure the simulator: events, messages, node-seconds a second, memory
    ///
    /// Build with --release first. Each sample runs in a process of its own.
    Bench(BenchArgs),
    /// Search for bugs: many seeds of the real node and relay, or of the real gateway, under faults (exit code 9 if one is found)
    ///
    /// Each failure is made smaller and written as a file that `replay` runs again. A batch in
    /// which some kind of fault never took effect fails too.
    Fuzz(FuzzArgs),
    /// Run a plan that `fuzz` wrote (exit code 9 if it still fails)
    Replay(ReplayArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder
    Man {
        /// The folder; made if it is not there
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct FuzzArgs {
    /// What is tormented
    #[arg(long, value_enum, default_value_t = Searched::Messages)]
    pub(super) workload: Searched,
    /// Seeds, from A up to and not including B
    #[arg(long, value_name = "A..B", default_value = "0..200", value_parser = seeds)]
    pub(super) seeds: Range<u64>,
    /// These seeds instead: one a line, and what it once found behind a #
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pub(super) seeds_file: Option<PathBuf>,
    /// Stop at the first seed that fails, and write its plan as it is instead of making it smaller
    #[arg(long)]
    pub(super) until_failure: bool,
    /// Stop before the next seed after this long, such as 8h; continue later with the seed that is named then
    #[arg(long)]
    pub(super) time: Option<Span>,
    /// Seeds at once; all processors if absent
    #[arg(long)]
    pub(super) jobs: Option<usize>,
    /// Where failures are written
    #[arg(long, default_value = ".")]
    pub(super) out: PathBuf,
}

/// What a search torments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Searched {
    /// Nodes and relays: people write to each other
    Messages,
    /// Gateways: clients move money
    Ledger,
}

#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Root of all randomness
    #[arg(long, default_value_t = SEED_DEFAULT)]
    pub(super) seed: u64,
    /// Only these classes of link: wifi, dsl, 3g, loss-1, loss-3 (may be repeated)
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub(super) only: Vec<&'static Class>,
    /// Write a folder: a page with both distributions, and their numbers
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// Classes of link at a time; all processors if absent
    #[arg(long)]
    pub(super) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Only these figures (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub(super) only: Vec<Bench>,
    /// Samples of each figure
    #[arg(long, default_value_t = SAMPLES_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) samples: u32,
    /// Of the plans; the same for all samples
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Take one sample in this process and print it as JSON: what the command starts for each
    #[arg(long, hide = true, value_name = "NAME")]
    pub(super) sample: Option<Bench>,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// A file that `fuzz` wrote
    pub(super) plan: PathBuf,
}

fn class(text: &str) -> Result<&'static Class, String> {
    let names = || CLASSES.iter().map(|class| class.name);
    let found = CLASSES.iter().find(|class| class.name == text);
    found.ok_or_else(|| {
        let known = names().collect::<Vec<_>>().join(", ");
        format!("there is no class `{text}`; there are {known}")
    })
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let bounds = text
        .split_once("..")
        .and_then(|(from, until)| Some(from.trim().parse().ok()?..until.trim().parse().ok()?));
    bounds
        .filter(|range| !range.is_empty())
        .ok_or_else(|| format!("`{text}` is no range of seeds: write it as 0..200"))
}

/// Which scenario, and how it is changed.
#[derive(Debug, Args)]
pub(super) struct ScenarioArgs {
    /// A TOML file, or the name of a reference scenario
    pub(super) scenario: String,
    /// Seed of the first replication; the next ones are one greater each
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Change the scenario, such as scale=0.05 or group.students.count=20 (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Only these protocols, such as epidemic or source-spray:8 (may be repeated)
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    pub(super) protocols: Vec<Protocol>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) of: ScenarioArgs,
    /// Independent runs; the scenario's number if absent
    #[arg(long)]
    pub(super) replications: Option<u32>,
    /// Write a run folder: tables, manifest, report
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// Replications at a time; all processors if absent
    #[arg(long)]
    pub(super) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// A TOML file, or the name of a reference scenario
    pub(super) scenario: String,
    /// Values of a key: a list KEY=A,B,C or a range KEY=LO..HI:STEP, both ends included (may be
    /// repeated: all combinations run)
    #[arg(long = "set", value_name = "KEY=VALUES", required = true)]
    pub(super) set: Vec<String>,
    /// Seed of the first replication; the same for all combinations
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Only these protocols (may be repeated)
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    pub(super) protocols: Vec<Protocol>,
    /// Independent runs of each combination; the scenario's number if absent
    #[arg(long)]
    pub(super) replications: Option<u32>,
    /// Runs at a time; all processors if absent
    #[arg(long)]
    pub(super) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub(super) of: ScenarioArgs,
    /// Give the second process another seed: the command must then find a difference
    #[arg(long)]
    pub(super) control: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A folder that `run --out` wrote
    pub(super) folder: PathBuf,
    /// Show it in a browser
    #[arg(long, value_enum, default_value_t = Open::No)]
    pub(super) open: Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Open {
    /// Only write it
    No,
    /// Hand it to the desktop (xdg-open)
    Yes,
}

#[derive(Debug, Args)]
pub(super) struct RerunArgs {
    /// A folder that `run --out` wrote
    pub(super) folder: PathBuf,
    /// Replications at a time; all processors if absent
    #[arg(long)]
    pub(super) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Root of all randomness
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Independent runs of each row
    #[arg(long)]
    pub(super) replications: Option<u32>,
    /// Messages of a replication of table A
    #[arg(long)]
    pub(super) messages: Option<u32>,
    /// Leave out the published runs of the ONE, which take longest
    #[arg(long)]
    pub(super) without_one: bool,
}
