//! The log of a program that runs: its filter and its form.

use std::io::IsTerminal as _;

pub use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{ConfigError, Log, LogFormat};

/// What of the log is written, of the events of `ours` and of others.
///
/// `ours` are the crates whose events carry no key, token, address or text at any level. A level
/// alone is one of them: what others log in detail names addresses of peers, so it is to be asked
/// for by name.
///
/// # Errors
/// [`ConfigError::Value`] for what is no level and no filter.
pub fn filter(log: &Log, ours: &[&str]) -> Result<EnvFilter, ConfigError> {
    let directives = match log.level.parse::<LevelFilter>() {
        Ok(level) => {
            let others = level.min(LevelFilter::WARN);
            let ours: Vec<_> = ours.iter().map(|name| format!("{name}={level}")).collect();
            format!("{others},{}", ours.join(","))
        }
        Err(_) => log.level.clone(),
    };
    let parsed = EnvFilter::try_new(&directives).ok();
    parsed.filter(|_| is_meant(&directives)).ok_or_else(|| {
        let told = format!(
            "`{}` is no level and no filter; use error, warn, info or debug",
            log.level
        );
        ConfigError::value("log.level", told)
    })
}

/// A word alone would be the name of a part of which all is logged, and nothing of any other: a level with a
/// slip in it would make the log mute.
fn is_meant(directives: &str) -> bool {
    directives
        .split(',')
        .map(str::trim)
        .all(|one| one.is_empty() || one.contains(['=', '[']) || one.parse::<LevelFilter>().is_ok())
}

/// From here on events go to standard error. At most once in a process.
pub fn start(filter: EnvFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // What cannot be logged is lost. To tell so goes where it could not be told, and panics.
        .log_internal_errors(false)
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
