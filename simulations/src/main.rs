//! The simulator of Khlong: it will drive the sans-IO cores of node and relay
//! under a virtual clock, with seeded faults. Nothing of it is built yet, and
//! the binary says so instead of pretending.

use std::process::ExitCode;

/// Exit code 1 (failure): see the conventions in the README.
const NOT_BUILT: u8 = 1;

fn main() -> ExitCode {
    eprintln!(
        "khlong-sim is not built yet: it will drive the cores of node and relay under a virtual \
         clock. Today their tests do so with `cargo nextest run`."
    );
    ExitCode::from(NOT_BUILT)
}
