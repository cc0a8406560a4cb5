//! Standard output: data only, as text for people or one JSON object.

use std::io::{self, Write as _};

use serde_json::{Map, Value};

use super::CliError;

/// Version of the machine-readable output.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    /// Whether what is told was carried out, and may not be repeated.
    pub(super) is_done: bool,
}

impl Output {
    /// One JSON object, with `schema_version`.
    pub(super) fn object(self, fields: Map<String, Value>) -> Result<(), CliError> {
        self.text(&line(fields))
    }

    /// As it is. That its reader has gone away is no failure.
    pub(super) fn text(self, text: &str) -> Result<(), CliError> {
        match write(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) if self.is_done => Err(CliError::Untold(error)),
            written => written.map_err(CliError::Output),
        }
    }

    /// A file that was asked for: without a reader it is lost.
    pub(super) fn file(self, text: &str) -> io::Result<()> {
        write(text)
    }
}

/// With `schema_version`.
pub(super) fn line(fields: Map<String, Value>) -> String {
    let mut object = Map::new();
    object.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
    object.extend(fields);
    format!("{}\n", Value::Object(object))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for half in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    text
}
