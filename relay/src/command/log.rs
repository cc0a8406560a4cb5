//! The log of `run`: its filter and its form.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::CommandError;
use crate::config::LogFormat;

/// Whose events carry no key, token, id or text, at any level; each has a test.
const OURS: [&str; 4] = ["khlong_crdt", "khlong_store", "khlong_sync", "khlong_relay"];

/// A level alone is one of our own crates: what others log in detail names addresses of
/// peers, so it is to be asked for by name.
pub(super) fn filter(level: &str) -> Result<EnvFilter, CommandError> {
    let directives = match level.parse::<LevelFilter>() {
        Ok(level) => {
            let others = level.min(LevelFilter::WARN);
            let ours = OURS.map(|name| format!("{name}={level}"));
            format!("{others},{}", ours.join(","))
        }
        Err(_) => level.to_owned(),
    };
    EnvFilter::try_new(directives).map_err(|_| CommandError::LogLevel {
        level: level.to_owned(),
    })
}

/// From here on events go to standard error.
pub(super) fn start(filter: EnvFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            log.with_ansi(!plain && std::io::stderr().is_terminal())
                .init();
        }
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
    }
}
