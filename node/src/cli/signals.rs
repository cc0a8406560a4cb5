//! SIGINT and SIGTERM: the end of what runs until it is told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;

/// Listens from its making on.
pub(super) struct Interrupted {
    terminate: Signal,
    interrupt: Signal,
}

impl Interrupted {
    pub(super) fn listen() -> Result<Self, CliError> {
        let failed = |source| CliError::Config(format!("signals cannot be received: {source}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Until either has come.
    pub(super) async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
