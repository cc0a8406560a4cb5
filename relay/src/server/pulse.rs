//! Whether the hub's thread still turns.

use tokio::sync::{mpsc, oneshot};

use super::driver::DriverInput;

/// Asks the thread that owns the hub. A timer that fires says nothing about a thread that
/// waits for a disk for ever.
#[derive(Clone, Debug)]
pub struct Pulse {
    // Weak: who asks does not keep the queue open.
    inputs: mpsc::WeakSender<DriverInput>,
}

impl Pulse {
    pub(super) fn new(inputs: &mpsc::Sender<DriverInput>) -> Self {
        Self {
            inputs: inputs.downgrade(),
        }
    }

    /// Waits for the thread's next turn, for as long as that takes; `false` when there is
    /// no thread any more.
    pub async fn beat(&self) -> bool {
        let Some(inputs) = self.inputs.upgrade() else {
            return false;
        };
        let (answer, answered) = oneshot::channel();
        inputs.send(DriverInput::Beat(answer)).await.is_ok() && answered.await.is_ok()
    }
}
