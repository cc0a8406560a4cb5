//! `completions` and `man`: both from the command line as it is parsed, so neither can lag behind it.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::output::Output;
use super::{Arguments, CliError};

const PROGRAM: &str = "khlong-gateway";

pub(super) fn completions(output: Output, shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    // clap_complete 4.6 names functions of a program with a hyphen in two ways, so that bash
    // would offer nothing behind a command.
    let script =
        String::from_utf8_lossy(&script).replace("khlong__subcmd__gateway", "khlong__gateway");
    output.text(&script)
}

pub(super) fn pages(folder: &Path) -> Result<(), CliError> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .map_err(|source| CliError::File {
            path: folder.to_owned(),
            source,
        })
}
