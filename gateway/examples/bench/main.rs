//! What the gateway does a second on this machine, as a table or as lines of JSON.
//!
//! `cargo run --release --example gateway-bench -- --json`

#![expect(
    clippy::float_arithmetic,
    reason = "rates and quantiles are what this prints; no decision rests on them"
)]

#[path = "../../../node/examples/bench/figures.rs"]
#[expect(
    dead_code,
    reason = "the node's benches compare samples of contenders as well"
)]
mod figures;
mod promptpay;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use self::figures::Figures;

/// Why a measurement ended early.
type Failure = Box<dyn std::error::Error>;

/// Measure the gateway: build with --release first
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<Bench>,
    /// Runs of each figure
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    samples: u32,
    /// A line of JSON for each figure instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
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
        return Err("figures of a debug build are of no use: build with --release".into());
    }
    let mut figures = Figures::default();
    let wanted = |bench| arguments.only.is_empty() || arguments.only.contains(&bench);
    for _ in 0..arguments.samples {
        if wanted(Bench::Promptpay) {
            promptpay::measure(&mut figures)?;
        }
    }
    figures.print(arguments.json);
    Ok(())
}
