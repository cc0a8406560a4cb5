//! Bytes become numbered lines, and text loses what a terminal would obey.

use std::borrow::Cow;

use super::{IMPORT_EXCERPT_BYTES_MAX, IMPORT_LINES_MAX, ImportError, Parsed, Place};

/// One line without its line end.
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u32,
    pub(super) text: Cow<'a, str>,
}

/// The lines of one export.
pub(super) struct Lines<'a> {
    pub(super) lines: Vec<Line<'a>>,
    /// Lines that were not UTF-8.
    pub(super) lossy: u32,
    /// The first of them.
    pub(super) first_lossy: Option<Place>,
}

impl<'a> Lines<'a> {
    /// Splits at LF and drops a CR before it. Decoding is by line, so that one
    /// line in an old encoding spoils no other.
    pub(super) fn split(file: &str, bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut lines = Vec::new();
        let mut lossy = 0;
        let mut first_lossy = None;
        for (raw, number) in bytes.split(|byte| *byte == b'\n').zip(1_u32..) {
            if lines.len() >= IMPORT_LINES_MAX {
                return Err(ImportError::TooManyLines { file: file.into() });
            }
            let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            if let Err(error) = std::str::from_utf8(raw) {
                lossy += 1;
                first_lossy.get_or_insert(Place {
                    line: number,
                    byte: error.valid_up_to() + 1,
                });
            }
            let text = String::from_utf8_lossy(raw);
            lines.push(Line { number, text });
        }
        Ok(Self {
            lines,
            lossy,
            first_lossy,
        })
    }

    /// The same, with what was not UTF-8.
    pub(super) fn told_in(&self, parsed: Parsed) -> Parsed {
        Parsed {
            lossy_lines: self.lossy,
            first_lossy: self.first_lossy,
            ..parsed
        }
    }
}

/// The text without control characters (C0, DEL, C1); tab and line feed stay.
pub(super) fn clean_body(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\t' | '\n'))
        .collect()
}

/// A name or title: no control character at all, no space at its ends.
pub(super) fn clean_name(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control()).collect();
    kept.trim().to_owned()
}

/// How a line begins, for the list of skipped lines.
pub(super) fn excerpt(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(IMPORT_EXCERPT_BYTES_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(&shown, IMPORT_EXCERPT_BYTES_MAX).to_owned()
}

/// The longest beginning of at most `bytes_max` bytes that ends at a character.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or_default()
}
