//! What the gateway does a second on this machine, as a table or as lines of JSON.
//!
//! Every transfer is fsynced before it counts. `make bench-gateway` runs it, and
//! `make bench-peers` with PostgreSQL beside it, on servers of its own on the same disk, in turn:
//! one statement of double entry for each transfer, by `pgbench`, and the gateway's own journal.

#![expect(
    clippy::float_arithmetic,
    reason = "rates and quantiles are what this prints; no decision rests on them"
)]

mod close;
#[path = "../../../node/examples/bench/disk.rs"]
mod disk;
#[path = "../../../node/examples/bench/figures.rs"]
mod figures;
mod holds;
mod http;
mod journal;
mod ledger;
mod postgres;
#[path = "../../../node/examples/shared/processes.rs"]
#[expect(dead_code, reason = "relays are of the node's benches")]
mod processes;
mod promptpay;
mod replay;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tempfile::TempDir;

use self::figures::Figures;
use self::processes::Failure;

/// Measure the gateway: build with --release first
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs of 10 seconds instead of 2; a journal, and a day, of a million transfers
    #[arg(long)]
    full: bool,
    /// Only these (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<Bench>,
    /// Runs of each figure
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    samples: u32,
    /// Measure PostgreSQL as well, in turn, and print ratios: the folder of its programs
    #[arg(long, value_name = "FOLDER")]
    postgres: Option<PathBuf>,
    /// A line of JSON for each figure instead of the table
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// How long one rate is measured.
    fn length(&self) -> Duration {
        Duration::from_secs(if self.full { 10 } else { 2 })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Transfers a second in batches of 1, 100 and 8,000, with one hot account and with 10,000
    Ledger,
    /// The same over HTTP, with 1, 16 and 64 clients
    Http,
    /// Transfers a second when the books are rebuilt from the journal
    Replay,
    /// The journal on PostgreSQL beside the one in the folder, in batches of 1, 100 and 8,000; needs --postgres
    PostgresJournal,
    /// What 16 clients over HTTP wait while a day of 100,000 transfers is closed, and without that
    Close,
    /// What a client waits after 100,000 holds that were posted, and while as many expire at once
    Holds,
    /// Thai QR: payloads written and read a second, codes drawn, on one core
    Promptpay,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err("figures of a debug build are of no use: run `make bench-gateway`".into());
    }
    if arguments.only.contains(&Bench::PostgresJournal) && arguments.postgres.is_none() {
        return Err("postgres-journal needs the folder of PostgreSQL's programs: name it with --postgres, or run `make bench-peers`".into());
    }
    let binaries = binaries()?;
    let mut figures = Figures::default();
    let wanted = |bench| arguments.only.is_empty() || arguments.only.contains(&bench);
    for _ in 0..arguments.samples {
        if wanted(Bench::Ledger) {
            measure_ledger(arguments, &binaries, &mut figures)?;
        }
        if wanted(Bench::Http) {
            for case in http::CASES {
                http::measure(case, &binaries, arguments.length(), &mut figures)?;
            }
        }
        if wanted(Bench::Replay) {
            let transfers = if arguments.full { 1_000_000 } else { 100_000 };
            replay::measure(transfers, &binaries, &mut figures)?;
        }
        if let Some(programs) = &arguments.postgres
            && wanted(Bench::PostgresJournal)
        {
            journal::measure(programs, &binaries, arguments.length(), &mut figures)?;
        }
        if wanted(Bench::Close) {
            let transfers = if arguments.full { 1_000_000 } else { 100_000 };
            close::measure(transfers, &binaries, &mut figures)?;
        }
        if wanted(Bench::Holds) {
            let holds = if arguments.full { 400_000 } else { 100_000 };
            holds::measure(holds, &binaries, arguments.length(), &mut figures)?;
        }
        if wanted(Bench::Promptpay) {
            promptpay::measure(&mut figures)?;
        }
    }
    ledger::ratios(&mut figures);
    if arguments.postgres.is_some() {
        postgres::ratios(&mut figures);
        journal::ratios(&mut figures);
    }
    figures.print(arguments.json);
    Ok(())
}

/// The ledger and its peer in turn: hot accounts, then spread ones.
fn measure_ledger(
    arguments: &Arguments,
    binaries: &Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    for accounts in ledger::Accounts::ALL {
        if let Some(programs) = &arguments.postgres {
            postgres::measure(accounts, programs, binaries, arguments.length(), figures)?;
        }
        for batch in ledger::BATCHES {
            ledger::measure(batch, accounts, binaries, arguments.length(), figures)?;
        }
    }
    Ok(())
}

/// Where the programs are: beside the folder of this example, on the disk that is measured.
fn binaries() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent);
    Ok(folder.ok_or("run it from the target folder")?.to_owned())
}

/// A folder that goes when it is dropped.
fn scratch(binaries: &Path) -> Result<TempDir, Failure> {
    Ok(tempfile::Builder::new()
        .prefix("khlong-bench-")
        .tempdir_in(binaries)?)
}
