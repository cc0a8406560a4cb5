//! `daemon`: runs in the foreground until told to stop, as service managers expect.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::Run;
use super::error::CliError;
use super::gate::Gate;
use super::signals::Interrupted;
use crate::daemon;

/// What is logged unless `KHLONG_LOG` says otherwise (`info`, `debug`, `khlong_node=trace`…).
const LOG_DEFAULT: &str = "info";

pub(super) async fn run(run: &Run) -> Result<(), CliError> {
    let filter =
        EnvFilter::try_from_env("KHLONG_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    let color = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // What cannot be logged is lost. To tell so goes where it could not be told, and panics.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .init();

    // Before the folder is opened, so that no signal finds the program without its handlers.
    let mut interrupted = Interrupted::listen()?;
    let shutdown = async move { interrupted.come().await };

    match run.open(true).await? {
        Gate::Socket(_) => Err(CliError::Config(format!(
            "a daemon, a `khlong log --follow` or a `khlong tui` has {} open; stop it first",
            run.home.display()
        ))),
        Gate::Folder(node) => {
            daemon::serve(node, &run.home, shutdown).await?;
            tracing::info!("the daemon has stopped");
            Ok(())
        }
    }
}
