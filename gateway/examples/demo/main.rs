//! `make gateway-demo`: a day at a gateway, on a real folder, in seconds.
//!
//! Accounts are opened, a payment by Thai QR is held and then posted, a fee is taken, a part is
//! given back, and a process is killed in the middle of transfers. Then the day is closed and
//! compared with a bank's file, and a part is paid out. Everything that is said with a tick was checked; any check that
//! fails ends it with exit code 1.

mod books;
mod crash;
mod evening;
mod payout;
mod program;
mod story;

use std::path::Path;
use std::process::ExitCode;

/// Why the demo ended early.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [] => story::tell(),
        // The process that is killed is this program again.
        [word, folder, from] if word == crash::CHILD => crash::child(Path::new(folder), from),
        _ => Err("the demo takes no arguments".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n✗ {error}");
            ExitCode::FAILURE
        }
    }
}

/// A step, as it begins.
fn step(text: &str) {
    println!("\n▸ {text}");
}

/// Checks a claim, and says it if it holds.
fn check(holds: bool, claim: &str) -> Result<(), Failure> {
    if !holds {
        return Err(format!("this is not so: {claim}").into());
    }
    println!("  ✓ {claim}");
    Ok(())
}
