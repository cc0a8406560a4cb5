//! `completions` and `man`: both from the command line as it is parsed, so neither can lag behind it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Arguments, CommandError};

const PROGRAM: &str = "khlong-relay";

pub(super) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    // clap_complete 4.6 names functions of a program with a hyphen in two ways, so that bash
    // would offer nothing behind a command.
    let script = String::from_utf8_lossy(&script).replace("khlong__subcmd__relay", "khlong__relay");
    // A reader that has gone away is not our failure.
    let _ = std::io::stdout().lock().write_all(script.as_bytes());
}

pub(super) fn pages(folder: &Path) -> Result<(), CommandError> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .map_err(|source| CommandError::File {
            action: "write manual pages to",
            path: folder.to_owned(),
            source,
        })
}
