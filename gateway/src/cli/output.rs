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
}

impl Output {
    /// One JSON object, with `schema_version`.
    pub(super) fn object(self, fields: Map<String, Value>) -> Result<(), CliError> {
        let mut object = Map::new();
        object.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
        object.extend(fields);
        self.text(&format!("{}\n", Value::Object(object)))
    }

    /// As it is. That its reader has gone away is no failure.
    pub(super) fn text(self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(CliError::Output),
        }
    }
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
