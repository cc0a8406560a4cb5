//! The gateway of Khlong: the one process that holds what needs an authority
//! (accounts, the double-entry ledger, PromptPay, orders). Nothing of it is
//! built yet, and the binary says so instead of pretending.

use std::process::ExitCode;

/// Exit code 1 (failure): see the conventions in the README.
const NOT_BUILT: u8 = 1;

fn main() -> ExitCode {
    eprintln!(
        "khlong-gateway is not built yet: it will hold accounts, the ledger and PromptPay. \
         Messaging needs only `khlong` and `khlong-relay`."
    );
    ExitCode::from(NOT_BUILT)
}
