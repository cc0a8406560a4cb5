//! `khlong-relay run`: serve until a signal.

use std::io::IsTerminal as _;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Arguments, CommandError, Run, SCHEMA_VERSION, print};
use crate::config::Config;
use crate::identity;
use crate::server::{STOP_WITHIN, Server, ServerOptions};

pub(super) fn execute(arguments: &Arguments, run: &Run) -> Result<(), CommandError> {
    let config = arguments.load(&run.overrides.flags())?;
    start_log(check_filter(&config.log.level)?);
    if !run.accept_loss {
        arguments.check_folder(&config)?;
    }
    let options = options(&config, run.accept_loss)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Process)?;
    runtime.block_on(serve(options, arguments.json))
}

/// Whether the log filter is one.
pub(super) fn check_filter(level: &str) -> Result<EnvFilter, CommandError> {
    EnvFilter::try_new(level).map_err(|_| CommandError::LogLevel {
        level: level.to_owned(),
    })
}

async fn serve(options: ServerOptions, json: bool) -> Result<(), CommandError> {
    // Before anything is open, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::Process)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Process)?;
    let server = Server::start(options).await.map_err(CommandError::Server)?;
    tracing::info!(
        address = %server.address(), quic = %server.quic_addr(), admin = %server.admin_addr(),
        "the relay serves"
    );
    if json {
        let data = json!({
            "schema_version": SCHEMA_VERSION,
            "address": server.address().to_string(),
            "quic": server.quic_addr().to_string(),
            "admin": server.admin_addr().to_string(),
        });
        print(&data.to_string());
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: the last commit, then goodbye");
    };
    server.run(stop).await.map_err(CommandError::Server)?;
    tracing::info!("stopped");
    Ok(())
}

fn options(config: &Config, accept_loss: bool) -> Result<ServerOptions, CommandError> {
    Ok(ServerOptions {
        key: identity::parse_configured(&config.relay).map_err(CommandError::Key)?,
        folder: config.store.folder.clone(),
        sizes: config.rocks_options(),
        accept_loss,
        policy: config.policy(),
        quic: config.listen.quic,
        admin: config.listen.admin,
        limits: config.quic_limits(),
        public_host: config.relay.host.clone(),
        public_port: config
            .relay
            .port
            .and_then(|port| u16::try_from(port.0).ok()),
        stop_within: STOP_WITHIN,
    })
}

fn start_log(filter: EnvFilter) {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colored = !plain && std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colored)
        .init();
}
