//! A checkpoint of a store that is in use, by the thread that owns it.

use std::path::PathBuf;

use khlong_store::backup;
use khlong_store::error::StoreError;
use khlong_store::identity::Committed;
use khlong_store::store::Store;
use tokio::sync::{mpsc, oneshot};

use super::driver::DriverInput;

/// What the driver is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    folder: PathBuf,
    answer: oneshot::Sender<Result<Committed, StoreError>>,
}

impl Wanted {
    /// Makes it.
    pub(super) fn take(self, store: &Store) {
        let made = backup::take_checkpoint(store, &self.folder);
        match &made {
            Ok(committed) => tracing::info!(seq = committed.seq, "a checkpoint was made"),
            Err(error) => tracing::warn!(%error, "no checkpoint was made"),
        }
        if self.answer.send(made).is_err() {
            // Whoever asked is gone, and the links would keep every file of today alive.
            backup::forget_checkpoint(&self.folder);
        }
    }
}

/// Asks the driver for checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    inputs: mpsc::Sender<DriverInput>,
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf, inputs: mpsc::Sender<DriverInput>) -> Self {
        Self { folder, inputs }
    }

    /// A checkpoint of everything that was acknowledged before the call; `None` while the hub is
    /// built again or stops.
    pub(crate) async fn take(&self) -> Option<Result<Committed, StoreError>> {
        let (answer, made) = oneshot::channel();
        let folder = self.folder.clone();
        let wanted = DriverInput::Checkpoint(Wanted { folder, answer });
        self.inputs.send(wanted).await.ok()?;
        made.await.ok()
    }
}
