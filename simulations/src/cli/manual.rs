//! `completions` and `man`: both from the command line as it is parsed, so neither can lag behind it.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::output::Output;
use crate::error::SimError;

const PROGRAM: &str = "khlong-sim";

pub(super) fn completions(shell: Shell, output: Output) -> Result<(), SimError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    // clap_complete 4.6 names functions of a program with a hyphen in two ways, so that bash
    // would offer nothing behind a command.
    output.text(&String::from_utf8_lossy(&script).replace("khlong__subcmd__sim", "khlong__sim"))
}

pub(super) fn pages(folder: &Path) -> Result<(), SimError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|source| SimError::Write {
            path: folder.to_owned(),
            source,
        })
}
