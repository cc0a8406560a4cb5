//! `khlong-gateway run`: serve until a signal.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::CliError;
use super::output::Output;
use crate::app::{App, AppError, Options};
use crate::config::{Config, ConfigError, Environment, Flags, ListenFlags, Log, LogFormat};

/// Whose events carry no key, token or text, at any level.
const OURS: [&str; 3] = ["khlong_crdt", "khlong_store", "khlong_gateway"];

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// Serve HTTP here instead of at `listen.http`.
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// Start although the clock seems wrong: you have looked at it.
    #[arg(long)]
    pub accept_time: bool,
    /// Start although commits that were acknowledged are gone, in a new log epoch.
    #[arg(long)]
    pub accept_loss: bool,
}

/// Why `run` fails.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error("the configuration is not used")]
    Config(#[source] ConfigError),
    /// The log's filter.
    #[error("`log.level` is no level and no filter: {level}")]
    LogLevel {
        /// What it says.
        level: String,
    },
    /// Threads or signals.
    #[error("the system gives no threads or signals")]
    Process(#[source] std::io::Error),
    /// The gateway.
    #[error("the gateway ends")]
    App(#[source] AppError),
}

impl RunError {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::LogLevel { .. } => 3,
            Self::Process(_) => 1,
            Self::App(error) => error.exit_code(),
        }
    }
}

pub(super) fn execute(output: Output, run: &Run) -> Result<(), CliError> {
    let flags = Flags {
        listen: ListenFlags { http: run.http },
    };
    let config =
        Config::load(&run.config, Environment::of_process(), &flags).map_err(RunError::Config)?;
    start_log(&config.log)?;
    let options = Options {
        accept_time: run.accept_time,
        accept_loss: run.accept_loss,
        ..config.options().map_err(RunError::Config)?
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Process)?;
    runtime.block_on(serve(output, options))
}

/// The configuration alone, as `run` would take it.
pub(super) fn check(output: Output, path: &Path) -> Result<(), CliError> {
    let config = Config::load(path, Environment::of_process(), &Flags::default())
        .map_err(RunError::Config)?;
    filter(&config.log)?;
    let options = config.options().map_err(RunError::Config)?;
    if output.json {
        let fields = [
            ("config", Value::from(path.display().to_string())),
            ("valid", Value::from(true)),
            ("keys", Value::from(options.keys.len())),
            ("targets", Value::from(options.outbox.targets.len())),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        return output.object(Map::from_iter(fields));
    }
    output.text(&format!(
        "{} is valid: {} keys, {} targets of the outbox\n",
        path.display(),
        options.keys.len(),
        options.outbox.targets.len()
    ))
}

async fn serve(output: Output, options: Options) -> Result<(), CliError> {
    // Before anything is open, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Process)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Process)?;
    if options.keys.is_empty() {
        tracing::warn!(
            "no key is configured, so nobody may ask for anything: add a section keys.NAME"
        );
    }
    if !options.http.ip().is_loopback() {
        tracing::warn!(
            http = %options.http,
            "HTTP is served beyond this machine without TLS; put a proxy with TLS in front"
        );
    }
    let app = App::start(options).await.map_err(RunError::App)?;
    tracing::info!(http = %app.http_addr(), "the gateway listens");
    if output.json {
        let http = Value::from(app.http_addr().to_string());
        output.object(Map::from_iter([("http".to_owned(), http)]))?;
    }
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: what is under way is answered first");
    };
    app.run(stop).await.map_err(RunError::App)?;
    tracing::info!("stopped");
    Ok(())
}

/// From here on events go to standard error.
fn start_log(log: &Log) -> Result<(), RunError> {
    let events = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            events
                .with_ansi(!plain && std::io::stderr().is_terminal())
                .init();
        }
        LogFormat::Json => events
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
    }
    Ok(())
}

/// A level alone is one of our own crates: what others log in detail is to be asked for by name.
fn filter(log: &Log) -> Result<EnvFilter, RunError> {
    let directives = match log.level.parse::<LevelFilter>() {
        Ok(level) => {
            let others = level.min(LevelFilter::WARN);
            let ours = OURS.map(|name| format!("{name}={level}"));
            format!("{others},{}", ours.join(","))
        }
        Err(_) => log.level.clone(),
    };
    EnvFilter::try_new(directives).map_err(|_| RunError::LogLevel {
        level: log.level.clone(),
    })
}
