//! Environment variables that nobody reads, and files that are not there.

use super::{Examination, Finding};
use crate::error::ExitCode;

const CHECK: &str = "settings";
const PREFIX: &str = "KHLONG_";

/// Of the relay (`KHLONG_SECTION__KEY`) and of the tests and the simulator, which share our prefix.
const OF_OTHERS: [&str; 12] = [
    "KHLONG_LISTEN__",
    "KHLONG_RELAY__",
    "KHLONG_STORE__",
    "KHLONG_POLICY__",
    "KHLONG_RETENTION__",
    "KHLONG_LIMITS__",
    "KHLONG_LOG__",
    "KHLONG_RELAY_CONFIG",
    "KHLONG_SKIP_MOUNT",
    "KHLONG_TEST_",
    "KHLONG_SIM_",
    "KHLONG_SEEDS",
];

/// From here on two names look alike.
const SIMILARITY_MIN: f64 = 0.8;

pub(super) fn check(what: &Examination) -> Finding {
    let is_known = |name: &&String| {
        what.settings.contains(name) || OF_OTHERS.iter().any(|other| name.starts_with(other))
    };
    let mut unknown: Vec<&String> = what
        .environment
        .iter()
        .filter(|name| name.starts_with(PREFIX))
        .filter(|name| !is_known(name))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        let says = format!("the environment variable {name} is not a setting of khlong");
        let remedy = match nearest(name, &what.settings) {
            Some(meant) => format!("did you mean {meant}? Rename it, or unset {name}"),
            None => format!("unset {name}; `khlong --help` names the settings"),
        };
        return Finding::problem(CHECK, ExitCode::Config, says, remedy);
    }
    if let Some(file) = &what.passphrase_file
        && let Err(error) = std::fs::File::open(file)
    {
        let says = format!(
            "the passphrase file {} cannot be read: {error}",
            file.display()
        );
        let remedy = "name the right one by --passphrase-file or KHLONG_PASSPHRASE_FILE";
        return Finding::problem(CHECK, ExitCode::Config, says, remedy);
    }
    Finding::ok(CHECK, "every setting is known")
}

#[expect(clippy::float_arithmetic, reason = "string similarity is a ratio")]
fn nearest<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    // All begin alike; what follows is what was mistyped.
    let tail = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let mut best: Option<(f64, &'k str)> = None;
    for candidate in known {
        let similarity = strsim::jaro_winkler(&tail(name), &tail(candidate)) + 0.0;
        if similarity >= SIMILARITY_MIN && best.is_none_or(|(most, _)| similarity > most) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, name)| name)
}
