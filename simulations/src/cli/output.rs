//! Standard output is data only; what is meant for a person goes to standard error.

use std::error::Error as _;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::error::SimError;

/// How data are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
    exit_code: u8,
}

impl Output {
    pub(super) fn text(self, text: &str) -> Result<(), SimError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(failed)
    }

    /// One object, one line.
    pub(super) fn object(self, value: &impl Serialize) -> Result<(), SimError> {
        let line = serde_json::to_string(value).map_err(|error| failed(error.into()))?;
        self.text(&format!("{line}\n"))
    }

    /// The reason on standard error, with its causes; with `--json` also as data.
    pub(super) fn tell(self, error: &SimError) {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = inner.source();
        }
        if self.json {
            let _ = self.object(&Refused {
                error: &message,
                exit_code: error.exit_code() as u8,
            });
        }
        eprintln!("khlong-sim: {message}");
    }
}

pub(super) fn failed(source: io::Error) -> SimError {
    SimError::Write {
        path: "standard output".into(),
        source,
    }
}

/// Whether the reader of a pipe went away: no error to tell about.
pub(super) fn is_closed_pipe(error: &SimError) -> bool {
    matches!(error, SimError::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
