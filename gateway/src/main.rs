//! `khlong-gateway`: see `khlong-gateway --help`.

use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use khlong_gateway::cli::Arguments;

fn main() -> ExitCode {
    let Err(error) = Arguments::parse().execute() else {
        return ExitCode::SUCCESS;
    };
    // That nobody reads standard error any more is no reason to panic.
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "khlong-gateway: {error}");
    let mut cause = error.source();
    while let Some(because) = cause {
        let _ = writeln!(stderr, "  because: {because}");
        cause = because.source();
    }
    ExitCode::from(error.exit_code())
}
