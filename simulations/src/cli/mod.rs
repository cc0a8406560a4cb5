//! The program `khlong-sim`: one file per group of commands.
//!
//! Standard output is data only; progress and reasons go to standard error. Exit
//! codes are those of [`crate::error::ExitCode`].

mod args;
mod bench;
mod calibrate;
mod folders;
mod manual;
mod output;
mod pool;
mod progress;
mod search;
mod study;
mod sweep;
mod verify;

pub use sweep::{Axis, combinations};

use std::process::ExitCode as ProcessExit;

use clap::Parser as _;

use self::args::{Cli, Command, ValidateArgs};
use self::output::Output;
use crate::error::{ExitCode, SimError};
use crate::validate::{self, print};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ProcessExit {
    let cli = Cli::parse(); // leaves with exit code 2 and an explanation by itself
    let output = Output { json: cli.json };
    match run(cli.command, output) {
        Ok(()) => ProcessExit::from(ExitCode::Ok as u8),
        Err(error) if output::is_closed_pipe(&error) => ProcessExit::from(ExitCode::Ok as u8),
        Err(error) => {
            output.tell(&error);
            ProcessExit::from(error.exit_code() as u8)
        }
    }
}

fn run(command: Command, output: Output) -> Result<(), SimError> {
    match command {
        Command::Run(run) => study::run(&run, output),
        Command::Sweep(sweep) => sweep::run(&sweep, output),
        Command::Verify(verify) => verify::run(&verify, output),
        Command::Report(report) => folders::report(&report, output),
        Command::Rerun(rerun) => folders::rerun(&rerun, output),
        Command::Validate(suite) => validate(&suite, output),
        Command::Bench(asked) => bench::run(&asked, output),
        Command::Calibrate(asked) => calibrate::run(&asked, output),
        Command::Fuzz(fuzz) => search::fuzz(&fuzz, output),
        Command::Replay(plan) => search::replay(&plan, output),
        Command::Completions { shell } => manual::completions(shell, output),
        Command::Man { folder } => manual::pages(&folder),
    }
}

fn validate(suite: &ValidateArgs, output: Output) -> Result<(), SimError> {
    let defaults = validate::Options::default();
    let rows = validate::run(validate::Options {
        seed: suite.seed.unwrap_or(defaults.seed),
        replications: suite.replications.unwrap_or(defaults.replications),
        messages: suite.messages.unwrap_or(defaults.messages),
        with_one: !suite.without_one,
    });
    if output.json {
        let lines = print::json_lines(&rows).map_err(|error| output::failed(error.into()))?;
        output.text(&lines)?;
    } else {
        output.text(&print::table(&rows))?;
    }
    if validate::passed(&rows) {
        Ok(())
    } else {
        Err(SimError::Differs(
            "a row of the suite failed: the simulator does not give a number that is known"
                .to_owned(),
        ))
    }
}
