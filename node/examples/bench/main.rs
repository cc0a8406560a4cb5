//! `make bench`: what the relay does on this machine, as a table and as lines of JSON.
//!
//! The relay runs as a process of its own and fsyncs before it acknowledges. Clients are
//! sessions over real QUIC on loopback; their envelopes are sealed before the clock starts.
//! Both share the processors of one machine, so a figure is what both together reach.

#![expect(
    clippy::float_arithmetic,
    reason = "rates and quantiles are what this prints; no decision rests on them"
)]

mod client;
mod disk;
mod figures;
mod ingest;
#[path = "../shared/processes.rs"]
mod processes;
mod sealed;
mod search;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use self::figures::Figures;
use self::processes::Failure;

/// Measure the relay: build with --release first
#[derive(Debug, Parser)]
struct Arguments {
    /// The sizes that figures are quoted from; they take minutes
    #[arg(long)]
    full: bool,
    /// Only these (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<Bench>,
    /// Runs of each figure
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    samples: u32,
    /// Folder of real messages, one a line in `.txt` files, for `search`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A line of JSON for each figure instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Durable ingest: acknowledged envelopes and messages a second, and how long an ack takes
    Ingest,
    /// Search on the device: messages indexed a second, how long a query takes, bytes of the index
    Search,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err("figures of a debug build are of no use: run `make bench`".into());
    }
    let binaries = binaries()?;
    let mut figures = Figures::default();
    let wanted = |bench| arguments.only.is_empty() || arguments.only.contains(&bench);
    if wanted(Bench::Ingest) {
        for _ in 0..arguments.samples {
            ingest::measure(&binaries, arguments.full, &mut figures).await?;
        }
    }
    if wanted(Bench::Search) {
        for _ in 0..arguments.samples {
            search::measure(arguments.full, arguments.data.as_deref(), &mut figures)?;
        }
    }
    figures.print(arguments.json);
    Ok(())
}

/// Where the programs are: beside the folder of this example.
fn binaries() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent);
    Ok(folder.ok_or("run it from the target folder")?.to_owned())
}
