//! `make bench`: what the relay does on this machine, as a table and as lines of JSON.
//!
//! The relay runs as a process of its own and fsyncs before it acknowledges. Clients are
//! sessions over real QUIC on loopback; their envelopes are sealed before the clock starts.
//! Both share the processors of one machine, so a figure is what both together reach.

#![expect(
    clippy::float_arithmetic,
    reason = "rates and quantiles are what this prints; no decision rests on them"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a run stops at the first answer that it did not ask for"
)]

mod catchup;
mod client;
mod disk;
mod fanout;
mod figures;
mod goodput;
mod ingest;
mod memory;
mod merge;
mod nats;
mod operate;
mod peers;
#[path = "../shared/processes.rs"]
mod processes;
mod processor;
mod sealed;
mod search;
mod side;
mod texts;
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};

use self::figures::Figures;
use self::processes::{Failure, run as run_program};
use self::texts::Texts;

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
    /// Measure these peers as well, in turn, and print ratios: the program of a NATS server
    #[arg(long, value_name = "FILE")]
    nats_server: Option<PathBuf>,
    /// A folder of real messages, or of folders of them, for what depends on the text: a line each, or IRC logs
    #[arg(long, value_name = "FOLDER")]
    texts: Option<PathBuf>,
    /// Used by this program itself: print what a history takes in memory
    #[arg(long, hide = true)]
    memory_of: Option<usize>,
    /// A line of JSON for each figure instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Durable ingest: acknowledged envelopes and messages a second, and how long an ack takes
    Ingest,
    /// Fan-out: deliveries a second to 1 to 1,000 subscribers, and how long they take
    Fanout,
    /// Merging, memory and reading of a timeline, on one core
    Merge,
    /// One connection's goodput, beside TCP with TLS
    Goodput,
    /// A device that missed much: time to the first message and to all, bytes, memory
    Catchup,
    /// Memory of a relay, idle connections, restart
    Operate,
    /// Search on the device: messages indexed a second, how long a query takes, bytes of the index
    Search,
    /// Bytes of a message of 100 characters on the wire, both ways; alone, in a stream, in a batch
    Wire,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut figures = Figures::default();
    let ran = run(&arguments, &mut figures).await;
    // What was measured before a failure is worth as much.
    figures.print(arguments.json);
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, figures: &mut Figures) -> Result<(), Failure> {
    // Bytes are the same in every build; times are not.
    let is_timed = arguments.only.iter().any(|bench| *bench != Bench::Wire);
    if cfg!(debug_assertions) && (is_timed || arguments.only.is_empty()) {
        return Err("figures of a debug build are of no use: run `make bench`".into());
    }
    let texts = Texts::read(arguments.texts.as_deref())?;
    if let Some(history) = arguments.memory_of {
        println!("{}", merge::memory(history, texts)?);
        return Ok(());
    }
    let binaries = binaries()?;
    let wanted = |bench| arguments.only.is_empty() || arguments.only.contains(&bench);
    let contenders = peers::contenders(arguments.nats_server.as_deref())?;
    for _ in 0..arguments.samples {
        if wanted(Bench::Ingest) {
            ingest::signatures(figures)?;
            for case in ingest::CASES {
                for contender in &contenders {
                    ingest::measure(contender, case, &binaries, arguments.full, figures).await?;
                }
            }
        }
        if wanted(Bench::Fanout) {
            for case in fanout::CASES {
                for contender in &contenders {
                    fanout::measure(contender, case, &binaries, arguments.full, figures).await?;
                }
            }
        }
    }
    for _ in 0..arguments.samples {
        if wanted(Bench::Merge) {
            merge::measure(arguments.full, &texts, figures)?;
            memory_of_histories(arguments, figures)?;
        }
        if wanted(Bench::Goodput) {
            goodput::measure(arguments.full, figures).await?;
        }
        if wanted(Bench::Catchup) {
            catchup::measure(&binaries, &texts, arguments.full, figures).await?;
        }
        if wanted(Bench::Operate) {
            operate::measure(&binaries, arguments.full, figures).await?;
        }
        if wanted(Bench::Search) {
            search::measure(arguments.full, &texts, figures)?;
        }
        if wanted(Bench::Wire) {
            let texts = arguments.texts.as_deref();
            wire::measure(&binaries, texts, arguments.full, figures).await?;
        }
    }
    peers::ratios(&contenders, figures);
    Ok(())
}

/// Each in a process of its own, so that nothing else is counted.
fn memory_of_histories(arguments: &Arguments, figures: &mut Figures) -> Result<(), Failure> {
    let history = if arguments.full { 100_000 } else { 20_000 };
    let mut again = Command::new(std::env::current_exe()?);
    again.args(["--memory-of", &history.to_string()]);
    if let Some(folder) = &arguments.texts {
        again.arg("--texts").arg(folder);
    }
    let said = run_program(&mut again)?;
    let name = format!("merge, history of {history}: memory");
    figures.add(name, "B/message", said.trim().parse()?);
    Ok(())
}

/// Where the programs are: beside the folder of this example.
fn binaries() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent);
    Ok(folder.ok_or("run it from the target folder")?.to_owned())
}
