//! `khlong-relay`: see [`khlong_relay::command`].

use std::error::Error as _;
use std::process::ExitCode;

use clap::Parser as _;
use khlong_relay::command::Arguments;

fn main() -> ExitCode {
    let Err(error) = Arguments::parse().execute() else {
        return ExitCode::SUCCESS;
    };
    eprintln!("khlong-relay: {error}");
    let mut cause = error.source();
    while let Some(because) = cause {
        eprintln!("  because: {because}");
        cause = because.source();
    }
    ExitCode::from(error.exit_code())
}
