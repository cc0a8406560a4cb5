//! `khlong-relay`: see [`khlong_relay::command`].

use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use khlong_relay::command::Arguments;

fn main() -> ExitCode {
    let Err(error) = Arguments::parse().execute() else {
        return ExitCode::SUCCESS;
    };
    if error.is_logged() {
        return ExitCode::from(error.exit_code());
    }
    // That nobody reads standard error any more is no reason to panic.
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "khlong-relay: {error}");
    let mut cause = error.source();
    while let Some(because) = cause {
        let _ = writeln!(stderr, "  because: {because}");
        cause = because.source();
    }
    ExitCode::from(error.exit_code())
}
