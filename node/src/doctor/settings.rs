//! Environment variables that nobody reads, and files that are not there.

use super::{Examination, Finding};
use crate::error::ExitCode;

const CHECK: &str = "settings";
const PREFIX: &str = "KHLONG_";

/// Of a section's name in `KHLONG_SECTION__KEY`.
const SEPARATOR: &str = "__";

/// Sections of the relay's and of the gateway's configuration, which share our prefix. A test
/// compares them with what the two say of themselves.
pub const SECTIONS_OF_OTHERS: [&str; 11] = [
    "IDEMPOTENCY",
    "JOURNAL",
    "KEYS",
    "LIMITS",
    "LISTEN",
    "LOG",
    "OUTBOX",
    "POLICY",
    "RELAY",
    "RETENTION",
    "STORE",
];

/// Of the relay, and of the tests, the demo and the simulator, which have the same prefix.
const OF_OTHERS: [&str; 9] = [
    "KHLONG_RELAY_CONFIG",
    "KHLONG_SKIP_MOUNT",
    "KHLONG_TEST_",
    "KHLONG_FUZZ_",
    "KHLONG_SIM_",
    "KHLONG_SEEDS",
    "KHLONG_FREEZE",
    "KHLONG_WRITE_VECTORS",
    "KHLONG_REPLAY_MESSAGES",
];

/// From here on two names look alike.
const SIMILARITY_MIN: f64 = 0.8;

pub(super) fn check(what: &Examination) -> Finding {
    let is_known = |name: &&String| {
        what.settings.contains(name)
            || OF_OTHERS.iter().any(|other| name.starts_with(other))
            || section(name).is_some_and(|(section, _)| is_of_others(section))
    };
    let mut unknown: Vec<&String> = what
        .environment
        .iter()
        .filter(|name| name.starts_with(PREFIX))
        .filter(|name| !is_known(name))
        .collect();
    unknown.sort();
    let mut problems: Vec<Finding> = unknown.into_iter().map(|name| slip(what, name)).collect();
    if let Some(file) = &what.passphrase_file
        && let Err(error) = std::fs::File::open(file)
    {
        let says = format!(
            "the passphrase file {} cannot be read: {error}",
            file.display()
        );
        let remedy = "name the right one by --passphrase-file or KHLONG_PASSPHRASE_FILE";
        problems.push(Finding::problem(CHECK, ExitCode::Config, says, remedy));
    }
    Finding::together(problems).unwrap_or_else(|| Finding::ok(CHECK, "every setting is known"))
}

fn slip(what: &Examination, name: &str) -> Finding {
    let says = format!("the environment variable {name} is not a setting of khlong");
    let remedy = match nearest(name, &candidates(name, &what.settings)) {
        Some(meant) => format!("did you mean {meant}? Rename it, or unset {name}"),
        None => format!("unset {name}; `khlong --help` names the settings"),
    };
    Finding::problem(CHECK, ExitCode::Config, says, remedy)
}

/// The section of `KHLONG_SECTION__KEY`, and the key.
fn section(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PREFIX)?.split_once(SEPARATOR)
}

/// However it is written: they read both.
fn is_of_others(section: &str) -> bool {
    let mut all = SECTIONS_OF_OTHERS.iter();
    all.any(|known| known.eq_ignore_ascii_case(section))
}

/// What may be meant: a setting of ours, or, of another program's, the same key in its section.
fn candidates(name: &str, settings: &[String]) -> Vec<String> {
    match section(name) {
        Some((_, key)) => {
            let of_section = |section: &str| format!("{PREFIX}{section}{SEPARATOR}{key}");
            SECTIONS_OF_OTHERS.map(of_section).to_vec()
        }
        None => settings.to_vec(),
    }
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
