//! Whether this machine's clock can be right.

use std::path::Path;
use std::time::UNIX_EPOCH;

use khlong_store::folder::DATABASE_FOLDER;

use super::Finding;
use super::network::{Met, Outcome, now_ms};
use crate::error::ExitCode;
use crate::folder::{KEY_FILE, STORE_FOLDER};

const CHECK: &str = "clock";
const REMEDY: &str =
    "set the clock, or let the system set it from the network; messages carry its time";

/// More than a bad link, less than a person would notice in a conversation.
const OFF_MAX_MS: i64 = 120_000;

/// Files that are looked at; a database has some hundred.
const FILES_MAX: usize = 10_000;

pub(super) fn check(home: &Path, met: &[Met]) -> Finding {
    let told: Vec<(&Met, i64)> = met
        .iter()
        .filter_map(|met| match met.outcome {
            Outcome::Spoke { ahead_ms, .. } => Some((met, ahead_ms?)),
            Outcome::WrongKey(_)
            | Outcome::NobodyListens(_)
            | Outcome::Silent(_)
            | Outcome::OtherVersion
            | Outcome::Failed(_) => None,
        })
        .collect();
    let is_off = |ahead: i64| ahead.saturating_abs() > OFF_MAX_MS;
    let off = told.iter().find(|(_, ahead)| is_off(*ahead));
    match (off, told.len()) {
        (Some((met, ahead)), _) => {
            let direction = if *ahead > 0 { "behind" } else { "ahead of" };
            let says = format!(
                "this clock is {} s {direction} that of {}; one of the two is wrong",
                ahead.saturating_abs() / 1_000,
                met.address
            );
            Finding::problem(CHECK, ExitCode::Failure, says, REMEDY)
        }
        (None, 0) => by_files(home),
        (None, _) => Finding::ok(CHECK, "it agrees with the relays'"),
    }
}

/// Nobody tells the time. What was written cannot have been written later than now.
fn by_files(home: &Path) -> Finding {
    let store = home.join(STORE_FOLDER);
    let listed = [store.clone(), store.join(DATABASE_FOLDER)];
    let files = listed
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .take(FILES_MAX)
        .chain([home.join(KEY_FILE)]);
    let latest = files
        .filter_map(|path| {
            let written = path.metadata().ok()?.modified().ok()?;
            let since = written.duration_since(UNIX_EPOCH).ok()?;
            Some((i64::try_from(since.as_millis()).ok()?, path))
        })
        .max();
    match latest {
        None => Finding::skipped(CHECK, "nothing tells the time"),
        Some((written, path)) if written > now_ms().saturating_add(OFF_MAX_MS) => {
            let says = format!(
                "{} was written {} s after now, so this clock is behind or was ahead; no relay tells which",
                path.display(),
                (written - now_ms()) / 1_000
            );
            Finding::problem(CHECK, ExitCode::Failure, says, REMEDY)
        }
        Some(_) => Finding::ok(CHECK, "no file is from the future; no relay tells the time"),
    }
}
