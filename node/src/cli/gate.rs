//! The way to the node: through the daemon's socket, or by opening the folder.
//!
//! Both answer the same questions with the same types, so no command knows
//! which of them it talks to.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use khlong_store::error::StoreError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::error::CliError;
use crate::api::{Request, Response};
use crate::daemon;
use crate::daemon::client::{Client, RemoteEvents};
use crate::error::{NodeError, described};
use crate::node::{Events, Heard, Node, NodeOptions};
use crate::search::{Found, Wanted};

/// How long a command waits for another one that has the folder open, if it is
/// not less patient with a daemon.
pub(super) const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// Nobody types more; a file that has it is not the one that was meant.
const PASSPHRASE_BYTES_MAX: usize = 4_096;

/// Between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A node to talk to.
pub(super) enum Gate {
    /// A daemon runs.
    Socket(Client),
    /// This process has the folder open.
    Folder(Node),
}

/// Other commands may use a folder that this process has open.
pub(super) struct Shared {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// Events of either.
pub(super) enum Listener {
    Socket(RemoteEvents),
    Folder(Events),
}

impl Gate {
    /// Talks to the daemon if one runs, else opens the folder; waits a while
    /// for another command that has it open.
    pub(super) async fn open(
        home: &Path,
        passphrase_file: Option<&Path>,
        patience: Duration,
        online: bool,
    ) -> Result<Self, CliError> {
        let begun = Instant::now();
        loop {
            if let Some(client) = Client::connect(home).await? {
                return Ok(Self::Socket(client.with_patience(patience)));
            }
            let passphrase = passphrase_file.map(passphrase_of).transpose()?;
            let options = NodeOptions {
                home: home.to_owned(),
                passphrase,
                online,
            };
            match Node::open(options).await {
                Ok(node) => return Ok(Self::Folder(node)),
                Err(NodeError::Store(StoreError::Locked { pid, .. })) => {
                    if begun.elapsed() >= LOCK_WAIT_MAX.min(patience) {
                        return Err(CliError::InUse {
                            home: home.to_owned(),
                            pid,
                        });
                    }
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks; a refusal is an error with the node's own exit code.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Response, CliError> {
        let response = match self {
            Self::Socket(client) => client.request(&request).await?,
            Self::Folder(node) => node.request(request).await,
        };
        if let Response::Refused { message, exit_code } = response {
            return Err(CliError::Refused { message, exit_code });
        }
        Ok(response)
    }

    /// Waits until nothing is queued for a relay in reach and all it has is here; whether in time.
    pub(super) async fn wait_idle(&mut self, timeout: Duration) -> Result<bool, CliError> {
        match self {
            Self::Socket(client) => Ok(client.wait_idle(timeout).await?),
            Self::Folder(node) => Ok(node.wait_idle(timeout).await),
        }
    }

    pub(super) async fn subscribe(&self) -> Result<Listener, CliError> {
        match self {
            Self::Socket(client) => Ok(Listener::Socket(client.subscribe().await?)),
            Self::Folder(node) => Ok(Listener::Folder(node.subscribe())),
        }
    }

    pub(super) async fn search(&mut self, wanted: Wanted) -> Result<Found, CliError> {
        match self {
            Self::Socket(client) => {
                let found = client.search(wanted).await?;
                found.map_err(|(message, exit_code)| CliError::Refused { message, exit_code })
            }
            Self::Folder(node) => Ok(node.search(&wanted).await?),
        }
    }

    pub(super) async fn checkpoint(&mut self, target: PathBuf) -> Result<(), CliError> {
        match self {
            Self::Socket(client) => Ok(client.checkpoint(target).await?),
            Self::Folder(node) => Ok(node.checkpoint(target).await?),
        }
    }

    /// Answers other commands as a daemon does, if this process has the folder open: it may
    /// have it for long. `tell` is told when it cannot.
    pub(super) fn share(
        &self,
        home: &Path,
        tell: impl FnOnce(String) + Send + 'static,
    ) -> Option<Shared> {
        let Self::Folder(node) = self else {
            return None;
        };
        let (node, home) = (node.clone(), home.to_owned());
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move { drop(stopped.await) };
        let serving = tokio::spawn(async move {
            if let Err(error) = daemon::serve(node, &home, shutdown).await {
                tell(format!(
                    "other commands cannot use this folder meanwhile: {}",
                    described(&error)
                ));
            }
        });
        Some(Shared { stop, serving })
    }

    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// Says goodbye to relays and closes the folder, if this process has it open.
    pub(super) async fn close(self) {
        if let Self::Folder(node) = self {
            node.stop().await;
        }
    }
}

impl Shared {
    /// Lets answers under way end.
    pub(super) async fn end(self) {
        drop(self.stop);
        let _ = self.serving.await;
    }
}

impl Listener {
    /// May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`NodeError::DaemonGone`] once the node has stopped; [`NodeError::DaemonSilent`].
    pub(super) async fn next(&mut self) -> Result<Heard, CliError> {
        match self {
            Self::Socket(events) => Ok(events.next().await?),
            Self::Folder(events) => Ok(events.next().await.ok_or(NodeError::DaemonGone)?),
        }
    }
}

/// The first line of a file that holds a secret; a pipe will do.
pub(super) fn passphrase_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
    File::open(path)
        .and_then(|file| {
            file.take(PASSPHRASE_BYTES_MAX as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|source| CliError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(CliError::Config(format!(
            "the first line of {} is empty",
            path.display()
        )));
    }
    if line.len() > PASSPHRASE_BYTES_MAX {
        return Err(CliError::Config(format!(
            "the first line of {} has more than {PASSPHRASE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    Ok(Zeroizing::new(line.to_vec()))
}
