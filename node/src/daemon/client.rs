//! A program's side of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::BufReader;
use tokio::net::UnixStream;

use super::line::{self, ALIVE_PAUSE, Control, ControlAnswer, Gap, Lines};
use super::socket;
use crate::api::{Event, Request, Response};
use crate::error::{ExitCode, NodeError};
use crate::node::Heard;
use crate::search::{Found, Wanted};

/// How long a daemon may say nothing at all, not even that it lives, before it
/// is taken for frozen: 30 s, as a laptop's disk may need to wake up.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
const _: () = assert!(SILENCE_MAX.as_millis() > 4 * ALIVE_PAUSE.as_millis());

/// A connection to the daemon of a folder.
#[derive(Debug)]
pub struct Client {
    home: PathBuf,
    stream: BufReader<UnixStream>,
    lines: Lines,
    silence: Duration,
    is_silent: bool,
}

/// Events of the daemon, on a connection of their own.
#[derive(Debug)]
pub struct RemoteEvents {
    client: Client,
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
            lines: Lines::default(),
            silence: SILENCE_MAX,
            is_silent: false,
        }))
    }

    /// Gives the daemon up after such a silence, instead of [`SILENCE_MAX`].
    #[must_use]
    pub fn with_patience(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// # Errors
    /// [`NodeError::DaemonGone`], [`NodeError::DaemonSilent`], or [`NodeError::Io`]
    /// when its answer cannot be read.
    pub async fn request(&mut self, request: &Request) -> Result<Response, NodeError> {
        self.ask(request).await
    }

    /// Waits until nothing is queued for a relay in reach and all it has is here; whether in time.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn wait_idle(&mut self, timeout: Duration) -> Result<bool, NodeError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let answer: ControlAnswer = self.ask(&Control::Sync { timeout_ms }).await?;
        Ok(matches!(answer, ControlAnswer::Synced { idle: true }))
    }

    /// Finds messages; the outer error is that of the connection, the inner one the daemon's refusal.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn search(
        &mut self,
        wanted: Wanted,
    ) -> Result<Result<Found, (String, u8)>, NodeError> {
        match self.ask(&Control::Search(wanted)).await? {
            ControlAnswer::Found(found) => Ok(Ok(found)),
            ControlAnswer::Refused { message, exit_code } => Ok(Err((message, exit_code))),
            ControlAnswer::Done | ControlAnswer::Synced { .. } => {
                Err(self.failed(io::Error::other("the daemon answered something else")))
            }
        }
    }

    /// Makes a consistent copy of the database at `folder`.
    ///
    /// # Errors
    /// As [`Client::request`], and what the engine said.
    pub async fn checkpoint(&mut self, folder: PathBuf) -> Result<(), NodeError> {
        match self
            .ask(&Control::Checkpoint {
                folder: folder.clone(),
            })
            .await?
        {
            ControlAnswer::Done => Ok(()),
            ControlAnswer::Refused { message, exit_code } => {
                let source = if exit_code == ExitCode::Full as u8 {
                    io::Error::new(io::ErrorKind::StorageFull, message)
                } else {
                    io::Error::other(message)
                };
                Err(NodeError::Io {
                    action: "the daemon could not copy its database to",
                    path: folder,
                    source,
                })
            }
            ControlAnswer::Synced { .. } | ControlAnswer::Found(_) => {
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
            .ok_or(NodeError::DaemonGone)?
            .with_patience(self.silence);
        match other.ask(&Control::Events).await? {
            ControlAnswer::Done => Ok(RemoteEvents { client: other }),
            ControlAnswer::Synced { .. }
            | ControlAnswer::Found(_)
            | ControlAnswer::Refused { .. } => Err(NodeError::DaemonGone),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        question: &impl Serialize,
    ) -> Result<T, NodeError> {
        if self.is_silent {
            return Err(self.failed(io::ErrorKind::TimedOut.into()));
        }
        let answer = self.converse(question).await;
        // A late answer may come yet, and must not be taken for that to the next question.
        self.is_silent = matches!(answer, Err(NodeError::DaemonSilent { .. }));
        answer
    }

    async fn converse<T: DeserializeOwned>(
        &mut self,
        question: &impl Serialize,
    ) -> Result<T, NodeError> {
        let writing = line::write(&mut self.stream, question);
        let written = tokio::time::timeout(self.silence, writing).await;
        written
            .map_err(io::Error::from)
            .and_then(|written| written)
            .map_err(|error| self.failed(error))?;
        let answer = self.lines.next_value(&mut self.stream, self.silence).await;
        answer
            .map_err(|error| self.failed(error))?
            .ok_or(NodeError::DaemonGone)
    }

    fn failed(&self, source: io::Error) -> NodeError {
        if matches!(
            source.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        ) {
            return NodeError::DaemonGone;
        }
        if source.kind() == io::ErrorKind::TimedOut {
            return NodeError::DaemonSilent {
                path: socket::path(&self.home),
                waited_ms: u64::try_from(self.silence.as_millis()).unwrap_or(u64::MAX),
            };
        }
        NodeError::Io {
            action: "could not talk to the daemon at",
            path: socket::path(&self.home),
            source,
        }
    }
}

impl RemoteEvents {
    /// The next one. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`NodeError::DaemonGone`] once the daemon has stopped, [`NodeError::DaemonSilent`].
    pub async fn next(&mut self) -> Result<Heard, NodeError> {
        let Client {
            stream,
            lines,
            silence,
            ..
        } = &mut self.client;
        let line = lines.next(stream, Some(*silence)).await;
        let line = line
            .map_err(|error| self.client.failed(error))?
            .ok_or(NodeError::DaemonGone)?;
        if let Ok(Gap::Missed { count }) = serde_json::from_slice(&line) {
            return Ok(Heard::Missed(count));
        }
        // An event that this version does not know is a gap, not the end.
        Ok(serde_json::from_slice::<Event>(&line).map_or(Heard::Missed(1), Heard::Event))
    }
}
