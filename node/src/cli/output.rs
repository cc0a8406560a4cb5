//! Standard output: data only, as text for people or one JSON object a line.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::io::Interest;
use tokio::net::unix::pipe;

use super::error::CliError;
use crate::api::SCHEMA_VERSION;
use crate::shown::escaped;

/// Whether the reader of a pipe has gone (`khlong log … | head`): a fact about
/// the process, as its standard output is.
static READER_GONE: AtomicBool = AtomicBool::new(false);

/// How answers are written. When the reader of a pipe goes, what is still to be
/// said is dropped and no error: the command's work goes on to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// One JSON object with `schema_version` in front.
    pub(super) fn object(self, value: &impl Serialize) -> Result<(), CliError> {
        let mut object = Map::new();
        object.insert("schema_version".to_owned(), Value::from(SCHEMA_VERSION));
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => object.extend(fields),
            Ok(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_),
            )
            | Err(_) => {
                return Err(CliError::Unexpected);
            }
        }
        self.raw(&Value::Object(object).to_string())
    }

    /// A line for people; control characters become visible.
    pub(super) fn line(self, text: &str) -> Result<(), CliError> {
        self.raw(&escaped(text))
    }

    /// A line that was made safe by who made it. It is out when this returns.
    pub(super) fn raw(self, text: &str) -> Result<(), CliError> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// As they are.
    pub(super) fn bytes(self, bytes: &[u8]) -> Result<(), CliError> {
        if self.is_unread() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                READER_GONE.store(true, Ordering::Relaxed);
                Ok(())
            }
            written => written.map_err(CliError::Output),
        }
    }

    /// Resolves when the reader of a pipe has gone; never where that cannot be told, as of a file.
    pub(super) async fn reader_leaves(self) {
        // It is only watched, so that its mode, shared with other processes, may stay as it is.
        let copy = io::stdout().as_fd().try_clone_to_owned();
        let Ok(watched) = copy.and_then(pipe::Sender::from_owned_fd_unchecked) else {
            return std::future::pending().await;
        };
        match watched.ready(Interest::ERROR).await {
            Ok(_gone) => READER_GONE.store(true, Ordering::Relaxed),
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether nobody reads any more: who only shows may stop.
    pub(super) fn is_unread(self) -> bool {
        READER_GONE.load(Ordering::Relaxed)
    }
}

/// A word for people on standard error. That nobody reads it is no failure.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "khlong: {}", escaped(text));
}
