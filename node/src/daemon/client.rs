//! A program's side of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::BufReader;
use tokio::net::UnixStream;

use super::line::{self, Control, ControlAnswer, Gap};
use super::socket;
use crate::api::{Event, Request, Response};
use crate::error::NodeError;
use crate::node::Heard;

/// A connection to the daemon of a folder.
#[derive(Debug)]
pub struct Client {
    home: PathBuf,
    stream: BufReader<UnixStream>,
    /// How long an answer may take.
    patience: Duration,
}

/// Until a daemon that says nothing is taken for stopped, unless told otherwise. It answers
/// from memory and one commit; a disk that is slower than this hangs.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long a copy of the database may take.
const CHECKPOINT_MAX: Duration = Duration::from_secs(3_600);

/// Events of the daemon, on a connection of their own.
#[derive(Debug)]
pub struct RemoteEvents {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// The daemon of the folder, if one runs.
    ///
    /// # Errors
    /// [`NodeError::Io`] when one runs and this user may not talk to it.
    pub async fn connect(home: &Path) -> Result<Option<Self>, NodeError> {
        let stream = socket::connect(home).await?;
        Ok(stream.map(|stream| Self {
            home: home.to_owned(),
            stream: BufReader::new(stream),
            patience: ANSWER_MAX,
        }))
    }

    /// Lets an answer take so long, instead of [`ANSWER_MAX`].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// # Errors
    /// [`NodeError::DaemonGone`], or [`NodeError::Io`] when its answer cannot be read.
    pub async fn request(&mut self, request: &Request) -> Result<Response, NodeError> {
        self.ask(request, self.patience).await
    }

    /// Waits until nothing is queued for a relay in reach and all it has is here; whether in time.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn wait_idle(&mut self, timeout: Duration) -> Result<bool, NodeError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let at_most = timeout.saturating_add(self.patience);
        let answer: ControlAnswer = self.ask(&Control::Sync { timeout_ms }, at_most).await?;
        Ok(matches!(answer, ControlAnswer::Synced { idle: true }))
    }

    /// Makes a consistent copy of the database at `folder`.
    ///
    /// # Errors
    /// As [`Client::request`], and what the engine said.
    pub async fn checkpoint(&mut self, folder: PathBuf) -> Result<(), NodeError> {
        match self
            .ask(
                &Control::Checkpoint {
                    folder: folder.clone(),
                },
                CHECKPOINT_MAX,
            )
            .await?
        {
            ControlAnswer::Done => Ok(()),
            ControlAnswer::Refused { message, .. } => {
                let source = io::Error::other(message);
                Err(NodeError::Io {
                    action: "the daemon could not copy its database to",
                    path: folder,
                    source,
                })
            }
            ControlAnswer::Synced { .. } => {
                Err(self.failed(io::Error::other("the daemon answered something else")))
            }
        }
    }

    /// Everything that happens from now on, on a second connection.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn subscribe(&self) -> Result<RemoteEvents, NodeError> {
        let mut other = Self::connect(&self.home)
            .await?
            .ok_or(NodeError::DaemonGone)?;
        match other.ask(&Control::Events, self.patience).await? {
            ControlAnswer::Done => Ok(RemoteEvents {
                stream: other.stream,
            }),
            ControlAnswer::Synced { .. } | ControlAnswer::Refused { .. } => {
                Err(NodeError::DaemonGone)
            }
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        question: &impl Serialize,
        at_most: Duration,
    ) -> Result<T, NodeError> {
        let conversation = async {
            line::write(&mut self.stream, question).await?;
            line::read_value(&mut self.stream).await
        };
        match tokio::time::timeout(at_most, conversation).await {
            Ok(answer) => answer
                .map_err(|error| self.failed(error))?
                .ok_or(NodeError::DaemonGone),
            Err(_) => Err(NodeError::DaemonSilent {
                path: socket::path(&self.home),
                waited_ms: u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    fn failed(&self, source: io::Error) -> NodeError {
        if matches!(
            source.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        ) {
            return NodeError::DaemonGone;
        }
        NodeError::Io {
            action: "could not talk to the daemon at",
            path: socket::path(&self.home),
            source,
        }
    }
}

impl RemoteEvents {
    /// The next one; `None` once the daemon has stopped.
    pub async fn next(&mut self) -> Option<Heard> {
        let line = line::read(&mut self.stream).await.ok()??;
        if let Ok(Gap::Missed { count }) = serde_json::from_slice(&line) {
            return Some(Heard::Missed(count));
        }
        // An event that this version does not know is a gap, not the end.
        Some(serde_json::from_slice::<Event>(&line).map_or(Heard::Missed(1), Heard::Event))
    }
}
