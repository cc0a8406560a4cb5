//! `khlong-gateway run`: serve until a signal.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use khlong_settings::log::{self, EnvFilter};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use super::{CliError, service};
use crate::app::{App, AppError, Options};
use crate::config::{Config, ConfigError, Environment, Flags, ListenFlags, Log};

/// Whose events carry no key, token or text, at any level.
const OURS: [&str; 3] = ["khlong_crdt", "khlong_store", "khlong_gateway"];

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// What wins over the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Start although the clock seems wrong: you have looked at it.
    #[arg(long)]
    pub accept_time: bool,
    /// Start although commits that were acknowledged are gone, in a new log epoch.
    #[arg(long)]
    pub accept_loss: bool,
}

/// Flags that win over the configuration.
#[derive(Args, Debug)]
pub struct Overrides {
    /// Serve HTTP here instead of at `listen.http`.
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// HTTP address for metrics and health checks, instead of `listen.admin`.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
}

impl Overrides {
    /// The key that each flag sets.
    pub(super) const KEYS: [(&str, &str); 2] =
        [("listen.http", "--http"), ("listen.admin", "--admin")];

    pub(super) fn flags(&self) -> Flags {
        Flags {
            listen: ListenFlags {
                http: self.http,
                admin: self.admin,
            },
        }
    }
}

/// Why `run` fails.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error("the configuration is not used")]
    Config(#[source] ConfigError),
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
            Self::Config(ConfigError::SecretFile { source, .. }) if source.is_untrusted() => 4,
            Self::Config(_) => 3,
            Self::Process(_) => 1,
            Self::App(error) => error.exit_code(),
        }
    }
}

pub(super) fn execute(output: Output, run: &Run) -> Result<(), CliError> {
    let flags = run.overrides.flags();
    let config =
        Config::load(&run.config, Environment::of_process(), &flags).map_err(RunError::Config)?;
    log::start(filter(&config.log)?, config.log.format);
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
    tracing::info!(http = %app.http_addr(), admin = %app.admin_addr(), "the gateway listens");
    if output.json {
        let listens = [("http", app.http_addr()), ("admin", app.admin_addr())];
        let listens =
            listens.map(|(name, address)| (name.to_owned(), Value::from(address.to_string())));
        output.object(Map::from_iter(listens))?;
    }
    let handle = app.handle();
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            never = service::report(handle) => match never {},
        }
        service::stopping();
        tracing::info!("stopping: what is under way is answered first");
    };
    app.run(stop).await.map_err(RunError::App)?;
    tracing::info!("stopped");
    Ok(())
}

/// Which events are logged.
pub(super) fn filter(log: &Log) -> Result<EnvFilter, RunError> {
    khlong_settings::log::filter(log, &OURS).map_err(RunError::Config)
}
