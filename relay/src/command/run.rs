//! `khlong-relay run`: serve until a signal.

use khlong_settings::log;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Arguments, CommandError, Run, SCHEMA_VERSION, log_filter, print, service};
use crate::config::{Config, LogFormat};
use crate::identity;
use crate::server::{STOP_WITHIN, Server, ServerOptions};

pub(super) fn execute(arguments: &Arguments, run: &Run) -> Result<(), CommandError> {
    let config = arguments.load(&run.overrides.flags())?;
    log::start(log_filter(&config)?, config.log.format);
    let ran = run_with(arguments, run, &config);
    match config.log.format {
        LogFormat::Text => ran,
        // Whoever reads lines of JSON reads no other.
        LogFormat::Json => ran.map_err(|error| {
            tracing::error!(error = causes(&error), "the relay ends");
            CommandError::Logged(Box::new(error))
        }),
    }
}

/// An error with all that it comes from, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        told = format!("{told}: {because}");
        cause = because.source();
    }
    told
}

fn run_with(arguments: &Arguments, run: &Run, config: &Config) -> Result<(), CommandError> {
    if !run.accept_loss {
        arguments.check_folder(config)?;
    }
    let options = options(config, run.accept_loss)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Process)?;
    runtime.block_on(serve(options, arguments.json))
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
    let pulse = server.pulse();
    let stop = async move {
        // The server polls this when it serves, and not before.
        service::ready();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            never = service::alive(pulse) => match never {},
        }
        service::stopping();
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
        sizes: config.store.rocks_options(),
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
