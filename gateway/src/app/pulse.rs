//! Whether the driver's thread is there, for whoever watches the process from outside.

use super::handle::{AskError, Handle, State};
use super::limits::PULSE_LOOK_EVERY;

impl Handle {
    /// Waits for the end of the start; true if commands and reads are taken from then on.
    pub async fn is_ready(&self) -> bool {
        while self.state() == State::Starting {
            tokio::time::sleep(PULSE_LOOK_EVERY).await;
        }
        self.state() == State::Ready
    }

    /// Waits until the driver's thread has done all that was asked of it before; false: it has ended.
    /// A thread that hangs keeps whoever asks waiting.
    pub async fn beat(&self) -> bool {
        loop {
            match self.read(|_| ()).await {
                Ok(()) => return true,
                // Of one that hangs it stays full.
                Err(AskError::Full) => tokio::time::sleep(PULSE_LOOK_EVERY).await,
                Err(_) => return false,
            }
        }
    }
}
