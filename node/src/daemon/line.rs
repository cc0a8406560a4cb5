//! What passes through the socket: bounded lines of JSON.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::api::{IMPORT_BATCH_MESSAGES_MAX, Request};
use crate::import::{IMPORT_BODY_BYTES_MAX, IMPORT_SENDER_BYTES_MAX};
use crate::search::{Found, Wanted};

/// Longest line in either direction: 16 MiB.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Before a line that is not ready yet: white space, which no reader of JSON minds.
pub const ALIVE: u8 = b' ';

/// Between two of them.
pub const ALIVE_PAUSE: Duration = Duration::from_secs(2);

/// JSON writes `"` and `\` with two bytes, and bodies that hold other control
/// characters are not imported; 512 bytes are for the names of the fields.
const IMPORTED_JSON_BYTES_MAX: usize = 2 * (IMPORT_BODY_BYTES_MAX + IMPORT_SENDER_BYTES_MAX) + 512;
const _: () = assert!(IMPORT_BATCH_MESSAGES_MAX * IMPORTED_JSON_BYTES_MAX < LINE_BYTES_MAX);

/// What a program may ask of a daemon besides a [`Request`].
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Control {
    /// From now on this connection carries events.
    Events,
    /// Wait until nothing is queued for a relay in reach and all it has is here.
    Sync {
        /// At most so long.
        timeout_ms: u64,
    },
    /// Find messages.
    Search(Wanted),
    /// Make a consistent copy of the database.
    Checkpoint {
        /// Where; must not exist.
        folder: PathBuf,
    },
}

/// What comes of a [`Control`].
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ControlAnswer {
    /// Done; events follow if they were asked for.
    Done,
    /// To [`Control::Sync`].
    Synced {
        /// Whether it was reached in time.
        idle: bool,
    },
    /// To [`Control::Search`].
    Found(Found),
    /// Nothing was done.
    Refused {
        /// What to do about it.
        message: String,
        /// Exit code of the command line.
        exit_code: u8,
    },
}

/// In the stream of events: so many were dropped because the listener was slow.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Gap {
    /// Ask the history for what they said.
    Missed {
        /// How many.
        count: u64,
    },
}

/// One line from a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Request(Request),
    Control(Control),
}

impl Asked {
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let control = ["events", "sync", "search", "checkpoint"];
        if value
            .get("do")
            .and_then(|name| name.as_str())
            .is_some_and(|name| control.contains(&name))
        {
            return serde_json::from_value(value)
                .map(Self::Control)
                .map_err(|error| error.to_string());
        }
        serde_json::from_value(value)
            .map(Self::Request)
            .map_err(|error| error.to_string())
    }
}

/// What [`Lines::next`] has read of a line. It belongs to the connection, so
/// that who stops waiting in the middle of a line loses nothing of it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` at the end of the stream. Spaces
    /// before it are signs of life ([`ALIVE`]) and no part of it.
    ///
    /// # Errors
    /// `InvalidData` for a line above [`LINE_BYTES_MAX`], `TimedOut` when nothing
    /// comes for `silence`; the connection is of no use then.
    pub(super) async fn next(
        &mut self,
        reader: &mut (impl AsyncBufRead + Unpin),
        silence: Option<Duration>,
    ) -> io::Result<Option<Vec<u8>>> {
        loop {
            let buffered = match silence {
                None => reader.fill_buf().await?,
                Some(silence) => tokio::time::timeout(silence, reader.fill_buf()).await??,
            };
            if buffered.is_empty() {
                return Ok(None); // a line without its end was cut off: it is not obeyed
            }
            let end = buffered.iter().position(|byte| *byte == b'\n');
            let part = buffered
                .get(..end.unwrap_or(buffered.len()))
                .unwrap_or_default();
            let consumed = part.len() + usize::from(end.is_some());
            let mut part = part;
            if self.begun.is_empty() {
                let is_alive = |byte: &&u8| **byte == ALIVE;
                let signs = part.iter().take_while(is_alive).count();
                part = part.get(signs..).unwrap_or_default();
            }
            if self.begun.len() + part.len() > LINE_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the line is too long",
                ));
            }
            self.begun.extend_from_slice(part);
            reader.consume(consumed);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.begun)));
            }
        }
    }

    /// As [`Lines::next`], as a `T`.
    ///
    /// # Errors
    /// As [`Lines::next`], and `InvalidData` for a line that is no `T`.
    pub(super) async fn next_value<T: DeserializeOwned>(
        &mut self,
        reader: &mut (impl AsyncBufRead + Unpin),
        silence: Duration,
    ) -> io::Result<Option<T>> {
        let Some(line) = self.next(reader, Some(silence)).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Waits for what is to be written, and meanwhile shows that the daemon lives.
///
/// # Errors
/// When the other side is gone.
pub(super) async fn alive<T>(
    writer: &mut (impl AsyncWrite + Unpin),
    coming: impl Future<Output = T>,
) -> io::Result<T> {
    let mut coming = std::pin::pin!(coming);
    loop {
        tokio::select! {
            come = &mut coming => return Ok(come),
            () = tokio::time::sleep(ALIVE_PAUSE) => {}
        }
        writer.write_all(&[ALIVE]).await?;
        writer.flush().await?;
    }
}

/// # Errors
/// When the other side is gone, or the value takes more than [`LINE_BYTES_MAX`].
pub(super) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    if line.len() > LINE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is too long; ask for less at once",
        ));
    }
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}
