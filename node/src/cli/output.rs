//! Standard output: data only, as text for people or one JSON object a line.

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CliError;
use crate::api::SCHEMA_VERSION;

/// How answers are written.
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

    /// A whole file.
    pub(super) fn bytes(self, file: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(file)
            .and_then(|()| out.flush())
            .map_err(CliError::Output)
    }

    /// A line that was made safe by who made it.
    pub(super) fn raw(self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(CliError::Output)
    }
}

/// Text of strangers, so that a terminal shows it and does not obey it: control
/// characters (C0, DEL, C1) and the invisible ones that turn the direction of
/// writing (UAX #9) are written as `\u{…}`.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}');
        if c.is_control() || direction || matches!(c, '\u{2028}' | '\u{2029}') {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
